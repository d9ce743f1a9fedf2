/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl's command line: one set of options for all commands, of which each
 * command takes some.
 */

#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include <stdio.h>

#include "mesh_base.h"
#include "model_route.h"

#define CTL_EXIT_OK 0
#define CTL_EXIT_NO 1 /* a negative answer: no route, refused, not in time */
#define CTL_EXIT_USAGE 2
#define CTL_EXIT_UNREADABLE 3 /* zone or socket */

#define CTL_HEADERS_MAX 64
#define CTL_RESOURCES_MAX 64
#define CTL_ARGUMENTS_MAX 1000
#define CTL_RUNTIME_MAX 64

/* Bits of ctl_command_row_t.takes. */
#define CTL_TAKES_HEADER 0x001
#define CTL_TAKES_TABLE 0x002
#define CTL_TAKES_TICKET 0x004
#define CTL_TAKES_AT 0x008
#define CTL_TAKES_FILE 0x010
#define CTL_TAKES_PART 0x020
#define CTL_TAKES_FORMAT 0x040
#define CTL_TAKES_WAIT 0x080
#define CTL_TAKES_APPLIED 0x100
#define CTL_TAKES_TIMEOUT 0x200
#define CTL_TAKES_SOURCE 0x400
#define CTL_TAKES_HASH 0x800
#define CTL_TAKES_SNI 0x1000
#define CTL_TAKES_PORT 0x2000
#define CTL_TAKES_RESOURCES 0x4000
#define CTL_TAKES_INTO 0x8000
#define CTL_TAKES_RANDOM 0x10000
#define CTL_TAKES_RUNTIME 0x20000
#define CTL_TAKES_VIEW 0x40000
#define CTL_TAKES_FOLLOW 0x80000
#define CTL_TAKES_IGNORE 0x100000
#define CTL_TAKES_GATEWAY 0x200000

#define CTL_IGNORES_MAX 64
#define CTL_GATEWAYS_MAX 64

typedef struct ctl_command_row_s ctl_command_row_t;

typedef struct {
    const ctl_command_row_t *rows; /* of all commands */
    size_t nrows;
    const char *zone;
    const char *socket; /* NULL: the zone's */
    bool json;
    unsigned given; /* CTL_TAKES_* */
    uint32_t nheaders;
    const char *headers[CTL_HEADERS_MAX];
    uint32_t nresources;
    const char *resources[CTL_RESOURCES_MAX]; /* files in place of a zone */
    const char *table;
    uint64_t route_ticket;
    uint64_t cluster_ticket;
    uint64_t hash;
    uint64_t share_ticket;
    uint64_t random; /* in place of tickets of shares and splits */
    uint32_t nruntime;
    const char *runtime[CTL_RUNTIME_MAX]; /* "key=percentage" */
    const char *view;                     /* a file of `endpoints`, or NULL */
    const char *source;                   /* the client's address, or NULL */
    const char *sni;  /* the name its TLS asks for, or NULL */
    const char *port; /* that it connects to, or NULL */
    uint64_t at;      /* generation; 0: the published one */
    const char *file;
    const char *into; /* a zone's directory, or NULL */
    const char *part;
    const char *format;
    uint64_t applied; /* generation; 0: the published one */
    uint32_t timeout_ms;
    uint32_t nignored; /* codes of lint */
    const char *ignored[CTL_IGNORES_MAX];
    uint32_t ngateways; /* addresses that lead into the mesh again */
    const char *gateways[CTL_GATEWAYS_MAX];
    int argc; /* what follows the command's name */
    char **argv;
} ctl_args_t;

struct ctl_command_row_s {
    const char *name;
    unsigned takes;
    int min; /* arguments */
    int max;
    int (*run)(const ctl_args_t *args);
    const char *usage; /* of its arguments */
    const char *about;
    const char *words; /* of its arguments, for shells: see below */
};

