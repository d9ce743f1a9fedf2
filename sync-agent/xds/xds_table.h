/* SPDX-License-Identifier: Apache-2.0 */

/*
 * xDS messages as tables: one row a field of Envoy 1.40's message, which
 * either is in the model, or comes later, or is safe to ignore.  A field that
 * has no row is unknown to Envoy, too.  docs/model-fields.md says the same for
 * what a stock Istio mesh sends, docs/resources.md for all.
 *
 * Written as protobuf's JSON says: names in snake_case or lowerCamelCase,
 * null is unset, durations are "1.5s", enums are names or numbers.
 */

#ifndef XDS_TABLE_H
#define XDS_TABLE_H

#include "model_table.h"
#include "xds.h"

typedef enum {
    XDS_LATER,       /* refused: not supported yet */
    XDS_LATER_APART, /* refused, but it decides neither route nor cluster nor
                        endpoint: passed over, with a warning, when only those
                        are asked for */
    XDS_LATER_SEEN,  /* passed over with a warning: nothing that is built
                        depends on it */
    XDS_IGNORED,     /* passed over: `because` */
    XDS_STRING,      /* mesh_str_t; min, max: bytes */
    XDS_BOOL,        /* bool */
    XDS_U32,         /* uint32_t; min, max */
    XDS_DURATION,    /* uint32_t of milliseconds; min, max */
    XDS_ENUM,        /* one of `values`: uint32_t */
    XDS_MESSAGE,     /* the fields of `message`, in place */
    XDS_LIST,        /* of `element` */
    XDS_CUSTOM,      /* `decode` */
} xds_type_e;

/* "" and [] are as good as unset, as protobuf's text and lists are. */
#define XDS_NO_PRESENCE 0x01
#define XDS_REQUIRED 0x02

/* Only what asks for nothing is taken: the rest comes later. */
#define XDS_ONLY_NONE 0x04

/* /config_dump writes 0 or {} where nothing was said. */
#define XDS_DUMPED_HOLLOW 0x08

typedef struct xds_decoder_s xds_decoder_t;
typedef struct xds_field_s xds_field_t;
typedef struct xds_message_s xds_message_t;

/* `out`: the field's place.  False with an error added. */
typedef bool (*xds_decode_pt)(xds_decoder_t *x, const model_node_t *node,
                              const xds_field_t *field, void *out);

/*
 * After all fields of a message: rules that join them.  Bit n of `seen`: row
 * n was there.  Called only if every field was right.
 */
typedef bool (*xds_finish_pt)(xds_decoder_t *x, const model_node_t *node,
                              uint64_t seen, void *out);

typedef struct {
    const char *name;
    uint32_t number;
    uint32_t value; /* or XDS_VALUE_* */
} xds_value_t;

#define XDS_VALUE_LATER UINT32_MAX
#define XDS_VALUE_APART (UINT32_MAX - 1)

struct xds_field_s {
    const char *name; /* in snake_case */
    xds_type_e type;
    uint32_t flags;
    const char *oneof; /* of rows with the same, one may be there */
    size_t offset;     /* of the value in the form */
    size_t count;      /* LIST: offset of the uint32_t count */
    size_t size;       /* LIST: bytes of an element; 0: all elements decode
                          into the field's own place */
    uint64_t min;
    uint64_t max;
    uint64_t fallback;            /* U32, DURATION, BOOL: if not there */
    const xds_value_t *values;    /* ends with a NULL name */
    const xds_message_t *message; /* MESSAGE; CUSTOM: what it decodes */
    const xds_field_t *element;
    xds_decode_pt decode;
    const char *because; /* IGNORED */
};

struct xds_message_s {
    const char *name; /* protobuf's, in full */
    const xds_field_t *fields;
    uint32_t count; /* those that finish() asks for are among the first 64 */
    xds_finish_pt finish;
};

/* Rows of extensions: TypedExtensionConfig's, and a name like its. */
#define XDS_EXTENSION_NAME                                                     \
    {                                                                          \
        .name = "name", .type = XDS_IGNORED,                                   \
        .because = "the type says which extension it is"                       \
    }
#define XDS_EXTENSION_FIELDS(of, function)                                     \
    XDS_EXTENSION_NAME, {                                                      \
        .name = "typed_config", .type = XDS_CUSTOM, .flags = XDS_REQUIRED,     \
        .message = (of), .decode = (function)                                  \
    }

#define XDS_FIELDS(table) .fields = (table), .count = mesh_nelts(table)

#define XDS_MISSING_MAX 256

