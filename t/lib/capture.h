/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a function prints, and what it reads from standard input.
 */

#ifndef CAPTURE_H
#define CAPTURE_H

#include "mesh_base.h"

typedef struct {
    int code;  /* of the function */
    char *out; /* standard output, a NUL behind it */
    char *err;
} capture_t;

/* Runs f(ctx) with `input` (or nothing) on standard input. */
capture_t capture(int (*f)(void *ctx), void *ctx, const char *input);
void capture_free(capture_t *captured);

#endif /* CAPTURE_H */
