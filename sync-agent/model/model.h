/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The model of a mesh: what every front end (YAML, JSON lines, xDS) fills
 * and the compiler reads.  Named in Envoy's terms; nothing in it knows how it
 * was written.  docs/model-fields.md maps the fields of a stock Istio mesh to
 * it.
 *
 * A part is what one source says (one file, one stream): resources that are
 * immutable once decoded and live in the part's arena.  The mesh is the union
 * of parts.  Zero means unset or off unless a comment says otherwise; the
 * decoder has filled in defaults already.
 */

#ifndef MODEL_H
#define MODEL_H

#include "agent_arena.h"
#include "mesh_base.h"
#include "mesh_format.h"
#include "model_node.h"
#include "model_route.h"

typedef struct {
    mesh_str_t name;
    mesh_str_t value;
} model_label_t;

typedef struct {
    uint32_t count;
    model_label_t *v; /* in order of name; names differ */
} model_labels_t;

typedef struct {
    mesh_str_t region;
    mesh_str_t zone;
    mesh_str_t sub_zone;
} model_locality_t;

/*
 * Endpoints that are not addresses yet: a host name's A and AAAA records, and
 * a service name's SRV records.  They are in model_named_set_t only.
 */
#define MODEL_FAMILY_HOST 0xf0
#define MODEL_FAMILY_SERVICE 0xf1

typedef struct {
    uint8_t family; /* mesh_family_e, or MODEL_FAMILY_* */
    uint8_t health; /* mesh_health_e */
    uint16_t port;
    uint8_t addr[16];  /* as mesh_endpoint_t */
    mesh_str_t host;   /* unix path, or the name; empty else */
    uint32_t weight;   /* default 1 */
    uint32_t priority; /* up to MESH_PRIORITY_MAX; 0 is the first choice */
    model_labels_t labels;
    model_locality_t locality;
} model_endpoint_t;

typedef struct {
    mesh_str_t name;
    model_labels_t labels;
} model_subset_t;

typedef struct {
    bool set;
    uint32_t consecutive_5xx;             /* default 5; 0: off */
    uint32_t consecutive_gateway_failure; /* default 0: off */
    uint32_t consecutive_local_failure;   /* default 5; counted apart only
                                             when split_local */
    bool split_local;
    uint32_t base_ejection_ms;     /* default 30 s */
    uint32_t max_ejection_ms;      /* default 300 s */
    uint32_t jitter_ms;            /* default 0 */
    uint32_t max_ejection_percent; /* default 10 */
} model_outlier_t;

#define MODEL_LOCALITY_WEIGHT_MAX (1u << 24)

typedef struct {
    model_locality_t locality; /* empty: of endpoints that have none */
    uint32_t priority;         /* MESH_PRIORITY_ANY: in all of them */
    uint32_t weight;           /* 0: no load */
} model_locality_weight_t;

/* By what localities are measured. */
typedef enum {
    MODEL_BASIS_COUNT, /* usable endpoints */
    MODEL_BASIS_WEIGHT,
} model_basis_e;

/* Zone-aware routing. */
typedef struct {
    bool set;
    mesh_str_t local_cluster; /* empty: as agent.yaml says */
    uint32_t enabled_percent; /* default 100 */
    uint32_t min_size;        /* default 6 */
    uint32_t force_min;       /* default 0: not forced */
    bool fail_on_panic;
    model_basis_e basis;
} model_zone_aware_t;

/* Instead of a subset that does not exist or has no endpoint. */
typedef enum {
    MODEL_FALLBACK_NONE,
    MODEL_FALLBACK_ANY, /* the whole cluster */
    MODEL_FALLBACK_SUBSET,
    MODEL_FALLBACK_KEYS,    /* a selector's: the subset of fewer labels */
    MODEL_FALLBACK_CLUSTER, /* a selector's: as its cluster says */
} model_fallback_e;

typedef struct {
    model_fallback_e kind;
    mesh_str_t subset; /* SUBSET: its name */
    uint32_t nkeys;    /* KEYS: those that stay, in order */
    mesh_str_t *keys;
} model_fallback_t;

/* Labels whose values divide a cluster into subsets (mesh_subset.h). */
typedef struct {
    uint32_t nkeys;
    mesh_str_t *keys; /* in order */
    model_fallback_t fallback;
} model_selector_t;

/* What endpoints are spoken to in. */
typedef enum {
    MODEL_HTTP1,
    MODEL_HTTP2,
} model_protocol_e;

