/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl man [PAGE]: manual pages in man(7)'s words, made of the tables of
 * commands, options and fields.
 */

#include <ctype.h>
#include <stdlib.h>

#include "agent_args.h"
#include "agent_config.h"
#include "agent_config_table.h"
#include "agent_version.h"
#include "ctl_args.h"
#include "model_table.h"

#define OBJECTS_MAX 64
#define LINE_MAX_LEN 70

/* --- text ---------------------------------------------------------------- */

/*
 * Words as they are: a minus is one, a backslash too, and no line begins with
 * a request.
 */
static void put(const char *text) {
    bool begin = true;

    for (; *text != '\0'; text++) {
        if (begin && *text == '.') {
            fputs("\\&", stdout);
        }
        begin = *text == '\n';
        switch (*text) {
        case '-':
            fputs("\\-", stdout);
            break;
        case '\\':
            fputs("\\e", stdout);
            break;
        case '"':
            fputs("\\(dq", stdout);
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        case '^':
            fputs("\\(ha", stdout);
            break;
        case '~':
            fputs("\\(ti", stdout);
            break;
        default:
            fputc(*text, stdout);
        }
    }
}

/* Broken at blanks, where the page's own lines are made. */
static void put_wrapped(const char *text) {
    char *copy = strdup(text);
    size_t column = 0;

    for (char *p = copy; p && *p; p++) {
        column++;
        if (*p == ' ' && column + strcspn(p + 1, " ") > LINE_MAX_LEN) {
            *p = '\n';
            column = 0;
        }
    }
    put(copy ? copy : text);
    free(copy);
}

static void line(const char *text) {
    put_wrapped(text);
    fputc('\n', stdout);
}

/* A sentence: with a capital and a full stop. */
static void sentence(const char *text, const char *more) {
    char *copy;

    if (asprintf(&copy, "%s%s.", text, more) == -1) {
        return;
    }
    copy[0] = (char)toupper((unsigned char)copy[0]);
    line(copy);
    free(copy);
}

static void head(const char *name, int section, const char *about) {
    printf(".TH ");
    for (const char *p = name; *p; p++) {
        fputc(toupper((unsigned char)*p), stdout);
    }
    /* No date: the same sources make the same page. */
    printf(" %d \"\" \"nginx\\-mesh %s\" \"nginx\\-mesh\"\n", section,
           MESH_VERSION_TEXT);
    puts(".SH NAME");
    put(name);
    fputs(" \\- ", stdout);
    line(about);
}

static void bold(const char *text) {
    fputs("\\fB", stdout);
    put(text);
    fputs("\\fR", stdout);
}

static void term(const char *name, const char *rest) {
    puts(".TP");
    bold(name);
    if (rest[0] != '\0') {
        fputc(' ', stdout);
        put(rest);
    }
    fputc('\n', stdout);
}

static void see_also(const char *const *pages) {
    puts(".SH SEE ALSO");
    for (; *pages != NULL; pages++) {
        const char *open = strchr(*pages, '(');

        printf(".BR ");
        for (const char *p = *pages; p < open; p++) {
            if (*p == '-') {
                fputc('\\', stdout);
            }
            fputc(*p, stdout);
        }
        printf(" %s%s\n", open, pages[1] ? " ," : "");
    }
}

/* --- meshctl(1) ---------------------------------------------------------- */

static void option_term(const char *name, char letter, const char *value) {
    puts(".TP");
    if (letter) {
        char text[3] = {'-', letter, '\0'};

        bold(text);
        fputs(", ", stdout);
    }
    fputs("\\fB\\-\\-", stdout);
    put(name);
    fputs("\\fR", stdout);
    if (value != NULL) {
        fputs(" \\fI", stdout);
        put(value);
        fputs("\\fR", stdout);
    }
    fputc('\n', stdout);
}

static void command_term(const ctl_command_row_t *row) {
    char usage[CTL_USAGE_MAX];

    ctl_command_usage(row, usage, sizeof(usage));
    term(row->name, usage);
    sentence(row->about, "");
}

static void man_meshctl(const ctl_args_t *args) {
    static const char *const pages[] = {"mesh-agent(8)", "mesh.yaml(5)",
                                        "agent.yaml(5)", "nginx(8)", NULL};

    head("meshctl", 1, "asks and tells a service mesh of nginx");
    puts(".SH SYNOPSIS\n.B meshctl\n[\\fB\\-\\-zone\\fR \\fIDIR\\fR] "
         "[\\fB\\-o json\\fR]\n.I COMMAND\n\\&...");
    puts(".SH DESCRIPTION");
    line("Commands that read use the files of the zone, with agent and nginx "
         "dead or alive.");
    line("Commands that write tell the agent through its socket.");
    puts(".SH COMMANDS");
    for (size_t i = 0; i < args->nrows; i++) {
        command_term(&args->rows[i]);
    }
    puts(".SH OPTIONS");
    for (size_t i = 0; i < ctl_noptions; i++) {
        const ctl_option_row_t *row = &ctl_options[i];

        option_term(row->name, row->letter, row->value);
        sentence(row->about, "");
    }
    option_term("version", 0, NULL);
    line("Print the version.");
    option_term("help", 'h', NULL);
    line("Print all commands and options.");
    puts(".SH EXIT STATUS");
    for (size_t i = 0; i < ctl_nexits; i++) {
        printf(".TP\n%d\n", ctl_exits[i].code);
        sentence(ctl_exits[i].about, "");
    }
    see_also(pages);
}

