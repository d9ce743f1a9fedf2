/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files of a mesh, native ones and Envoy's resources side by side, read by a
 * tool without agent and zone.
 */

#ifndef CTL_LOAD_H
#define CTL_LOAD_H

#include <stdio.h>

#include "ctl_args.h"
#include "model.h"
#include "xds.h"

typedef struct {
    arena_t *arena; /* the caller's */
    model_errors_t errors;
    uint32_t nparts;
    const model_part_t **parts; /* those that could be read */
    uint32_t nxds;              /* files of Envoy's resources */
    xds_t *xds;
} ctl_load_t;

/*
 * false after a message on standard error: a file cannot be read at all.
 * What is wrong in them is in load->errors.  `apart`: as of xds_new().
 */
bool ctl_load(ctl_load_t *load, arena_t *arena, const char *const *paths,
              uint32_t count, bool apart);

/* The command's own files, and what the agent would say of them together. */
bool ctl_load_checked(ctl_load_t *load, arena_t *arena, const ctl_args_t *args);

/* A line for people, with `before` in front of it. */
void ctl_load_print(const model_error_t *error, const char *before, FILE *out);

/*
 * Errors, on standard error.  What is passed over is only counted: here it
 * would hide the answer, and `validate` lists it.
 */
void ctl_load_complain(const model_errors_t *errors);

#endif /* CTL_LOAD_H */
