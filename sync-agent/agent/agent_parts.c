/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parts of the mesh; see agent_parts.h.
 */

#include "agent_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_log.h"

static void *must(void *memory) {
    if (memory == NULL) {
        agent_log(AGENT_LOG_ERROR, "out of memory");
        abort();
    }
    return memory;
}

void agent_parts_init(agent_parts_t *parts) {
    *parts = (agent_parts_t){0};
}

static void row_free(agent_part_t *row) {
    source_bundle_free(row->good);
    source_bundle_free(row->next);
    free(row->name);
    free(row->verdict);
    free(row->blamed);
}

void agent_parts_free(agent_parts_t *parts) {
    for (uint32_t i = 0; i < parts->count; i++) {
        row_free(&parts->v[i]);
    }
    free(parts->v);
    free(parts->list);
    agent_parts_init(parts);
}

static int row_by_name(const void *a, const void *b) {
    return strcmp(a, ((const agent_part_t *)b)->name);
}

agent_part_t *agent_parts_find(const agent_parts_t *parts, const char *name) {
    return parts->count ? bsearch(name, parts->v, parts->count,
                                  sizeof(*parts->v), row_by_name)
                        : NULL;
}

const char *agent_part_state(const agent_part_t *part) {
    static const char *const names[] = {
        [PART_WAITING] = "waiting",
        [PART_IN_FORCE] = "in force",
        [PART_REFUSED] = "refused",
        [PART_GONE] = "gone",
    };
    return names[part->state];
}

static agent_part_t *row_of(agent_parts_t *parts, const char *name) {
    agent_part_t *row = agent_parts_find(parts, name);
    uint32_t i = parts->count;

    if (row != NULL) {
        return row;
    }
    size_t size = (parts->count + 1) * sizeof(*parts->v);
    parts->v = must(realloc(parts->v, size));
    parts->count++;
    for (; i > 0 && strcmp(parts->v[i - 1].name, name) > 0; i--) {
        parts->v[i] = parts->v[i - 1];
    }
    parts->v[i] = (agent_part_t){.name = must(strdup(name)),
                                 .verdict = must(strdup("")),
                                 .blamed = must(strdup(""))};
    return &parts->v[i];
}

/* true: this verdict is news. */
static bool set_verdict(agent_part_t *row, agent_part_state_e state,
                        const char *verdict, uint64_t unix_ms) {
    if (row->state == state && strcmp(row->verdict, verdict) == 0) {
        return false;
    }
    char *copy = must(strdup(verdict));
    free(row->verdict);
    free(row->blamed);
    row->verdict = copy;
    row->blamed = must(strdup(""));
    row->verdict_ms = unix_ms;
    row->state = state;
    return true;
}

void agent_errors_text(const model_errors_t *errors, const char *file,
                       char *out, size_t size) {
    size_t used = 0;

    *out = '\0';
    for (const model_error_t *e = errors->first; e; e = e->next) {
        if (e->warning || (file && (!e->file || strcmp(e->file, file) != 0))) {
            continue;
        }
        if (size - used < 8) {
            break;
        }
        if (used) {
            out[used++] = '\n';
        }
        int n = model_error_text(e, out + used, size - used);
        if (n < 0 || (size_t)n >= size - used) {
            used = size - 1;
            break;
        }
        used += (size_t)n;
    }
    out[used] = '\0';
}

/* As agent_errors_text(), of which it has as many lines or more. */
static void set_blamed(agent_part_t *row, const model_errors_t *errors,
                       const char *file) {
    char *text = must(malloc(AGENT_BLAMED_MAX));
    size_t used = 0;

    text[0] = '\0';
    for (const model_error_t *e = errors->first; e; e = e->next) {
        if (e->warning || (file && (!e->file || strcmp(e->file, file) != 0))) {
            continue;
        }
        int n = snprintf(text + used, AGENT_BLAMED_MAX - used, "%s\n",
                         e->resource ? e->resource : "");
        if (n < 0 || (size_t)n >= AGENT_BLAMED_MAX - used) {
            text[used] = '\0';
            break;
        }
        used += (size_t)n;
    }
    free(row->blamed);
    row->blamed = text;
}

static void log_refused(agent_part_t *row) {
    const char *line = row->verdict;

    row->told = true;
    while (*line) {
        char text[1024];
        size_t len = strcspn(line, "\n");
        size_t n = mesh_min(len, sizeof(text) - 1);
        memcpy(text, line, n);
        text[n] = '\0';
        agent_log(AGENT_LOG_ERROR, "part refused", agent_s("part", row->name),
                  agent_s("last_good", row->good ? "goes on" : "none"),
                  agent_s("error", text));
        line += len + (line[len] == '\n');
    }
}

/* Who mended it waits for that, and what is as before publishes nothing. */
static void log_mended(agent_part_t *row) {
    if (row->told) {
        row->told = false;
        agent_log(AGENT_LOG_INFO, "part in force again",
                  agent_s("part", row->name));
    }
}

