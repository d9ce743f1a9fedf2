/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Texts with substitutions in Envoy's terms, "%REQ(x-user)%" and others: read
 * once, by the agent, and written for each request from the FORMAT record.
 * One row of the table in mesh_substitute.c is one variable.
 *
 * What is not there is nothing, and a CR, LF or NUL that somebody sent comes
 * out as a blank.
 */

#ifndef MESH_SUBSTITUTE_H
#define MESH_SUBSTITUTE_H

#include "mesh_base.h"
#include "mesh_format.h"
#include "mesh_request.h"
#include "mesh_snapshot.h"
#include "mesh_text.h"


/* A piece as it is read; the texts point into what it was read from. */
typedef struct {
    mesh_format_var_e   var;
    uint8_t             flags;          /* MESH_FORMAT_* */
    uint16_t            max;
    mesh_str_t          name;
    mesh_str_t          other;
} mesh_substitute_part_t;


/* Is there anything but text? */
static inline bool
mesh_substitute_has(mesh_str_t text)
{
    return text.len != 0 && memchr(text.data, '%', text.len) != NULL;
}


/*
 * Reads a text; `response`: of a response, where more is known.  NULL, or
 * what is wrong with it, at which byte.
 */
const char *mesh_substitute_read(mesh_str_t text, bool response,
    mesh_substitute_part_t parts[MESH_FORMAT_PARTS_MAX], uint32_t *count,
    size_t *at);

/* Are name and other of such a part names of headers? */
static inline bool
mesh_substitute_names_header(unsigned var)
{
    return var == MESH_VAR_REQ || var == MESH_VAR_RESP;
}


#define MESH_FACT_MAX   128             /* bytes of a fact that is made */

typedef struct mesh_facts_s  mesh_facts_t;

/* What is known beside the request view. */
struct mesh_facts_s {
    const mesh_request_t  *request;

    /* Path and host as they went out; no data: not known, or as they came. */
    mesh_str_t             sent_path;
    mesh_str_t             sent_host;
    uint64_t               start_ms;    /* unix time */

    /* The value of a variable that its user knows; `buffer` may hold it. */
    mesh_str_t           (*fact)(const mesh_facts_t *facts, unsigned var,
                                 char buffer[MESH_FACT_MAX]);

    /* The first header of the response with that name. */
    bool                 (*response)(const mesh_facts_t *facts,
                                     mesh_str_t name, mesh_str_t *value);
    void                  *ctx;
};


/*
 * Writes the text as mesh_text_t does, of at most MESH_TEXT_MAX bytes, and
 * returns its length.  The other one escapes values that go into a path; half
 * of a path is another one, so a length above MESH_TEXT_MAX says that there
 * is none.
 */
size_t mesh_substitute_write(const mesh_snapshot_t *s,
    const mesh_rec_format_t *format, const mesh_facts_t *facts, char *out,
    size_t size);
size_t mesh_substitute_path(const mesh_snapshot_t *s,
    const mesh_rec_format_t *format, const mesh_facts_t *facts, char *out,
    size_t size);


#endif /* MESH_SUBSTITUTE_H */