struct xds_decoder_s {
    model_decoder_t d;         /* place and errors, for model_*() */
    bool apart;                /* XDS_LATER_APART is passed over */
    bool dumped;               /* in what /config_dump prints */
    bool copied;               /* there, of what others may have themselves */
    const model_node_t *typed; /* the Any that is read: its "@type" is known */
    uint32_t resource;         /* number of the one that is read, from 1 */
    uint32_t base;             /* d.depth where it begins */
    uint32_t nmissing;
    xds_missing_t missing[XDS_MISSING_MAX];
    const void *keys[XDS_MISSING_MAX]; /* of them */
    uint32_t last[XDS_MISSING_MAX];    /* resource that had it last */
};

/* --- the engine (xds_decode.c) ------------------------------------------- */

bool xds_decode_message(xds_decoder_t *x, const model_node_t *node,
                        const xds_message_t *message, void *out);
bool xds_decode_field(xds_decoder_t *x, const model_node_t *node,
                      const xds_field_t *field, void *out);

/* Row of that name in either spelling; the key may be anything. */
const xds_field_t *xds_find_field(const xds_message_t *message, mesh_str_t key);

/* The child of that name in either spelling, null not counting; or NULL. */
const model_node_t *xds_child(const model_node_t *map, const char *name);

/* False with an error: it is no map, or no list. */
bool xds_is(xds_decoder_t *x, const model_node_t *node, model_node_kind_e kind);

/* The node's "@type" behind the last "/"; empty: none. */
mesh_str_t xds_type(const model_node_t *any);

/* Decodes what an Any holds, whose type is the message's. */
bool xds_decode_any(xds_decoder_t *x, const model_node_t *any,
                    const xds_message_t *message, void *out);

/*
 * What is not built, by the kind of its row: false with an error, or true,
 * with one warning for all places where `key` (the row, say) is met.  All are
 * counted.
 */
bool xds_later(xds_decoder_t *x, const model_node_t *node, xds_type_e kind,
               const void *key, const char *what);

#define XDS_THIS_FIELD "this field"

/* A key for what has a name and no row. */
const void *xds_key(mesh_str_t name);

/* XDS_LATER_APART of what an Any holds: "an http filter of type x". */
bool xds_type_later(xds_decoder_t *x, const model_node_t *any,
                    const char *what);

/* The node itself, for who decodes it later. */
bool xds_keep_node(xds_decoder_t *x, const model_node_t *node,
                   const xds_field_t *field, void *out);

/* A whole XDS_DURATION that is not a field. */
bool xds_decode_duration(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out);

/* --- messages ------------------------------------------------------------ */

/* xds_values.c: google's wrappers are their values. */
extern const xds_message_t xds_percent;          /* uint32_t, 0 to 100 */
extern const xds_message_t xds_runtime_milli;    /* uint32_t of thousandths */
extern const xds_message_t xds_regex_matcher;    /* mesh_str_t */
extern const xds_message_t xds_data_source;      /* mesh_str_t */
extern const xds_message_t xds_runtime_fraction; /* model_share_t */
extern const xds_message_t xds_header_value_option;

/* model_share_t of a FractionalPercent. */
bool xds_decode_percent(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out);

/* Lists of operations on headers, and names of those to remove. */
typedef struct {
    model_header_ops_t add;
    model_header_ops_t remove;
} xds_header_ops_t;
bool xds_decode_ops_add(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out);
bool xds_decode_ops_remove(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out);
/* Removals first, as Envoy does. */
model_header_ops_t xds_join_ops(arena_t *arena, const xds_header_ops_t *ops);
/* `more` behind `ops`. */
void xds_append_ops(arena_t *arena, model_header_ops_t *ops,
                    const model_header_ops_t *more);

/* xds_match.c: model_match_t of a text, without what it is of. */
extern const xds_message_t xds_string_matcher;

/* xds_match.c: model_matches_t of the row's message, one of these. */
extern const xds_message_t xds_header_matcher;
extern const xds_message_t xds_query_matcher;
extern const xds_message_t xds_cookie_matcher;
bool xds_decode_matches(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out);

/* xds_action.c: uint32_t of milliseconds; none at all comes later. */
bool xds_decode_idle(xds_decoder_t *x, const model_node_t *node,
                     const xds_field_t *field, void *out);

/* xds_affinity.c */
extern const xds_message_t xds_hash_policy;
extern const xds_field_t xds_hash_policy_element; /* model_hash_policy_t */
extern const xds_message_t xds_stateful_session;

/* What was said to filters: none is something else than nothing. */
typedef struct {
    bool session_said;
    bool body_said;
    model_session_t session;
    uint32_t body_limit;
    model_cors_t cors;
} xds_filters_t;

/* model_session_t of a xds_stateful_session; unset without a state. */
bool xds_decode_session(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out);

