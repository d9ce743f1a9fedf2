/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one truth of the snapshot's layout (docs/snapshot-format.md draws it).
 *
 * A snapshot file is a 64-byte head and then records, appended and never
 * changed.  A record is 8-byte aligned, begins with mesh_rec_t, and refers to
 * other records only backwards (mesh_ref_t, offset / 8), so there are no
 * cycles and a record is complete when it is written.  Everything is little
 * endian and fixed width.  Padding is zero: equal content is equal bytes.
 *
 * format/mesh_schema.c tells, per kind, where references stand, what kinds
 * they may point at, and where the trailing array is.  Checking, compaction,
 * digests and dumps are all driven by that table.
 *
 * Only the writer computes offsets; only snapshot/ turns one into a pointer.
 */

#ifndef MESH_FORMAT_H
#define MESH_FORMAT_H

#include <stdint.h>


#define MESH_FORMAT_MAGIC        "NGXMESH"      /* 8 bytes with its NUL */
#define MESH_FORMAT_VERSION      1      /* the newest that is read ... */
#define MESH_FORMAT_OLDEST       1      /* ... and the oldest */

#define mesh_format_reads(version)                                            \
    ((version) >= MESH_FORMAT_OLDEST && (version) <= MESH_FORMAT_VERSION)


#define MESH_FILE_CAPACITY_MIN   (UINT64_C(1) << 20)
#define MESH_FILE_CAPACITY       (UINT64_C(256) << 20)      /* default */
#define MESH_FILE_CAPACITY_MAX   (UINT64_C(8) << 30)

#define MESH_PRIORITY_MAX        127    /* the last choice */
#define MESH_CHUNK_MAX           64     /* endpoints in one chunk, at most */
#define MESH_CHUNK_MASK          31     /* key_hash & mask == 0 ends a chunk */
#define MESH_MAP_LEAF_AIM        32     /* entries in a leaf, on average */
#define MESH_HISTORY_MAX         64     /* roots in the ring */

#define MESH_NAME_MAX            1024   /* bytes of a resource's name */
#define MESH_DOMAIN_MAX          255
#define MESH_HEADER_NAME_MAX     256
#define MESH_CONTAINS_MAX        256    /* bytes that are looked for */
#define MESH_FOLDED_MAX          1024   /* bytes compared in any case */
#define MESH_REGEX_MAX           1024   /* bytes of a regular expression */
#define MESH_TEXT_MAX            65536  /* bytes of a value, a path, a body */
#define MESH_RECORD_MAX          (UINT32_C(64) << 20)


typedef uint32_t  mesh_ref_t;           /* offset / 8; 0: none */


typedef struct {
    uint8_t   b[16];                    /* SHA-256, first half */
} mesh_digest_t;


typedef struct {
    char      magic[8];
    uint32_t  version;
    uint32_t  head_size;                /* where the first record is: 64 */
    uint32_t  file_number;              /* as in the control word; from 1 */
    uint32_t  reserved0;
    uint64_t  capacity;                 /* bytes; never grown past */
    uint8_t   reserved[32];
} mesh_file_head_t;


typedef struct {
    uint16_t  kind;                     /* mesh_kind_e */
    uint16_t  flags;                    /* MESH_REC_* */
    uint32_t  size;                     /* with this header; multiple of 8 */
} mesh_rec_t;


/* A reader that does not know the kind may step over it. */
#define MESH_REC_OPTIONAL        0x0001


/* Append only: numbers are in files. */
typedef enum {
    MESH_KIND_NONE = 0,
    MESH_KIND_STRING = 1,
    MESH_KIND_U32S = 2,
    MESH_KIND_REFS = 3,
    MESH_KIND_MAP = 4,
    MESH_KIND_MAP_LEAF = 5,

    MESH_KIND_ROUTE_TABLE = 10,
    MESH_KIND_VHOST = 11,
    MESH_KIND_TRIE = 12,
    MESH_KIND_ROUTE = 13,
    MESH_KIND_MATCHES = 14,
    MESH_KIND_SPLIT = 15,
    MESH_KIND_HEADER_OPS = 16,
    MESH_KIND_REDIRECT = 17,
    MESH_KIND_DIRECT = 18,
    MESH_KIND_RETRY = 19,
    MESH_KIND_RANGE = 20,
    MESH_KIND_ADDRESSES = 21,
    MESH_KIND_REGEX = 22,
    MESH_KIND_INTERNAL_REDIRECT = 23,
    MESH_KIND_HASH_POLICIES = 24,
    MESH_KIND_SESSION = 25,
    MESH_KIND_REWRITE = 26,
    MESH_KIND_FORMAT = 27,
    MESH_KIND_MIRRORS = 28,
    MESH_KIND_CORS = 29,

    MESH_KIND_CLUSTER = 30,
    MESH_KIND_OUTLIER = 31,
    MESH_KIND_SUBSETS = 32,
    MESH_KIND_LABELS = 33,
    MESH_KIND_LB = 34,
    MESH_KIND_LOCALITY_WEIGHTS = 35,
    MESH_KIND_ZONE_AWARE = 36,
    MESH_KIND_SELECTORS = 37,

    MESH_KIND_ENDPOINT_SET = 40,
    MESH_KIND_ENDPOINT_CHUNK = 41,
    MESH_KIND_LOCALITY = 42,

    MESH_KIND_POLICY = 50,
    MESH_KIND_ENDPOINTS = 51,
    MESH_KIND_IDENTITY = 52,
    MESH_KIND_BINDING = 53,
    MESH_KIND_BIND_CLUSTER = 54,
    MESH_KIND_SOURCES = 55,
    MESH_KIND_ROOT = 56,

    MESH_KIND_RUNTIME_VALUES = 60,
    MESH_KIND_SHARE = 61,

    MESH_KIND_MAX = 64
} mesh_kind_e;


/* --- plain shapes ------------------------------------------------------- */

typedef struct {
    mesh_rec_t     rec;
    uint32_t       len;                 /* without the NUL */
    char           data[];              /* len bytes, a NUL, zeroes */
} mesh_rec_string_t;


typedef struct {
    mesh_rec_t     rec;
    uint32_t       count;
    uint32_t       v[];
} mesh_rec_u32s_t;


typedef struct {
    mesh_rec_t     rec;
    uint16_t       value_kind;          /* of every element */
    uint16_t       reserved;
    uint32_t       count;
    mesh_ref_t     v[];                 /* none is 0 */
} mesh_rec_refs_t;


/*
 * A map from name to record: the leaf is chosen by the top `bits` bits of
 * mesh_hash32(name), and holds its entries in order of (hash, name).  `bits`
 * follows from `count` alone (mesh_map_bits()), so equal maps are equal
 * bytes, and a changed entry costs one leaf and the directory.
 */
