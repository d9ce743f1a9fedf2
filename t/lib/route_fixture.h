/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What tests and fuzz targets of routing share: a snapshot image of what a
 * writer holds, requests with headers.  Header only, as fuzz targets
 * link no test library.
 */

#ifndef ROUTE_FIXTURE_H
#define ROUTE_FIXTURE_H

#include "mesh_regex.h"
#include "mesh_request.h"
#include "mesh_snapshot.h"
#include "mesh_writer.h"
#include "rng.h"

#include <stdlib.h>

#define FIXTURE_CAPACITY (UINT64_C(4) << 20)

/* The bytes of a writer as a checked snapshot. */
typedef struct {
    mesh_snapshot_t s;
    uint8_t *base;
    uint64_t *starts;
} image_t;

static inline mesh_status_t image_open(image_t *image, const mesh_writer_t *w) {
    mesh_pending_t pending = mesh_writer_pending(w);
    uint64_t size = mesh_writer_size(w);

    memset(image, 0, sizeof(*image));
    image->base = calloc(1, (size_t)size);
    image->starts = calloc(1, mesh_snapshot_starts_size(FIXTURE_CAPACITY));
    if (image->base == NULL || image->starts == NULL)
        return MESH_NO_MEMORY;
    memcpy(image->base + pending.offset, pending.data, (size_t)pending.len);

    mesh_status_t rc = mesh_snapshot_init(
        &image->s, image->base, FIXTURE_CAPACITY, size, image->starts);

    return rc == MESH_OK ? mesh_snapshot_verify(&image->s, size, 0) : rc;
}

static inline void image_close(image_t *image) {
    free(image->base);
    free(image->starts);
}

#define FIXTURE_HEADERS 8

typedef struct {
    mesh_request_t r;
    unsigned lookups; /* how often a header was asked for */
    unsigned regexes; /* how often one was matched */
    unsigned draws;   /* how often a ticket was asked for */
    uint64_t ticket;  /* the one that it gets */
    uint8_t address[16];
    uint32_t address_len;
    mesh_str_t sni;  /* empty: none */
    mesh_str_t port; /* empty: none */
    uint32_t nheaders;
    mesh_str_t names[FIXTURE_HEADERS];
    mesh_str_t values[FIXTURE_HEADERS];
} fixture_request_t;

static inline bool fixture_header(const mesh_request_t *r, mesh_str_t name,
                                  uint32_t hash, mesh_header_iter_t *iter,
                                  mesh_str_t *value) {
    fixture_request_t *f = r->ctx;

    f->lookups++;
    if (hash != mesh_header_hash(name.data, name.len))
        abort();
    while (iter->index < f->nheaders) {
        size_t i = iter->index++;

        if (mesh_str_eq(f->names[i], name)) {
            *value = f->values[i];
            return true;
        }
    }
    return false;
}

static inline bool fixture_address(const mesh_request_t *r,
                                   mesh_str_t *address) {
    const fixture_request_t *f = r->ctx;

    *address = (mesh_str_t){f->address_len, (const char *)f->address};
    return f->address_len != 0;
}

static inline bool fixture_sni(const mesh_request_t *r, mesh_str_t *name) {
    const fixture_request_t *f = r->ctx;

    *name = f->sni;
    return f->sni.len != 0;
}

static inline bool fixture_port(const mesh_request_t *r, mesh_str_t *port) {
    const fixture_request_t *f = r->ctx;

    *port = f->port;
    return f->port.len != 0;
}

static inline uint64_t fixture_ticket(const mesh_request_t *r,
                                      const mesh_rec_route_t *route) {
    fixture_request_t *f = r->ctx;

    if ((route->flags & MESH_ROUTE_SHARE) == 0)
        abort();
    f->draws++;
    return f->ticket;
}

static inline bool fixture_regex(const mesh_request_t *r,
                                 const mesh_digest_t *digest,
                                 mesh_str_t pattern, mesh_str_t text) {
    static struct {
        mesh_digest_t digest;
        mesh_regex_t re;
    } kept[16];
    fixture_request_t *f = r->ctx;
    size_t i = 0;
    int error;
    size_t at;

    f->regexes++;
    while (kept[i].re.code != NULL &&
           memcmp(&kept[i].digest, digest, sizeof(*digest)) != 0) {
        if (++i == mesh_nelts(kept))
            abort();
    }
    if (kept[i].re.code == NULL) {
        kept[i].digest = *digest;
        if (!mesh_regex_compile(&kept[i].re, pattern, NULL, &error, &at))
            abort();
    }
    return mesh_regex_match(&kept[i].re, text) == MESH_REGEX_YES;
}

static inline mesh_found_e fixture_search(const mesh_request_t *r,
                                          const mesh_digest_t *digest,
                                          mesh_str_t pattern, mesh_str_t text,
                                          mesh_found_t *found) {
    mesh_found_e result;
    mesh_regex_t re;
    int error;
    size_t at;

    (void)r;
    (void)digest;
    if (!mesh_regex_make(&re, pattern, true, NULL, &error, &at))
        abort();
    result = mesh_regex_search(&re, text, found);
    mesh_regex_free(&re);
    return result;
}

static const mesh_request_calls_t fixture_calls = {.header = fixture_header,
                                                   .address = fixture_address,
                                                   .sni = fixture_sni,
                                                   .port = fixture_port,
                                                   .ticket = fixture_ticket,
                                                   .regex = fixture_regex,
                                                   .search = fixture_search};

static inline void fixture_request(fixture_request_t *f, mesh_str_t method,
                                   mesh_str_t authority, mesh_str_t path) {
    memset(f, 0, sizeof(*f));
    f->r.method = method;
    f->r.method_bit = mesh_method_bit(method);
    f->r.scheme = MESH_STR("http");
    f->r.authority = authority;
    f->r.path = path;
    f->r.calls = &fixture_calls;
    f->r.ctx = f;
}

static inline void fixture_add_header(fixture_request_t *f, mesh_str_t name,
                                      mesh_str_t value) {
    f->names[f->nheaders] = name;
    f->values[f->nheaders++] = value;
}

#endif /* ROUTE_FIXTURE_H */
