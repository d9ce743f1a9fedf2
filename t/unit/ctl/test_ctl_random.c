/* SPDX-License-Identifier: Apache-2.0 */

/*
 * explain with a random value and with other values of runtime keys: what
 * they decide is what Envoy says of them, and what a mesh with those values
 * would decide.
 */

#include "ctl_call.h"
#include "ctl_dump.h"
#include "ctl_share.h"
#include "model_random.h"
#include "temp_dir.h"
#include "text_zone.h"

static const char mesh[] =
    "clusters:\n"
    "  a: {endpoints: [127.0.0.1:1]}\n"
    "  b: {endpoints: [127.0.0.1:2]}\n"
    "  c: {endpoints: [127.0.0.1:3]}\n"
    "hosts:\n"
    "  - domains: '*'\n"
    "    routes:\n"
    "      - {match: {path: /p, percentage: {value: 10, runtime_key: k}},\n"
    "         route: a}\n"
    "      - {match: {path: /p, percentage: 0.5}, route: b}\n"
    "      - {match: {path: /p, percentage: 33.3333}, route: c}\n"
    "      - route: [{cluster: a, weight: 3}, {cluster: b, weight: 0},\n"
    "                {cluster: c, weight: 4}]\n"
    "        mirror: [a, {cluster: b, percentage: {value: 7, runtime_key: m}}]"
    "\n"
    "runtime: {m: 25}\n";

static char path[128];

static const char *mesh_file(void) {
    snprintf(path, sizeof(path), "%s/mesh.yaml", temp_top.path);
    temp_puts(path, mesh);
    return path;
}

/* --- a random value ------------------------------------------------------- */

/* Route and cluster for a value: the table of Envoy's documents. */
static const char *wanted_route(uint64_t n, const char **cluster) {
    *cluster = n % 100 < 10           ? "a"
               : n % 10000 < 50       ? "b"
               : n % 1000000 < 333333 ? "c"
               : n % 7 < 3            ? "a"
                                      : "c";
    return n % 100 < 10           ? "*/0"
           : n % 10000 < 50       ? "*/1"
           : n % 1000000 < 333333 ? "*/2"
                                  : "*/3";
}

static void check_value(const cJSON *json, uint64_t n) {
    const char *cluster;
    const char *route = wanted_route(n, &cluster);

    expect_text(json, "route", route);
    expect_text(json, "cluster", cluster);
    expect_number(json, "random/value", (double)n);
    if (strcmp(route, "*/3") == 0) {
        expect_number(json, "random/split", (double)(n % 7));
        expect_number(json, "random/of", 7);
        assert_true(cJSON_IsTrue(at(json, "mirror/0/sent")));
        assert_int_equal(cJSON_IsTrue(at(json, "mirror/1/sent")), n % 100 < 25);
    }
}

/* Each request of a file has its own; the command line's is for the rest. */
static void values_decide_as_envoy_says(void **state) {
    enum { COUNT = 4000 };
    char file[160];
    static uint64_t values[COUNT];
    uint64_t random = 9;
    unsigned seen[4] = {0};
    (void)state;

    snprintf(file, sizeof(file), "%s/requests", temp_top.path);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    for (unsigned i = 0; i < COUNT; i++) {
        random = mesh_mix64(random + i);
        values[i] = i % 4 == 0 ? i / 4 : i % 4 == 1 ? 77 : random >> 20;
        fprintf(out, "GET http://h/p\n");
        if (i % 4 != 1) {
            fprintf(out, "--random %llu\n", (unsigned long long)values[i]);
        }
        fprintf(out, "\n");
    }
    fclose(out);
    capture_t c =
        call("/none", words("-o", "json", "explain", "-f", file, "--resources",
                            mesh_file(), "--random", "77"));
    assert_int_equal(c.code, CTL_EXIT_OK);
    char *save = NULL, *line = strtok_r(c.out, "\n", &save);
    for (unsigned i = 0; i < COUNT; i++) {
        cJSON *json = cJSON_Parse(line);

        check_value(json, values[i]);
        seen[at(json, "route")->valuestring[2] - '0']++;
        cJSON_Delete(json);
        line = strtok_r(NULL, "\n", &save);
    }
    assert_null(line);
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
    capture_free(&c);
}

