/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Building a view: endpoints with what keeps each of them out, then per
 * subset the ones to pick from.  One piece of memory for all of it, but for
 * the groups of a subset that has several:
 *
 *     view | subsets | groups | selectors | keys | endpoints | upto ...
 *     | pick ... | hashed ... | index | names
 */

#include "mesh_cluster_impl.h"
#include "mesh_slow_start.h"


/*
 * Does a subset ask for nothing that the endpoint lacks?  Both lists are in
 * order of name, and equal labels are equal references.
 */
static bool
view_labels_match(const mesh_snapshot_t *s, mesh_ref_t want, mesh_ref_t have)
{
    uint32_t                  i, k;
    const mesh_rec_labels_t  *w, *h;

    if (want == 0 || want == have) {
        return true;
    }

    w = mesh_get(s, want);
    h = mesh_get(s, have);

    for (i = 0, k = 0; i < w->count; i++) {

        while (h != NULL && k < h->count && h->v[k].name != w->v[i].name) {
            k++;
        }

        if (h == NULL || k == h->count || h->v[k].value != w->v[i].value) {
            return false;
        }
    }

    return true;
}


/* Endpoints in a row mostly have the same labels. */
typedef struct {
    mesh_ref_t  want;
    mesh_ref_t  have;
    bool        known;
    bool        match;
} view_matcher_t;

static bool
view_match(view_matcher_t *m, const mesh_snapshot_t *s,
    const mesh_endpoint_t *endpoint)
{
    if (!m->known || m->have != endpoint->labels) {
        m->known = true;
        m->have = endpoint->labels;
        m->match = view_labels_match(s, m->want, m->have);
    }

    return m->match;
}


/* How many picks all named subsets can have together. */
static uint64_t
view_count_members(const mesh_view_build_t *b)
{
    uint32_t                          i, c, e;
    uint64_t                          n;
    view_matcher_t                    m;
    const mesh_rec_endpoint_chunk_t  *chunk;

    if (b->named == NULL || b->set == NULL) {
        return 0;
    }

    n = 0;

    for (i = 0; i < b->named->count; i++) {
        m = (view_matcher_t) { b->named->v[i].labels, 0, false, false };

        for (c = 0; c < b->set->count; c++) {
            chunk = mesh_get(b->s, b->set->v[c]);

            for (e = 0; e < chunk->count; e++) {
                n += view_match(&m, b->s, &chunk->v[e]);
            }
        }
    }

    return n;
}


/* The chunks' own count: the arrays follow from what is there. */
static uint32_t
view_count_endpoints(const mesh_view_build_t *b)
{
    uint32_t                          c, n;
    const mesh_rec_endpoint_chunk_t  *chunk;

    n = 0;

    for (c = 0; b->set != NULL && c < b->set->count; c++) {
        chunk = mesh_get(b->s, b->set->v[c]);
        n += chunk->count;
    }

    return n;
}


/* What selectors say, with keys as texts. */
static void
view_selectors(mesh_view_build_t *b, mesh_str_t *keys)
{
    uint32_t                i, k;
    const mesh_rec_refs_t  *refs;
    mesh_view_selector_t   *selector;

    for (i = 0; i < b->view->nselectors; i++) {
        refs = mesh_get(b->s, b->selectors->v[i].keys);

        selector = &b->view->selectors[i];
        selector->keys = keys;
        selector->count = refs->count;
        selector->fallback = b->selectors->v[i].fallback;
        selector->fallback_keys = b->selectors->v[i].fallback_keys;

        for (k = 0; k < refs->count; k++) {
            *keys++ = mesh_get_str(b->s, refs->v[k]);
        }
    }
}


/* The keys of all selectors together. */
static uint32_t
view_count_keys(const mesh_view_build_t *b)
{
    uint32_t                i, n;
    const mesh_rec_refs_t  *keys;

    n = 0;

    for (i = 0; b->selectors != NULL && i < b->selectors->count; i++) {
        keys = mesh_get(b->s, b->selectors->v[i].keys);
        n += keys->count;
    }

    return n;
}


typedef struct {
    uint32_t  total;
    uint32_t  nsubsets;
    uint32_t  nselectors;
    uint32_t  keys;
    uint32_t  index;
    uint64_t  picks;
    uint64_t  hashed;
} view_counts_t;


