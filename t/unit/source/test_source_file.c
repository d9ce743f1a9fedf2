/* SPDX-License-Identifier: Apache-2.0 */

/*
 * File and directory sources on a real directory with real inotify.  Tests
 * wait for events by poll() and for times by the source's own due(): the
 * clock that the source sees is the test's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source_file.h"
#include "source_watch.h"
#include "temp_dir.h"

#define TOLD_MAX 65536

typedef struct {
    temp_dir_t top;
    source_t *source;
    uint64_t now_ms;
    char told[TOLD_MAX]; /* what the sink heard: "+a=c1 !a -a ~a " */
} fixture_t;

static void tell(fixture_t *f, const char *what, const char *name,
                 const char *more) {
    size_t len = strlen(f->told);
    const char *slash = strrchr(name, '/');

    snprintf(f->told + len, TOLD_MAX - len, "%s%s%s ", what,
             slash ? slash + 1 : name, more);
}

static void on_part(void *ctx, const char *name, source_bundle_t *bundle) {
    char more[64];

    assert_int_equal(bundle->count, 1);
    const model_part_t *part = bundle->items[0]->part;
    assert_string_equal(part->name, name);
    assert_int_equal(part->version.len, 32);
    snprintf(more, sizeof(more), "=%.*s",
             part->nclusters ? (int)part->clusters[0].name.len : 0,
             part->nclusters ? part->clusters[0].name.data : "");
    tell(ctx, "+", name, more);
    source_bundle_free(bundle);
}

static void on_refused(void *ctx, const char *name,
                       const model_errors_t *errors) {
    assert_true(errors->errors > 0);
    tell(ctx, "!", name, "");
}

static void on_gone(void *ctx, const char *name, bool keep,
                    const char *reason) {
    assert_true(reason[0] != '\0');
    tell(ctx, keep ? "~" : "-", name, "");
}

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));

    temp_dir_make(&f->top);
    f->now_ms = 100000;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    if (f->source != NULL) {
        f->source->ops->close(f->source);
    }
    temp_dir_remove(&f->top);
    free(f);
    return 0;
}

static const char *at(const fixture_t *f, const char *name) {
    return temp_path(&f->top, name);
}

static void start(fixture_t *f, agent_source_kind_e kind, const char *name) {
    agent_config_source_t config = {kind, at(f, name)};
    source_sink_t sink = {f, on_part, on_refused, on_gone};
    const char *error = NULL;

    f->source = source_ops[kind]->open(&config, &sink, &error);
    assert_non_null(f->source);
    f->source->ops->reload(f->source, f->now_ms);
}

/* All events that are there; a file operation has queued them already. */
static void run(fixture_t *f) {
    struct pollfd fd = {.fd = f->source->ops->fd(f->source), .events = POLLIN};

    while (poll(&fd, 1, 0) == 1) {
        f->source->ops->ready(f->source, f->now_ms);
    }
    while (f->source->ops->due(f->source) <= f->now_ms) {
        f->source->ops->ready(f->source, f->now_ms);
    }
}

/* Time goes on to what the source waits for. */
static void run_due(fixture_t *f) {
    uint64_t due = f->source->ops->due(f->source);

    assert_int_not_equal(due, SOURCE_IDLE);
    assert_true(due > f->now_ms);
    f->now_ms = due;
    run(f);
}

static void expect(fixture_t *f, const char *told) {
    assert_string_equal(f->told, told);
    f->told[0] = '\0';
}

/* Truncates and writes. */
static void put(const char *path, const char *cluster) {
    char text[256];

    snprintf(text, sizeof(text),
             "clusters: {%s: {endpoints: [127.0.0.1:80]}}\n", cluster);
    temp_puts(path, text);
}

static void expect_run(fixture_t *f, const char *told) {
    run(f);
    expect(f, told);
}

static void expect_due(fixture_t *f, const char *told) {
    run_due(f);
    expect(f, told);
}

/* Puts a cluster into the file, and that is told. */
static void edit(fixture_t *f, const char *name, const char *cluster,
                 const char *told) {
    put(at(f, name), cluster);
    expect_run(f, told);
}

/* A file source on a.yaml with that cluster in it. */
static void start_with(fixture_t *f, const char *cluster) {
    char told[32];

    put(at(f, "a.yaml"), cluster);
    start(f, AGENT_SOURCE_FILE, "a.yaml");
    snprintf(told, sizeof(told), "+a.yaml=%s ", cluster);
    expect(f, told);
}

