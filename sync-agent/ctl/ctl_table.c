/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tables for people, JSON for machines.
 */

#include "ctl_table.h"
#include "ctl_args.h"

#include <stdarg.h>
#include <stdlib.h>

struct ctl_table_s {
    uint32_t columns;
    uint32_t count; /* cells, the head's included */
    uint32_t room;
    char **cells;
    size_t width[CTL_COLUMNS_MAX];
};

/*
 * Characters of UTF-8 text: its bytes that begin one.  Wide and combining ones
 * count as one, as every other.
 */
static size_t characters(const char *text) {
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static void cell_add(ctl_table_t *table, char *text) {
    if (text == NULL) {
        abort();
    }
    if (table->count == table->room) {
        table->room = table->room ? table->room * 2 : 64;
        table->cells =
            realloc(table->cells, table->room * sizeof(*table->cells));
        if (table->cells == NULL) {
            abort();
        }
    }
    uint32_t column = table->count % table->columns;
    table->width[column] = mesh_max(table->width[column], characters(text));
    table->cells[table->count++] = text;
}

ctl_table_t *ctl_table_new(const char *const *head) {
    ctl_table_t *table = calloc(1, sizeof(*table));

    if (table == NULL) {
        abort();
    }
    while (head[table->columns] != NULL && table->columns < CTL_COLUMNS_MAX) {
        table->columns++;
    }
    for (uint32_t i = 0; i < table->columns; i++) {
        cell_add(table, strdup(head[i]));
    }
    return table;
}

void ctl_table_add(ctl_table_t *table, const char *format, ...) {
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    cell_add(table, n == -1 ? NULL : text);
}

/* Nothing is printed behind the last cell that has text. */
static void print_row(const ctl_table_t *table, char **cells, FILE *out) {
    uint32_t last = table->columns;

    while (last > 0 && cells[last - 1][0] == '\0') {
        last--;
    }
    for (uint32_t i = 0; i < last; i++) {
        size_t width = i + 1 < last ? table->width[i] : 0;
        size_t used = characters(cells[i]);

        fprintf(out, "%s%s%*s", i ? "  " : "", cells[i],
                width > used ? (int)(width - used) : 0, "");
    }
    fputc('\n', out);
}

void ctl_table_print(ctl_table_t *table, FILE *out) {
    uint32_t rows = table->count / table->columns;

    for (uint32_t i = 0; i < rows; i++) {
        print_row(table, table->cells + i * table->columns, out);
    }
    for (uint32_t i = 0; i < table->count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
}

void ctl_plain(char *text) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        *text = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
}

void ctl_json_plain(cJSON *json) {
    cJSON *item;

    if (cJSON_IsString(json)) {
        ctl_plain(json->valuestring);
    }
    cJSON_ArrayForEach(item, json) {
        ctl_json_plain(item);
    }
}

void ctl_json_print(cJSON *json, FILE *out) {
    char *text = cJSON_PrintUnformatted(json);

    fprintf(out, "%s\n", text ? text : "null");
    cJSON_free(text);
    cJSON_Delete(json);
}

/* cJSON indents with tabs; in a string there is none that is not escaped. */
void ctl_json_print_lines(cJSON *json, FILE *out) {
    char *text = cJSON_Print(json);

    for (const char *p = text; p && *p; p++) {
        if (*p != '\t') {
            fputc(*p, out);
        } else {
            fputs(p[-1] == ':' ? " " : "  ", out);
        }
    }
    fputc('\n', out);
    cJSON_free(text);
    cJSON_Delete(json);
}

bool ctl_json_get_u64(const cJSON *json, const char *key, uint64_t *value) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    if (cJSON_IsString(item)) {
        return ctl_parse_u64(item->valuestring, value);
    }
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
        item->valuedouble > 9007199254740992.0) {
        return false;
    }
    *value = (uint64_t)item->valuedouble;
    return true;
}

void ctl_json_u64(cJSON *json, const char *key, uint64_t value) {
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    /* cJSON prints numbers with 15 digits: the rest would be lost. */
    if (value <= UINT64_C(9007199254740992)) {
        cJSON_AddRawToObject(json, key, text);
    } else {
        cJSON_AddStringToObject(json, key, text);
    }
}
