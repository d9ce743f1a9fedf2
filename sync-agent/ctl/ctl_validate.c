/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl validate: what the agent would say of these files together.
 */

#include "ctl_files.h"

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

int ctl_validate(const ctl_args_t *args) {
    arena_t *arena = arena_new();
    ctl_files_t files;
    int rc = CTL_EXIT_UNREADABLE;

    if (ctl_files_read(&files, arena, args)) {
        const model_errors_t *e = &files.errors;

        rc = e->errors ? CTL_EXIT_NO : CTL_EXIT_OK;
        ctl_files_print(&files, true, stdout);
        printf("%d file%s, %u error%s, %u warning%s\n", args->argc,
               plural((uint64_t)args->argc), e->errors, plural(e->errors),
               e->warnings, plural(e->warnings));
    }
    arena_free(arena);
    return rc;
}
