/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The record kinds as a table: where a record's references stand, which kinds
 * each may point at, where the trailing array is, and which rules hold beyond
 * that.  One row a kind; checking, digests, compaction and dumps read it.
 */

#ifndef MESH_SCHEMA_H
#define MESH_SCHEMA_H

#include "mesh_base.h"
#include "mesh_format.h"


#define mesh_kind_bit(kind)   (UINT64_C(1) << (kind))

#define MESH_REF_OPTIONAL     0x01      /* may be 0 */
#define MESH_REF_VALUE_KIND   0x02      /* kind = the record's value_kind */


typedef struct {
    uint16_t           offset;          /* in the record, or in the element */
    uint16_t           flags;           /* MESH_REF_* */
    uint64_t           kinds;           /* mesh_kind_bit() of the allowed */
    const char        *name;            /* the field's, for dumps and errors */
} mesh_ref_field_t;


/*
 * A rule beyond references, over a record whose own bounds and references
 * hold already.  `get` returns a checked record by reference.  Returns NULL,
 * or what is wrong as static text.
 */
typedef struct {
    const void        *(*get)(void *ctx, mesh_ref_t ref);
    void              *ctx;
} mesh_schema_reader_t;

typedef const char *(*mesh_rule_pt)(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader);


typedef struct {
    const char              *name;      /* NULL: no such kind */
    uint16_t                 fixed;     /* bytes before the trailing array */
    uint16_t                 element;   /* bytes of one element; 0: no array */
    uint16_t                 count;     /* offset of its uint32_t count */
    uint8_t                  digested;  /* a mesh_digest_t follows mesh_rec_t */
    uint8_t                  nfields;
    uint8_t                  nelements;
    const mesh_ref_field_t  *fields;    /* references in the fixed part */
    const mesh_ref_field_t  *elements;  /* references in each element */
    mesh_rule_pt             rule;      /* or NULL */
} mesh_schema_t;


/* The row of a kind, or NULL if this build does not know it. */
const mesh_schema_t *mesh_schema(unsigned kind);

/* A map's `bits` as it follows from its count: canonical. */
unsigned mesh_map_bits(uint32_t count);

/* Which leaf of a map with that many bits has the names of a hash. */
static inline uint32_t
mesh_map_leaf(uint32_t hash, unsigned bits)
{
    return bits ? hash >> (32 - bits) : 0;
}

/*
 * Checks one whole record, of which the caller knows that rec->size is a
 * multiple of 8 and that the bytes are there: known kind, size as its count
 * says, zero padding, references, rule.  reader->get returns NULL where no
 * checked record starts.  Returns NULL, or what is wrong as static text;
 * *field names the reference it is about, or is NULL.
 */
const char *mesh_schema_check(const mesh_rec_t *rec,
    const mesh_schema_reader_t *reader, const char **field);

/*
 * Calls visit for each reference field of a record that passed the checks
 * (zero references included), in order of position; stops at the first
 * result that is not MESH_OK and returns it.
 */
typedef mesh_status_t (*mesh_ref_visit_pt)(void *ctx, const mesh_rec_t *rec,
    uint32_t offset, const mesh_ref_field_t *field);

mesh_status_t mesh_schema_each_ref(const mesh_rec_t *rec,
    mesh_ref_visit_pt visit, void *ctx);


#endif /* MESH_SCHEMA_H */
