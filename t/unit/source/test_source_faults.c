/* SPDX-License-Identifier: Apache-2.0 */
/* slow */

/*
 * File and directory sources when a call of the system fails: nothing that is
 * there is told to be gone, and when the trouble is over, the source finds
 * out by itself what changed meanwhile.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_log.h"
#include "fault.h"
#include "source_file.h"
#include "temp_dir.h"

#define NAMES 3

typedef struct {
    temp_dir_t top;
    source_t *source;
    uint64_t now_ms;
    char cluster[NAMES][16]; /* what the sink heard last of a, b and c.yaml */
    bool removed[NAMES];
    unsigned refused;
} fixture_t;

static int index_of(const char *name) {
    size_t len = strlen(name);

    return len > 5 && strcmp(name + len - 5, ".yaml") == 0 ? name[len - 6] - 'a'
                                                           : -1;
}

static void on_part(void *ctx, const char *name, source_bundle_t *bundle) {
    fixture_t *f = ctx;
    const model_part_t *part = bundle->items[0]->part;
    int i = index_of(name);

    snprintf(f->cluster[i], sizeof(f->cluster[i]), "%s",
             part->clusters[0].name.data);
    f->removed[i] = false;
    source_bundle_free(bundle);
}

static void on_refused(void *ctx, const char *name,
                       const model_errors_t *errors) {
    fixture_t *f = ctx;

    assert_true(errors->errors > 0);
    (void)name;
    f->refused++;
}

static void on_gone(void *ctx, const char *name, bool keep,
                    const char *reason) {
    fixture_t *f = ctx;
    int i = index_of(name);

    assert_true(reason[0] != '\0');
    if (i >= 0 && !keep) {
        f->removed[i] = true;
        f->cluster[i][0] = '\0';
    }
}

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));

    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    temp_dir_make(&f->top);
    f->now_ms = 100000;
    *state = f;
    return 0;
}

static void stop(fixture_t *f) {
    if (f->source != NULL) {
        f->source->ops->close(f->source);
    }
    f->source = NULL;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    stop(f);
    temp_dir_remove(&f->top);
    free(f);
    return 0;
}

static void put(const fixture_t *f, unsigned i, const char *cluster) {
    char text[64];
    char name[16];

    snprintf(text, sizeof(text), "clusters: {%s: {endpoints: []}}\n", cluster);
    snprintf(name, sizeof(name), "%c.yaml", 'a' + i);
    temp_puts(temp_path(&f->top, name), text);
}

static bool start(fixture_t *f, agent_source_kind_e kind, const char **error) {
    const char *name = kind == AGENT_SOURCE_FILE ? "a.yaml" : "";
    agent_config_source_t config = {kind, temp_path(&f->top, name)};
    source_sink_t sink = {f, on_part, on_refused, on_gone};

    f->source = source_ops[kind]->open(&config, &sink, error);
    if (f->source == NULL) {
        return false;
    }
    f->source->ops->reload(f->source, f->now_ms);
    return true;
}

/* Events, and times that come within the next so many ms. */
static void run(fixture_t *f, uint64_t ms) {
    struct pollfd fd = {.fd = f->source->ops->fd(f->source), .events = POLLIN};
    uint64_t end = f->now_ms + ms;

    while (f->now_ms <= end) {
        uint64_t due = f->source->ops->due(f->source);
        if (poll(&fd, 1, 0) != 1 && due > f->now_ms) {
            if (due > end) {
                break;
            }
            f->now_ms = due;
        }
        f->source->ops->ready(f->source, f->now_ms++);
    }
    f->now_ms = mesh_max(f->now_ms, end);
}

static void expect(const fixture_t *f, unsigned i, const char *cluster) {
    if (strcmp(f->cluster[i], cluster) != 0) {
        fail_msg("%c.yaml has \"%s\", not \"%s\"", 'a' + (int)i, f->cluster[i],
                 cluster);
    }
}

/* --- one call ------------------------------------------------------------- */

/*
 * While files are edited one call fails; nothing is lost or taken out by
 * that, and after a second all is as if it had not.
 */
