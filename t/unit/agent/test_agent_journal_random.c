/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The journal as the next agent reads it: whatever was applied, and however
 * often the journal was compacted, the part is the same part again.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_journal.h"
#include "agent_log.h"
#include "compile_line.h"
#include "rng.h"
#include "source_stream.h"
#include "temp_dir.h"

#define LINE_MAX_LEN 2048

typedef struct {
    rng_t rng;
    char text[LINE_MAX_LEN];
    size_t len;
} line_maker_t;

static void put(line_maker_t *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(line_maker_t *m, const char *format, ...) {
    va_list args;

    va_start(args, format);
    m->len += (size_t)vsnprintf(m->text + m->len, LINE_MAX_LEN - m->len, format,
                                args);
    va_end(args);
    assert_true(m->len < LINE_MAX_LEN);
}

static bool one_in(line_maker_t *m, uint32_t n) {
    return rng_one_in(&m->rng, n);
}

static const char *const names[] = {"a", "b", "c", "\\u0061b"};
static const char *const domains[] = {"a.x", "A.x", "*.b", "c.*", "C.*"};

static const char *name_of(line_maker_t *m) {
    return names[rng_below(&m->rng, mesh_nelts(names))];
}

static const char *domain_of(line_maker_t *m) {
    return domains[rng_below(&m->rng, mesh_nelts(domains))];
}

static void put_endpoints(line_maker_t *m) {
    put(m, "[");
    for (uint32_t n = rng_below(&m->rng, 3), i = 0; i < n; i++) {
        put(m, "%s\"127.0.0.%u:%u\"", i ? "," : "", i + 1,
            1 + rng_below(&m->rng, 9));
    }
    put(m, "]");
}

static void put_table(line_maker_t *m) {
    put(m, "\"route_table\":{");
    if (one_in(m, 2)) {
        put(m, "\"name\":\"%s\"%s", name_of(m), one_in(m, 2) ? "," : "");
        if (m->text[m->len - 1] == ',') {
            put(m, "\"merge_slashes\":%s", one_in(m, 2) ? "true" : "false");
        }
    } else if (one_in(m, 2)) {
        put(m, "\"merge_slashes\":true");
    }
    put(m, "}");
}

static void put_hosts(line_maker_t *m) {
    put(m, "\"hosts\":[");
    for (uint32_t n = rng_below(&m->rng, 3), i = 0; i < n; i++) {
        put(m, "%s{", i ? "," : "");
        if (one_in(m, 3)) {
            put(m, "\"name\":\"%s\",", domain_of(m));
        }
        put(m, one_in(m, 3) ? "\"domains\":\"%s\"" : "\"domains\":[\"%s\"]",
            domain_of(m));
        put(m, ",\"routes\":[{\"name\":\"%u\",\"respond\":%u}]}",
            rng_below(&m->rng, 1u << 30), 200 + rng_below(&m->rng, 99));
    }
    put(m, "]");
}

static void put_clusters(line_maker_t *m) {
    const char *first = name_of(m);
    const char *second = name_of(m);

    put(m, "\"clusters\":{\"%s\":{", first);
    if (one_in(m, 2)) {
        put(m, "\"endpoints\":");
        put_endpoints(m);
    } else {
        put(m, "\"connect_timeout\":\"%us\"", 1 + rng_below(&m->rng, 9));
    }
    put(m, "}");
    if (second != first && one_in(m, 3)) {
        put(m, ",\"%s\":{\"endpoints\":", second);
        put_endpoints(m);
        put(m, "}");
    }
    put(m, "}");
}

/* Some of a document's members, in their order. */
static void put_document(line_maker_t *m) {
    static void (*const members[])(line_maker_t * m) = {put_table, put_clusters,
                                                        put_hosts};
    const char *comma = "";

    put(m, "{");
    for (size_t i = 0; i < mesh_nelts(members); i++) {
        if (one_in(m, 2)) {
            put(m, "%s", comma);
            members[i](m);
            comma = ",";
        }
    }
    if (one_in(m, 4)) {
        put(m, "%s\"endpoints\":{\"%s\":", comma, name_of(m));
        put_endpoints(m);
        put(m, "}");
    }
    put(m, "}");
}

static void put_removal(line_maker_t *m) {
    put(m, "{\"remove\":{");
    switch (rng_below(&m->rng, 4)) {
    case 0:
        put(m, "\"clusters\":[\"%s\",\"%s\"]", name_of(m), name_of(m));
        break;
    case 1:
        put(m, "\"endpoints\":[\"%s\"]", name_of(m));
        break;
    case 2:
        put(m, "\"hosts\":[\"%s\"]", domain_of(m));
        break;
    default:
        put(m, "\"route_table\":{\"name\":\"%s\"},\"hosts\":[\"%s\"]",
            name_of(m), domain_of(m));
    }
    put(m, "}}");
}

static const char *some_line(line_maker_t *m) {
    m->len = 0;
    if (one_in(m, 3)) {
        put_removal(m);
    } else {
        put(m, one_in(m, 8) ? "{\"replace\":" : "{\"upsert\":");
        put_document(m);
        put(m, "}");
    }
    return m->text;
}

/* --- what a part is ------------------------------------------------------- */

static bool apply(source_stream_t *stream, const ctl_request_t *request) {
    arena_t *arena = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, arena);
    bool ok =
        request->format == CTL_LINES
            ? source_stream_change(stream, request->body, 1, &errors)
            : source_stream_replace(stream, request->body,
                                    request->format == CTL_JSON, 1, &errors);
    arena_free(arena);
    return ok;
}

