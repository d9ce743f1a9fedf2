/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where nginx listens, as each worker says it in the runtime's file: known at
 * configuration, told when the worker takes its slot, gone with it.
 *
 * One writer, the worker; readers copy first and believe nothing:
 *
 *     seq (odd: being written) | pid | count | left_out | listeners | text
 *
 * `pid` is the slot's: what an earlier worker said means nothing any more,
 * even if a build that knows nothing of it has the slot now.
 */

#ifndef MESH_LISTENER_H
#define MESH_LISTENER_H

#include "mesh_runtime.h"


#define MESH_LISTENERS_MAX       112    /* of one worker; more are counted */
#define MESH_LISTENERS_TEXT      4576   /* bytes for their names */


typedef enum {
    MESH_LISTENER_UNIX = 0,
    MESH_LISTENER_IPV4 = 4,
    MESH_LISTENER_IPV6 = 6
} mesh_listener_family_e;

typedef enum {
    MESH_LISTENER_HTTP = 0,
    MESH_LISTENER_STREAM = 1
} mesh_listener_protocol_e;

#define MESH_LISTENER_SSL        0x01
#define MESH_LISTENER_HTTP2      0x02
#define MESH_LISTENER_UDP        0x04   /* of http: HTTP/3 */
#define MESH_LISTENER_REUSEPORT  0x08
#define MESH_LISTENER_DEFAULT    0x10   /* its default server has a table */
#define MESH_LISTENER_UPSTREAMS  0x20   /* its servers lead to upstream{}s of
                                           the mesh; of stream: they may */

typedef struct {
    uint8_t   family;                   /* mesh_listener_family_e */
    uint8_t   protocol;                 /* mesh_listener_protocol_e */
    uint16_t  port;                     /* of addresses */
    uint32_t  flags;                    /* MESH_LISTENER_* */
    uint8_t   addr[16];                 /* IPv4: the first four */
    uint16_t  path;                     /* of a Unix socket: in the text */
    uint16_t  path_len;
    uint16_t  tables;                   /* names of route tables, in the text,
                                           each ended by a 0 */
    uint16_t  tables_len;               /* 0: none */
} mesh_listener_t;

typedef struct {
    uint32_t         seq;
    uint32_t         pid;
    uint32_t         count;
    uint32_t         left_out;          /* that had no room */
    uint32_t         text_len;
    uint32_t         reserved[3];
    mesh_listener_t  v[MESH_LISTENERS_MAX];
    char             text[MESH_LISTENERS_TEXT];
} mesh_listeners_t;

_Static_assert(sizeof(mesh_listener_t) == 32, "layout");
_Static_assert(sizeof(mesh_listeners_t) == MESH_LISTENERS_BYTES, "layout");


/*
 * Appends a listener; texts in `row` are filled in.  What is said twice is
 * kept once.  false: no room, which is counted in left_out.
 */
bool mesh_listeners_add(mesh_listeners_t *all, const mesh_listener_t *row,
    mesh_str_t path, const mesh_str_t *tables, uint32_t ntables);

/*
 * Writes into a worker's place; NULL: it says nothing (any more).  Does
 * nothing in a runtime without a place for it.  Only who holds the slot's
 * lock may call.
 */
void mesh_listeners_tell(mesh_runtime_t *rt, uint32_t worker,
    const mesh_listeners_t *all);

/*
 * Copies what a worker says, with every count and text within bounds.  false:
 * it says nothing, or what it says makes no sense.
 */
bool mesh_listeners_read(const mesh_runtime_t *rt, uint32_t worker,
    mesh_listeners_t *copy);

/* Texts of a copy. */
mesh_str_t mesh_listener_path(const mesh_listeners_t *copy,
    const mesh_listener_t *row);

/* The next name of a table after *at, which begins at 0; false: no more. */
bool mesh_listener_table(const mesh_listeners_t *copy,
    const mesh_listener_t *row, uint32_t *at, mesh_str_t *name);


#endif /* MESH_LISTENER_H */
