/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Builds a path trie from sorted paths, breadth first, because the format
 * wants the children of a node to be neighbours and to come after it.
 */

#include "compile_trie.h"

#include <stdlib.h>

/* One route's path. */
typedef struct {
    mesh_str_t path;
    bool exact;
    uint32_t index;
} trie_key_t;

/* The keys [begin, end) below a node: all share its path up to `depth`. */
typedef struct {
    uint32_t begin;
    uint32_t end;
    uint32_t depth;
} trie_span_t;

typedef struct {
    arena_t *arena;
    uint32_t count;
    trie_key_t *keys;
    uint32_t nnodes;
    trie_span_t *spans; /* of each node */
    mesh_trie_node_t *nodes;
    char *labels;
    uint32_t labels_len;
    uint32_t *lists;
    uint32_t lists_len;
} trie_t;

/*
 * Bytewise by path, then prefixes before exact paths, then in order of match:
 * a node's own keys are neighbours and in the order that `lists` wants.
 */
static int trie_key_cmp(const void *a, const void *b) {
    const trie_key_t *x = a, *y = b;
    int rc = mesh_str_cmp(x->path, y->path);

    if (rc != 0) {
        return rc;
    }
    if (x->exact != y->exact) {
        return x->exact ? 1 : -1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static void trie_keys(trie_t *t, const model_route_t *routes) {
    for (uint32_t i = 0; i < t->count; i++) {
        trie_key_t *key = &t->keys[i];

        key->path = routes[i].path;
        key->exact = routes[i].path_match == MESH_PATH_EXACT;
        key->index = i;

        /* "/" matches everything, "*" as well, and so belongs to the root. */
        if (!key->exact && mesh_str_eq(key->path, MESH_STR("/"))) {
            key->path = MESH_STR("");
        }
    }
    qsort(t->keys, t->count, sizeof(trie_key_t), trie_key_cmp);
}

/* Lists the keys that end at this node; returns where the others begin. */
static uint32_t trie_own_keys(trie_t *t, mesh_trie_node_t *node,
                              const trie_span_t *span) {
    uint32_t i = span->begin;

    node->list = t->lists_len;
    for (; i < span->end && t->keys[i].path.len == span->depth; i++) {
        t->lists[t->lists_len++] = t->keys[i].index;
        if (t->keys[i].exact) {
            node->exacts++;
        } else {
            node->prefixes++;
        }
    }
    return i;
}

/* How many bytes the keys of a span have in common: its ends tell. */
static uint32_t trie_common(const trie_t *t, uint32_t begin, uint32_t end) {
    mesh_str_t first = t->keys[begin].path;
    mesh_str_t last = t->keys[end - 1].path;
    uint32_t n = 0;

    while (n < first.len && n < last.len && first.data[n] == last.data[n]) {
        n++;
    }
    return n;
}

static void trie_add_child(trie_t *t, uint32_t begin, uint32_t end,
                           uint32_t depth) {
    mesh_trie_node_t *child = &t->nodes[t->nnodes];
    uint32_t common = trie_common(t, begin, end);

    child->label = t->labels_len;
    child->label_len = common - depth;
    memcpy(t->labels + t->labels_len, t->keys[begin].path.data + depth,
           child->label_len);
    t->labels_len += child->label_len;
    t->spans[t->nnodes++] = (trie_span_t){begin, end, common};
}

static void trie_expand(trie_t *t, uint32_t at) {
    trie_span_t span = t->spans[at];
    mesh_trie_node_t *node = &t->nodes[at];
    uint32_t begin = trie_own_keys(t, node, &span);

    if (begin == span.end) {
        return;
    }
    node->first_child = t->nnodes;

    while (begin < span.end) {
        char first = t->keys[begin].path.data[span.depth];
        uint32_t end = begin + 1;

        while (end < span.end && t->keys[end].path.data[span.depth] == first) {
            end++;
        }
        trie_add_child(t, begin, end, span.depth);
        node->children++;
        begin = end;
    }
}

static mesh_ref_t trie_put(mesh_writer_t *w, const trie_t *t) {
    size_t size = sizeof(mesh_rec_trie_t) + t->nnodes * sizeof(t->nodes[0]);
    mesh_rec_trie_t *rec = arena_alloc(t->arena, (size + 7) & ~(size_t)7);

    if (t->labels_len > 0) {
        rec->labels =
            mesh_writer_put_str(w, (mesh_str_t){t->labels_len, t->labels});
    }
    rec->lists = mesh_writer_put_u32s(w, t->lists, t->lists_len);
    rec->rec.kind = MESH_KIND_TRIE;
    rec->rec.size = (uint32_t)size;
    rec->routes = t->count;
    rec->count = t->nnodes;
    memcpy(rec->v, t->nodes, t->nnodes * sizeof(t->nodes[0]));
    return mesh_writer_put(w, &rec->rec);
}

mesh_ref_t compile_trie(mesh_writer_t *w, const model_route_t *routes,
                        uint32_t count) {
    if (count == 0) {
        return 0;
    }

    /*
     * Each node but the root and those that only branch has a key that ends
     * at it, and n leaves make at most n - 1 branches.
     */
    size_t most = 2 * (size_t)count + 1;
    size_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes += routes[i].path.len;
    }

    arena_t *arena = arena_new();
    trie_t t = {
        .arena = arena,
        .count = count,
        .keys = arena_alloc(arena, count * sizeof(trie_key_t)),
        .nnodes = 1,
        .spans = arena_alloc(arena, most * sizeof(trie_span_t)),
        .nodes = arena_alloc(arena, most * sizeof(mesh_trie_node_t)),
        .labels = arena_alloc(arena, bytes + 1),
        .lists = arena_alloc(arena, count * sizeof(uint32_t)),
    };

    trie_keys(&t, routes);
    t.spans[0] = (trie_span_t){0, count, 0};

    for (uint32_t at = 0; at < t.nnodes; at++) {
        trie_expand(&t, at);
    }

    mesh_ref_t ref = trie_put(w, &t);

    arena_free(arena);
    return ref;
}
