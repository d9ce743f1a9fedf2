/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The native configuration as tables: one row a field, with its type, range,
 * default and place in the model.  The decoder is driven by them, and so are
 * error messages ("expected ...") and the published schema, so a field that
 * is decoded is a field that is documented.
 *
 * Rows of type MODEL_LATER are fields that users of other meshes know and
 * that are not built: they are refused by name, never ignored.
 */

#ifndef MODEL_TABLE_H
#define MODEL_TABLE_H

#include "model.h"

typedef enum {
    MODEL_LATER,    /* refused: not supported yet */
    MODEL_STRING,   /* mesh_str_t; min, max: bytes */
    MODEL_BOOL,     /* bool */
    MODEL_U32,      /* uint32_t; min, max */
    MODEL_DURATION, /* uint32_t of milliseconds; min, max */
    MODEL_PERCENT,  /* uint32_t, 0 .. 100: 50 or "50%" */
    MODEL_ENUM,     /* one of `values`: uint32_t, uint8_t if size is 1 */
    MODEL_BIT,      /* one of `values`, or-ed into a uint32_t */
    MODEL_OBJECT,   /* a map with the fields of `object`, in place */
    MODEL_LIST,     /* of `element` */
    MODEL_MAP,      /* name to `element` */
    MODEL_CUSTOM,   /* `decode` */
} model_type_e;

#define MODEL_REQUIRED 0x01
#define MODEL_SINGLE 0x02 /* LIST: one element may stand without brackets */
#define MODEL_FILLED 0x04 /* LIST, MAP: empty is refused */

#define MODEL_MS_MAX UINT64_C(2147483647) /* nginx's timers: 24 days */

typedef struct model_decoder_s model_decoder_t;
typedef struct model_field_s model_field_t;
typedef struct model_object_s model_object_t;

/* `out`: the field's place.  False with an error added. */
typedef bool (*model_decode_pt)(model_decoder_t *d, const model_node_t *node,
                                const model_field_t *field, void *out);

/*
 * After all fields of an object: rules that join them.  Bit n of `seen`: row
 * n was there.  Called only if every field was right.
 */
typedef bool (*model_finish_pt)(model_decoder_t *d, const model_node_t *node,
                                uint64_t seen, void *out);

/* Takes the key of a map's child into the element. */
typedef bool (*model_key_pt)(model_decoder_t *d, const model_node_t *node,
                             void *out);

typedef struct {
    const char *name;
    uint32_t value; /* MODEL_VALUE_LATER: known, not supported yet */
} model_value_t;

#define MODEL_VALUE_LATER UINT32_MAX

struct model_field_s {
    const char *name;
    model_type_e type;
    uint32_t flags; /* MODEL_REQUIRED and so on */
    size_t offset;  /* of the value in the object */
    size_t count;   /* LIST, MAP: offset of the uint32_t count */
    size_t size;    /* LIST, MAP: bytes of an element; 0: all elements
                       decode into the field's own place */
    uint64_t min;
    uint64_t max;
    uint64_t fallback; /* U32, DURATION, PERCENT, ENUM, BOOL: if not there */
    const model_value_t *values;  /* ends with a NULL name */
    const model_object_t *object; /* OBJECT; CUSTOM: its schema */
    const model_field_t *element; /* LIST, MAP; CUSTOM: its schema */
    model_key_pt key;             /* MAP, or NULL */
    model_decode_pt decode;       /* CUSTOM */
    const char *resource; /* of an element: what is left out if it is wrong */
    const char *expected; /* CUSTOM: what a right value looks like */
};

struct model_object_s {
    const char *name; /* "a cluster" */
    const model_field_t *fields;
    uint32_t count;     /* at most 64 */
    const char *scalar; /* the field that a scalar in the map's place means */
    model_finish_pt finish;
};

#define MODEL_FIELDS(table) .fields = (table), .count = mesh_nelts(table)

/* The whole file. */
extern const model_object_t model_file_object;

/* --- for callbacks ------------------------------------------------------- */

#define MODEL_SEGMENTS 32 /* the tables nest less deep */

typedef enum {
    MODEL_SEGMENT_FIELD,
    MODEL_SEGMENT_KEY,
    MODEL_SEGMENT_INDEX,
} model_segment_e;

typedef struct {
    model_segment_e kind;
    uint32_t index;
    mesh_str_t name;
} model_segment_t;

struct model_decoder_s {
    arena_t *arena;
    const char *file;
    model_errors_t *errors;
    const char *resource; /* kind, NULL outside of one */
    mesh_str_t resource_name;
    bool keep_port; /* the file's domains may have ports */
    uint32_t depth;
    model_segment_t path[MODEL_SEGMENTS];
};

bool model_decode_field(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out);
bool model_decode_object(model_decoder_t *d, const model_node_t *node,
                         const model_object_t *object, void *out);

/* Where errors below are: push before, pop after. */
void model_push_field(model_decoder_t *d, const char *name);
void model_push_key(model_decoder_t *d, mesh_str_t key);
void model_push_index(model_decoder_t *d, uint32_t index);
void model_pop(model_decoder_t *d);

