/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The journal of applied parts: reads back what was committed, whatever was
 * cut off, and compacting changes nothing of what it means.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_journal.h"
#include "agent_log.h"
#include "fault.h"
#include "temp_dir.h"

typedef struct {
    temp_dir_t top;
    agent_journal_t journal;
} fixture_t;

static int setup(void **state) {
    fixture_t *f = calloc(1, sizeof(*f));

    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    temp_dir_make(&f->top);
    agent_journal_init(&f->journal, f->top.path, "apply");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_t *f = *state;

    agent_journal_free(&f->journal);
    temp_dir_remove(&f->top);
    free(f);
    return 0;
}

static void add(fixture_t *f, ctl_format_e format, const char *body) {
    ctl_request_t request = {.command = CTL_APPLY,
                             .format = format,
                             .length = strlen(body),
                             .part = "apply",
                             .body = mesh_str_from(body)};
    agent_journal_add(&f->journal, &request);
}

/* "json:{...}|lines:...|" */
static void collect(void *ctx, const ctl_request_t *request) {
    char *text = ctx;
    size_t len = strlen(text);

    assert_string_equal(request->part, "apply");
    snprintf(text + len, 4096 - len, "%s:%.*s|",
             ctl_format_name(request->format), (int)request->body.len,
             request->body.data);
}

static uint32_t read_back(fixture_t *f, char text[4096]) {
    agent_journal_t other;

    text[0] = '\0';
    agent_journal_init(&other, f->top.path, "apply");
    uint32_t count = agent_journal_read(&other, collect, text);
    agent_journal_free(&other);
    return count;
}

static void test_reads_what_was_committed(void **state) {
    fixture_t *f = *state;
    char text[4096];

    add(f, CTL_JSON, "{}");
    agent_journal_commit(&f->journal);
    add(f, CTL_LINES, "one\n");
    add(f, CTL_LINES, "two\nthree");
    agent_journal_commit(&f->journal);
    add(f, CTL_LINES, "dropped");
    agent_journal_drop(&f->journal);
    agent_journal_commit(&f->journal);
    assert_int_equal(read_back(f, text), 3);
    assert_string_equal(text, "json:{}|lines:one\n|lines:two\nthree|");

    /* A whole document is the first again. */
    add(f, CTL_LINES, "four");
    add(f, CTL_YAML, "a: b");
    add(f, CTL_LINES, "five");
    agent_journal_commit(&f->journal);
    assert_int_equal(read_back(f, text), 2);
    assert_string_equal(text, "yaml:a: b|lines:five|");
}

static void note(void *ctx, const char *part) {
    char *text = ctx;
    snprintf(text, 64, "%s", part);
}

