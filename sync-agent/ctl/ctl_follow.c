/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl apply --follow; see ctl_follow.h.
 *
 * One poll: the input, the agent, signals.  While a request is under way the
 * input is read on, so that a flood becomes few requests and a lone line goes
 * at once.  Lines are given up only when they are answered: whatever becomes
 * of the agent, what it did not answer is sent again, which is harmless, as
 * an upsert or a removal may be repeated.
 */

#include "ctl_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent_log.h"
#include "ctl_client.h"
#include "ctl_lines.h"
#include "ctl_table.h"
#include "model_node.h"

/* Why it does not go on. */
typedef enum {
    TROUBLE_NONE,
    TROUBLE_AWAY, /* nobody answers */
    TROUBLE_HELD, /* he says: not now */
} trouble_e;

typedef struct {
    const ctl_args_t *args;
    ctl_request_t request;
    const char *place; /* the input, in errors */
    ctl_connection_t agent;
    ctl_lines_t lines;
    ctl_batch_t batch;
    ctl_range_t range; /* what is under way */
    bool busy;         /* something is */
    bool ended;        /* the input */
    bool stopped;      /* nothing new is sent */
    unsigned signals;
    trouble_e trouble; /* that was told */
    uint64_t backoff_ms;
    uint64_t due_ms; /* the next try or, when busy, the end of patience */
    int input_fd;
    int signal_fd;
    int rc;
} follow_t;

/* --- what is told ---------------------------------------------------------*/

static void worse(follow_t *f, int rc) {
    f->rc = mesh_max(f->rc, rc);
}

static void on_signal(follow_t *f);

/*
 * Whoever reads `fd` may be slow, or not read at all: a signal is heard while
 * he is waited for, and the rest is not told then.
 */
static bool is_heard(follow_t *f, int fd) {
    for (;;) {
        struct pollfd fds[] = {
            {.fd = fd, .events = POLLOUT},
            {.fd = f->signal_fd, .events = POLLIN},
        };
        int rc = poll(fds, mesh_nelts(fds), f->stopped ? 0 : -1);
        if (rc == -1 && errno == EINTR) {
            continue;
        }
        if (rc <= 0 || fds[0].revents) {
            return rc > 0;
        }
        on_signal(f);
        worse(f, CTL_EXIT_NO);
    }
}

/* Whoever read our output is gone: nobody is told of what comes. */
static void flush_output(follow_t *f) {
    if (fflush(stdout) != 0 && !f->stopped) {
        fprintf(stderr, "meshctl: standard output: %s\n", strerror(errno));
        worse(f, CTL_EXIT_UNREADABLE);
        f->stopped = true;
    }
}

static void add_lines(cJSON *json, uint64_t first, uint64_t last,
                      uint64_t count) {
    cJSON *lines = cJSON_AddObjectToObject(json, "lines");

    ctl_json_u64(lines, "first", first);
    ctl_json_u64(lines, "last", last);
    ctl_json_u64(lines, "count", count);
}