typedef struct {
    mesh_rec_t     rec;
    uint16_t       value_kind;          /* MESH_KIND_NONE: only `aux` counts */
    uint16_t       bits;
    uint32_t       count;               /* entries in all leaves */
    uint32_t       leaves;              /* 1 << bits */
    mesh_ref_t     leaf[];              /* 0: an empty leaf */
} mesh_rec_map_t;


typedef struct {
    uint32_t       hash;
    mesh_ref_t     name;                /* STRING */
    mesh_ref_t     value;               /* value_kind; 0 when that is NONE */
    uint32_t       aux;
} mesh_map_entry_t;


typedef struct {
    mesh_rec_t        rec;
    uint16_t          value_kind;
    uint16_t          reserved;
    uint32_t          count;
    mesh_map_entry_t  v[];
} mesh_rec_map_leaf_t;


/* --- routes ------------------------------------------------------------- */

#define MESH_NORMALIZE_RFC3986   0x0001 /* dot segments, %XX of unreserved */
#define MESH_MERGE_SLASHES       0x0002
#define MESH_SLASHES_SHIFT       4      /* mesh_escaped_slashes_e << 4 */
#define MESH_SLASHES_MASK        0x0070
#define MESH_HOST_KEEP_PORT      0x0100 /* domains are compared with the port */

typedef enum {
    MESH_SLASHES_KEEP = 0,
    MESH_SLASHES_REJECT = 1,            /* 400 */
    MESH_SLASHES_REDIRECT = 2,          /* 307 to the unescaped path */
    MESH_SLASHES_UNESCAPE = 3
} mesh_escaped_slashes_e;


/*
 * Virtual hosts by domain, in lower case.  Exact first; then the longest
 * suffix ("*.shop.local" is kept as ".shop.local"), the longest prefix
 * ("www.*" as "www."), then "*".  *_lens: the lengths that occur, longest
 * first, so that a lookup tries only those.
 */
typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    mesh_ref_t     name;                /* STRING */
    uint32_t       flags;               /* MESH_NORMALIZE_* and so on */
    mesh_ref_t     exact;               /* MAP of VHOST, or 0 */
    mesh_ref_t     suffix;              /* MAP of VHOST, or 0 */
    mesh_ref_t     suffix_lens;         /* U32S */
    mesh_ref_t     prefix;              /* MAP of VHOST, or 0 */
    mesh_ref_t     prefix_lens;         /* U32S */
    mesh_ref_t     any;                 /* VHOST for "*", or 0 */
} mesh_rec_route_table_t;


typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    mesh_ref_t     name;                /* STRING */
    uint32_t       flags;
    mesh_ref_t     routes;              /* REFS of ROUTE, in order of match */
    mesh_ref_t     trie;                /* TRIE over their paths */
    mesh_ref_t     request_ops;         /* HEADER_OPS */
    mesh_ref_t     response_ops;        /* HEADER_OPS */
    mesh_ref_t     folded;              /* TRIE in lower case, or 0: paths of
                                           MESH_ROUTE_IGNORE_CASE */
    mesh_ref_t     others;              /* U32S, or 0: routes in no TRIE, those
                                           of MESH_PATH_REGEX, ascending */
} mesh_rec_vhost_t;


/*
 * A radix trie over the paths of one virtual host.  Node 0 is the root with
 * an empty label; children of a node are neighbours, come after it, and are
 * in order of their first byte.  Each node names two runs of `lists`: routes
 * whose prefix ends here, then routes whose exact path ends here, as indexes
 * into the virtual host's `routes`, ascending.  A separated prefix "/a" is
 * in it twice: as the exact path "/a" and as the prefix "/a/".
 */
typedef struct {
    uint32_t       label;               /* offset into `labels` */
    uint32_t       label_len;
    uint32_t       first_child;         /* node index; > own index */
    uint32_t       children;
    uint32_t       list;                /* offset into `lists` */
    uint32_t       prefixes;            /* how many, at lists[list] */
    uint32_t       exacts;              /* how many, after the prefixes */
} mesh_trie_node_t;


typedef struct {
    mesh_rec_t        rec;
    mesh_ref_t        labels;           /* STRING, or 0 if all are empty */
    mesh_ref_t        lists;            /* U32S, or 0 */
    uint32_t          routes;           /* every index in `lists` is below */
    uint32_t          count;
    mesh_trie_node_t  v[];
} mesh_rec_trie_t;


typedef enum {
    MESH_PATH_PREFIX = 0,               /* "" or "/" matches everything */
    MESH_PATH_EXACT = 1,
    MESH_PATH_SEPARATED = 2,            /* "/a" is "/a" and "/a/..." */
    MESH_PATH_REGEX = 3,                /* `regex`; `path` is its text */
    MESH_PATH_TEMPLATE = 4              /* `path` is its text; see
                                           route/mesh_template.h */
} mesh_path_match_e;

typedef enum {
    MESH_ACTION_ROUTE = 0,              /* to `split` */
    MESH_ACTION_REDIRECT = 1,
    MESH_ACTION_DIRECT = 2
} mesh_action_e;

/* Bits of a route's `methods`; 0 means any. */
#define MESH_METHOD_GET          0x0001
#define MESH_METHOD_HEAD         0x0002
#define MESH_METHOD_POST         0x0004
#define MESH_METHOD_PUT          0x0008
#define MESH_METHOD_DELETE       0x0010
#define MESH_METHOD_CONNECT      0x0020
#define MESH_METHOD_OPTIONS      0x0040
#define MESH_METHOD_TRACE        0x0080
#define MESH_METHOD_PATCH        0x0100
#define MESH_METHOD_OTHER        0x8000 /* a method without a bit of its own */

#define MESH_ROUTE_SKIP_VHOST_OPS   0x0001  /* room for later */
#define MESH_ROUTE_IGNORE_CASE      0x0002  /* of the path, kept in lower */
#define MESH_ROUTE_GRPC             0x0004  /* gRPC requests only */
#define MESH_ROUTE_ADDRESSES        0x0008  /* from `addresses` only */
#define MESH_ROUTE_SHARE            0x0010  /* a share of the requests only */
#define MESH_ROUTE_SPLIT_HASH       0x0020  /* what hash_policies find chooses
                                               in `split`, if there is any */
#define MESH_ROUTE_TEMPLATE         0x0100  /* of MESH_PATH_TEMPLATE */

#define MESH_SHARE_ALL   1000000

/*
 * What a share_ppm was made of.  It is in force already; this is for whoever
 * tells why, or asks what another value of its key would do.
 */
