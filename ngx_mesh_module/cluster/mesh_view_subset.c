/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which subset a request goes to: the one that it names, or what the cluster
 * says instead.  As Envoy's subset load balancer (its subset_lb.cc), for
 * names that are labels.
 */

#include "mesh_cluster_impl.h"
#include "mesh_subset.h"


static mesh_view_subset_t *
subset_find(const mesh_cluster_view_t *view, mesh_str_t name, uint32_t hash)
{
    uint32_t             at;
    mesh_view_subset_t  *subset;

    for (at = hash & view->index_mask; view->index[at] != 0;
         at = (at + 1) & view->index_mask)
    {
        subset = &view->subsets[view->index[at]];

        if (subset->hash == hash && mesh_str_eq(subset->name, name)) {
            return subset;
        }
    }

    return NULL;
}


/* `asked`: the subset that has no endpoint, or NULL. */
static mesh_view_subset_t *
subset_fallback(const mesh_cluster_view_t *view, uint32_t fallback,
    mesh_view_subset_t *asked)
{
    _Static_assert(MESH_FALLBACK_ANY == 1 && MESH_FALLBACK_SUBSET == 2,
                   "as view->subsets, which begin with the whole cluster");

    return fallback == MESH_FALLBACK_NONE
           ? asked : &view->subsets[fallback - MESH_FALLBACK_ANY];
}


static mesh_view_subset_t *
subset_of_cluster(const mesh_cluster_view_t *view, mesh_view_subset_t *asked)
{
    mesh_view_subset_t        *subset;
    const mesh_rec_subsets_t  *named;

    named = view->named;

    if (named == NULL) {
        return asked;
    }

    subset = subset_fallback(view, named->fallback, asked);

    return named->fallback != MESH_FALLBACK_NONE && subset->count == 0
           && (named->flags & MESH_SUBSETS_PANIC_ANY)
           ? &view->subsets[0] : subset;
}


mesh_view_subset_t *
mesh_view_unnamed(const mesh_cluster_view_t *view)
{
    return view->named != NULL && (view->named->flags & MESH_SUBSETS_REQUIRED)
           ? subset_of_cluster(view, NULL) : &view->subsets[0];
}


/* How many of a selector's keys the name has; both are in order. */
static uint32_t
subset_keys(const mesh_view_selector_t *selector, mesh_str_t name)
{
    uint32_t    i;
    mesh_str_t  label, key;

    i = 0;

    while (i < selector->count && mesh_subset_next(&name, &label, &key)) {
        i += mesh_subset_is_key(key, selector->keys[i]);
    }

    return i;
}


static uint32_t
subset_labels(mesh_str_t name)
{
    uint32_t    n;
    mesh_str_t  label, key;

    n = 0;

    while (mesh_subset_next(&name, &label, &key)) {
        n++;
    }

    return n;
}


/* The selector of exactly the keys that the name has, or NULL. */
static const mesh_view_selector_t *
subset_selector(const mesh_cluster_view_t *view, mesh_str_t name)
{
    uint32_t                     i, n;
    const mesh_view_selector_t  *selector;

    n = subset_labels(name);

    for (i = 0; i < view->nselectors; i++) {
        selector = &view->selectors[i];

        if (selector->count == n && subset_keys(selector, name) == n) {
            return selector;
        }
    }

    return NULL;
}


/*
 * The name with a selector's keys only, of those whose bits are in `which`.
 * `out` may be where the name is, which is not shorter.
 */
static mesh_str_t
subset_reduce(mesh_str_t name, const mesh_view_selector_t *selector,
    uint32_t which, char *out)
{
    size_t      len;
    uint32_t    i;
    mesh_str_t  label, key;

    i = 0;
    len = 0;

    while (i < selector->count && mesh_subset_next(&name, &label, &key)) {

        if (!mesh_subset_is_key(key, selector->keys[i])) {
            continue;
        }

        if (which & (UINT32_C(1) << i++)) {
            if (len != 0) {
                out[len++] = ',';
            }

            memmove(&out[len], label.data, label.len);
            len += label.len;
        }
    }

    return (mesh_str_t) { len, out };
}


/* What the selector of most keys looks at, of those that are all there. */
static mesh_str_t
subset_without_redundant(const mesh_cluster_view_t *view, mesh_str_t name,
    char *out)
{
    uint32_t                     i, n;
    const mesh_view_selector_t  *selector, *most;

    n = subset_labels(name);
    most = NULL;

    for (i = 0; i < view->nselectors; i++) {
        selector = &view->selectors[i];

        if (selector->count <= n
            && (most == NULL || selector->count > most->count)
            && subset_keys(selector, name) == selector->count)
        {
            most = selector;
        }
    }

    return most != NULL ? subset_reduce(name, most, UINT32_MAX, out) : name;
}


static bool
subset_redundant(const mesh_cluster_view_t *view)
{
    return (view->named->flags & MESH_SUBSETS_REDUNDANT) != 0;
}


/* Each step takes labels away, so it ends. */
static mesh_view_subset_t *
subset_by_labels(const mesh_cluster_view_t *view, mesh_str_t name)
{
    char                         reduced[MESH_SUBSET_NAME_MAX];
    mesh_view_subset_t          *subset;
    const mesh_view_selector_t  *selector;

    _Static_assert(MESH_SUBSET_NAME_MAX >= MESH_NAME_MAX,
                   "of names in snapshots, none is longer than `reduced`");

    for ( ;; ) {

        if (subset_redundant(view)) {
            name = subset_without_redundant(view, name, reduced);
        }

        subset = subset_find(view, name, mesh_hash32(name.data, name.len));

        if (subset != NULL && subset->members != 0) {
            return subset;
        }

        selector = subset_selector(view, name);

        if (selector == NULL || selector->fallback == MESH_FALLBACK_CLUSTER) {
            return subset_of_cluster(view, subset);
        }

        if (selector->fallback != MESH_FALLBACK_KEYS) {
            return subset_fallback(view, selector->fallback, subset);
        }

        name = subset_reduce(name, selector, selector->fallback_keys, reduced);
    }
}


/*
 * One that is there is found as it is, of either kind: labels that are the
 * keys of a selector have none that could be left out.
 */
mesh_view_subset_t *
mesh_view_subset(const mesh_cluster_view_t *view, mesh_str_t name,
    uint32_t hash)
{
    mesh_view_subset_t  *subset;

    if (name.len == 0) {
        return view->unnamed;
    }

    subset = subset_find(view, name, hash);

    if (subset != NULL && subset->members != 0) {
        return subset;
    }

    if (!mesh_subset_by_labels(name)) {
        return subset_of_cluster(view, subset);
    }

    return view->named != NULL ? subset_by_labels(view, name) : view->unnamed;
}


mesh_str_t
mesh_view_meant(const mesh_cluster_view_t *view, mesh_str_t name, char *out)
{
    return view->named != NULL && subset_redundant(view)
           && mesh_subset_by_labels(name)
           ? subset_without_redundant(view, name, out) : name;
}


bool
mesh_view_selects(const mesh_cluster_view_t *view, mesh_str_t name)
{
    return mesh_subset_by_labels(name) && subset_selector(view, name) != NULL;
}