/* What is wrong with a line: texts, which become the caller's no more. */
static void tell_refused(follow_t *f, uint64_t line, cJSON *verdict) {
    const cJSON *text;

    worse(f, CTL_EXIT_NO);
    ctl_json_plain(verdict);
    cJSON_ArrayForEach(text, verdict) {
        if (is_heard(f, STDERR_FILENO)) {
            fprintf(stderr, "%s\n", text->valuestring);
        }
    }
    if (!f->args->json || !is_heard(f, STDOUT_FILENO)) {
        cJSON_Delete(verdict);
        return;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddFalseToObject(json, "ok");
    cJSON_AddStringToObject(json, "outcome", "refused");
    add_lines(json, line, line, 1);
    cJSON_AddItemToObject(json, "verdict", verdict);
    ctl_json_print(json, stdout);
    flush_output(f);
}

/* "<stdin>:7:20: text"; without a column: the line alone. */
static void add_text(follow_t *f, cJSON *verdict, uint64_t line,
                     uint64_t column, const char *text) {
    char place[32] = "";
    char *whole;

    if (column != 0) {
        snprintf(place, sizeof(place), ":%llu", (unsigned long long)column);
    }
    if (asprintf(&whole, "%s:%llu%s: %s", f->place, (unsigned long long)line,
                 place, text) == -1) {
        return;
    }
    cJSON_AddItemToArray(verdict, cJSON_CreateString(whole));
    free(whole);
}

static void tell_too_long(void *ctx, uint64_t line) {
    follow_t *f = ctx;
    cJSON *verdict = cJSON_CreateArray();
    char text[64];

    snprintf(text, sizeof(text), "the line is longer than %llu bytes",
             (unsigned long long)f->lines.max);
    add_text(f, verdict, line, 0, text);
    tell_refused(f, line, verdict);
}

static void tell_taken(follow_t *f, cJSON *answer) {
    const ctl_range_t *range = &f->range;
    char lines[64];

    if (!is_heard(f, STDOUT_FILENO)) {
        cJSON_Delete(answer);
        return;
    }
    if (f->args->json) {
        add_lines(answer, range->first, range->last, range->count);
        ctl_json_print(answer, stdout);
    } else {
        if (range->first == range->last) {
            snprintf(lines, sizeof(lines), ", line %llu",
                     (unsigned long long)range->first);
        } else {
            snprintf(lines, sizeof(lines), ", lines %llu..%llu",
                     (unsigned long long)range->first,
                     (unsigned long long)range->last);
        }
        ctl_answer_print(answer, lines);
        cJSON_Delete(answer);
    }
    flush_output(f);
}

/* Once, until it goes on or is another one. */
static void tell_trouble(follow_t *f, trouble_e trouble, const char *what) {
    if (f->trouble != trouble) {
        fprintf(stderr, "meshctl: %s%s\n", what,
                f->stopped ? "" : "; trying again");
    }
    f->trouble = trouble;
}

static void tell_recovery(follow_t *f) {
    if (f->trouble != TROUBLE_NONE) {
        fprintf(stderr, "meshctl: the agent answers, going on\n");
    }
    f->trouble = TROUBLE_NONE;
    f->backoff_ms = 0;
}

/* --- answers --------------------------------------------------------------*/

/* At once the first time, then later and later. */
static void try_later(follow_t *f) {
    f->busy = false;
    f->due_ms = agent_now_ms() + f->backoff_ms;
    f->backoff_ms = f->backoff_ms ? f->backoff_ms * 2 : CTL_FOLLOW_BACKOFF_MS;
    f->backoff_ms = mesh_min(f->backoff_ms, CTL_FOLLOW_BACKOFF_MAX_MS);
}

/* An agent that ends connections on which nothing is said is not gone. */
static void lost(follow_t *f, bool idle) {
    char text[512];

    if (!idle) {
        snprintf(text, sizeof(text), "agent at %s: %s",
                 ctl_client_path(f->args), strerror(errno));
        tell_trouble(f, TROUBLE_AWAY, text);
    }
    ctl_disconnect(&f->agent);
    try_later(f);
}

static void connect_again(follow_t *f) {
    if (!ctl_connect(&f->agent, ctl_client_path(f->args))) {
        lost(f, false);
    }
}

static bool is_text(const cJSON *answer, const char *key, const char *value) {
    const char *text = ctl_answer_text(answer, key);

    return text != NULL && strcmp(text, value) == 0;
}

/*
 * The lines that the agent says are wrong: told with all that is wrong with
 * each, and not sent again.  false: it does not say.
 */
static bool drop_wrong(follow_t *f, const cJSON *answer) {
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(answer, "errors");
    cJSON *verdict = NULL;
    const cJSON *error;
    bool any = false;

    cJSON_ArrayForEach(error, errors) {
        const char *text = ctl_answer_text(error, "text");
        uint64_t line, column, next = 0;
        if (text == NULL || !ctl_json_get_u64(error, "line", &line) ||
            !ctl_json_get_u64(error, "column", &column) || line == 0 ||
            line > f->range.last - f->range.first + 1) {
            continue;
        }
        any |= ctl_batch_drop(&f->batch, &f->range, line);
        verdict = verdict ? verdict : cJSON_CreateArray();
        add_text(f, verdict, f->range.first + line - 1, column, text);
        (void)ctl_json_get_u64(error->next, "line", &next);
        if (next != line) {
            tell_refused(f, f->range.first + line - 1, verdict);
            verdict = NULL;
        }
    }
    cJSON_Delete(verdict);
    return any;
}

/* The only line is refused, by what else is in the mesh. */
static void refuse_line(follow_t *f, const cJSON *answer) {
    const cJSON *texts = cJSON_GetObjectItemCaseSensitive(answer, "verdict");
    const char *error = ctl_answer_text(answer, "error");
    cJSON *verdict = cJSON_CreateArray();
    const cJSON *text;

    cJSON_ArrayForEach(text, texts) {
        if (cJSON_IsString(text)) {
            add_text(f, verdict, f->range.first, 0, text->valuestring);
        }
    }
    if (cJSON_GetArraySize(verdict) == 0) {
        add_text(f, verdict, f->range.first, 0, error ? error : "refused");
    }
    tell_refused(f, f->range.first, verdict);
}

static void on_refusal(follow_t *f, const cJSON *answer) {
    if (!drop_wrong(f, answer) && !ctl_batch_cut(&f->batch, &f->range)) {
        refuse_line(f, answer);
        ctl_batch_done(&f->batch, &f->range);
    }
}

/* In force; with --wait perhaps not on all workers. */
static void on_taken(follow_t *f, cJSON *answer) {
    ctl_json_plain(answer);
    ctl_answer_complain(answer);
    worse(f, ctl_answer_ok(answer) ? CTL_EXIT_OK : CTL_EXIT_NO);
    ctl_batch_done(&f->batch, &f->range);
    tell_taken(f, answer);
}

static void on_answer(follow_t *f, cJSON *answer) {
    bool late =
        cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(answer, "applied"));

    f->busy = false;
    f->due_ms = 0;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "retry"))) {
        const char *error = ctl_answer_text(answer, "error");
        tell_trouble(f, TROUBLE_HELD, error ? error : "refused for now");
        try_later(f);
    } else if (ctl_answer_ok(answer) || late) {
        tell_recovery(f);
        on_taken(f, answer);
        return;
    } else if (is_text(answer, "outcome", "refused")) {
        tell_recovery(f);
        on_refusal(f, answer);
    } else {
        /* It is of no line: the next would meet the same. */
        ctl_json_plain(answer);
        ctl_answer_complain(answer);
        worse(f, CTL_EXIT_NO);
        f->stopped = true;
    }
    cJSON_Delete(answer);
}

