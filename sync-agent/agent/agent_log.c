/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Log lines are made in a buffer of stated size and written by one write(),
 * so that lines of several processes on one descriptor do not mix.
 */

#include "agent_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static agent_log_level_e log_level = AGENT_LOG_INFO;
static agent_log_format_e log_format = AGENT_LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* A line under construction; `full` once something did not fit. */
typedef struct {
    char *at;
    char *end; /* room for "...", newline and NUL is behind it */
    bool full;
} log_out_t;

bool agent_log_level_parse(const char *word, agent_log_level_e *level) {
    for (size_t i = 0; i < mesh_nelts(level_names); i++) {
        if (strcmp(word, level_names[i]) == 0) {
            *level = (agent_log_level_e)i;
            return true;
        }
    }
    return false;
}

bool agent_log_format_parse(const char *word, agent_log_format_e *format) {
    if (strcmp(word, "text") == 0) {
        *format = AGENT_LOG_TEXT;
        return true;
    }
    if (strcmp(word, "json") == 0) {
        *format = AGENT_LOG_JSON;
        return true;
    }
    return false;
}

/* systemd says which socket it gave: "device:inode". */
static bool is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    char mine[64];
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) == -1) {
        return false;
    }
    snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(mine, stream) == 0;
}

void agent_log_setup(agent_log_level_e level, agent_log_format_e format) {
    log_level = level;
    log_format =
        format == AGENT_LOG_TEXT && is_journal() ? AGENT_LOG_JOURNAL : format;
}

static void put(log_out_t *out, const char *text, size_t len) {
    if (out->full || (size_t)(out->end - out->at) < len) {
        out->full = true;
        return;
    }
    memcpy(out->at, text, len);
    out->at += len;
}

static void put_str(log_out_t *out, const char *text) {
    put(out, text, strlen(text));
}

static void put_escaped(log_out_t *out, const char *text) {
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\') {
            put(out, (char[]){'\\', *p}, 2);
        } else if (c == '\n') {
            put(out, "\\n", 2);
        } else if (c < 0x20 || c == 0x7f) {
            char hex[8];
            int n = snprintf(hex, sizeof(hex), "\\u%04x", c);
            put(out, hex, (size_t)n);
        } else {
            put(out, p, 1);
        }
    }
}

static bool needs_quotes(const char *text) {
    if (*text == '\0') {
        return true;
    }
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static void put_quoted(log_out_t *out, const char *text) {
    put(out, "\"", 1);
    put_escaped(out, text);
    put(out, "\"", 1);
}

static void put_value(log_out_t *out, agent_log_format_e format,
                      const agent_field_t *field) {
    char number[24];
    int n;

    switch (field->kind) {
    case AGENT_FIELD_UINT:
        n = snprintf(number, sizeof(number), "%llu",
                     (unsigned long long)field->u);
        put(out, number, (size_t)n);
        break;
    case AGENT_FIELD_INT:
        n = snprintf(number, sizeof(number), "%lld", (long long)field->i);
        put(out, number, (size_t)n);
        break;
    default:
        if (format == AGENT_LOG_JSON || needs_quotes(field->s)) {
            put_quoted(out, field->s);
        } else {
            put_str(out, field->s);
        }
    }
}

static void put_time(log_out_t *out, uint64_t unix_ms) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    char text[32];
    char ms[8];

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ms, sizeof(ms), ".%03uZ", (unsigned)(unix_ms % 1000));
    put_str(out, text);
    put_str(out, ms);
}

/* sd-daemon(3): what syslog(3) calls debug, info, warning, err. */
static const char *const level_prefixes[] = {"<7>", "<6>", "<4>", "<3>"};

static void put_text(log_out_t *out, const char *message,
                     const agent_field_t *fields) {
    put_escaped(out, message);
    for (const agent_field_t *f = fields; f->kind != AGENT_FIELD_END; f++) {
        put(out, " ", 1);
        put_str(out, f->key);
        put(out, "=", 1);
        put_value(out, AGENT_LOG_TEXT, f);
    }
    if (out->full) {
        memcpy(out->at, "...", 3);
        out->at += 3;
    }
}

static void put_head(log_out_t *out, agent_log_format_e format,
                     agent_log_level_e level, uint64_t unix_ms) {
    if (format == AGENT_LOG_JOURNAL) {
        put_str(out, level_prefixes[level]);
        return;
    }
    put_time(out, unix_ms);
    put(out, " ", 1);
    put_str(out, level_names[level]);
    put(out, " ", 1);
}

/* A field that does not fit is left out whole: the line stays valid JSON. */
static void put_json(log_out_t *out, agent_log_level_e level, uint64_t unix_ms,
                     const char *message, const agent_field_t *fields) {
    put_str(out, "{\"time\":\"");
    put_time(out, unix_ms);
    put_str(out, "\",\"level\":\"");
    put_str(out, level_names[level]);
    put_str(out, "\",\"msg\":");
    put_quoted(out, message);
    for (const agent_field_t *f = fields; f->kind != AGENT_FIELD_END; f++) {
        char *before = out->at;
        put(out, ",", 1);
        put_quoted(out, f->key);
        put(out, ":", 1);
        put_value(out, AGENT_LOG_JSON, f);
        if (out->full) {
            out->at = before;
            break;
        }
    }
    *out->at++ = '}';
}

size_t agent_log_line(char *out, size_t size, agent_log_format_e format,
                      agent_log_level_e level, uint64_t unix_ms,
                      const char *message, const agent_field_t *fields) {
    if (size < 8) {
        if (size) {
            *out = '\0';
        }
        return 0;
    }
    log_out_t line = {.at = out, .end = out + size - 5};

    if (format == AGENT_LOG_JSON) {
        put_json(&line, level, unix_ms, message, fields);
    } else {
        put_head(&line, format, level, unix_ms);
        put_text(&line, message, fields);
    }
    *line.at++ = '\n';
    *line.at = '\0';
    return (size_t)(line.at - out);
}

void agent_log_fields(agent_log_level_e level, const char *message,
                      const agent_field_t *fields) {
    char line[AGENT_LOG_LINE_MAX];

    if (level < log_level) {
        return;
    }
    size_t len = agent_log_line(line, sizeof(line), log_format, level,
                                agent_unix_ms(), message, fields);
    /* A log that cannot be written must not stop the agent. */
    ssize_t n = write(STDERR_FILENO, line, len);
    (void)n;
}

static uint64_t clock_ms(clockid_t id) {
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t agent_unix_ms(void) {
    return clock_ms(CLOCK_REALTIME);
}

uint64_t agent_now_ms(void) {
    return clock_ms(CLOCK_MONOTONIC);
}
