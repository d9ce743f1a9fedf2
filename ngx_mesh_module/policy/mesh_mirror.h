/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Copies of requests for other clusters: which requests, how one is written
 * as HTTP/1.1, and how its answer is read, which only says whether the
 * endpoint is well.
 */

#ifndef MESH_MIRROR_H
#define MESH_MIRROR_H

#include "mesh_base.h"
#include "mesh_format.h"


/*
 * Is this request one of the mirror's share?  Consecutive tickets give it
 * exactly its share of each 100.
 */
bool mesh_mirror_wanted(const mesh_mirror_t *mirror, uint64_t ticket);

/*
 * The Host that a mirror's endpoints see: "-shadow" behind the name, before a
 * port, unless the mirror wants it as it is.  As snprintf; no NUL.
 */
size_t mesh_mirror_host(const mesh_mirror_t *mirror, mesh_str_t host,
    char *out, size_t size);

/* How a copy differs from its original. */
typedef struct {
    mesh_str_t  host;
    uint64_t    length;         /* of its body */
    bool        last;           /* its connection is for nothing else */
} mesh_mirror_form_t;

/*
 * A request's head made of another one's, from its first line to its empty
 * line; what belongs to connections and frames bodies is left out.  A length
 * of 0 is said only where the old head announced a body.  As snprintf; 0: the
 * old head is none.
 */
size_t mesh_mirror_head(mesh_str_t head, const mesh_mirror_form_t *form,
    char *out, size_t size);


/* --- of both protocols (mesh_mirror2.c) ----------------------------------- */

/* The next line of a head, with its end; false: there is none that ends. */
bool mesh_mirror_line(mesh_str_t *head, mesh_str_t *line);

/* The same of its next header, with its name; false: there is none. */
bool mesh_mirror_field(mesh_str_t *head, mesh_str_t *line, mesh_str_t *name);

/* Does a header belong to its connection?  Does it announce a body? */
bool mesh_mirror_drops(mesh_str_t name);
bool mesh_mirror_frames(mesh_str_t name);


/* --- answers ------------------------------------------------------------- */

typedef enum {
    MESH_MIRROR_MORE = 0,       /* nothing is known yet */
    MESH_MIRROR_STATUS = 1,     /* its header is over, `status` is known */
    MESH_MIRROR_DONE = 2,       /* all of it is over */
    MESH_MIRROR_BAD = 3         /* no answer of HTTP/1 */
} mesh_mirror_progress_e;

#define MESH_MIRROR_LINE        64      /* bytes of a line that are looked at */
#define MESH_MIRROR_HEADER_MAX  65536   /* bytes of a response header */

/* Zeroed it begins; `head_only` is the caller's: of a HEAD. */
typedef struct {
    unsigned  status;           /* once it is known */
    bool      head_only;
    bool      last;             /* no other may follow on its connection */
    uint8_t   state;            /* mesh_mirror.c's */
    uint8_t   framing;
    uint32_t  line_len;         /* of all of the line */
    uint32_t  seen;             /* bytes of the header */
    uint64_t  left;             /* of the body, or of a chunk */
    char      line[MESH_MIRROR_LINE];
} mesh_mirror_answer_t;

/*
 * Reads some more bytes; says STATUS at each call while a body is going on.
 * Without a length a body ends with its connection: that is the caller's to
 * see.
 *
 * `last` is set once DONE by all that says so, and by all that another reader
 * could take for another length: two lengths, lines that go on, bytes behind
 * the end.
 */
mesh_mirror_progress_e mesh_mirror_read(mesh_mirror_answer_t *answer,
    const char *data, size_t len);


#endif /* MESH_MIRROR_H */
