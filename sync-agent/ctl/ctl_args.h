/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl's command line: one set of options for all commands, of which each
 * command takes some.
 */

#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include "mesh_base.h"

#define CTL_EXIT_OK 0
#define CTL_EXIT_NO 1 /* a negative answer: no route, refused, not in time */
#define CTL_EXIT_USAGE 2
#define CTL_EXIT_UNREADABLE 3 /* zone or socket */

#define CTL_HEADERS_MAX 64
#define CTL_RESOURCES_MAX 64

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

typedef struct {
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
    const char *source; /* the client's address, or NULL */
    const char *sni;    /* the name its TLS asks for, or NULL */
    const char *port;   /* that it connects to, or NULL */
    uint64_t at;        /* generation; 0: the published one */
    const char *file;
    const char *into; /* a zone's directory, or NULL */
    const char *part;
    const char *format;
    uint64_t applied; /* generation; 0: the published one */
    uint32_t timeout_ms;
    int argc; /* what follows the command's name */
    char **argv;
} ctl_args_t;

typedef struct {
    const char *name;
    unsigned takes;
    int min; /* arguments */
    int max;
    int (*run)(const ctl_args_t *args);
    const char *usage; /* of its arguments and options */
    const char *about;
} ctl_command_row_t;

/* The row and *args; NULL after a message, with *exit_code set. */
const ctl_command_row_t *ctl_args_parse(int argc, char **argv,
                                        const ctl_command_row_t *rows,
                                        size_t nrows, ctl_args_t *args,
                                        int *exit_code);

/*
 * A header or an option of one request among several: "header", "table",
 * "ticket", "source", "hash".  The value is kept as it is.  false: another
 * name, or not its value.
 */
bool ctl_args_take(ctl_args_t *args, const char *name, const char *value);

/* A decimal number; false: it is none. */
bool ctl_parse_u64(const char *text, uint64_t *out);

int ctl_status(const ctl_args_t *args);
int ctl_dump(const ctl_args_t *args);
int ctl_explain(const ctl_args_t *args);
int ctl_endpoints(const ctl_args_t *args);
int ctl_clusters(const ctl_args_t *args);
int ctl_routes(const ctl_args_t *args);
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

#endif /* CTL_ARGS_H */
