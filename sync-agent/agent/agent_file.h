/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading a whole file of bounded size; making directories.
 */

#ifndef AGENT_FILE_H
#define AGENT_FILE_H

#include <sys/types.h>

#include "agent_arena.h"
#include "mesh_base.h"

/*
 * The file's content in the arena, a NUL behind it.  false with errno: EFBIG
 * when it is larger than `max`, EISDIR and EINVAL when it is no plain file.
 */
bool agent_file_read(arena_t *arena, const char *path, uint64_t max,
                     mesh_str_t *text);

/* The same from a descriptor, which may be a pipe; `hint`: likely bytes. */
bool agent_file_read_fd(arena_t *arena, int fd, uint64_t max, size_t hint,
                        mesh_str_t *text);

/*
 * What a command line names: a file, a pipe such as a shell's <(...), or "-"
 * for standard input.  Waits for who writes it.
 */
bool agent_file_read_input(arena_t *arena, const char *path, uint64_t max,
                           mesh_str_t *text);

/*
 * Makes a directory if it is missing, with this mode whatever the umask says.
 * false with errno; one that is there is right as it is.
 */
bool agent_make_dir(const char *path, mode_t mode);

#endif /* AGENT_FILE_H */
