/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Views: what `endpoints` prints of any state gives the decisions of that
 * state when it is read again, whatever has become of it; and what is no view
 * is told with its place.
 */

#include "agent_log.h"
#include "ctl_call.h"
#include "ctl_zone.h"
#include "rng.h"
#include "temp_dir.h"
#include "text_zone.h"

#define CLUSTERS 10
#define ENDPOINTS 6 /* of each */

/* One of each way to choose, long in what is remembered. */
static const char *const options[CLUSTERS] = {
    "lb: round_robin",
    "lb: random\n    panic_threshold: 0",
    "lb: least_request",
    "lb: {policy: least_request, active_request_bias: 1.5}",
    "lb: {policy: least_request, full_scan: true}",
    "lb: {policy: peak_ewma, decay_time: 10h}",
    "lb: {policy: ring_hash, minimum_ring_size: 64}",
    "lb: {policy: ring_hash, hash_balance_factor: 120}",
    "lb: {policy: round_robin, slow_start: {window: 100h}}",
    "lb: {policy: maglev, table_size: 251}\n    subsets: {odd: {v: '1'}}",
};

static char *mesh_text(void) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);

    fprintf(out, "clusters:\n");
    for (unsigned c = 0; c < CLUSTERS; c++) {
        fprintf(out, "  c%u:\n    endpoints:\n", c);
        for (unsigned e = 0; e < ENDPOINTS; e++) {
            fprintf(out,
                    "      - {address: 127.0.%u.%u:80, weight: %u, "
                    "priority: %u, labels: {v: '%u'}}\n",
                    c, e + 1, 1 + e % 3, e >= 4, e % 2);
        }
        fprintf(out, "    %s\n", options[c]);
    }
    fprintf(out, "hosts:\n  - domains: '*'\n    routes:\n");
    for (unsigned c = 0; c < CLUSTERS; c++) {
        fprintf(out,
                "      - {match: {path: /%u}, route: c%u%s, hash_policy: "
                "[{header: k}]}\n",
                c, c, c == CLUSTERS - 1 ? "/odd" : "");
    }
    fclose(out);
    return text;
}

/* --- a state -------------------------------------------------------------- */

typedef struct {
    text_zone_t zone;
    mesh_runtime_file_t runtime;
    mesh_health_file_t health;
} state_t;

static int setup(void **state) {
    state_t *s = calloc(1, sizeof(*s));
    mesh_zone_error_t error;
    char *text = mesh_text();

    text_zone_make(&s->zone);
    text_zone_publish(&s->zone, text);
    text_zone_runtime(&s->zone, &s->runtime);
    assert_int_equal(mesh_health_make(&s->health, s->zone.dir, 64, 1, &error),
                     MESH_OK);
    free(text);
    *state = s;
    return 0;
}

static int teardown(void **state) {
    state_t *s = *state;

    mesh_runtime_close(&s->runtime);
    mesh_health_close(&s->health);
    text_zone_remove(&s->zone);
    free(s);
    return 0;
}

static void disturb_endpoint(state_t *s, ctl_zone_t *zone, rng_t *rng,
                             const mesh_cluster_view_t *view, uint32_t i) {
    const mesh_view_endpoint_t *e = &view->endpoints[i];
    uint64_t tag = mesh_endpoint_tag(zone->s, view->tag, e->endpoint);
    mesh_endpoint_slot_t *slot =
        mesh_runtime_claim_endpoint(&s->runtime.rt, e->slot, tag);
    uint64_t now = agent_now_ms();

    assert_non_null(slot);
    slot->in_flight = rng_below(rng, 9);
    slot->ejected =
        rng_one_in(rng, 4)
            ? mesh_ejected_word(now + 1000000, 1 + rng_below(rng, 3))
            : 0;
    slot->ewma = rng_one_in(rng, 5)
                     ? 0
                     : (uint64_t)((uint32_t)now - rng_below(rng, 20000)) << 32 |
                           (1 + rng_below(rng, 1000000));
    slot->since_ms = rng_one_in(rng, 4) ? 0 : 1 + rng_below(rng, (uint32_t)now);
    (void)mesh_health_set(&s->health.health, e->slot, tag, view->tag,
                          rng_one_in(rng, 5) ? 1u << rng_below(rng, 4) : 0);
}