/* --- one file ------------------------------------------------------------ */

static void test_edits(void **state) {
    fixture_t *f = *state;

    start_with(f, "one");
    expect_run(f, "");

    edit(f, "a.yaml", "two", "+a.yaml=two "); /* truncate and write */

    put(at(f, "new"), "three");
    rename(at(f, "new"), at(f, "a.yaml"));
    expect_run(f, "+a.yaml=three ");

    edit(f, "other", "four", ""); /* a neighbour */
}

/* The same size within one tick of the file system's clock. */
static void test_edits_that_leave_no_trace_in_stat(void **state) {
    fixture_t *f = *state;
    char name[2] = "a";
    char told[32];

    start_with(f, "z");
    for (int i = 0; i < 200; i++) {
        name[0] = (char)('a' + i % 26);
        put(at(f, "a.yaml"), name);
        run(f);
        snprintf(told, sizeof(told), "+a.yaml=%s ", name);
        expect(f, told);
    }
}

static void test_same_content_says_nothing(void **state) {
    fixture_t *f = *state;

    start_with(f, "one");
    put(at(f, "a.yaml"), "one");
    chmod(at(f, "a.yaml"), 0600);
    run(f);
    f->source->ops->reload(f->source, f->now_ms);
    expect(f, "");
}

static void test_json_by_name(void **state) {
    fixture_t *f = *state;

    temp_puts(at(f, "a.json"), "{\"clusters\": {\"j\": {\"endpoints\": []}}}");
    start(f, AGENT_SOURCE_FILE, "a.json");
    expect(f, "+a.json=j ");
    temp_puts(at(f, "a.json"), "clusters: {}");
    expect_run(f, "!a.json ");
}

static void test_broken_then_mended(void **state) {
    fixture_t *f = *state;

    temp_puts(at(f, "a.yaml"), "clusters: [");
    start(f, AGENT_SOURCE_FILE, "a.yaml");
    expect(f, "!a.yaml ");
    edit(f, "a.yaml", "one", "+a.yaml=one ");
}

static void test_gone_and_back(void **state) {
    fixture_t *f = *state;

    start_with(f, "one");
    unlink(at(f, "a.yaml"));
    expect_run(f, ""); /* an editor may be about to put the new one there */
    expect_due(f, "~a.yaml ");
    edit(f, "a.yaml", "one", "+a.yaml=one ");
}

static void test_away_for_a_moment(void **state) {
    fixture_t *f = *state;

    start_with(f, "one");
    rename(at(f, "a.yaml"), at(f, "a.yaml~"));
    run(f);
    f->now_ms += 50;
    edit(f, "a.yaml", "two", "+a.yaml=two ");
    f->now_ms += 10000;
    expect_run(f, "");
    assert_int_equal(f->source->ops->due(f->source), SOURCE_IDLE);
}

static void test_not_there_at_first(void **state) {
    fixture_t *f = *state;

    start(f, AGENT_SOURCE_FILE, "deep/er/a.yaml");
    expect(f, "~a.yaml ");
    mkdir(at(f, "deep"), 0755);
    run(f);
    mkdir(at(f, "deep/er"), 0755);
    expect_run(f, "");
    edit(f, "deep/er/a.yaml", "one", "+a.yaml=one ");
}

static void test_half_written(void **state) {
    fixture_t *f = *state;

    start_with(f, "one");

    FILE *file = fopen(at(f, "a.yaml"), "w");
    expect_run(f, ""); /* empty */
    fputs("clusters: {half: {endpoints: []}}\n", file);
    fflush(file);
    run(f);
    edit(f, "other", "x", ""); /* makes it look */
    rewind(file);
    fputs("clusters: {full: {endpoints: []}}\n", file);
    fclose(file);
    expect_run(f, "+a.yaml=full ");
}

/* A writer that never closes is not waited for forever. */
static void test_never_closed(void **state) {
    fixture_t *f = *state;

    start_with(f, "one");
    FILE *file = fopen(at(f, "a.yaml"), "w");
    fputs("clusters: {two: {endpoints: []}}\n", file);
    fflush(file);
    run(f);
    edit(f, "other", "x", "");
    expect_due(f, "+a.yaml=two ");
    fclose(file);
    expect_run(f, "");
}