void agent_parts_set(agent_parts_t *parts, const char *name,
                     source_bundle_t *bundle, uint64_t unix_ms) {
    agent_part_t *row = row_of(parts, name);

    source_bundle_free(row->next);
    row->next = bundle;
    row->leaving = false;
    parts->changed = true;
    (void)set_verdict(row, PART_WAITING, "", unix_ms);
}

void agent_parts_refuse(agent_parts_t *parts, const char *name,
                        const model_errors_t *errors, uint64_t unix_ms) {
    agent_part_t *row = row_of(parts, name);
    char text[AGENT_VERDICT_MAX];

    /* What came before it is not what anybody wants now. */
    source_bundle_free(row->next);
    row->next = NULL;
    row->leaving = false;
    agent_errors_text(errors, NULL, text, sizeof(text));
    if (set_verdict(row, PART_REFUSED, text, unix_ms)) {
        set_blamed(row, errors, NULL);
        log_refused(row);
    }
}

void agent_parts_gone(agent_parts_t *parts, const char *name, bool keep,
                      const char *reason, uint64_t unix_ms) {
    agent_part_t *row = row_of(parts, name);

    if (!keep) {
        source_bundle_free(row->next);
        row->next = NULL;
        row->leaving = true;
        parts->changed = true;
        (void)set_verdict(row, PART_WAITING, reason, unix_ms);
        return;
    }
    if (set_verdict(row, PART_GONE, reason, unix_ms)) {
        row->told = true;
        agent_log(
            AGENT_LOG_WARN, reason, agent_s("part", name),
            agent_s("last_good", row->good || row->next ? "goes on" : "none"));
    }
}

void agent_part_recognize(agent_part_t *row, uint64_t unix_ms) {
    row->good = row->next;
    row->next = NULL;
    row->good_ms = unix_ms;
    (void)set_verdict(row, PART_IN_FORCE, "", unix_ms);
}

void agent_part_stand_in(agent_part_t *row, source_bundle_t *good,
                         uint64_t unix_ms) {
    row->good = good;
    row->kept = good;
    row->good_ms = unix_ms;
}

static void row_remove(agent_parts_t *parts, agent_part_t *row) {
    size_t i = (size_t)(row - parts->v);

    row_free(row);
    parts->count--;
    memmove(row, row + 1, (parts->count - i) * sizeof(*row));
}

void agent_parts_withdraw(agent_parts_t *parts, const char *name) {
    agent_part_t *row = agent_parts_find(parts, name);

    if (row == NULL) {
        return;
    }
    source_bundle_free(row->next);
    row->next = NULL;
    row->leaving = false;
    if (row->good == NULL) {
        row_remove(parts, row);
    }
}

static bool is_candidate(const agent_part_t *row) {
    return row->next != NULL || row->leaving;
}

static void list_add(agent_parts_t *parts, const source_bundle_t *bundle) {
    uint32_t need = parts->nlist + bundle->count;

    if (need > parts->room) {
        parts->room = need * 2;
        parts->list =
            must(realloc(parts->list, parts->room * sizeof(*parts->list)));
    }
    for (uint32_t i = 0; i < bundle->count; i++) {
        parts->list[parts->nlist++] = bundle->items[i]->part;
    }
}

/* --- resolved sets ------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return mesh_str_cmp(*(const mesh_str_t *)a, *(const mesh_str_t *)b);
}

/* The named sets of what is listed, in order; *count of them. */
static mesh_str_t *named_sets(const agent_parts_t *parts, uint32_t *count) {
    mesh_str_t *names;
    uint32_t n = 0;

    for (uint32_t i = 0; i < parts->nlist; i++) {
        n += parts->list[i]->nnamed;
    }
    *count = n;
    names = must(calloc(n + 1, sizeof(*names)));
    n = 0;
    for (uint32_t i = 0; i < parts->nlist; i++) {
        for (uint32_t k = 0; k < parts->list[i]->nnamed; k++) {
            names[n++] = parts->list[i]->named[k].set.name;
        }
    }
    qsort(names, n, sizeof(*names), by_name);
    return names;
}

/* What names resolve to is of no use without the set that has them. */
static void drop_unnamed(agent_parts_t *parts) {
    uint32_t count, kept = 0;
    mesh_str_t *names = named_sets(parts, &count);

    for (uint32_t i = 0; i < parts->nlist; i++) {
        const model_part_t *part = parts->list[i];

        if (!part->resolved || bsearch(&part->sets->name, names, count,
                                       sizeof(*names), by_name) != NULL) {
            parts->list[kept++] = part;
        }
    }
    parts->nlist = kept;
    free(names);
}

/* `set_aside`: by row, candidates that are not tried any more. */
static uint32_t make_list(agent_parts_t *parts, const bool *set_aside) {
    uint32_t candidates = 0;

    parts->nlist = 0;
    for (uint32_t i = 0; i < parts->count; i++) {
        agent_part_t *row = &parts->v[i];
        row->listed = is_candidate(row) && !set_aside[i];
        const source_bundle_t *bundle = row->good;
        if (row->listed) {
            bundle = row->leaving ? NULL : row->next;
            candidates++;
        }
        if (bundle != NULL) {
            list_add(parts, bundle);
        }
    }
    drop_unnamed(parts);
    return candidates;
}

