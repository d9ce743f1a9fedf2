/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Content digests: SHA-256 over a record's bytes without its own digest
 * field, each reference replaced by the digest of what it points at (zeroes
 * for none); cut to its first half.  A root's is over the kind and the
 * digests of policy, endpoints and identity alone, so that it does not tell
 * when, why or into which slots they were published.
 */

#include "mesh_writer_impl.h"


typedef struct {
    mesh_writer_t  *w;
    size_t          used;               /* of w->digest_buf */
    uint32_t        offset;             /* the record is taken up to here */
    bool            failed;
} digest_t;


static void
digest_flush(digest_t *d)
{
    if (EVP_DigestUpdate(d->w->md_ctx, d->w->digest_buf, d->used) != 1) {
        d->failed = true;
    }

    d->used = 0;
}


static void
digest_bytes(digest_t *d, const void *data, size_t len)
{
    size_t          n;
    const uint8_t  *p;

    for (p = data; len != 0; p += n, len -= n) {
        if (d->used == MESH_DIGEST_BUFFER) {
            digest_flush(d);
        }

        n = mesh_min(len, MESH_DIGEST_BUFFER - d->used);
        memcpy(d->w->digest_buf + d->used, p, n);
        d->used += n;
    }
}


static void
digest_ref(digest_t *d, mesh_ref_t ref)
{
    mesh_digest_t  digest;

    digest = mesh_writer_digest(d->w, ref);
    digest_bytes(d, &digest, sizeof(digest));
}


static mesh_status_t
digest_field(void *ctx, const mesh_rec_t *rec, uint32_t offset,
    const mesh_ref_field_t *field)
{
    digest_t       *d = ctx;
    mesh_ref_t      ref;
    const uint8_t  *p = (const uint8_t *) rec;

    (void) field;

    memcpy(&ref, p + offset, sizeof(ref));

    digest_bytes(d, p + d->offset, offset - d->offset);
    digest_ref(d, ref);
    d->offset = offset + (uint32_t) sizeof(ref);

    return MESH_OK;
}


static void
digest_record(digest_t *d, const mesh_rec_t *rec)
{
    d->offset = sizeof(*rec);

    if (mesh_schema(rec->kind)->digested) {
        d->offset += (uint32_t) sizeof(mesh_digest_t);
    }

    digest_bytes(d, rec, sizeof(*rec));
    (void) mesh_schema_each_ref(rec, digest_field, d);
    digest_bytes(d, (const uint8_t *) rec + d->offset, rec->size - d->offset);
}


static void
digest_root(digest_t *d, const mesh_rec_root_t *root)
{
    digest_bytes(d, &root->rec.kind, sizeof(root->rec.kind));
    digest_ref(d, root->policy);
    digest_ref(d, root->endpoints);
    digest_ref(d, root->identity);
}


bool
mesh_writer_sum(mesh_writer_t *w, const mesh_rec_t *rec, mesh_digest_t *out)
{
    digest_t  d = { w, 0, 0, false };
    uint8_t   sum[EVP_MAX_MD_SIZE];

    if (EVP_DigestInit_ex2(w->md_ctx, w->md, NULL) != 1) {
        return false;
    }

    if (rec->kind == MESH_KIND_ROOT) {
        digest_root(&d, (const mesh_rec_root_t *) rec);

    } else {
        digest_record(&d, rec);
    }

    digest_flush(&d);

    if (d.failed || EVP_DigestFinal_ex(w->md_ctx, sum, NULL) != 1) {
        return false;
    }

    memcpy(out, sum, sizeof(*out));

    return true;
}