/* What a request says itself outdoes the command line. */
static void a_request_draws_its_own_way(void **state) {
    static const char text[] = "GET http://h/p\n--random 5\n\n"
                               "GET http://h/p\n\n"
                               "GET http://h/p\n--random 5\n--ticket 0.0\n";
    char file[160];
    (void)state;

    snprintf(file, sizeof(file), "%s/requests", temp_top.path);
    temp_puts(file, text);
    capture_t c =
        call("/none", words("-o", "json", "explain", "-f", file, "--resources",
                            mesh_file(), "--ticket", "7.7.7"));
    assert_int_equal(c.code, CTL_EXIT_USAGE);
    char *second = strchr(c.out, '\n') + 1, *third = strchr(second, '\n') + 1;
    assert_non_null(strstr(c.out, "\"random\":{\"value\":5}"));
    assert_true(strstr(c.out, "\"random\"") < second);
    assert_null(strstr(second, "\"random\""));
    assert_true(strstr(second, "\"share\":7") < third);
    assert_non_null(strstr(third, "a ticket and a random value"));
    capture_free(&c);
}

/* Lists of routes say it, too. */
static void keys_are_shown(void **state) {
    (void)state;
    expect("/none", CTL_EXIT_OK, words("routes", "--resources", mesh_file()),
           words("prefix /p, percentage 10 % (runtime key k, not set)",
                 "prefix /p, percentage 0.50 %",
                 "prefix /p, percentage 33.3333 %"));
    expect("/none", CTL_EXIT_OK,
           words("dump", "routes", "--resources", mesh_file()),
           words("\"runtime_key\": \"k\"", "\"runtime\": {", "\"m\": 25"));
    cJSON *json = json_of("/none", CTL_EXIT_OK,
                          words("dump", "--resources", mesh_file()));
    expect_number(json, "runtime/m", 25);
    expect_number(json,
                  "route_tables/default/domains/*/routes/3/mirror/1/"
                  "percentage/value",
                  25);
    expect_number(json,
                  "route_tables/default/domains/*/routes/3/mirror/1/"
                  "percentage/default",
                  7);
    cJSON_Delete(json);
}

static void what_a_value_decided_is_told(void **state) {
    (void)state;
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://h/p", "--resources", mesh_file(),
                 "--random", "1075"),
           words("*/0    random value 75 of 100 is not in 10 % (runtime key k, "
                 "not set)",
                 "*/1    random value 1075 of 10000 is not in 0.50 %",
                 "*/2    matches: random value 1075 of 1000000 is in 33.3333 "
                 "%"));
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://h/", "--resources", mesh_file(),
                 "--random", "1075"),
           words("a  3 of 7", "->  c  4 of 7", "by random value 4 of 7",
                 "\"sent\":false"));
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://h/p", "--resources", mesh_file(),
                 "--ticket", "0.0.0"),
           words("point", "is not below 10 % (runtime key k, not set)"));
}

static void a_value_and_a_ticket_are_too_much(void **state) {
    static const char *const wrong[] = {"-1", "", "x", "1.5",
                                        "18446744073709551616"};
    (void)state;
    expect("/none", CTL_EXIT_USAGE,
           words("explain", "GET", "http://h/", "--resources", mesh_file(),
                 "--random", "1", "--ticket", "1.1"),
           words("a ticket and a random value"));
    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        expect("/none", CTL_EXIT_USAGE,
               words("explain", "GET", "http://h/", "--resources", mesh_file(),
                     "--random", wrong[i]),
               words("is not a value for --random N"));
    }
}

/* --- other values of the runtime ------------------------------------------ */

/* The last one of a key, and nothing is said of the others. */
static void the_last_value_of_a_key_counts(void **state) {
    (void)state;
    capture_t c =
        call("/none",
             words("explain", "GET", "http://h/p", "--resources", mesh_file(),
                   "--random", "75", "--runtime", "k=0", "--runtime", "k=76"));
    assert_non_null(strstr(c.out, "is in 76 % (runtime key k, default 10 %)"));
    assert_string_equal(c.err, "");
    capture_free(&c);
}

static void other_values_decide(void **state) {
    (void)state;
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://h/p", "--resources", mesh_file(),
                 "--random", "75", "--runtime", "k=0", "--runtime", "k=76"),
           words("*/0    matches: random value 75 of 100 is in 76 % (runtime "
                 "key k, default 10 %)"));
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://h/p", "--resources", mesh_file(),
                 "--random", "75", "--runtime", "k=0.76%"),
           words("*/0    matches: random value 75 of 10000 is in 0.76 %"));
    expect("/none", CTL_EXIT_OK,
           words("explain", "GET", "http://h/", "--resources", mesh_file(),
                 "--random", "75", "--runtime", "m=76", "--runtime", "who=1"),
           words("{\"value\":76,\"runtime_key\":\"m\",\"default\":7,\"set\":"
                 "true},\"sent\":true",
                 "meshctl: no percentage has the runtime key \"who\""));
}

