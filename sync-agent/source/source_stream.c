/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A stream's content is a list of items in order of (kind, name).  A whole
 * document is one item of kind WHOLE until the first change; then it is cut
 * into one item a resource.  The cut parts point at the same resources, so
 * that the compiler sees that nothing else changed.
 */

#include "source_stream.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum {
    ITEM_WHOLE,
    ITEM_CLUSTER,
    ITEM_SET,
    ITEM_HOST,
    ITEM_TABLE, /* a table without hosts: its flags */
    ITEM_RUNTIME,
} item_kind_e;

/* Views into a list of items. */
typedef struct {
    uint32_t count;
    uint32_t room;
    source_item_t **v;
} items_t;

struct source_stream_s {
    char *name;
    items_t items;
};

/* What one change does, before it is certain that all of it can be done. */
typedef struct {
    source_stream_t *stream;
    items_t items; /* a copy, changed line by line */
    uint64_t unix_ms;
    model_errors_t *errors;
} change_t;

typedef struct {
    arena_t *arena; /* of what is said below */
    mesh_str_t text;
    const model_node_t *document; /* what its only member holds */
} line_t;

static item_kind_e kind_of(const model_part_t *part) {
    uint32_t hosts = part->ntables == 1 ? part->tables[0].nvhosts : 0;
    uint32_t sets = part->nsets + part->nnamed;
    uint32_t n = part->nclusters + sets + part->ntables + part->nruntime;

    if (n != 1 || hosts > 1) {
        return ITEM_WHOLE;
    }
    if (part->nclusters) {
        return ITEM_CLUSTER;
    }
    if (sets) {
        return ITEM_SET;
    }
    if (part->nruntime) {
        return ITEM_RUNTIME;
    }
    return hosts ? ITEM_HOST : ITEM_TABLE;
}

static mesh_str_t name_of(item_kind_e kind, const model_part_t *part) {
    switch (kind) {
    case ITEM_CLUSTER:
        return part->clusters[0].name;
    case ITEM_SET:
        return part->nsets ? part->sets[0].name : part->named[0].set.name;
    case ITEM_HOST:
        return part->tables[0].vhosts[0].name;
    case ITEM_RUNTIME:
        return part->runtime[0].name;
    default:
        return MESH_STR("");
    }
}

typedef struct {
    item_kind_e kind;
    mesh_str_t table;
    mesh_str_t name;
} stream_key_t;

static stream_key_t key_of(const model_part_t *part) {
    item_kind_e kind = kind_of(part);
    bool routes = kind == ITEM_HOST || kind == ITEM_TABLE;

    return (stream_key_t){kind, routes ? part->tables[0].name : MESH_STR(""),
                          name_of(kind, part)};
}

static int key_cmp(const stream_key_t *a, const stream_key_t *b) {
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    int rc = mesh_str_cmp(a->table, b->table);
    return rc ? rc : mesh_str_cmp(a->name, b->name);
}

