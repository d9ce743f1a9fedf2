/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Documents with at most one error: a "^" in a document stands where that is
 * told; the character itself is taken out.
 */

#ifndef MODEL_CASES_H
#define MODEL_CASES_H

#include "model_fixture.h"

typedef struct {
    const char *text;
    const char *message; /* behind the place; NULL: the document is right */
} case_t;

#define HOSTS(rest) "hosts: [{domains: [a.b], routes: [" rest "]}]"
#define ROUTED(rest) HOSTS("{route: c, " rest "}")
#define ROUTE_AT "hosts[0].routes[0]"

/* Takes the mark out; where it stood, or 0: 0 if there is none. */
static inline void unmark(const char *from, char *to, uint32_t *line,
                          uint32_t *column) {
    uint32_t at_line = 1;
    uint32_t at_column = 1;

    *line = *column = 0;
    for (; *from != '\0'; from++) {
        if (*from == '^') {
            *line = at_line;
            *column = at_column;
            continue;
        }
        at_line += *from == '\n';
        at_column = *from == '\n' ? 1 : at_column + 1;
        *to++ = *from;
    }
    *to = '\0';
}

static inline void check(const case_t *c) {
    static char text[8192];
    char expected[2048] = "";
    uint32_t line, column;
    fixture_t f;

    unmark(c->text, text, &line, &column);
    if (c->message != NULL) {
        snprintf(expected, sizeof(expected), "f.yaml:%u:%u: %s\n", line, column,
                 c->message);
    }
    fixture_yaml(&f, text);
    if (strcmp(fixture_messages(&f), expected) != 0) {
        fail_msg("%s\ngives  %s\nwanted %s", text, fixture_messages(&f),
                 expected);
    }
    fixture_close(&f);
}

#define check_all(cases)                                                       \
    do {                                                                       \
        for (size_t i = 0; i < mesh_nelts(cases); i++) {                       \
            check(&(cases)[i]);                                                \
        }                                                                      \
    } while (0)

#endif /* MODEL_CASES_H */