static void values_that_are_none(void **state) {
    static const char *const wrong[] = {
        "k",     "=5",        "k=",    "k=101", "k=-1",
        "k=1e1", "k=1.00000", "a b=5", "k=5 "};
    (void)state;
    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        expect("/none", CTL_EXIT_USAGE,
               words("explain", "GET", "http://h/", "--resources", mesh_file(),
                     "--runtime", wrong[i]),
               words("is not a value for --runtime KEY=PERCENTAGE"));
    }
}

static cJSON *dump_of(ctl_zone_t *zone) {
    cJSON *json = ctl_dump_json(zone, false, true);

    cJSON_DeleteItemFromObject(json, "generation");
    cJSON_DeleteItemFromObject(json, "runtime"); /* told, not asked for */
    return json;
}

/* The mesh with that value, and the same as it stands with it put on top. */
static void check_override(const text_zone_t *f, model_part_t *part,
                           arena_t *arena, rng_t *rng) {
    uint32_t at = rng_below(rng, part->nruntime + 1);
    char text[64];
    ctl_args_t args = {.nruntime = 1, .runtime = {text}};
    ctl_zone_t zone;
    uint32_t ppm = rng_below(rng, 101);

    if (at == part->nruntime) { /* a key that has no value yet */
        model_runtime_t *more = arena_alloc(arena, (at + 1) * sizeof(*more));
        if (at != 0) {
            memcpy(more, part->runtime, at * sizeof(*more));
        }
        more[at].name =
            mesh_str_from(arena_printf(arena, "share.=%u", rng_below(rng, 8)));
        for (uint32_t i = 0; i < at; i++) {
            if (mesh_str_eq(more[i].name, more[at].name)) {
                return;
            }
        }
        part->runtime = more;
    }
    text_zone_publish_part(f, part);
    snprintf(text, sizeof(text), "%.*s=%u", (int)part->runtime[at].name.len,
             part->runtime[at].name.data, ppm);
    assert_true(ctl_zone_open(&zone, f->dir, 0));
    assert_true(ctl_share_override(&zone, &args));
    cJSON *on_top = dump_of(&zone);
    ctl_zone_close(&zone);

    part->runtime[at].share =
        (model_share_t){.set = true, .ppm = ppm * 10000, .denominator = 100};
    part->nruntime = mesh_max(part->nruntime, at + 1);
    part->version = mesh_str_from(arena_printf(arena, "%p", (void *)on_top));
    text_zone_publish_part(f, part);
    assert_true(ctl_zone_open(&zone, f->dir, 0));
    cJSON *inside = dump_of(&zone);
    ctl_zone_close(&zone);
    if (!cJSON_Compare(on_top, inside, true)) {
        print_message("%s\n%s\n", cJSON_Print(on_top), cJSON_Print(inside));
        fail_msg("with %s", text);
    }
    cJSON_Delete(on_top);
    cJSON_Delete(inside);
}

static void on_top_is_as_good_as_inside(void **state) {
    const model_random_size_t size = {4, 4, 3, 6, NULL, false, true};
    (void)state;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        rng_t rng = {seed};
        arena_t *arena = arena_new();
        text_zone_t f;
        model_part_t *part = model_random_part(arena, &rng, &size);

        text_zone_make(&f);
        check_override(&f, part, arena, &rng);
        text_zone_remove(&f);
        arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_decide_as_envoy_says),
        cmocka_unit_test(a_request_draws_its_own_way),
        cmocka_unit_test(keys_are_shown),
        cmocka_unit_test(what_a_value_decided_is_told),
        cmocka_unit_test(a_value_and_a_ticket_are_too_much),
        cmocka_unit_test(the_last_value_of_a_key_counts),
        cmocka_unit_test(other_values_decide),
        cmocka_unit_test(values_that_are_none),
        cmocka_unit_test(on_top_is_as_good_as_inside),
    };
    return cmocka_run_group_tests(tests, temp_top_make, temp_top_remove);
}
