/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The writer: one record of each content, checked before it is taken.
 */

#include <stdlib.h>

#include "mesh_writer_impl.h"


mesh_ref_t
mesh_writer_fail(mesh_writer_t *w, const char *error)
{
    if (w->error == NULL) {
        w->error = error;
    }

    return 0;
}


static mesh_writer_t *
writer_new(uint32_t file_number, uint64_t capacity)
{
    mesh_writer_t  *w;

    if (file_number == 0 || capacity < MESH_FILE_CAPACITY_MIN
        || capacity > MESH_FILE_CAPACITY_MAX)
    {
        return NULL;
    }

    w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return NULL;
    }

    w->file_number = file_number;
    w->capacity = capacity & ~UINT64_C(7);
    w->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    w->md_ctx = EVP_MD_CTX_new();
    w->digest_buf = malloc(MESH_DIGEST_BUFFER);

    if (!mesh_index_init(&w->index) || w->md == NULL || w->md_ctx == NULL
        || w->digest_buf == NULL)
    {
        mesh_writer_free(w);
        return NULL;
    }

    return w;
}


/* Room for n more bytes behind what is there. */
static bool
writer_reserve(mesh_writer_t *w, uint64_t n)
{
    uint8_t   *buf;
    uint64_t   used, size;

    used = w->size - w->base_size;

    if (n <= w->buf_size - used) {
        return true;
    }

    size = mesh_max(w->buf_size + w->buf_size / 2, used + n);
    size = mesh_max(size, 65536);

    buf = realloc(w->buf, size);
    if (buf == NULL) {
        return false;
    }

    w->buf = buf;
    w->buf_size = size;

    return true;
}


mesh_writer_t *
mesh_writer_create(uint32_t file_number, uint64_t capacity)
{
    mesh_writer_t     *w;
    mesh_file_head_t  *head;

    w = writer_new(file_number, capacity);
    if (w == NULL) {
        return NULL;
    }

    if (!writer_reserve(w, sizeof(*head))) {
        mesh_writer_free(w);
        return NULL;
    }

    head = (mesh_file_head_t *) w->buf;
    memset(head, 0, sizeof(*head));
    memcpy(head->magic, MESH_FORMAT_MAGIC, sizeof(head->magic));
    head->version = MESH_FORMAT_VERSION;
    head->head_size = sizeof(*head);
    head->file_number = file_number;
    head->capacity = w->capacity;

    w->size = sizeof(*head);

    return w;
}


void
mesh_writer_free(mesh_writer_t *w)
{
    if (w == NULL) {
        return;
    }

    mesh_index_free(&w->index);
    EVP_MD_CTX_free(w->md_ctx);
    EVP_MD_free(w->md);
    free(w->digest_buf);
    free(w->scratch);
    free(w->buf);
    free(w);
}


/* --- content ------------------------------------------------------------ */

/* Where content goes on behind the header and a digest, if there is one. */
static uint32_t
writer_body(const mesh_rec_t *rec)
{
    const mesh_schema_t  *schema = mesh_schema(rec->kind);

    return sizeof(mesh_rec_t)
           + (schema->digested ? (uint32_t) sizeof(mesh_digest_t) : 0);
}


static uint32_t
writer_hash(const mesh_rec_t *rec)
{
    uint32_t  body;
    uint64_t  hash;

    body = writer_body(rec);

    hash = mesh_hash64(rec, sizeof(*rec))
           ^ mesh_hash64((const uint8_t *) rec + body, rec->size - body);

    return (uint32_t) mesh_mix64(hash);
}


static bool
writer_equal(const mesh_rec_t *a, const mesh_rec_t *b)
{
    uint32_t  body;

    if (memcmp(a, b, sizeof(*a)) != 0) {
        return false;
    }

    body = writer_body(a);

    return memcmp((const uint8_t *) a + body, (const uint8_t *) b + body,
                  a->size - body) == 0;
}


static mesh_ref_t
writer_find(const mesh_writer_t *w, const mesh_rec_t *rec, uint32_t hash)
{
    uint32_t    probe, number;
    mesh_ref_t  ref;

    probe = hash;

    while ((number = mesh_index_next(&w->index, hash, &probe))
           != MESH_INDEX_NONE)
    {
        ref = w->index.entries[number].ref;

        if (writer_equal(rec, mesh_writer_at(w, ref))) {
            return ref;
        }
    }

    return 0;
}