static void test_truncated_for_good(void **state) {
    fixture_t *f = *state;

    start_with(f, "one");
    temp_puts(at(f, "a.yaml"), "");
    expect_run(f, "");
    expect_due(f, "!a.yaml ");
}

static void test_no_plain_file(void **state) {
    fixture_t *f = *state;

    mkdir(at(f, "a.yaml"), 0755);
    start(f, AGENT_SOURCE_FILE, "a.yaml");
    expect(f, "!a.yaml ");
    f->source->ops->reload(f->source, f->now_ms);
    expect(f, ""); /* said once */
    rmdir(at(f, "a.yaml"));
    mkfifo(at(f, "a.yaml"), 0600);
    expect_run(f, "!a.yaml ");
}

/* --- links --------------------------------------------------------------- */

static void link_to(const fixture_t *f, const char *target, const char *name) {
    (void)unlink(at(f, "tmp-link"));
    assert_int_equal(symlink(target, at(f, "tmp-link")), 0);
    assert_int_equal(rename(at(f, "tmp-link"), at(f, name)), 0);
}

static void test_kubernetes_volume(void **state) {
    fixture_t *f = *state;

    mkdir(at(f, "..1"), 0755);
    mkdir(at(f, "..2"), 0755);
    put(at(f, "..1/a.yaml"), "one");
    put(at(f, "..2/a.yaml"), "two");
    link_to(f, "..1", "..data");
    link_to(f, "..data/a.yaml", "a.yaml");
    start(f, AGENT_SOURCE_FILE, "a.yaml");
    expect(f, "+a.yaml=one ");
    for (int i = 0; i < 6; i++) {
        link_to(f, i % 2 ? "..1" : "..2", "..data");
        expect_run(f, i % 2 ? "+a.yaml=one " : "+a.yaml=two ");
    }
    edit(f, "..1/a.yaml", "three",
         "+a.yaml=three "); /* in place, behind both links */
}

static void test_chain_of_links(void **state) {
    fixture_t *f = *state;
    char target[256];

    mkdir(at(f, "x"), 0755);
    mkdir(at(f, "y"), 0755);
    put(at(f, "y/real.yaml"), "one");
    put(at(f, "y/next.yaml"), "two");
    snprintf(target, sizeof(target), "%s/y/real.yaml", f->top.path);
    link_to(f, target, "x/middle"); /* absolute */
    link_to(f, "x/middle", "a.yaml");
    start(f, AGENT_SOURCE_FILE, "a.yaml");
    expect(f, "+a.yaml=one ");
    link_to(f, "../y/next.yaml", "x/middle");
    expect_run(f, "+a.yaml=two ");
    edit(f, "y/next.yaml", "three", "+a.yaml=three ");
}

static void test_links_that_lead_nowhere(void **state) {
    fixture_t *f = *state;

    link_to(f, "a.yaml", "b.yaml");
    link_to(f, "b.yaml", "a.yaml");
    start(f, AGENT_SOURCE_FILE, "a.yaml");
    expect(f, "!a.yaml "); /* ELOOP */
    unlink(at(f, "a.yaml"));
    edit(f, "a.yaml", "one", "+a.yaml=one ");
}

/* --- a directory --------------------------------------------------------- */

static void test_directory(void **state) {
    fixture_t *f = *state;

    put(at(f, "a.yaml"), "one");
    put(at(f, ".hidden.yaml"), "no");
    put(at(f, "a.yaml~"), "no");
    put(at(f, "notes.txt"), "no");
    start(f, AGENT_SOURCE_DIRECTORY, "");
    expect(f, "+a.yaml=one ");

    edit(f, "b.yml", "two", "+b.yml=two ");
    edit(f, "a.yaml", "three", "+a.yaml=three ");

    unlink(at(f, "a.yaml"));
    expect_run(f, "");
    expect_due(f, "-a.yaml ");
    edit(f, "a.yaml", "three", "+a.yaml=three ");
}

static void test_a_new_file_is_read_when_it_is_whole(void **state) {
    fixture_t *f = *state;

    start(f, AGENT_SOURCE_DIRECTORY, "");
    FILE *file = fopen(at(f, "a.yaml"), "w");
    run(f);
    fputs("clusters: {half: {endpoints: []}}\n", file);
    fflush(file);
    expect_run(f, "");
    rewind(file);
    fputs("clusters: {full: {endpoints: []}}\n", file);
    fclose(file);
    expect_run(f, "+a.yaml=full ");
}