/* Where the key is, or would be. */
static uint32_t find(const items_t *items, const stream_key_t *key,
                     bool *found) {
    uint32_t low = 0;
    uint32_t high = items->count;

    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        stream_key_t at = key_of(items->v[middle]->part);
        int rc = key_cmp(&at, key);
        if (rc == 0) {
            *found = true;
            return middle;
        }
        if (rc < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void make_room(items_t *items) {
    if (items->count < items->room) {
        return;
    }
    items->room = items->room ? items->room * 2 : 64;
    items->v = realloc(items->v, items->room * sizeof(*items->v));
    if (items->v == NULL) {
        abort(); /* as arenas do */
    }
}

/* Takes the reference over. */
static void put(items_t *items, source_item_t *item) {
    stream_key_t key = key_of(item->part);
    bool found;
    uint32_t i = find(items, &key, &found);

    if (found) {
        source_item_unref(items->v[i]);
        items->v[i] = item;
        return;
    }
    make_room(items);
    memmove(items->v + i + 1, items->v + i,
            (items->count - i) * sizeof(*items->v));
    items->v[i] = item;
    items->count++;
}

static bool take_out(items_t *items, const stream_key_t *key) {
    bool found;
    uint32_t i = find(items, key, &found);

    if (found) {
        source_item_unref(items->v[i]);
        items->count--;
        memmove(items->v + i, items->v + i + 1,
                (items->count - i) * sizeof(*items->v));
    }
    return found;
}

static void items_free(items_t *items) {
    for (uint32_t i = 0; i < items->count; i++) {
        source_item_unref(items->v[i]);
    }
    free(items->v);
    *items = (items_t){0};
}

static void put_piece(items_t *items, source_shared_t *shared,
                      const model_part_t *whole, const model_part_t *piece) {
    model_part_t *part = arena_alloc(shared->arena, sizeof(*part));

    *part = *piece;
    part->arena = shared->arena;
    part->name = whole->name;
    part->version = whole->version;
    part->time_ms = whole->time_ms;
    put(items, source_item_new(shared, part));
}

/* One item a resource, pointing at the resources of `whole`. */
static void cut(items_t *items, source_shared_t *shared,
                const model_part_t *whole) {
    for (uint32_t i = 0; i < whole->nclusters; i++) {
        model_part_t piece = {.nclusters = 1, .clusters = whole->clusters + i};
        put_piece(items, shared, whole, &piece);
    }
    for (uint32_t i = 0; i < whole->nsets; i++) {
        model_part_t piece = {.nsets = 1, .sets = whole->sets + i};
        put_piece(items, shared, whole, &piece);
    }
    for (uint32_t i = 0; i < whole->nnamed; i++) {
        model_part_t piece = {.nnamed = 1, .named = whole->named + i};
        put_piece(items, shared, whole, &piece);
    }
    for (uint32_t i = 0; i < whole->ntables; i++) {
        const model_route_table_t *from = &whole->tables[i];
        for (uint32_t k = 0; k < mesh_max(from->nvhosts, 1); k++) {
            model_route_table_t *table =
                arena_alloc(shared->arena, sizeof(*table));
            *table = *from;
            table->nvhosts = from->nvhosts ? 1 : 0;
            table->vhosts = from->vhosts + k;
            model_part_t piece = {.ntables = 1, .tables = table};
            put_piece(items, shared, whole, &piece);
        }
    }
    for (uint32_t i = 0; i < whole->nruntime; i++) {
        model_part_t piece = {.nruntime = 1, .runtime = whole->runtime + i};
        put_piece(items, shared, whole, &piece);
    }
}

source_stream_t *source_stream_new(const char *name) {
    source_stream_t *stream = calloc(1, sizeof(*stream));

    if (stream != NULL && (stream->name = strdup(name)) == NULL) {
        free(stream);
        return NULL;
    }
    return stream;
}

void source_stream_free(source_stream_t *stream) {
    items_free(&stream->items);
    free(stream->name);
    free(stream);
}

const char *source_stream_name(const source_stream_t *stream) {
    return stream->name;
}

bool source_stream_replace(source_stream_t *stream, mesh_str_t text, bool json,
                           uint64_t unix_ms, model_errors_t *errors) {
    arena_t *arena = arena_new();
    const char *name = arena_strdup(arena, stream->name);

    model_part_t *part = source_decode(arena, name, arena_str(arena, text),
                                       json, unix_ms, errors);
    if (part == NULL) {
        arena_free(arena);
        return false;
    }
    items_free(&stream->items);
    put(&stream->items, source_item_new(source_shared_new(arena), part));
    return true;
}

static bool wrong(change_t *change, const model_node_t *node,
                  const char *expected) {
    model_error_t place = {.file = change->stream->name,
                           .line = node->line,
                           .column = node->column,
                           .expected = expected};

    model_error_add(change->errors, &place, "expected %s", expected);
    return false;
}

/* The arena, which has the line's tree, is the items' from now on. */
static bool upsert(change_t *change, const line_t *line) {
    uint32_t before = change->errors->errors;
    const char *name = arena_strdup(line->arena, change->stream->name);
    source_shared_t *shared = source_shared_new(line->arena);
    char version[SOURCE_VERSION_SIZE];

    shared->refs = 1; /* until it is known whether anything was kept */
    model_part_t *part =
        model_decode(line->arena, name, line->document, change->errors);
    arena_drop_aside(line->arena);
    bool ok = part != NULL && change->errors->errors == before;
    if (ok) {
        source_version(line->text, version);
        part->name = name;
        part->version = mesh_str_from(arena_strdup(line->arena, version));
        part->time_ms = change->unix_ms;
        cut(&change->items, shared, part);
    }
    if (--shared->refs == 0) {
        arena_free(line->arena);
        free(shared);
    }
    return ok;
}

/* If the document is refused, all that was changed is given up. */
static bool replace(change_t *change, const line_t *line) {
    items_free(&change->items);
    return upsert(change, line);
}

static mesh_str_t table_of(const model_node_t *document) {
    const model_node_t *table = model_node_child(document, "route_table");
    const model_node_t *name = NULL;

    if (table != NULL && table->kind == MODEL_NODE_MAP) {
        name = model_node_child(table, "name");
    }
    if (name == NULL || name->kind != MODEL_NODE_SCALAR) {
        return MESH_STR("default");
    }
    return name->text;
}

static bool remove_named(change_t *change, const model_node_t *list,
                         item_kind_e kind, mesh_str_t table) {
    if (list->kind != MODEL_NODE_LIST) {
        return wrong(change, list, "a list of names");
    }
    for (const model_node_t *c = list->first; c; c = c->next) {
        if (c->kind != MODEL_NODE_SCALAR) {
            return wrong(change, c, "a name");
        }
        stream_key_t key = {kind, kind == ITEM_HOST ? table : MESH_STR(""),
                            c->text};
        (void)take_out(&change->items, &key);
        if (kind == ITEM_CLUSTER) {
            key.kind = ITEM_SET;
            (void)take_out(&change->items, &key);
        }
    }
    return true;
}

static bool remove_lists(change_t *change, const model_node_t *document) {
    static const struct {
        mesh_str_t name;
        item_kind_e kind;
    } lists[] = {{mesh_str("clusters"), ITEM_CLUSTER},
                 {mesh_str("endpoints"), ITEM_SET},
                 {mesh_str("hosts"), ITEM_HOST},
                 {mesh_str("runtime"), ITEM_RUNTIME}};

    if (document->kind != MODEL_NODE_MAP) {
        return wrong(change, document, "a map of lists of names");
    }
    for (const model_node_t *c = document->first; c; c = c->next) {
        size_t i = 0;
        if (mesh_str_eq(c->key, MESH_STR("route_table"))) {
            continue;
        }
        while (i < mesh_nelts(lists) && !mesh_str_eq(c->key, lists[i].name)) {
            i++;
        }
        if (i == mesh_nelts(lists)) {
            return wrong(change, c, "clusters, endpoints, hosts or runtime");
        }
        if (!remove_named(change, c, lists[i].kind, table_of(document))) {
            return false;
        }
    }
    return true;
}

static bool remove_all(change_t *change, const line_t *line) {
    bool ok = remove_lists(change, line->document);

    arena_free(line->arena);
    return ok;
}

/* What a line may be; each takes the line's arena over. */
static const struct {
    mesh_str_t name;
    bool (*take)(change_t *change, const line_t *line);
} kinds[] = {
    {mesh_str("upsert"), upsert},
    {mesh_str("remove"), remove_all},
    {mesh_str("replace"), replace},
};

static bool change_line(change_t *change, mesh_str_t text, uint32_t number) {
    line_t line = {.arena = arena_new_small(), .text = text};
    const model_node_t *root = model_node_from_json_line(
        line.arena, change->stream->name, number, text, change->errors);

    if (root != NULL && root->kind == MODEL_NODE_MAP && root->count == 1) {
        line.document = root->first;
        for (size_t i = 0; i < mesh_nelts(kinds); i++) {
            if (mesh_str_eq(line.document->key, kinds[i].name)) {
                return kinds[i].take(change, &line);
            }
        }
    }
    if (root != NULL) {
        (void)wrong(change, root,
                    "{\"upsert\": {...}}, {\"remove\": {...}} or "
                    "{\"replace\": {...}}");
    }
    arena_free(line.arena);
    return false;
}

/* The content as items of one resource each. */
static void copy_items(items_t *to, const items_t *from) {
    for (uint32_t i = 0; i < from->count; i++) {
        source_item_t *item = from->v[i];
        if (kind_of(item->part) == ITEM_WHOLE) {
            cut(to, item->shared, item->part);
        } else {
            make_room(to);
            item->refs++;
            to->v[to->count++] = item;
        }
    }
}

bool source_stream_is_blank(mesh_str_t line) {
    for (size_t i = 0; i < line.len; i++) {
        char c = line.data[i];
        if (c != ' ' && c != '\t' && c != '\r') {
            return false;
        }
    }
    return true;
}

bool source_stream_change(source_stream_t *stream, mesh_str_t lines,
                          uint64_t unix_ms, model_errors_t *errors) {
    change_t change = {.stream = stream, .unix_ms = unix_ms, .errors = errors};
    const char *at = lines.data;
    const char *end = lines.data + lines.len;
    uint32_t before = errors->errors;
    uint32_t number = 0;
    bool ok = true;

    copy_items(&change.items, &stream->items);
    while (at < end && errors->errors - before < MODEL_ERRORS_MAX) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        mesh_str_t line = {len, at};
        number++;
        if (!source_stream_is_blank(line)) {
            ok = change_line(&change, line, number) && ok;
        }
        at += len + 1;
    }
    if (!ok) {
        items_free(&change.items);
        return false;
    }
    items_free(&stream->items);
    stream->items = change.items;
    return true;
}

source_bundle_t *source_stream_bundle(const source_stream_t *stream) {
    return source_bundle_new(stream->items.v, stream->items.count);
}

void source_stream_restore(source_stream_t *stream,
                           const source_bundle_t *bundle) {
    items_free(&stream->items);
    for (uint32_t i = 0; bundle != NULL && i < bundle->count; i++) {
        make_room(&stream->items);
        bundle->items[i]->refs++;
        stream->items.v[stream->items.count++] = bundle->items[i];
    }
}