/* --- mesh-agent(8) ------------------------------------------------------- */

static void man_agent(const ctl_args_t *args) {
    static const char *const pages[] = {"meshctl(1)", "agent.yaml(5)",
                                        "mesh.yaml(5)", "nginx(8)", NULL};

    (void)args;
    head("mesh-agent", 8, "publishes a service mesh to the workers of nginx");
    puts(".SH SYNOPSIS\n.B mesh\\-agent\n\\fB\\-c\\fR \\fIFILE\\fR "
         "[\\fB\\-\\-check\\fR]");
    puts(".SH DESCRIPTION");
    line("Reads the sources that FILE names, compiles them into a snapshot, "
         "and publishes it to every nginx worker of a zone.");
    line("It runs in the foreground and is on no request's path: nginx goes on "
         "without it with what is published.");
    puts(".SH OPTIONS");
    for (size_t i = 0; i < agent_noptions; i++) {
        const agent_option_row_t *row = &agent_options[i];

        option_term(row->name, row->letter, row->value);
        sentence(row->about, "");
    }
    puts(".SH SIGNALS");
    term("HUP", "");
    line("Reads FILE and all sources again.");
    term("TERM, INT", "");
    line("Ends; nginx goes on.");
    puts(".SH EXIT STATUS");
    for (size_t i = 0; i < agent_nexits; i++) {
        printf(".TP\n%d\n", agent_exits[i].code);
        sentence(agent_exits[i].about, "");
    }
    puts(".SH FILES");
    term(AGENT_ZONE, "");
    line("The zone unless FILE says another: snapshot, control page, health "
         "words, socket.");
    term(AGENT_STATE, "");
    line("What outlives a reboot: the last good copy and the texts of parts.");
    see_also(pages);
}

/* --- mesh.yaml(5) -------------------------------------------------------- */

typedef struct {
    uint32_t count;
    const model_object_t *v[OBJECTS_MAX];
} objects_t;

static void collect(objects_t *objects, const model_object_t *object);

static void collect_field(objects_t *objects, const model_field_t *field) {
    if (field->object != NULL) {
        collect(objects, field->object);
    }
    if (field->element != NULL) {
        collect_field(objects, field->element);
    }
}

/* Two of one name have the same fields. */
static void collect(objects_t *objects, const model_object_t *object) {
    for (uint32_t i = 0; i < objects->count; i++) {
        if (strcmp(objects->v[i]->name, object->name) == 0) {
            return;
        }
    }
    if (objects->count == OBJECTS_MAX) {
        return;
    }
    objects->v[objects->count++] = object;
    for (uint32_t i = 0; i < object->count; i++) {
        collect_field(objects, &object->fields[i]);
    }
}

static void kind_of(const model_field_t *field, char *out, size_t size);

static void values_of(const model_field_t *field, char *out, size_t size) {
    size_t len = 0;

    out[0] = '\0';
    for (const model_value_t *v = field->values; v->name && len < size; v++) {
        if (v->value != MODEL_VALUE_LATER) {
            len += (size_t)snprintf(out + len, size - len, "%s%s",
                                    len ? ", " : "", v->name);
        }
    }
}

static void list_of(const model_field_t *field, char *out, size_t size) {
    char element[512];
    bool map = field->type == MODEL_MAP || field->keys != NULL;

    kind_of(field->element, element, sizeof(element));
    if (map) {
        snprintf(out, size, "a map of names to: %s", element);
    } else if (field->flags & MODEL_SINGLE) {
        snprintf(out, size, "%s; or a list", element);
    } else {
        snprintf(out, size, "a list of: %s", element);
    }
}

static void custom_kind(const model_field_t *field, char *out, size_t size) {
    if (field->object != NULL) {
        snprintf(out, size, "%s", field->object->name);
    } else if (field->flags & MODEL_ALONE) {
        kind_of(field->element, out, size);
    } else if (field->element != NULL) {
        list_of(field, out, size);
    } else {
        snprintf(out, size, "%s", field->expected ? field->expected : "text");
    }
}

static void kind_of(const model_field_t *field, char *out, size_t size) {
    switch (field->type) {
    case MODEL_BOOL:
        snprintf(out, size, "true or false");
        break;
    case MODEL_U32:
        snprintf(out, size, "a number, %llu to %llu",
                 (unsigned long long)field->min,
                 (unsigned long long)field->max);
        break;
    case MODEL_DURATION:
        snprintf(out, size, "a duration");
        break;
    case MODEL_PERCENT:
        snprintf(out, size, "a percentage");
        break;
    case MODEL_ENUM:
    case MODEL_BIT:
        values_of(field, out, size);
        break;
    case MODEL_OBJECT:
        snprintf(out, size, "%s", field->object->name);
        break;
    case MODEL_LIST:
    case MODEL_MAP:
        list_of(field, out, size);
        break;
    case MODEL_CUSTOM:
        custom_kind(field, out, size);
        break;
    default:
        snprintf(out, size, "text");
    }
}

