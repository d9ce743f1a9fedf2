/* SPDX-License-Identifier: Apache-2.0 */

/*
 * docs/yaml.md and the decoder's tables say the same: each field has a row,
 * each row has a field, defaults are what the row says, and what is listed as
 * not supported yet is refused in these words.
 */

#include "model_objects.h"

/* A map of the configuration: where it is in the tables and in the page. */
typedef struct {
    const char *object; /* as the table calls it */
    const char *page;   /* the heading of its rows */
    const char *prefix; /* of its rows there */
    const char *later;  /* how the list of what is missing calls it */
    const char *before; /* a document around it */
    const char *behind;
    bool bare; /* nothing stands in it yet */
} map_t;

#define ROUTE "hosts: [{domains: a.b, routes: [{"

static const map_t maps[] = {
    {"a mesh", "## The file", "", "file", "", "", true},
    {"a cluster", "## A cluster", "", "cluster", "clusters: {a: {", "}}", true},
    {"a fallback", "## A cluster", "subset_fallback.", NULL,
     "clusters: {a: {subset_fallback: {subset: s, ", "}}}", false},
    {"a subset selector", "### Subsets by labels", "", NULL,
     "clusters: {a: {subset_selectors: [{keys: k, ", "}]}}", false},
    {"a selector's fallback", "### Subsets by labels", "fallback.", NULL,
     "clusters: {a: {subset_selectors: [{keys: k, fallback: {subset: s, ",
     "}}]}}", false},
    {"a balancer", "### Balancers", "lb.", NULL,
     "clusters: {a: {lb: {policy: round_robin, ", "}}}", false},
    {"a locality's weight", "### Priorities and localities", "", NULL,
     "clusters: {a: {lb: {policy: round_robin, locality_weights: "
     "[{weight: 1, ",
     "}]}}}", false},
    {"zone-aware routing", "### Zone-aware routing", "", NULL,
     "clusters: {a: {lb: {policy: round_robin, zone_aware: {", "}}}}", true},
    {"a slow start", "### Balancers", "lb.slow_start.", NULL,
     "clusters: {a: {lb: {policy: round_robin, slow_start: {window: 1s, ",
     "}}}}", false},
    {"keepalive", "### Keepalive", "", "keepalive",
     "clusters: {a: {keepalive: {", "}}}", true},
    {"dns", "### DNS", "", "in `dns` also",
     "clusters: {a: {endpoints: ['h:1'], dns: {", "}}}", true},
    {"an endpoint", "### An endpoint", "", "endpoint",
     "clusters: {a: {endpoints: [{address: '1.2.3.4:5', ", "}]}}", false},
    {"outlier detection", "### Outlier detection", "", "outlier detection",
     "clusters: {a: {outlier_detection: {", "}}}", true},
    {"a route table", "## The route table", "", NULL, "route_table: {", "}",
     true},
    {"a host", "## A host", "", "host",
     "hosts: [{domains: a.b, routes: [{respond: 200}], ", "}]", false},
    {"a route", "## A route", "", "route", ROUTE "route: c, ", "}]}]", false},
    {"a direct response", "## A route", "respond.", "respond",
     ROUTE "respond: {status: 200, ", "}}]}]", false},
    {"a rewrite", "### Rewrite", "", "rewrite", ROUTE "route: c, rewrite: {",
     "}}]}]", true},
    {"a rewrite by a regular expression", "### Rewrite", "regex.", NULL,
     ROUTE "route: c, rewrite: {regex: {pattern: a, substitution: b, ",
     "}}}]}]", false},
    {"a rewrite by a regular expression", "### Rewrite", "host_from_path.",
     NULL,
     ROUTE "route: c, rewrite: {host_from_path: {pattern: a, substitution: b, ",
     "}}}]}]", false},
    {"a match", "### Match", "", "match", ROUTE "route: c, match: {", "}}]}]",
     true},
    {"a path match", "### Match", "path.", "of paths",
     ROUTE "route: c, match: {path: {prefix: /, ", "}}}]}]", false},
    {"a header match", "### Value match", "", NULL,
     ROUTE "route: c, match: {headers: {x: {exact: v, ", "}}}}]}]", false},
    {"a value match", "### Value match", "", NULL,
     ROUTE "route: c, match: {query: {x: {exact: v, ", "}}}}]}]", false},
    {"a hash policy", "### Hash policies", "", "hash policy",
     ROUTE "route: c, hash_policy: [{header: h, ", "}]}]}]", false},
    {"a header", "### Hash policies", "header.", NULL,
     ROUTE "route: c, hash_policy: [{header: {name: h, ", "}}]}]}]", false},
    {"a cookie", "### Hash policies", "cookie.", NULL,
     ROUTE "route: c, hash_policy: [{cookie: {name: k, ", "}}]}]}]", false},
    {"a session", "### Sessions", "", NULL,
     ROUTE "route: c, stateful_session: {cookie: k, ", "}}]}]", false},
    {"a cookie", "### Sessions", "cookie.", NULL,
     ROUTE "route: c, stateful_session: {cookie: {name: k, ", "}}}]}]", false},
    {"cors", "### CORS", "", "cors", ROUTE "route: c, cors: {", "}}]}]", true},
    {"an origin", "### CORS", "allow_origin.", NULL,
     ROUTE "route: c, cors: {allow_origin: {exact: a, ", "}}}]}]", false},
    {"internal redirects", "### Internal redirects", "", "internal redirects",
     ROUTE "route: c, internal_redirects: {", "}}]}]", true},
    {"a mirror", "### Mirrors", "", "mirror",
     ROUTE "route: c, mirror: {cluster: c, ", "}}]}]", false},
    {"a percentage", "### Percentages", "", NULL,
     ROUTE "route: c, match: {percentage: {value: 5, ", "}}}]}]", false},
    {"a weighted cluster", "### Weighted clusters", "", "weighted cluster",
     ROUTE "route: [{cluster: c, ", "}]}]}]", false},
    {"a split_by", "### Sticky splits", "", NULL,
     ROUTE "route: c, split_by: {by: hash, ", "}}]}]", false},
    {"a weighted cluster's rewrite", "### Weighted clusters", "rewrite.", NULL,
     ROUTE "route: [{cluster: c, rewrite: {host: h, ", "}}]}]}]", false},
    {"a redirect", "### Redirect", "", "redirect", ROUTE "redirect: {host: h, ",
     "}}]}]", false},
    {"retries", "### Retries", "", "retries",
     ROUTE "route: c, retries: {on: reset, ", "}}]}]", false},
    {"header operations", "## Header operations", "", "header operations",
     ROUTE "route: c, request_headers: {", "}}]}]", true},
    {"a header's value", "### Values", "", NULL,
     ROUTE "route: c, request_headers: {set: {x: {value: '%PROTOCOL%', ",
     "}}}}]}]", false},
};