static view_counts_t
view_count(const mesh_view_build_t *b, uint32_t total)
{
    view_counts_t  n;

    n.total = total;
    n.nsubsets = 1 + (b->named != NULL ? b->named->count : 0) + b->nfound;
    n.nselectors = b->selectors != NULL ? b->selectors->count : 0;
    n.keys = view_count_keys(b);
    n.index = mesh_view_index_size(n.nsubsets - 1);
    n.picks = total + view_count_members(b) + b->found_members;
    n.hashed = mesh_lb_hashes(b->cluster->lb) ? n.picks : 0;

    return n;
}


/* The next of the pieces that follow one another; zeroed. */
static void *
view_piece(uint8_t **p, size_t size)
{
    uint8_t  *piece;

    piece = *p;
    *p += size;

    return memset(piece, 0, size);
}


static bool
view_allocate(mesh_view_build_t *b, const view_counts_t *n)
{
    size_t       size;
    uint8_t     *p;
    mesh_str_t  *keys;

    size = sizeof(mesh_cluster_view_t)
           + n->nsubsets * (sizeof(mesh_view_subset_t)
                            + sizeof(mesh_view_group_t))
           + n->nselectors * sizeof(mesh_view_selector_t)
           + n->keys * sizeof(mesh_str_t)
           + n->total * sizeof(mesh_view_endpoint_t)
           + n->picks * (sizeof(uint64_t) + sizeof(uint32_t))
           + (n->hashed + n->index) * sizeof(uint32_t)
           + b->names;

    p = mesh_alloc(b->arena, size);
    if (p == NULL) {
        return false;
    }

    b->view = view_piece(&p, sizeof(mesh_cluster_view_t));
    b->subsets = view_piece(&p, n->nsubsets * sizeof(mesh_view_subset_t));
    b->groups = view_piece(&p, n->nsubsets * sizeof(mesh_view_group_t));
    b->view->selectors = view_piece(&p, n->nselectors
                                        * sizeof(mesh_view_selector_t));
    keys = view_piece(&p, n->keys * sizeof(mesh_str_t));

    b->endpoints = (void *) p;
    p += n->total * sizeof(mesh_view_endpoint_t);

    b->upto = (void *) p;
    p += n->picks * sizeof(uint64_t);

    b->pick = (void *) p;
    p += n->picks * sizeof(uint32_t);

    b->hashed = n->hashed ? (void *) p : NULL;
    p += n->hashed * sizeof(uint32_t);

    b->index = view_piece(&p, n->index * sizeof(uint32_t));
    b->name = (char *) p;

    b->view->total = n->total;
    b->view->nsubsets = n->nsubsets;
    b->view->nselectors = n->nselectors;
    b->view->index_mask = n->index - 1;
    b->view->index = b->index;
    b->view->endpoints = b->endpoints;
    b->view->subsets = b->subsets;

    view_selectors(b, keys);

    return true;
}


mesh_endpoint_slot_t *
mesh_view_endpoint_slot(const mesh_view_build_t *b, uint32_t slot,
    uint64_t tag)
{
    mesh_endpoint_slot_t  *rt_slot;

    if (b->rt == NULL || slot >= b->rt->sizes.endpoints) {
        return NULL;
    }

    rt_slot = &b->rt->endpoints[slot];

    return mesh_load_acquire(&rt_slot->tag) == tag ? rt_slot : NULL;
}


/*
 * What the runtime knows of an endpoint of this cluster.  A reader finds
 * nothing behind a foreign tag; a worker makes the slot the endpoint's own.
 */
static mesh_endpoint_slot_t *
view_endpoint_slot(const mesh_view_build_t *b, uint64_t tag, uint32_t slot)
{
    return b->writable ? mesh_runtime_claim_endpoint(b->rt, slot, tag)
                       : mesh_view_endpoint_slot(b, slot, tag);
}


static uint32_t
view_out(mesh_view_build_t *b, const mesh_endpoint_t *endpoint, uint32_t slot)
{
    uint32_t               health;
    uint64_t               tag, word;
    mesh_endpoint_slot_t  *rt_slot;

    tag = mesh_endpoint_tag(b->s, b->tag, endpoint);
    health = mesh_health_bits(b->health, slot, tag);

    rt_slot = view_endpoint_slot(b, tag, slot);

    if (rt_slot != NULL && mesh_load_acquire(&rt_slot->ejected) != 0) {

        if (b->writable) {
            (void) mesh_runtime_uneject(b->rt, b->view->slot, slot, b->now_ms,
                                        false);
        }

        word = mesh_load_acquire(&rt_slot->ejected);

        if (word != 0) {
            b->ejected++;
        }

        if (word != 0 && mesh_ejected_until(word) > b->now_ms) {
            b->view->next_ms = mesh_min(b->view->next_ms,
                                        mesh_ejected_until(word));
        }
    }

    return mesh_endpoint_out(endpoint, health, rt_slot, b->now_ms);
}


