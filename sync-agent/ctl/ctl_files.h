/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Mesh files as arguments.
 */

#ifndef CTL_FILES_H
#define CTL_FILES_H

#include "ctl_args.h"
#include "model.h"

typedef struct {
    arena_t *arena;
    const model_part_t **parts;
    uint32_t count;
    model_errors_t errors; /* of each file, and of all together */
} ctl_files_t;

/*
 * Reads and checks the files that the command was given; all is in the
 * arena.  false after a message: one cannot be read.
 */
bool ctl_files_read(ctl_files_t *files, arena_t *arena, const ctl_args_t *args);

/* The errors, or the warnings as well, a line each. */
void ctl_files_print(const ctl_files_t *files, bool warnings, FILE *out);

#endif /* CTL_FILES_H */