static void test_list_and_remove(void **state) {
    fixture_t *f = *state;
    char text[64] = "";

    agent_journal_list(f->top.path, note, text);
    assert_string_equal(text, "");
    add(f, CTL_JSON, "{}");
    agent_journal_commit(&f->journal);
    agent_journal_list(f->top.path, note, text);
    assert_string_equal(text, "apply");
    struct stat st;
    assert_int_equal(stat(f->journal.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    agent_journal_remove(&f->journal);
    assert_int_equal(access(f->journal.path, F_OK), -1);
}

/* Cut at any byte, it gives the whole frames before it, and goes on there. */
static void test_cut_off_anywhere(void **state) {
    fixture_t *f = *state;
    char text[4096];
    uint32_t most = 0;

    add(f, CTL_JSON, "{\"clusters\":{}}");
    add(f, CTL_LINES, "one");
    add(f, CTL_LINES, "two");
    agent_journal_commit(&f->journal);
    struct stat st;
    stat(f->journal.path, &st);
    uint64_t size = (uint64_t)st.st_size;

    for (uint64_t keep = size; keep-- > 0;) {
        char before[4096];
        assert_int_equal(truncate(f->journal.path, (off_t)keep), 0);
        uint32_t count = read_back(f, before);
        assert_true(count <= 2);
        most = mesh_max(most, count);
        stat(f->journal.path, &st);
        assert_true((uint64_t)st.st_size <= keep);
        keep = (uint64_t)st.st_size;
        if (count == 0) {
            break;
        }
        f->journal.size = keep;
        add(f, CTL_LINES, "more");
        agent_journal_commit(&f->journal);
        assert_int_equal(read_back(f, text), count + 1);
        assert_int_equal(strncmp(text, before, strlen(before)), 0);
        truncate(f->journal.path, (off_t)keep);
        f->journal.size = keep;
    }
    assert_int_equal(most, 2);
}

static void test_nowhere_to_write(void **state) {
    fixture_t *f = *state;
    agent_journal_t journal;
    char text[4096] = "";

    agent_log_setup(AGENT_LOG_ERROR, AGENT_LOG_TEXT);
    agent_journal_init(&journal, "/proc/nowhere", "apply");
    ctl_request_t request = {.command = CTL_APPLY, .part = "apply"};
    agent_journal_add(&journal, &request);
    agent_journal_commit(&journal);
    assert_true(journal.failed);
    assert_int_equal(journal.pending.len, 0);
    assert_true(journal.owed.len > 0);
    assert_int_equal(agent_journal_read(&journal, collect, text), 0);
    agent_journal_free(&journal);
    (void)f;
}

/* --- calls that fail ------------------------------------------------------ */

typedef void (*step_pt)(fixture_t *f);

static void one_more_line(fixture_t *f) {
    add(f, CTL_LINES, "new");
    agent_journal_commit(&f->journal);
}

static void a_whole_document(fixture_t *f) {
    add(f, CTL_YAML, "new: 1");
    agent_journal_commit(&f->journal);
}

/* Twice this aim and the slack are 0: it is worth while at once. */
static void a_line_and_compaction(fixture_t *f) {
    f->journal.aim = (UINT64_MAX - AGENT_JOURNAL_SLACK) / 2 + 1;
    one_more_line(f);
}

#define BEFORE "json:{}|lines:one|"

static void sweep(fixture_t *f, const fault_t *kind, step_pt step,
                  const char *after) {
    fault_t fault = *kind;
    char text[4096], more[4096];

    fault.err = ENOSPC;
    while (fault.partly = kind->partly, fault_again(&fault)) {
        add(f, CTL_JSON, "{}");
        add(f, CTL_LINES, "one");
        agent_journal_commit(&f->journal);
        unsigned descriptors = open_descriptors();
        fault_begin(&fault);
        step(f);
        fault_end();
        assert_int_equal(open_descriptors(), descriptors);
        read_back(f, text);
        if (strcmp(text, after) != 0 &&
            !(fault.hit && strcmp(text, BEFORE) == 0)) {
            fail_msg("%s (call %u) failed: %s", fault.what, fault.at, text);
        }
        /* What was not written comes before what comes now. */
        add(f, CTL_LINES, "more");
        agent_journal_commit(&f->journal);
        assert_false(f->journal.failed);
        read_back(f, more);
        assert_int_equal(strncmp(more, after, strlen(after)), 0);
        assert_string_equal(more + strlen(after), "lines:more|");
    }
    assert_in_range(fault.at, 2, 20);
}

static void test_calls_that_fail(void **state) {
    static const fault_t faults[] = {
        {.kinds = FAULT_CALLS},
        {.kinds = FAULT_WRITE, .partly = true},
        {.kinds = FAULT_WRITE, .partly = true, .sticky = true},
        {.kinds = FAULT_CALLS, .sticky = true}};
    fixture_t *f = *state;

    for (size_t i = 0; i < mesh_nelts(faults); i++) {
        sweep(f, &faults[i], one_more_line, BEFORE "lines:new|");
        sweep(f, &faults[i], a_whole_document, "yaml:new: 1|");
    }
}

/* What there was room for is given back: others need it more. */
static void test_nothing_is_left_of_what_failed(void **state) {
    fixture_t *f = *state;
    fault_t fault = {
        .kinds = FAULT_WRITE, .partly = true, .sticky = true, .err = ENOSPC};

    assert_true(fault_again(&fault));
    add(f, CTL_JSON, "{}");
    fault_begin(&fault);
    agent_journal_commit(&f->journal);
    fault_end();
    assert_true(fault.hit && f->journal.owed.len > 0);
    assert_int_equal(access(temp_path(&f->top, "streams"), F_OK), 0);
    assert_int_not_equal(
        access(temp_path(&f->top, "streams/apply.journal.tmp"), F_OK), 0);
    agent_journal_retry(&f->journal);
    assert_int_equal(f->journal.owed.len, 0);
}

/* On a disk that stays full, no more is owed than counts. */
static void test_what_is_owed_is_bounded(void **state) {
    fixture_t *f = *state;
    fault_t fault = {.kinds = FAULT_WRITE, .sticky = true, .err = ENOSPC};
    char line[512], text[4096];
    size_t told = 0;

    add(f, CTL_JSON, "{}");
    agent_journal_commit(&f->journal);
    fault_again(&fault);
    fault_begin(&fault);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(line, sizeof(line),
                 "{\"remove\":{\"clusters\":[\"a%0250u\"]}}\n", i % 10);
        told += strlen(line);
        add(f, CTL_LINES, line);
        agent_journal_commit(&f->journal);
        add(f, CTL_LINES, "refused later");
        agent_journal_drop(&f->journal);
        assert_true(f->journal.owed.len < 2 * AGENT_JOURNAL_SLACK);
    }
    assert_true(told > 4 * AGENT_JOURNAL_SLACK);
    fault_end();
    assert_int_equal(read_back(f, text), 1);
    agent_journal_retry(&f->journal);
    assert_false(f->journal.failed);
    assert_int_equal(f->journal.owed.len, 0);
    assert_true(f->journal.size < 2 * AGENT_JOURNAL_SLACK);

    char *frames = temp_read(f->journal.path, &(size_t){0});
    assert_non_null(frames);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(line, sizeof(line), "[\"a%0250u\"]", i);
        assert_non_null(strstr(frames, line));
    }
    free(frames);
}