static void on_agent(follow_t *f) {
    cJSON *answer = NULL;

    switch (ctl_step(&f->agent, &answer)) {
    case CTL_UNDER_WAY:
        break;
    case CTL_ANSWERED:
        if (f->busy) {
            on_answer(f, answer);
            break;
        }
        /* It says why it closes: that is heard when something was asked. */
        cJSON_Delete(answer);
        lost(f, true);
        break;
    case CTL_BROKEN:
        lost(f, !f->busy);
    }
}

/* --- the input ------------------------------------------------------------*/

static bool is_readable(int fd) {
    struct pollfd input = {.fd = fd, .events = POLLIN};

    return poll(&input, 1, 0) == 1;
}

static void input_failed(follow_t *f, const char *why) {
    fprintf(stderr, "meshctl: %s: %s\n", f->place, why);
    worse(f, CTL_EXIT_UNREADABLE);
    f->ended = true;
}

/*
 * All that is there, up to a batch: whoever writes faster than it is read, a
 * line without an end maybe, must not keep signals and answers waiting.
 */
static void on_input(follow_t *f) {
    size_t got = 0;

    do {
        size_t room;
        char *to = ctl_lines_room(&f->lines, &room);
        ssize_t n = to != NULL ? read(f->input_fd, to, room) : -1;
        if (n > 0) {
            ctl_lines_add(&f->lines, (size_t)n);
            got += (size_t)n;
        } else if (n == 0) {
            f->ended = true;
            if (!ctl_lines_end(&f->lines)) {
                input_failed(f, strerror(errno));
            }
        } else if (errno != EINTR && errno != EAGAIN) {
            input_failed(f, strerror(errno));
        }
    } while (!f->ended && got < CTL_FOLLOW_BATCH &&
             f->lines.whole < CTL_FOLLOW_BATCH && is_readable(f->input_fd));
}

/*
 * A pipe that nobody writes to yet is not at its end, and is not waited for.
 * Before anything else is opened: it would be a closed standard input.
 */
static bool open_input(follow_t *f) {
    if (strcmp(f->args->file, "-") == 0) {
        f->place = "<stdin>";
        f->input_fd = fcntl(STDIN_FILENO, F_GETFD) == -1 ? -1 : STDIN_FILENO;
        if (f->input_fd == -1) {
            input_failed(f, strerror(errno));
        }
        return f->input_fd != -1;
    }
    f->place = f->args->file;
    f->input_fd =
        open(f->args->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f->input_fd == -1) {
        input_failed(f, strerror(errno));
    }
    return f->input_fd != -1;
}

/* --- the loop -------------------------------------------------------------*/

/* true: `range` is what to send next. */
static bool next_range(follow_t *f) {
    bool failed = false;

    while (!ctl_batch_next(&f->batch, &f->range)) {
        if (!ctl_lines_take(&f->lines, CTL_FOLLOW_BATCH, &f->batch, &failed)) {
            if (failed) {
                input_failed(f, strerror(ENOMEM));
            }
            return false;
        }
    }
    return true;
}