static void disturb(state_t *s, rng_t *rng) {
    ctl_zone_t zone;

    assert_true(ctl_zone_open(&zone, s->zone.dir, 0));
    for (unsigned c = 0; c < CLUSTERS; c++) {
        char name[8];

        snprintf(name, sizeof(name), "c%u", c);
        const mesh_cluster_view_t *view =
            ctl_zone_view(&zone, mesh_str_from(name));
        mesh_cluster_slot_t *slot =
            mesh_runtime_claim_cluster(&s->runtime.rt, view->slot, view->tag);
        slot->ticket = rng_next(rng) >> rng_below(rng, 60);
        for (size_t i = 0; i < MESH_SUBSET_TICKETS; i++) {
            slot->subset_tickets[i] = rng_below(rng, 1000);
        }
        for (uint32_t i = 0; i < view->total; i++) {
            disturb_endpoint(s, &zone, rng, view, i);
        }
    }
    ctl_zone_close(&zone);
}

/* --- decisions --------------------------------------------------------------
 */

/* Requests to all clusters, by their next tickets and by others. */
static void write_requests(const char *file, rng_t *rng, unsigned count) {
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "GET http://h/%u\nk: %u\n", i % CLUSTERS,
                rng_below(rng, 100));
        if (i >= CLUSTERS) {
            fprintf(out, "--ticket -.%u\n", rng_below(rng, 100000));
        }
        fprintf(out, "\n");
    }
    fclose(out);
}

/* A cluster in which all are out has none to pick. */
static char *decisions(const char *zone, const char *const *argv) {
    capture_t c = call(zone, argv);

    if (c.code > CTL_EXIT_NO) {
        fail_msg("exit %d: %s", c.code, c.err);
    }
    char *out = strdup(c.out);
    capture_free(&c);
    return out;
}

/* Without what the clock has changed meanwhile: times that are left. */
static void same_answers(const char *a, const char *b, uint64_t seed) {
    while (*a != '\0' || *b != '\0') {
        size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");
        char *one = strndup(a, la), *other = strndup(b, lb);
        cJSON *x = cJSON_Parse(one), *y = cJSON_Parse(other);
        const cJSON *from = at(x, "endpoint"), *to = at(y, "endpoint");
        const cJSON *i, *k = at(y, "endpoints/0");

        if (!cJSON_Compare(from, to, true) && (from || to)) {
            fail_msg("seed %lu:\n%s\n%s", seed, one, other);
        }
        assert_true(cJSON_Compare(at(x, "ticket"), at(y, "ticket"), true));
        cJSON_ArrayForEach(i, at(x, "endpoints")) {
            assert_true(
                cJSON_Compare(at(i, "candidate"), at(k, "candidate"), true));
            k = k->next;
        }
        a += la + (a[la] != '\0');
        b += lb + (b[lb] != '\0');
        cJSON_Delete(x);
        cJSON_Delete(y);
        free(one);
        free(other);
    }
}

static void a_view_is_the_state_it_was_made_of(void **state) {
    state_t *s = *state;
    char view[160], requests[160];

    snprintf(view, sizeof(view), "%s/view", temp_top.path);
    snprintf(requests, sizeof(requests), "%s/requests", temp_top.path);
    for (uint64_t seed = 1; seed <= 25; seed++) {
        rng_t rng = {seed};

        disturb(s, &rng);
        write_requests(requests, &rng, 400);
        char *live = decisions(s->zone.dir,
                               words("-o", "json", "explain", "-f", requests));
        char *told = decisions(s->zone.dir, words("-o", "json", "endpoints"));
        temp_puts(view, told);
        free(told);
        disturb(s, &rng); /* what is seen now is another thing */
        char *again =
            decisions(s->zone.dir, words("-o", "json", "explain", "-f",
                                         requests, "--view", view));
        char *now = decisions(s->zone.dir,
                              words("-o", "json", "explain", "-f", requests));
        same_answers(live, again, seed);
        assert_string_not_equal(live, now);
        free(live);
        free(again);
        free(now);
    }
}

