/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where a publishing's time goes, step by step, without sockets and workers:
 * bench_publish [CLUSTERS ENDPOINTS HOSTS].  The mesh comes as one document
 * and then changes line by line, as over the agent's socket.
 *
 * Times are this thread's CPU, because shared machines stop clocks; of the
 * worst, what the clock said as well.
 */

#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent_log.h"
#include "agent_parts.h"
#include "agent_publish_state.h"
#include "source_stream.h"

#define ROUNDS 101

/* --- time --------------------------------------------------------------- */

typedef struct {
    double wall_ms;
    double cpu_ms;
} stamp_t;

typedef enum { STEP_READ, STEP_CHECK, STEP_PUBLISH, STEP_ALL, STEPS } step_e;

typedef struct {
    stamp_t step[STEPS];
} sample_t;

static double clock_ms(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static stamp_t stamp(void) {
    return (stamp_t){clock_ms(CLOCK_MONOTONIC),
                     clock_ms(CLOCK_THREAD_CPUTIME_ID)};
}

static stamp_t since(stamp_t begin) {
    stamp_t now = stamp();
    return (stamp_t){now.wall_ms - begin.wall_ms, now.cpu_ms - begin.cpu_ms};
}

static int by_cpu(const void *a, const void *b) {
    const sample_t *x = a, *y = b;
    double d = x->step[STEP_ALL].cpu_ms - y->step[STEP_ALL].cpu_ms;
    return (d > 0) - (d < 0);
}

static void tell(const char *what, sample_t *v, unsigned n, uint64_t bytes) {
    qsort(v, n, sizeof(v[0]), by_cpu);
    const sample_t *m = &v[n / 2];
    const sample_t *w = &v[n - 1];
    printf("%-30s %8.2f ms (read %.2f, check %.2f, publish %.2f), worst %.2f "
           "(clock %.2f), %llu bytes\n",
           what, m->step[STEP_ALL].cpu_ms, m->step[STEP_READ].cpu_ms,
           m->step[STEP_CHECK].cpu_ms, m->step[STEP_PUBLISH].cpu_ms,
           w->step[STEP_ALL].cpu_ms, w->step[STEP_ALL].wall_ms,
           (unsigned long long)bytes);
}

/* --- a mesh that is told over a stream ---------------------------------- */

typedef struct {
    uint32_t clusters;
    uint32_t endpoints;
    uint32_t hosts;
    unsigned edits;
    char *text;
    publisher_t *p;
    agent_parts_t parts;
    source_stream_t *stream;
} mesh_t;

static publish_time_t now(void) {
    static publish_time_t t = {1000000, 5000};
    t.unix_ms += 10;
    t.mono_ms += 10;
    return t;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void put_cluster(FILE *out, const mesh_t *mesh, uint32_t i,
                        unsigned weight) {
    fprintf(out, "\"service-%u.ns-%u.svc.cluster.local\": {\"endpoints\": [", i,
            i % 20);
    for (uint32_t k = 0; k < mesh->endpoints; k++) {
        uint32_t n = i * mesh->endpoints + k;
        fprintf(out,
                "%s{\"address\": \"127.%u.%u.%u:9080\", \"weight\": %u, "
                "\"labels\": {\"version\": \"v%u\"}}",
                k ? ", " : "", 1 + n / 65025, n / 255 % 255, 1 + n % 255,
                k ? 1 : weight, k % 3);
    }
    fprintf(out, "]}");
}

static void put_host(FILE *out, const mesh_t *mesh, uint32_t i, unsigned ms) {
    fprintf(out,
            "{\"domains\": [\"h%u.test\"], \"routes\": ["
            "{\"match\": {\"path\": {\"prefix\": \"/a\"}}, "
            "\"route\": \"service-%u.ns-%u.svc.cluster.local\"}, "
            "{\"route\": \"service-%u.ns-%u.svc.cluster.local\", "
            "\"timeout\": \"%ums\"}]}",
            i, i % mesh->clusters, i % mesh->clusters % 20, i % mesh->clusters,
            i % mesh->clusters % 20, ms);
}

static mesh_str_t whole_text(mesh_t *mesh) {
    size_t len;
    FILE *out = open_memstream(&mesh->text, &len);
    fprintf(out, "{\"clusters\": {");
    for (uint32_t i = 0; i < mesh->clusters; i++) {
        fputs(i ? ",\n" : "", out);
        put_cluster(out, mesh, i, 1);
    }
    fprintf(out, "}, \"hosts\": [");
    for (uint32_t i = 0; i < mesh->hosts; i++) {
        fputs(i ? ",\n" : "", out);
        put_host(out, mesh, i, 1000);
    }
    fprintf(out, "]}");
    fclose(out);
    return (mesh_str_t){len, mesh->text};
}

static mesh_str_t line_text(mesh_t *mesh, bool host) {
    size_t len;
    FILE *out = open_memstream(&mesh->text, &len);
    uint32_t i = (uint32_t)(mesh_mix64(++mesh->edits) %
                            (host ? mesh->hosts : mesh->clusters));
    fprintf(out, "{\"upsert\": {\"%s\": %s", host ? "hosts" : "clusters",
            host ? "[" : "{");
    if (host) {
        put_host(out, mesh, i, 1000 + mesh->edits);
    } else {
        put_cluster(out, mesh, i, 1 + mesh->edits);
    }
    fprintf(out, "%s}}\n", host ? "]" : "}");
    fclose(out);
    return (mesh_str_t){len, mesh->text};
}

static void read_text(mesh_t *mesh, mesh_str_t text, bool lines) {
    arena_t *arena = arena_new();
    model_errors_t errors;
    char why[256] = "";
    model_errors_init(&errors, arena);
    bool ok = lines
                  ? source_stream_change(mesh->stream, text, 1, &errors)
                  : source_stream_replace(mesh->stream, text, true, 1, &errors);
    if (!ok) {
        agent_errors_text(&errors, NULL, why, sizeof(why));
        fail("read", why);
    }
    arena_free(arena);
    agent_parts_set(&mesh->parts, source_stream_name(mesh->stream),
                    source_stream_bundle(mesh->stream), 1);
}

/* The bytes it appended. */
static uint64_t tell_mesh(mesh_t *mesh, mesh_str_t text, bool lines,
                          sample_t *sample) {
    publish_result_t result;
    stamp_t begin = stamp(), step = begin;
    read_text(mesh, text, lines);
    sample->step[STEP_READ] = since(step);
    step = stamp();
    (void)agent_parts_settle(&mesh->parts, NULL, 1);
    sample->step[STEP_CHECK] = since(step);
    step = stamp();
    publish_request_t request = {.parts = mesh->parts.list,
                                 .nparts = mesh->parts.nlist,
                                 .reason = "bench",
                                 .now = now()};
    if (publisher_publish(mesh->p, &request, &result) != PUBLISH_DONE) {
        fail("publish", result.text);
    }
    sample->step[STEP_PUBLISH] = since(step);
    agent_parts_accept(&mesh->parts, 1);
    sample->step[STEP_ALL] = since(begin);
    free(mesh->text);
    return result.appended;
}

/* --- what is measured ---------------------------------------------------- */

static void bench_edits(mesh_t *mesh, const char *what, bool host,
                        unsigned rounds) {
    sample_t v[ROUNDS];
    uint64_t most = 0;
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t appended = tell_mesh(mesh, line_text(mesh, host), true, &v[i]);
        most = mesh_max(most, appended);
    }
    tell(what, v, rounds, most);
}

/* The main thread's share: one tick that begins, one that takes it over. */
static void bench_tick(mesh_t *mesh, const char *what) {
    sample_t v = {0};
    publisher_info_t info;
    stamp_t begin = stamp();
    (void)publisher_tick(mesh->p, now());
    v.step[STEP_ALL] = since(begin);
    publisher_info(mesh->p, &info);
    tell(what, &v, 1, info.size);
}

static void await(const mesh_t *mesh) {
    struct pollfd told = {.fd = publisher_fd(mesh->p), .events = POLLIN};
    if (poll(&told, 1, 60000) != 1) {
        fail("poll", "the job does not end");
    }
}

static void bench_compaction(mesh_t *mesh) {
    mesh->p->compact_at = 0;
    bench_tick(mesh, "compaction: begun");
    bench_edits(mesh, "one endpoint meanwhile", false, 10);
    await(mesh);
    bench_tick(mesh, "compaction: taken over");
    bench_edits(mesh, "the first change after it", false, 1);
}

static void bench_last_good(mesh_t *mesh) {
    sample_t v = {0};
    stamp_t begin = stamp();
    publish_last_good_start(mesh->p, now());
    v.step[STEP_ALL] = since(begin);
    tell("last-good copy: begun", &v, 1, 0);
    await(mesh);
    bench_tick(mesh, "last-good copy: done");
}

/* As a worker that meets the file for the first time. */
static void bench_adoption(const mesh_t *mesh) {
    mesh_zone_error_t error;
    sample_t v = {0};
    const publish_file_t *file = &mesh->p->file;
    stamp_t begin = stamp();
    mesh_mapping_t *map =
        mesh_mapping_open(mesh->p->zone.dir, file->number, &error);
    if (map == NULL || mesh_mapping_adopt(map, file->root, 0) != MESH_OK) {
        fail("adoption", "refused");
    }
    v.step[STEP_ALL] = since(begin);
    tell("a worker's check of the file", &v, 1, map->snapshot.verified);
    mesh_mapping_unref(map);
}

static int remove_one(const char *path, const struct stat *st, int flag,
                      struct FTW *ftw) {
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void bench_mesh(uint32_t clusters, uint32_t endpoints, uint32_t hosts) {
    char top[] = "/dev/shm/mesh-bench-XXXXXX";
    char dir[64], state[64], error[PUBLISH_TEXT_MAX];
    mesh_status_t status;
    sample_t v;
    mesh_t mesh = {clusters, endpoints, hosts, .edits = 0};
    if (mkdtemp(top) == NULL) {
        fail("mkdtemp", top);
    }
    snprintf(dir, sizeof(dir), "%s/zone", top);
    snprintf(state, sizeof(state), "%s/state", top);
    publisher_options_t options = {
        .dir = dir, .state_dir = state, .threads = true};
    mesh.p = publisher_open(&options, now(), &status, error);
    if (mesh.p == NULL) {
        fail("open", error);
    }
    mesh.stream = source_stream_new("stream:bench");
    agent_parts_init(&mesh.parts);

    printf("%u clusters x %u endpoints, %u hosts with 2 routes\n", clusters,
           endpoints, hosts);
    uint64_t bytes = tell_mesh(&mesh, whole_text(&mesh), false, &v);
    tell("the whole mesh, new", &v, 1, bytes);
    bench_edits(&mesh, "the first change", false, 1);
    bytes = tell_mesh(&mesh, whole_text(&mesh), false, &v);
    tell("the whole mesh again", &v, 1, bytes);
    bench_edits(&mesh, "the first change", false, 1);
    bench_adoption(&mesh);
    bench_edits(&mesh, "one endpoint", false, ROUNDS);
    bench_edits(&mesh, "one route of one host", true, ROUNDS);
    bench_compaction(&mesh);
    bench_edits(&mesh, "one endpoint", false, ROUNDS);
    bench_last_good(&mesh);

    source_stream_free(mesh.stream);
    agent_parts_free(&mesh.parts);
    publisher_close(mesh.p, now());
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv) {
    agent_log_setup(AGENT_LOG_WARN, AGENT_LOG_TEXT);
    if (argc == 4) {
        bench_mesh((uint32_t)strtoul(argv[1], NULL, 10),
                   (uint32_t)strtoul(argv[2], NULL, 10),
                   (uint32_t)strtoul(argv[3], NULL, 10));
        return 0;
    }
    bench_mesh(2000, 50, 1);
    bench_mesh(2000, 10, 10000);
    return 0;
}
