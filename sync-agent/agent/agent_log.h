/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's log: one line an event, on standard error, as text
 * ("2026-01-31T10:00:00.123Z info published generation=7") or JSON.  A line
 * names what happened and where; contents of files, header values and keys
 * are never logged.  When standard error is systemd's journal, which has a
 * clock and levels of its own, a line of text begins with "<priority>" in
 * place of time and level.  One thread.
 */

#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include "mesh_base.h"

#define AGENT_LOG_LINE_MAX 4096 /* longer lines end in "..." */

typedef enum {
    AGENT_LOG_DEBUG,
    AGENT_LOG_INFO,
    AGENT_LOG_WARN,
    AGENT_LOG_ERROR,
} agent_log_level_e;

typedef enum {
    AGENT_LOG_TEXT,
    AGENT_LOG_JSON,
    AGENT_LOG_JOURNAL, /* chosen by agent_log_setup(); not a word */
} agent_log_format_e;

typedef enum {
    AGENT_FIELD_END,
    AGENT_FIELD_STR,
    AGENT_FIELD_UINT,
    AGENT_FIELD_INT,
} agent_field_kind_e;

typedef struct {
    agent_field_kind_e kind;
    const char *key;
    const char *s;
    int64_t i;
    uint64_t u;
} agent_field_t;

static inline agent_field_t agent_s(const char *key, const char *value) {
    return (agent_field_t){
        .kind = AGENT_FIELD_STR, .key = key, .s = value ? value : ""};
}

static inline agent_field_t agent_u(const char *key, uint64_t value) {
    return (agent_field_t){.kind = AGENT_FIELD_UINT, .key = key, .u = value};
}

static inline agent_field_t agent_i(const char *key, int64_t value) {
    return (agent_field_t){.kind = AGENT_FIELD_INT, .key = key, .i = value};
}

/* false: no such word. */
bool agent_log_level_parse(const char *word, agent_log_level_e *level);
bool agent_log_format_parse(const char *word, agent_log_format_e *format);

void agent_log_setup(agent_log_level_e level, agent_log_format_e format);

/*
 * One line, with its newline, into `out` (as snprintf: cut at size, always
 * with a NUL; returns the bytes written).  `fields` ends with END.
 */
size_t agent_log_line(char *out, size_t size, agent_log_format_e format,
                      agent_log_level_e level, uint64_t unix_ms,
                      const char *message, const agent_field_t *fields);

void agent_log_fields(agent_log_level_e level, const char *message,
                      const agent_field_t *fields);

/* agent_log(AGENT_LOG_INFO, "published", agent_u("generation", 7)); */
#define agent_log(level, message, ...)                                         \
    agent_log_fields((level), (message),                                       \
                     (const agent_field_t[]){__VA_ARGS__ __VA_OPT__(, ){0}})

/* Unix time in milliseconds; CLOCK_MONOTONIC in milliseconds. */
uint64_t agent_unix_ms(void);
uint64_t agent_now_ms(void);

#endif /* AGENT_LOG_H */
