/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What reading and writing a zone share; for mesh_zone*.c alone.
 */

#ifndef MESH_ZONE_IMPL_H
#define MESH_ZONE_IMPL_H

#include <sys/types.h>

#include "mesh_zone.h"


/*
 * Fills *error (or nothing, if it is NULL); `err` is 0 where no call failed.
 * MESH_NO_SPACE for ENOSPC and EDQUOT, else MESH_ERROR.
 */
mesh_status_t mesh_zone_fail(mesh_zone_error_t *error, const char *what,
    int err, const char *path);

/*
 * open() of a file of the zone, never through a link; with O_CREAT it gets
 * `mode` whatever the umask says.  -1 with *error.
 */
int mesh_zone_open_file(const char *dir, const char *name, unsigned number,
    int flags, mode_t mode, mesh_zone_error_t *error);

/*
 * Maps a control page.  MESH_DECLINED: being made just now; MESH_CORRUPT,
 * MESH_VERSION; MESH_ERROR with errno.
 */
mesh_status_t mesh_zone_map_control(int fd, int prot, void **out);

/* Tells of such a failure, and returns it. */
mesh_status_t mesh_zone_control_failed(mesh_status_t rc, const char *dir,
    mesh_zone_error_t *error);


#endif /* MESH_ZONE_IMPL_H */
