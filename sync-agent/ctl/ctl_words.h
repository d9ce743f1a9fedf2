/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What may stand where on meshctl's command line.
 */

#ifndef CTL_WORDS_H
#define CTL_WORDS_H

#include "ctl_args.h"

/* Instead of words: the shell's own names of files or directories. */
#define CTL_SHELL_FILES ":files"
#define CTL_SHELL_DIRECTORIES ":directories"

/*
 * Prints what the last of `words` may become, a line each, with a tab and a
 * description behind it where there is one; the words before it are those
 * behind "meshctl".  Names of the zone that a shell would read as something
 * else are left out.
 */
void ctl_words_print(const ctl_args_t *args, int count, char *const *words,
                     FILE *out);

#endif /* CTL_WORDS_H */