/*
 * What a shell offers for an argument: words with "|" between them, or what
 * the zone has, or files.  Of a command's arguments one behind the other with
 * spaces between; the last goes for all that follow.  NULL: nothing.
 */
#define CTL_WORDS_FILES "@files"
#define CTL_WORDS_DIRECTORIES "@directories"
#define CTL_WORDS_CLUSTERS "@clusters"
#define CTL_WORDS_ENDPOINTS "@endpoints" /* of the cluster before it */
#define CTL_WORDS_DOMAINS "@domains"
#define CTL_WORDS_TABLES "@tables"
#define CTL_WORDS_GENERATIONS "@generations"
#define CTL_WORDS_CODES "@codes" /* of lint */

/* Help, usage, manual page and completion are made of these and the rows. */
typedef struct {
    const char *name;
    char letter;       /* or 0 */
    unsigned takes;    /* of which commands; 0: of all */
    const char *value; /* what it takes; NULL: nothing */
    const char *words; /* of its value, as above */
    const char *about;
    bool needed; /* by commands that take it */
    bool repeats;
    bool (*take)(const char *value, ctl_args_t *args); /* false: wrong */
} ctl_option_row_t;

extern const ctl_option_row_t ctl_options[];
extern const size_t ctl_noptions;

/* "[--at GENERATION]", "-f FILE|-", "[-H 'name: value']..." */
void ctl_option_usage(const ctl_option_row_t *option, char *out, size_t size);

/* Arguments and options: "CLUSTER ENDPOINT [--wait] [-H 'name: value']...". */
void ctl_command_usage(const ctl_command_row_t *row, char *out, size_t size);

#define CTL_USAGE_MAX 1024 /* room for it */

typedef struct {
    int code;
    const char *about;
} ctl_exit_row_t;

extern const ctl_exit_row_t ctl_exits[];
extern const size_t ctl_nexits;

/* The row and *args; NULL after a message, with *exit_code set. */
const ctl_command_row_t *ctl_args_parse(int argc, char **argv,
                                        const ctl_command_row_t *rows,
                                        size_t nrows, ctl_args_t *args,
                                        int *exit_code);

/*
 * A header or an option of one request among several: "header", "table",
 * "ticket", "random", "source", "sni", "port", "hash".  The value is kept as
 * it is.
 * false: another name, or not its value.
 */
bool ctl_args_take(ctl_args_t *args, const char *name, const char *value);

/* "key=percentage", at the last "="; false: it is none. */
bool ctl_parse_runtime(const char *text, mesh_str_t *key, model_share_t *share);

/* A decimal number; false: it is none. */
bool ctl_parse_u64(const char *text, uint64_t *out);

int ctl_status(const ctl_args_t *args);
int ctl_dump(const ctl_args_t *args);
int ctl_explain(const ctl_args_t *args);
int ctl_endpoints(const ctl_args_t *args);
int ctl_clusters(const ctl_args_t *args);
int ctl_routes(const ctl_args_t *args);
int ctl_listeners(const ctl_args_t *args);
int ctl_diff(const ctl_args_t *args);
int ctl_history(const ctl_args_t *args);
int ctl_rollback(const ctl_args_t *args);
int ctl_pin(const ctl_args_t *args);
int ctl_unpin(const ctl_args_t *args);
int ctl_reload(const ctl_args_t *args);
int ctl_drain(const ctl_args_t *args);
int ctl_undrain(const ctl_args_t *args);
int ctl_apply(const ctl_args_t *args);
int ctl_remove(const ctl_args_t *args);
int ctl_wait(const ctl_args_t *args);
int ctl_validate(const ctl_args_t *args);
int ctl_compile(const ctl_args_t *args);
int ctl_lint(const ctl_args_t *args);
int ctl_schema(const ctl_args_t *args);
int ctl_completion(const ctl_args_t *args);
int ctl_man(const ctl_args_t *args);

#endif /* CTL_ARGS_H */