static void
view_fill_endpoints(mesh_view_build_t *b)
{
    uint32_t                          c, e, n, slot, sizes;
    mesh_view_endpoint_t             *v;
    const mesh_rec_u32s_t            *slots;
    const mesh_rec_endpoint_chunk_t  *chunk;

    n = 0;

    sizes = b->rt ? b->rt->sizes.endpoints : MESH_SLOT_NONE;

    for (c = 0; b->set != NULL && c < b->set->count; c++) {
        chunk = mesh_get(b->s, b->set->v[c]);
        slots = mesh_chunk_slots(b->s, b->slots, c);

        for (e = 0; e < chunk->count; e++, n++) {
            v = &b->endpoints[n];
            slot = mesh_chunk_slot(slots, e);

            v->endpoint = &chunk->v[e];
            v->slot = slot < sizes ? slot : MESH_SLOT_NONE;
            v->weight = chunk->v[e].weight;
            v->ordinal = n;
            v->priority = mesh_min(chunk->v[e].priority, MESH_PRIORITY_MAX);
            v->out = view_out(b, v->endpoint, slot);
        }
    }
}


/*
 * The cluster's count of ejected endpoints against their words, as
 * mesh_runtime_recount_begin() asks; only when they differ, which takes an
 * ejected endpoint that left or a worker that died.
 */
static void
view_recount(mesh_view_build_t *b)
{
    uint32_t               i, ejected;
    uint64_t               seen, tag;
    mesh_view_endpoint_t  *v;
    mesh_endpoint_slot_t  *rt_slot;

    if (!b->writable || b->view->runtime == NULL
        || mesh_cluster_ejected(b->view->runtime) == b->ejected
        || !mesh_runtime_recount_begin(b->rt, b->view->slot, &seen))
    {
        return;
    }

    ejected = 0;

    for (i = 0; i < b->view->total; i++) {
        v = &b->endpoints[i];

        if (v->slot == MESH_SLOT_NONE) {
            continue;
        }

        tag = mesh_endpoint_tag(b->s, b->tag, v->endpoint);
        rt_slot = view_endpoint_slot(b, tag, v->slot);
        ejected += (mesh_load_acquire(&rt_slot->ejected) != 0);
    }

    if ((uint32_t) seen != ejected) {
        (void) mesh_runtime_recount_end(b->rt, b->view->slot, seen, ejected);
    }
}


/* false: no memory */
static bool
view_fill_subset(mesh_view_build_t *b, uint32_t index, mesh_ref_t want)
{
    uint32_t             i, *members;
    view_matcher_t       m;
    mesh_view_subset_t  *subset;

    m = (view_matcher_t) { want, 0, false, false };
    members = b->pick;
    subset = &b->subsets[index];
    subset->groups = &b->groups[index];

    for (i = 0; i < b->view->total; i++) {
        if (view_match(&m, b->s, b->endpoints[i].endpoint)) {
            members[subset->members++] = i;
        }
    }

    b->pick += subset->members;

    return mesh_view_group(b, subset, members);
}


/*
 * Turns that are the worker's own begin anywhere, or workers that make their
 * views at one time would send to one endpoint together.
 */
static void
view_tickets(mesh_view_build_t *b)
{
    uint32_t             i;
    uint64_t             seed;
    mesh_view_subset_t  *subset;

    if (!b->writable) {
        return;
    }

    seed = mesh_mix64(b->now_ms ^ (uint64_t) b->rt->worker << 48);

    for (i = 1 + MESH_SUBSET_TICKETS; i < b->view->nsubsets; i++) {
        subset = &b->subsets[i];
        subset->ticket = mesh_mix64(seed ^ subset->hash);
    }
}