typedef struct {
    mesh_rec_t     rec;
    uint32_t       denominator;         /* 100, 10,000 or a million: what random
                                           values are counted in */
    uint32_t       default_ppm;         /* without a value of the key */
    uint32_t       default_denominator;
    mesh_ref_t     key;                 /* STRING, of the runtime; or 0 */
    uint32_t       flags;               /* MESH_SHARE_SET */
    uint32_t       reserved;
} mesh_rec_share_t;

#define MESH_SHARE_SET              0x0001  /* the runtime has the key */


typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    mesh_ref_t     name;                /* STRING; unique in the mesh */
    uint32_t       name_hash;           /* mesh_hash32(name) */
    uint8_t        path_match;          /* mesh_path_match_e */
    uint8_t        action;              /* mesh_action_e */
    uint16_t       methods;             /* MESH_METHOD_* */
    uint32_t       flags;
    mesh_ref_t     path;                /* STRING */
    mesh_ref_t     matches;             /* MATCHES, all must hold */
    mesh_ref_t     split;               /* SPLIT; ACTION_ROUTE only */
    mesh_ref_t     redirect;            /* REDIRECT */
    mesh_ref_t     direct;              /* DIRECT */
    mesh_ref_t     prefix_rewrite;      /* STRING: what replaces the match */
    mesh_ref_t     host_rewrite;        /* STRING */
    mesh_ref_t     request_ops;         /* HEADER_OPS */
    mesh_ref_t     response_ops;        /* HEADER_OPS */
    mesh_ref_t     retry;               /* RETRY */
    uint32_t       timeout_ms;          /* whole request; 0: none */
    uint32_t       idle_timeout_ms;     /* between bytes; 0: nginx's own */
    mesh_ref_t     addresses;           /* ADDRESSES; ROUTE_ADDRESSES only */
    uint32_t       share_ppm;           /* of MESH_SHARE_ALL; ROUTE_SHARE */
    mesh_ref_t     hash_policies;       /* HASH_POLICIES */
    mesh_ref_t     session;             /* SESSION */
    mesh_ref_t     regex;               /* REGEX; PATH_REGEX only */
    mesh_ref_t     rewrite;             /* REWRITE; ACTION_ROUTE only */
    mesh_ref_t     mirrors;             /* MIRRORS; ACTION_ROUTE only */
    mesh_ref_t     cors;                /* CORS; ACTION_ROUTE only */
    mesh_ref_t     internal_redirect;   /* INTERNAL_REDIRECT; as those */
    uint32_t       body_limit;          /* bytes; 0: none; as those */
    mesh_ref_t     share;               /* SHARE; ROUTE_SHARE only */
    mesh_ref_t     split_header;        /* STRING: the header, in lower case,
                                           whose number chooses in `split`;
                                           not with ROUTE_SPLIT_HASH */
} mesh_rec_route_t;


/* Where a match finds its value. */
typedef enum {
    MESH_FROM_HEADER = 0,               /* each header of that name */
    MESH_FROM_METHOD = 1,               /* ":method" and so on */
    MESH_FROM_AUTHORITY = 2,
    MESH_FROM_PATH = 3,                 /* with the query */
    MESH_FROM_SCHEME = 4,
    MESH_FROM_QUERY = 5,                /* the first parameter of that name */
    MESH_FROM_COOKIE = 6,               /* the first cookie of that name */
    MESH_FROM_SNI = 7,                  /* "sni": the name that the client's
                                           TLS asked for, in lower case */
    MESH_FROM_PORT = 8                  /* "port": where it was accepted */
} mesh_match_from_e;

typedef enum {
    MESH_MATCH_PRESENT = 0,
    MESH_MATCH_EXACT = 1,
    MESH_MATCH_PREFIX = 2,
    MESH_MATCH_SUFFIX = 3,
    MESH_MATCH_CONTAINS = 4,
    MESH_MATCH_RANGE = 5,               /* a whole number in a RANGE */
    MESH_MATCH_REGEX = 6
} mesh_match_op_e;

#define MESH_MATCH_INVERT        0x01
#define MESH_MATCH_IGNORE_CASE   0x02   /* ASCII; `value` is in lower case */
#define MESH_MATCH_MISSING       0x04   /* a header that is missing is as good
                                           as an empty one */


/* One condition on a value that has a name. */
typedef struct {
    uint8_t        op;                  /* mesh_match_op_e */
    uint8_t        flags;               /* MESH_MATCH_* */
    uint8_t        from;                /* mesh_match_from_e */
    uint8_t        reserved;
    uint32_t       hash;                /* mesh_header_hash(name); 0: not a
                                           header */
    mesh_ref_t     name;                /* STRING, of headers in lower case */
    mesh_ref_t     value;               /* STRING, RANGE, REGEX; 0 for
                                           PRESENT */
} mesh_match_t;


typedef struct {
    mesh_rec_t     rec;
    uint32_t       count;
    uint32_t       reserved;
    mesh_match_t   v[];
} mesh_rec_matches_t;


typedef struct {
    mesh_rec_t     rec;
    int64_t        start;
    int64_t        end;                 /* not in it any more */
} mesh_rec_range_t;


#define MESH_REGEX_SEARCH        0x0001 /* of REWRITE: looked for in a text */

/*
 * A regular expression in RE2's syntax, for the whole of a text unless it is
 * looked for; compiled by who needs it, and known by its digest.
 */
typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    mesh_ref_t     pattern;             /* STRING */
    uint32_t       flags;               /* MESH_REGEX_* */
} mesh_rec_regex_t;


/* Addresses whose first `bits` are these; the other bits are 0. */
typedef struct {
    uint8_t        family;              /* mesh_family_e, an IP one */
    uint8_t        bits;                /* up to 32, 128 */
    uint16_t       reserved;
    uint8_t        addr[16];            /* network order; IPv4 in the first 4 */
} mesh_cidr_t;


typedef struct {
    mesh_rec_t     rec;
    uint32_t       count;
    uint32_t       reserved;
    mesh_cidr_t    v[];                 /* one of them is enough */
} mesh_rec_addresses_t;


#define MESH_SPLIT_HEADER        0x0001 /* a request header names the cluster:
                                           `cluster` is the header's name, in
                                           lower case, and cluster_hash its
                                           mesh_header_hash() */

/*
 * Weighted clusters.  `upto` is the running sum, so a point in [0, total)
 * belongs to the first entry with point < upto.  Weightless entries are left
 * out by the compiler; total is never 0.
 */
