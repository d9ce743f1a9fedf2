/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Builds a path trie from sorted paths, breadth first, because the format
 * wants the children of a node to be neighbours and to come after it.
 */

#include "compile_trie.h"

#include "mesh_template.h"

#include <stdlib.h>

/* A path that a route matches, exactly or as a prefix. */
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
    uint32_t nkeys;
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

static void trie_add_key(trie_t *t, mesh_str_t path, bool exact,
                         uint32_t index) {
    t->keys[t->nkeys++] = (trie_key_t){path, exact, index};
}

static mesh_str_t trie_with_slash(trie_t *t, mesh_str_t path) {
    char *text = arena_alloc(t->arena, path.len + 1);

    memcpy(text, path.data, path.len);
    text[path.len] = '/';
    return (mesh_str_t){path.len + 1, text};
}

static void trie_keys(trie_t *t, const model_route_t *routes, bool folded) {
    for (uint32_t i = 0; i < t->count; i++) {
        mesh_str_t path = routes[i].path;

        if (routes[i].ignore_case != folded) {
            continue;
        }

        switch (routes[i].path_match) {
        case MESH_PATH_EXACT:
            trie_add_key(t, path, true, i);
            break;
        case MESH_PATH_SEPARATED:
            trie_add_key(t, path, true, i);
            trie_add_key(t, trie_with_slash(t, path), false, i);
            break;
        case MESH_PATH_PREFIX:
            /* "/" matches everything, "*" as well: the root's. */
            if (mesh_str_eq(path, MESH_STR("/"))) {
                path = MESH_STR("");
            }
            trie_add_key(t, path, false, i);
            break;
        case MESH_PATH_TEMPLATE:
            /* What it begins with; the rest is tried then. */
            trie_add_key(t, mesh_template_prefix(path), false, i);
            break;
        case MESH_PATH_REGEX:
            break;
        }
    }
    qsort(t->keys, t->nkeys, sizeof(trie_key_t), trie_key_cmp);
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

/*
 * Memory: a route has at most two keys.  Each node but the root and those
 * that only branch has a key that ends at it, and n leaves make at most n - 1
 * branches.
 */
static void trie_init(trie_t *t, const model_route_t *routes, uint32_t count) {
    size_t keys = 2 * (size_t)count;
    size_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes += 2 * routes[i].path.len + 1;
    }

    t->arena = arena_new();
    t->count = count;
    t->keys = arena_alloc(t->arena, keys * sizeof(trie_key_t));
    t->spans = arena_alloc(t->arena, (2 * keys + 1) * sizeof(trie_span_t));
    t->nodes = arena_alloc(t->arena, (2 * keys + 1) * sizeof(mesh_trie_node_t));
    t->labels = arena_alloc(t->arena, bytes + 1);
    t->lists = arena_alloc(t->arena, keys * sizeof(uint32_t));
}

mesh_ref_t compile_trie(mesh_writer_t *w, const model_route_t *routes,
                        uint32_t count, bool folded) {
    trie_t t = {.nnodes = 1};
    mesh_ref_t ref = 0;

    if (count == 0) {
        return 0;
    }

    trie_init(&t, routes, count);
    trie_keys(&t, routes, folded);

    if (t.nkeys != 0 || !folded) {
        t.spans[0] = (trie_span_t){0, t.nkeys, 0};

        for (uint32_t at = 0; at < t.nnodes; at++) {
            trie_expand(&t, at);
        }
        ref = trie_put(w, &t);
    }

    arena_free(t.arena);
    return ref;
}
