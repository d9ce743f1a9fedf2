/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl diff A [B]: what changed between two generations of the history,
 * as the differences of what `dump` says of them.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_args.h"
#include "ctl_dump.h"
#include "ctl_table.h"
#include "ctl_zone.h"

typedef struct {
    arena_t *arena;
    cJSON *list; /* NULL: print lines */
    uint32_t count;
} diff_t;

static void say(diff_t *d, const char *path, const cJSON *from,
                const cJSON *to) {
    d->count++;
    if (d->list != NULL) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "path", path);
        if (from != NULL) {
            cJSON_AddItemToObject(item, "from", cJSON_Duplicate(from, true));
        }
        if (to != NULL) {
            cJSON_AddItemToObject(item, "to", cJSON_Duplicate(to, true));
        }
        cJSON_AddItemToArray(d->list, item);
        return;
    }
    char *before = from ? cJSON_PrintUnformatted(from) : NULL;
    char *after = to ? cJSON_PrintUnformatted(to) : NULL;

    if (before != NULL && after != NULL) {
        printf("~ %s: %s -> %s\n", path, before, after);
    } else {
        printf("%c %s: %s\n", after ? '+' : '-', path, after ? after : before);
    }
    cJSON_free(before);
    cJSON_free(after);
}

/*
 * What tells an element of a list from the others: endpoints are sets by
 * address, routes and clusters go by name; all else by its place.
 */
static const char *element_key(arena_t *arena, const cJSON *item, int index) {
    static const char *const keys[] = {"address", "name", "cluster"};
    const cJSON *subset = cJSON_GetObjectItem(item, "subset");

    for (size_t i = 0; i < mesh_nelts(keys); i++) {
        const cJSON *key = cJSON_GetObjectItem(item, keys[i]);
        if (!cJSON_IsString(key)) {
            continue;
        }
        return cJSON_IsString(subset)
                   ? arena_printf(arena, "%s/%s", key->valuestring,
                                  subset->valuestring)
                   : arena_printf(arena, "%s", key->valuestring);
    }
    return arena_printf(arena, "%d", index);
}

/* A list or a map as pairs in order of their keys; keys may repeat. */
typedef struct {
    const char *key;
    const cJSON *value;
    int index;
} pair_t;

static int by_key(const void *a, const void *b) {
    const pair_t *x = a, *y = b;
    int rc = strcmp(x->key, y->key);

    return rc ? rc : (x->index > y->index) - (x->index < y->index);
}

static pair_t *pairs_of(diff_t *d, const cJSON *json, int *count) {
    const cJSON *item;
    int n = 0;
    pair_t *v = arena_alloc(d->arena, ((size_t)cJSON_GetArraySize(json) + 1) *
                                          sizeof(*v));

    cJSON_ArrayForEach(item, json) {
        v[n] = (pair_t){item->string ? item->string
                                     : element_key(d->arena, item, n),
                        item, n};
        n++;
    }
    qsort(v, (size_t)n, sizeof(*v), by_key);
    *count = n;
    return v;
}

static bool is_tree(const cJSON *json) {
    return cJSON_IsObject(json) || cJSON_IsArray(json);
}

static cJSON *keys_in_order(diff_t *d, const cJSON *list) {
    cJSON *keys = cJSON_CreateArray();
    const cJSON *item;
    int n = 0;

    cJSON_ArrayForEach(item, list) {
        cJSON_AddItemToArray(
            keys, cJSON_CreateString(element_key(d->arena, item, n++)));
    }
    return keys;
}

/* Routes are tried in their order; where it changed, the lists say how. */
static void say_order(diff_t *d, const char *path, const cJSON *a,
                      const cJSON *b) {
    cJSON *from = keys_in_order(d, a);
    cJSON *to = keys_in_order(d, b);

    say(d, path, from, to);
    cJSON_Delete(from);
    cJSON_Delete(to);
}

/* For each element of the one list its place in the other one, or -1. */
static bool are_in_order(const int *places, int count) {
    int last = -1;

    for (int i = 0; i < count; i++) {
        if (places[i] >= 0 && places[i] < last) {
            return false;
        }
        last = mesh_max(places[i], last);
    }
    return true;
}

static void compare(diff_t *d, const char *path, const cJSON *a,
                    const cJSON *b);

static void compare_trees(diff_t *d, const char *path, const cJSON *a,
                          const cJSON *b) {
    bool list = cJSON_IsArray(a);
    int na, nb, i = 0, k = 0;
    pair_t *va = pairs_of(d, a, &na), *vb = pairs_of(d, b, &nb);
    int *places = arena_alloc(d->arena, ((size_t)na + 1) * sizeof(*places));

    while (i < na || k < nb) {
        int rc = i == na ? 1 : k == nb ? -1 : strcmp(va[i].key, vb[k].key);
        const char *key = rc <= 0 ? va[i].key : vb[k].key;
        const char *below = list ? arena_printf(d->arena, "%s[%s]", path, key)
                            : path[0]
                                ? arena_printf(d->arena, "%s.%s", path, key)
                                : key;

        compare(d, below, rc <= 0 ? va[i].value : NULL,
                rc >= 0 ? vb[k].value : NULL);
        if (rc <= 0) {
            places[va[i].index] = rc == 0 ? vb[k].index : -1;
        }
        i += rc <= 0;
        k += rc >= 0;
    }
    if (list && !are_in_order(places, na)) {
        say_order(d, path, a, b);
    }
}

static void compare(diff_t *d, const char *path, const cJSON *a,
                    const cJSON *b) {
    if (a != NULL && b != NULL && is_tree(a) && (a->type == b->type)) {
        compare_trees(d, path, a, b);
    } else if (a == NULL || b == NULL || !cJSON_Compare(a, b, true)) {
        say(d, path, a, b);
    }
}

/* What names places, not content. */
static void drop_places(cJSON *json) {
    cJSON *item;

    cJSON_DeleteItemFromObject(json, "generation");
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "clusters")) {
        cJSON_DeleteItemFromObject(item, "slot");
    }
}

static bool parse_generation(const char *text, uint64_t *out) {
    if (ctl_parse_u64(text, out) && *out != 0) {
        return true;
    }
    fprintf(stderr, "meshctl: \"%s\" is not a generation\n", text);
    return false;
}

static cJSON *tree_at(const ctl_args_t *args, uint64_t generation) {
    ctl_zone_t zone;

    if (!ctl_zone_open(&zone, args->zone, generation)) {
        return NULL;
    }
    cJSON *json = ctl_dump_json(&zone, true, true);
    ctl_zone_close(&zone);
    drop_places(json);
    return json;
}

int ctl_diff(const ctl_args_t *args) {
    uint64_t from, to = 0;

    if (!parse_generation(args->argv[0], &from) ||
        (args->argc > 1 && !parse_generation(args->argv[1], &to))) {
        return CTL_EXIT_USAGE;
    }
    cJSON *a = tree_at(args, from);
    cJSON *b = a ? tree_at(args, to) : NULL;
    diff_t d = {.arena = arena_new()};

    if (b != NULL) {
        d.list = args->json ? cJSON_CreateArray() : NULL;
        compare(&d, "", a, b);
        if (d.list != NULL) {
            ctl_json_print(d.list, stdout);
        }
    }
    bool read = b != NULL;
    cJSON_Delete(a);
    cJSON_Delete(b);
    arena_free(d.arena);
    return !read ? CTL_EXIT_UNREADABLE : d.count ? CTL_EXIT_NO : CTL_EXIT_OK;
}
