/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Regular expressions in RE2's syntax that PCRE2 reads alike.
 */

#ifndef MODEL_REGEX_H
#define MODEL_REGEX_H

#include "mesh_base.h"

/*
 * NULL, or what is wrong at the byte *at: RE2 would refuse it, or PCRE2 would
 * match other texts.  Static text.  Does not compile it.
 */
const char *model_regex_check(mesh_str_t pattern, size_t *at);

/* The same, and then PCRE2's word; `error` holds `size` bytes. */
bool model_regex_valid(mesh_str_t pattern, char *error, size_t size);

/* The groups that a valid pattern has. */
uint32_t model_regex_groups(mesh_str_t pattern);

#endif /* MODEL_REGEX_H */