/* The same facts decide where there is no zone at all. */
static void a_view_is_for_resources_too(void **state) {
    state_t *s = *state;
    char view[160], file[160], requests[160];
    char *text = mesh_text();
    rng_t rng = {77};

    snprintf(view, sizeof(view), "%s/view", temp_top.path);
    snprintf(file, sizeof(file), "%s/mesh.yaml", temp_top.path);
    snprintf(requests, sizeof(requests), "%s/requests", temp_top.path);
    temp_puts(file, text);
    free(text);
    disturb(s, &rng);
    write_requests(requests, &rng, 400);
    char *told = decisions(s->zone.dir, words("-o", "json", "endpoints"));
    temp_puts(view, told);
    char *live =
        decisions(s->zone.dir, words("-o", "json", "explain", "-f", requests));
    char *other =
        decisions("/none", words("-o", "json", "explain", "-f", requests,
                                 "--view", view, "--resources", file));
    same_answers(live, other, 77);
    text_zone_publish(&s->zone, "{}"); /* and of a generation that is gone */
    char *old =
        decisions(s->zone.dir, words("-o", "json", "explain", "-f", requests,
                                     "--view", view, "--at", "1"));
    same_answers(live, old, 77);
    free(told);
    free(live);
    free(other);
    free(old);
}

/* --- what a view says -------------------------------------------------------
 */

static char paths[2][160];

static const char *put(const char *text) {
    snprintf(paths[0], sizeof(paths[0]), "%s/edited", temp_top.path);
    temp_puts(paths[0], text);
    return paths[0];
}

static const char *small_mesh(void) {
    snprintf(paths[1], sizeof(paths[1]), "%s/small.yaml", temp_top.path);
    temp_puts(paths[1], "clusters:\n"
                        "  a: {endpoints: [127.0.0.1:1, 127.0.0.1:2]}\n"
                        "  b: {endpoints: [127.0.0.1:3]}\n"
                        "hosts: [{domains: a, routes: [{route: a}]},\n"
                        "        {domains: b, routes: [{route: b}]}]\n");
    return paths[1];
}

static void check_view(const char *text, int code, const char *const *parts) {
    const char *mesh = small_mesh();

    expect("/none", code,
           words("explain", "GET", "http://a/", "--resources", mesh, "--view",
                 put(text)),
           parts);
}

#define VIEW(endpoints) "[{\"cluster\": \"a\", \"endpoints\": [" endpoints "]}]"
#define FIRST "{\"address\": \"127.0.0.1:1\""

static void facts_may_be_edited(void **state) {
    (void)state;
    check_view(
        VIEW(FIRST ", \"ejected\": {\"why\": \"local\", \"for_ms\": "
                   "900000}}, {\"address\": \"127.0.0.1:2\"}"),
        CTL_EXIT_OK,
        words("127.0.0.1:1  1       ejected: consecutive local failures, "
              "900.0s more",
              "routed to 127.0.0.1:2"));
    check_view(VIEW(FIRST ", \"down\": [\"check\", \"drained\"]}, {\"address\":"
                          " \"127.0.0.1:2\", \"ejected\": null}"),
               CTL_EXIT_OK,
               words("drained, unhealthy", "routed to 127.0.0.1:2"));
    check_view(VIEW(FIRST ", \"down\": [\"drained\"]}, {\"address\": "
                          "\"127.0.0.1:2\", \"down\": [\"drained\"]}"),
               CTL_EXIT_NO, words("result      no endpoint"));
    check_view("[{\"cluster\": \"a\", \"ticket\": 18446744073709551615, "
               "\"endpoints\": [" FIRST "}, {\"address\": \"127.0.0.1:2\"}]}]",
               CTL_EXIT_OK, words("ticket 18446744073709551615"));
}

