/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names in endpoint sets; see source_dns.h.
 *
 * A set is an item of its own in the part, and stays the same object as long
 * as its addresses do.
 */

#include "source_dns.h"

#include <stdio.h>
#include <stdlib.h>

#include "source_dns_rows.h"

static void *must(void *memory) {
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* --- copies ---------------------------------------------------------------*/

static mesh_str_t copy_str(arena_t *arena, mesh_str_t text) {
    char *copy = arena_alloc(arena, text.len + 1);

    if (text.len) {
        memcpy(copy, text.data, text.len);
    }
    copy[text.len] = '\0';
    return (mesh_str_t){text.len, copy};
}

static model_endpoint_t copy_endpoint(arena_t *arena,
                                      const model_endpoint_t *from) {
    model_endpoint_t to = *from;

    to.host = copy_str(arena, from->host);
    to.locality.region = copy_str(arena, from->locality.region);
    to.locality.zone = copy_str(arena, from->locality.zone);
    to.locality.sub_zone = copy_str(arena, from->locality.sub_zone);
    to.labels.v =
        arena_alloc(arena, (from->labels.count + 1) * sizeof(*to.labels.v));
    for (uint32_t i = 0; i < from->labels.count; i++) {
        to.labels.v[i] =
            (model_label_t){copy_str(arena, from->labels.v[i].name),
                            copy_str(arena, from->labels.v[i].value)};
    }
    return to;
}

static model_endpoint_set_t copy_set(arena_t *arena,
                                     const model_endpoint_set_t *from) {
    model_endpoint_set_t to = {
        .place = {.file = SOURCE_DNS_PART},
        .name = copy_str(arena, from->name),
        .count = from->count,
        .v = arena_alloc(arena, (from->count + 1) * sizeof(*from->v))};

    for (uint32_t i = 0; i < from->count; i++) {
        to.v[i] = copy_endpoint(arena, &from->v[i]);
    }
    return to;
}

static bool same_labels(const model_labels_t *a, const model_labels_t *b) {
    bool same = a->count == b->count;

    for (uint32_t i = 0; same && i < a->count; i++) {
        same = mesh_str_eq(a->v[i].name, b->v[i].name) &&
               mesh_str_eq(a->v[i].value, b->v[i].value);
    }
    return same;
}

static bool same_endpoint(const model_endpoint_t *a,
                          const model_endpoint_t *b) {
    return model_endpoint_cmp(a, b) == 0 && a->weight == b->weight &&
           a->health == b->health && a->priority == b->priority &&
           same_labels(&a->labels, &b->labels) &&
           mesh_str_eq(a->locality.region, b->locality.region) &&
           mesh_str_eq(a->locality.zone, b->locality.zone) &&
           mesh_str_eq(a->locality.sub_zone, b->locality.sub_zone);
}

static bool same_set(const model_endpoint_set_t *a,
                     const model_endpoint_set_t *b) {
    bool same = mesh_str_eq(a->name, b->name) && a->count == b->count;

    for (uint32_t i = 0; same && i < a->count; i++) {
        same = same_endpoint(&a->v[i], &b->v[i]);
    }
    return same;
}

static void put_text(FILE *out, mesh_str_t text) {
    fprintf(out, " %zu:", text.len);
    if (text.len) {
        fwrite(text.data, 1, text.len, out);
    }
}

static void put_endpoint(FILE *out, const model_endpoint_t *e) {
    uint64_t addr[2];

    memcpy(addr, e->addr, sizeof(addr));
    fprintf(out, "\n%u %llx %llx %u %u %u %u", e->family,
            (unsigned long long)addr[0], (unsigned long long)addr[1], e->port,
            e->weight, e->health, e->priority);
    put_text(out, e->host);
    put_text(out, e->locality.region);
    put_text(out, e->locality.zone);
    put_text(out, e->locality.sub_zone);
    for (uint32_t i = 0; i < e->labels.count; i++) {
        put_text(out, e->labels.v[i].name);
        put_text(out, e->labels.v[i].value);
    }
}

/*
 * Of all the content: an item that takes another's place in memory differs,
 * and the compiler knows by both what it has compiled.
 */
static mesh_str_t version_of(arena_t *arena, const model_endpoint_set_t *set) {
    char version[SOURCE_VERSION_SIZE];
    char *text = NULL;
    size_t len = 0;
    FILE *out = must(open_memstream(&text, &len));

    put_text(out, set->name);
    for (uint32_t i = 0; i < set->count; i++) {
        put_endpoint(out, &set->v[i]);
    }
    if (fclose(out) != 0) {
        abort();
    }
    source_version((mesh_str_t){len, text}, version);
    free(text);
    return mesh_str_from(arena_strdup(arena, version));
}

/* An item of one set, which it takes over with its arena. */
static source_item_t *item_of(arena_t *arena, const model_endpoint_set_t *set) {
    model_part_t *part = arena_alloc(arena, sizeof(*part));
    model_endpoint_set_t *copy = arena_alloc(arena, sizeof(*copy));
    source_shared_t *shared = source_shared_new(arena);

    *copy = *set;
    *part = (model_part_t){.arena = arena,
                           .name = SOURCE_DNS_PART,
                           .version = version_of(arena, set),
                           .time_ms = agent_unix_ms(),
                           .nsets = 1,
                           .sets = copy,
                           .resolved = true};
    return source_item_new(shared, part);
}

/* --- resolving ------------------------------------------------------------*/

bool source_dns_is_name(const model_endpoint_t *endpoint) {
    return endpoint->family >= MODEL_FAMILY_HOST;
}

dns_question_t source_dns_question(const dns_row_t *row,
                                   const model_endpoint_t *endpoint) {
    static const dns_family_e families[] = {[MODEL_DNS_V4_PREFERRED] =
                                                DNS_V4_PREFERRED,
                                            [MODEL_DNS_V4] = DNS_V4,
                                            [MODEL_DNS_V6] = DNS_V6,
                                            [MODEL_DNS_ALL] = DNS_ALL};

    return (dns_question_t){.name = endpoint->host,
                            .srv = endpoint->family == MODEL_FAMILY_SERVICE,
                            .family = families[row->named.dns.family]};
}

static void add_addresses(arena_t *arena, const dns_row_t *row,
                          const model_endpoint_t *like,
                          const dns_answer_t *answer,
                          model_endpoint_set_t *set) {
    uint32_t count = answer->count;

    if (row->named.dns.logical) {
        count = mesh_min(count, 1u);
    }
    for (uint32_t i = 0; i < count; i++) {
        const dns_address_t *address = &answer->v[i];
        model_endpoint_t *to = &set->v[set->count++];

        *to = copy_endpoint(arena, like);
        to->family = address->family;
        if (like->family == MODEL_FAMILY_SERVICE) {
            to->host = MESH_STR(""); /* it has names of its own */
        } else if (to->host.len && to->host.data[to->host.len - 1] == '.') {
            to->host.len--;
        }
        to->port = address->port ? address->port : like->port;
        memcpy(to->addr, address->addr, sizeof(to->addr));
        if (like->family == MODEL_FAMILY_SERVICE) {
            to->weight = address->weight;
        }
    }
}

static bool same_address(const model_endpoint_t *a, const model_endpoint_t *b) {
    return a->family == b->family && a->port == b->port &&
           memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 &&
           (a->family != MESH_FAMILY_UNIX || mesh_str_eq(a->host, b->host));
}

/*
 * In order; where two names have an address in common, it is there once, with
 * the first of them in the order of names.
 */
static void sort_set(model_endpoint_set_t *set) {
    uint32_t kept = 0;

    if (set->count > 1) {
        qsort(set->v, set->count, sizeof(*set->v), model_endpoint_cmp);
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (kept == 0 || !same_address(&set->v[kept - 1], &set->v[i])) {
            set->v[kept++] = set->v[i];
        }
    }
    set->count = kept;
}

/* What the answers to a set's names are together. */
typedef struct {
    uint32_t room; /* endpoints that it is, at most */
    bool known;    /* all of them were answered at some time */
    uint64_t seen; /* another number after any change of any of them */
} answers_t;

static void gather(source_dns_t *dns, const dns_row_t *row,
                   answers_t *answers) {
    *answers = (answers_t){.known = true, .seen = 1};
    for (uint32_t i = 0; i < row->named.set.count; i++) {
        const dns_answer_t *answer = row->answers[i];

        answers->room += answer ? answer->count : 1;
        answers->seen += answer ? answer->changes + UINT64_C(1) : 0;
        if (answer == NULL || answer->known) {
            continue;
        }
        answers->known = false;
        if (answer->state == DNS_ASKED && row->item == NULL) {
            dns->wait_ms =
                mesh_max(dns->wait_ms, answer->asked_ms + SOURCE_DNS_WAIT_MS);
        }
    }
}

static source_item_t *expand(const dns_row_t *row, uint32_t room) {
    const model_endpoint_set_t *names = &row->named.set;
    arena_t *arena = arena_new_small();
    model_endpoint_set_t set = {
        .place = {.file = SOURCE_DNS_PART},
        .name = copy_str(arena, names->name),
        .v = arena_alloc(arena, (room + 1) * sizeof(*set.v))};

    for (uint32_t i = 0; i < names->count; i++) {
        if (row->answers[i] != NULL) {
            add_addresses(arena, row, &names->v[i], row->answers[i], &set);
        } else if (!source_dns_is_name(&names->v[i])) {
            set.v[set.count++] = copy_endpoint(arena, &names->v[i]);
        }
    }
    sort_set(&set);
    return item_of(arena, &set);
}

/*
 * true: `item` is another one.  A set whose names are not all known goes on
 * as it was; one that was never resolved has what is known of it.
 */
static bool resolve_row(source_dns_t *dns, dns_row_t *row) {
    answers_t answers;
    bool changed = false;

    gather(dns, row, &answers);
    if (answers.seen == row->seen) {
        return false;
    }
    row->seen = answers.seen;
    if (answers.known || !row->whole) {
        source_item_t *item = expand(row, answers.room);
        uint32_t count = item->part->sets->count;

        changed = row->item == NULL
                      ? answers.known || count != 0
                      : !same_set(row->item->part->sets, item->part->sets);
        if (changed && row->item != NULL) {
            source_item_unref(row->item);
        }
        if (changed) {
            row->item = item;
        } else {
            source_item_unref(item);
        }
        row->whole = answers.known;
    }
    return changed;
}

static void tell(source_dns_t *dns) {
    source_item_t **items = must(calloc(dns->count + 1, sizeof(*items)));
    uint32_t count = 0;

    for (uint32_t i = 0; i < dns->count; i++) {
        if (dns->rows[i]->item != NULL) {
            items[count++] = dns->rows[i]->item;
        }
    }
    if (count != 0) {
        dns->told = true;
        dns->base.sink.part(dns->base.sink.ctx, SOURCE_DNS_PART,
                            source_bundle_new(items, count));
    } else if (dns->told) {
        dns->told = false;
        dns->base.sink.gone(dns->base.sink.ctx, SOURCE_DNS_PART, false,
                            "no names are left");
    }
    free(items);
}

static void ask_row(source_dns_t *dns, dns_row_t *row, uint64_t now_ms) {
    const model_endpoint_set_t *names = &row->named.set;

    for (uint32_t i = 0; i < names->count; i++) {
        if (source_dns_is_name(&names->v[i])) {
            dns_question_t question = source_dns_question(row, &names->v[i]);

            row->answers[i] =
                dns_resolver_ask(dns->resolver, &question, now_ms);
        }
    }
}

/* The answers that it gives are there until names come or go. */
static void ask_names(source_dns_t *dns, uint64_t now_ms) {
    dns_resolver_begin(dns->resolver);
    for (uint32_t i = 0; i < dns->count; i++) {
        ask_row(dns, dns->rows[i], now_ms);
    }
    dns_resolver_end(dns->resolver);
}

/* Tells the sink if any set is another one. */
static void resolve(source_dns_t *dns, bool changed) {
    dns->wait_ms = 0;
    for (uint32_t i = 0; i < dns->count; i++) {
        changed |= resolve_row(dns, dns->rows[i]);
    }
    if (changed) {
        tell(dns);
    }
}

static void on_changed(void *ctx) {
    resolve(ctx, false);
}

/* --- sets -----------------------------------------------------------------*/

static void row_free(dns_row_t *row) {
    if (row->item != NULL) {
        source_item_unref(row->item);
    }
    arena_free(row->arena);
    free(row->answers);
    free(row);
}

static source_item_t *item_before(const source_dns_t *dns, mesh_str_t name) {
    arena_t *arena = arena_new_small();
    model_endpoint_set_t set;

    if (dns->before == NULL || !dns->before(dns->ctx, arena, name, &set)) {
        arena_free(arena);
        return NULL;
    }
    model_endpoint_set_t copy = copy_set(arena, &set);

    return item_of(arena, &copy);
}

static dns_row_t *row_new(const model_named_set_t *named) {
    dns_row_t *row = must(calloc(1, sizeof(*row)));

    row->arena = arena_new_small();
    row->named = *named;
    row->named.set = copy_set(row->arena, &named->set);
    row->answers = must(calloc(named->set.count + 1, sizeof(*row->answers)));
    return row;
}

/* Where the row of that name is, or belongs; rows are in order of name. */
static uint32_t find_row(const source_dns_t *dns, mesh_str_t name,
                         bool *found) {
    uint32_t low = 0, high = dns->count;

    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int rc = mesh_str_cmp(dns->rows[middle]->named.set.name, name);

        if (rc == 0) {
            *found = true;
            return middle;
        }
        if (rc < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool same_names(const model_named_set_t *a, const model_named_set_t *b) {
    return a->dns.family == b->dns.family && a->dns.logical == b->dns.logical &&
           same_set(&a->set, &b->set);
}

/* true: the sink has to be told. */
static bool follow_set(source_dns_t *dns, const model_named_set_t *named) {
    bool found;
    uint32_t at = find_row(dns, named->set.name, &found);

    if (found && same_names(&dns->rows[at]->named, named)) {
        dns->rows[at]->used = true;
        return false;
    }
    dns_row_t *fresh = row_new(named);

    fresh->used = true;
    if (found) {
        /* Until it is resolved anew, what the old names gave goes on. */
        fresh->item = dns->rows[at]->item;
        fresh->whole = fresh->item != NULL;
        dns->rows[at]->item = NULL;
        row_free(dns->rows[at]);
        dns->rows[at] = fresh;
        return false;
    }
    fresh->item = item_before(dns, named->set.name);
    fresh->whole = fresh->item != NULL;
    dns->rows = must(realloc(dns->rows, (dns->count + 1) * sizeof(*dns->rows)));
    memmove(dns->rows + at + 1, dns->rows + at,
            (dns->count - at) * sizeof(*dns->rows));
    dns->rows[at] = fresh;
    dns->count++;
    return fresh->item != NULL;
}

void source_dns_follow(source_t *source, const model_part_t *const *parts,
                       uint32_t count, uint64_t now_ms) {
    source_dns_t *dns = (source_dns_t *)source;
    bool changed = false;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < dns->count; i++) {
        dns->rows[i]->used = false;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < parts[i]->nnamed; k++) {
            changed |= follow_set(dns, &parts[i]->named[k]);
        }
    }
    for (uint32_t i = 0; i < dns->count; i++) {
        if (dns->rows[i]->used) {
            dns->rows[kept++] = dns->rows[i];
        } else {
            changed |= dns->rows[i]->item != NULL;
            row_free(dns->rows[i]);
        }
    }
    dns->count = kept;
    ask_names(dns, now_ms);
    resolve(dns, changed);
}

uint64_t source_dns_wait(const source_t *source) {
    return ((const source_dns_t *)source)->wait_ms;
}

/* --- the source -----------------------------------------------------------*/

source_t *source_dns_open(const agent_config_dns_t *config,
                          const source_sink_t *sink,
                          source_dns_before_pt before, void *ctx,
                          const char **error) {
    source_dns_t *dns = must(calloc(1, sizeof(*dns)));
    dns_options_t options = {.servers = config->servers,
                             .min_ttl_ms = config->min_ttl_ms,
                             .max_ttl_ms = config->max_ttl_ms,
                             .timeout_ms = config->timeout_ms,
                             .changed = on_changed,
                             .ctx = dns};

    dns->base = (source_t){&source_dns_ops, *sink};
    dns->before = before;
    dns->ctx = ctx;
    dns->resolver = dns_resolver_new(&options, error);
    if (dns->resolver == NULL) {
        free(dns);
        return NULL;
    }
    return &dns->base;
}

static int dns_fd(const source_t *source) {
    return dns_resolver_fd(((const source_dns_t *)source)->resolver);
}

static void dns_ready(source_t *source, uint64_t now_ms) {
    dns_resolver_ready(((source_dns_t *)source)->resolver, now_ms);
}

static uint64_t dns_due(const source_t *source) {
    return dns_resolver_due(((const source_dns_t *)source)->resolver,
                            agent_now_ms());
}

/* Names are followed, not read; their time to live says when to ask. */
static void dns_reload(source_t *source, uint64_t now_ms) {
    (void)source;
    (void)now_ms;
}

static void dns_close(source_t *source) {
    source_dns_t *dns = (source_dns_t *)source;

    dns_resolver_free(dns->resolver);
    for (uint32_t i = 0; i < dns->count; i++) {
        row_free(dns->rows[i]);
    }
    free(dns->rows);
    free(dns);
}

const source_ops_t source_dns_ops = {
    .name = "dns",
    .open = NULL, /* source_dns_open(): it is always there */
    .fd = dns_fd,
    .ready = dns_ready,
    .due = dns_due,
    .reload = dns_reload,
    .close = dns_close,
    .report = source_dns_report,
};