/* The lines mean nothing, so compaction leaves none of them. */
static void test_a_compaction_that_fails(void **state) {
    fixture_t *f = *state;
    fault_t fault = {.kinds = FAULT_CALLS, .err = ENOSPC};
    char text[4096];

    while (fault_again(&fault)) {
        add(f, CTL_JSON, "{}");
        add(f, CTL_LINES, "one");
        agent_journal_commit(&f->journal);
        fault_begin(&fault);
        a_line_and_compaction(f);
        fault_end();
        read_back(f, text);
        if (strcmp(text, "json:{}|") != 0 && strcmp(text, BEFORE) != 0 &&
            strcmp(text, BEFORE "lines:new|") != 0) {
            fail_msg("%s (call %u) failed: %s", fault.what, fault.at, text);
        }
        f->journal.aim = f->journal.size; /* no more compactions */
        add(f, CTL_LINES, "more");
        agent_journal_commit(&f->journal);
        read_back(f, text);
        assert_non_null(strstr(text, "lines:more|"));
    }
    assert_string_equal(text, "json:{}|lines:more|");
}

/* Memory is not to be had: the agent ends, and systemd starts it again. */
static void test_out_of_memory(void **state) {
    fixture_t *f = *state;
    fault_t fault = {.kinds = FAULT_MEMORY};
    char text[4096];
    int status = 1;

    add(f, CTL_JSON, "{}");
    add(f, CTL_LINES, "one");
    agent_journal_commit(&f->journal);
    while (status != 0) {
        fault_again(&fault);
        fault.hit = true; /* in the child */
        pid_t pid = fork();
        if (pid == 0) {
            fault_begin(&fault);
            a_line_and_compaction(f);
            fault_end();
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(status == 0 ||
                    (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
        read_back(f, text);
        assert_int_equal(strncmp(text, status ? BEFORE : "json:{}|", 8), 0);
    }
    assert_in_range(fault.at, 5, 60);
}

/* What cannot be read now is there another time, and what came since. */
static void test_a_journal_that_cannot_be_read(void **state) {
    fixture_t *f = *state;
    fault_t fault = {.kinds = FAULT_READ};
    agent_journal_t next;
    char text[4096] = "";

    add(f, CTL_JSON, "{}");
    add(f, CTL_LINES, "one");
    agent_journal_commit(&f->journal);
    agent_journal_init(&next, f->top.path, "apply");
    fault_again(&fault);
    fault_begin(&fault);
    assert_int_equal(agent_journal_read(&next, collect, text), 0);
    fault_end();
    assert_true(fault.hit && next.failed);
    assert_int_equal(next.size, f->journal.size);
    ctl_request_t request = {.command = CTL_APPLY,
                             .format = CTL_LINES,
                             .length = 3,
                             .part = "apply",
                             .body = MESH_STR("new")};
    agent_journal_add(&next, &request);
    agent_journal_commit(&next);
    agent_journal_free(&next);
    assert_int_equal(read_back(f, text), 3);
    assert_string_equal(text, BEFORE "lines:new|");
}

/* --- compacting ---------------------------------------------------------- */

static char *frame(ctl_format_e format, const char *body) {
    ctl_request_t request = {.command = CTL_APPLY,
                             .format = format,
                             .length = strlen(body),
                             .part = "apply"};
    char *line = ctl_request_text(&request);
    char *text = NULL;

    assert_int_not_equal(asprintf(&text, "%s%s", line, body), -1);
    free(line);
    return text;
}

static void check_compact(const char *lines, const char *wanted) {
    char *whole = frame(CTL_JSON, "{\"a\":1}");
    char *changes = frame(CTL_LINES, lines);
    char *all = NULL;
    size_t len;

    assert_int_not_equal(asprintf(&all, "%s%s", whole, changes), -1);
    char *out = agent_journal_compact(mesh_str_from(all), &len);
    assert_non_null(out);
    assert_int_equal(strncmp(out, whole, strlen(whole)), 0);
    const char *behind = out + strlen(whole);
    const char *body = memchr(behind, '\n', len - strlen(whole));
    size_t size = len - strlen(whole);
    if (wanted[0] == '\0') {
        assert_int_equal(size, 0);
    } else {
        assert_non_null(body);
        size_t body_len = size - (size_t)(body + 1 - behind);
        assert_int_equal(body_len, strlen(wanted));
        assert_memory_equal(body + 1, wanted, body_len);
    }
    free(out);
    free(all);
    free(changes);
    free(whole);
}

#define CLUSTER(name, value)                                                   \
    "{\"upsert\":{\"clusters\":{\"" name "\":{\"endpoints\":[\"" value         \
    "\"]}}}}\n"

static void test_later_lines_replace_earlier_ones(void **state) {
    (void)state;
    check_compact(CLUSTER("a", "1") CLUSTER("b", "2") CLUSTER("a", "3"),
                  CLUSTER("b", "2") CLUSTER("a", "3"));
    check_compact(CLUSTER("a", "1") "{\"remove\":{\"clusters\":[\"a\"]}}\n",
                  "{\"remove\":{\"clusters\":[\"a\"]}}\n");
    check_compact("{\"remove\":{\"clusters\":[\"a\"]}}\n" CLUSTER("a", "1"),
                  CLUSTER("a", "1"));
}

/* What came before a replacement is gone, the document at the front, too. */
static void test_a_replacement_is_a_beginning(void **state) {
    (void)state;
#define REPLACE "{\"replace\":{\"clusters\":{\"a\":{\"endpoints\":[]}}}}\n"
    char *all = NULL, *whole = frame(CTL_YAML, "b: 1");
    char *changes = frame(CTL_LINES, CLUSTER("b", "1") REPLACE CLUSTER("b", "2")
                                         REPLACE CLUSTER("a", "3"));
    size_t len;

    assert_int_not_equal(asprintf(&all, "%s%s", whole, changes), -1);
    char *out = agent_journal_compact(mesh_str_from(all), &len);
    char *wanted = frame(CTL_LINES, REPLACE CLUSTER("a", "3"));
    /* It removes what it does not have: it counts whatever comes later. */
    assert_int_equal(len, strlen(wanted));
    assert_memory_equal(out, wanted, len);
    free(wanted);
    free(out);
    free(all);
    free(changes);
    free(whole);
}

/* A line that has anything of its own stays whole. */
static void test_lines_of_several_resources(void **state) {
    (void)state;
#define BOTH                                                                   \
    "{\"upsert\":{\"clusters\":{\"a\":{\"endpoints\":[]},"                     \
    "\"b\":{\"endpoints\":[]}}}}\n"
    check_compact(BOTH CLUSTER("a", "1"), BOTH CLUSTER("a", "1"));
    check_compact(BOTH CLUSTER("a", "1") CLUSTER("b", "1"),
                  CLUSTER("a", "1") CLUSTER("b", "1"));
}

/* Written by nobody, but there: what is not understood stays. */
static void test_lines_of_a_wrong_shape(void **state) {
    static const char *const wrong[] = {
        "{\"upsert\":{\"clusters\":[\"a\"]}}\n",
        "{\"upsert\":{\"endpoints\":[{\"a\":1}]}}\n",
        "{\"upsert\":{\"hosts\":[5, {\"domains\":[{}]}]}}\n",
    };
    (void)state;
    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        check_compact(wrong[i], wrong[i]);
    }
}

static void test_clusters_and_endpoints_apart(void **state) {
    (void)state;
#define NO_ENDPOINTS "{\"upsert\":{\"clusters\":{\"a\":{\"lb\":\"x\"}}}}\n"
#define ENDPOINTS "{\"upsert\":{\"endpoints\":{\"a\":[\"1\"]}}}\n"
    /* A cluster without endpoints leaves those there are. */
    check_compact(ENDPOINTS NO_ENDPOINTS, ENDPOINTS NO_ENDPOINTS);
    check_compact(ENDPOINTS CLUSTER("a", "2"), CLUSTER("a", "2"));
    check_compact(CLUSTER("a", "2") ENDPOINTS, CLUSTER("a", "2") ENDPOINTS);
}

static void test_hosts_of_tables(void **state) {
    (void)state;
#define HOST(name) "{\"upsert\":{\"hosts\":[{\"domains\":[\"" name "\"]}]}}\n"
#define HOST_IN(table, name)                                                   \
    "{\"upsert\":{\"route_table\":{\"name\":\"" table "\"},"                   \
    "\"hosts\":[{\"name\":\"" name "\"}]}}\n"
    check_compact(HOST("a") HOST("b") HOST("a"), HOST("b") HOST("a"));
    check_compact(HOST("a") HOST_IN("t", "a"), HOST("a") HOST_IN("t", "a"));
    check_compact(HOST_IN("t", "a") HOST_IN("t", "a"), HOST_IN("t", "a"));
    check_compact(HOST("a") "{\"remove\":{\"hosts\":[\"a\"]}}\n",
                  "{\"remove\":{\"hosts\":[\"a\"]}}\n");
}

static void test_keys_of_the_runtime(void **state) {
    (void)state;
#define VALUE(key, n) "{\"upsert\":{\"runtime\":{\"" key "\":" n "}}}\n"
    check_compact(VALUE("a", "1") VALUE("b", "2") VALUE("a", "3"),
                  VALUE("b", "2") VALUE("a", "3"));
    check_compact(VALUE("a", "1") CLUSTER("a", "1"),
                  VALUE("a", "1") CLUSTER("a", "1"));
    check_compact(VALUE("a", "1") "{\"remove\":{\"runtime\":[\"a\"]}}\n",
                  "{\"remove\":{\"runtime\":[\"a\"]}}\n");
}

/* After many changes of few resources the file stays small by itself. */
static void test_the_file_stays_bounded(void **state) {
    fixture_t *f = *state;
    struct stat st;
    char *line = malloc(20000);
    char text[4096];

    add(f, CTL_JSON, "{}");
    for (int i = 0; i < 2000; i++) {
        snprintf(line, 20000,
                 "{\"upsert\":{\"clusters\":{\"c%d\":{\"endpoints\":[],"
                 "\"pad\":\"%08000d\"}}}}",
                 i % 7, i);
        add(f, CTL_LINES, line);
        agent_journal_commit(&f->journal);
        assert_int_equal(stat(f->journal.path, &st), 0);
        assert_int_equal(st.st_size, f->journal.size);
        assert_true(f->journal.size <
                    AGENT_JOURNAL_SLACK + 3 * 8 * 8200 + 20000);
    }
    assert_true(read_back(f, text) > 1);
    free(line);
}

/* --- compacting beside the main thread ----------------------------------- */

static void count_frames(void *ctx, const ctl_request_t *request) {
    (void)request;
    ++*(unsigned *)ctx;
}

/* Lines of seven resources, until it asks for compaction. */
static void fill_up(fixture_t *f) {
    char *line = malloc(20000);

    add(f, CTL_JSON, "{}");
    for (int i = 0; !f->journal.job->running; i++) {
        assert_true(i < 2000);
        snprintf(line, 20000,
                 "{\"upsert\":{\"clusters\":{\"c%d\":{\"endpoints\":[],"
                 "\"pad\":\"%08000d\"}}}}",
                 i % 7, i);
        add(f, CTL_LINES, line);
        agent_journal_commit(&f->journal);
    }
    free(line);
}

static void collect_job(fixture_t *f) {
    agent_job_join(f->journal.job);
    agent_journal_collect(&f->journal);
    assert_null(f->journal.compaction);
}

static uint64_t file_size(const char *path, const char *suffix) {
    char name[256];
    struct stat st;

    snprintf(name, sizeof(name), "%s%s", path, suffix);
    return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static unsigned frames(const fixture_t *f) {
    agent_journal_t other;
    unsigned count = 0;

    agent_journal_init(&other, f->top.path, "apply");
    (void)agent_journal_read(&other, count_frames, &count);
    agent_journal_free(&other);
    return count;
}

/* What is appended meanwhile is in the shorter file, too. */
static void test_appending_while_it_is_compacted(void **state) {
    fixture_t *f = *state;
    agent_job_t job;

    for (unsigned threads = 0; threads < 2; threads++) {
        agent_job_init(&job, threads);
        f->journal.job = &job;
        fill_up(f);
        unsigned before = frames(f);
        assert_true(f->journal.size > AGENT_JOURNAL_SLACK);
        for (int i = 0; i < 20; i++) {
            add(f, CTL_LINES, "{\"remove\":{\"clusters\":[\"meanwhile\"]}}\n");
            agent_journal_commit(&f->journal);
        }
        assert_int_equal(frames(f), before + 20);
        collect_job(f);
        /* The document, one frame of the last lines, and those. */
        assert_int_equal(frames(f), 22);
        assert_in_range(f->journal.size, 7 * 8000, 8 * 8200);
        assert_int_equal(file_size(f->journal.path, ""), f->journal.size);
        assert_int_equal(file_size(f->journal.path, ".compact"), 0);
        add(f, CTL_LINES, "and on");
        agent_journal_commit(&f->journal);
        assert_int_equal(frames(f), 23);
        agent_job_free(&job);
    }
}

/* A whole document makes it pointless; removing the part as well. */
static void test_written_anew_while_it_is_compacted(void **state) {
    fixture_t *f = *state;
    agent_job_t job;
    char text[4096];

    agent_job_init(&job, false);
    f->journal.job = &job;
    fill_up(f);
    add(f, CTL_YAML, "a: b");
    agent_journal_commit(&f->journal);
    collect_job(f);
    assert_int_equal(read_back(f, text), 1);
    assert_string_equal(text, "yaml:a: b|");
    assert_int_equal(file_size(f->journal.path, ".compact"), 0);

    fill_up(f);
    agent_journal_remove(&f->journal);
    collect_job(f);
    assert_int_equal(frames(f), 0);
    assert_int_equal(f->journal.size, 0);
    assert_int_equal(file_size(f->journal.path, ".compact"), 0);
    agent_job_free(&job);
}

static void await(const agent_job_t *job) {
    struct pollfd told = {.fd = job->fd, .events = POLLIN};

    assert_int_equal(poll(&told, 1, 60000), 1);
}

/* The same when the shorter file is ready before that happens. */
static void test_written_anew_before_it_is_collected(void **state) {
    fixture_t *f = *state;
    agent_job_t job;
    char text[4096];

    agent_job_init(&job, true);
    f->journal.job = &job;
    fill_up(f);
    await(&job);
    assert_int_not_equal(file_size(f->journal.path, ".compact"), 0);
    add(f, CTL_YAML, "a: b");
    agent_journal_commit(&f->journal);
    collect_job(f);
    assert_int_equal(read_back(f, text), 1);
    assert_string_equal(text, "yaml:a: b|");
    assert_int_equal(file_size(f->journal.path, ".compact"), 0);
    agent_job_free(&job);
}

/* What was appended meanwhile cannot be read: the journal stays as it is. */
static void test_the_rest_cannot_be_copied(void **state) {
    fixture_t *f = *state;
    agent_job_t job;

    agent_job_init(&job, true);
    f->journal.job = &job;
    fill_up(f);
    await(&job);
    unsigned before = frames(f);
    add(f, CTL_LINES, "one");
    add(f, CTL_LINES, "two");
    agent_journal_commit(&f->journal);
    assert_int_equal(
        truncate(f->journal.path, (off_t)(f->journal.size - 3 - 1)), 0);
    collect_job(f);
    assert_int_equal(frames(f), before + 1);
    assert_int_equal(file_size(f->journal.path, ".compact"), 0);
    agent_job_free(&job);
}

/* It cannot be written: the journal stays, and it is not tried at once. */
static void test_no_place_for_the_shorter_file(void **state) {
    fixture_t *f = *state;
    agent_job_t job;
    char path[256];

    agent_job_init(&job, false);
    f->journal.job = &job;
    add(f, CTL_LINES, "first");
    agent_journal_commit(&f->journal);
    snprintf(path, sizeof(path), "%s.compact", f->journal.path);
    assert_int_equal(mkdir(path, 0700), 0);
    fill_up(f);
    uint64_t size = f->journal.size;
    unsigned before = frames(f);
    collect_job(f);
    assert_int_equal(frames(f), before);
    assert_int_equal(f->journal.size, size);
    assert_int_equal(f->journal.aim, size);
    add(f, CTL_LINES, "more");
    agent_journal_commit(&f->journal);
    assert_false(job.running);
    assert_int_equal(frames(f), before + 1);
    agent_job_free(&job);
}

/* One job for all journals: whoever finds it busy waits for another commit. */
static void test_two_journals_share_a_job(void **state) {
    fixture_t *f = *state;
    fixture_t other = *f;
    agent_job_t job;

    agent_job_init(&job, false);
    agent_journal_init(&other.journal, f->top.path, "other");
    f->journal.job = other.journal.job = &job;
    fill_up(f);
    other.journal.size = f->journal.size; /* as if it were as long */
    add(&other, CTL_LINES, "line");
    agent_journal_commit(&other.journal);
    assert_null(other.journal.compaction);
    collect_job(f);
    agent_journal_collect(&other.journal);
    add(&other, CTL_LINES, "line");
    agent_journal_commit(&other.journal);
    assert_non_null(other.journal.compaction);
    collect_job(&other);
    agent_job_free(&job);
    agent_journal_free(&other.journal);
}

static void test_what_is_not_understood_is_left(void **state) {
    (void)state;
    size_t len;

    assert_null(agent_journal_compact(MESH_STR(""), &len));
    assert_null(agent_journal_compact(MESH_STR("nonsense\n"), &len));
    char *cut = frame(CTL_LINES, "0123456789");
    assert_null(
        agent_journal_compact((mesh_str_t){strlen(cut) - 1, cut}, &len));
    free(cut);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_what_was_committed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_list_and_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_off_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nowhere_to_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls_that_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_left_of_what_failed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_owed_is_bounded, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_compaction_that_fails, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_journal_that_cannot_be_read,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
        cmocka_unit_test(test_later_lines_replace_earlier_ones),
        cmocka_unit_test(test_a_replacement_is_a_beginning),
        cmocka_unit_test(test_lines_of_several_resources),
        cmocka_unit_test(test_lines_of_a_wrong_shape),
        cmocka_unit_test(test_clusters_and_endpoints_apart),
        cmocka_unit_test(test_hosts_of_tables),
        cmocka_unit_test(test_keys_of_the_runtime),
        cmocka_unit_test_setup_teardown(test_the_file_stays_bounded, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_appending_while_it_is_compacted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_written_anew_while_it_is_compacted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_written_anew_before_it_is_collected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_rest_cannot_be_copied, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_no_place_for_the_shorter_file,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_journals_share_a_job, setup,
                                        teardown),
        cmocka_unit_test(test_what_is_not_understood_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
