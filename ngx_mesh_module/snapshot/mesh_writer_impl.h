/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The writer from inside; for mesh_writer*.c alone.
 *
 *     0            base_size          committed            size
 *     | caller's mapping |  buf: written |  buf: pending      |
 *
 * Until a caller commits with a mapping, base_size is 0 and all is in buf.
 */

#ifndef MESH_WRITER_IMPL_H
#define MESH_WRITER_IMPL_H

#include <openssl/evp.h>

#include "mesh_schema.h"
#include "mesh_writer.h"
#include "mesh_writer_index.h"


#define MESH_DIGEST_BUFFER   4096


struct mesh_writer_s {
    uint64_t         capacity;
    uint32_t         file_number;
    const char      *error;

    const uint8_t   *base;
    uint64_t         base_size;
    uint8_t         *buf;
    uint64_t         buf_size;          /* allocated */
    uint64_t         committed;
    uint64_t         size;

    mesh_index_t     index;
    uint32_t         committed_count;   /* records */

    EVP_MD          *md;
    EVP_MD_CTX      *md_ctx;
    uint8_t         *digest_buf;        /* MESH_DIGEST_BUFFER bytes */

    void            *scratch;           /* the record being put together */
    size_t           scratch_size;
};


/* The bytes at `ref`, whether a record starts there or not. */
static inline const void *
mesh_writer_at(const mesh_writer_t *w, mesh_ref_t ref)
{
    uint64_t  offset;

    offset = (uint64_t) ref << 3;

    return offset < w->base_size ? w->base + offset
                                 : w->buf + (offset - w->base_size);
}

/* Keeps the first failure; returns 0 for callers that return references. */
mesh_ref_t mesh_writer_fail(mesh_writer_t *w, const char *error);

/*
 * A zeroed record of that kind and size to be filled and put; one at a time.
 * NULL: no memory, or too large; the writer failed.
 */
void *mesh_writer_scratch(mesh_writer_t *w, uint16_t kind, uint64_t size);

/* A STRING of this writer, or MESH_STR_NULL. */
mesh_str_t mesh_writer_text(const mesh_writer_t *w, mesh_ref_t ref);

/* The content digest of a record whose references are in the index. */
bool mesh_writer_sum(mesh_writer_t *w, const mesh_rec_t *rec,
    mesh_digest_t *out);


#endif /* MESH_WRITER_IMPL_H */