static void restore(void *ctx, const ctl_request_t *request) {
    if (!apply(ctx, request)) {
        fail_msg("refused now: %.*s", (int)request->body.len,
                 request->body.data);
    }
}

/* false: rules across resources are broken, and nobody would publish it. */
static bool digest_of(const source_stream_t *stream, mesh_digest_t *digest) {
    source_bundle_t *bundle = source_stream_bundle(stream);
    const model_part_t **parts =
        calloc(bundle->count + 1, sizeof(const model_part_t *));
    arena_t *arena = arena_new();
    model_errors_t errors;

    model_errors_init(&errors, arena);
    for (uint32_t i = 0; i < bundle->count; i++) {
        parts[i] = bundle->items[i]->part;
    }
    model_check(parts, bundle->count, &errors);
    bool sound = errors.errors == 0;
    if (sound) {
        *digest = parts_digest(parts, bundle->count);
    }
    arena_free(arena);
    free(parts);
    source_bundle_free(bundle);
    return sound;
}

static void assert_same(const source_stream_t *a, const source_stream_t *b,
                        uint64_t seed) {
    mesh_digest_t x, y;

    assert_true(digest_of(a, &x));
    if (!digest_of(b, &y) || memcmp(&x, &y, sizeof(x)) != 0) {
        fail_msg("seed %lu: another part comes back", seed);
    }
}

static void note(agent_journal_t *journal, ctl_format_e format,
                 const char *text) {
    ctl_request_t request = {.command = CTL_APPLY,
                             .format = format,
                             .part = "p",
                             .length = strlen(text),
                             .body = mesh_str_from(text)};

    agent_journal_add(journal, &request);
    agent_journal_commit(journal);
}

/* --- tests ---------------------------------------------------------------- */

typedef struct {
    temp_dir_t dir;
    agent_journal_t journal;
    source_stream_t *stream;
    line_maker_t maker;
    unsigned taken;
    unsigned refused;
} world_t;

static void world_open(world_t *w, uint64_t seed) {
    *w = (world_t){.maker.rng = {seed}};
    temp_dir_make(&w->dir);
    agent_journal_init(&w->journal, w->dir.path, "p");
    w->stream = source_stream_new("p");
}

static void world_close(world_t *w) {
    source_stream_free(w->stream);
    agent_journal_free(&w->journal);
    temp_dir_remove(&w->dir);
}

/* One change, which is kept if it can be published. */
static void world_step(world_t *w) {
    bool whole = rng_one_in(&w->maker.rng, 12);
    source_bundle_t *before = source_stream_bundle(w->stream);
    mesh_digest_t digest;
    const char *text;

    if (whole) {
        w->maker.len = 0;
        put_document(&w->maker);
        text = w->maker.text;
    } else {
        text = some_line(&w->maker);
    }
    ctl_request_t request = {.format = whole ? CTL_JSON : CTL_LINES,
                             .body = mesh_str_from(text)};
    if (!apply(w->stream, &request)) {
        w->refused++;
    } else if (!digest_of(w->stream, &digest)) {
        source_stream_restore(w->stream, before);
        w->refused++;
    } else {
        note(&w->journal, request.format, text);
        w->taken++;
    }
    source_bundle_free(before);
}

static void check_reread(world_t *w, uint64_t seed) {
    source_stream_t *other = source_stream_new("p");
    agent_journal_t journal;

    agent_journal_init(&journal, w->dir.path, "p");
    (void)agent_journal_read(&journal, restore, other);
    assert_same(w->stream, other, seed);
    agent_journal_free(&journal);
    source_stream_free(other);
}

/* Puts the compacted frames in the journal's place. */
static void compact(world_t *w) {
    size_t len;
    char *frames = temp_read(w->journal.path, &len);

    if (frames == NULL) {
        return;
    }
    char *fewer = agent_journal_compact((mesh_str_t){len, frames}, &len);
    if (fewer != NULL) {
        temp_write(w->journal.path, fewer, len);
        w->journal.size = w->journal.aim = len;
    }
    free(fewer);
    free(frames);
}

static void test_any_changes_come_back(void **state) {
    (void)state;
    unsigned taken = 0, refused = 0;

    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    for (uint64_t seed = 1; seed <= 250; seed++) {
        world_t w;

        world_open(&w, seed);
        for (int round = 0; round < 3; round++) {
            for (uint32_t n = rng_below(&w.maker.rng, 12); n > 0; n--) {
                world_step(&w);
            }
            check_reread(&w, seed);
            compact(&w);
            check_reread(&w, seed);
        }
        taken += w.taken;
        refused += w.refused;
        world_close(&w);
    }
    assert_true(taken > refused);
    assert_true(refused > 50);
}

/* Compacting what is compact changes nothing. */
static void test_compact_once(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        world_t w;
        size_t one, two;

        world_open(&w, seed);
        for (int i = 0; i < 30; i++) {
            world_step(&w);
        }
        compact(&w);
        char *first = temp_read(w.journal.path, &one);
        compact(&w);
        char *second = temp_read(w.journal.path, &two);
        assert_int_equal(one, two);
        assert_memory_equal(first, second, one);
        free(first);
        free(second);
        world_close(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_changes_come_back),
        cmocka_unit_test(test_compact_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
