/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl status [resources|names]: the published root, its sources, the
 * workers, what became of each part, or of each of its resources, and how the
 * names fare that sources ask for.
 */

#include <stdio.h>

#include "agent_log.h"
#include "ctl_args.h"
#include "ctl_client.h"
#include "ctl_table.h"
#include "ctl_workers.h"
#include "ctl_zone.h"
#include "source.h"

static const char *worker_state(const mesh_runtime_file_t *file, uint32_t i) {
    uint32_t state = mesh_load_acquire(&file->rt.workers[i].state);

    if (state == MESH_WORKER_FREE) {
        return NULL;
    }
    if (!ctl_worker_alive(file, i)) {
        return "dead";
    }
    return state == MESH_WORKER_LIVE ? "live" : "exiting";
}

/*
 * Unix time of the worker's last adoption, which it tells by the monotonic
 * clock; 0: none, or nothing that can be.
 */
static uint64_t adopted_ms(const ctl_zone_t *zone,
                           const mesh_worker_slot_t *worker) {
    uint64_t ms = mesh_load_relaxed(&worker->adopted_ms);
    uint64_t now = agent_unix_ms();

    if (ms == 0 || ms > zone->now_ms || zone->now_ms - ms > now) {
        return 0;
    }
    return now - (zone->now_ms - ms);
}

static cJSON *workers_json(const ctl_zone_t *zone) {
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0;
         zone->has_runtime && i < zone->runtime.rt.sizes.workers; i++) {
        const mesh_worker_slot_t *w = &zone->runtime.rt.workers[i];
        const char *state = worker_state(&zone->runtime, i);
        if (state == NULL) {
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "slot", i);
        cJSON_AddNumberToObject(item, "pid", mesh_load_relaxed(&w->pid));
        cJSON_AddStringToObject(item, "state", state);
        ctl_json_u64(item, "generation", mesh_load_relaxed(&w->generation));
        ctl_json_u64(item, "adoptions", mesh_load_relaxed(&w->adoptions));
        ctl_json_u64(item, "adopted_ms", adopted_ms(zone, w));
        cJSON_AddNumberToObject(item, "refused",
                                mesh_load_relaxed(&w->refused));
        cJSON_AddNumberToObject(item, "reads_oldest",
                                mesh_load_relaxed(&w->oldest));
        cJSON_AddNumberToObject(item, "reads_newest",
                                mesh_load_relaxed(&w->newest));
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static uint32_t map_count(const ctl_zone_t *zone, mesh_ref_t map) {
    const mesh_rec_map_t *rec = mesh_get(zone->s, map);

    return rec ? rec->count : 0;
}

static cJSON *sources_json(const ctl_zone_t *zone) {
    const mesh_rec_sources_t *sources =
        mesh_get(zone->s, zone->current->sources);
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; sources && i < sources->count; i++) {
        cJSON *item = cJSON_CreateObject();
        const mesh_source_version_t *v = &sources->v[i];
        cJSON_AddStringToObject(item, "name",
                                ctl_text(zone, mesh_get_str(zone->s, v->name)));
        cJSON_AddStringToObject(
            item, "version", ctl_text(zone, mesh_get_str(zone->s, v->version)));
        ctl_json_u64(item, "time_ms", v->time_ms);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static cJSON *status_json(const ctl_zone_t *zone) {
    const mesh_rec_root_t *root = zone->current;
    const mesh_rec_policy_t *policy = mesh_get(zone->s, root->policy);
    cJSON *json = cJSON_CreateObject();
    cJSON *snapshot = cJSON_AddObjectToObject(json, "snapshot");

    cJSON_AddStringToObject(json, "zone", zone->dir);
    ctl_json_u64(json, "generation", root->generation);
    ctl_json_u64(json, "time_ms", root->time_ms);
    cJSON_AddStringToObject(
        json, "reason", ctl_text(zone, mesh_get_str(zone->s, root->reason)));
    cJSON_AddBoolToObject(json, "pinned", root->flags & MESH_ROOT_PINNED);
    cJSON_AddBoolToObject(json, "rolled_back",
                          root->flags & MESH_ROOT_ROLLED_BACK);
    cJSON_AddBoolToObject(json, "cold", root->flags & MESH_ROOT_COLD);
    cJSON_AddNumberToObject(json, "clusters",
                            map_count(zone, policy->clusters));
    cJSON_AddNumberToObject(snapshot, "file", mesh_word_file(zone->word));
    ctl_json_u64(snapshot, "bytes", zone->s->verified);
    ctl_json_u64(snapshot, "capacity", zone->s->capacity);
    cJSON_AddItemToObject(json, "sources", sources_json(zone));
    cJSON_AddItemToObject(json, "workers", workers_json(zone));
    return json;
}

static bool asks_for(const ctl_args_t *args, const char *what) {
    return args->argc != 0 && strcmp(args->argv[0], what) == 0;
}

/* What the agent says of its parts, or null: it is not there. */
static cJSON *agent_status(const ctl_args_t *args) {
    ctl_request_t request = {.command = CTL_STATUS,
                             .resources = asks_for(args, "resources"),
                             .names = asks_for(args, "names")};
    cJSON *answer =
        ctl_client_call(ctl_client_path(args), &request, CTL_TIMEOUT_MS);

    return answer ? answer : cJSON_CreateNull();
}

static const char *text_of(const cJSON *item, const char *key) {
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, key));

    return text ? text : "";
}