/* Sends what there is, if it can be now.  false: all is done. */
static bool go_on(follow_t *f) {
    if (f->stopped) {
        return f->busy;
    }
    if (f->busy) {
        return true;
    }
    if (!next_range(f)) {
        return !f->ended;
    }
    if (f->agent.fd == -1 || agent_now_ms() < f->due_ms) {
        return true;
    }
    f->request.body = f->range.text;
    f->request.length = f->range.text.len;
    if (!ctl_send(&f->agent, &f->request)) {
        input_failed(f, strerror(ENOMEM));
        f->stopped = true;
        return false;
    }
    f->busy = true;
    f->due_ms = agent_now_ms() + f->request.timeout_ms + CTL_TIMEOUT_MS;
    return true;
}

/* The second one does not wait for an answer. */
static void on_signal(follow_t *f) {
    struct signalfd_siginfo info;

    while (read(f->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        f->signals++;
    }
    f->stopped = true;
    f->busy = f->busy && f->signals < 2;
}

static int time_left(const follow_t *f) {
    uint64_t now_ms = agent_now_ms();

    /* Nothing is to be sent, and nobody to be reached. */
    if (f->agent.fd != -1 && !f->busy && f->batch.text == NULL) {
        return -1;
    }
    return f->due_ms > now_ms ? (int)(f->due_ms - now_ms) : 0;
}

static void on_time(follow_t *f) {
    if (agent_now_ms() < f->due_ms) {
        return;
    }
    if (f->busy) {
        errno = ETIMEDOUT;
        lost(f, false);
    } else if (f->agent.fd == -1) {
        connect_again(f);
    }
}

static void run(follow_t *f) {
    while (go_on(f)) {
        bool reads =
            !f->ended && !f->stopped && f->lines.whole < CTL_FOLLOW_BATCH;
        struct pollfd fds[] = {
            {.fd = f->signal_fd, .events = POLLIN},
            {.fd = reads ? f->input_fd : -1, .events = POLLIN},
            {.fd = f->agent.fd, .events = ctl_events(&f->agent)},
        };
        if (poll(fds, mesh_nelts(fds), time_left(f)) == -1) {
            continue;
        }
        if (fds[0].revents) {
            on_signal(f);
        }
        if (fds[1].revents) {
            on_input(f);
        }
        if (fds[2].revents) {
            on_agent(f);
        }
        on_time(f);
    }
}

/* What was read and not answered is named: it may be sent again from there. */
static void tell_rest(follow_t *f) {
    if (next_range(f)) {
        worse(f, CTL_EXIT_NO);
        if (is_heard(f, STDERR_FILENO)) {
            fprintf(stderr, "meshctl: ended before %s:%llu was applied\n",
                    f->place, (unsigned long long)f->range.first);
        }
    }
}

static void end(follow_t *f) {
    if (f->input_fd > STDIN_FILENO) {
        close(f->input_fd);
    }
    if (f->signal_fd != -1) {
        close(f->signal_fd);
    }
    ctl_disconnect(&f->agent);
    ctl_batch_free(&f->batch);
    ctl_lines_free(&f->lines);
}

/* Signals are told to the loop, and a pipe without a reader to the writer. */
static bool take_signals(follow_t *f) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    f->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (f->signal_fd == -1) {
        fprintf(stderr, "meshctl: signalfd: %s\n", strerror(errno));
    }
    return f->signal_fd != -1;
}

int ctl_follow(const ctl_args_t *args, const ctl_request_t *request) {
    follow_t f = {.args = args,
                  .request = *request,
                  .agent = {.fd = -1},
                  .input_fd = -1,
                  .signal_fd = -1,
                  .rc = CTL_EXIT_OK};
    void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
    sigset_t before;

    sigprocmask(SIG_BLOCK, NULL, &before);
    /* With its newline it is a body. */
    ctl_lines_init(&f.lines, MODEL_FILE_MAX - 1, tell_too_long, &f);
    if (!open_input(&f) || !take_signals(&f)) {
        f.rc = CTL_EXIT_UNREADABLE;
    } else if (!ctl_connect(&f.agent, ctl_client_path(args))) {
        /* Nothing was read: whoever made a mistake is told at once. */
        fprintf(stderr, "meshctl: agent at %s: %s\n", ctl_client_path(args),
                strerror(errno));
        f.rc = CTL_EXIT_UNREADABLE;
    } else {
        run(&f);
        tell_rest(&f);
    }
    end(&f);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, pipe_before);
    return f.rc;
}
