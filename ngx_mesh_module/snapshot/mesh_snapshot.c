/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The reader: checks records in the order of the file, marks where each one
 * starts, and turns references into pointers.
 */

#include "mesh_schema.h"
#include "mesh_snapshot.h"


#define SNAPSHOT_TEXT(number)     #number
#define SNAPSHOT_NUMBER(number)   SNAPSHOT_TEXT(number)


size_t
mesh_snapshot_starts_size(uint64_t capacity)
{
    /* a bit for each 8 bytes, in words of 64 bits */
    return (size_t) ((capacity / 8 + 63) / 64 * 8);
}


static bool
snapshot_zero(const uint8_t *p, size_t n)
{
    size_t   i;
    uint8_t  seen;

    seen = 0;

    for (i = 0; i < n; i++) {
        seen |= p[i];
    }

    return seen == 0;
}


mesh_status_t
mesh_snapshot_init(mesh_snapshot_t *s, const void *base, uint64_t capacity,
    uint64_t size, uint64_t *starts)
{
    const mesh_file_head_t  *head = base;

    memset(s, 0, sizeof(*s));

    if (size > capacity || size < sizeof(*head)
        || memcmp(head->magic, MESH_FORMAT_MAGIC, sizeof(head->magic)) != 0)
    {
        s->error.reason = "not a snapshot file";
        return MESH_CORRUPT;
    }

    if (!mesh_format_reads(head->version)) {
        s->error.reason = "not of a format version that this build reads, "
                          "which are " SNAPSHOT_NUMBER(MESH_FORMAT_OLDEST)
                          " to " SNAPSHOT_NUMBER(MESH_FORMAT_VERSION);
        return MESH_VERSION;
    }

    if (head->head_size != sizeof(*head) || head->file_number == 0
        || head->capacity < MESH_FILE_CAPACITY_MIN
        || head->capacity > MESH_FILE_CAPACITY_MAX
        || head->reserved0 != 0
        || !snapshot_zero(head->reserved, sizeof(head->reserved)))
    {
        s->error.reason = "the head of the file is broken";
        return MESH_CORRUPT;
    }

    s->base = base;
    s->capacity = mesh_min(capacity, head->capacity) & ~UINT64_C(7);
    s->verified = sizeof(*head);
    s->starts = starts;
    s->file_number = head->file_number;

    return MESH_OK;
}


static const void *
snapshot_get(void *ctx, mesh_ref_t ref)
{
    const mesh_snapshot_t  *s = ctx;

    if (((uint64_t) ref << 3) >= s->verified
        || (s->starts[ref / 64] >> (ref % 64) & 1) == 0)
    {
        return NULL;
    }

    return s->base + ((uint64_t) ref << 3);
}


static mesh_status_t
snapshot_refuse(mesh_snapshot_t *s, uint32_t kind, const char *reason)
{
    s->error.offset = s->verified;
    s->error.kind = kind;
    s->error.reason = reason;

    return MESH_CORRUPT;
}


/* Checks the record at s->verified and steps over it. */
static mesh_status_t
snapshot_step(mesh_snapshot_t *s, uint64_t end)
{
    mesh_ref_t             ref;
    const char            *reason;
    const mesh_rec_t      *rec;
    mesh_schema_reader_t   reader;

    if (end - s->verified < sizeof(mesh_rec_t)) {
        return snapshot_refuse(s, 0, "the file ends inside a record");
    }

    rec = (const mesh_rec_t *) (s->base + s->verified);

    if (rec->size < sizeof(mesh_rec_t) || rec->size % 8 != 0
        || rec->size > MESH_RECORD_MAX)
    {
        return snapshot_refuse(s, rec->kind, "not the size of a record");
    }

    if (rec->size > end - s->verified) {
        return snapshot_refuse(s, rec->kind, "the file ends inside a record");
    }

    /* Without a mark nothing can refer to it: it is for newer readers. */
    if (mesh_schema(rec->kind) == NULL && rec->kind != MESH_KIND_NONE
        && (rec->flags & MESH_REC_OPTIONAL))
    {
        s->verified += rec->size;
        return MESH_OK;
    }

    reader.get = snapshot_get;
    reader.ctx = s;

    reason = mesh_schema_check(rec, &reader, &s->error.field);
    if (reason != NULL) {
        return snapshot_refuse(s, rec->kind, reason);
    }

    ref = (mesh_ref_t) (s->verified >> 3);
    s->starts[ref / 64] |= UINT64_C(1) << (ref % 64);
    s->verified += rec->size;

    return MESH_OK;
}