/* "3s ago", or nothing. */
static void add_age(const cJSON *item, const char *key, const char *without,
                    ctl_table_t *table) {
    char age[64];
    uint64_t ms = 0;

    if (!ctl_json_get_u64(item, key, &ms) || ms == 0) {
        ctl_table_add(table, "%s", without);
        return;
    }
    ctl_age(ms, age, sizeof(age));
    ctl_table_add(table, "%s", age);
}

/*
 * The first line, how many there are behind it, and how the source fares if
 * it says so.
 */
static void add_verdict(const cJSON *part, ctl_table_t *table) {
    const cJSON *lines = cJSON_GetObjectItemCaseSensitive(part, "verdict");
    const cJSON *line = cJSON_GetArrayItem(lines, 0);
    const char *note =
        text_of(cJSON_GetObjectItemCaseSensitive(part, "source"), "text");
    int more = cJSON_GetArraySize(lines) - 1;
    char count[32] = "";

    if (more > 0) {
        snprintf(count, sizeof(count), " (and %d more)", more);
    }
    if (cJSON_IsString(line)) {
        ctl_table_add(table, "%s%s%s%s", line->valuestring, count,
                      note[0] ? "; " : "", note);
    } else {
        ctl_table_add(table, "%s", note);
    }
}

static void print_part(const cJSON *part, ctl_table_t *table) {
    const cJSON *good = cJSON_GetObjectItemCaseSensitive(part, "last_good");

    ctl_table_add(table, "%s", text_of(part, "name"));
    ctl_table_add(table, "%s", text_of(part, "state"));
    add_age(part, "verdict_ms", "", table);
    if (cJSON_IsTrue(good)) {
        add_age(part, "good_ms", "yes", table);
    } else {
        ctl_table_add(table, "%s", "no");
    }
    add_verdict(part, table);
}

static void print_resource(const cJSON *part, const cJSON *resource,
                           ctl_table_t *table) {
    const char *verdict = text_of(resource, "verdict");

    ctl_table_add(table, "%s", text_of(part, "name"));
    ctl_table_add(table, "%s", text_of(resource, "resource"));
    ctl_table_add(table, "%.12s", text_of(resource, "version"));
    add_age(resource, "time_ms", "", table);
    ctl_table_add(table, "%s", verdict);
}

/* "a,b and 3 more" */
static void add_sets(const cJSON *name, ctl_table_t *table) {
    uint64_t more = 0;
    char text[256] = "";
    const cJSON *set;
    size_t used = 0;

    (void)ctl_json_get_u64(name, "sets_left_out", &more);
    cJSON_ArrayForEach(set, cJSON_GetObjectItemCaseSensitive(name, "sets")) {
        const char *word = cJSON_IsString(set) ? set->valuestring : "?";

        if (used + strlen(word) + 2 > sizeof(text)) {
            more++;
            continue;
        }
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
                                 used ? "," : "", word);
    }
    if (more) {
        ctl_table_add(table, "%s and %llu more", text,
                      (unsigned long long)more);
    } else {
        ctl_table_add(table, "%s", text);
    }
}