static const void *
writer_get(void *ctx, mesh_ref_t ref)
{
    mesh_writer_t  *w = ctx;

    if (mesh_index_number(&w->index, ref) == MESH_INDEX_NONE) {
        return NULL;
    }

    return mesh_writer_at(w, ref);
}


/*
 * A padded copy behind the last record, where it stays if it is taken.  `rec`
 * may itself be in the buffer that grows.
 */
static mesh_rec_t *
writer_stage(mesh_writer_t *w, const mesh_rec_t *rec)
{
    bool        inside;
    uint32_t    size, padded;
    uint64_t    at;
    uintptr_t   buf;
    mesh_rec_t *staged;

    size = rec->size;

    if (size < sizeof(*rec) || size > MESH_RECORD_MAX) {
        (void) mesh_writer_fail(w, "a record of an impossible size");
        return NULL;
    }

    padded = (size + 7) & ~UINT32_C(7);
    buf = (uintptr_t) w->buf;
    at = (uintptr_t) rec - buf;
    inside = w->buf != NULL && (uintptr_t) rec >= buf && at < w->buf_size;

    if (!writer_reserve(w, padded)) {
        (void) mesh_writer_fail(w, "no memory");
        return NULL;
    }

    if (inside) {
        rec = (const mesh_rec_t *) (w->buf + at);
    }

    staged = (mesh_rec_t *) (w->buf + (w->size - w->base_size));
    memcpy(staged, rec, size);
    memset((uint8_t *) staged + size, 0, padded - size);
    staged->size = padded;

    return staged;
}


/* Takes the staged record: from here on it is part of the image. */
static mesh_ref_t
writer_append(mesh_writer_t *w, mesh_rec_t *staged, uint32_t hash)
{
    uint32_t        number;
    mesh_ref_t      ref;
    const char     *reason, *field;
    mesh_digest_t   digest;

    mesh_schema_reader_t  reader = { writer_get, w };

    reason = mesh_schema_check(staged, &reader, &field);
    if (reason != NULL) {
        return mesh_writer_fail(w, reason);
    }

    if (staged->size > w->capacity - w->size) {
        return mesh_writer_fail(w, "the snapshot's capacity is used up");
    }

    if (!mesh_writer_sum(w, staged, &digest)) {
        return mesh_writer_fail(w, "SHA-256 failed");
    }

    if (mesh_schema(staged->kind)->digested) {
        memcpy(staged + 1, &digest, sizeof(digest));
    }

    ref = (mesh_ref_t) (w->size >> 3);

    number = mesh_index_add(&w->index, ref, hash, true);
    if (number == MESH_INDEX_NONE) {
        return mesh_writer_fail(w, "no memory");
    }

    w->index.entries[number].digest = digest;
    w->size += staged->size;

    return ref;
}


mesh_ref_t
mesh_writer_put(mesh_writer_t *w, const mesh_rec_t *rec)
{
    uint32_t     hash;
    mesh_ref_t   ref;
    mesh_rec_t  *staged;

    if (w->error != NULL) {
        return 0;
    }

    if (mesh_schema(rec->kind) == NULL) {
        return mesh_writer_fail(w, "a record of an unknown kind");
    }

    staged = writer_stage(w, rec);
    if (staged == NULL) {
        return 0;
    }

    if (staged->size < writer_body(staged)) {
        return mesh_writer_fail(w, "a record of an impossible size");
    }

    hash = writer_hash(staged);

    ref = writer_find(w, staged, hash);
    if (ref != 0) {
        return ref;
    }

    return writer_append(w, staged, hash);
}


/* --- going on with a file ----------------------------------------------- */

/*
 * Takes a record that is in the file.  A digest that its content does not
 * have would serve one cluster under another's name: that file is refused.
 */
