/* SPDX-License-Identifier: Apache-2.0 */

/* Frames of HTTP/2, between the files of mesh_mirror2.h. */

#ifndef MESH_MIRROR2_IMPL_H
#define MESH_MIRROR2_IMPL_H

#include "mesh_mirror2.h"


/* Entries of the static table of header compression. */
#define FIELD_AUTHORITY   1
#define FIELD_METHOD      2
#define FIELD_PATH        4
#define FIELD_HTTP        6             /* ":scheme: http" */
#define FIELD_STATUS      8             /* to 14, with values */
#define FIELD_LENGTH      28

/* The table of those that are not: its size is 0. */
#define FIELD_NO_TABLE    0x20

#define MIRROR2_HEAD      9             /* of a frame */
#define MIRROR2_OPENING   64            /* preface, SETTINGS, WINDOW_UPDATE */
#define MIRROR2_FRAME     16384         /* that everybody takes */
#define MIRROR2_DATA      4096
#define MIRROR2_DEFAULT   65535         /* a window of which nothing is said */

#define MIRROR2_ACK           0x01
#define MIRROR2_END_STREAM    0x01
#define MIRROR2_END_HEADERS   0x04
#define MIRROR2_PADDED        0x08
#define MIRROR2_PRIORITY      0x20

typedef enum {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_PRIORITY = 2,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PUSH_PROMISE = 5,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
    FRAME_CONTINUATION = 9
} mirror2_frame_e;

#define SETTING_WINDOW   4

#define REFUSED_STREAM   7


static inline uint32_t
mirror2_u32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}


static inline void
mirror2_put_u32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t) (value >> 24);
    p[1] = (uint8_t) (value >> 16);
    p[2] = (uint8_t) (value >> 8);
    p[3] = (uint8_t) value;
}


static inline void
mirror2_put_head(uint8_t *p, uint32_t len, mirror2_frame_e type,
    unsigned flags)
{
    mirror2_put_u32(p, len << 8 | (uint32_t) type);
    p[4] = (uint8_t) flags;
    mirror2_put_u32(p + 5, 0);
}


static inline uint32_t
mirror2_len(const uint8_t *head)
{
    return mirror2_u32(head) >> 8;
}


/* The status that a block of fields begins with; 0: none. */
unsigned mesh_mirror2_status(const uint8_t *p, size_t len);


#endif /* MESH_MIRROR2_IMPL_H */