static void print_name(const cJSON *part, const cJSON *name,
                       ctl_table_t *table) {
    uint64_t addresses = 0, next = 0;
    char age[SOURCE_AGE_SIZE];

    (void)ctl_json_get_u64(name, "addresses", &addresses);
    ctl_table_add(table, "%s", text_of(part, "name"));
    ctl_table_add(table, "%s", text_of(name, "name"));
    ctl_table_add(table, "%s", text_of(name, "type"));
    add_sets(name, table);
    ctl_table_add(table, "%llu", (unsigned long long)addresses);
    if (ctl_json_get_u64(name, "next_in_ms", &next)) {
        ctl_table_add(table, "in %s", source_age(next, age));
    } else {
        ctl_table_add(table, "%s", "");
    }
    ctl_table_add(table, "%s", text_of(name, "state"));
    add_age(name, "since_ms", "", table);
    ctl_table_add(table, "%s", text_of(name, "verdict"));
}

/* The list `key` of each part, by `print`, and how many were left out. */
static void print_lists(const cJSON *agent, const char *key,
                        const char *const *head,
                        void (*print)(const cJSON *part, const cJSON *item,
                                      ctl_table_t *table)) {
    ctl_table_t *table = ctl_table_new(head);
    const cJSON *part, *item;
    uint64_t more, left_out = 0;
    char left_out_key[64];

    snprintf(left_out_key, sizeof(left_out_key), "%s_left_out", key);
    cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(agent, "parts")) {
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(part, key)) {
            print(part, item, table);
        }
        if (ctl_json_get_u64(part, left_out_key, &more)) {
            left_out += more;
        }
    }
    printf("\n");
    ctl_table_print(table, stdout);
    if (left_out) {
        printf("and %llu more\n", (unsigned long long)left_out);
    }
}

static void print_asked(const ctl_args_t *args, const cJSON *agent) {
    static const char *const resources[] = {"PART",  "RESOURCE", "VERSION",
                                            "TAKEN", "VERDICT",  NULL};
    static const char *const names[] = {"PART",      "NAME", "TYPE",  "SETS",
                                        "ADDRESSES", "NEXT", "STATE", "SINCE",
                                        "VERDICT",   NULL};

    if (asks_for(args, "resources")) {
        print_lists(agent, "resources", resources, print_resource);
    } else if (asks_for(args, "names")) {
        print_lists(agent, "names", names, print_name);
    }
}

static void print_parts(const ctl_args_t *args, cJSON *agent) {
    static const char *const head[] = {"PART",      "STATE",   "SINCE",
                                       "LAST GOOD", "VERDICT", NULL};
    const cJSON *parts = cJSON_GetObjectItemCaseSensitive(agent, "parts");
    const cJSON *part;

    if (!cJSON_IsObject(agent)) {
        printf("\nno agent answers; workers go on with what is published\n");
        return;
    }
    if (!ctl_answer_ok(agent)) {
        printf("\nthe agent refuses: %s\n", text_of(agent, "error"));
        return;
    }
    ctl_json_plain(agent);
    ctl_table_t *table = ctl_table_new(head);
    cJSON_ArrayForEach(part, parts) {
        print_part(part, table);
    }
    printf("\n");
    ctl_table_print(table, stdout);
    print_asked(args, agent);
    const cJSON *line;
    cJSON_ArrayForEach(
        line, cJSON_GetObjectItemCaseSensitive(agent, "configuration")) {
        printf("%s\n", cJSON_IsString(line) ? line->valuestring : "?");
    }
    const cJSON *drained = cJSON_GetObjectItemCaseSensitive(agent, "drained");
    if (cJSON_IsNumber(drained) && drained->valuedouble > 0) {
        printf("drained endpoints: %.0f; meshctl endpoints shows them\n",
               drained->valuedouble);
    }
    if (text_of(agent, "held_by")[0]) {
        printf("publishing is held by %s: it is in the published snapshot, "
               "its content now is refused, and its last good is not known\n",
               text_of(agent, "held_by"));
    }
    if (text_of(agent, "held")[0]) {
        printf("publishing is held: %s\n", text_of(agent, "held"));
    }
}

static void print_json(const ctl_zone_t *zone, cJSON *agent) {
    cJSON *json = status_json(zone);

    cJSON_AddItemToObject(json, "agent", agent);
    ctl_json_print(json, stdout);
}

