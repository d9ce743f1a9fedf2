/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Judges requests as an endpoint saw them: judge ZONE < requests
 *
 *     TABLE
 *     METHOD TARGET
 *     name: value
 *     ...
 *     (an empty line)
 *
 * By `meshctl explain`'s own code, one zone for all of them.  Answers a line
 * each: the route's name and the path as the table normalises it, or "-" and
 * why there is no route.
 */

#include <stdio.h>
#include <stdlib.h>

#include "ctl_explain.h"

/* The next line without its end, or NULL. */
static char *line(void) {
    static size_t size;
    static char *text;
    ssize_t len = getline(&text, &size, stdin);

    if (len <= 0) {
        return NULL;
    }
    text[len - 1] = '\0';
    return text;
}

static char *keep(arena_t *arena) {
    const char *text = line();

    return text && text[0] ? arena_strdup(arena, text) : NULL;
}

static const char *why(const ctl_decision_t *d) {
    if (d->path_verdict == MESH_PATH_REJECT) {
        return "rejected";
    }
    if (d->path_verdict == MESH_PATH_REDIRECT) {
        return "redirected";
    }
    return d->match.result == MESH_NO_VHOST ? "host" : "route";
}

static void judge(ctl_zone_t *zone, const ctl_args_t *args) {
    ctl_question_t q;
    ctl_decision_t d;
    const char *error;

    if (!ctl_question_make(&q, zone->arena, args, &error)) {
        printf("- %s\n", error);
        return;
    }
    ctl_decide(zone, &q, args, &d);
    if (d.match.result != MESH_ROUTED) {
        printf("- %s\n", why(&d));
        return;
    }
    mesh_str_t name = mesh_get_str(zone->s, d.match.route->name);
    printf("%.*s %.*s\n", (int)name.len, name.data, (int)q.request.path.len,
           q.request.path.data);
}

static bool read_request(ctl_zone_t *zone, ctl_args_t *args, char **argv) {
    *args = (ctl_args_t){.argc = 2, .argv = argv};
    args->table = keep(zone->arena);
    argv[0] = args->table ? keep(zone->arena) : NULL;
    if (argv[0] == NULL) {
        return false;
    }
    argv[1] = strchr(argv[0], ' ');
    if (argv[1] == NULL) {
        return false;
    }
    *argv[1]++ = '\0';
    while (args->nheaders < CTL_HEADERS_MAX &&
           (args->headers[args->nheaders] = keep(zone->arena)) != NULL) {
        args->nheaders++;
    }
    return true;
}

int main(int argc, char **argv) {
    ctl_zone_t zone;
    ctl_args_t args;
    char *request[2];

    if (argc != 2 || !ctl_zone_open(&zone, argv[1], 0)) {
        return 1;
    }
    while (read_request(&zone, &args, request)) {
        judge(&zone, &args);
    }
    ctl_zone_close(&zone);
    return 0;
}
