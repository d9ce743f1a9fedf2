/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The native configuration as tables: one row a field, with its type, range,
 * default and place in the model.  The decoder is driven by them, and so are
 * error messages ("expected ...") and the published schema, so a field that
 * is decoded is a field that is documented.
 *
 * Rows of type MODEL_LATER are fields that users of other meshes know and
 * that are not built: they are refused by name, never ignored.
 *
 * The published schema (model_schema.c) and the manual page are made of the
 * same rows.  What callbacks check is told there in `pattern`, `keys`,
 * `schema` and `rules`, as far as a schema can say it; t/agent/test_schema.py
 * holds both against each other.
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
#define MODEL_ALONE 0x08  /* CUSTOM: `element` is what it is, not a list's */

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
    const model_object_t *object; /* OBJECT; CUSTOM: its schema, or `values` */
    const model_field_t *element; /* LIST, MAP; CUSTOM: its schema */
    model_key_pt key;             /* MAP, or NULL */
    model_decode_pt decode;       /* CUSTOM */
    const char *resource; /* of an element: what is left out if it is wrong */
    const char *expected; /* CUSTOM: what a right value looks like */
    const char *about;    /* what it is for, in one line */

    /*
     * For the schema: regular expressions that JSON Schema and Python read
     * alike, and its own words with ' instead of ".
     */
    const char *pattern; /* CUSTOM without the four above: of a right text */
    const char *keys;    /* MAP; CUSTOM that is a map of `element`: of its
                            keys, "" for any */
    const char *schema;  /* CUSTOM: all that there is to say */
};

/* What `finish` holds that a schema can say, too; names with spaces between. */
typedef enum {
    MODEL_RULE_ONE,    /* exactly one of `fields` */
    MODEL_RULE_SOME,   /* at least one of `fields` */
    MODEL_RULE_APART,  /* not all of `fields` */
    MODEL_RULE_BESIDE, /* each of `fields` beside `other` only */
    MODEL_RULE_VALUE,  /* each of `fields` only if `other` is of `values` */
} model_rule_e;

typedef struct {
    model_rule_e kind;
    const char *fields; /* NULL ends the rules */
    const char *other;
    const char *values;
} model_rule_t;

struct model_object_s {
    const char *name; /* "a cluster" */
    const model_field_t *fields;
    uint32_t count;     /* at most 64 */
    const char *scalar; /* the field that a scalar in the map's place means */
    model_finish_pt finish;
    const model_rule_t *rules; /* or NULL */
};

/* Controls are not for names; see model_check_name() and its like. */
#define MODEL_PATTERN_NAME "^[^\\x00-\\x20\\x7f/]+$"
#define MODEL_PATTERN_SUBSET "^[^\\x00-\\x20\\x7f/=]+$"
#define MODEL_PATTERN_PATH "^/[^\\x00-\\x20\\x7f]*$"
#define MODEL_PATTERN_TARGET                                                   \
    "^[^\\x00-\\x20\\x7f/]{1,1024}(/[^\\x00-\\x20\\x7f/]{1,1024})?$"
#define MODEL_PATTERN_TOKEN "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$"
#define MODEL_PATTERN_RUNTIME_KEY "^[!-~]{1,256}$"
#define MODEL_PATTERN_VALUE "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$"

#define MODEL_LABELS_MAX 64
#define MODEL_LABEL_MAX 256 /* bytes of a name or a value */
#define MODEL_MATCHES_MAX 64
#define MODEL_ADDRESSES_MAX 256

#define MODEL_FIELDS(table) .fields = (table), .count = mesh_nelts(table)

/* The whole file. */
extern const model_object_t model_file_object;

/* --- for callbacks ------------------------------------------------------- */

#define MODEL_SEGMENTS 48 /* the tables nest less deep */

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
    bool response;  /* header operations are those of a response */
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

/* "64k", "256M", "1G" and plain digits to bytes; false: not one. */
bool model_parse_size(mesh_str_t text, uint64_t *bytes);

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

