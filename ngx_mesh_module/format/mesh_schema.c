/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rows of the schema, and the checks that follow from rows alone.  Rules
 * of single kinds are in mesh_schema_rules.c.
 */

#include "mesh_schema.h"
#include "mesh_schema_rules.h"


#define VALUE_KIND_OFFSET   8           /* in REFS, MAP_LEAF */

#define ref(type, member, bits)                                               \
    { offsetof(type, member), 0, bits, #member }
#define ref_optional(type, member, bits)                                      \
    { offsetof(type, member), MESH_REF_OPTIONAL, bits, #member }

#define STRING     mesh_kind_bit(MESH_KIND_STRING)
#define MAP        mesh_kind_bit(MESH_KIND_MAP)
#define REFS       mesh_kind_bit(MESH_KIND_REFS)
#define U32S       mesh_kind_bit(MESH_KIND_U32S)
#define OPS        mesh_kind_bit(MESH_KIND_HEADER_OPS)
#define LABELS     mesh_kind_bit(MESH_KIND_LABELS)
#define NOTHING    UINT64_C(0)          /* room for later: always 0 */


_Static_assert(offsetof(mesh_rec_refs_t, value_kind) == VALUE_KIND_OFFSET,
               "layout");
_Static_assert(offsetof(mesh_rec_map_leaf_t, value_kind) == VALUE_KIND_OFFSET,
               "layout");
_Static_assert(MESH_KIND_MAX <= 64, "kinds are bits of a word");


static const mesh_ref_field_t  refs_elements[] = {
    { 0, MESH_REF_VALUE_KIND, 0, "v" },
};

static const mesh_ref_field_t  map_elements[] = {
    { 0, MESH_REF_OPTIONAL, mesh_kind_bit(MESH_KIND_MAP_LEAF), "leaf" },
};

static const mesh_ref_field_t  map_leaf_elements[] = {
    ref(mesh_map_entry_t, name, STRING),
    { offsetof(mesh_map_entry_t, value), MESH_REF_VALUE_KIND, 0, "value" },
};

static const mesh_ref_field_t  route_table_fields[] = {
    ref(mesh_rec_route_table_t, name, STRING),
    ref_optional(mesh_rec_route_table_t, exact, MAP),
    ref_optional(mesh_rec_route_table_t, suffix, MAP),
    ref_optional(mesh_rec_route_table_t, suffix_lens, U32S),
    ref_optional(mesh_rec_route_table_t, prefix, MAP),
    ref_optional(mesh_rec_route_table_t, prefix_lens, U32S),
    ref_optional(mesh_rec_route_table_t, any,
                 mesh_kind_bit(MESH_KIND_VHOST)),
};

static const mesh_ref_field_t  vhost_fields[] = {
    ref(mesh_rec_vhost_t, name, STRING),
    ref_optional(mesh_rec_vhost_t, routes, REFS),
    ref_optional(mesh_rec_vhost_t, trie, mesh_kind_bit(MESH_KIND_TRIE)),
    ref_optional(mesh_rec_vhost_t, request_ops, OPS),
    ref_optional(mesh_rec_vhost_t, response_ops, OPS),
    ref_optional(mesh_rec_vhost_t, folded, mesh_kind_bit(MESH_KIND_TRIE)),
    ref_optional(mesh_rec_vhost_t, others, U32S),
};

static const mesh_ref_field_t  trie_fields[] = {
    ref_optional(mesh_rec_trie_t, labels, STRING),
    ref_optional(mesh_rec_trie_t, lists, U32S),
};

static const mesh_ref_field_t  route_fields[] = {
    ref(mesh_rec_route_t, name, STRING),
    ref_optional(mesh_rec_route_t, path, STRING),
    ref_optional(mesh_rec_route_t, matches, mesh_kind_bit(MESH_KIND_MATCHES)),
    ref_optional(mesh_rec_route_t, split, mesh_kind_bit(MESH_KIND_SPLIT)),
    ref_optional(mesh_rec_route_t, redirect,
                 mesh_kind_bit(MESH_KIND_REDIRECT)),
    ref_optional(mesh_rec_route_t, direct, mesh_kind_bit(MESH_KIND_DIRECT)),
    ref_optional(mesh_rec_route_t, prefix_rewrite, STRING),
    ref_optional(mesh_rec_route_t, host_rewrite, STRING),
    ref_optional(mesh_rec_route_t, request_ops, OPS),
    ref_optional(mesh_rec_route_t, response_ops, OPS),
    ref_optional(mesh_rec_route_t, retry, mesh_kind_bit(MESH_KIND_RETRY)),
    ref_optional(mesh_rec_route_t, addresses,
                 mesh_kind_bit(MESH_KIND_ADDRESSES)),
    ref_optional(mesh_rec_route_t, hash_policies,
                 mesh_kind_bit(MESH_KIND_HASH_POLICIES)),
    ref_optional(mesh_rec_route_t, session,
                 mesh_kind_bit(MESH_KIND_SESSION)),
    ref_optional(mesh_rec_route_t, regex, mesh_kind_bit(MESH_KIND_REGEX)),
    ref_optional(mesh_rec_route_t, rewrite,
                 mesh_kind_bit(MESH_KIND_REWRITE)),
    ref_optional(mesh_rec_route_t, mirrors,
                 mesh_kind_bit(MESH_KIND_MIRRORS)),
    ref_optional(mesh_rec_route_t, cors, mesh_kind_bit(MESH_KIND_CORS)),
    ref_optional(mesh_rec_route_t, internal_redirect,
                 mesh_kind_bit(MESH_KIND_INTERNAL_REDIRECT)),
    ref_optional(mesh_rec_route_t, share, mesh_kind_bit(MESH_KIND_SHARE)),
    ref_optional(mesh_rec_route_t, split_header, STRING),
};

static const mesh_ref_field_t  share_fields[] = {
    ref_optional(mesh_rec_share_t, key, STRING),
};

static const mesh_ref_field_t  rewrite_fields[] = {
    ref_optional(mesh_rec_rewrite_t, regex, mesh_kind_bit(MESH_KIND_REGEX)),
    ref_optional(mesh_rec_rewrite_t, text,
                 STRING | mesh_kind_bit(MESH_KIND_FORMAT)),
    ref_optional(mesh_rec_rewrite_t, header, STRING),
    ref_optional(mesh_rec_rewrite_t, host_rewrite,
                 mesh_kind_bit(MESH_KIND_REWRITE)),
};

static const mesh_ref_field_t  format_fields[] = {
    ref(mesh_rec_format_t, text, STRING),
};

static const mesh_ref_field_t  format_elements[] = {
    ref_optional(mesh_format_part_t, name, STRING),
    ref_optional(mesh_format_part_t, other, STRING),
};

static const mesh_ref_field_t  mirrors_elements[] = {
    ref(mesh_mirror_t, cluster, STRING),
    ref_optional(mesh_mirror_t, subset, STRING),
    ref(mesh_mirror_t, share, mesh_kind_bit(MESH_KIND_SHARE)),
};

static const mesh_ref_field_t  cors_fields[] = {
    ref_optional(mesh_rec_cors_t, origins,
                 mesh_kind_bit(MESH_KIND_MATCHES)),
    ref_optional(mesh_rec_cors_t, allow_methods, STRING),
    ref_optional(mesh_rec_cors_t, allow_headers, STRING),
    ref_optional(mesh_rec_cors_t, expose_headers, STRING),
    ref_optional(mesh_rec_cors_t, max_age, STRING),
};

static const mesh_ref_field_t  regex_fields[] = {
    ref(mesh_rec_regex_t, pattern, STRING),
};

static const mesh_ref_field_t  session_fields[] = {
    ref(mesh_rec_session_t, name, STRING),
    ref_optional(mesh_rec_session_t, attributes, STRING),
};

static const mesh_ref_field_t  hash_policies_elements[] = {
    ref_optional(mesh_hash_policy_t, name, STRING),
    ref_optional(mesh_hash_policy_t, attributes, STRING),
    ref_optional(mesh_hash_policy_t, rewrite,
                 mesh_kind_bit(MESH_KIND_REWRITE)),
};

static const mesh_ref_field_t  matches_elements[] = {
    ref(mesh_match_t, name, STRING),
    ref_optional(mesh_match_t, value,
                 STRING | mesh_kind_bit(MESH_KIND_RANGE)
                 | mesh_kind_bit(MESH_KIND_REGEX)),
};

static const mesh_ref_field_t  split_elements[] = {
    ref(mesh_split_entry_t, cluster, STRING),
    ref_optional(mesh_split_entry_t, subset, STRING),
    ref_optional(mesh_split_entry_t, request_ops, OPS),
    ref_optional(mesh_split_entry_t, response_ops, OPS),
    ref_optional(mesh_split_entry_t, host_rewrite, STRING),
};

static const mesh_ref_field_t  header_ops_elements[] = {
    ref(mesh_header_op_t, name, STRING),
    ref_optional(mesh_header_op_t, value,
                 STRING | mesh_kind_bit(MESH_KIND_FORMAT)),
};

static const mesh_ref_field_t  redirect_fields[] = {
    ref_optional(mesh_rec_redirect_t, scheme, STRING),
    ref_optional(mesh_rec_redirect_t, host, STRING),
    ref_optional(mesh_rec_redirect_t, path, STRING),
    ref_optional(mesh_rec_redirect_t, prefix, STRING),
    ref_optional(mesh_rec_redirect_t, rewrite,
                 mesh_kind_bit(MESH_KIND_REWRITE)),
};

static const mesh_ref_field_t  direct_fields[] = {
    ref_optional(mesh_rec_direct_t, body, STRING),
};

static const mesh_ref_field_t  retry_fields[] = {
    ref_optional(mesh_rec_retry_t, codes, U32S),
};

static const mesh_ref_field_t  cluster_fields[] = {
    ref(mesh_rec_cluster_t, name, STRING),
    ref_optional(mesh_rec_cluster_t, endpoint_set, STRING),
    ref_optional(mesh_rec_cluster_t, outlier,
                 mesh_kind_bit(MESH_KIND_OUTLIER)),
    ref_optional(mesh_rec_cluster_t, subsets,
                 mesh_kind_bit(MESH_KIND_SUBSETS)),
    ref_optional(mesh_rec_cluster_t, tls, NOTHING),
    ref_optional(mesh_rec_cluster_t, lb_params, mesh_kind_bit(MESH_KIND_LB)),
};

static const mesh_ref_field_t  lb_fields[] = {
    ref_optional(mesh_rec_lb_t, weights,
                 mesh_kind_bit(MESH_KIND_LOCALITY_WEIGHTS)),
    ref_optional(mesh_rec_lb_t, zone_aware,
                 mesh_kind_bit(MESH_KIND_ZONE_AWARE)),
};

static const mesh_ref_field_t  zone_aware_fields[] = {
    ref_optional(mesh_rec_zone_aware_t, local, STRING),
};

static const mesh_ref_field_t  locality_weights_elements[] = {
    ref_optional(mesh_locality_weight_t, locality,
                 mesh_kind_bit(MESH_KIND_LOCALITY)),
};

static const mesh_ref_field_t  subsets_elements[] = {
    ref(mesh_subset_t, name, STRING),
    ref(mesh_subset_t, labels, LABELS),
};

static const mesh_ref_field_t  subsets_fields[] = {
    ref_optional(mesh_rec_subsets_t, selectors,
                 mesh_kind_bit(MESH_KIND_SELECTORS)),
};

static const mesh_ref_field_t  selectors_elements[] = {
    ref(mesh_selector_t, keys, REFS),
};

static const mesh_ref_field_t  labels_elements[] = {
    ref(mesh_label_t, name, STRING),
    ref(mesh_label_t, value, STRING),
};

static const mesh_ref_field_t  endpoint_set_fields[] = {
    ref_optional(mesh_rec_endpoint_set_t, weights, NOTHING),
};

static const mesh_ref_field_t  endpoint_set_elements[] = {
    { 0, 0, mesh_kind_bit(MESH_KIND_ENDPOINT_CHUNK), "v" },
};

static const mesh_ref_field_t  endpoint_chunk_elements[] = {
    ref_optional(mesh_endpoint_t, host, STRING),
    ref_optional(mesh_endpoint_t, labels, LABELS),
    ref_optional(mesh_endpoint_t, locality,
                 mesh_kind_bit(MESH_KIND_LOCALITY)),
};

static const mesh_ref_field_t  locality_fields[] = {
    ref_optional(mesh_rec_locality_t, region, STRING),
    ref_optional(mesh_rec_locality_t, zone, STRING),
    ref_optional(mesh_rec_locality_t, sub_zone, STRING),
};

static const mesh_ref_field_t  policy_fields[] = {
    ref_optional(mesh_rec_policy_t, clusters, MAP),
    ref_optional(mesh_rec_policy_t, route_tables, MAP),
    ref_optional(mesh_rec_policy_t, listeners, NOTHING),
    ref_optional(mesh_rec_policy_t, runtime,
                 mesh_kind_bit(MESH_KIND_RUNTIME_VALUES)),
};

static const mesh_ref_field_t  runtime_values_elements[] = {
    ref(mesh_runtime_value_t, key, STRING),
};

static const mesh_ref_field_t  endpoints_fields[] = {
    ref_optional(mesh_rec_endpoints_t, sets, MAP),
};

static const mesh_ref_field_t  binding_fields[] = {
    ref_optional(mesh_rec_binding_t, clusters, MAP),
    ref_optional(mesh_rec_binding_t, routes, MAP),
};

static const mesh_ref_field_t  bind_cluster_fields[] = {
    ref(mesh_rec_bind_cluster_t, name, STRING),
    ref(mesh_rec_bind_cluster_t, cluster, mesh_kind_bit(MESH_KIND_CLUSTER)),
    ref_optional(mesh_rec_bind_cluster_t, set,
                 mesh_kind_bit(MESH_KIND_ENDPOINT_SET)),
    ref_optional(mesh_rec_bind_cluster_t, slots, REFS),
    ref_optional(mesh_rec_bind_cluster_t, node,
                 mesh_kind_bit(MESH_KIND_LOCALITY)),
    ref_optional(mesh_rec_bind_cluster_t, local, STRING),
};

static const mesh_ref_field_t  sources_elements[] = {
    ref(mesh_source_version_t, name, STRING),
    ref_optional(mesh_source_version_t, version, STRING),
};

static const mesh_ref_field_t  root_fields[] = {
    ref(mesh_rec_root_t, policy, mesh_kind_bit(MESH_KIND_POLICY)),
    ref(mesh_rec_root_t, endpoints, mesh_kind_bit(MESH_KIND_ENDPOINTS)),
    ref_optional(mesh_rec_root_t, identity,
                 mesh_kind_bit(MESH_KIND_IDENTITY)),
    ref(mesh_rec_root_t, binding, mesh_kind_bit(MESH_KIND_BINDING)),
    ref_optional(mesh_rec_root_t, history, REFS),
    ref_optional(mesh_rec_root_t, reason, STRING),
    ref_optional(mesh_rec_root_t, sources, mesh_kind_bit(MESH_KIND_SOURCES)),
};


#define with_fields(f)      .fields = f, .nfields = mesh_nelts(f)
#define with_elements(e)    .elements = e, .nelements = mesh_nelts(e)

/* A record of type mesh_rec_<type>_t without a trailing array ... */
#define plain(type)                                                           \
    .name = #type, .fixed = sizeof(mesh_rec_##type##_t),                      \
    .rule = mesh_rule_##type

/* ... and with one, whose first element is `member`. */
#define array(type, member)                                                   \
    .name = #type, .fixed = offsetof(mesh_rec_##type##_t, member),            \
    .element = sizeof(((mesh_rec_##type##_t *) 0)->member[0]),                \
    .rule = mesh_rule_##type

#define counted(type, field)   .count = offsetof(mesh_rec_##type##_t, field)


static const mesh_schema_t  schemas[MESH_KIND_MAX] = {

    [MESH_KIND_STRING] = {
        .name = "string", .fixed = offsetof(mesh_rec_string_t, data),
        .element = 1, counted(string, len)
    },
    [MESH_KIND_U32S] = {
        array(u32s, v), counted(u32s, count)
    },
    [MESH_KIND_REFS] = {
        array(refs, v), counted(refs, count), with_elements(refs_elements)
    },
    [MESH_KIND_MAP] = {
        array(map, leaf), counted(map, leaves), with_elements(map_elements)
    },
    [MESH_KIND_MAP_LEAF] = {
        array(map_leaf, v), counted(map_leaf, count),
        with_elements(map_leaf_elements)
    },

    [MESH_KIND_ROUTE_TABLE] = {
        plain(route_table), .digested = 1, with_fields(route_table_fields)
    },
    [MESH_KIND_VHOST] = {
        plain(vhost), .digested = 1, with_fields(vhost_fields)
    },
    [MESH_KIND_TRIE] = {
        array(trie, v), counted(trie, count), with_fields(trie_fields)
    },
    [MESH_KIND_ROUTE] = {
        plain(route), .digested = 1, with_fields(route_fields)
    },
    [MESH_KIND_MATCHES] = {
        array(matches, v), counted(matches, count),
        with_elements(matches_elements)
    },
    [MESH_KIND_SPLIT] = {
        array(split, v), counted(split, count), with_elements(split_elements)
    },
    [MESH_KIND_HEADER_OPS] = {
        array(header_ops, v), counted(header_ops, count),
        with_elements(header_ops_elements)
    },
    [MESH_KIND_REDIRECT] = {
        plain(redirect), with_fields(redirect_fields)
    },
    [MESH_KIND_DIRECT] = {
        plain(direct), with_fields(direct_fields)
    },
    [MESH_KIND_RETRY] = {
        plain(retry), with_fields(retry_fields)
    },
    [MESH_KIND_RANGE] = {
        plain(range)
    },
    [MESH_KIND_REGEX] = {
        plain(regex), .digested = 1, with_fields(regex_fields)
    },
    [MESH_KIND_ADDRESSES] = {
        array(addresses, v), counted(addresses, count)
    },
    [MESH_KIND_HASH_POLICIES] = {
        array(hash_policies, v), counted(hash_policies, count),
        with_elements(hash_policies_elements)
    },
    [MESH_KIND_SESSION] = {
        plain(session), with_fields(session_fields)
    },
    [MESH_KIND_REWRITE] = {
        plain(rewrite), with_fields(rewrite_fields)
    },
    [MESH_KIND_FORMAT] = {
        array(format, v), counted(format, count), with_fields(format_fields),
        with_elements(format_elements)
    },
    [MESH_KIND_INTERNAL_REDIRECT] = {
        plain(internal_redirect)
    },
    [MESH_KIND_MIRRORS] = {
        array(mirrors, v), counted(mirrors, count),
        with_elements(mirrors_elements)
    },
    [MESH_KIND_CORS] = {
        plain(cors), with_fields(cors_fields)
    },

    [MESH_KIND_CLUSTER] = {
        plain(cluster), .digested = 1, with_fields(cluster_fields)
    },
    [MESH_KIND_OUTLIER] = {
        plain(outlier)
    },
    [MESH_KIND_SUBSETS] = {
        array(subsets, v), counted(subsets, count),
        with_fields(subsets_fields), with_elements(subsets_elements)
    },
    [MESH_KIND_SELECTORS] = {
        array(selectors, v), counted(selectors, count),
        with_elements(selectors_elements)
    },
    [MESH_KIND_LABELS] = {
        array(labels, v), counted(labels, count),
        with_elements(labels_elements)
    },
    [MESH_KIND_LB] = {
        plain(lb), with_fields(lb_fields)
    },
    [MESH_KIND_LOCALITY_WEIGHTS] = {
        array(locality_weights, v), counted(locality_weights, count),
        with_elements(locality_weights_elements)
    },
    [MESH_KIND_ZONE_AWARE] = {
        plain(zone_aware), with_fields(zone_aware_fields)
    },

    [MESH_KIND_ENDPOINT_SET] = {
        array(endpoint_set, v), counted(endpoint_set, count), .digested = 1,
        with_fields(endpoint_set_fields), with_elements(endpoint_set_elements)
    },
    [MESH_KIND_ENDPOINT_CHUNK] = {
        array(endpoint_chunk, v), counted(endpoint_chunk, count),
        .digested = 1, with_elements(endpoint_chunk_elements)
    },
    [MESH_KIND_LOCALITY] = {
        plain(locality), with_fields(locality_fields)
    },

    [MESH_KIND_POLICY] = {
        plain(policy), .digested = 1, with_fields(policy_fields)
    },
    [MESH_KIND_ENDPOINTS] = {
        plain(endpoints), .digested = 1, with_fields(endpoints_fields)
    },
    [MESH_KIND_IDENTITY] = {
        plain(identity), .digested = 1
    },
    [MESH_KIND_BINDING] = {
        plain(binding), with_fields(binding_fields)
    },
    [MESH_KIND_BIND_CLUSTER] = {
        plain(bind_cluster), with_fields(bind_cluster_fields)
    },
    [MESH_KIND_SOURCES] = {
        array(sources, v), counted(sources, count),
        with_elements(sources_elements)
    },
    [MESH_KIND_ROOT] = {
        plain(root), .digested = 1, with_fields(root_fields)
    },
    [MESH_KIND_RUNTIME_VALUES] = {
        array(runtime_values, v), counted(runtime_values, count),
        with_elements(runtime_values_elements)
    },
    [MESH_KIND_SHARE] = {
        plain(share), with_fields(share_fields)
    },
};


const mesh_schema_t *
mesh_schema(unsigned kind)
{
    if (kind >= MESH_KIND_MAX || schemas[kind].name == NULL) {
        return NULL;
    }

    return &schemas[kind];
}


unsigned
mesh_map_bits(uint32_t count)
{
    unsigned  bits;

    for (bits = 0; ((uint64_t) MESH_MAP_LEAF_AIM << bits) < count; bits++) {
        /* the fewest leaves that keep the average */
    }

    return bits;
}


static uint32_t
schema_u32(const mesh_rec_t *rec, uint32_t offset)
{
    uint32_t  v;

    memcpy(&v, (const uint8_t *) rec + offset, sizeof(v));

    return v;
}


static uint32_t
schema_count(const mesh_rec_t *rec, const mesh_schema_t *schema)
{
    return schema->element ? schema_u32(rec, schema->count) : 0;
}


/* The size is exactly what the count says, and what pads it is zero. */
static const char *
schema_check_shape(const mesh_rec_t *rec, const mesh_schema_t *schema)
{
    uint32_t        i;
    uint64_t        used, size;
    const uint8_t  *p;

    if (rec->flags & ~MESH_REC_OPTIONAL) {
        return "unknown record flags";
    }

    if (rec->size < schema->fixed) {
        return "the record is too short for its kind";
    }

    used = schema->fixed
           + (uint64_t) schema_count(rec, schema) * schema->element;

    /* A text has its NUL at least. */
    size = (used + (rec->kind == MESH_KIND_STRING) + 7) & ~UINT64_C(7);

    if (rec->size != size) {
        return "the record's size does not follow from its count";
    }

    p = (const uint8_t *) rec;

    for (i = (uint32_t) used; i < rec->size; i++) {
        if (p[i] != 0) {
            return "padding is not zero";
        }
    }

    return NULL;
}


static const char *
schema_check_ref(const mesh_rec_t *rec, mesh_ref_t r,
    const mesh_ref_field_t *field, const mesh_schema_reader_t *reader)
{
    uint16_t           value_kind;
    const mesh_rec_t  *to;

    value_kind = MESH_KIND_NONE;

    if (field->flags & MESH_REF_VALUE_KIND) {
        memcpy(&value_kind, (const uint8_t *) rec + VALUE_KIND_OFFSET,
               sizeof(value_kind));

        if (value_kind == MESH_KIND_NONE) {
            return r ? "a value in a map of none" : NULL;
        }
    }

    if (r == 0) {
        return field->flags & MESH_REF_OPTIONAL ? NULL
                                                : "a reference is missing";
    }

    to = reader->get(reader->ctx, r);

    if (to == NULL) {
        return "not a reference to an earlier record";
    }

    if (value_kind != MESH_KIND_NONE) {
        return to->kind == value_kind ? NULL
                                      : "a reference to a wrong kind";
    }

    if ((field->kinds & mesh_kind_bit(to->kind)) == 0) {
        return "a reference to a wrong kind";
    }

    return NULL;
}


static const char *
schema_check_refs(const mesh_rec_t *rec, const mesh_schema_t *schema,
    const mesh_schema_reader_t *reader, const char **field)
{
    uint32_t                 i, n, count, base;
    const char              *reason;
    const mesh_ref_field_t  *f;

    for (i = 0; i < schema->nfields; i++) {
        f = &schema->fields[i];
        *field = f->name;
        reason = schema_check_ref(rec, schema_u32(rec, f->offset), f, reader);
        if (reason != NULL) {
            return reason;
        }
    }

    count = schema->nelements ? schema_count(rec, schema) : 0;
    base = schema->fixed;

    for (n = 0; n < count; n++, base += schema->element) {
        for (i = 0; i < schema->nelements; i++) {
            f = &schema->elements[i];
            *field = f->name;
            reason = schema_check_ref(rec, schema_u32(rec, base + f->offset),
                                      f, reader);
            if (reason != NULL) {
                return reason;
            }
        }
    }

    *field = NULL;

    return NULL;
}


const char *
mesh_schema_check(const mesh_rec_t *rec, const mesh_schema_reader_t *reader,
    const char **field)
{
    const char           *reason;
    const mesh_schema_t  *schema;

    *field = NULL;

    schema = mesh_schema(rec->kind);
    if (schema == NULL) {
        return "unknown kind";
    }

    reason = schema_check_shape(rec, schema);
    if (reason != NULL) {
        return reason;
    }

    reason = schema_check_refs(rec, schema, reader, field);
    if (reason != NULL) {
        return reason;
    }

    return schema->rule ? schema->rule(rec, reader) : NULL;
}


mesh_status_t
mesh_schema_each_ref(const mesh_rec_t *rec, mesh_ref_visit_pt visit, void *ctx)
{
    uint32_t              i, n, count, base;
    mesh_status_t         rc;
    const mesh_schema_t  *schema;

    schema = mesh_schema(rec->kind);
    if (schema == NULL) {
        return MESH_ERROR;
    }

    for (i = 0; i < schema->nfields; i++) {
        rc = visit(ctx, rec, schema->fields[i].offset, &schema->fields[i]);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    count = schema->nelements ? schema_count(rec, schema) : 0;
    base = schema->fixed;

    for (n = 0; n < count; n++, base += schema->element) {
        for (i = 0; i < schema->nelements; i++) {
            rc = visit(ctx, rec, base + schema->elements[i].offset,
                       &schema->elements[i]);
            if (rc != MESH_OK) {
                return rc;
            }
        }
    }

    return MESH_OK;
}
