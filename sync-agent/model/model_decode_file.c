/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The top of a file, and what joins its parts: clusters and their endpoint
 * sets go their own ways, hosts become the virtual hosts of one table.
 */

#include "model_decode_route.h"
#include "model_table.h"

#include <stdio.h>

/* --- route_table --------------------------------------------------------- */

typedef struct {
    mesh_str_t name;
    bool normalize_path;
    bool merge_slashes;
    uint32_t escaped_slashes;
    bool ignore_port;
} table_form_t;

typedef struct {
    uint32_t nclusters;
    model_cluster_form_t *clusters;
    uint32_t nsets;
    model_endpoint_set_t *sets;
    uint32_t nhosts;
    model_vhost_t *hosts;
    table_form_t table;
    model_place_t table_place;
    uint32_t nruntime;
    model_runtime_t *runtime;
} file_form_t;

static const model_value_t slashes[] = {
    {"keep", MESH_SLASHES_KEEP},
    {"reject", MESH_SLASHES_REJECT},
    {"redirect", MESH_SLASHES_REDIRECT},
    {"unescape", MESH_SLASHES_UNESCAPE},
    {NULL, 0},
};

static bool decode_table_name(model_decoder_t *d, const model_node_t *node,
                              const model_field_t *field, void *out) {
    return model_decode_string(d, node, field, out) &&
           model_check_name(d, node, node->text, false);
}

#define TABLE(member) offsetof(table_form_t, member)

static const model_field_t table_fields[] = {
    {.name = "name",
     .type = MODEL_CUSTOM,
     .offset = TABLE(name),
     .min = 1,
     .max = MESH_NAME_MAX,
     .decode = decode_table_name,
     .expected = "a name",
     .about = "the table's name, which mesh_route NAME in nginx.conf picks; "
              "files with the same name make one table",
     .pattern = MODEL_PATTERN_NAME},
    {.name = "normalize_path",
     .type = MODEL_BOOL,
     .offset = TABLE(normalize_path),
     .fallback = 1,
     .about = "paths are normalised as RFC 3986 says, and the endpoint gets "
              "the normalised path"},
    {.name = "merge_slashes",
     .type = MODEL_BOOL,
     .offset = TABLE(merge_slashes),
     .about = "// in a path is /"},
    {.name = "escaped_slashes",
     .type = MODEL_ENUM,
     .offset = TABLE(escaped_slashes),
     .values = slashes,
     .about = "what becomes of %2F and %5C in a path: nothing, 400, a redirect "
              "to the unescaped path, or /"},
    {.name = "ignore_port",
     .type = MODEL_BOOL,
     .offset = TABLE(ignore_port),
     .fallback = 1,
     .about = "domains are compared without the port"},
};

static const model_object_t table_object = {
    .name = "a route table",
    MODEL_FIELDS(table_fields),
};

static bool decode_table(model_decoder_t *d, const model_node_t *node,
                         const model_field_t *field, void *out) {
    file_form_t *form = out;

    form->table_place = model_place(d, node);

    return model_decode_object(d, node, field->object, &form->table);
}

/* --- the file ------------------------------------------------------------ */

static bool cluster_key(model_decoder_t *d, const model_node_t *node,
                        void *out) {
    (void)out;

    return model_check_name(d, node, node->key, true);
}

static bool set_key(model_decoder_t *d, const model_node_t *node, void *out) {
    model_endpoint_set_t *set = out;

    set->name = node->key;

    return model_check_name(d, node, node->key, true);
}

static const model_field_t cluster_element = {
    .type = MODEL_OBJECT,
    .object = &model_cluster_object,
    .resource = "cluster",
};

static const model_field_t set_element = {
    .type = MODEL_CUSTOM,
    .element = &model_endpoint_element,
    .decode = model_decode_endpoints,
    .resource = "endpoint set",
    .expected = "a list of endpoints",
};

static const model_field_t host_element = {
    .type = MODEL_OBJECT,
    .object = &model_host_object,
    .resource = "host",
};

#define FILE_AT(member) offsetof(file_form_t, member)

static const model_field_t file_fields[] = {
    {.name = "clusters",
     .type = MODEL_MAP,
     .offset = FILE_AT(clusters),
     .count = FILE_AT(nclusters),
     .size = sizeof(model_cluster_form_t),
     .element = &cluster_element,
     .key = cluster_key,
     .about = "clusters by name",
     .keys = MODEL_PATTERN_NAME},
    {.name = "endpoints",
     .type = MODEL_MAP,
     .offset = FILE_AT(sets),
     .count = FILE_AT(nsets),
     .size = sizeof(model_endpoint_set_t),
     .element = &set_element,
     .key = set_key,
     .about = "endpoint sets by name, apart from the clusters that they serve",
     .keys = MODEL_PATTERN_NAME},
    {.name = "hosts",
     .type = MODEL_LIST,
     .offset = FILE_AT(hosts),
     .count = FILE_AT(nhosts),
     .size = sizeof(model_vhost_t),
     .element = &host_element,
     .about = "virtual hosts: domains and their routes"},
    {.name = "route_table",
     .type = MODEL_CUSTOM,
     .object = &table_object,
     .decode = decode_table,
     .about = "how the hosts of this file are looked up"},
    {.name = "runtime",
     .type = MODEL_MAP,
     .offset = FILE_AT(runtime),
     .count = FILE_AT(nruntime),
     .size = sizeof(model_runtime_t),
     .element = &model_runtime_element,
     .key = model_runtime_key,
     .about = "percentages by key, for those that have a runtime_key",
     .keys = MODEL_PATTERN_RUNTIME_KEY},
    {.name = "listeners"},
    {.name = "secrets"},
    {.name = "identity"},
    {.name = "tls"},
    {.name = "policies"},
    {.name = "rate_limits"},
    {.name = "tracing"},
    {.name = "access_log"},
    {.name = "telemetry"},
    {.name = "filters"},
};