/* The bit of a row in `seen`; the name is one of the table's. */
uint64_t model_bit(const model_object_t *object, const char *name);

/*
 * All return false: "found <the node>, expected <expected>", and the same
 * with other words for what was found, and a whole sentence; *_key() tell of
 * the node's key, where it stands.
 */
bool model_wrong(model_decoder_t *d, const model_node_t *node,
                 const char *expected);
bool model_wrong_found(model_decoder_t *d, const model_node_t *node,
                       const char *found, const char *expected);
bool model_wrong_key(model_decoder_t *d, const model_node_t *node,
                     const char *found, const char *expected);
bool model_not_yet(model_decoder_t *d, const model_node_t *node,
                   const char *what);
bool model_not_yet_key(model_decoder_t *d, const model_node_t *node,
                       const char *what);
void model_warn(model_decoder_t *d, const model_node_t *node, const char *found,
                const char *expected);

/* The node's place, for errors found after decoding. */
model_place_t model_place(const model_decoder_t *d, const model_node_t *node);

/* --- scalars (model_decode_scalar.c) ------------------------------------- */

typedef enum {
    MODEL_SCALAR_TEXT,
    MODEL_SCALAR_BOOL,
    MODEL_SCALAR_NUMBER,
} model_scalar_e;

/* What a scalar is by the core schema of YAML 1.2 (section 10.3.2). */
model_scalar_e model_scalar_kind(const model_node_t *node);

/* True if it is a scalar that is text. */
bool model_is_text(const model_node_t *node);

/* Writes how a node is called in a message. */
void model_describe(const model_node_t *node, char *out, size_t size);

/* Escapes what a terminal or a log must not see; cuts long text. */
void model_quote(mesh_str_t text, char *out, size_t size);

/* "250ms", "1.5s", "2m", "1h", "0" to milliseconds; false: not one. */
bool model_parse_duration(mesh_str_t text, uint64_t *ms);

/* Decimal digits only. */
bool model_parse_u64(mesh_str_t text, uint64_t *value);

bool model_decode_string(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out);
bool model_decode_scalar(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out);

/* True if `text` is near `name`: a likely slip of the keyboard. */
bool model_near(mesh_str_t text, mesh_str_t name, uint32_t *distance);

/* --- parts of the tables ------------------------------------------------- */

/* What a cluster looks like while it is decoded. */
typedef struct {
    model_cluster_t cluster;
    bool has_set;
    model_endpoint_set_t set;
    model_dns_t dns;
} model_cluster_form_t;

extern const model_object_t model_cluster_object;  /* model_cluster_form_t */
extern const model_object_t model_endpoint_object; /* model_endpoint_t */
extern const model_object_t model_host_object;     /* model_vhost_t */
extern const model_object_t model_route_object;    /* model_route_t */
extern const model_object_t model_header_ops_object;
extern const model_field_t model_endpoint_element;
extern const model_field_t model_header_match_element;
extern const model_field_t model_value_match_element;
extern const model_field_t model_origin_element; /* model_match_t */

bool model_decode_labels(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out);
/* Is there an endpoint that is not an address yet? */
bool model_set_is_named(const model_endpoint_set_t *set);

bool model_decode_endpoints(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out);
/* Maps of a route's match: what values must be.  Into model_matches_t. */
bool model_decode_headers(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out);
bool model_decode_query(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out);
bool model_decode_cookies(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out);
bool model_decode_header_ops(model_decoder_t *d, const model_node_t *node,
                             const model_field_t *field, void *out);

/* Rules of names of clusters, subsets and endpoint sets. */
bool model_check_name(model_decoder_t *d, const model_node_t *node,
                      mesh_str_t name, bool is_key);

/* False: "found <the name>", which is a key or a scalar. */
bool model_wrong_name(model_decoder_t *d, const model_node_t *node,
                      mesh_str_t text, bool is_key, const char *expected);

/* tchar of RFC 9110, one at least: names of headers and cookies. */
bool model_is_token(mesh_str_t text);

/* Lower-cases a header's name into the arena; false: not one. */
bool model_header_name(model_decoder_t *d, const model_node_t *node,
                       mesh_str_t text, bool is_key, mesh_str_t *out);
bool model_header_value(model_decoder_t *d, const model_node_t *node,
                        mesh_str_t *out);

/* Text to be compared in any case: in lower case, and not too long. */
bool model_fold(model_decoder_t *d, const model_node_t *node, mesh_str_t *text);

/* A pattern of matches: text that is a regular expression. */
bool model_decode_regex(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out);

/* An address of either family (mesh_family_e). */
bool model_parse_ip(mesh_str_t text, uint8_t *family, uint8_t addr[16]);

/* "-9223372036854775808" to "9223372036854775807". */
bool model_parse_i64(mesh_str_t text, int64_t *value);

#endif /* MODEL_TABLE_H */