typedef struct {
    uint32_t       upto;
    uint32_t       cluster_hash;        /* mesh_hash32(cluster) */
    mesh_ref_t     cluster;             /* STRING: its name */
    uint32_t       subset_hash;         /* mesh_hash32(subset), 0 if none */
    mesh_ref_t     subset;              /* STRING, or 0: the whole cluster */
    mesh_ref_t     request_ops;         /* HEADER_OPS */
    mesh_ref_t     response_ops;        /* HEADER_OPS */
    uint16_t       flags;               /* MESH_SPLIT_HEADER */
    uint16_t       not_found;           /* SPLIT_HEADER: the answer where
                                           there is no such cluster */
    mesh_ref_t     host_rewrite;        /* STRING: what it makes of the
                                           request's host, or 0 */
} mesh_split_entry_t;


typedef struct {
    mesh_rec_t          rec;
    uint32_t            total;
    uint32_t            count;
    mesh_split_entry_t  v[];
} mesh_rec_split_t;


typedef enum {
    MESH_OP_ADD = 0,                    /* one more of that name */
    MESH_OP_SET = 1,                    /* the only one of that name */
    MESH_OP_REMOVE = 2,
    MESH_OP_ADD_IF_ABSENT = 3,
    MESH_OP_OVERWRITE = 4               /* SET, where there is one */
} mesh_header_op_e;

#define MESH_OP_KEEP_EMPTY       0x01   /* a FORMAT that comes out empty is
                                           a value, too */


typedef struct {
    uint8_t        op;                  /* mesh_header_op_e */
    uint8_t        flags;               /* MESH_OP_* */
    uint16_t       reserved;
    uint32_t       hash;                /* mesh_header_hash(name, lower case) */
    mesh_ref_t     name;                /* STRING, as written */
    mesh_ref_t     value;               /* STRING, FORMAT; 0 for REMOVE */
} mesh_header_op_t;


typedef struct {
    mesh_rec_t        rec;
    uint32_t          count;
    uint32_t          reserved;
    mesh_header_op_t  v[];
} mesh_rec_header_ops_t;


/* Variables of a FORMAT, in Envoy's terms; numbers are in files. */
typedef enum {
    MESH_VAR_TEXT = 0,                  /* `name` is the text itself */
    MESH_VAR_REQ = 1,                   /* a header of the request */
    MESH_VAR_RESP = 2,                  /* a header of the response */
    MESH_VAR_DOWNSTREAM_REMOTE_ADDRESS = 3,
    MESH_VAR_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT = 4,
    MESH_VAR_DOWNSTREAM_REMOTE_PORT = 5,
    MESH_VAR_DOWNSTREAM_LOCAL_ADDRESS = 6,
    MESH_VAR_DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT = 7,
    MESH_VAR_DOWNSTREAM_LOCAL_PORT = 8,
    MESH_VAR_PROTOCOL = 9,
    MESH_VAR_START_TIME = 10,           /* `name` is its own format */
    MESH_VAR_UPSTREAM_HOST = 11,
    MESH_VAR_UPSTREAM_CLUSTER = 12,
    MESH_VAR_ROUTE_NAME = 13,
    MESH_VAR_HOSTNAME = 14,
    MESH_VAR_RESPONSE_CODE = 15,
    MESH_VAR_RESPONSE_FLAGS = 16,
    MESH_VAR_REQUESTED_SERVER_NAME = 17,
    MESH_VAR_PATH = 18,                 /* `flags`: MESH_FORMAT_* */
    MESH_VAR_QUERY_PARAM = 19,
    MESH_VAR_MAX
} mesh_format_var_e;

#define MESH_FORMAT_NO_QUERY     0x01   /* PATH: without the query */
#define MESH_FORMAT_CURRENT      0x02   /* PATH: as it is rewritten */
#define MESH_FORMAT_ORIGINAL     0x04   /* PATH: only if it was rewritten */

#define MESH_FORMAT_PARTS_MAX    64


/* One piece of a text with substitutions; see route/mesh_substitute.h. */
typedef struct {
    uint8_t        var;                 /* mesh_format_var_e */
    uint8_t        flags;               /* MESH_FORMAT_* */
    uint16_t       max;                 /* bytes of it, at most; 0: all */
    uint32_t       hash;                /* mesh_header_hash(name), (other); */
    uint32_t       other_hash;          /* 0 where it is no header */
    mesh_ref_t     name;                /* STRING: text, header, parameter */
    mesh_ref_t     other;               /* STRING: the header that is taken
                                           where there is no `name` */
} mesh_format_part_t;


typedef struct {
    mesh_rec_t          rec;
    mesh_ref_t          text;           /* STRING: as it was written */
    uint32_t            count;
    mesh_format_part_t  v[];
} mesh_rec_format_t;


typedef enum {
    MESH_REWRITE_KEEP = 0,              /* or by prefix_rewrite */
    MESH_REWRITE_REGEX = 1,             /* all matches of `regex` by `text` */
    MESH_REWRITE_TEMPLATE = 2,          /* `text`, of a PATH_TEMPLATE */
    MESH_REWRITE_WHOLE = 3              /* `text` */
} mesh_path_rewrite_e;

typedef enum {
    MESH_HOST_KEEP = 0,                 /* or host_rewrite's */
    MESH_HOST_HEADER = 1,               /* the value of `header` */
    MESH_HOST_ENDPOINT = 2,             /* the name of the endpoint */
    MESH_HOST_PATH = 3                  /* what `host_rewrite` makes of the
                                           path */
} mesh_host_rewrite_e;

/* The host that is replaced goes on in x-forwarded-host. */
#define MESH_REWRITE_FORWARD_HOST   0x0001

#define MESH_REWRITE_MAX         65536  /* bytes of a rewritten path */

/*
 * Of a ROUTE; with its regex alone of a REDIRECT, a hash policy, and another
 * REWRITE's host.
 */
typedef struct {
    mesh_rec_t     rec;
    uint8_t        path;                /* mesh_path_rewrite_e */
    uint8_t        host;                /* mesh_host_rewrite_e */
    uint16_t       flags;               /* MESH_REWRITE_* */
    mesh_ref_t     regex;               /* REGEX; REWRITE_REGEX only */
    mesh_ref_t     text;                /* STRING; FORMAT for WHOLE */
    mesh_ref_t     header;              /* STRING in lower case; HOST_HEADER */
    uint32_t       header_hash;
    mesh_ref_t     host_rewrite;        /* REWRITE; HOST_PATH only */
} mesh_rec_rewrite_t;


#define MESH_REDIRECT_STRIP_QUERY   0x0001

typedef struct {
    mesh_rec_t     rec;
    uint16_t       status;              /* 301 302 303 307 308 */
    uint16_t       flags;
    uint32_t       port;                /* 0: as it was */
    mesh_ref_t     scheme;              /* STRING, or 0: as it was */
    mesh_ref_t     host;
    mesh_ref_t     path;                /* whole path, or ... */
    mesh_ref_t     prefix;              /* ... what replaces the match, or */
    mesh_ref_t     rewrite;             /* ... REWRITE */
    uint32_t       reserved;
} mesh_rec_redirect_t;