static bool is_blamed(const agent_part_t *row, const model_errors_t *errors) {
    for (const model_error_t *e = errors->first; e; e = e->next) {
        if (!e->warning && e->file && strcmp(e->file, row->name) == 0) {
            return true;
        }
    }
    return false;
}

static void set_aside_row(agent_part_t *row, const model_errors_t *errors,
                          const char *file, uint64_t unix_ms) {
    char text[AGENT_VERDICT_MAX];

    agent_errors_text(errors, file, text, sizeof(text));
    if (set_verdict(row, PART_REFUSED, text, unix_ms)) {
        set_blamed(row, errors, file);
        log_refused(row);
    }
}

static bool is_right(agent_parts_t *parts, const bool *set_aside) {
    arena_t *arena = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, arena);
    (void)make_list(parts, set_aside);
    model_check(parts->list, parts->nlist, &errors);
    bool right = errors.errors == 0;
    arena_free(arena);
    return right;
}

/* Not a few of them are tried alone: it takes a check each. */
#define SUSPECTS_MAX 16

/*
 * Errors name only parts that did not change: one of the candidates broke
 * them.  Each that goes without the others is taken, again while that makes
 * others go, so that nobody is refused for who came at the same time.
 */
static void set_aside_suspects(agent_parts_t *parts, bool *set_aside,
                               const model_errors_t *errors, uint64_t unix_ms) {
    bool *suspect = must(calloc(parts->count, sizeof(bool)));
    uint32_t count = 0;

    for (uint32_t i = 0; i < parts->count; i++) {
        suspect[i] = is_candidate(&parts->v[i]) && !set_aside[i];
        set_aside[i] |= suspect[i];
        count += suspect[i];
    }
    for (bool more = count > 1 && count <= SUSPECTS_MAX; more;) {
        more = false;
        for (uint32_t i = 0; i < parts->count; i++) {
            if (suspect[i]) {
                set_aside[i] = false;
                suspect[i] = set_aside[i] = !is_right(parts, set_aside);
                more |= !suspect[i];
            }
        }
    }
    for (uint32_t i = 0; i < parts->count; i++) {
        if (suspect[i]) {
            set_aside_row(&parts->v[i], errors, NULL, unix_ms);
        }
    }
    free(suspect);
}

/* Sets aside the candidates that errors name; if none, those behind them. */
static void set_aside_blamed(agent_parts_t *parts, bool *set_aside,
                             const model_errors_t *errors, uint64_t unix_ms) {
    bool any = false;

    for (uint32_t i = 0; i < parts->count; i++) {
        agent_part_t *row = &parts->v[i];
        if (is_candidate(row) && !set_aside[i] && is_blamed(row, errors)) {
            any = set_aside[i] = true;
            set_aside_row(row, errors, row->name, unix_ms);
        }
    }
    if (!any) {
        set_aside_suspects(parts, set_aside, errors, unix_ms);
    }
}

uint32_t agent_parts_settle(agent_parts_t *parts, model_errors_t *warnings,
                            uint64_t unix_ms) {
    bool *set_aside = must(calloc(parts->count + 1, sizeof(bool)));
    uint32_t candidates;

    for (;;) {
        arena_t *arena = arena_new();
        model_errors_t errors;
        model_errors_init(&errors, arena);
        candidates = make_list(parts, set_aside);
        model_check(parts->list, parts->nlist, &errors);
        bool good = errors.errors == 0 || candidates == 0;
        if (!good) {
            set_aside_blamed(parts, set_aside, &errors, unix_ms);
        } else if (warnings != NULL) {
            for (const model_error_t *e = errors.first; e; e = e->next) {
                model_error_add(warnings, e, "%s", e->message);
            }
        }
        arena_free(arena);
        if (good) {
            break;
        }
    }
    free(set_aside);
    parts->changed = false;
    return candidates;
}

void agent_parts_accept(agent_parts_t *parts, uint64_t unix_ms) {
    for (uint32_t i = 0; i < parts->count;) {
        agent_part_t *row = &parts->v[i];
        if (row->leaving && row->listed) {
            row_remove(parts, row);
            continue;
        }
        if (row->listed) {
            row->listed = false;
            source_bundle_free(row->good);
            row->good = row->next;
            row->next = NULL;
            row->good_ms = unix_ms;
            /* Refused until now, by the mesh or the publisher: no more. */
            if (row->state == PART_WAITING || row->state == PART_REFUSED) {
                (void)set_verdict(row, PART_IN_FORCE, "", unix_ms);
                log_mended(row);
            }
        }
        i++;
    }
    parts->nlist = 0;
}

void agent_parts_reject(agent_parts_t *parts, const char *reason,
                        uint64_t unix_ms) {
    for (uint32_t i = 0; i < parts->count; i++) {
        agent_part_t *row = &parts->v[i];
        if (row->listed && set_verdict(row, PART_REFUSED, reason, unix_ms)) {
            log_refused(row);
        }
        row->listed = false;
    }
    parts->nlist = 0;
}
