/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Judges requests as an endpoint saw them: judge ZONE < requests, or
 * judge --resources FILE... < requests
 *
 *     TABLE
 *     METHOD TARGET
 *     name: value
 *     ...
 *     (an empty line)
 *
 * By `meshctl explain`'s own code, one zone for all of them.  Answers a line
 * each: the route's name and the path as the table normalises it, or "-" and
 * why there is no route.  With resources a third word: the clusters that the
 * route may take, between commas, or the status that it answers with.
 */

#include <stdio.h>
#include <stdlib.h>

#include "ctl_compiled.h"
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

static void print_ways(const ctl_zone_t *zone, const mesh_rec_route_t *route) {
    const mesh_rec_split_t *split = mesh_get(zone->s, route->split);
    const mesh_rec_direct_t *direct = mesh_get(zone->s, route->direct);
    const mesh_rec_redirect_t *redirect = mesh_get(zone->s, route->redirect);

    for (uint32_t i = 0; split != NULL && i < split->count; i++) {
        mesh_str_t name = mesh_get_str(zone->s, split->v[i].cluster);

        printf("%s%.*s", i ? "," : " ", (int)name.len, name.data);
    }
    if (direct != NULL) {
        printf(" %u", direct->status);
    } else if (redirect != NULL) {
        printf(" %u", redirect->status);
    }
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
    printf("%.*s %.*s", (int)name.len, name.data, (int)q.request.path.len,
           q.request.path.data);
    if (zone->compiled != NULL) {
        print_ways(zone, d.match.route);
    }
    putchar('\n');
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

static bool open_zone(ctl_zone_t *zone, int argc, char **argv) {
    ctl_args_t args = {.nresources = 0};

    if (argc == 2) {
        return ctl_zone_open(zone, argv[1], 0);
    }
    if (argc < 3 || strcmp(argv[1], "--resources") != 0) {
        return false;
    }
    for (int i = 2; i < argc && args.nresources < CTL_RESOURCES_MAX; i++) {
        args.resources[args.nresources++] = argv[i];
    }
    return ctl_zone_of(zone, &args) == CTL_EXIT_OK;
}

int main(int argc, char **argv) {
    ctl_zone_t zone;
    ctl_args_t args;
    char *request[2];

    if (!open_zone(&zone, argc, argv)) {
        return 1;
    }
    while (read_request(&zone, &args, request)) {
        judge(&zone, &args);
    }
    ctl_zone_close(&zone);
    return 0;
}