typedef struct {
    model_place_t place;
    mesh_str_t name;
    mesh_str_t endpoint_set; /* empty: the cluster's own name */
    mesh_lb_e lb;
    uint32_t lb_choices;        /* default 2 */
    uint32_t lb_table_size;     /* maglev; default 65537 */
    uint32_t lb_ring_min;       /* ring_hash; default 1024 */
    uint32_t lb_ring_max;       /* default 65536, or the minimum */
    uint32_t lb_balance_factor; /* percent; default 0: off */
    bool lb_full_scan;
    bool lb_bias_set;
    uint32_t lb_bias_milli;      /* default: no bias, power of two choices */
    uint32_t lb_decay_ms;        /* peak_ewma; default 10 s */
    uint32_t lb_default_rtt_ms;  /* default 30 ms */
    uint32_t slow_start_ms;      /* 0: off */
    uint32_t aggression_milli;   /* default 1.0 */
    uint32_t min_weight_percent; /* default 10 */
    uint32_t panic_percent;      /* default 50 */
    uint32_t overprovisioning;   /* percent; default 140 */
    bool lb_failover;            /* near localities come first */
    model_zone_aware_t zone_aware;
    uint32_t nlocality_weights; /* 0: localities do not matter */
    model_locality_weight_t *locality_weights;
    uint32_t connect_timeout_ms; /* default 5 s */
    model_protocol_e protocol;   /* default HTTP/1.1 */
    model_outlier_t outlier;
    uint32_t nsubsets;
    model_subset_t *subsets; /* in order of name */
    uint32_t nselectors;
    model_selector_t *selectors;
    model_fallback_t fallback;
    bool subset_required;          /* who names none falls back, too */
    bool subset_redundant;         /* labels that no selector has are nothing */
    bool subset_panic_any;         /* a fallback that has nobody: any */
    uint32_t keepalive_idle;       /* default 64 */
    uint32_t keepalive_timeout_ms; /* default 60 s */
    uint32_t keepalive_requests;   /* default 0: no end */
} model_cluster_t;

typedef struct {
    model_place_t place;
    mesh_str_t name;
    uint32_t count;
    model_endpoint_t *v; /* in order of model_endpoint_cmp(); keys differ */
} model_endpoint_set_t;

/* Which addresses of a name are taken. */
typedef enum {
    MODEL_DNS_V4_PREFERRED,
    MODEL_DNS_V4,
    MODEL_DNS_V6,
    MODEL_DNS_ALL,
} model_dns_family_e;

typedef struct {
    model_dns_family_e family;
    bool logical; /* the first address of a name only */
} model_dns_t;

/*
 * An endpoint set in which there are names: what resolving them gives is the
 * set of that name, and is another part's.
 */
typedef struct {
    model_endpoint_set_t set;
    model_dns_t dns;
} model_named_set_t;

/* A percentage of the runtime, which shares name by its key. */
typedef struct {
    model_place_t place;
    mesh_str_t name;     /* the key */
    model_share_t share; /* without a key */
} model_runtime_t;

typedef struct model_part_s model_part_t;

struct model_part_s {
    arena_t *arena;     /* everything below is in it */
    const char *name;   /* of the file or stream: source and part */
    mesh_str_t version; /* hex of the content's digest */
    mesh_str_t text;    /* that it was read from, whole */
    uint64_t time_ms;   /* unix time it was taken */
    uint32_t nclusters;
    model_cluster_t *clusters;
    uint32_t nsets;
    model_endpoint_set_t *sets;
    bool resolved; /* `sets` are those of other parts' named sets */
    uint32_t nnamed;
    model_named_set_t *named;
    uint32_t ntables;
    model_route_table_t *tables;
    uint32_t nruntime;
    model_runtime_t *runtime;
};

/* Defaults of the route table's flags: normalise, merge nothing, keep %2F. */
#define MODEL_TABLE_FLAGS MESH_NORMALIZE_RFC3986

/* Canonical order of endpoints: family, addr, port, host. */
int model_endpoint_cmp(const void *a, const void *b);

bool model_locality_eq(const model_locality_t *a, const model_locality_t *b);
/* "127.0.0.1:80", "[::1]:80", "unix:/path", "name:80", "srv:name". */
void model_endpoint_text(const model_endpoint_t *endpoint, char *out,
                         size_t size);

/* Has it all of these labels, as a subset wants them? */
bool model_has_labels(const model_endpoint_t *endpoint,
                      const model_labels_t *wanted);

/* The labels that a subset is called by (mesh_subset.h), a canonical name. */
model_labels_t model_subset_labels(arena_t *arena, mesh_str_t name);

/* mesh_endpoint_t's key_hash. */
uint32_t model_endpoint_hash(const model_endpoint_t *endpoint);

/*
 * Decodes a tree into a part.  A resource that breaks a rule is left out,
 * with its errors; the rest of the part is decoded.  The caller decides
 * (a file is refused as a whole when errors->errors > 0).
 * NULL only if the tree's root is not a map.
 */
model_part_t *model_decode(arena_t *arena, const char *name,
                           const model_node_t *root, model_errors_t *errors);

/* Sets `keyed` of a table that is decoded, and of its virtual hosts. */
void model_mark_keyed(model_route_table_t *table);

/*
 * Rules across parts: names that are there twice, routes to clusters or
 * subsets that do not exist, domains that are there twice in one table,
 * runtime keys of two values, ejection that can never happen (a warning).
 */
void model_check(const model_part_t *const *parts, uint32_t count,
                 model_errors_t *errors);

/*
 * Only the first of them: without it nothing can be compiled.  What is named
 * and not there may be another's.
 */
void model_check_names(const model_part_t *const *parts, uint32_t count,
                       model_errors_t *errors);

#endif /* MODEL_H */
