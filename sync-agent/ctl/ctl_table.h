/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tables for people: columns as wide as their widest cell, two spaces apart.
 */

#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "mesh_base.h"

#define CTL_COLUMNS_MAX 12

typedef struct ctl_table_s ctl_table_t;

/* `head`: the columns' names, NULL behind the last. */
ctl_table_t *ctl_table_new(const char *const *head);

/* A cell of the row; a row begins when the one before is full. */
void ctl_table_add(ctl_table_t *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints and frees. */
void ctl_table_print(ctl_table_t *table, FILE *out);

/*
 * For terminals, which files' names must not steer: control characters
 * become "?", in a text or in all texts of a tree.
 */
void ctl_plain(char *text);
void ctl_json_plain(cJSON *json);

/* Prints on one line and deletes. */
void ctl_json_print(cJSON *json, FILE *out);

/* The same for people: indented. */
void ctl_json_print_lines(cJSON *json, FILE *out);

/* Numbers that a double does not hold exactly become strings. */
void ctl_json_u64(cJSON *json, const char *key, uint64_t value);

/* What ctl_json_u64() wrote; false: it is none. */
bool ctl_json_get_u64(const cJSON *json, const char *key, uint64_t *value);

#endif /* CTL_TABLE_H */
