/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hosts whose domains take names from each other.  Exact domains win, then
 * the longest "*.suffix", then the longest "prefix.*": there is always one
 * answer, which people may not expect.
 */

#include "lint.h"

#include <stdlib.h>

typedef enum {
    SUFFIX, /* "*.shop.local" */
    PREFIX, /* "shop.*" */
} wildcard_e;

typedef struct {
    mesh_str_t table;
    mesh_str_t text; /* without the "*" */
    const model_vhost_t *host;
} domain_t;

typedef struct {
    uint32_t count;
    domain_t *v; /* in order of table and text */
} domains_t;

static int by_text(const void *a, const void *b) {
    const domain_t *x = a, *y = b;
    int rc = mesh_str_cmp(x->table, y->table);

    return rc ? rc : mesh_str_cmp(x->text, y->text);
}

static bool is_wildcard(mesh_str_t domain, wildcard_e kind, mesh_str_t *text) {
    *text = domain;
    if (domain.len < 2) {
        return false;
    }
    text->len--;
    if (kind == SUFFIX) {
        text->data++;
        return domain.data[0] == '*';
    }
    return domain.data[domain.len - 1] == '*';
}

static domains_t collect(const lint_t *lint, wildcard_e kind) {
    domains_t made = {0, NULL};
    uint32_t most = 1;

    for (uint32_t i = 0; i < lint->nhosts; i++) {
        most += lint->hosts[i].host->ndomains;
    }
    made.v = arena_alloc(lint->arena, most * sizeof(*made.v));
    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;

        for (uint32_t k = 0; k < host->ndomains; k++) {
            mesh_str_t text;

            if (is_wildcard(host->domains[k], kind, &text)) {
                made.v[made.count++] =
                    (domain_t){lint->hosts[i].table->name, text, host};
            }
        }
    }
    qsort(made.v, made.count, sizeof(*made.v), by_text);
    return made;
}

static const domain_t *find(const domains_t *domains, mesh_str_t table,
                            mesh_str_t text) {
    domain_t key = {table, text, NULL};

    return domains->count == 0 ? NULL
                               : bsearch(&key, domains->v, domains->count,
                                         sizeof(key), by_text);
}

/* "shop.local" and ".local" have shop.local in common, whatever they are. */
void lint_overlapping_hosts(lint_t *lint, const lint_rule_t *rule) {
    domains_t suffixes = collect(lint, SUFFIX);
    domains_t prefixes = collect(lint, PREFIX);

    for (uint32_t i = 0; i < prefixes.count; i++) {
        const domain_t *p = &prefixes.v[i];

        for (uint32_t k = 0; k < suffixes.count; k++) {
            const domain_t *s = &suffixes.v[k];

            if (s->host == p->host || !mesh_str_eq(s->table, p->table)) {
                continue;
            }
            size_t cut = p->text.data[p->text.len - 1] == s->text.data[0];

            lint_add(lint, rule, &p->host->place, "host", p->host->name,
                     "\"%.*s%.*s\" is under its \"%.*s*\" and under "
                     "\"*%.*s\" of host %s, which wins",
                     (int)p->text.len, p->text.data, (int)(s->text.len - cut),
                     s->text.data + cut, (int)p->text.len, p->text.data,
                     (int)s->text.len, s->text.data,
                     lint_quote(lint, s->host->name));
            /* One is enough to tell of this domain. */
            break;
        }
    }
}

/* The longest wildcard that has the domain, but for the domain itself. */
static const domain_t *above_suffix(const domains_t *suffixes, mesh_str_t table,
                                    mesh_str_t domain) {
    for (size_t i = 1; i < domain.len; i++) {
        mesh_str_t rest = {domain.len - i, domain.data + i};

        if ((rest.data[0] != '.' && rest.data[0] != '-') ||
            (i == 1 && domain.data[0] == '*')) {
            continue;
        }
        const domain_t *found = find(suffixes, table, rest);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static const domain_t *above_prefix(const domains_t *prefixes, mesh_str_t table,
                                    mesh_str_t domain) {
    bool wild = domain.data[domain.len - 1] == '*';

    for (size_t len = domain.len - (wild ? 2 : 0); len > 1; len--) {
        mesh_str_t rest = {len, domain.data};

        if (rest.data[len - 1] != '.' && rest.data[len - 1] != '-') {
            continue;
        }
        const domain_t *found = find(prefixes, table, rest);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static void nested(lint_t *lint, const lint_rule_t *rule,
                   const model_vhost_t *host, mesh_str_t domain,
                   const domain_t *above, wildcard_e kind) {
    if (above == NULL || above->host == host) {
        return;
    }
    lint_add(lint, rule, &host->place, "host", host->name,
             "\"%.*s\" is under \"%s%.*s%s\" of host %s, whose routes it does "
             "not get",
             (int)domain.len, domain.data, kind == SUFFIX ? "*" : "",
             (int)above->text.len, above->text.data, kind == PREFIX ? "*" : "",
             lint_quote(lint, above->host->name));
}

void lint_nested_hosts(lint_t *lint, const lint_rule_t *rule) {
    domains_t suffixes = collect(lint, SUFFIX);
    domains_t prefixes = collect(lint, PREFIX);

    for (uint32_t i = 0; i < lint->nhosts; i++) {
        const model_vhost_t *host = lint->hosts[i].host;
        mesh_str_t table = lint->hosts[i].table->name;

        for (uint32_t k = 0; k < host->ndomains; k++) {
            mesh_str_t domain = host->domains[k];

            if (domain.len < 2) {
                continue;
            }
            if (domain.data[domain.len - 1] != '*') {
                nested(lint, rule, host, domain,
                       above_suffix(&suffixes, table, domain), SUFFIX);
            }
            if (domain.data[0] != '*') {
                nested(lint, rule, host, domain,
                       above_prefix(&prefixes, table, domain), PREFIX);
            }
        }
    }
}