static void strangers_are_told(void **state) {
    (void)state;
    check_view(VIEW(FIRST "}, {\"address\": \"127.0.0.9:1\"}"), CTL_EXIT_OK,
               words("cluster \"a\": not among its endpoints, and passed over: "
                     "127.0.0.9:1",
                     "cluster \"a\": the view says nothing of them: "
                     "127.0.0.1:2"));
    check_view("[{\"cluster\": \"x\", \"endpoints\": []}]", CTL_EXIT_OK,
               words("no such clusters, and passed over: x",
                     "nothing of cluster \"a\": as if nothing had been seen"));
    check_view("[]", CTL_EXIT_OK, words("nothing of cluster \"a\""));
}

static void what_is_no_view_is_refused(void **state) {
    static const struct {
        const char *text;
        const char *said;
    } wrong[] = {
        {"", "found the end of the file"},
        {"[", ":1:2: found the end of the file"},
        {"{}", ":1:1: found a map, expected a list of clusters"},
        {"[{}]", ":1:2: found a map, expected a map with \"cluster\" and "
                 "\"endpoints\""},
        {"[5]", ":1:2: found 5, expected a map with"},
        {"[{\"cluster\": \"a\", \"endpoints\": {}}]", ":1:2: found a map"},
        {VIEW("5"), ":1:33: found 5, expected an endpoint with an "
                    "\"address\""},
        {VIEW("{}"), "expected an endpoint with an \"address\""},
        {VIEW(FIRST "}, " FIRST "}"), "expected each endpoint once"},
        {VIEW(FIRST ", \"in_flight\": -1}"),
         "found -1, expected in_flight: a number up to 4294967295"},
        {VIEW(FIRST ", \"in_flight\": 4294967296}"), "expected in_flight"},
        {VIEW(FIRST ", \"in_flight\": \"5x\"}"), "expected in_flight"},
        {VIEW(FIRST ", \"in_for_ms\": 1.5}"), "expected in_for_ms"},
        {VIEW(FIRST ", \"down\": \"check\"}"), "expected down: a list"},
        {VIEW(FIRST ",\n\"down\": [\"x\"]}"),
         ":2:10: found \"x\", expected registry, eds, check or drained"},
        {VIEW(FIRST ", \"ejected\": 5}"), "expected ejected: {"},
        {VIEW(FIRST ", \"ejected\": {\"why\": \"x\"}}"),
         "expected 5xx, gateway, local or unknown"},
        {VIEW(FIRST ", \"ejected\": {\"for_ms\": true}}"), "expected for_ms"},
        {VIEW(FIRST ", \"ewma\": 5}"), "expected ewma: {"},
        {VIEW(FIRST ", \"ewma\": {\"us\": 4294967296}}"), "expected us"},
        {VIEW(FIRST ", \"ewma\": {\"age_ms\": 2147483648}}"),
         "expected age_ms"},
        {"[{\"cluster\": \"a\", \"endpoints\": [], \"ticket\": -1}]",
         "expected ticket"},
        {"[{\"cluster\": \"a\", \"endpoints\": [], \"subset_tickets\": [1, 2, "
         "3, 4, 5]}]",
         "a list of 4 numbers"},
        {"[{\"cluster\": \"a\", \"endpoints\": [], \"subset_tickets\": 7}]",
         "a list of 4 numbers"},
        {"[{\"cluster\": \"a\", \"endpoints\": []}, {\"cluster\": \"a\", "
         "\"endpoints\": []}]",
         "expected each cluster once"},
    };
    (void)state;

    for (size_t i = 0; i < mesh_nelts(wrong); i++) {
        check_view(wrong[i].text, CTL_EXIT_UNREADABLE, words(wrong[i].said));
    }
    expect("/none", CTL_EXIT_UNREADABLE,
           words("explain", "GET", "http://a/", "--resources", small_mesh(),
                 "--view", "/none/view"),
           words("/none/view: No such file"));
    expect(
        "/none", CTL_EXIT_USAGE,
        words("explain", "-f", "-", "--resources", small_mesh(), "--view", "-"),
        words("standard input is either requests or a view"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_view_is_the_state_it_was_made_of),
        TEST(a_view_is_for_resources_too),
        cmocka_unit_test(facts_may_be_edited),
        cmocka_unit_test(strangers_are_told),
        cmocka_unit_test(what_is_no_view_is_refused),
    };
    return cmocka_run_group_tests(tests, temp_top_make, temp_top_remove);
}
