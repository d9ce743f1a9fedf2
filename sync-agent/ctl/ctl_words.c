/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What may stand where on meshctl's command line.
 */

#include "ctl_words.h"

#include "ctl_zone.h"
#include "lint.h"
#include "model_read.h"

#define NAME_CHARS                                                             \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"           \
    "-._:/@%+,=[]*"

typedef struct {
    FILE *out;
    const char *current; /* the word that is being written */
    const char *before;  /* what of it is not offered again: "--at=" */
    const char *zone;
    const ctl_command_row_t *row;
    int position;         /* of the argument that is being written */
    const char *argument; /* the one before it */
} line_t;

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static void offer(const line_t *line, const char *word, const char *about) {
    if (!begins(word, line->current)) {
        return;
    }
    fprintf(line->out, "%s%s%s%s\n", line->before, word, about ? "\t" : "",
            about ? about : "");
}

static void offer_name(const line_t *line, mesh_str_t name) {
    char text[512];

    if (name.len == 0 || name.len >= sizeof(text)) {
        return;
    }
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    if (strspn(text, NAME_CHARS) == name.len) {
        offer(line, text, NULL);
    }
}

/* --- what the zone has --------------------------------------------------- */

static void offer_generations(const line_t *line, const ctl_zone_t *zone) {
    const mesh_rec_root_t *roots[MESH_HISTORY_MAX + 1];
    uint32_t count = ctl_zone_roots(zone, roots);

    for (uint32_t i = 0; i < count; i++) {
        char number[24], age[64];

        snprintf(number, sizeof(number), "%llu",
                 (unsigned long long)roots[i]->generation);
        ctl_age(roots[i]->time_ms, age, sizeof(age));
        offer(line, number, age);
    }
}

static void offer_endpoints(const line_t *line, const model_part_t *part) {
    const char *name = line->argument ? line->argument : "";

    for (uint32_t i = 0; i < part->nclusters; i++) {
        const model_cluster_t *c = &part->clusters[i];
        mesh_str_t set = c->endpoint_set.len ? c->endpoint_set : c->name;

        for (uint32_t k = 0; k < part->nsets; k++) {
            const model_endpoint_set_t *s = &part->sets[k];

            if (!mesh_str_eq(c->name, mesh_str_from(name)) ||
                !mesh_str_eq(s->name, set)) {
                continue;
            }
            for (uint32_t n = 0; n < s->count; n++) {
                char text[160];

                model_endpoint_text(&s->v[n], text, sizeof(text));
                offer_name(line, mesh_str_from(text));
            }
        }
    }
}

static void offer_domains(const line_t *line, const model_part_t *part) {
    for (uint32_t i = 0; i < part->ntables; i++) {
        for (uint32_t k = 0; k < part->tables[i].nvhosts; k++) {
            const model_vhost_t *host = &part->tables[i].vhosts[k];

            for (uint32_t n = 0; n < host->ndomains; n++) {
                /* Nobody asks for a name with a "*" in it. */
                if (memchr(host->domains[n].data, '*', host->domains[n].len) ==
                    NULL) {
                    offer_name(line, host->domains[n]);
                }
            }
        }
    }
}

static void offer_of_zone(const line_t *line, const char *what) {
    ctl_zone_t zone;

    if (!ctl_zone_open(&zone, line->zone, 0)) {
        return;
    }
    if (strcmp(what, CTL_WORDS_GENERATIONS) == 0) {
        offer_generations(line, &zone);
        ctl_zone_close(&zone);
        return;
    }
    const model_part_t *part = model_read_root(zone.arena, zone.s, zone.root);
    if (strcmp(what, CTL_WORDS_CLUSTERS) == 0) {
        for (uint32_t i = 0; i < part->nclusters; i++) {
            offer_name(line, part->clusters[i].name);
        }
    } else if (strcmp(what, CTL_WORDS_TABLES) == 0) {
        for (uint32_t i = 0; i < part->ntables; i++) {
            offer_name(line, part->tables[i].name);
        }
    } else if (strcmp(what, CTL_WORDS_DOMAINS) == 0) {
        offer_domains(line, part);
    } else if (strcmp(what, CTL_WORDS_ENDPOINTS) == 0) {
        offer_endpoints(line, part);
    }
    ctl_zone_close(&zone);
}

/* --- what a row says ----------------------------------------------------- */

static void offer_list(const line_t *line, const char *words, size_t len) {
    while (len > 0) {
        char word[32];
        const char *end = memchr(words, '|', len);
        size_t n = end ? (size_t)(end - words) : len;

        snprintf(word, sizeof(word), "%.*s", (int)n, words);
        offer(line, word, NULL);
        words += n + (end != NULL);
        len -= n + (end != NULL);
    }
}