static void print_root(const ctl_zone_t *zone) {
    static const char *const source_head[] = {"SOURCE", "VERSION", "TAKEN",
                                              NULL};
    const mesh_rec_root_t *root = zone->current;
    char age[64];

    ctl_age(root->time_ms, age, sizeof(age));
    printf("zone        %s\n", zone->dir);
    printf("generation  %llu, %s%s%s%s\n", (unsigned long long)root->generation,
           age, root->flags & MESH_ROOT_PINNED ? ", pinned" : "",
           root->flags & MESH_ROOT_ROLLED_BACK ? ", rolled back" : "",
           root->flags & MESH_ROOT_COLD ? ", from the last-good copy" : "");
    printf("reason      %s\n",
           ctl_text(zone, mesh_get_str(zone->s, root->reason)));
    printf("snapshot    file %u, %llu of %llu bytes\n\n",
           mesh_word_file(zone->word), (unsigned long long)zone->s->verified,
           (unsigned long long)zone->s->capacity);

    const mesh_rec_sources_t *sources = mesh_get(zone->s, root->sources);
    ctl_table_t *table = ctl_table_new(source_head);
    for (uint32_t i = 0; sources && i < sources->count; i++) {
        /* meshctl compile takes files without an agent that tells when. */
        if (sources->v[i].time_ms != 0) {
            ctl_age(sources->v[i].time_ms, age, sizeof(age));
        } else {
            age[0] = '\0';
        }
        ctl_table_add(
            table, "%s",
            ctl_text(zone, mesh_get_str(zone->s, sources->v[i].name)));
        ctl_table_add(
            table, "%.12s",
            ctl_text(zone, mesh_get_str(zone->s, sources->v[i].version)));
        ctl_table_add(table, "%s", age);
    }
    ctl_table_print(table, stdout);
    if (sources && sources->count >= MESH_SOURCES_MAX) {
        printf("the newest %u; all parts are below\n", sources->count);
    }
    printf("\n");
}

static void print_workers(const ctl_zone_t *zone) {
    static const char *const head[] = {"WORKER",     "PID",     "STATE",
                                       "GENERATION", "ADOPTED", "ADOPTIONS",
                                       "REFUSED",    NULL};
    ctl_table_t *table = ctl_table_new(head);

    for (uint32_t i = 0;
         zone->has_runtime && i < zone->runtime.rt.sizes.workers; i++) {
        const mesh_worker_slot_t *w = &zone->runtime.rt.workers[i];
        const char *state = worker_state(&zone->runtime, i);
        if (state != NULL) {
            ctl_table_add(table, "%u", i);
            ctl_table_add(table, "%u", mesh_load_relaxed(&w->pid));
            ctl_table_add(table, "%s", state);
            ctl_table_add(
                table, "%llu",
                (unsigned long long)mesh_load_relaxed(&w->generation));
            uint64_t adopted = adopted_ms(zone, w);
            char age[64] = "";
            if (adopted != 0) {
                ctl_age(adopted, age, sizeof(age));
            }
            ctl_table_add(table, "%s", age);
            ctl_table_add(table, "%llu",
                          (unsigned long long)mesh_load_relaxed(&w->adoptions));
            ctl_table_add(table, "%u", mesh_load_relaxed(&w->refused));
        }
    }
    ctl_table_print(table, stdout);
}

/* No snapshot: then the agent may know why. */
static int without_zone(const ctl_args_t *args) {
    cJSON *agent = agent_status(args);
    bool answered = cJSON_IsObject(agent);

    if (args->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "zone", args->zone);
        ctl_json_u64(json, "generation", 0);
        cJSON_AddArrayToObject(json, "workers");
        cJSON_AddItemToObject(json, "agent", agent);
        ctl_json_print(json, stdout);
    } else if (answered) {
        print_parts(args, agent);
    } else {
        fprintf(stderr, "meshctl: no agent answers there either: is it "
                        "running, and is this its zone?\n");
    }
    if (!args->json) {
        cJSON_Delete(agent);
    }
    return answered ? CTL_EXIT_OK : CTL_EXIT_UNREADABLE;
}

int ctl_status(const ctl_args_t *args) {
    ctl_zone_t zone;

    if (args->argc && !asks_for(args, "resources") &&
        !asks_for(args, "names")) {
        fprintf(stderr,
                "meshctl: no status of \"%s\"; there are resources and names\n",
                args->argv[0]);
        return CTL_EXIT_USAGE;
    }

    if (!ctl_zone_open(&zone, args->zone, 0)) {
        return without_zone(args);
    }
    cJSON *agent = agent_status(args);
    if (args->json) {
        print_json(&zone, agent);
    } else {
        print_root(&zone);
        print_workers(&zone);
        print_parts(args, agent);
        cJSON_Delete(agent);
    }
    ctl_zone_close(&zone);
    return CTL_EXIT_OK;
}