mesh_status_t
mesh_snapshot_verify(mesh_snapshot_t *s, uint64_t end, uint64_t budget)
{
    uint64_t       stop;
    mesh_status_t  rc;

    memset(&s->error, 0, sizeof(s->error));

    if (end > s->capacity || end % 8 != 0) {
        return snapshot_refuse(s, 0, "not an end inside the capacity");
    }

    if (end <= s->verified) {
        return MESH_OK;
    }

    stop = budget && budget < end - s->verified ? s->verified + budget : end;

    while (s->verified < stop) {
        rc = snapshot_step(s, end);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    return s->verified < end ? MESH_AGAIN : MESH_OK;
}


uint64_t
mesh_snapshot_root_end(const void *base, uint64_t size, mesh_ref_t ref)
{
    uint64_t           offset;
    const mesh_rec_t  *rec;

    offset = (uint64_t) ref << 3;

    if (offset < sizeof(mesh_file_head_t) || offset > size
        || size - offset < sizeof(mesh_rec_root_t))
    {
        return 0;
    }

    rec = (const mesh_rec_t *) ((const uint8_t *) base + offset);

    if (rec->kind != MESH_KIND_ROOT || rec->size != sizeof(mesh_rec_root_t)) {
        return 0;
    }

    return offset + rec->size;
}


const mesh_rec_t *
mesh_snapshot_record(const mesh_snapshot_t *s, mesh_ref_t ref)
{
    mesh_snapshot_t  *ctx = (mesh_snapshot_t *) (uintptr_t) s;

    return snapshot_get(ctx, ref);
}


const mesh_rec_root_t *
mesh_snapshot_root(const mesh_snapshot_t *s, mesh_ref_t ref)
{
    const mesh_rec_t  *rec;

    rec = mesh_snapshot_record(s, ref);
    if (rec == NULL || rec->kind != MESH_KIND_ROOT) {
        return NULL;
    }

    return (const mesh_rec_root_t *) rec;
}


const mesh_map_entry_t *
mesh_map_find(const mesh_snapshot_t *s, mesh_ref_t map, mesh_str_t name,
    uint32_t hash)
{
    uint32_t                    low, high, middle;
    mesh_ref_t                  ref;
    const mesh_rec_map_t       *m;
    const mesh_rec_map_leaf_t  *leaf;

    if (map == 0) {
        return NULL;
    }

    m = mesh_get(s, map);
    ref = m->leaf[mesh_map_leaf(hash, m->bits)];
    if (ref == 0) {
        return NULL;
    }

    leaf = mesh_get(s, ref);
    low = 0;
    high = leaf->count;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (leaf->v[middle].hash < hash) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    for ( /* void */ ; low < leaf->count && leaf->v[low].hash == hash; low++) {
        if (mesh_str_eq(mesh_get_str(s, leaf->v[low].name), name)) {
            return &leaf->v[low];
        }
    }

    return NULL;
}


const mesh_map_entry_t *
mesh_map_next(const mesh_snapshot_t *s, mesh_ref_t map, mesh_map_iter_t *iter)
{
    const mesh_rec_map_t       *m;
    const mesh_rec_map_leaf_t  *leaf;

    if (map == 0) {
        return NULL;
    }

    m = mesh_get(s, map);

    for ( /* void */ ; iter->leaf < m->leaves; iter->leaf++, iter->entry = 0) {
        leaf = mesh_get(s, m->leaf[iter->leaf]);

        if (leaf != NULL && iter->entry < leaf->count) {
            return &leaf->v[iter->entry++];
        }
    }

    return NULL;
}
