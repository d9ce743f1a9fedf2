/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What must hold in a record of each kind beyond its shape and references:
 * mesh_rule_pt (mesh_schema.h), for the rows of mesh_schema.c alone.
 *
 * A rule costs no more than the record and the records it points at, and
 * reads nothing that the shape and the references did not prove.
 */

#ifndef MESH_SCHEMA_RULES_H
#define MESH_SCHEMA_RULES_H

#include "mesh_schema.h"


/* A record behind a checked reference that is not 0. */
static inline const void *
mesh_rule_get(const mesh_schema_reader_t *reader, mesh_ref_t ref)
{
    return reader->get(reader->ctx, ref);
}


/* Is that REFS, or that MAP, none or one of records of this kind? */
static inline bool
mesh_rule_refs_of(const mesh_schema_reader_t *reader, mesh_ref_t ref,
    uint16_t kind)
{
    const mesh_rec_refs_t  *refs;

    refs = ref ? mesh_rule_get(reader, ref) : NULL;

    return refs == NULL || refs->value_kind == kind;
}


static inline bool
mesh_rule_map_of(const mesh_schema_reader_t *reader, mesh_ref_t ref,
    uint16_t kind)
{
    const mesh_rec_map_t  *map;

    map = ref ? mesh_rule_get(reader, ref) : NULL;

    return map == NULL || map->value_kind == kind;
}


/*
 * Names are short, so that hashing and comparing them costs little however
 * often a file refers to one.
 */
static inline bool
mesh_rule_hash(const mesh_schema_reader_t *reader, mesh_ref_t ref,
    uint32_t hash)
{
    const mesh_rec_string_t  *name;

    if (ref == 0) {
        return hash == 0;
    }

    name = mesh_rule_get(reader, ref);

    return name->len <= MESH_NAME_MAX
           && mesh_hash32(name->data, name->len) == hash;
}


/* Header names are hashed in lower case, however they are written. */
static inline bool
mesh_rule_header_hash(const mesh_schema_reader_t *reader, mesh_ref_t ref,
    uint32_t hash)
{
    uint32_t                  i, h;
    const mesh_rec_string_t  *name;

    name = mesh_rule_get(reader, ref);

    if (name->len > MESH_HEADER_NAME_MAX) {
        return false;
    }

    h = 0;

    for (i = 0; i < name->len; i++) {
        h = h * 31 + (uint8_t) mesh_lower(name->data[i]);
    }

    return h == hash;
}


/* A text without upper-case letters, and as short as names are. */
static inline bool
mesh_rule_folded(const mesh_schema_reader_t *reader, mesh_ref_t ref)
{
    uint32_t                  i;
    const mesh_rec_string_t  *text;

    text = ref ? mesh_rule_get(reader, ref) : NULL;

    if (text == NULL || text->len > MESH_FOLDED_MAX) {
        return text == NULL;
    }

    for (i = 0; i < text->len; i++) {
        if (text->data[i] != mesh_lower(text->data[i])) {
            return false;
        }
    }

    return true;
}


/* Is the record a REGEX with these flags? */
static inline bool
mesh_rule_regex_is(const mesh_rec_t *rec, uint32_t flags)
{
    return rec->kind == MESH_KIND_REGEX
           && ((const mesh_rec_regex_t *) rec)->flags == flags;
}


/* Is the REWRITE one by a regular expression and nothing else? */
static inline bool
mesh_rule_regex_alone(const mesh_schema_reader_t *reader, mesh_ref_t ref)
{
    const mesh_rec_rewrite_t  *w;

    w = mesh_rule_get(reader, ref);

    return w->path == MESH_REWRITE_REGEX && w->host == MESH_HOST_KEEP
           && w->flags == 0;
}


static inline int
mesh_rule_cmp(const mesh_schema_reader_t *reader, mesh_ref_t a, mesh_ref_t b)
{
    const mesh_rec_string_t  *sa, *sb;

    if (a == b) {
        return 0;
    }

    sa = mesh_rule_get(reader, a);
    sb = mesh_rule_get(reader, b);

    return mesh_str_cmp((mesh_str_t) { sa->len, sa->data },
                        (mesh_str_t) { sb->len, sb->data });
}


#define mesh_rule_declare(type)                                               \
    const char *mesh_rule_##type(const mesh_rec_t *rec,                       \
        const mesh_schema_reader_t *reader)


mesh_rule_declare(u32s);
mesh_rule_declare(refs);
mesh_rule_declare(map);
mesh_rule_declare(map_leaf);

mesh_rule_declare(route_table);
mesh_rule_declare(vhost);
mesh_rule_declare(trie);
mesh_rule_declare(route);
mesh_rule_declare(matches);
mesh_rule_declare(split);
mesh_rule_declare(header_ops);
mesh_rule_declare(redirect);
mesh_rule_declare(direct);
mesh_rule_declare(retry);
mesh_rule_declare(range);
mesh_rule_declare(addresses);
mesh_rule_declare(regex);
mesh_rule_declare(hash_policies);
mesh_rule_declare(session);
mesh_rule_declare(rewrite);
mesh_rule_declare(format);
mesh_rule_declare(internal_redirect);
mesh_rule_declare(mirrors);
mesh_rule_declare(cors);
mesh_rule_declare(share);
mesh_rule_declare(runtime_values);

mesh_rule_declare(cluster);
mesh_rule_declare(outlier);
mesh_rule_declare(subsets);
mesh_rule_declare(selectors);
mesh_rule_declare(labels);
mesh_rule_declare(lb);
mesh_rule_declare(locality_weights);
mesh_rule_declare(zone_aware);

mesh_rule_declare(endpoint_set);
mesh_rule_declare(endpoint_chunk);
mesh_rule_declare(locality);

mesh_rule_declare(policy);
mesh_rule_declare(endpoints);
mesh_rule_declare(identity);
mesh_rule_declare(binding);
mesh_rule_declare(bind_cluster);
mesh_rule_declare(sources);
mesh_rule_declare(root);


/* Of a route's share_ppm and SHARE; in mesh_schema_rules_policy.c. */
const char *mesh_rule_route_share(const mesh_rec_route_t *r,
    const mesh_schema_reader_t *reader);


#endif /* MESH_SCHEMA_RULES_H */