static char page[65536];

/* __FILE__ is absolute in every build of ours, or relative to the top. */
static int read_page(void **state) {
    static const char here[] = "t/unit/model/test_model_docs.c";
    int top = (int)(strlen(__FILE__) - strlen(here));
    char path[4096];
    (void)state;

    snprintf(path, sizeof(path), "%.*sdocs/yaml.md", top, __FILE__);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    return fclose(file);
}

/* --- the tables ----------------------------------------------------------- */

static const model_object_t *object_of(const map_t *map) {
    objects_t objects = objects_of(false);

    for (uint32_t i = 0; i < objects.count; i++) {
        if (strcmp(objects.v[i]->name, map->object) == 0) {
            return objects.v[i];
        }
    }
    fail_msg("no table of %s", map->object);
    return NULL;
}

/* --- the page ------------------------------------------------------------- */

/* The rows behind a heading, up to the next one. */
static const char *section(const char *heading, const char **end) {
    char line[128];

    snprintf(line, sizeof(line), "\n%s\n", heading);
    const char *at = strstr(page, line);
    if (at == NULL) {
        fail_msg("docs/yaml.md has no \"%s\"", heading);
        return NULL;
    }
    at += strlen(line);
    const char *next = strstr(at, "\n#");
    *end = next != NULL ? next : at + strlen(at);
    return at;
}

/*
 * The row of a field: "| `a`, `b` | type | default | ...".  NULL: none.
 */
