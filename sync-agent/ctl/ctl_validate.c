/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl validate: what the agent would say of these files together.
 */

#include <stdio.h>

#include "ctl_args.h"
#include "ctl_load.h"
#include "ctl_table.h"

/* --- for machines -------------------------------------------------------- */

static void add_text(cJSON *json, const char *key, const char *text) {
    if (text != NULL && text[0] != '\0') {
        cJSON_AddStringToObject(json, key, text);
    }
}

static cJSON *json_error(const model_error_t *e) {
    cJSON *item = cJSON_CreateObject();

    cJSON_AddBoolToObject(item, "warning", e->warning);
    add_text(item, "file", e->file);
    cJSON_AddNumberToObject(item, "line", e->line);
    cJSON_AddNumberToObject(item, "column", e->column);
    add_text(item, "resource", e->resource);
    add_text(item, "field", e->path);
    if (e->expected != NULL) {
        add_text(item, "found", e->found);
        add_text(item, "expected", e->expected);
    }
    add_text(item, "message", e->message);
    return item;
}

static void json_resources(cJSON *json, const ctl_load_t *load) {
    const xds_count_t *counts = xds_counts(load->xds);
    uint32_t n;
    const xds_missing_t *missing = xds_missing(load->xds, &n);
    cJSON *kinds = cJSON_AddArrayToObject(json, "resources");

    for (xds_kind_e k = 0; k < XDS_KINDS; k++) {
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "kind", xds_kind_name(k));
        cJSON_AddNumberToObject(item, "taken", counts[k].taken);
        cJSON_AddNumberToObject(item, "refused", counts[k].refused);
        cJSON_AddItemToArray(kinds, item);
    }
    cJSON *list = cJSON_AddArrayToObject(json, "not_supported_yet");
    for (uint32_t i = 0; i < n; i++) {
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "field", missing[i].where);
        add_text(item, "what", missing[i].what);
        cJSON_AddNumberToObject(item, "resources", missing[i].resources);
        cJSON_AddBoolToObject(item, "refused", missing[i].refused);
        cJSON_AddItemToArray(list, item);
    }
}

static void print_json(const ctl_load_t *load, int files) {
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "files", files);
    cJSON_AddNumberToObject(json, "errors", load->errors.errors);
    cJSON_AddNumberToObject(json, "warnings", load->errors.warnings);
    cJSON *list = cJSON_AddArrayToObject(json, "messages");
    for (const model_error_t *e = load->errors.first; e; e = e->next) {
        cJSON_AddItemToArray(list, json_error(e));
    }
    if (load->nxds != 0) {
        json_resources(json, load);
    }
    ctl_json_plain(json);
    ctl_json_print(json, stdout);
}

/* --- for people ---------------------------------------------------------- */

static void print_resources(const ctl_load_t *load) {
    static const char *const kinds_head[] = {"RESOURCE", "TAKEN", "REFUSED",
                                             NULL};
    static const char *const head[] = {"NOT SUPPORTED YET", "RESOURCES", "",
                                       NULL};
    const xds_count_t *counts = xds_counts(load->xds);
    uint32_t n;
    const xds_missing_t *missing = xds_missing(load->xds, &n);
    ctl_table_t *table = ctl_table_new(kinds_head);

    for (xds_kind_e k = 0; k < XDS_KINDS; k++) {
        ctl_table_add(table, "%s", xds_kind_name(k));
        ctl_table_add(table, "%u", counts[k].taken);
        ctl_table_add(table, "%u", counts[k].refused);
    }
    printf("\n");
    ctl_table_print(table, stdout);
    if (n == 0) {
        printf("\n");
        return;
    }
    table = ctl_table_new(head);
    for (uint32_t i = 0; i < n; i++) {
        const char *what = missing[i].what;

        ctl_table_add(table, "%s%s%s%s", missing[i].where, what[0] ? " (" : "",
                      what, what[0] ? ")" : "");
        ctl_table_add(table, "%u", missing[i].resources);
        ctl_table_add(table, "%s",
                      missing[i].refused ? "refused" : "passed over");
    }
    printf("\n");
    ctl_table_print(table, stdout);
    printf("\n");
}

/* What is missing is told in sum, not once a resource. */
static bool is_told_in_sum(const ctl_load_t *load, const model_error_t *e) {
    return load->nxds != 0 && e->warning && e->expected == NULL;
}

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

static void print_text(const ctl_load_t *load, int files) {
    for (const model_error_t *e = load->errors.first; e; e = e->next) {
        if (!is_told_in_sum(load, e)) {
            ctl_load_print(e, "", stdout);
        }
    }
    if (load->nxds != 0) {
        print_resources(load);
    }
    const model_errors_t *e = &load->errors;
    printf("%d file%s, %u error%s, %u warning%s\n", files,
           plural((uint64_t)files), e->errors, plural(e->errors), e->warnings,
           plural(e->warnings));
}

int ctl_validate(const ctl_args_t *args) {
    arena_t *arena = arena_new();
    ctl_load_t load;

    if (!ctl_load_checked(&load, arena, args)) {
        arena_free(arena);
        return CTL_EXIT_UNREADABLE;
    }
    int rc = load.errors.errors ? CTL_EXIT_NO : CTL_EXIT_OK;
    if (args->json) {
        print_json(&load, args->argc);
    } else {
        print_text(&load, args->argc);
    }
    arena_free(arena);
    return rc;
}
