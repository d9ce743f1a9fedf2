/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Allocations and system calls that fail when a test wants it: the linker
 * leads the program's own calls here first (WRAPPED in sync-agent/Makefile),
 * libraries' are left alone.  Of this thread only.
 *
 * A sweep fails the first call, then the second, and so on until an operation
 * gets through, so that each way out of it is taken once:
 *
 *     fault_t fault = {.kinds = FAULT_MEMORY};
 *     while (fault_again(&fault)) {
 *         ... set up; fault_begin(&fault); rc = operation(); fault_end();
 *         if (fault.hit) ... it failed, cleanly ...
 *         else           ... it did all ...
 *     }
 */

#ifndef FAULT_H
#define FAULT_H

#include "mesh_base.h"

#define FAULT_MEMORY 0x01 /* malloc and its like: NULL */
#define FAULT_OPEN 0x02   /* open, opendir, mkostemp, mkdir, memfd_create */
#define FAULT_WRITE 0x04  /* write, pwrite, ftruncate, fsync, sendfile */
#define FAULT_NAME 0x08   /* rename, link, unlink, chmod, fchmod */
#define FAULT_STAT 0x10   /* stat, fstat, fstatvfs */
#define FAULT_READ 0x20   /* read, pread, readdir */
#define FAULT_MAP 0x40    /* mmap */
#define FAULT_LOCK 0x80   /* fcntl */
#define FAULT_DIGEST 0x100
#define FAULT_WATCH 0x200 /* inotify_init1, inotify_add_watch */
#define FAULT_CALLS                                                            \
    (FAULT_OPEN | FAULT_WRITE | FAULT_NAME | FAULT_STAT | FAULT_READ |         \
     FAULT_MAP | FAULT_LOCK)

typedef struct {
    unsigned kinds;
    int err;          /* errno of it; 0: ENOMEM for memory, EIO for calls */
    bool partly;      /* a write takes half of its bytes before it fails */
    bool sticky;      /* all later calls of these kinds fail, too */
    bool die;         /* instead of that, the process is gone, as by kill -9 */
    unsigned at;      /* which call fails; from 1 */
    bool hit;         /* it did */
    const char *what; /* the name of the call that failed, or NULL */
} fault_t;

#define FAULT_DEAD 77 /* exit code of a process that died so */

/* The next call is the one to fail; false: the last round hit none. */
bool fault_again(fault_t *fault);

/* From here on, until the end; one at a time. */
void fault_begin(fault_t *fault);
void fault_end(void);

#endif /* FAULT_H */