extern const model_object_t model_cluster_object; /* model_cluster_form_t */
extern const model_object_t model_host_object;    /* model_vhost_t */
extern const model_object_t model_header_ops_object;
extern const model_field_t model_endpoint_element;
extern const model_field_t model_label_element;
extern const model_field_t model_address_element;
extern const model_field_t model_header_match_element;
extern const model_field_t model_value_match_element;
extern const model_field_t model_origin_element; /* model_match_t */

bool model_decode_labels(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out);
/* Is there an endpoint that is not an address yet? */
bool model_set_is_named(const model_endpoint_set_t *set);

extern const model_field_t model_locality_weight_element;

extern const model_object_t model_zone_aware_object; /* model_zone_aware_t */

/* Into the model_cluster_form_t `out`. */
bool model_decode_locality_weights(model_decoder_t *d, const model_node_t *node,
                                   const model_field_t *field, void *out);
/* Priorities of a set begin with 0, and none is left out. */
bool model_check_priorities(model_decoder_t *d, const model_node_t *node,
                            const model_endpoint_set_t *set);

bool model_decode_endpoints(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out);
/* Maps of a route's match: what values must be.  Into model_matches_t. */
bool model_decode_headers(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out);
bool model_decode_query(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out);
bool model_decode_cookies(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out);
/* One match of the connection's server name, of its port; the same. */
bool model_decode_sni(model_decoder_t *d, const model_node_t *node,
                      const model_field_t *field, void *out);
bool model_decode_port(model_decoder_t *d, const model_node_t *node,
                       const model_field_t *field, void *out);
bool model_decode_request_ops(model_decoder_t *d, const model_node_t *node,
                              const model_field_t *field, void *out);
bool model_decode_response_ops(model_decoder_t *d, const model_node_t *node,
                               const model_field_t *field, void *out);

/* --- rules that every front end shares ------------------------------------ */

/* A model_endpoint_t's address: "127.0.0.1:80", "unix:/s", "name:80". */
bool model_decode_address(model_decoder_t *d, const model_node_t *node,
                          const model_field_t *field, void *out);

/* The balancer's parameters that nobody wrote. */
void model_lb_defaults(model_cluster_t *cluster);

/* A uint32_t: maglev's table size. */
bool model_decode_prime(model_decoder_t *d, const model_node_t *node,
                        const model_field_t *field, void *out);

/* "1.5" to 1500. */
bool model_parse_milli(mesh_str_t text, uint32_t *milli);

/* mesh_str_t: a virtual host's domain, in lower case. */
bool model_decode_domain(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out);

/* mesh_str_t: a path to match; a segment's one. */
bool model_decode_match_path(model_decoder_t *d, const model_node_t *node,
                             const model_field_t *field, void *out);
bool model_decode_separated(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out);

/* mesh_str_t: a host with or without a port. */
bool model_decode_authority(model_decoder_t *d, const model_node_t *node,
                            const model_field_t *field, void *out);

/* In order, once. */
void model_retry_add_code(model_decoder_t *d, model_retry_t *retry,
                          uint32_t code);

/*
 * The node's key as the name of a header (of a pseudo-header), a parameter
 * or a cookie: into match->from and name.
 */
bool model_match_name(model_decoder_t *d, const model_node_t *node,
                      mesh_match_from_e from, model_match_t *match);

/* What header operations may name. */
bool model_op_name(model_decoder_t *d, const model_node_t *node,
                   mesh_str_t text, bool is_key, mesh_str_t *out);

/* Rules of names of clusters, subsets and endpoint sets. */
#define MODEL_EXPECT_NAME                                                      \
    "a name of 1 to 1024 bytes without \"/\", spaces and control characters"
bool model_is_name(mesh_str_t name);
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
/* A row's, into a mesh_str_t. */
bool model_decode_header_name(model_decoder_t *d, const model_node_t *node,
                              const model_field_t *field, void *out);
bool model_header_value(model_decoder_t *d, const model_node_t *node,
                        mesh_str_t *out);

/* Text with %VARIABLES% (mesh_substitute.h). */
bool model_check_substitutions(model_decoder_t *d, const model_node_t *node,
                               mesh_str_t text, bool response);

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