static void test_directory_that_goes(void **state) {
    fixture_t *f = *state;

    mkdir(at(f, "d"), 0755);
    put(at(f, "d/a.yaml"), "one");
    start(f, AGENT_SOURCE_DIRECTORY, "d");
    expect(f, "+a.yaml=one ");
    rename(at(f, "d"), at(f, "e"));
    run(f);
    expect_due(f, "~a.yaml "); /* kept: nobody removed the file */
    rename(at(f, "e"), at(f, "d"));
    put(at(f, "d/b.yaml"), "two");
    run(f);
    assert_non_null(strstr(f->told, "+a.yaml=one "));
    assert_non_null(strstr(f->told, "+b.yaml=two "));
}

/* A slip in its name is told, and told to be over. */
static void test_directory_that_is_not_there(void **state) {
    fixture_t *f = *state;

    start(f, AGENT_SOURCE_DIRECTORY, "d");
    expect(f, "!d ");
    f->source->ops->reload(f->source, f->now_ms);
    expect(f, "");
    put(at(f, "d"), "no directory");
    f->source->ops->reload(f->source, f->now_ms);
    expect(f, "!d "); /* for another reason */
    unlink(at(f, "d"));
    mkdir(at(f, "d"), 0755);
    edit(f, "d/a.yaml", "one", "-d +a.yaml=one ");
}

static void test_directory_behind_a_link(void **state) {
    fixture_t *f = *state;

    mkdir(at(f, "1"), 0755);
    mkdir(at(f, "2"), 0755);
    put(at(f, "1/a.yaml"), "one");
    put(at(f, "2/a.yaml"), "two");
    put(at(f, "2/b.yaml"), "three");
    link_to(f, "1", "current");
    start(f, AGENT_SOURCE_DIRECTORY, "current");
    expect(f, "+a.yaml=one ");
    link_to(f, "2", "current");
    run(f);
    assert_non_null(strstr(f->told, "+a.yaml=two "));
    assert_non_null(strstr(f->told, "+b.yaml=three "));
    f->told[0] = '\0';
    link_to(f, "1", "current");
    run(f);
    run_due(f);
    assert_non_null(strstr(f->told, "+a.yaml=one "));
    assert_non_null(strstr(f->told, "-b.yaml "));
}

static void test_too_many_files(void **state) {
    fixture_t *f = *state;
    char name[32];

    for (int i = 0; i <= SOURCE_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "d/%05d.yaml", i);
        if (i == 0) {
            mkdir(at(f, "d"), 0755);
        }
        close(open(at(f, name), O_CREAT | O_WRONLY, 0600));
    }
    start(f, AGENT_SOURCE_DIRECTORY, "d");
    expect(f, "!d "); /* the files are empty: maybe not yet written */
    f->source->ops->reload(f->source, f->now_ms);
    expect(f, "");
    unlink(at(f, "d/00000.yaml"));
    unlink(at(f, "d/00001.yaml"));
    run(f);
    f->now_ms += SOURCE_GONE_MS;
    run(f);
    run(f);
    f->source->ops->reload(f->source, f->now_ms);
    assert_non_null(strstr(f->told, "-d "));
}

/*
 * Random operations on a directory: when it rests, what the sink heard last
 * of each name is what is there.
 */
static void test_any_history(void **state) {
    fixture_t *f = *state;
    uint64_t random = 3;
    char last[3][8] = {"", "", ""};

    start(f, AGENT_SOURCE_DIRECTORY, "");
    for (int i = 0; i < 600; i++) {
        random = mesh_mix64(random + (uint64_t)i);
        char name[16];
        char cluster[8];
        unsigned n = random % 3;
        snprintf(name, sizeof(name), "f%u.yaml", n);
        snprintf(cluster, sizeof(cluster), "c%u", (unsigned)(random >> 8) % 50);
        switch ((random >> 16) % 4) {
        case 0:
            put(at(f, name), cluster);
            break;
        case 1:
            put(at(f, "tmp"), cluster);
            rename(at(f, "tmp"), at(f, name));
            break;
        case 2:
            (void)unlink(at(f, name));
            cluster[0] = '\0';
            break;
        default:
            (void)rename(at(f, name), at(f, "f9.txt"));
            cluster[0] = '\0';
        }
        snprintf(last[n], sizeof(last[n]), "%s", cluster);
        if (random >> 60) {
            run(f);
        }
    }
    run(f);
    f->now_ms += SOURCE_GONE_MS;
    run(f);
    for (unsigned n = 0; n < 3; n++) {
        char name[16];
        const char *found = NULL;
        snprintf(name, sizeof(name), "f%u.yaml", n);
        for (const char *p = f->told; (p = strstr(p, name)); p++) {
            found = p;
        }
        if (last[n][0] == '\0') {
            assert_true(found == NULL || found[-1] == '-');
        } else {
            char wanted[64];
            snprintf(wanted, sizeof(wanted), "%s=%s ", name, last[n]);
            assert_non_null(found);
            assert_int_equal(strncmp(found, wanted, strlen(wanted)), 0);
        }
    }
}