typedef struct {
    mesh_rec_t     rec;
    uint32_t       status;              /* 200 .. 599 */
    mesh_ref_t     body;                /* STRING, or 0 */
} mesh_rec_direct_t;


/* Bits of mesh_rec_retry_t.on, in Envoy's terms. */
#define MESH_RETRY_CONNECT_FAILURE   0x0001
#define MESH_RETRY_RESET             0x0002 /* reset, or no answer at all */
#define MESH_RETRY_GATEWAY_ERROR     0x0004 /* 502 503 504 */
#define MESH_RETRY_5XX               0x0008 /* any 5xx, reset, timeout */
#define MESH_RETRY_STATUS            0x0010 /* one of `codes` */
#define MESH_RETRY_UNSAFE            0x0020 /* POST, PATCH, ... as well */
#define MESH_RETRY_GRPC              0x0040 /* a grpc-status in `grpc` */

typedef struct {
    mesh_rec_t     rec;
    uint32_t       on;                  /* MESH_RETRY_* */
    uint32_t       attempts;            /* retries, the first try apart */
    uint32_t       per_try_timeout_ms;  /* 0: none */
    mesh_ref_t     codes;               /* U32S, ascending, or 0 */
    uint32_t       grpc;                /* bit n: grpc-status n */
    uint32_t       backoff_base_ms;     /* room for the resilience issue */
    uint32_t       backoff_max_ms;
    uint32_t       flags;
} mesh_rec_retry_t;


/* Where a hash policy looks; see route/mesh_hash_policy.h. */
typedef enum {
    MESH_HASH_HEADER = 0,
    MESH_HASH_COOKIE = 1,
    MESH_HASH_SOURCE_IP = 2,
    MESH_HASH_QUERY = 3,                /* a parameter of the query */
    MESH_HASH_PATH = 4                  /* without the query */
} mesh_hash_from_e;

#define MESH_HASH_TERMINAL       0x01   /* ends the list if there is a hash */
#define MESH_HASH_GENERATE       0x02   /* COOKIE: set it where it is not */

#define MESH_HASH_POLICIES_MAX   16     /* of a route */


typedef struct {
    uint8_t        from;                /* mesh_hash_from_e */
    uint8_t        flags;               /* MESH_HASH_* */
    uint16_t       reserved;
    uint32_t       hash;                /* HEADER: mesh_header_hash(name) */
    mesh_ref_t     name;                /* STRING: header, cookie, parameter */
    mesh_ref_t     attributes;          /* STRING: what follows the value in
                                           Set-Cookie; GENERATE only */
    mesh_ref_t     rewrite;             /* REWRITE: what is hashed instead of
                                           the value; HEADER only, or 0 */
} mesh_hash_policy_t;


typedef struct {
    mesh_rec_t          rec;
    uint32_t            count;
    uint32_t            reserved;
    mesh_hash_policy_t  v[];
} mesh_rec_hash_policies_t;


#define MESH_SESSION_STRICT      0x0001 /* 503 where its endpoint is out */
#define MESH_SESSION_HEADER      0x0002 /* a header, not a cookie */

/* What names the endpoint; see lb/mesh_lb_session.h. */
typedef struct {
    mesh_rec_t     rec;
    mesh_ref_t     name;                /* STRING; a header in lower case */
    mesh_ref_t     attributes;          /* STRING, as of a hash policy; of a
                                           cookie only */
    uint32_t       flags;               /* MESH_SESSION_* */
    uint32_t       hash;                /* HEADER: mesh_header_hash(name) */
} mesh_rec_session_t;


/* Bits of INTERNAL_REDIRECT.codes: the statuses that there are. */
#define MESH_FOLLOW_301          0x01
#define MESH_FOLLOW_302          0x02
#define MESH_FOLLOW_303          0x04
#define MESH_FOLLOW_307          0x08
#define MESH_FOLLOW_308          0x10
#define MESH_FOLLOW_ALL          0x1f

/* 0 for any other status. */
static inline uint32_t
mesh_follow_bit(unsigned status)
{
    switch (status) {
    case 301:
        return MESH_FOLLOW_301;
    case 302:
        return MESH_FOLLOW_302;
    case 303:
        return MESH_FOLLOW_303;
    case 307:
        return MESH_FOLLOW_307;
    case 308:
        return MESH_FOLLOW_308;
    default:
        return 0;
    }
}

#define MESH_FOLLOW_CROSS_SCHEME 0x0001 /* from http to https and back */

#define MESH_FOLLOW_MAX          16     /* hops of a request */

/* Redirects of endpoints that are followed; policy/mesh_follow.h. */
typedef struct {
    mesh_rec_t     rec;
    uint32_t       max;                 /* hops of a request; from 1 */
    uint32_t       codes;               /* MESH_FOLLOW_301 ... */
    uint32_t       flags;               /* MESH_FOLLOW_CROSS_SCHEME */
    uint32_t       reserved;
} mesh_rec_internal_redirect_t;


#define MESH_MIRROR_SAME_HOST    0x0001 /* no "-shadow" behind the host */

#define MESH_MIRRORS_MAX         8      /* of a route */

/* A cluster that is sent copies; policy/mesh_mirror.h. */
typedef struct {
    uint32_t       share_ppm;           /* of MESH_SHARE_ALL */
    uint32_t       flags;               /* MESH_MIRROR_SAME_HOST */
    uint32_t       cluster_hash;        /* mesh_hash32(cluster) */
    mesh_ref_t     cluster;             /* STRING: its name */
    uint32_t       subset_hash;         /* mesh_hash32(subset), 0 if none */
    mesh_ref_t     subset;              /* STRING, or 0: the whole cluster */
    mesh_ref_t     share;               /* SHARE */
    uint32_t       reserved;
} mesh_mirror_t;


typedef struct {
    mesh_rec_t     rec;
    uint32_t       count;
    uint32_t       reserved;
    mesh_mirror_t  v[];
} mesh_rec_mirrors_t;


#define MESH_CORS_CREDENTIALS        0x0001
#define MESH_CORS_PRIVATE_NETWORK    0x0002
#define MESH_CORS_ANSWER_ALL         0x0004 /* preflights of foreign origins
                                               as well */

/* Which other origins' scripts may ask; policy/mesh_cors.h. */
typedef struct {
    mesh_rec_t     rec;
    mesh_ref_t     origins;             /* MATCHES, each a text on the header
                                           "origin", one is enough; or 0 */
    mesh_ref_t     allow_methods;       /* STRING: the header's value, or 0 */
    mesh_ref_t     allow_headers;
    mesh_ref_t     expose_headers;
    mesh_ref_t     max_age;
    uint32_t       flags;               /* MESH_CORS_* */
} mesh_rec_cors_t;


