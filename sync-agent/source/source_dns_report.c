/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How names among endpoints fare, for `meshctl status`: made when it is asked
 * for, of what the resolver knows and of what the sets have.
 *
 * A name is told once, whatever number of sets has it.
 */

#include <stdio.h>
#include <stdlib.h>

#include "source_dns_rows.h"

#define NOTE_NAMES_MAX 4 /* names that a note tells */

/* A name in a set. */
typedef struct {
    dns_question_t question;
    const dns_answer_t *answer; /* NULL: there are too many names */
    uint32_t row;
    uint32_t served; /* endpoints of that set that are of it */
    bool held;
} use_t;

/* All uses of one question. */
typedef struct {
    uint32_t first;
    uint32_t count;
    uint32_t addresses;
    source_name_state_e state;
    bool held;
    bool unsure; /* held, and what is held does not say whose it is */
} group_t;

typedef struct {
    const source_dns_t *dns;
    uint64_t now_ms;
    use_t *uses;
    uint32_t nuses;
    group_t *groups; /* those that fail first, each state by name */
    uint32_t ngroups;
} names_t;

static void *must(void *memory) {
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* --- what serves ----------------------------------------------------------*/

/* A name without any answer keeps its whole set as it was. */
static bool is_held(const dns_row_t *row) {
    for (uint32_t i = 0; row->whole && row->item && i < row->named.set.count;
         i++) {
        if (row->answers[i] != NULL && !row->answers[i]->known) {
            return true;
        }
    }
    return false;
}

/* Of a set that goes on as it was; those of SRV do not say whose they are. */
static uint32_t count_before(const dns_row_t *row, mesh_str_t name) {
    const model_endpoint_set_t *set = row->item->part->sets;
    uint32_t count = 0;

    if (name.len && name.data[name.len - 1] == '.') {
        name.len--;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        count += set->v[i].family != MESH_FAMILY_UNIX &&
                 mesh_str_eq(set->v[i].host, name);
    }
    return count;
}

static uint32_t served(const dns_row_t *row, const use_t *use) {
    uint32_t count = use->answer ? use->answer->count : 0;

    if (use->held) {
        return use->question.srv ? 0 : count_before(row, use->question.name);
    }
    return row->named.dns.logical ? mesh_min(count, 1u) : count;
}

/* --- names ----------------------------------------------------------------*/

static void add_uses(names_t *names, uint32_t at) {
    const dns_row_t *row = names->dns->rows[at];
    const model_endpoint_set_t *set = &row->named.set;
    bool held = is_held(row);

    for (uint32_t i = 0; i < set->count; i++) {
        if (!source_dns_is_name(&set->v[i])) {
            continue;
        }
        use_t *use = &names->uses[names->nuses++];
        *use = (use_t){.question = source_dns_question(row, &set->v[i]),
                       .answer = row->answers[i],
                       .row = at,
                       .held = held};
        use->served = served(row, use);
    }
}

static int by_name(const use_t *x, const use_t *y) {
    int rc = mesh_str_cmp(x->question.name, y->question.name);

    if (rc == 0) {
        rc = (int)x->question.srv - (int)y->question.srv;
    }
    return rc ? rc : (int)x->question.family - (int)y->question.family;
}

static int by_use(const void *a, const void *b) {
    const use_t *x = a, *y = b;
    int rc = by_name(x, y);

    return rc ? rc : (x->row > y->row) - (x->row < y->row);
}

static int by_state(const void *a, const void *b) {
    const group_t *x = a, *y = b;

    if (x->state != y->state) {
        return x->state < y->state ? -1 : 1;
    }
    return (x->first > y->first) - (x->first < y->first);
}

static source_name_state_e state_of(const dns_answer_t *answer,
                                    const group_t *group) {
    if (answer == NULL) {
        return SOURCE_NAME_FAILING;
    }
    if (answer->state == DNS_ASKED) {
        return SOURCE_NAME_WAITING;
    }
    if (answer->why == NULL) {
        return SOURCE_NAME_OK;
    }
    if (answer->state == DNS_ANSWERED && answer->count != 0) {
        return SOURCE_NAME_PARTIAL;
    }
    return group->addresses != 0 || group->unsure ? SOURCE_NAME_KEPT
                                                  : SOURCE_NAME_FAILING;
}

static void make_groups(names_t *names) {
    for (uint32_t i = 0; i < names->nuses; i++) {
        const use_t *use = &names->uses[i];

        if (i == 0 || by_name(use - 1, use) != 0) {
            names->groups[names->ngroups++] = (group_t){.first = i};
        }
        group_t *group = &names->groups[names->ngroups - 1];
        group->count++;
        group->addresses = mesh_max(group->addresses, use->served);
        group->held |= use->held;
        group->unsure |= use->held && use->question.srv &&
                         names->dns->rows[use->row]->item->part->sets->count;
    }
    for (uint32_t i = 0; i < names->ngroups; i++) {
        group_t *group = &names->groups[i];

        group->state = state_of(names->uses[group->first].answer, group);
    }
    qsort(names->groups, names->ngroups, sizeof(*names->groups), by_state);
}

static void names_make(names_t *names) {
    const source_dns_t *dns = names->dns;
    size_t room = 1;

    for (uint32_t i = 0; i < dns->count; i++) {
        room += dns->rows[i]->named.set.count;
    }
    names->uses = must(calloc(room, sizeof(*names->uses)));
    names->groups = must(calloc(room, sizeof(*names->groups)));
    for (uint32_t i = 0; i < dns->count; i++) {
        add_uses(names, i);
    }
    qsort(names->uses, names->nuses, sizeof(*names->uses), by_use);
    make_groups(names);
}

static void names_free(names_t *names) {
    free(names->uses);
    free(names->groups);
}

static const use_t *use_of(const names_t *names, const group_t *group) {
    return &names->uses[group->first];
}

/* --- one name -------------------------------------------------------------*/

static const char *type_of(const dns_question_t *question) {
    static const char *const types[] = {[DNS_V4_PREFERRED] = "A/AAAA",
                                        [DNS_V4] = "A",
                                        [DNS_V6] = "AAAA",
                                        [DNS_ALL] = "A+AAAA"};

    return question->srv ? "SRV" : types[question->family];
}

/* What became of its addresses. */
static const char *rest_of(const dns_answer_t *answer, const group_t *group) {
    switch (group->state) {
    case SOURCE_NAME_KEPT:
        return answer->known ? "its addresses go on"
                             : "it was not answered yet, its addresses of "
                               "before go on";
    case SOURCE_NAME_FAILING:
        if (!answer->known) {
            return group->held ? "it was never answered, until then its set "
                                 "goes on as it was"
                               : "it was never answered";
        }
        return answer->had_ms ? "it had addresses before"
                              : "it never had addresses";
    case SOURCE_NAME_WAITING:
        return "asked for the first time";
    default:
        return group->held ? "another name of its set was never answered, "
                             "until then the set goes on as it was"
                           : "";
    }
}

/* What is told of the name beside its times. */
static void verdict_of(const use_t *use, const group_t *group, char *out,
                       size_t size) {
    const dns_answer_t *answer = use->answer;
    char why[DNS_WHY_MAX] = "";

    if (answer == NULL) {
        snprintf(out, size, "not asked for: there are more than %d names",
                 DNS_NAMES_MAX);
        return;
    }
    if (answer->why != NULL) {
        (void)dns_why_text(answer->why, answer->target, why);
    }
    if (group->state == SOURCE_NAME_PARTIAL) {
        snprintf(out, size, "%s; no addresses of %u of %u targets", why,
                 answer->missing, answer->targets);
    } else {
        const char *rest = rest_of(answer, group);

        snprintf(out, size, "%s%s%s", why, why[0] && rest[0] ? "; " : "", rest);
    }
}

static void add_sets(const names_t *names, const group_t *group,
                     source_name_t *name) {
    for (uint32_t i = 0; i < group->count; i++) {
        const use_t *use = &names->uses[group->first + i];

        /* A set may have it at several ports. */
        if (i > 0 && use->row == use[-1].row) {
            continue;
        }
        if (name->nsets == SOURCE_NAME_SETS_MAX) {
            name->sets_left_out++;
            continue;
        }
        name->sets[name->nsets++] = names->dns->rows[use->row]->named.set.name;
    }
}

static void tell_name(const names_t *names, const group_t *group,
                      const source_report_t *to) {
    const use_t *use = use_of(names, group);
    const dns_answer_t *answer = use->answer;
    char verdict[SOURCE_VERDICT_MAX];
    source_name_t name = {.name = use->question.name,
                          .type = type_of(&use->question),
                          .state = group->state,
                          .addresses = group->addresses,
                          .held = group->held,
                          .verdict = verdict};

    verdict_of(use, group, verdict, sizeof(verdict));
    if (answer != NULL) {
        name.answered = answer->known;
        name.since_ms = answer->why ? answer->since_ms : 0;
        name.had_ms = answer->had_ms;
        name.next_ms = answer->next_ms == UINT64_MAX ? 0 : answer->next_ms;
    }
    add_sets(names, group, &name);
    to->name(to->ctx, SOURCE_DNS_PART, &name);
}

/* --- all of them ----------------------------------------------------------*/

/* "a.test (NXDOMAIN, 3m)", "_s._tcp.b.test (timeout, 20s, 2 addresses kept)" */
static void put_name(const names_t *names, const group_t *group, char *out,
                     size_t size) {
    const use_t *use = use_of(names, group);
    const dns_answer_t *answer = use->answer;
    char why[DNS_WHY_MAX] = "too many names";
    char age[SOURCE_AGE_SIZE];
    char kept[64] = "";

    if (answer != NULL) {
        (void)dns_why_text(answer->why, answer->target, why);
        snprintf(kept, sizeof(kept), ", %s",
                 source_age(names->now_ms - answer->since_ms, age));
    }
    if (group->state == SOURCE_NAME_KEPT && group->addresses == 0) {
        snprintf(kept + strlen(kept), sizeof(kept) - strlen(kept),
                 ", its set kept");
    } else if (group->state != SOURCE_NAME_FAILING) {
        snprintf(kept + strlen(kept), sizeof(kept) - strlen(kept),
                 ", %u address%s %s", group->addresses,
                 group->addresses == 1 ? "" : "es",
                 group->state == SOURCE_NAME_KEPT ? "kept" : "left");
    }
    snprintf(out, size, "%.*s (%s%s)", (int)use->question.name.len,
             use->question.name.data, why, kept);
}

/* Those that fail are first; `failing` of them. */
static void put_failing(const names_t *names, uint32_t failing, char *out) {
    const size_t last = 32; /* room for how many there are more */
    uint32_t i = 0;
    int n = snprintf(out, SOURCE_NOTE_MAX, "%u of %u name%s fail%s", failing,
                     names->ngroups, names->ngroups == 1 ? "" : "s",
                     failing == 1 ? "s" : "");
    size_t used = (size_t)n;

    for (; i < mesh_min(failing, (uint32_t)NOTE_NAMES_MAX); i++) {
        char text[DNS_NAME_MAX + SOURCE_VERDICT_MAX];

        put_name(names, &names->groups[i], text, sizeof(text));
        if (used + strlen(text) + last >= SOURCE_NOTE_MAX) {
            break;
        }
        used += (size_t)snprintf(out + used, SOURCE_NOTE_MAX - used, "%s%s",
                                 i ? ", " : ": ", text);
    }
    if (i < failing) {
        snprintf(out + used, SOURCE_NOTE_MAX - used, "%s%u more",
                 i ? ", and " : ": ", failing - i);
    }
}

static void tell_note(const names_t *names, const source_report_t *to) {
    char text[SOURCE_NOTE_MAX] = "";
    source_note_t note = {
        .state = names->groups[0].state, .text = text, .names = names->ngroups};
    uint32_t waiting = 0;

    for (uint32_t i = 0; i < names->ngroups; i++) {
        const dns_answer_t *answer = use_of(names, &names->groups[i])->answer;

        waiting += names->groups[i].state == SOURCE_NAME_WAITING;
        if (names->groups[i].state < SOURCE_NAME_WAITING) {
            note.failing++;
        }
        if (answer != NULL && answer->why != NULL &&
            (note.since_ms == 0 || answer->since_ms < note.since_ms)) {
            note.since_ms = answer->since_ms;
        }
    }
    if (note.failing != 0) {
        put_failing(names, note.failing, text);
    } else if (waiting != 0) {
        snprintf(text, sizeof(text),
                 "first answers of %u of %u names are waited for", waiting,
                 names->ngroups);
    }
    to->note(to->ctx, SOURCE_DNS_PART, &note);
}

void source_dns_report(const source_t *source, uint64_t now_ms,
                       const source_report_t *to) {
    names_t names = {.dns = (const source_dns_t *)source, .now_ms = now_ms};

    names_make(&names);
    if (names.ngroups != 0) {
        tell_note(&names, to);
    }
    for (uint32_t i = 0; to->name != NULL && i < names.ngroups; i++) {
        tell_name(&names, &names.groups[i], to);
    }
    names_free(&names);
}
