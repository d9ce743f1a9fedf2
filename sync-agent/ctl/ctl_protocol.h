/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is said on agent.sock (docs/agent.md): a request is one line of JSON,
 * followed by `length` bytes of body if the line says so; an answer is one
 * line of JSON with "ok".  Pure: no I/O here.
 */

#ifndef CTL_PROTOCOL_H
#define CTL_PROTOCOL_H

#include "mesh_base.h"
#include "mesh_format.h"

#define CTL_LINE_MAX 65536
#define CTL_PART_MAX 64
#define CTL_ENDPOINT_MAX 255
#define CTL_TIMEOUT_MS 10000 /* of "wait", unless said */
#define CTL_TIMEOUT_MAX_MS 600000

typedef enum {
    CTL_STATUS,
    CTL_APPLY,  /* body: a part, or changes of one */
    CTL_REMOVE, /* of a part that was applied */
    CTL_ROLLBACK,
    CTL_PIN,
    CTL_UNPIN,
    CTL_RELOAD,
    CTL_DRAIN, /* no new attempt at an endpoint */
    CTL_UNDRAIN,
} ctl_command_e;

typedef enum {
    CTL_YAML,
    CTL_JSON,
    CTL_LINES, /* {"upsert": ...} and {"remove": ...} */
} ctl_format_e;

typedef struct {
    ctl_command_e command;
    ctl_format_e format;
    bool applied;        /* answer when all live workers have adopted it, and
                            a drained endpoint is idle */
    bool resources;      /* STATUS: of each part's resources, too */
    bool names;          /* and of the names that sources ask for */
    uint32_t timeout_ms; /* of that */
    uint64_t generation;
    uint64_t length; /* of the body that follows the line */
    char part[CTL_PART_MAX + 1];
    char cluster[MESH_NAME_MAX + 1];
    char endpoint[CTL_ENDPOINT_MAX + 1];
    mesh_str_t body;
} ctl_request_t;

/* true: for writers only. */
bool ctl_command_writes(ctl_command_e command);

/* As in requests. */
const char *ctl_command_name(ctl_command_e command);
const char *ctl_format_name(ctl_format_e format);

/*
 * Reads a line (without its newline).  NULL, or why it is refused: a
 * sentence in `error`, which has CTL_ERROR_MAX bytes.
 */
#define CTL_ERROR_MAX 256
const char *ctl_request_parse(mesh_str_t line, ctl_request_t *request,
                              char error[CTL_ERROR_MAX]);

/* A request line with its newline, for clients; free() it. */
char *ctl_request_text(const ctl_request_t *request);

/* Letters, digits, ".", "_", "-"; not a dot first. */
bool ctl_part_valid(const char *name);

#endif /* CTL_PROTOCOL_H */
