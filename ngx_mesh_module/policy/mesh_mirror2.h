/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Copies of requests over HTTP/2 (RFC 9113): written, and their answers read,
 * one at a time on a connection.  Of header fields that come only the status
 * is looked at; with a table of no size it needs no state.
 */

#ifndef MESH_MIRROR2_H
#define MESH_MIRROR2_H

#include "mesh_mirror.h"


/* Of an answer, unless the window is opened again: more than is read. */
#define MESH_MIRROR2_WINDOW   (4 * 1024 * 1024)

#define MESH_MIRROR2_KEPT     60        /* bytes of a frame; 10 settings */
#define MESH_MIRROR2_REPLIES  256       /* bytes that wait to be sent */

/* Of a connection, for all its requests.  Zeroed it begins. */
typedef struct {
    uint32_t       stream;              /* of the request under way, or 0 */
    bool           last;                /* no other request may follow */
    uint32_t       data;                /* bytes of DATA that came since the
                                           connection's window was opened */
    int64_t        window;              /* what the endpoint takes: of all */
    int64_t        initial;             /* ... of a new stream */
    int64_t        stream_window;       /* ... of the request under way */

    char          *request;             /* the caller's, with what is sent */
    size_t         len;
    size_t         at;                  /* of what was given out, in frames */
    uint32_t       part;                /* ... of the DATA at `at` */
    uint32_t       due;                 /* of it, as its head was given out */

    uint8_t        head[9];             /* of the frame that is read */
    uint8_t        head_len;
    uint8_t        kept_len;
    uint32_t       left;                /* bytes of its payload to come */
    uint8_t        kept[MESH_MIRROR2_KEPT];

    unsigned       status;              /* of the answer; 0: none yet */
    uint8_t        field_len;
    uint8_t        field[32];           /* where the status is encoded */
    bool           in_fields;           /* CONTINUATION is to follow */
    bool           fields_end;          /* and the stream's end was said */
    bool           over;
    bool           broken;
    bool           refused;             /* and nothing was done about it */

    uint32_t       replies_len;
    uint8_t        replies[MESH_MIRROR2_REPLIES];
} mesh_mirror2_t;


/*
 * A request made of another one's head, which is HTTP/1's, and of a body of
 * form->length bytes, with all that opens a connection before it.  As
 * snprintf, but nothing is written where there is not room for all; 0: the
 * old head is none.
 */
size_t mesh_mirror2_write(mesh_str_t head, const mesh_mirror_form_t *form,
    const char *body, char *out, size_t size);

/*
 * Begins with what mesh_mirror2_write() wrote: on a fresh connection, or on
 * one whose former answer is DONE.  Numbers its frames.
 */
void mesh_mirror2_begin(mesh_mirror2_t *m, char *request, size_t len);

/*
 * What is to be sent next, once all of the former was; empty: nothing, for
 * now.  Valid up to the next call of any of these; `out` has room for
 * MESH_MIRROR2_REPLIES bytes.
 */
mesh_str_t mesh_mirror2_next(mesh_mirror2_t *m, char *out);

/* Has all of the request been given out? */
bool mesh_mirror2_sent(const mesh_mirror2_t *m);

/* As mesh_mirror_read(). */
mesh_mirror_progress_e mesh_mirror2_read(mesh_mirror2_t *m, const char *data,
    size_t len);


#endif /* MESH_MIRROR2_H */