/* What a xds_session_route says; unset: none. */
extern const xds_message_t xds_session_route;
bool xds_decode_session_route(xds_decoder_t *x, const model_node_t *any,
                              model_session_t *out);

/* xds_filter.c: messages of typed_per_filter_config; a NULL ends them. */
extern const xds_message_t *const xds_per_filter[];

/* xds_filters_t of a typed_per_filter_config. */
bool xds_decode_per_filter(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out);

/* xds_retry.c: model_retry_t */
extern const xds_message_t xds_retry_policy;
bool xds_decode_retry(xds_decoder_t *x, const model_node_t *node,
                      const xds_field_t *field, void *out);

/* xds_policy.c */
extern const xds_message_t xds_mirror;
extern const xds_message_t xds_cors;               /* model_cors_t */
extern const xds_message_t xds_cors_old;           /* model_cors_t */
extern const xds_message_t xds_internal_redirects; /* of model_... */
extern const xds_message_t xds_buffer;             /* uint32_t of bytes */
extern const xds_message_t xds_buffer_route;

/* model_mirrors_t of a list of xds_mirror. */
bool xds_decode_mirrors(xds_decoder_t *x, const model_node_t *node,
                        const xds_field_t *field, void *out);
/* Bytes that a xds_buffer_route allows; 0: any number. */
bool xds_decode_buffer_route(xds_decoder_t *x, const model_node_t *any,
                             uint32_t *body_limit);

/* xds_rewrite.c */
extern const xds_message_t xds_regex_rewrite;       /* model_regex_rewrite_t */
extern const xds_message_t xds_path_match_policy;   /* mesh_str_t: a template */
extern const xds_message_t xds_path_rewrite_policy; /* mesh_str_t: for it */

/* mesh_str_t of a header that is no pseudo-header, in lower case. */
bool xds_decode_header_name(xds_decoder_t *x, const model_node_t *node,
                            const xds_field_t *field, void *out);

/* xds_action.c, xds_route.c */

/* mesh_str_t of a cluster's name. */
bool xds_decode_cluster_name(xds_decoder_t *x, const model_node_t *node,
                             const xds_field_t *field, void *out);

extern const xds_message_t xds_route_configuration;

/* Of a route, or of its host or table. */
typedef struct {
    bool session;
    bool body;
} xds_said_t;

typedef struct {
    model_route_table_t table;
    xds_said_t *said; /* of each route */
    bool copied;      /* of a dump: a listener may have it inlined */
} xds_table_t;

/* xds_table_t of a xds_route_configuration. */
bool xds_decode_table(xds_decoder_t *x, const model_node_t *node,
                      const xds_field_t *field, void *out);

/* What an assignment says: of endpoints, which are in order, and of clusters.
 */
typedef struct {
    model_endpoint_set_t set;
    uint32_t overprovisioning; /* 0: not said */
    uint32_t nweights;         /* each locality of each priority; 0: unsaid */
    model_locality_weight_t *weights;
    bool copied; /* of a dump: a cluster may have it itself */
} xds_set_t;

/* xds_endpoint.c: model_locality_t, xds_set_t */
extern const xds_message_t xds_locality;
extern const xds_message_t xds_load_assignment;
bool xds_decode_assignment(xds_decoder_t *x, const model_node_t *node,
                           const xds_field_t *field, void *out);

/*
 * xds_subset.c: model_labels_t of a Metadata's envoy.lb; a split's subset by
 * those of its route and its own.
 */
extern const xds_message_t xds_metadata;
bool xds_set_criteria(xds_decoder_t *x, const model_node_t *node,
                      const model_labels_t *route, const model_labels_t *own,
                      model_split_t *split);

/* xds_resources.c: room for one more, in a list that began as NULL. */
void *xds_grow(arena_t *arena, void *v, uint32_t count, size_t size);

/* xds_listener.c: what HTTP connection managers say of route tables. */
typedef struct {
    model_place_t place;
    mesh_str_t table; /* its name; empty: `inlined` */
    xds_table_t inlined;
    uint32_t flags; /* MESH_NORMALIZE_* and so on */
    uint32_t idle_timeout_ms;
    uint32_t body_limit;
    model_session_t session;
} xds_http_t;

typedef struct {
    mesh_str_t name;
    uint32_t count;
    xds_http_t *v;
    uint32_t naddresses; /* for people: nothing listens there */
    mesh_str_t *addresses;
} xds_listener_t;

extern const xds_message_t xds_listener;

/* xds_listener_t of a xds_listener. */
bool xds_decode_listener(xds_decoder_t *x, const model_node_t *node,
                         const xds_field_t *field, void *out);

#endif /* XDS_TABLE_H */