/* --- whose parts ---------------------------------------------------------- */

static void test_claims(void **state) {
    (void)state;
    static const struct {
        const char *part;
        bool file;
        bool directory;
    } cases[] = {
        {"/etc/mesh", false, true}, /* that it is overfull */
        {"/etc/mesh/a.yaml", true, true},
        {"/etc/mesh/a.yml", false, true},
        {"/etc/mesh/b.json", false, true},
        {"/etc/mesh/a.yaml.bak", false, false},
        {"/etc/mesh/.a.yaml", false, false},
        {"/etc/mesh/c/a.yaml", false, false},
        {"/etc/mesh2/a.yaml", false, false},
        {"/etc/mes", false, false},
        {"stream:apply", false, false},
        {"", false, false},
    };
    agent_config_source_t file = {AGENT_SOURCE_FILE, "/etc/mesh/a.yaml"};
    agent_config_source_t directory = {AGENT_SOURCE_DIRECTORY, "/etc/mesh"};

    for (size_t i = 0; i < mesh_nelts(cases); i++) {
        assert_int_equal(source_ops[file.kind]->claims(&file, cases[i].part),
                         cases[i].file);
        assert_int_equal(
            source_ops[directory.kind]->claims(&directory, cases[i].part),
            cases[i].directory);
    }
}

/* --- watches ------------------------------------------------------------- */

static void test_watches_do_not_pile_up(void **state) {
    fixture_t *f = *state;
    source_watch_t *watch = source_watch_new();
    source_place_t place;
    char name[32];

    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        mkdir(at(f, name), 0755);
        link_to(f, name, "current");
        source_watch_begin(watch);
        source_watch_path(watch, at(f, "current/a.yaml"), &place);
        source_watch_end(watch);
        assert_int_equal(source_watch_count(watch), 2);
        (void)source_watch_drain(watch, 1);
    }
    source_watch_free(watch);
}

static void test_writing_is_noticed(void **state) {
    fixture_t *f = *state;
    source_watch_t *watch = source_watch_new();
    source_place_t place;

    put(at(f, "a"), "x");
    source_watch_begin(watch);
    source_watch_path(watch, at(f, "a"), &place);
    source_watch_end(watch);
    assert_int_equal(source_watch_writing(watch, &place), 0);
    FILE *file = fopen(at(f, "a"), "a");
    fputs("y", file);
    fflush(file);
    assert_false(source_watch_drain(watch, 77));
    assert_int_equal(source_watch_writing(watch, &place), 77);
    fclose(file);
    assert_true(source_watch_drain(watch, 78));
    assert_int_equal(source_watch_writing(watch, &place), 0);
    source_watch_free(watch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_edits),
        TEST(test_edits_that_leave_no_trace_in_stat),
        TEST(test_same_content_says_nothing),
        TEST(test_json_by_name),
        TEST(test_broken_then_mended),
        TEST(test_gone_and_back),
        TEST(test_away_for_a_moment),
        TEST(test_not_there_at_first),
        TEST(test_half_written),
        TEST(test_never_closed),
        TEST(test_truncated_for_good),
        TEST(test_no_plain_file),
        TEST(test_kubernetes_volume),
        TEST(test_chain_of_links),
        TEST(test_links_that_lead_nowhere),
        TEST(test_directory),
        TEST(test_a_new_file_is_read_when_it_is_whole),
        TEST(test_directory_that_goes),
        TEST(test_directory_that_is_not_there),
        TEST(test_directory_behind_a_link),
        TEST(test_too_many_files),
        TEST(test_any_history),
        TEST(test_claims),
        TEST(test_watches_do_not_pile_up),
        TEST(test_writing_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
