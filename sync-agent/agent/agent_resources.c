/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Parts by their resources.  A stream's have versions of their own, a file's
 * have the file's.
 */

#include "agent_resources.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl_table.h"
#include "model_table.h"

typedef struct {
    const agent_part_t *row;
    cJSON *list;
    uint32_t count;
    uint32_t left_out;
} report_t;

/* --- lines --------------------------------------------------------------- */

/* The next of a text's lines; false: there is none. */
static bool next_line(const char **at, mesh_str_t *line) {
    if (**at == '\0') {
        return false;
    }
    line->data = *at;
    line->len = strcspn(*at, "\n");
    *at += line->len + ((*at)[line->len] == '\n');
    return true;
}

/* Verdicts that are of the resource; NULL: none. */
static char *verdict_of(const agent_part_t *row, mesh_str_t resource) {
    const char *lines = row->verdict;
    const char *blamed = row->blamed;
    mesh_str_t line, of;
    char *text = NULL;
    size_t len = 0;

    while (next_line(&lines, &line) && next_line(&blamed, &of)) {
        char *more;

        if (!mesh_str_eq(of, resource)) {
            continue;
        }
        more = realloc(text, len + line.len + 2);
        if (more == NULL) {
            break;
        }
        text = more;
        memcpy(text + len, line.data, line.len);
        len += line.len;
        text[len++] = '\n';
        text[len] = '\0';
    }
    if (text != NULL) {
        text[len - 1] = '\0';
    }
    return text;
}

/* --- what is in force ---------------------------------------------------- */

static void name_resource(const char *kind, mesh_str_t name, char *out,
                          size_t size) {
    char quoted[96];

    model_quote(name, quoted, sizeof(quoted));
    snprintf(out, size, "%s %s", kind, quoted);
}

static void add(report_t *report, const char *resource,
                const model_part_t *part) {
    if (report->count == AGENT_RESOURCES_MAX) {
        report->left_out++;
        return;
    }
    report->count++;

    cJSON *item = cJSON_CreateObject();
    char *verdict = verdict_of(report->row, mesh_str_from(resource));

    cJSON_AddStringToObject(item, "resource", resource);
    if (part != NULL) {
        cJSON_AddStringToObject(item, "version", part->version.data);
        ctl_json_u64(item, "time_ms", part->time_ms);
    }
    if (verdict != NULL) {
        cJSON_AddStringToObject(item, "verdict", verdict);
    }
    free(verdict);
    cJSON_AddItemToArray(report->list, item);
}

/*
 * Sets of clusters come first, in the clusters' order; they are not told
 * apart from these.
 */
static void add_sets(report_t *report, const model_part_t *part) {
    char text[128];
    uint32_t c = 0;

    for (uint32_t i = 0; i < part->nsets; i++) {
        mesh_str_t name = part->sets[i].name;

        while (c < part->nclusters &&
               !mesh_str_eq(part->clusters[c].name, name)) {
            c++;
        }
        if (c < part->nclusters) {
            c++;
            continue;
        }
        name_resource("endpoint set", name, text, sizeof(text));
        add(report, text, part);
    }
}

static void add_part(report_t *report, const model_part_t *part) {
    char text[128];

    for (uint32_t i = 0; i < part->nclusters; i++) {
        name_resource("cluster", part->clusters[i].name, text, sizeof(text));
        add(report, text, part);
    }
    add_sets(report, part);
    for (uint32_t i = 0; i < part->ntables; i++) {
        for (uint32_t k = 0; k < part->tables[i].nvhosts; k++) {
            name_resource("host", part->tables[i].vhosts[k].name, text,
                          sizeof(text));
            add(report, text, part);
        }
    }
    for (uint32_t i = 0; i < part->nruntime; i++) {
        name_resource("runtime key", part->runtime[i].name, text, sizeof(text));
        add(report, text, part);
    }
}

/* --- what is refused ----------------------------------------------------- */

static bool is_told(const cJSON *list, mesh_str_t resource) {
    const cJSON *item;

    cJSON_ArrayForEach(item, list) {
        const char *text = cJSON_GetObjectItem(item, "resource")->valuestring;

        if (mesh_str_eq(mesh_str_from(text), resource)) {
            return true;
        }
    }
    return false;
}

/* New ones, and routes, which are in force as parts of their hosts. */
static void add_refused(report_t *report) {
    const char *blamed = report->row->blamed;
    mesh_str_t of;

    while (next_line(&blamed, &of)) {
        char text[160];

        if (of.len == 0 || is_told(report->list, of)) {
            continue;
        }
        snprintf(text, sizeof(text), "%.*s", (int)of.len, of.data);
        add(report, text, NULL);
    }
}

cJSON *agent_resources_json(const agent_part_t *row, uint32_t *left_out) {
    report_t report = {.row = row, .list = cJSON_CreateArray()};

    for (uint32_t i = 0; row->good && i < row->good->count; i++) {
        add_part(&report, row->good->items[i]->part);
    }
    add_refused(&report);
    *left_out = report.left_out;
    return report.list;
}

const char *agent_resources_version(const agent_part_t *row) {
    return row->good && row->good->count == 1
               ? row->good->items[0]->part->version.data
               : "";
}