static const char *row_of(const map_t *map, const char *name) {
    char cell[128];
    const char *end;
    const char *at = section(map->page, &end);

    snprintf(cell, sizeof(cell), "`%s%s`", map->prefix, name);
    for (const char *line = at; line != NULL && line < end;
         line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *bar = strncmp(line, "| ", 2) == 0 ? strstr(line, " |") : 0;
        const char *found = bar ? strstr(line, cell) : NULL;
        if (found != NULL && found < bar) {
            return line;
        }
    }
    return NULL;
}

/* The n-th cell of a row, without blanks around it. */
static void cell_of(const char *row, int n, char *out, size_t size) {
    const char *at = row + 1;

    while (n-- > 0) {
        at = strchr(at, '|') + 1;
    }
    size_t len = strcspn(at, "|\n");
    while (len > 0 && *at == ' ') {
        at++;
        len--;
    }
    while (len > 0 && at[len - 1] == ' ') {
        len--;
    }
    snprintf(out, size, "%.*s", (int)len, at);
}

static void every_field_has_its_row(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(maps); i++) {
        const model_object_t *object = object_of(&maps[i]);

        for (uint32_t k = 0; k < object->count; k++) {
            const model_field_t *field = &object->fields[k];

            if (field->type != MODEL_LATER &&
                row_of(&maps[i], field->name) == NULL) {
                fail_msg("docs/yaml.md, %s: no row `%s%s`", maps[i].page,
                         maps[i].prefix, field->name);
            }
        }
    }
}

/* Each map is in one of the tables, and each table in the list above. */
static void every_map_is_known(void **state) {
    (void)state;
    objects_t objects = objects_of(false);

    for (uint32_t i = 0; i < objects.count; i++) {
        /* Their fields are told in the row of the map. */
        bool known = strcmp(objects.v[i]->name, "a locality") == 0 ||
                     strcmp(objects.v[i]->name, "a range") == 0;

        for (size_t k = 0; k < mesh_nelts(maps); k++) {
            known |= strcmp(objects.v[i]->name, maps[k].object) == 0;
        }
        if (!known) {
            fail_msg("%s: where are its rows in docs/yaml.md?",
                     objects.v[i]->name);
        }
    }
}

/* Names in the first cell of a row: "`a`, `b`". */
static bool next_name(const char **at, const char *end, char *out,
                      size_t size) {
    const char *open = memchr(*at, '`', (size_t)(end - *at));
    const char *close =
        open ? memchr(open + 1, '`', (size_t)(end - open - 1)) : NULL;

    if (close == NULL) {
        return false;
    }
    snprintf(out, size, "%.*s", (int)(close - open - 1), open + 1);
    *at = close + 1;
    return true;
}

static bool has_field(const map_t *map, const char *name) {
    const model_object_t *object = object_of(map);
    size_t len = strlen(map->prefix);

    if (len == 0 ? strchr(name, '.') != NULL
                 : strncmp(name, map->prefix, len) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < object->count; i++) {
        if (object->fields[i].type != MODEL_LATER &&
            strcmp(object->fields[i].name, name + len) == 0) {
            return true;
        }
    }
    return false;
}

static void every_row_has_its_field(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(maps); i++) {
        const char *end;
        const char *line = section(maps[i].page, &end);

        for (; line != NULL && line < end; line = strchr(line, '\n')) {
            line += *line == '\n';
            if (strncmp(line, "| `", 3) != 0) {
                continue;
            }
            const char *at = line + 2;
            const char *bar = strchr(at, '|');
            char name[64];
            while (next_name(&at, bar, name, sizeof(name))) {
                bool found = false;
                for (size_t k = 0; k < mesh_nelts(maps); k++) {
                    found |= strcmp(maps[k].page, maps[i].page) == 0 &&
                             has_field(&maps[k], name);
                }
                if (!found) {
                    fail_msg("docs/yaml.md, %s: `%s` is no field", maps[i].page,
                             name);
                }
            }
        }
    }
}

