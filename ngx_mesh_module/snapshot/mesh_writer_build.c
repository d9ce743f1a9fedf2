/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The plain shapes: texts and lists.
 */

#include <stdlib.h>

#include "mesh_writer_impl.h"


void *
mesh_writer_scratch(mesh_writer_t *w, uint16_t kind, uint64_t size)
{
    void        *p;
    mesh_rec_t  *rec;

    if (size > MESH_RECORD_MAX) {
        (void) mesh_writer_fail(w, "a record is too large");
        return NULL;
    }

    if (size > w->scratch_size) {
        p = realloc(w->scratch, size * 2);
        if (p == NULL) {
            (void) mesh_writer_fail(w, "no memory");
            return NULL;
        }

        w->scratch = p;
        w->scratch_size = size * 2;
    }

    memset(w->scratch, 0, size);

    rec = w->scratch;
    rec->kind = kind;
    rec->size = (uint32_t) size;

    return rec;
}


mesh_ref_t
mesh_writer_put_str(mesh_writer_t *w, mesh_str_t text)
{
    mesh_rec_string_t  *rec;

    /* with the NUL, which the scratch memory has already */
    rec = mesh_writer_scratch(w, MESH_KIND_STRING,
                              sizeof(*rec) + (uint64_t) text.len + 1);
    if (rec == NULL) {
        return 0;
    }

    rec->len = (uint32_t) text.len;

    if (text.len != 0) {
        memcpy(rec->data, text.data, text.len);
    }

    return mesh_writer_put(w, &rec->rec);
}


mesh_ref_t
mesh_writer_put_refs(mesh_writer_t *w, uint16_t value_kind,
    const mesh_ref_t *refs, uint32_t count)
{
    mesh_rec_refs_t  *rec;

    if (count == 0) {
        return 0;
    }

    rec = mesh_writer_scratch(w, MESH_KIND_REFS,
                              offsetof(mesh_rec_refs_t, v)
                              + (uint64_t) count * sizeof(*refs));
    if (rec == NULL) {
        return 0;
    }

    rec->value_kind = value_kind;
    rec->count = count;
    memcpy(rec->v, refs, count * sizeof(*refs));

    return mesh_writer_put(w, &rec->rec);
}


mesh_ref_t
mesh_writer_put_u32s(mesh_writer_t *w, const uint32_t *v, uint32_t count)
{
    mesh_rec_u32s_t  *rec;

    if (count == 0) {
        return 0;
    }

    rec = mesh_writer_scratch(w, MESH_KIND_U32S,
                              offsetof(mesh_rec_u32s_t, v)
                              + (uint64_t) count * sizeof(*v));
    if (rec == NULL) {
        return 0;
    }

    rec->count = count;
    memcpy(rec->v, v, count * sizeof(*v));

    return mesh_writer_put(w, &rec->rec);
}