static bool
writer_adopt(mesh_writer_t *w, mesh_ref_t ref)
{
    uint32_t           hash, number;
    mesh_digest_t      digest;
    const mesh_rec_t  *rec;

    rec = mesh_writer_at(w, ref);

    if (!mesh_writer_sum(w, rec, &digest)) {
        return false;
    }

    if (mesh_schema(rec->kind)->digested
        && memcmp(rec + 1, &digest, sizeof(digest)) != 0)
    {
        return false;
    }

    hash = writer_hash(rec);

    number = mesh_index_add(&w->index, ref, hash,
                            writer_find(w, rec, hash) == 0);
    if (number == MESH_INDEX_NONE) {
        return false;
    }

    w->index.entries[number].digest = digest;

    return true;
}


mesh_writer_t *
mesh_writer_open(const mesh_snapshot_t *s)
{
    uint64_t           offset;
    mesh_ref_t         ref;
    mesh_writer_t     *w;
    const mesh_rec_t  *rec;

    /* The file's own capacity: less of it may be mapped. */
    w = writer_new(s->file_number,
                   ((const mesh_file_head_t *) s->base)->capacity);
    if (w == NULL) {
        return NULL;
    }

    w->base = s->base;
    w->base_size = s->verified;
    w->committed = s->verified;
    w->size = s->verified;

    for (offset = sizeof(mesh_file_head_t);
         offset < s->verified;
         offset += rec->size)
    {
        ref = (mesh_ref_t) (offset >> 3);
        rec = mesh_writer_at(w, ref);

        /* Nothing is known of what the reader stepped over. */
        if (mesh_snapshot_record(s, ref) == NULL) {
            continue;
        }

        if (!writer_adopt(w, ref)) {
            mesh_writer_free(w);
            return NULL;
        }
    }

    w->committed_count = w->index.count;

    return w;
}


/* --- committing --------------------------------------------------------- */

mesh_pending_t
mesh_writer_pending(const mesh_writer_t *w)
{
    mesh_pending_t  pending;

    pending.offset = w->committed;
    pending.len = w->size - w->committed;
    pending.data = pending.len ? w->buf + (w->committed - w->base_size) : NULL;

    return pending;
}


void
mesh_writer_commit(mesh_writer_t *w, const void *base)
{
    w->committed = w->size;
    w->committed_count = w->index.count;

    if (base == NULL) {
        return;
    }

    w->base = base;
    w->base_size = w->size;

    /* A full build's worth of memory is not kept for a delta's. */
    if (w->buf_size > UINT64_C(1) << 20) {
        free(w->buf);
        w->buf = NULL;
        w->buf_size = 0;
    }
}


void
mesh_writer_rollback(mesh_writer_t *w)
{
    mesh_index_truncate(&w->index, w->committed_count);
    w->size = w->committed;

    /* The head of a file that was never written is not a record. */
    if (w->size == 0) {
        w->size = sizeof(mesh_file_head_t);
    }

    w->error = NULL;
}


/* --- asking ------------------------------------------------------------- */

const char *
mesh_writer_error(const mesh_writer_t *w)
{
    return w->error;
}


mesh_digest_t
mesh_writer_digest(const mesh_writer_t *w, mesh_ref_t ref)
{
    uint32_t       number;
    mesh_digest_t  none;

    number = mesh_index_number(&w->index, ref);
    if (number != MESH_INDEX_NONE) {
        return w->index.entries[number].digest;
    }

    memset(&none, 0, sizeof(none));

    return none;
}


const void *
mesh_writer_get(const mesh_writer_t *w, mesh_ref_t ref)
{
    return mesh_index_number(&w->index, ref) == MESH_INDEX_NONE
           ? NULL : mesh_writer_at(w, ref);
}


mesh_str_t
mesh_writer_text(const mesh_writer_t *w, mesh_ref_t ref)
{
    const mesh_rec_string_t  *rec;

    rec = mesh_writer_get(w, ref);
    if (rec == NULL || rec->rec.kind != MESH_KIND_STRING) {
        return MESH_STR_NULL;
    }

    return (mesh_str_t) { rec->len, rec->data };
}


uint64_t
mesh_writer_size(const mesh_writer_t *w)
{
    return w->size;
}


uint64_t
mesh_writer_capacity(const mesh_writer_t *w)
{
    return w->capacity;
}


uint32_t
mesh_writer_file_number(const mesh_writer_t *w)
{
    return w->file_number;
}
