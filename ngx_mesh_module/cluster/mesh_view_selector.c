/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Subsets that selectors make: which there are, who is in each, what they are
 * called; and where subsets of either kind are found by name.
 *
 * Each endpoint is looked at once for each selector, and those that have the
 * same labels after one another once in all, so that the cost is linear.
 */

#include "mesh_cluster_impl.h"
#include "mesh_subset.h"


#define SELECTOR_NONE   UINT32_MAX

/*
 * Endpoints times selectors.  No mesh comes near, but a set may name a chunk
 * as often as it likes; with this, 32 bits count all that is made of them.
 */
#define SELECTOR_LOOKS_MAX   (UINT32_C(1) << 28)


/* The values of a selector's keys; equal values are equal references. */
typedef struct {
    mesh_ref_t  v[MESH_SELECTOR_KEYS_MAX];
} selector_values_t;


/* Both lists are in order of name.  false: a key is missing. */
static bool
selector_values(const mesh_snapshot_t *s, const mesh_rec_refs_t *keys,
    mesh_ref_t have, selector_values_t *values)
{
    uint32_t                  i, k;
    const mesh_rec_labels_t  *labels;

    labels = mesh_get(s, have);

    if (labels == NULL) {
        return false;
    }

    for (i = 0, k = 0; i < keys->count; i++) {

        while (k < labels->count && labels->v[k].name != keys->v[i]) {
            k++;
        }

        if (k == labels->count) {
            return false;
        }

        values->v[i] = labels->v[k].value;
    }

    return true;
}


static bool
selector_same(const mesh_snapshot_t *s, const mesh_rec_refs_t *keys,
    const mesh_view_found_t *found, const selector_values_t *values)
{
    selector_values_t  theirs;

    return selector_values(s, keys, found->labels, &theirs)
           && memcmp(theirs.v, values->v, keys->count * sizeof(mesh_ref_t))
              == 0;
}


static uint32_t
selector_hash(uint32_t selector, const selector_values_t *values, uint32_t n)
{
    return mesh_hash32(values->v, n * sizeof(mesh_ref_t))
           ^ (uint32_t) mesh_mix64(selector);
}


static mesh_str_t
selector_name(const mesh_view_build_t *b, const mesh_view_found_t *found,
    char *name)
{
    size_t                  len;
    uint32_t                i;
    selector_values_t       values;
    const mesh_rec_refs_t  *keys;

    keys = mesh_get(b->s, b->selectors->v[found->selector].keys);
    (void) selector_values(b->s, keys, found->labels, &values);

    for (i = 0, len = 0; i < keys->count; i++) {
        len = mesh_subset_put(name, len, mesh_get_str(b->s, keys->v[i]),
                              mesh_get_str(b->s, values.v[i]));
    }

    return (mesh_str_t) { len, name };
}


/*
 * The subset of those labels, found before or new; SELECTOR_NONE: the labels
 * lack a key, or make a name that nobody can ask for.
 */
static uint32_t
selector_find(mesh_view_build_t *b, uint32_t selector, mesh_ref_t labels)
{
    char                    name[MESH_SUBSET_NAME_MAX];
    uint32_t                at, hash;
    mesh_str_t              text;
    mesh_view_found_t      *found;
    selector_values_t       values;
    const mesh_rec_refs_t  *keys;

    keys = mesh_get(b->s, b->selectors->v[selector].keys);

    if (!selector_values(b->s, keys, labels, &values)) {
        return SELECTOR_NONE;
    }

    hash = selector_hash(selector, &values, keys->count);

    for (at = hash & b->found_mask; b->found_index[at] != 0;
         at = (at + 1) & b->found_mask)
    {
        found = &b->found[b->found_index[at] - 1];

        if (found->hash == hash && found->selector == selector
            && selector_same(b->s, keys, found, &values))
        {
            return b->found_index[at] - 1;
        }
    }

    found = &b->found[b->nfound];
    *found = (mesh_view_found_t) { .hash = hash, .selector = selector,
                                   .labels = labels };

    text = selector_name(b, found, name);

    if (text.len > MESH_SUBSET_NAME_MAX) {
        return SELECTOR_NONE;
    }

    b->names += text.len;
    b->found_index[at] = ++b->nfound;

    return b->nfound - 1;
}


