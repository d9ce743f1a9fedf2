/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The model's half of route tables: which requests there are, and what is
 * done with them.  The other half, and what holds for both, is in model.h.
 */

#ifndef MODEL_ROUTE_H
#define MODEL_ROUTE_H

#include "mesh_base.h"
#include "mesh_format.h"

/* Where a resource was written, for errors found after decoding. */
typedef struct {
    const char *file;
    uint32_t line;
    uint32_t column;
} model_place_t;

/* A condition on a header and the like. */
typedef struct {
    mesh_match_from_e from;
    mesh_match_op_e op;
    bool invert;
    bool ignore_case;
    bool missing_as_empty;
    mesh_str_t name;  /* of headers in lower case */
    mesh_str_t value; /* in lower case if its case is ignored, or of SNI */
    int64_t start;    /* RANGE */
    int64_t end;
} model_match_t;

typedef struct {
    uint32_t count;
    model_match_t *v;
} model_matches_t;

typedef struct {
    uint32_t count;
    mesh_cidr_t *v;
} model_addresses_t;

/* A percentage, which a value of the mesh's runtime may take the place of. */
typedef struct {
    bool set;
    uint32_t ppm;         /* of MESH_SHARE_ALL */
    uint32_t denominator; /* 100, 10,000 or a million: as it was written */
    mesh_str_t key;       /* of the runtime; empty: none */
} model_share_t;

/* "10", "0.5", "10%": set, ppm and denominator; false: no percentage. */
bool model_parse_share(mesh_str_t text, model_share_t *share);

/* A key of the runtime: 1 to 256 printable characters, no blanks. */
bool model_is_runtime_key(mesh_str_t text);

/* All requests. */
#define MODEL_SHARE_DEFAULT                                                    \
    ((model_share_t){.set = true, .ppm = MESH_SHARE_ALL, .denominator = 100})

typedef struct {
    mesh_header_op_e op;
    bool keep_empty; /* of a value with substitutions */
    mesh_str_t name;
    mesh_str_t value; /* with substitutions if there is a "%" in it */
} model_header_op_t;

typedef struct {
    uint32_t count;
    model_header_op_t *v;
} model_header_ops_t;

typedef struct {
    mesh_str_t cluster; /* or the header that names it, in lower case */
    mesh_str_t subset;  /* empty: the whole cluster */
    bool criteria;      /* it may be none of the cluster's: as in Envoy */
    bool by_header;
    uint32_t not_found; /* by_header: default 503 */
    uint32_t weight;
    mesh_str_t host_rewrite; /* empty: none of its own */
    model_header_ops_t request_ops;
    model_header_ops_t response_ops;
} model_split_t;

/* What chooses the weighted cluster of a request. */
typedef enum {
    MODEL_SPLIT_BY_TICKET, /* in turn */
    MODEL_SPLIT_BY_HASH,   /* of the route's hash policies, if there is one */
    MODEL_SPLIT_BY_HEADER, /* its number, if there is one */
} model_split_by_e;

typedef struct {
    model_split_by_e by;
    mesh_str_t header; /* in lower case */
} model_split_by_t;

/* Every match of the pattern in a path, or a value, is replaced. */
typedef struct {
    mesh_str_t pattern;      /* empty: not set */
    mesh_str_t substitution; /* with "\\0" to "\\9" for groups */
} model_regex_rewrite_t;

/* What prefix_rewrite and host_rewrite do not say. */
typedef struct {
    mesh_path_rewrite_e path;
    model_regex_rewrite_t regex;
    mesh_str_t text; /* the template; the whole path with substitutions */
    mesh_host_rewrite_e host;
    mesh_str_t header;                /* in lower case */
    model_regex_rewrite_t host_regex; /* of the path; HOST_PATH */
    bool forward_host; /* the host that was goes to x-forwarded-host */
} model_rewrite_t;

typedef struct {
    uint32_t status; /* default 301 */
    mesh_str_t scheme;
    mesh_str_t host;
    uint32_t port;
    mesh_str_t path;
    mesh_str_t prefix;
    bool has_prefix; /* an empty prefix is a rewrite too */
    model_regex_rewrite_t regex;
    bool strip_query;
} model_redirect_t;

typedef struct {
    bool set;
    uint32_t on; /* MESH_RETRY_* */
    uint32_t attempts;
    uint32_t per_try_timeout_ms;
    uint32_t ncodes;
    uint32_t *codes; /* ascending */
    uint32_t grpc;   /* bit n: grpc-status n */
} model_retry_t;

