/* SPDX-License-Identifier: Apache-2.0 */

/*
 * YAML in all its styles; see random_yaml.h.
 */

#include "random_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    rng_t *rng;
    FILE *out;
} yaml_t;

/* Quoted, unless it is surely the same without. */
static void put_text(yaml_t *y, const char *text) {
    size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyz/_-");
    bool word = text[0] >= 'a' && text[0] <= 'z' && text[plain] == '\0' &&
                strcmp(text, "true") != 0 && strcmp(text, "false") != 0 &&
                strcmp(text, "null") != 0;

    if (word && !rng_one_in(y->rng, 4)) {
        fputs(text, y->out);
    } else if (strpbrk(text, "\\\t\n") == NULL && rng_one_in(y->rng, 2)) {
        fputc('\'', y->out);
        for (const char *p = text; *p; p++) {
            fputs(*p == '\'' ? "''" : (char[]){*p, '\0'}, y->out);
        }
        fputc('\'', y->out);
    } else {
        fputc('"', y->out);
        for (const char *p = text; *p; p++) {
            if (*p == '"' || *p == '\\') {
                fprintf(y->out, "\\%c", *p);
            } else if (*p == '\t') {
                fputs(rng_one_in(y->rng, 2) ? "\\t" : "\\x09", y->out);
            } else {
                fputc(*p, y->out);
            }
        }
        fputc('"', y->out);
    }
}

static void put_scalar(yaml_t *y, const cJSON *item) {
    if (cJSON_IsString(item)) {
        put_text(y, item->valuestring);
    } else if (cJSON_IsBool(item)) {
        fputs(cJSON_IsTrue(item) ? "true" : "false", y->out);
    } else if (cJSON_IsRaw(item)) {
        fputs(item->valuestring, y->out);
    } else {
        fprintf(y->out, "%.0f", item->valuedouble);
    }
}

static bool is_scalar(const cJSON *item) {
    return !cJSON_IsObject(item) && !cJSON_IsArray(item);
}

static void put_flow(yaml_t *y, const cJSON *item) {
    bool map = cJSON_IsObject(item);

    if (is_scalar(item)) {
        put_scalar(y, item);
        return;
    }
    fputc(map ? '{' : '[', y->out);
    for (const cJSON *i = item->child; i != NULL; i = i->next) {
        fputs(i == item->child ? "" : ", ", y->out);
        if (map) {
            put_text(y, i->string);
            fputs(": ", y->out);
        }
        put_flow(y, i);
    }
    fputc(map ? '}' : ']', y->out);
}

static void put_line_end(yaml_t *y) {
    fputs(rng_one_in(y->rng, 9) ? "  # a comment\n" : "\n", y->out);
    if (rng_one_in(y->rng, 9)) {
        fputs("\n", y->out);
    }
}

/* Behind "key:" or "-": on this line, or indented on those below. */
static void put_value(yaml_t *y, const cJSON *item, int indent);

static void put_block(yaml_t *y, const cJSON *item, int indent) {
    bool map = cJSON_IsObject(item);

    for (const cJSON *i = item->child; i != NULL; i = i->next) {
        fprintf(y->out, "%*s", indent, "");
        if (map) {
            put_text(y, i->string);
            fputs(":", y->out);
        } else {
            fputs("-", y->out);
        }
        put_value(y, i, indent);
    }
}

static void put_value(yaml_t *y, const cJSON *item, int indent) {
    if (is_scalar(item) || item->child == NULL || rng_one_in(y->rng, 3)) {
        fputs(" ", y->out);
        put_flow(y, item);
        put_line_end(y);
        return;
    }
    put_line_end(y);
    put_block(y, item, indent + 1 + (int)rng_below(y->rng, 3));
}

char *random_yaml(const cJSON *document, rng_t *rng) {
    char *text = NULL;
    size_t size = 0;
    yaml_t y = {rng, open_memstream(&text, &size)};

    if (document->child == NULL) {
        fputs("{}\n", y.out);
    } else {
        put_block(&y, document, 0);
    }
    fclose(y.out);
    return text;
}
