/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `meshctl explain -f FILE|-`: many requests, one zone.  They are written as
 * HTTP writes them, with an empty line between two:
 *
 *     GET http://shop.local/reviews/1
 *     end-user: jason
 *     --ticket 3.41
 *
 *     POST /cart
 *     host: shop.local
 *
 * A line that begins with an option of explain is for that request; those of
 * the command line hold where there is none.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl_explain.h"

typedef struct {
    FILE *in;
    unsigned line; /* of the file, from 1 */
    size_t size;
    char *text; /* getline()'s */
} reader_t;

/* The next line without its end, or NULL. */
static char *next_line(reader_t *r) {
    ssize_t len = getline(&r->text, &r->size, r->in);

    if (len <= 0) {
        return NULL;
    }
    r->line++;
    if (r->text[len - 1] == '\n') {
        len--;
    }
    if (len > 0 && r->text[len - 1] == '\r') {
        len--;
    }
    r->text[len] = '\0';
    return r->text;
}

/* "METHOD URL", and perhaps the version; argv in the arena. */
static bool take_first(ctl_args_t *args, arena_t *arena, const char *text) {
    char *copy = arena_strdup(arena, text);
    char *version, *url = strchr(copy, ' ');

    if (url == NULL || url == copy) {
        return false;
    }
    *url++ = '\0';
    version = strchr(url, ' ');
    if (version != NULL) {
        *version++ = '\0';
    }
    if (*url == '\0' || (version && strncmp(version, "HTTP/", 5) != 0)) {
        return false;
    }
    args->argv = arena_alloc(arena, 2 * sizeof(char *));
    args->argv[0] = copy;
    args->argv[1] = url;
    args->argc = 2;
    return true;
}

/*
 * "name: value", or "--option value".  *own: options of this request, which
 * outdo those of the command line; a ticket outdoes a random value, too.
 */
static bool take_line(ctl_args_t *args, unsigned *own, arena_t *arena,
                      const char *text) {
    const unsigned draws = CTL_TAKES_TICKET | CTL_TAKES_RANDOM;
    char *copy = arena_strdup(arena, text);
    char *value = copy + strcspn(copy, " :");
    unsigned others = args->given;

    if (strncmp(copy, "--", 2) != 0 || *value != ' ') {
        return ctl_args_take(args, "header", copy);
    }
    *value++ = '\0';
    args->given = 0;
    bool ok = ctl_args_take(args, copy + 2, value);
    if ((args->given & draws) && !(*own & draws)) {
        others &= ~draws;
    }
    *own |= args->given;
    args->given |= others;
    return ok;
}

/* The rest of a request that is none: one answer for all its lines. */
static void skip(reader_t *r) {
    const char *text;

    do {
        text = next_line(r);
    } while (text != NULL && text[0] != '\0');
}

static int one_request(reader_t *r, ctl_zone_t *zone, const ctl_args_t *given,
                       const char *text) {
    ctl_args_t args = *given;
    unsigned first = r->line, own = 0;

    if (!take_first(&args, zone->arena, text)) {
        skip(r);
        return ctl_explain_error(given, "a request begins with METHOD URL",
                                 first);
    }
    while ((text = next_line(r)) != NULL && text[0] != '\0') {
        if (!take_line(&args, &own, zone->arena, text)) {
            unsigned line = r->line;
            skip(r);
            return ctl_explain_error(
                given, "no header and no option of explain", line);
        }
    }
    return ctl_explain_one(zone, &args, first);
}

/* What a request takes is freed with it: there may be millions. */
static int explain_all(reader_t *r, ctl_zone_t *zone, const ctl_args_t *args) {
    arena_t *zones = zone->arena;
    int worst = CTL_EXIT_OK;
    const char *text;
    bool any = false;

    while ((text = next_line(r)) != NULL) {
        if (text[0] == '\0') {
            continue;
        }
        if (any && !args->json) {
            printf("\n");
        }
        any = true;
        ctl_zone_use_arena(zone, arena_new());
        int code = one_request(r, zone, args, text);
        arena_free(zone->arena);
        ctl_zone_use_arena(zone, zones);
        worst = mesh_max(worst, code);
    }
    return worst;
}

int ctl_explain_file(ctl_zone_t *zone, const ctl_args_t *args) {
    bool standard = strcmp(args->file, "-") == 0;
    reader_t r = {.in = standard ? stdin : fopen(args->file, "re")};

    if (r.in == NULL) {
        fprintf(stderr, "meshctl: %s: %s\n", args->file, strerror(errno));
        return CTL_EXIT_UNREADABLE;
    }
    int code = explain_all(&r, zone, args);
    free(r.text);
    if (!standard) {
        fclose(r.in);
    }
    return code;
}
