/* SPDX-License-Identifier: Apache-2.0 */

/*
 * meshctl compile: what mesh files become, and with --into a zone's directory
 * that nginx serves without an agent.
 */

#include <stdio.h>

#include "agent_log.h"
#include "agent_publish.h"
#include "ctl_compiled.h"
#include "ctl_table.h"

typedef struct {
    uint64_t clusters;
    uint64_t endpoints;
    uint64_t names; /* endpoint sets that only an agent can resolve */
    uint64_t hosts;
    uint64_t routes;
    uint64_t bytes;
    uint64_t generation; /* 0: only in memory */
    bool unchanged;
    mesh_digest_t digest;
} compiled_t;

static void count_tables(const model_part_t *part, compiled_t *out) {
    for (uint32_t i = 0; i < part->ntables; i++) {
        const model_route_table_t *table = &part->tables[i];

        out->hosts += table->nvhosts;
        for (uint32_t j = 0; j < table->nvhosts; j++) {
            out->routes += table->vhosts[j].nroutes;
        }
    }
}

static void count(const ctl_load_t *load, compiled_t *out) {
    for (uint32_t i = 0; i < load->nparts; i++) {
        const model_part_t *part = load->parts[i];

        out->clusters += part->nclusters;
        out->names += part->nnamed;
        for (uint32_t j = 0; j < part->nsets; j++) {
            out->endpoints += part->sets[j].count;
        }
        count_tables(part, out);
    }
}

static const char *digest_text(const mesh_digest_t *digest, char text[33]) {
    const uint8_t *bytes = (const uint8_t *)digest;

    for (size_t i = 0; i < 16; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    return text;
}

static void print_json(const compiled_t *out) {
    cJSON *json = cJSON_CreateObject();
    char digest[33];

    ctl_json_u64(json, "clusters", out->clusters);
    ctl_json_u64(json, "endpoints", out->endpoints);
    ctl_json_u64(json, "names", out->names);
    ctl_json_u64(json, "hosts", out->hosts);
    ctl_json_u64(json, "routes", out->routes);
    ctl_json_u64(json, "bytes", out->bytes);
    cJSON_AddStringToObject(json, "digest", digest_text(&out->digest, digest));
    if (out->generation != 0) {
        ctl_json_u64(json, "generation", out->generation);
        cJSON_AddBoolToObject(json, "changed", !out->unchanged);
    }
    ctl_json_print(json, stdout);
}

static void print_text(const compiled_t *out) {
    char digest[33];

    printf("clusters    %llu\nendpoints   %llu\nhosts       %llu\n"
           "routes      %llu\nbytes       %llu\ndigest      %s\n",
           (unsigned long long)out->clusters,
           (unsigned long long)out->endpoints, (unsigned long long)out->hosts,
           (unsigned long long)out->routes, (unsigned long long)out->bytes,
           digest_text(&out->digest, digest));
    if (out->generation != 0) {
        printf("generation  %llu%s\n", (unsigned long long)out->generation,
               out->unchanged ? ", which was there already" : "");
    }
}

static int compile_in_memory(const ctl_load_t *load, arena_t *arena,
                             compiled_t *out) {
    ctl_zone_t zone;

    if (!ctl_zone_compile(&zone, arena, load)) {
        return CTL_EXIT_NO;
    }
    out->bytes = zone.s->verified;
    out->digest = zone.root->digest;
    ctl_zone_close(&zone);
    return CTL_EXIT_OK;
}

/* A zone of which an agent is the writer is its own. */
static int publish(const ctl_load_t *load, const char *dir, compiled_t *out) {
    publish_time_t now = {agent_unix_ms(), agent_now_ms()};
    publisher_options_t options = {.dir = dir};
    publish_request_t request = {.parts = load->parts,
                                 .nparts = load->nparts,
                                 .reason = "meshctl compile",
                                 .now = now};
    char error[PUBLISH_TEXT_MAX];
    publish_result_t result;
    const mesh_snapshot_t *s;
    mesh_status_t status;

    publisher_t *publisher = publisher_open(&options, now, &status, error);
    if (publisher == NULL) {
        fprintf(stderr, "meshctl: %s\n", error);
        return CTL_EXIT_UNREADABLE;
    }
    publish_outcome_e outcome = publisher_publish(publisher, &request, &result);
    if (outcome == PUBLISH_REFUSED) {
        fprintf(stderr, "meshctl: %s\n", result.text);
        publisher_close(publisher, now);
        return CTL_EXIT_NO;
    }
    out->generation = result.generation;
    out->unchanged = outcome == PUBLISH_UNCHANGED;
    out->digest = publisher_root(publisher, &s)->digest;
    publisher_info_t info;
    publisher_info(publisher, &info);
    out->bytes = info.size;
    publisher_close(publisher, now);
    return CTL_EXIT_OK;
}

int ctl_compile(const ctl_args_t *args) {
    arena_t *arena = arena_new();
    compiled_t out = {.clusters = 0};
    ctl_load_t load;
    int rc;

    if (!ctl_load_checked(&load, arena, args)) {
        arena_free(arena);
        return CTL_EXIT_UNREADABLE;
    }
    for (const model_error_t *e = load.errors.first; e; e = e->next) {
        ctl_load_print(e, "meshctl: ", stderr);
    }
    if (load.errors.errors != 0) {
        arena_free(arena);
        return CTL_EXIT_NO;
    }
    count(&load, &out);
    if (out.names != 0) {
        fprintf(stderr,
                "meshctl: the names of %llu endpoint sets are left out: an "
                "agent resolves them\n",
                (unsigned long long)out.names);
    }
    if (args->into != NULL) {
        rc = publish(&load, args->into, &out);
        arena_free(arena);
    } else {
        rc = compile_in_memory(&load, arena, &out);
    }
    if (rc == CTL_EXIT_OK) {
        args->json ? print_json(&out) : print_text(&out);
    }
    return rc;
}