/* Defaults that depend on the balancer: what a cluster with it has. */
static const struct {
    const char *name;
    const char *policy;
    size_t offset;
} of_balancers[] = {
    {"minimum_ring_size", "ring_hash", offsetof(model_cluster_t, lb_ring_min)},
    {"maximum_ring_size", "ring_hash", offsetof(model_cluster_t, lb_ring_max)},
    {"table_size", "maglev", offsetof(model_cluster_t, lb_table_size)},
    {"decay_time", "peak_ewma", offsetof(model_cluster_t, lb_decay_ms)},
    {"default_rtt", "peak_ewma", offsetof(model_cluster_t, lb_default_rtt_ms)},
};

static bool is_of_balancer(const model_field_t *field, uint64_t *fallback) {
    for (size_t i = 0; i < mesh_nelts(of_balancers); i++) {
        char text[64];
        uint32_t value;
        fixture_t f;

        if (strcmp(field->name, of_balancers[i].name) != 0) {
            continue;
        }
        snprintf(text, sizeof(text), "clusters: {a: {lb: %s}}",
                 of_balancers[i].policy);
        fixture_yaml(&f, text);
        assert_int_equal(f.errors.errors, 0);
        memcpy(&value, (char *)&f.part->clusters[0] + of_balancers[i].offset,
               sizeof(value));
        *fallback = value;
        fixture_close(&f);
        return true;
    }
    return false;
}

static bool has_number(const model_field_t *field) {
    return field->type == MODEL_U32 || field->type == MODEL_DURATION ||
           field->type == MODEL_PERCENT || field->type == MODEL_BOOL;
}

/* Checks a default that is told; false: none is, but words. */
static bool check_default(const map_t *map, const model_field_t *field) {
    uint64_t fallback = field->fallback;
    uint64_t value = 0;
    char cell[256];

    if (!is_of_balancer(field, &fallback) && !has_number(field)) {
        return false;
    }
    cell_of(row_of(map, field->name), 2, cell, sizeof(cell));
    if (cell[0] != '`') {
        return false; /* "required", or what nginx has */
    }
    mesh_str_t told = {strcspn(cell + 1, "`"), cell + 1};
    if (field->type == MODEL_BOOL) {
        value = mesh_str_eq(told, MESH_STR("true"));
    } else if (field->type == MODEL_DURATION) {
        assert_true(model_parse_duration(told, &value));
    } else {
        assert_true(model_parse_u64(told, &value));
    }
    if (value != fallback) {
        fail_msg("docs/yaml.md, %s: `%s` is %llu unless said", map->page,
                 field->name, (unsigned long long)fallback);
    }
    return true;
}

/* "`5s`" and "`64`" in the column of defaults are the fallbacks. */
static void defaults_are_as_told(void **state) {
    (void)state;
    unsigned checked = 0;

    for (size_t i = 0; i < mesh_nelts(maps); i++) {
        const model_object_t *object = object_of(&maps[i]);

        for (uint32_t k = 0; k < object->count; k++) {
            checked += check_default(&maps[i], &object->fields[k]);
        }
    }
    assert_in_range(checked, 35, 200);
}

/* "number, 2 to 32" in the column of types is the range. */
static void ranges_are_as_told(void **state) {
    (void)state;
    unsigned checked = 0;

    for (size_t i = 0; i < mesh_nelts(maps); i++) {
        const model_object_t *object = object_of(&maps[i]);

        for (uint32_t k = 0; k < object->count; k++) {
            const model_field_t *field = &object->fields[k];
            unsigned long long min, max;
            char cell[256];

            if (field->type != MODEL_U32) {
                continue;
            }
            cell_of(row_of(&maps[i], field->name), 1, cell, sizeof(cell));
            if (sscanf(cell, "number, %llu to %llu", &min, &max) == 2 &&
                (min != field->min || max != field->max)) {
                fail_msg("docs/yaml.md, %s: `%s` is from %llu to %llu",
                         maps[i].page, field->name,
                         (unsigned long long)field->min,
                         (unsigned long long)field->max);
            }
            if (sscanf(cell, "number up to %llu", &max) == 1 &&
                max != field->max) {
                fail_msg("docs/yaml.md, %s: `%s` is up to %llu", maps[i].page,
                         field->name, (unsigned long long)field->max);
            }
            checked += strchr(cell, ',') != NULL;
        }
    }
    assert_in_range(checked, 4, 100);
}

