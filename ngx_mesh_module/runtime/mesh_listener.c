/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What workers say of where nginx listens; see mesh_listener.h.
 */

#include "mesh_listener.h"


#define LISTENERS_TRIES   64            /* a writer takes microseconds */


/* Both sides go by words: each of them is whole, whatever its neighbour. */
typedef uint32_t __attribute__((__may_alias__))  listeners_word_t;

#define LISTENERS_WORDS                                                       \
    (sizeof(mesh_listeners_t) / sizeof(listeners_word_t))


static mesh_listeners_t *
listeners_of(const mesh_runtime_t *rt, uint32_t worker)
{
    if (rt->listeners == NULL || worker >= rt->sizes.workers) {
        return NULL;
    }

    return (void *) (rt->listeners + (uint64_t) worker * rt->listeners_each);
}


/* --- to be told ---------------------------------------------------------- */

/* Where the text is, appended if it is not there yet; false: no room. */
static bool
listeners_text(mesh_listeners_t *all, const char *data, size_t len,
    uint16_t *at)
{
    uint32_t  i;

    if (len == 0) {
        *at = 0;
        return true;
    }

    for (i = 0; i + len <= all->text_len; i++) {
        if (memcmp(all->text + i, data, len) == 0) {
            *at = (uint16_t) i;
            return true;
        }
    }

    if (len > MESH_LISTENERS_TEXT - all->text_len) {
        return false;
    }

    memcpy(all->text + all->text_len, data, len);

    *at = (uint16_t) all->text_len;
    all->text_len += (uint32_t) len;

    return true;
}


/* The names one behind the other; false: no room. */
static bool
listeners_join(char joined[MESH_LISTENERS_TEXT], size_t *len,
    const mesh_str_t *tables, uint32_t ntables)
{
    uint32_t  i;

    *len = 0;

    for (i = 0; i < ntables; i++) {
        if (tables[i].len >= MESH_LISTENERS_TEXT - *len) {
            return false;
        }

        memcpy(joined + *len, tables[i].data, tables[i].len);
        *len += tables[i].len;
        joined[(*len)++] = '\0';
    }

    return true;
}


bool
mesh_listeners_add(mesh_listeners_t *all, const mesh_listener_t *row,
    mesh_str_t path, const mesh_str_t *tables, uint32_t ntables)
{
    char              joined[MESH_LISTENERS_TEXT];
    size_t            len;
    uint32_t          before;
    mesh_listener_t  *listener;

    before = all->text_len;

    if (all->count == MESH_LISTENERS_MAX) {
        goto no_room;
    }

    listener = &all->v[all->count];
    *listener = *row;

    if (!listeners_join(joined, &len, tables, ntables)
        || !listeners_text(all, joined, len, &listener->tables)
        || !listeners_text(all, path.data, path.len, &listener->path))
    {
        goto no_room;
    }

    listener->tables_len = (uint16_t) len;
    listener->path_len = (uint16_t) path.len;
    all->count++;

    return true;

no_room:

    all->text_len = before;
    all->left_out++;

    return false;
}


/*
 * The odd number is seen before any word of what comes, and the even one
 * after all of them.
 */
void
mesh_listeners_tell(mesh_runtime_t *rt, uint32_t worker,
    const mesh_listeners_t *all)
{
    size_t                   i;
    uint32_t                 seq;
    listeners_word_t        *to;
    mesh_listeners_t        *place;
    const listeners_word_t  *from;

    place = listeners_of(rt, worker);

    if (place == NULL) {
        return;
    }

    seq = mesh_load_relaxed(&place->seq);

    if (all == NULL && seq == 0) {
        return;
    }

    mesh_store_relaxed(&place->seq, seq | 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    mesh_store_relaxed(&place->pid, 0);

    if (all != NULL) {
        to = (listeners_word_t *) place;
        from = (const listeners_word_t *) all;

        for (i = offsetof(mesh_listeners_t, count) / sizeof(*to);
             i < LISTENERS_WORDS;
             i++)
        {
            mesh_store_relaxed(&to[i], from[i]);
        }

        mesh_store_relaxed(&place->pid,
                           mesh_load_relaxed(&rt->workers[worker].pid));
    }

    mesh_store_release(&place->seq, (seq | 1) + 1);
}


/* --- to be read ---------------------------------------------------------- */

static bool
listeners_copy(const mesh_listeners_t *place, mesh_listeners_t *copy)
{
    size_t                   i;
    unsigned                 tries;
    uint32_t                 seq;
    listeners_word_t        *to;
    const listeners_word_t  *from;

    to = (listeners_word_t *) copy;
    from = (const listeners_word_t *) place;

    for (tries = 0; tries < LISTENERS_TRIES; tries++) {

        seq = mesh_load_acquire(&place->seq);

        if (seq & 1) {
            continue;
        }

        for (i = 0; i < LISTENERS_WORDS; i++) {
            to[i] = mesh_load_relaxed(&from[i]);
        }

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

        if (mesh_load_relaxed(&place->seq) == seq) {
            return true;
        }
    }

    return false;
}


static bool
listeners_row_ok(const mesh_listeners_t *copy, const mesh_listener_t *row)
{
    if (row->family != MESH_LISTENER_UNIX
        && row->family != MESH_LISTENER_IPV4
        && row->family != MESH_LISTENER_IPV6)
    {
        return false;
    }

    return row->protocol <= MESH_LISTENER_STREAM
           && row->path <= copy->text_len
           && row->path_len <= copy->text_len - row->path
           && row->tables <= copy->text_len
           && row->tables_len <= copy->text_len - row->tables
           && (row->tables_len == 0
               || copy->text[row->tables + row->tables_len - 1] == '\0');
}


bool
mesh_listeners_read(const mesh_runtime_t *rt, uint32_t worker,
    mesh_listeners_t *copy)
{
    uint32_t                 i;
    const mesh_listeners_t  *place;

    place = listeners_of(rt, worker);

    if (place == NULL || !listeners_copy(place, copy)) {
        return false;
    }

    if (copy->pid == 0
        || copy->pid != mesh_load_relaxed(&rt->workers[worker].pid)
        || copy->count > MESH_LISTENERS_MAX
        || copy->text_len > MESH_LISTENERS_TEXT)
    {
        return false;
    }

    for (i = 0; i < copy->count; i++) {
        if (!listeners_row_ok(copy, &copy->v[i])) {
            return false;
        }
    }

    return true;
}


mesh_str_t
mesh_listener_path(const mesh_listeners_t *copy, const mesh_listener_t *row)
{
    return (mesh_str_t) { row->path_len, copy->text + row->path };
}


bool
mesh_listener_table(const mesh_listeners_t *copy, const mesh_listener_t *row,
    uint32_t *at, mesh_str_t *name)
{
    if (*at >= row->tables_len) {
        return false;
    }

    /* The last byte of the row's names is a 0. */
    name->data = copy->text + row->tables + *at;
    name->len = strlen(name->data);
    *at += (uint32_t) name->len + 1;

    return true;
}