/* false: no memory */
static bool
view_fill_subsets(mesh_view_build_t *b)
{
    uint32_t              i;
    const mesh_subset_t  *named;

    if (!view_fill_subset(b, 0, 0)) {
        return false;
    }

    for (i = 1; b->named != NULL && i <= b->named->count; i++) {
        named = &b->named->v[i - 1];
        b->subsets[i].name = mesh_get_str(b->s, named->name);
        b->subsets[i].hash = named->hash;

        if (!view_fill_subset(b, i, named->labels)) {
            return false;
        }
    }

    if (!mesh_view_fill_found(b)) {
        return false;
    }

    view_tickets(b);
    mesh_view_index(b);
    mesh_view_tell(b);

    return true;
}


mesh_cluster_slot_t *
mesh_view_cluster_slot(const mesh_view_build_t *b, uint32_t slot,
    uint64_t tag)
{
    mesh_cluster_slot_t  *rt_slot;

    if (b->rt == NULL || slot >= b->rt->sizes.clusters) {
        return NULL;
    }

    if (b->writable) {
        return mesh_runtime_claim_cluster(b->rt, slot, tag);
    }

    rt_slot = &b->rt->clusters[slot];

    return mesh_load_acquire(&rt_slot->tag) == tag ? rt_slot : NULL;
}


static void
view_find_runtime(mesh_view_build_t *b, uint32_t slot)
{
    mesh_cluster_view_t  *view;

    view = b->view;
    view->slot = b->rt != NULL && slot < b->rt->sizes.clusters
                 ? slot : MESH_SLOT_NONE;
    view->runtime = mesh_view_cluster_slot(b, slot, b->tag);

    if (view->runtime != NULL) {
        view->epoch = mesh_cluster_epoch(view->runtime);
    }
}


/* false: no memory */
static bool
view_begin(mesh_view_build_t *b, const mesh_rec_bind_cluster_t *bind)
{
    uint32_t       total;
    mesh_str_t     name;
    view_counts_t  counts;

    name = mesh_get_str(b->s, bind->name);

    b->cluster = mesh_get(b->s, bind->cluster);
    b->set = mesh_get(b->s, bind->set);
    b->slots = mesh_get(b->s, bind->slots);
    b->named = mesh_get(b->s, b->cluster->subsets);
    b->tag = mesh_runtime_tag(mesh_hash64(name.data, name.len));

    if (b->named != NULL) {
        b->selectors = mesh_get(b->s, b->named->selectors);
    }

    total = view_count_endpoints(b);

    if (!mesh_view_select(b, total)) {
        return false;
    }

    counts = view_count(b, total);

    if (!view_allocate(b, &counts)) {
        return false;
    }

    b->view->bind = bind;
    b->view->tag = b->tag;
    b->view->cluster = b->cluster;
    b->view->outlier = mesh_get(b->s, b->cluster->outlier);
    b->view->params = mesh_get(b->s, b->cluster->lb_params);
    b->view->named = b->named;
    b->view->name = name;
    b->view->built_ms = b->now_ms;
    b->view->next_ms = UINT64_MAX;

    return true;
}


mesh_cluster_view_t *
mesh_cluster_view(const mesh_snapshot_t *s, const mesh_rec_root_t *root,
    const mesh_rec_bind_cluster_t *bind, const mesh_health_t *health,
    mesh_runtime_t *rt, bool writable, uint64_t now_ms,
    const mesh_arena_t *arena)
{
    uint64_t           next_ms;
    mesh_view_build_t  b;

    memset(&b, 0, sizeof(b));

    b.s = s;
    b.arena = arena;
    b.health = health;
    b.rt = rt;
    b.writable = writable && rt != NULL;
    b.now_ms = now_ms;

    if (!view_begin(&b, bind)) {
        return NULL;
    }

    /* Epochs before any endpoint: what changes later is a new one. */

    b.view->health_epoch = mesh_health_epoch(health, b.tag);
    view_find_runtime(&b, bind->slot);
    view_fill_endpoints(&b);
    view_recount(&b);
    mesh_view_failover(&b, bind->node);
    mesh_view_places(&b);

    if (!mesh_view_zones(&b, root)) {
        return NULL;
    }

    next_ms = mesh_slow_start(b.view, b.endpoints, rt, b.writable, now_ms);
    b.view->next_ms = mesh_min(b.view->next_ms, next_ms);

    if (!view_fill_subsets(&b)) {
        return NULL;
    }

    b.view->unnamed = mesh_view_unnamed(b.view);

    return b.view;
}
