/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calling meshctl in the test's own process, and looking into the JSON that
 * it prints.  Header only: it holds the program's main().
 */

#ifndef CTL_CALL_H
#define CTL_CALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "capture.h"
#include "ctl_table.h"

#define main meshctl_main
int meshctl_main(int argc, char **argv);
#include "../../../sync-agent/main/meshctl.c"
#undef main

typedef struct {
    int argc;
    char *argv[40];
} call_t;

static inline int call_main(void *ctx) {
    call_t *call = ctx;

    return meshctl_main(call->argc, call->argv);
}

/* meshctl --zone DIR, then the words; "" ends them. */
static inline capture_t call(const char *zone, const char *const *words) {
    call_t c = {.argv = {"meshctl", "--zone", (char *)(uintptr_t)zone}};

    c.argc = 3;
    for (; *words != NULL; words++) {
        c.argv[c.argc++] = (char *)(uintptr_t)*words;
    }
    c.argv[c.argc] = NULL;
    return capture(call_main, &c, NULL);
}

#define words(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The first of `parts` that it did not print, or NULL. */
static inline const char *missing(const capture_t *c,
                                  const char *const *parts) {
    while (*parts != NULL &&
           (strstr(c->out, *parts) != NULL || strstr(c->err, *parts) != NULL)) {
        parts++;
    }
    return *parts;
}

/* Its exit code is `code`, and all of `parts` are in what it printed. */
static __attribute__((unused, noinline)) void expect(const char *zone, int code,
                                                     const char *const *argv,
                                                     const char *const *parts) {
    capture_t c = call(zone, argv);
    const char *part = missing(&c, parts);

    if (part != NULL) {
        fail_msg("meshctl %s: no \"%s\" in\n%s\n%s", argv[0], part, c.out,
                 c.err);
    }
    if (c.code != code) {
        fail_msg("meshctl %s: exit %d\n%s\n%s", argv[0], c.code, c.out, c.err);
    }
    /* What is asked for goes to one stream, complaints to the other. */
    if (code == CTL_EXIT_USAGE) {
        assert_int_equal(c.out[0], '\0');
        assert_int_not_equal(c.err[0], '\0');
    }
    capture_free(&c);
}

static inline cJSON *json_of(const char *zone, int code,
                             const char *const *argv) {
    const char *copy[40] = {"-o", "json"};
    size_t n = 2;

    while (*argv != NULL) {
        copy[n++] = *argv++;
    }
    copy[n] = NULL;
    capture_t c = call(zone, copy);
    cJSON *json = cJSON_Parse(c.out);
    if (c.code != code || json == NULL) {
        fail_msg("meshctl %s: exit %d\n%s\n%s", copy[2], c.code, c.out, c.err);
    }
    /* One line. */
    assert_ptr_equal(strchr(c.out, '\n'), c.out + strlen(c.out) - 1);
    capture_free(&c);
    return json;
}

static inline const cJSON *at(const cJSON *json, const char *path) {
    char key[64];

    while (json != NULL && *path != '\0') {
        size_t len = strcspn(path, "/");
        snprintf(key, sizeof(key), "%.*s", (int)len, path);
        json = cJSON_IsArray(json)
                   ? cJSON_GetArrayItem(json, key[0] - '0')
                   : cJSON_GetObjectItemCaseSensitive(json, key);
        path += len + (path[len] == '/');
    }
    return json;
}

static inline void expect_text(const cJSON *json, const char *path,
                               const char *wanted) {
    const char *text = cJSON_GetStringValue(at(json, path));

    if (text == NULL || strcmp(text, wanted) != 0) {
        char *all = cJSON_Print(json);
        fail_msg("%s is %s, not %s, in %s", path, text ? text : "nothing",
                 wanted, all);
    }
}

static inline void expect_number(const cJSON *json, const char *path,
                                 double wanted) {
    const cJSON *item = at(json, path);

    if (!cJSON_IsNumber(item) || item->valuedouble != wanted) {
        char *all = cJSON_Print(json);
        fail_msg("%s is not %.0f in %s", path, wanted, all);
    }
}

#endif /* CTL_CALL_H */