/* How often labels change from one endpoint to the next: as many subsets. */
static uint32_t
selector_runs(const mesh_view_build_t *b)
{
    uint32_t                          c, e, n;
    mesh_ref_t                        last;
    const mesh_rec_endpoint_chunk_t  *chunk;

    n = 0;
    last = 0;

    for (c = 0; b->set != NULL && c < b->set->count; c++) {
        chunk = mesh_get(b->s, b->set->v[c]);

        for (e = 0; e < chunk->count; e++) {
            n += chunk->v[e].labels != last;
            last = chunk->v[e].labels;
        }
    }

    return n;
}


/* false: no memory, or too much of it */
static bool
selector_allocate(mesh_view_build_t *b, uint32_t total)
{
    size_t    size, index, most;
    uint8_t  *p;

    if (total > SELECTOR_LOOKS_MAX / b->selectors->count) {
        return false;
    }

    most = (size_t) selector_runs(b) * b->selectors->count;
    index = mesh_view_index_size((uint32_t) most);

    size = most * sizeof(mesh_view_found_t)
           + (index + (size_t) total * b->selectors->count)
             * sizeof(uint32_t);

    p = mesh_alloc(b->arena, size);

    if (p == NULL) {
        return false;
    }

    b->found = (void *) p;
    p += most * sizeof(mesh_view_found_t);

    b->found_mask = (uint32_t) index - 1;
    b->found_index = (void *) p;
    memset(b->found_index, 0, index * sizeof(uint32_t));
    p += index * sizeof(uint32_t);

    b->found_of = (void *) p;

    return true;
}


bool
mesh_view_select(mesh_view_build_t *b, uint32_t total)
{
    uint32_t                          i, c, e, at, *of;
    mesh_ref_t                        last;
    const mesh_rec_endpoint_chunk_t  *chunk;

    if (b->selectors == NULL || b->selectors->count == 0 || total == 0) {
        return true;
    }

    if (!selector_allocate(b, total)) {
        return false;
    }

    of = b->found_of;

    for (i = 0; i < b->selectors->count; i++) {
        at = SELECTOR_NONE;
        last = 0;

        for (c = 0; c < b->set->count; c++) {
            chunk = mesh_get(b->s, b->set->v[c]);

            for (e = 0; e < chunk->count; e++) {

                if (chunk->v[e].labels != last) {
                    last = chunk->v[e].labels;
                    at = selector_find(b, i, last);
                }

                *of++ = at;

                if (at != SELECTOR_NONE) {
                    b->found[at].members++;
                    b->found_members++;
                }
            }
        }
    }

    return true;
}


/* The members of all in a row: of each, its own, in order. */
static void
selector_members(mesh_view_build_t *b, uint32_t *members)
{
    uint32_t         i, k, at, start;
    const uint32_t  *of;

    for (i = 0, start = 0; i < b->nfound; i++) {
        b->found[i].next = start;
        start += b->found[i].members;
    }

    of = b->found_of;

    for (i = 0; i < b->selectors->count; i++) {
        for (k = 0; k < b->view->total; k++) {
            at = *of++;

            if (at != SELECTOR_NONE) {
                members[b->found[at].next++] = k;
            }
        }
    }
}


bool
mesh_view_fill_found(mesh_view_build_t *b)
{
    uint32_t             i, *members;
    mesh_str_t           name;
    mesh_view_subset_t  *subset;

    if (b->nfound == 0) {
        return true;
    }

    members = b->pick;
    b->pick += b->found_members;
    selector_members(b, members);

    for (i = 0; i < b->nfound; i++) {
        subset = &b->subsets[b->view->nsubsets - b->nfound + i];
        subset->groups = &b->groups[subset - b->subsets];
        subset->members = b->found[i].members;

        name = selector_name(b, &b->found[i], b->name);
        b->name += name.len;

        subset->name = name;
        subset->hash = mesh_hash32(name.data, name.len);

        if (!mesh_view_group(b, subset, members)) {
            return false;
        }

        members += subset->members;
    }

    return true;
}


uint32_t
mesh_view_index_size(uint32_t n)
{
    uint32_t  size;

    size = 2;

    while (size / 2 <= n) {
        size *= 2;
    }

    return size;
}


void
mesh_view_index(mesh_view_build_t *b)
{
    uint32_t              i, at;
    mesh_cluster_view_t  *view;

    view = b->view;

    for (i = 1; i < view->nsubsets; i++) {
        at = view->subsets[i].hash & view->index_mask;

        while (b->index[at] != 0) {
            at = (at + 1) & view->index_mask;
        }

        b->index[at] = i;
    }
}