static void sweep(fixture_t *f, agent_source_kind_e kind, unsigned kinds,
                  int err, bool sticky) {
    unsigned n = kind == AGENT_SOURCE_FILE ? 1 : NAMES;
    fault_t fault = {.kinds = kinds, .err = err, .sticky = sticky};

    while (fault_again(&fault)) {
        const char *error;
        for (unsigned i = 0; i < NAMES; i++) {
            put(f, i, "old");
        }
        assert_true(start(f, kind, &error));
        run(f, 3000);
        for (unsigned i = 0; i < n; i++) {
            expect(f, i, "old");
            put(f, i, "new");
        }
        fault_begin(&fault);
        run(f, 3000);
        fault_end();
        for (unsigned i = 0; i < n; i++) {
            if (f->removed[i]) {
                fail_msg("%s (call %u) failed, and a file is gone", fault.what,
                         fault.at);
            }
        }
        run(f, 3000);
        for (unsigned i = 0; i < n; i++) {
            expect(f, i, "new");
        }
        /* It still sees changes, at the latest when it looks. */
        put(f, 0, "newer");
        run(f, 3000);
        expect(f, 0, "newer");
        stop(f);
    }
    assert_in_range(fault.at, 2, 200);
}

static void test_calls_that_fail(void **state) {
    fixture_t *f = *state;
    static const struct {
        unsigned kinds;
        int err;
    } cases[] = {{FAULT_OPEN, EMFILE},  {FAULT_STAT, EIO},
                 {FAULT_STAT, EACCES},  {FAULT_READ, EIO},
                 {FAULT_WATCH, ENOSPC}, {FAULT_OPEN, ENFILE},
                 {FAULT_WATCH, EACCES}};

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            sweep(f, AGENT_SOURCE_FILE, cases[i].kinds, cases[i].err, sticky);
            sweep(f, AGENT_SOURCE_DIRECTORY, cases[i].kinds, cases[i].err,
                  sticky);
        }
    }
}

/* --- from the start ------------------------------------------------------- */

static void test_watches_that_are_not_to_be_had(void **state) {
    fixture_t *f = *state;
    fault_t fault = {
        .kinds = FAULT_WATCH, .err = ENOSPC, .at = 2, .sticky = true};
    const char *error;

    put(f, 0, "one");
    fault_begin(&fault);
    assert_true(start(f, AGENT_SOURCE_DIRECTORY, &error));
    expect(f, 0, "one");
    put(f, 0, "two");
    put(f, 1, "three");
    run(f, 3000);
    expect(f, 0, "two");
    expect(f, 1, "three");
    unlink(temp_path(&f->top, "a.yaml"));
    run(f, 3000);
    assert_true(f->removed[0]);
    fault_end();
    assert_true(fault.hit);
    /* As soon as there are some again, events are enough. */
    run(f, 3000);
    put(f, 0, "four");
    run(f, 0);
    expect(f, 0, "four");
}

static void test_opening(void **state) {
    fixture_t *f = *state;
    static const agent_source_kind_e source_kinds[] = {AGENT_SOURCE_FILE,
                                                       AGENT_SOURCE_DIRECTORY};

    put(f, 0, "one");
    for (size_t i = 0; i < mesh_nelts(source_kinds); i++) {
        agent_source_kind_e kind = source_kinds[i];
        agent_config_source_t config = {
            kind,
            temp_path(&f->top, kind == AGENT_SOURCE_FILE ? "a.yaml" : "")};
        source_sink_t sink = {f, on_part, on_refused, on_gone};
        fault_t fault = {.kinds = FAULT_MEMORY | FAULT_WATCH};
        unsigned descriptors = open_descriptors();

        while (fault_again(&fault)) {
            const char *error = NULL;
            fault_begin(&fault);
            f->source = source_ops[kind]->open(&config, &sink, &error);
            fault_end();
            assert_int_equal(f->source == NULL, fault.hit);
            if (fault.hit) {
                assert_non_null(error);
            }
            stop(f);
            assert_int_equal(open_descriptors(), descriptors);
        }
        assert_in_range(fault.at, 4, 8);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_calls_that_fail),
        TEST(test_watches_that_are_not_to_be_had),
        TEST(test_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