const model_object_t model_file_object = {
    .name = "a mesh",
    MODEL_FIELDS(file_fields),
};

/* --- from what was written to the part ----------------------------------- */

static void take_set(model_part_t *part, const model_endpoint_set_t *set,
                     model_dns_t dns) {
    if (model_set_is_named(set)) {
        part->named[part->nnamed++] = (model_named_set_t){*set, dns};
    } else {
        part->sets[part->nsets++] = *set;
    }
}

static void take_clusters(model_part_t *part, const file_form_t *form) {
    static const model_dns_t plain;
    uint32_t sets = form->nsets;

    for (uint32_t i = 0; i < form->nclusters; i++) {
        sets += form->clusters[i].has_set;
    }

    part->clusters =
        arena_alloc(part->arena, sizeof(*part->clusters) * form->nclusters);
    part->sets = arena_alloc(part->arena, sizeof(*part->sets) * sets);
    part->named = arena_alloc(part->arena, sizeof(*part->named) * sets);

    for (uint32_t i = 0; i < form->nclusters; i++) {
        const model_cluster_form_t *cluster = &form->clusters[i];

        part->clusters[part->nclusters++] = cluster->cluster;

        if (cluster->has_set) {
            take_set(part, &cluster->set, cluster->dns);
        }
    }

    for (uint32_t i = 0; i < form->nsets; i++) {
        take_set(part, &form->sets[i], plain);
    }
}

static uint32_t table_flags(const table_form_t *table) {
    uint32_t flags = table->escaped_slashes << MESH_SLASHES_SHIFT;

    flags |= table->normalize_path ? MESH_NORMALIZE_RFC3986 : 0;
    flags |= table->merge_slashes ? MESH_MERGE_SLASHES : 0;
    flags |= table->ignore_port ? 0 : MESH_HOST_KEEP_PORT;

    return flags;
}

/* Route names are unique in the mesh, so another table's carry its name. */
static void name_routes(arena_t *arena, const model_route_table_t *table,
                        model_vhost_t *host) {
    bool other = !mesh_str_eq(table->name, MESH_STR("default"));

    for (uint32_t i = 0; i < host->nroutes; i++) {
        model_route_t *route = &host->routes[i];

        if (route->name.len == 0) {
            route->name = mesh_str_from(arena_printf(
                arena, "%.*s%s%.*s/%u", other ? (int)table->name.len : 0,
                other ? table->name.data : "", other ? "/" : "",
                (int)host->name.len, host->name.data, i));
        }
    }
}

static void take_hosts(model_part_t *part, const file_form_t *form, bool said) {
    if (form->nhosts == 0 && !said) {
        return;
    }

    model_route_table_t *table = arena_alloc(part->arena, sizeof(*table));

    table->place = form->table_place;
    table->name =
        form->table.name.len != 0 ? form->table.name : MESH_STR("default");
    table->flags = said ? table_flags(&form->table) : MODEL_TABLE_FLAGS;
    table->flags_said = said;
    table->nvhosts = form->nhosts;
    table->vhosts = form->hosts;

    for (uint32_t i = 0; i < table->nvhosts; i++) {
        name_routes(part->arena, table, &table->vhosts[i]);
    }

    model_mark_keyed(table);
    part->ntables = 1;
    part->tables = table;
}

/* Domains may be decoded before what says how they are compared. */
static bool keeps_port(const model_node_t *root) {
    const model_node_t *table = model_node_child(root, "route_table");
    const model_node_t *ignore = model_node_child(table, "ignore_port");

    return ignore != NULL && ignore->text.len != 0 &&
           mesh_lower(*ignore->text.data) == 'f';
}

model_part_t *model_decode(arena_t *arena, const char *name,
                           const model_node_t *root, model_errors_t *errors) {
    model_decoder_t d = {.arena = arena, .errors = errors};
    file_form_t form;

    memset(&form, 0, sizeof(form));
    d.file = arena_strdup(arena, name);
    d.keep_port = keeps_port(root);
    form.table_place.file = d.file;

    /* Of other errors, the rest of the file is decoded. */
    (void)model_decode_object(&d, root, &model_file_object, &form);

    if (root->kind != MODEL_NODE_MAP) {
        return NULL;
    }

    model_part_t *part = arena_alloc(arena, sizeof(*part));

    part->arena = arena;
    part->name = d.file;
    part->version = MESH_STR("");

    take_clusters(part, &form);
    take_hosts(part, &form, model_node_child(root, "route_table") != NULL);
    part->nruntime = form.nruntime;
    part->runtime = form.runtime;

    return part;
}