/* --- clusters ----------------------------------------------------------- */

typedef enum {
    MESH_LB_ROUND_ROBIN = 0,
    MESH_LB_LEAST_REQUEST = 1,
    MESH_LB_RANDOM = 2,
    MESH_LB_RING_HASH = 3,
    MESH_LB_MAGLEV = 4,
    MESH_LB_PEAK_EWMA = 5,
    MESH_LB_MAX
} mesh_lb_e;

#define MESH_CLUSTER_HTTP2          0x0001  /* endpoints speak HTTP/2 */

typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    mesh_ref_t     name;                /* STRING */
    uint32_t       name_hash;           /* mesh_hash32(name) */
    mesh_ref_t     endpoint_set;        /* STRING: its name; 0: the cluster's */
    uint8_t        lb;                  /* mesh_lb_e */
    uint8_t        panic_percent;       /* 0: never */
    uint16_t       flags;               /* MESH_CLUSTER_* */
    uint32_t       lb_choices;          /* LEAST_REQUEST: 2 */
    uint32_t       connect_timeout_ms;
    mesh_ref_t     outlier;             /* OUTLIER, or 0 */
    mesh_ref_t     subsets;             /* SUBSETS, or 0 */
    uint32_t       keepalive_idle;      /* idle connections a worker keeps */
    uint32_t       keepalive_timeout_ms;
    uint32_t       keepalive_requests;  /* a connection's life; 0: no end */
    uint32_t       max_requests;        /* room for the resilience issue */
    mesh_ref_t     tls;                 /* room for the identity issue: 0 */
    mesh_ref_t     lb_params;           /* LB, or 0 */
} mesh_rec_cluster_t;


#define MESH_LB_TABLE_MAX        5000011    /* Envoy's bounds */
#define MESH_LB_RING_MAX         (UINT32_C(8) << 20)
#define MESH_LB_BALANCE_MAX      1000000
#define MESH_LB_BIAS_MAX         10000

#define MESH_LB_FULL_SCAN        0x0001     /* LEAST_REQUEST: of all */
#define MESH_LB_BIAS             0x0002     /* by bias_milli, which may be 0 */
#define MESH_LB_FAILOVER         0x0004     /* near localities come first */

#define MESH_LB_OVERPROVISIONING      140       /* percent, where it is 0 */
#define MESH_LB_OVERPROVISIONING_MAX  1000000

/* Parameters of the balancer; what it does not have is 0. */
typedef struct {
    mesh_rec_t     rec;
    uint32_t       table_size;          /* MAGLEV: prime */
    uint32_t       ring_min;            /* RING_HASH: points on the ring */
    uint32_t       ring_max;
    uint32_t       balance_factor;      /* of a share, in percent; 0: off */
    uint32_t       flags;               /* MESH_LB_FULL_SCAN, ... */
    uint32_t       bias_milli;          /* LEAST_REQUEST with MESH_LB_BIAS */
    uint32_t       decay_ms;            /* PEAK_EWMA */
    uint32_t       default_rtt_ms;      /* of one that has not answered yet */
    uint32_t       slow_start_ms;       /* ROUND_ROBIN, LEAST_REQUEST; 0: off */
    uint32_t       aggression_milli;
    uint32_t       min_weight_percent;
    uint32_t       overprovisioning;    /* percent; 0: the default */
    mesh_ref_t     weights;             /* LOCALITY_WEIGHTS, or 0 */
    mesh_ref_t     zone_aware;          /* ZONE_AWARE, or 0 */
} mesh_rec_lb_t;


#define MESH_PRIORITY_ANY          UINT32_MAX
#define MESH_LOCALITY_WEIGHTS_MAX  256      /* views look for each endpoint's */

typedef struct {
    mesh_ref_t     locality;            /* LOCALITY; 0: of who has none */
    uint32_t       priority;            /* or MESH_PRIORITY_ANY */
    uint32_t       weight;              /* 0: no load */
} mesh_locality_weight_t;


/* What is not in it has no weight; the first that fits counts. */
typedef struct {
    mesh_rec_t              rec;
    uint32_t                count;
    uint32_t                reserved;
    mesh_locality_weight_t  v[];
} mesh_rec_locality_weights_t;


#define MESH_ZONE_MIN_SIZE         6        /* Envoy's, unless said */

#define MESH_ZONE_FAIL_ON_PANIC    0x0001   /* requests fail in panic */
#define MESH_ZONE_BY_WEIGHT        0x0002   /* weights count, not endpoints */

/* Zone-aware routing, as Envoy's ZoneAwareLbConfig. */
typedef struct {
    mesh_rec_t     rec;
    mesh_ref_t     local;               /* STRING: the cluster that the proxies
                                           are of; 0: as the agent says */
    uint32_t       enabled_percent;     /* of requests */
    uint32_t       min_size;            /* usable endpoints, or it is off */
    uint32_t       force_min;           /* with as many usable ones in the own
                                           zone all stays there; 0: never */
    uint32_t       flags;               /* MESH_ZONE_* */
    uint32_t       reserved;
} mesh_rec_zone_aware_t;


/* Do requests' hashes choose the endpoint? */
static inline int
mesh_lb_hashes(unsigned lb)
{
    return lb == MESH_LB_RING_HASH || lb == MESH_LB_MAGLEV;
}


#define MESH_OUTLIER_SPLIT_LOCAL    0x0001  /* local-origin counted apart */

typedef struct {
    mesh_rec_t     rec;
    uint32_t       consecutive_5xx;             /* 0: off */
    uint32_t       consecutive_gateway_failure; /* 0: off */
    uint32_t       consecutive_local_failure;   /* 0: off */
    uint32_t       base_ejection_ms;
    uint32_t       max_ejection_ms;
    uint32_t       jitter_ms;                   /* 0 .. this is added */
    uint32_t       max_ejection_percent;
    uint32_t       flags;
} mesh_rec_outlier_t;


typedef struct {
    uint32_t       hash;                /* mesh_hash32(name) */
    mesh_ref_t     name;                /* STRING */
    mesh_ref_t     labels;              /* LABELS that an endpoint must have */
    uint32_t       reserved;
} mesh_subset_t;


/* Instead of a subset that does not exist or has no endpoint. */
#define MESH_FALLBACK_NONE       0
#define MESH_FALLBACK_ANY        1      /* the whole cluster */
#define MESH_FALLBACK_SUBSET     2      /* + an index: that subset */
#define MESH_FALLBACK_KEYS       (UINT32_MAX - 1)   /* of fewer labels */
#define MESH_FALLBACK_CLUSTER    UINT32_MAX         /* as the cluster says */

