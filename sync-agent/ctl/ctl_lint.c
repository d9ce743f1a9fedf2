/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl lint [FILE...]: what a mesh may say and hardly means, of files or
 * of what is published.
 */

#include "ctl_args.h"
#include "ctl_load.h"
#include "ctl_table.h"
#include "ctl_zone.h"
#include "lint.h"
#include "model_read.h"

static bool is_ignored(const ctl_args_t *args, const char *code) {
    for (uint32_t i = 0; i < args->nignored; i++) {
        if (strcmp(args->ignored[i], code) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_code(const char *code) {
    for (size_t i = 0; i < lint_nrules; i++) {
        if (strcmp(lint_rules[i].code, code) == 0) {
            return true;
        }
    }
    return false;
}

/* A code that is none would hide nothing, silently. */
static bool codes_known(const ctl_args_t *args) {
    for (uint32_t i = 0; i < args->nignored; i++) {
        if (!is_code(args->ignored[i])) {
            fprintf(stderr, "meshctl: no rule of lint is \"%s\"; they are:",
                    args->ignored[i]);
            for (size_t k = 0; k < lint_nrules; k++) {
                fprintf(stderr, " %s", lint_rules[k].code);
            }
            fputc('\n', stderr);
            return false;
        }
    }
    return true;
}

static const char *severity(const lint_finding_t *finding) {
    return finding->rule->severity == LINT_WARNING ? "warning" : "info";
}

static cJSON *finding_json(const lint_finding_t *f) {
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "code", f->rule->code);
    cJSON_AddStringToObject(json, "severity", severity(f));
    if (f->place->file != NULL) {
        cJSON_AddStringToObject(json, "file", f->place->file);
        cJSON_AddNumberToObject(json, "line", f->place->line);
        cJSON_AddNumberToObject(json, "column", f->place->column);
    }
    cJSON_AddStringToObject(json, "resource", f->subject);
    cJSON_AddStringToObject(json, "text", f->text);
    return json;
}

static void print_finding(const lint_finding_t *f) {
    if (f->place->file != NULL) {
        printf("%s:%u:%u: ", f->place->file, f->place->line, f->place->column);
    }
    printf("%s: %s: %s [%s]\n", severity(f), f->subject, f->text,
           f->rule->code);
}

static int report(const lint_t *lint, const ctl_args_t *args) {
    cJSON *list = args->json ? cJSON_CreateArray() : NULL;
    uint32_t shown = 0, warnings = 0;

    for (uint32_t i = 0; i < lint->count; i++) {
        const lint_finding_t *f = &lint->v[i];

        if (is_ignored(args, f->rule->code)) {
            continue;
        }
        shown++;
        warnings += f->rule->severity == LINT_WARNING;
        if (list != NULL) {
            cJSON_AddItemToArray(list, finding_json(f));
        } else {
            print_finding(f);
        }
    }
    if (list != NULL) {
        ctl_json_plain(list);
        ctl_json_print(list, stdout);
    } else {
        printf("%u finding%s, %u warning%s\n", shown, shown == 1 ? "" : "s",
               warnings, warnings == 1 ? "" : "s");
    }
    return warnings ? CTL_EXIT_NO : CTL_EXIT_OK;
}

static void print_errors(const model_errors_t *errors) {
    for (const model_error_t *e = errors->first; e; e = e->next) {
        if (!e->warning) {
            ctl_load_print(e, "", stderr);
        }
    }
}

static int lint_files(const ctl_args_t *args, lint_t *lint, arena_t *arena) {
    ctl_load_t load;

    if (!ctl_load_checked(&load, arena, args)) {
        return CTL_EXIT_UNREADABLE;
    }
    if (load.errors.errors) {
        print_errors(&load.errors);
        fprintf(stderr, "meshctl: of files with errors nothing else is told\n");
        return CTL_EXIT_NO;
    }
    lint_run(lint, arena, load.parts, load.nparts);
    return report(lint, args);
}

static int lint_zone(const ctl_args_t *args, lint_t *lint, arena_t *arena) {
    ctl_zone_t zone;

    if (!ctl_zone_open(&zone, args->zone, args->at)) {
        return CTL_EXIT_UNREADABLE;
    }
    const model_part_t *part = model_read_root(arena, zone.s, zone.root);
    lint_run(lint, arena, &part, 1);
    int rc = report(lint, args);
    ctl_zone_close(&zone);
    return rc;
}

int ctl_lint(const ctl_args_t *args) {
    lint_t lint = {.ngateways = args->ngateways, .gateways = args->gateways};

    if (!codes_known(args)) {
        return CTL_EXIT_USAGE;
    }
    if (args->argc && args->at) {
        fprintf(stderr,
                "meshctl: --at is of what is published, not of files\n");
        return CTL_EXIT_USAGE;
    }
    arena_t *arena = arena_new();
    int rc = args->argc ? lint_files(args, &lint, arena)
                        : lint_zone(args, &lint, arena);
    arena_free(arena);
    return rc;
}