static void offer_words(const line_t *line, const char *words, size_t len) {
    char what[32];

    if (words[0] != '@') {
        offer_list(line, words, len);
        return;
    }
    snprintf(what, sizeof(what), "%.*s", (int)len, words);
    if (strcmp(what, CTL_WORDS_FILES) == 0) {
        fprintf(line->out, "%s\n", CTL_SHELL_FILES);
    } else if (strcmp(what, CTL_WORDS_DIRECTORIES) == 0) {
        fprintf(line->out, "%s\n", CTL_SHELL_DIRECTORIES);
    } else if (strcmp(what, CTL_WORDS_CODES) == 0) {
        for (size_t i = 0; i < lint_nrules; i++) {
            offer(line, lint_rules[i].code, lint_rules[i].about);
        }
    } else {
        offer_of_zone(line, what);
    }
}

static void offer_argument(const line_t *line) {
    const char *words = line->row->words;
    int position = line->position;

    if (words == NULL || position >= line->row->max) {
        return;
    }
    for (const char *space; position > 0 && (space = strchr(words, ' '));
         position--) {
        words = space + 1;
    }
    offer_words(line, words, strcspn(words, " "));
}

static void offer_options(const line_t *line) {
    for (size_t i = 0; i < ctl_noptions; i++) {
        const ctl_option_row_t *row = &ctl_options[i];
        char name[32];

        if (row->takes && (!line->row || !(line->row->takes & row->takes))) {
            continue;
        }
        if (row->letter) {
            snprintf(name, sizeof(name), "-%c", row->letter);
            offer(line, name, row->about);
        }
        snprintf(name, sizeof(name), "--%s", row->name);
        offer(line, name, row->about);
    }
    if (line->row == NULL) {
        offer(line, "--help", "what there is");
        offer(line, "--version", NULL);
    }
}

/* --- what was written before it ------------------------------------------ */

static const ctl_option_row_t *find_option(const char *word) {
    for (size_t i = 0; i < ctl_noptions; i++) {
        const ctl_option_row_t *row = &ctl_options[i];

        if (begins(word, "--") && strcmp(word + 2, row->name) == 0) {
            return row;
        }
        if (row->letter && word[0] == '-' && word[1] == row->letter &&
            word[2] == '\0') {
            return row;
        }
    }
    return NULL;
}

static void take_word(const ctl_args_t *args, line_t *line, const char *word) {
    if (begins(word, "--zone=")) {
        line->zone = word + strlen("--zone=");
        return;
    }
    if (word[0] == '-' && word[1] != '\0') {
        return;
    }
    if (line->row != NULL) {
        line->position++;
        line->argument = word;
        return;
    }
    for (size_t i = 0; i < args->nrows && line->row == NULL; i++) {
        if (strcmp(args->rows[i].name, word) == 0) {
            line->row = &args->rows[i];
        }
    }
}

/* "--at=7": the value of an option in the same word. */
static const ctl_option_row_t *joined_option(line_t *line, char *name,
                                             size_t size) {
    const char *equals = strchr(line->current, '=');

    if (!begins(line->current, "--") || equals == NULL) {
        return NULL;
    }
    snprintf(name, size, "%.*s", (int)(equals - line->current), line->current);
    const ctl_option_row_t *option = find_option(name);
    if (option != NULL) {
        strncat(name, "=", size - strlen(name) - 1);
        line->before = name;
        line->current = equals + 1;
    }
    return option;
}

void ctl_words_print(const ctl_args_t *args, int count, char *const *words,
                     FILE *out) {
    line_t line = {.out = out, .current = "", .before = "", .zone = args->zone};
    const ctl_option_row_t *option = NULL;
    char name[64];

    for (int i = 0; i + 1 < count; i++) {
        if (option != NULL) {
            line.zone =
                strcmp(option->name, "zone") == 0 ? words[i] : line.zone;
            option = NULL;
            continue;
        }
        option = find_option(words[i]);
        if (option != NULL && option->value == NULL) {
            option = NULL;
        }
        take_word(args, &line, words[i]);
    }
    if (count > 0) {
        line.current = words[count - 1];
    }
    if (option == NULL) {
        option = joined_option(&line, name, sizeof(name));
    }
    if (option != NULL) {
        if (option->words != NULL) {
            offer_words(&line, option->words, strlen(option->words));
        }
    } else if (line.current[0] == '-') {
        offer_options(&line);
    } else if (line.row != NULL) {
        offer_argument(&line);
    } else {
        for (size_t i = 0; i < args->nrows; i++) {
            offer(&line, args->rows[i].name, args->rows[i].about);
        }
    }
}