#define MESH_SUBSETS_REQUIRED    0x0001 /* who names none falls back, too */
#define MESH_SUBSETS_REDUNDANT   0x0002 /* labels of no selector are left out */
#define MESH_SUBSETS_PANIC_ANY   0x0004 /* a fallback that has nobody: any */

typedef struct {
    mesh_rec_t     rec;
    uint32_t       count;
    uint32_t       fallback;            /* NONE, ANY, SUBSET */
    mesh_ref_t     selectors;           /* SELECTORS, or 0 */
    uint32_t       flags;               /* MESH_SUBSETS_* */
    mesh_subset_t  v[];                 /* in order of name */
} mesh_rec_subsets_t;


#define MESH_SELECTORS_MAX       64
#define MESH_SELECTOR_KEYS_MAX   16

/*
 * Labels whose values divide a cluster: those endpoints are a subset that
 * have the same ones (mesh_subset.h says how it is called).
 */
typedef struct {
    mesh_ref_t     keys;                /* REFS of STRING, in order */
    uint32_t       fallback;            /* MESH_FALLBACK_* */
    uint32_t       fallback_keys;       /* KEYS: 1 << index of who stays */
    uint32_t       reserved;
} mesh_selector_t;


typedef struct {
    mesh_rec_t       rec;
    uint32_t         count;
    uint32_t         reserved;
    mesh_selector_t  v[];
} mesh_rec_selectors_t;


typedef struct {
    mesh_ref_t     name;                /* STRING */
    mesh_ref_t     value;               /* STRING */
} mesh_label_t;


/* The label that is hashed instead of an endpoint's address, as in Envoy. */
#define MESH_LABEL_HASH_KEY      "hash_key"

typedef struct {
    mesh_rec_t     rec;
    uint32_t       count;
    uint32_t       reserved;
    mesh_label_t   v[];                 /* in order of name, names differ */
} mesh_rec_labels_t;


/* --- endpoints ---------------------------------------------------------- */

typedef enum {
    MESH_FAMILY_IPV4 = 4,
    MESH_FAMILY_IPV6 = 6,
    MESH_FAMILY_UNIX = 1
} mesh_family_e;

/* The registry's or control plane's word; the usable predicate reads it. */
typedef enum {
    MESH_HEALTH_UNKNOWN = 0,            /* usable */
    MESH_HEALTH_HEALTHY = 1,
    MESH_HEALTH_UNHEALTHY = 2,
    MESH_HEALTH_DRAINING = 3,
    MESH_HEALTH_DEGRADED = 4            /* usable in this version */
} mesh_health_e;

/*
 * Pure content.  key_hash = low 32 bits of mesh_hash64 over the 24 bytes
 * {family, 0, port, addr, 0 0 0 0} and, for a unix socket, its path.
 */
typedef struct {
    uint8_t        family;              /* mesh_family_e */
    uint8_t        health;              /* mesh_health_e */
    uint16_t       port;                /* host byte order */
    uint8_t        addr[16];            /* network order; IPv4 in the first 4 */
    uint32_t       weight;              /* 1 .. 2^24; 0: gets nothing */
    uint32_t       key_hash;
    mesh_ref_t     host;                /* STRING: unix path or host name */
    mesh_ref_t     labels;              /* LABELS, or 0 */
    mesh_ref_t     locality;            /* LOCALITY, or 0 */
    uint32_t       priority;            /* 0 is the first choice */
} mesh_endpoint_t;


typedef struct {
    mesh_rec_t       rec;
    mesh_digest_t    digest;
    uint32_t         count;             /* 1 .. MESH_CHUNK_MAX */
    uint32_t         reserved;
    mesh_endpoint_t  v[];
} mesh_rec_endpoint_chunk_t;


/*
 * Endpoints in canonical order (key: family, addr, port, host), cut into
 * chunks by content: a chunk ends after an endpoint whose key_hash has no bit
 * of MESH_CHUNK_MASK, or when it holds MESH_CHUNK_MAX.  So an endpoint that
 * comes or goes changes its own run of chunks and no other.
 */
typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    uint32_t       total;               /* endpoints in all chunks */
    mesh_ref_t     weights;             /* room: a source's own; 0 */
    uint32_t       reserved;
    uint32_t       count;
    mesh_ref_t     v[];                 /* ENDPOINT_CHUNK */
} mesh_rec_endpoint_set_t;


typedef struct {
    mesh_rec_t     rec;
    mesh_ref_t     region;              /* STRING, or 0 */
    mesh_ref_t     zone;
    mesh_ref_t     sub_zone;
    uint32_t       reserved;
} mesh_rec_locality_t;


/* --- roots -------------------------------------------------------------- */

typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    mesh_ref_t     clusters;            /* MAP of CLUSTER, or 0 */
    mesh_ref_t     route_tables;        /* MAP of ROUTE_TABLE, or 0 */
    mesh_ref_t     listeners;           /* room: 0 */
    mesh_ref_t     runtime;             /* RUNTIME_VALUES, or 0 */
} mesh_rec_policy_t;


#define MESH_RUNTIME_KEY_MAX     256    /* bytes of a key */

/* A percentage that routes and mirrors ask for by its key. */
typedef struct {
    mesh_ref_t     key;                 /* STRING */
    uint32_t       ppm;                 /* of MESH_SHARE_ALL */
    uint32_t       denominator;         /* as mesh_rec_share_t's */
} mesh_runtime_value_t;


/* The mesh's runtime: in bytewise order of keys, which differ. */
typedef struct {
    mesh_rec_t            rec;
    uint32_t              count;
    uint32_t              reserved;
    mesh_runtime_value_t  v[];
} mesh_rec_runtime_values_t;


typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    mesh_ref_t     sets;                /* MAP of ENDPOINT_SET, or 0 */
    uint32_t       reserved;
} mesh_rec_endpoints_t;


typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;
    uint32_t       reserved[2];
} mesh_rec_identity_t;


/*
 * What joins policy, endpoints and runtime for one cluster, by name, as of
 * this root.  A lookup in BINDING.clusters is the only one a request pays.
 */
typedef struct {
    mesh_rec_t     rec;
    mesh_ref_t     name;                /* STRING */
    mesh_ref_t     cluster;             /* CLUSTER */
    mesh_ref_t     set;                 /* ENDPOINT_SET, or 0: no endpoints */
    mesh_ref_t     slots;               /* REFS of U32S, parallel to the set's
                                           chunks; 0 if set is 0 */
    uint32_t       slot;                /* the cluster's runtime slot */
    mesh_ref_t     node;                /* LOCALITY of the proxies here; only
                                           with MESH_LB_FAILOVER or a
                                           ZONE_AWARE */
    mesh_ref_t     local;               /* STRING: the cluster that they are
                                           of; only with a ZONE_AWARE, or 0 */
    uint32_t       reserved;
} mesh_rec_bind_cluster_t;