/* --- what is not supported yet -------------------------------------------- */

/* What the list says of a map: from its words to the next map's. */
static const char *later_of(const map_t *map, const char **end) {
    char words[64];
    const char *at = section("## Not supported yet", end);

    snprintf(words, sizeof(words), "- %s: ", map->later);
    const char *found = strstr(at, words);
    if (found != NULL) {
        /* "- match: `a`, `b`; of paths `c`" */
        found += strlen(words);
        *end = found + strcspn(found, ";\n");
        return found;
    }
    snprintf(words, sizeof(words), "; %s", map->later);
    found = strstr(at, words);
    if (found != NULL) {
        found += strlen(words);
        *end = found + strcspn(found, ";\n");
    }
    return found;
}

static bool is_listed(const map_t *map, const char *name) {
    const char *end;
    const char *at = map->later ? later_of(map, &end) : NULL;
    char word[64];

    while (at != NULL && next_name(&at, end, word, sizeof(word))) {
        size_t len = strlen(word);
        /* "enforcing_*" means all that begin so. */
        if (strcmp(word, name) == 0 ||
            (word[len - 1] == '*' && strncmp(word, name, len - 1) == 0)) {
            return true;
        }
    }
    return false;
}

static void check_later(const map_t *map, const char *name) {
    char text[512];
    char message[128];
    fixture_t f;

    snprintf(text, sizeof(text), "%s%s: x%s", map->before, name, map->behind);
    snprintf(message, sizeof(message),
             "f.yaml:1:%zu: ", strlen(map->before) + 1);
    fixture_yaml(&f, text);
    const char *told = fixture_messages(&f);
    const char *words = strstr(told, "this field is not supported yet\n");
    if (f.errors.errors != 1 || words == NULL ||
        strncmp(told, message, strlen(message)) != 0) {
        fail_msg("%s\ngives %s", text, told);
    }
    /* By its name, in full. */
    size_t len = strlen(name);
    assert_memory_equal(words - 2 - len, name, len);
    fixture_close(&f);
}

static void what_is_for_later_is_refused_and_listed(void **state) {
    (void)state;
    unsigned count = 0;

    for (size_t i = 0; i < mesh_nelts(maps); i++) {
        const model_object_t *object = object_of(&maps[i]);

        for (uint32_t k = 0; k < object->count; k++) {
            const char *name = object->fields[k].name;

            if (object->fields[k].type != MODEL_LATER) {
                continue;
            }
            check_later(&maps[i], name);
            if (strcmp(maps[i].object, "keepalive") != 0 &&
                !is_listed(&maps[i], name)) {
                fail_msg("docs/yaml.md: `%s` of %s is not listed", name,
                         maps[i].object);
            }
            count++;
        }
    }
    assert_in_range(count, 20, 400);
}

/* What is listed is not there, and not forgotten on the page when it is. */
static void what_is_listed_is_not_there(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(maps); i++) {
        const model_object_t *object = object_of(&maps[i]);

        for (uint32_t k = 0; k < object->count; k++) {
            if (object->fields[k].type != MODEL_LATER &&
                is_listed(&maps[i], object->fields[k].name)) {
                fail_msg("docs/yaml.md: `%s` of %s is there",
                         object->fields[k].name, maps[i].object);
            }
        }
    }
}

/* Words that a field knows and does not take yet. */
static void words_for_later(void **state) {
    (void)state;
    objects_t objects = objects_of(false);
    const char *end;
    const char *list = section("## Not supported yet", &end);

    for (uint32_t i = 0; i < objects.count; i++) {
        for (uint32_t k = 0; k < objects.v[i]->count; k++) {
            const model_value_t *v = objects.v[i]->fields[k].values;

            for (; v != NULL && v->name != NULL; v++) {
                char word[64];
                snprintf(word, sizeof(word), "`%s`", v->name);
                bool listed =
                    strstr(list, word) != NULL || strstr(list, v->name) != NULL;
                if (v->value == MODEL_VALUE_LATER && !listed) {
                    fail_msg("docs/yaml.md: %s is not listed", word);
                }
            }
        }
    }
}

/* --- slips ---------------------------------------------------------------- */