typedef struct {
    mesh_hash_from_e from;
    bool terminal;
    bool generate;                 /* COOKIE: set it where it is not */
    mesh_str_t name;               /* header (lower case), cookie, parameter */
    mesh_str_t attributes;         /* "; Max-Age=60; Path=/; HttpOnly" */
    model_regex_rewrite_t rewrite; /* HEADER: of its value; or not set */
} model_hash_policy_t;

typedef struct {
    bool set;
    bool strict;
    bool header;     /* it is a header, not a cookie */
    mesh_str_t name; /* of a header in lower case */
    mesh_str_t attributes;
} model_session_t;

typedef struct {
    bool set;
    uint32_t max;   /* hops of a request; default 1 */
    uint32_t codes; /* MESH_FOLLOW_301 and so on; default 302 alone */
    bool cross_scheme;
} model_internal_redirects_t;

typedef struct {
    mesh_str_t cluster;
    mesh_str_t subset;   /* empty: the whole cluster */
    model_share_t share; /* default: all */
    bool shadow_host;    /* default: "-shadow" behind the host */
} model_mirror_t;

typedef struct {
    uint32_t count;
    model_mirror_t *v;
} model_mirrors_t;

typedef struct {
    bool set;
    uint64_t said;           /* rows that were there: a route's own come
                                before its host's */
    model_matches_t origins; /* texts on "origin"; one is enough */
    mesh_str_t methods;      /* values of headers; empty: not sent */
    mesh_str_t headers;
    mesh_str_t expose;
    mesh_str_t max_age;
    bool credentials;
    bool private_network;
    bool forward_foreign; /* preflights of other origins; default */
} model_cors_t;

typedef struct {
    model_place_t place;
    mesh_str_t name; /* given, or "<host name>/<index>", with
                        "<table>/" before it unless "default" */
    mesh_path_match_e path_match;
    bool ignore_case; /* of the path, which is in lower case then */
    mesh_str_t path;  /* "/" when nothing was said */
    uint16_t methods; /* MESH_METHOD_*; 0: any */
    bool grpc;
    model_addresses_t addresses; /* none: any client */
    model_share_t share;
    uint32_t nmatches;
    model_match_t *matches; /* of headers, then query, then cookies, then
                               the server name, then the port */
    mesh_action_e action;
    uint32_t nsplit;
    model_split_t *split;
    model_split_by_t split_by;
    model_redirect_t redirect;
    uint32_t direct_status;
    mesh_str_t direct_body;
    bool has_prefix_rewrite;
    mesh_str_t prefix_rewrite;
    mesh_str_t host_rewrite;
    model_rewrite_t rewrite;
    model_header_ops_t request_ops;
    model_header_ops_t response_ops;
    model_retry_t retry;
    uint32_t nhash_policies;
    model_hash_policy_t *hash_policies;
    model_session_t session;
    model_mirrors_t mirrors; /* the host's, if it says none */
    model_cors_t cors;       /* what it does not say is the host's */
    model_internal_redirects_t follow;
    uint32_t body_limit;      /* bytes; 0: none */
    uint32_t timeout_ms;      /* default 15 s; 0: none */
    uint32_t idle_timeout_ms; /* 0: nginx's own */
} model_route_t;

typedef struct {
    model_place_t place;
    mesh_str_t name; /* given, or the first domain */
    bool keyed;      /* a share in it has a key: model_mark_keyed() */
    uint32_t ndomains;
    mesh_str_t *domains; /* lower case */
    uint32_t nroutes;
    model_route_t *routes;
    model_header_ops_t request_ops;
    model_header_ops_t response_ops;
    model_mirrors_t mirrors; /* these two are in its routes already */
    model_cors_t cors;
} model_vhost_t;

/* Virtual hosts of all parts with the same table name make one table. */
typedef struct {
    model_place_t place;
    mesh_str_t name; /* "default" unless said */
    uint32_t flags;  /* MESH_NORMALIZE_* and so on */
    bool flags_said; /* false: defaults, another part's words win */
    bool keyed;      /* one of the virtual hosts is */
    uint32_t nvhosts;
    model_vhost_t *vhosts;
} model_route_table_t;

#endif /* MODEL_ROUTE_H */