typedef struct {
    mesh_rec_t     rec;
    mesh_ref_t     clusters;            /* MAP of BIND_CLUSTER, or 0 */
    mesh_ref_t     routes;              /* MAP of NONE: aux = runtime slot */
} mesh_rec_binding_t;


/*
 * A root names its newest sources only: a mesh of thousands of files would
 * pay for all of them at each publishing.
 */
#define MESH_SOURCES_MAX          256

typedef struct {
    mesh_ref_t     name;                /* STRING: file or stream */
    mesh_ref_t     version;             /* STRING, or 0 */
    uint64_t       time_ms;             /* unix time it was taken */
} mesh_source_version_t;


typedef struct {
    mesh_rec_t             rec;
    uint32_t               count;
    uint32_t               reserved;
    mesh_source_version_t  v[];
} mesh_rec_sources_t;


#define MESH_ROOT_PINNED         0x0001 /* policy held against sources */
#define MESH_ROOT_ROLLED_BACK    0x0002
#define MESH_ROOT_COLD           0x0004 /* read back from the last-good copy */

typedef struct {
    mesh_rec_t     rec;
    mesh_digest_t  digest;              /* of policy, endpoints, identity */
    uint64_t       generation;          /* counts from 1; never falls */
    uint64_t       time_ms;             /* unix time of publishing */
    mesh_ref_t     policy;
    mesh_ref_t     endpoints;
    mesh_ref_t     identity;            /* or 0 */
    mesh_ref_t     binding;
    mesh_ref_t     history;             /* REFS of ROOT, newest first, or 0 */
    mesh_ref_t     reason;              /* STRING */
    mesh_ref_t     sources;             /* SOURCES, or 0 */
    uint32_t       flags;
} mesh_rec_root_t;


/* --- control page (mesh.ctl) -------------------------------------------- */

#define MESH_CONTROL_MAGIC       "MESHCTL"
#define MESH_CONTROL_SIZE        4096

/*
 * One writer: the agent that holds mesh.lock.  `word` is
 * file_number << 32 | root (mesh_ref_t), stored with release order; 0 means
 * that nothing was published yet.
 */
typedef struct {
    char           magic[8];
    uint32_t       version;             /* of the writer's format */
    uint32_t       reserved0;
    uint64_t       word;
    uint64_t       published_ms;        /* CLOCK_MONOTONIC, informative */
} mesh_control_t;

#define mesh_word(file, root)    ((uint64_t) (file) << 32 | (root))
#define mesh_word_file(word)     ((uint32_t) ((word) >> 32))
#define mesh_word_root(word)     ((mesh_ref_t) (word))


/* Names inside a zone's directory. */
#define MESH_ZONE_CONTROL        "mesh.ctl"
#define MESH_ZONE_LOCK           "mesh.lock"    /* fcntl lock of the writer */
#define MESH_ZONE_BELL           "mesh.bell"    /* written at each publishing */
#define MESH_ZONE_SNAPSHOT       "snapshot.%u"  /* file number */
#define MESH_ZONE_RUNTIME        "runtime.%u"   /* MESH_RUNTIME_VERSION */
#define MESH_ZONE_HEALTH         "mesh.health"
#define MESH_ZONE_SOCKET         "agent.sock"
#define MESH_ZONE_KEYS           "keys"


_Static_assert(sizeof(mesh_file_head_t) == 64, "layout");
_Static_assert(sizeof(mesh_rec_t) == 8, "layout");
_Static_assert(sizeof(mesh_rec_string_t) == 12, "layout");
_Static_assert(sizeof(mesh_rec_map_t) == 20, "layout");
_Static_assert(sizeof(mesh_map_entry_t) == 16, "layout");
_Static_assert(sizeof(mesh_rec_map_leaf_t) == 16, "layout");
_Static_assert(sizeof(mesh_rec_route_table_t) == 56, "layout");
_Static_assert(sizeof(mesh_rec_vhost_t) == 56, "layout");
_Static_assert(sizeof(mesh_trie_node_t) == 28, "layout");
_Static_assert(sizeof(mesh_rec_trie_t) == 24, "layout");
_Static_assert(sizeof(mesh_rec_route_t) == 136, "layout");
_Static_assert(sizeof(mesh_rec_share_t) == 32, "layout");
_Static_assert(sizeof(mesh_match_t) == 16, "layout");
_Static_assert(sizeof(mesh_rec_range_t) == 24, "layout");
_Static_assert(sizeof(mesh_rec_regex_t) == 32, "layout");
_Static_assert(sizeof(mesh_cidr_t) == 20, "layout");
_Static_assert(sizeof(mesh_split_entry_t) == 36, "layout");
_Static_assert(sizeof(mesh_header_op_t) == 16, "layout");
_Static_assert(sizeof(mesh_format_part_t) == 20, "layout");
_Static_assert(sizeof(mesh_rec_format_t) == 16, "layout");
_Static_assert(sizeof(mesh_rec_rewrite_t) == 32, "layout");
_Static_assert(sizeof(mesh_rec_redirect_t) == 40, "layout");
_Static_assert(sizeof(mesh_rec_retry_t) == 40, "layout");
_Static_assert(sizeof(mesh_hash_policy_t) == 20, "layout");
_Static_assert(sizeof(mesh_rec_internal_redirect_t) == 24, "layout");
_Static_assert(sizeof(mesh_mirror_t) == 32, "layout");
_Static_assert(sizeof(mesh_runtime_value_t) == 12, "layout");
_Static_assert(sizeof(mesh_rec_cors_t) == 32, "layout");
_Static_assert(sizeof(mesh_rec_cluster_t) == 80, "layout");
_Static_assert(sizeof(mesh_rec_lb_t) == 64, "layout");
_Static_assert(sizeof(mesh_rec_outlier_t) == 40, "layout");
_Static_assert(sizeof(mesh_endpoint_t) == 44, "layout");
_Static_assert(sizeof(mesh_rec_endpoint_chunk_t) == 32, "layout");
_Static_assert(sizeof(mesh_rec_endpoint_set_t) == 40, "layout");
_Static_assert(sizeof(mesh_locality_weight_t) == 12, "layout");
_Static_assert(sizeof(mesh_rec_zone_aware_t) == 32, "layout");
_Static_assert(sizeof(mesh_rec_bind_cluster_t) == 40, "layout");
_Static_assert(sizeof(mesh_rec_root_t) == 72, "layout");


#endif /* MESH_FORMAT_H */