/* A field with two neighbouring letters swapped is found out by its name. */
static void swapped_letters(void **state) {
    (void)state;

    for (size_t i = 0; i < mesh_nelts(maps); i++) {
        const model_object_t *object = object_of(&maps[i]);

        for (uint32_t k = 0; k < object->count; k++) {
            const char *name = object->fields[k].name;
            char slip[64], text[512], wanted[96];
            size_t len = strlen(name);
            fixture_t f;

            if (len < 5 || name[2] == name[3]) {
                continue;
            }
            snprintf(slip, sizeof(slip), "%s", name);
            slip[2] = name[3];
            slip[3] = name[2];
            snprintf(text, sizeof(text), "%s%s: x%s", maps[i].before, slip,
                     maps[i].behind);
            snprintf(wanted, sizeof(wanted),
                     "found an unknown field, expected \"%s\"\n", name);
            fixture_yaml(&f, text);
            if (strstr(fixture_messages(&f), wanted) == NULL) {
                fail_msg("%s\ngives %s", text, fixture_messages(&f));
            }
            fixture_close(&f);
        }
    }
}

/* The whole matrix, as the textbook has it. */
static uint32_t distance_of(mesh_str_t a, mesh_str_t b) {
    static uint32_t m[80][80];

    for (size_t i = 0; i <= a.len; i++) {
        for (size_t j = 0; j <= b.len; j++) {
            if (i == 0 || j == 0) {
                m[i][j] = (uint32_t)(i + j);
                continue;
            }
            uint32_t best = m[i - 1][j - 1] + (mesh_lower(a.data[i - 1]) !=
                                               mesh_lower(b.data[j - 1]));
            best = mesh_min(best, m[i - 1][j] + 1);
            best = mesh_min(best, m[i][j - 1] + 1);
            if (i > 1 && j > 1 &&
                mesh_lower(a.data[i - 1]) == mesh_lower(b.data[j - 2]) &&
                mesh_lower(a.data[i - 2]) == mesh_lower(b.data[j - 1])) {
                best = mesh_min(best, m[i - 2][j - 2] + 1);
            }
            m[i][j] = best;
        }
    }
    return m[a.len][b.len];
}

static void near_is_the_distance(void **state) {
    (void)state;
    rng_t seed = {11};
    unsigned near = 0;

    for (int round = 0; round < 60000; round++) {
        char a[70], b[70];
        size_t n = rng_next(&seed) % (round % 10 ? 12 : 67);
        size_t m = 0;

        for (size_t i = 0; i < n; i++) {
            a[i] = (char)('a' + rng_next(&seed) % 4);
        }
        /* Some edits of it, or something else. */
        for (size_t i = 0; i < n && m < 66; i++) {
            switch (rng_next(&seed) % 12) {
            case 0:
                break;
            case 1:
                b[m++] = (char)('A' + rng_next(&seed) % 4);
                b[m++] = a[i];
                break;
            case 2:
                b[m++] = i + 1 < n ? a[i + 1] : 'x';
                b[m++] = a[i];
                i++;
                break;
            default:
                b[m++] = a[i];
            }
        }
        mesh_str_t text = {n, a}, name = {m, b};
        uint32_t found = 0;
        uint32_t right = distance_of(text, name);
        uint32_t most = m <= 3 ? 1 : m <= 7 ? 2 : 3;
        bool is_near = model_near(text, name, &found);
        assert_int_equal(is_near, n <= 64 && m <= 64 && right <= most);
        if (is_near) {
            assert_int_equal(found, right);
        }
        near += is_near;
    }
    assert_in_range(near, 5000, 55000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_its_row),
        cmocka_unit_test(every_map_is_known),
        cmocka_unit_test(every_row_has_its_field),
        cmocka_unit_test(defaults_are_as_told),
        cmocka_unit_test(ranges_are_as_told),
        cmocka_unit_test(what_is_for_later_is_refused_and_listed),
        cmocka_unit_test(what_is_listed_is_not_there),
        cmocka_unit_test(words_for_later),
        cmocka_unit_test(swapped_letters),
        cmocka_unit_test(near_is_the_distance),
    };

    return cmocka_run_group_tests(tests, read_page, NULL);
}