static void default_of(const model_field_t *field, char *out, size_t size) {
    unsigned value = (unsigned)field->fallback;

    out[0] = '\0';
    if (value == 0 || (field->type == MODEL_U32 && value > field->max)) {
        return;
    }
    switch (field->type) {
    case MODEL_BOOL:
        snprintf(out, size, "true");
        break;
    case MODEL_U32:
        snprintf(out, size, "%u", value);
        break;
    case MODEL_PERCENT:
        snprintf(out, size, "%u%%", value);
        break;
    case MODEL_DURATION:
        snprintf(out, size, "%u%s", value % 1000 ? value : value / 1000,
                 value % 1000 ? "ms" : "s");
        break;
    default:
        break;
    }
}

static void field_term(const model_object_t *object,
                       const model_field_t *field) {
    char kind[640], other[32], text[768];
    const char *shorthand =
        object->scalar != NULL && strcmp(object->scalar, field->name) == 0
            ? "; alone it may stand without a map"
            : "";

    kind_of(field, kind, sizeof(kind));
    default_of(field, other, sizeof(other));
    snprintf(text, sizeof(text), "(%s%s%s%s)", kind,
             field->flags & MODEL_REQUIRED ? "; required" : "",
             other[0] ? "; default " : "", other);
    term(field->name, text);
    sentence(field->about ? field->about : "", shorthand);
}

static void man_mesh(const ctl_args_t *args) {
    static const char *const pages[] = {"meshctl(1)", "mesh-agent(8)",
                                        "agent.yaml(5)", NULL};
    objects_t objects = {0, {NULL}};

    (void)args;
    head("mesh.yaml", 5, "clusters, endpoints, hosts and routes of a mesh");
    puts(".SH DESCRIPTION");
    line("A mesh is written in YAML 1.2 or JSON; several files make one.");
    line("Durations are written as 250ms, 3s, 1.5s, 1m, 2h or 0; percentages "
         "as 50 or 50%.");
    line("A field that is not listed here is an error.");
    puts(".SH FIELDS");
    collect(&objects, &model_file_object);
    for (uint32_t i = 0; i < objects.count; i++) {
        fputs(".SS ", stdout);
        fputc(toupper((unsigned char)objects.v[i]->name[0]), stdout);
        line(objects.v[i]->name + 1);
        for (uint32_t k = 0; k < objects.v[i]->count; k++) {
            const model_field_t *field = &objects.v[i]->fields[k];

            if (field->type != MODEL_LATER) {
                field_term(objects.v[i], field);
            }
        }
    }
    see_also(pages);
}

/* --- agent.yaml(5) ------------------------------------------------------- */

static void settings(const agent_config_map_t *map, const char *prefix) {
    for (uint32_t i = 0; i < map->count; i++) {
        const agent_config_field_t *field = &map->fields[i];
        char name[64];

        snprintf(name, sizeof(name), "%s%s", prefix, field->name);
        term(name, "");
        sentence(field->about, "");
        if (field->map != NULL) {
            strncat(name, ".", sizeof(name) - strlen(name) - 1);
            settings(field->map, name);
        }
    }
}

static void man_config(const ctl_args_t *args) {
    static const char *const pages[] = {"mesh-agent(8)", "mesh.yaml(5)",
                                        "meshctl(1)", NULL};

    (void)args;
    head("agent.yaml", 5, "configuration of mesh-agent");
    puts(".SH DESCRIPTION");
    line("What mesh-agent publishes, from where, and who may talk to it, in "
         "YAML.");
    line("A field that is not listed here is refused.");
    puts(".SH FIELDS");
    settings(&agent_config_map, "");
    see_also(pages);
}

/* ------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*print)(const ctl_args_t *args);
} man_pages[] = {{"meshctl", man_meshctl},
                 {"mesh-agent", man_agent},
                 {"mesh.yaml", man_mesh},
                 {"agent.yaml", man_config}};

int ctl_man(const ctl_args_t *args) {
    const char *name = args->argc ? args->argv[0] : "meshctl";

    for (size_t i = 0; i < mesh_nelts(man_pages); i++) {
        if (strcmp(man_pages[i].name, name) == 0) {
            man_pages[i].print(args);
            return CTL_EXIT_OK;
        }
    }
    fprintf(stderr, "meshctl: no page \"%s\"; there are", name);
    for (size_t i = 0; i < mesh_nelts(man_pages); i++) {
        fprintf(stderr, " %s", man_pages[i].name);
    }
    fputc('\n', stderr);
    return CTL_EXIT_USAGE;
}
