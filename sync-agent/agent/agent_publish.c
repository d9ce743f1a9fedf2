/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Publishing: compile, append, check, switch the control word; on a full file
 * or disk the same into the next file; else refuse and go on as before.  What
 * may wait is agent_publish_job.c's.
 */

#include "agent_publish.h"
#include "agent_log.h"
#include "agent_publish_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum {
    INTENT_SOURCES,
    INTENT_ROLLBACK,
    INTENT_PIN,
    INTENT_UNPIN,
} intent_e;

/* One publishing, which may take several attempts. */
typedef struct {
    const publish_request_t *request;
    intent_e intent;
    uint64_t generation; /* that a rollback asks for ... */
    mesh_ref_t chosen;   /* ... and its POLICY in the current file */
    bool held_known;     /* what the publisher's fields become, if it works */
    mesh_digest_t held;
    bool later; /* it failed, and not by what was to be published */
} attempt_t;

static const mesh_rec_root_t *published(const publisher_t *p) {
    return p->file.root != 0
               ? mesh_snapshot_root(&p->file.map->snapshot, p->file.root)
               : NULL;
}

/* --- which policy ------------------------------------------------------- */

/* What the sources give now, remembered by digest. */
static mesh_ref_t source_policy(attempt_t *a, publish_file_t *file,
                                const compile_request_t *r,
                                mesh_digest_t *digest) {
    mesh_ref_t ref = compile_policy(file->compiler, r);
    *digest = mesh_writer_digest(file->w, ref);
    a->held_known = ref != 0;
    return ref;
}

/* A rolled-back policy holds until the sources give another than before. */
static void hold_or_release(const publisher_t *p, attempt_t *a,
                            publish_file_t *file, const mesh_rec_root_t *now,
                            compile_request_t *r) {
    mesh_digest_t digest;
    mesh_ref_t source = source_policy(a, file, r, &digest);
    a->held = digest;
    if (p->held_known && memcmp(&digest, &p->held, sizeof(digest)) != 0) {
        r->policy = source;
        r->flags = 0;
        return;
    }
    r->policy = now->policy;
    r->flags = MESH_ROOT_ROLLED_BACK;
}

static void choose_rollback(attempt_t *a, publish_file_t *file,
                            const mesh_rec_root_t *now, mesh_ref_t chosen,
                            compile_request_t *r) {
    mesh_ref_t source = source_policy(a, file, r, &a->held);
    r->policy = chosen;
    r->flags = now->flags & MESH_ROOT_PINNED;
    if (chosen != source) {
        r->flags |= MESH_ROOT_ROLLED_BACK;
    }
}

static void choose_policy(const publisher_t *p, attempt_t *a,
                          publish_file_t *file, mesh_ref_t chosen,
                          compile_request_t *r) {
    if (file->root == 0 || a->intent == INTENT_UNPIN) {
        return;
    }
    mesh_rec_root_t now =
        *(const mesh_rec_root_t *)mesh_writer_get(file->w, file->root);
    if (a->intent == INTENT_ROLLBACK) {
        choose_rollback(a, file, &now, chosen, r);
    } else if (a->intent == INTENT_PIN || (now.flags & MESH_ROOT_PINNED)) {
        r->policy = now.policy;
        r->flags = MESH_ROOT_PINNED | (now.flags & MESH_ROOT_ROLLED_BACK);
    } else if (now.flags & MESH_ROOT_ROLLED_BACK) {
        hold_or_release(p, a, file, &now, r);
    }
}

/* --- attempts ----------------------------------------------------------- */

static mesh_ref_t compile_into(const publisher_t *p, attempt_t *a,
                               publish_file_t *file, mesh_ref_t chosen) {
    const publish_request_t *request = a->request;
    compile_request_t r = {
        .parts = request->parts,
        .nparts = request->nparts,
        .previous = file->root,
        .node = &p->node,
        .local_cluster = p->local_cluster,
        .generation = p->generation + 1,
        .time_ms = request->now.unix_ms,
        .reason = mesh_str_from(request->reason ? request->reason : ""),
        .errors = request->errors,
    };
    a->held_known = p->held_known;
    a->held = p->held;
    choose_policy(p, a, file, chosen, &r);
    return compile_root(file->compiler, &r);
}

/* Into a fresh file, with that much of the history; MESH_OK: it is current. */
static mesh_status_t move_with(publisher_t *p, attempt_t *a,
                               publish_copy_e level, char *text) {
    publish_file_t next;
    const mesh_snapshot_t *from = &p->file.map->snapshot;
    publish_file_begin(&next, p->last_file + 1, p->capacity);
    mesh_copier_t *copier = next.w != NULL ? mesh_copier_create(next.w) : NULL;
    if (copier == NULL) {
        publish_file_drop(&p->zone, &next, true);
        snprintf(text, PUBLISH_TEXT_MAX, "out of memory");
        a->later = true;
        return MESH_NO_MEMORY;
    }
    next.compiler = compiler_new(next.w, p->slots);
    next.root = publish_copy_root(copier, next.w, from, p->file.root, level);
    uint64_t live = mesh_writer_size(next.w);
    mesh_ref_t ref = 0;
    if (next.root != 0) {
        mesh_ref_t chosen =
            a->chosen ? mesh_copier_copy(copier, from, a->chosen) : 0;
        ref = compile_into(p, a, &next, chosen);
    }
    mesh_copier_free(copier);
    mesh_status_t status = MESH_NO_SPACE;
    if (ref == 0) {
        publish_file_text(&next, text);
    } else {
        status = publish_file_flush(&p->zone, &next, ref, text);
    }
    if (status != MESH_OK) {
        a->later = ref != 0;
        publish_file_drop(&p->zone, &next, true);
        return status;
    }
    publish_file_switch(p, &next, a->request->now.mono_ms);
    p->compactions++;
    p->compact_at =
        publish_compaction_size(live, mesh_writer_capacity(p->file.w));
    return MESH_OK;
}

/* The change does not fit into the file, or the disk: both go into the next. */
static bool move(publisher_t *p, attempt_t *a, char *text) {
    mesh_status_t status = MESH_NO_SPACE;
    publish_file_sweep(p);
    for (int level = 0; level < PUBLISH_COPY_LEVELS; level++) {
        status = move_with(p, a, (publish_copy_e)level, text);
        if (status != MESH_NO_SPACE) {
            break;
        }
    }
    if (status != MESH_OK) {
        publish_compaction_later(p);
        return false;
    }
    agent_log(AGENT_LOG_INFO, "compacted", agent_u("file", p->file.number),
              agent_u("bytes", mesh_writer_size(p->file.w)));
    return true;
}

typedef enum {
    APPEND_DONE,
    APPEND_UNCHANGED,
    APPEND_FULL,
    APPEND_BROKEN,
} append_e;

static append_e append(publisher_t *p, attempt_t *a, char *text) {
    publish_file_t *file = &p->file;
    mesh_ref_t ref = compile_into(p, a, file, a->chosen);
    if (ref != 0 && ref == file->root) {
        if (mesh_writer_pending(file->w).len > 0) {
            publish_file_rollback(p, file);
        }
        return APPEND_UNCHANGED;
    }
    mesh_status_t status = MESH_NO_SPACE;
    if (ref == 0) {
        publish_file_text(file, text);
    } else {
        status = publish_file_flush(&p->zone, file, ref, text);
    }
    if (status == MESH_OK) {
        publish_file_switch(p, file, a->request->now.mono_ms);
        return APPEND_DONE;
    }
    a->later = ref != 0; /* it could be compiled: the disk has no room */
    publish_file_rollback(p, file);
    return status == MESH_NO_SPACE ? APPEND_FULL : APPEND_BROKEN;
}

/* --- the calls ---------------------------------------------------------- */

static void published_now(publisher_t *p, const attempt_t *a) {
    uint64_t mono_ms = a->request->now.mono_ms;
    p->generation = published(p)->generation;
    p->held_known = a->held_known;
    p->held = a->held;
    p->published_ms = mono_ms;
    if (!p->dirty) {
        p->dirty = true;
        p->dirty_ms = mono_ms;
    }
}

static publish_outcome_e tell(const publisher_t *p, publish_result_t *result,
                              publish_outcome_e outcome) {
    result->outcome = outcome;
    result->generation = p->file.root != 0 ? p->generation : 0;
    result->word =
        p->file.root != 0 ? mesh_word(p->file.number, p->file.root) : 0;
    return outcome;
}

bool publisher_held(publisher_t *p, char text[PUBLISH_TEXT_MAX]) {
    publish_runtime_refresh(p);
    return publish_runtime_version(p, text) == 0;
}

/* The policy of a generation that the current root or its ring has. */
static mesh_ref_t policy_of(const publisher_t *p, uint64_t generation) {
    const mesh_snapshot_t *s = &p->file.map->snapshot;
    const mesh_rec_root_t *root = published(p);
    if (root->generation == generation) {
        return root->policy;
    }
    const mesh_rec_refs_t *history = mesh_get(s, root->history);
    for (uint32_t i = 0; history != NULL && i < history->count; i++) {
        root = mesh_get(s, history->v[i]);
        if (root->generation == generation) {
            return root->policy;
        }
    }
    return 0;
}

/* false with text: what a rollback asks for is not there any more. */
static bool choose(const publisher_t *p, attempt_t *a, char *text) {
    if (a->intent != INTENT_ROLLBACK) {
        return true;
    }
    a->chosen = p->file.root != 0 ? policy_of(p, a->generation) : 0;
    if (a->chosen == 0) {
        snprintf(text, PUBLISH_TEXT_MAX,
                 "generation %llu is not in the history",
                 (unsigned long long)a->generation);
        return false;
    }
    return true;
}

/* false with text: memory is out. */
static bool have_file(publisher_t *p, char *text) {
    if (p->file.w != NULL) {
        return true;
    }
    publish_file_begin(&p->file, p->last_file + 1, p->capacity);
    p->compact_at = publish_compaction_size(0, p->capacity);
    if (p->file.w == NULL) {
        snprintf(text, PUBLISH_TEXT_MAX, "out of memory");
        return false;
    }
    p->file.compiler = compiler_new(p->file.w, p->slots);
    return true;
}

/* Into this file, the one that is being made, or one that is made for it. */
static append_e append_somewhere(publisher_t *p, attempt_t *a, char *text) {
    append_e outcome = append(p, a, text);
    if (outcome == APPEND_FULL && p->file.root != 0 && p->thread.running &&
        p->job.compaction) {
        publish_job_collect(p, a->request->now, true);
        outcome = choose(p, a, text) ? append(p, a, text) : APPEND_BROKEN;
    }
    if (outcome == APPEND_FULL && p->file.root != 0 && move(p, a, text)) {
        return APPEND_DONE;
    }
    return outcome;
}

static publish_outcome_e publish(publisher_t *p, attempt_t *a,
                                 publish_result_t *result) {
    /* The writer knows one version: there is nothing else to choose yet. */
    result->later = publisher_held(p, result->text);
    if (result->later || !choose(p, a, result->text) ||
        !have_file(p, result->text)) {
        return tell(p, result, PUBLISH_REFUSED);
    }
    uint64_t before = mesh_writer_size(p->file.w);
    uint32_t file = p->file.number;
    append_e outcome = append_somewhere(p, a, result->text);
    if (outcome == APPEND_UNCHANGED) {
        p->held_known = a->held_known;
        p->held = a->held;
        return tell(p, result, PUBLISH_UNCHANGED);
    }
    if (outcome != APPEND_DONE) {
        if (p->file.root == 0) {
            publish_file_drop(&p->zone, &p->file, true);
        }
        result->later = a->later;
        return tell(p, result, PUBLISH_REFUSED);
    }
    published_now(p, a);
    result->compacted = p->file.number != file;
    result->appended =
        mesh_writer_size(p->file.w) - (result->compacted ? 0 : before);
    result->text[0] = '\0';
    return tell(p, result, PUBLISH_DONE);
}

publish_outcome_e publisher_publish(publisher_t *p,
                                    const publish_request_t *request,
                                    publish_result_t *result) {
    attempt_t a = {.request = request, .intent = INTENT_SOURCES};
    *result = (publish_result_t){0};
    return publish(p, &a, result);
}

publish_outcome_e publisher_rollback(publisher_t *p, uint64_t generation,
                                     const publish_request_t *request,
                                     publish_result_t *result) {
    attempt_t a = {.request = request,
                   .intent = INTENT_ROLLBACK,
                   .generation = generation};
    *result = (publish_result_t){0};
    return publish(p, &a, result);
}

publish_outcome_e publisher_pin(publisher_t *p,
                                const publish_request_t *request,
                                publish_result_t *result) {
    attempt_t a = {.request = request, .intent = INTENT_PIN};
    *result = (publish_result_t){0};
    if (p->file.root == 0) {
        snprintf(result->text, PUBLISH_TEXT_MAX,
                 "nothing is published yet that could be pinned");
        return tell(p, result, PUBLISH_REFUSED);
    }
    return publish(p, &a, result);
}

publish_outcome_e publisher_unpin(publisher_t *p,
                                  const publish_request_t *request,
                                  publish_result_t *result) {
    attempt_t a = {.request = request, .intent = INTENT_UNPIN};
    *result = (publish_result_t){0};
    return publish(p, &a, result);
}

/* --- what may wait ------------------------------------------------------ */

/*
 * After a quiet second; a mesh that is never quiet is copied as well, as
 * often as the bound allows.
 */
static uint64_t copy_due(const publisher_t *p) {
    if (!p->dirty || p->state_dir[0] == '\0') {
        return PUBLISH_IDLE;
    }
    uint64_t due = mesh_min(p->published_ms + PUBLISH_QUIET_MS,
                            p->dirty_ms + PUBLISH_COPY_MS);
    return p->copied ? mesh_max(due, p->copied_ms + PUBLISH_COPY_MS) : due;
}

int publisher_fd(const publisher_t *p) {
    return p->thread.fd;
}

uint64_t publisher_tick(publisher_t *p, publish_time_t now) {
    publish_job_collect(p, now, false);
    if (p->file.root == 0) {
        return PUBLISH_IDLE;
    }
    if (!p->thread.running && mesh_writer_size(p->file.w) > p->compact_at) {
        publish_compaction_start(p, now);
    }
    if (p->old_files) {
        p->old_files = !publish_file_sweep(p);
    }
    if (!p->thread.running && copy_due(p) <= now.mono_ms) {
        publish_last_good_start(p, now);
    }
    /* The end of what runs is told by publisher_fd(). */
    uint64_t next = p->thread.running ? PUBLISH_IDLE : copy_due(p);
    return p->old_files ? mesh_min(next, now.mono_ms + PUBLISH_QUIET_MS) : next;
}

void publisher_info(const publisher_t *p, publisher_info_t *info) {
    *info = (publisher_info_t){
        .capacity = p->capacity,
        .compactions = p->compactions,
        .last_good_ms = p->last_good_ms,
    };
    const mesh_rec_root_t *root = published(p);
    if (root == NULL) {
        return;
    }
    const mesh_rec_refs_t *history =
        mesh_get(&p->file.map->snapshot, root->history);
    info->generation = root->generation;
    info->time_ms = root->time_ms;
    info->word = mesh_word(p->file.number, p->file.root);
    info->flags = root->flags;
    info->history = history != NULL ? history->count : 0;
    info->size = mesh_writer_size(p->file.w);
    info->capacity = mesh_writer_capacity(p->file.w);
}

const mesh_rec_root_t *publisher_root(const publisher_t *p,
                                      const mesh_snapshot_t **snapshot) {
    *snapshot = p->file.map != NULL ? &p->file.map->snapshot : NULL;
    return published(p);
}

void publisher_ring(const publisher_t *p) {
    mesh_zone_ring(&p->zone);
}

/* --- opening ------------------------------------------------------------ */

/* What the sources gave before the rollback that is in force. */
static void learn_held(publisher_t *p) {
    const mesh_snapshot_t *s = &p->file.map->snapshot;
    const mesh_rec_root_t *root = published(p);
    if ((root->flags & MESH_ROOT_ROLLED_BACK) == 0) {
        return;
    }
    const mesh_rec_refs_t *history = mesh_get(s, root->history);
    for (uint32_t i = 0; history != NULL && i < history->count; i++) {
        root = mesh_get(s, history->v[i]);
        if ((root->flags & (MESH_ROOT_ROLLED_BACK | MESH_ROOT_PINNED)) == 0) {
            const mesh_rec_policy_t *policy = mesh_get(s, root->policy);
            p->held = policy->digest;
            p->held_known = true;
            return;
        }
    }
}

static void continue_from(publisher_t *p, publish_time_t now) {
    const mesh_rec_root_t *root = published(p);
    p->generation = root->generation;
    /* Nobody knows how much of it is live, as a compaction would tell. */
    p->compact_at = mesh_min(mesh_writer_size(p->file.w) + PUBLISH_COMPACT_MIN,
                             mesh_writer_capacity(p->file.w) / 2);
    p->old_files = true;
    slots_load_roots(p->slots, &p->file.map->snapshot, root);
    learn_held(p);
    p->dirty = (root->flags & MESH_ROOT_COLD) == 0;
    p->dirty_ms = now.mono_ms;
    p->published_ms = now.mono_ms;
    /* Rings for what an agent stored and died before it could ring. */
    publish_file_switch(p, &p->file, now.mono_ms);
}

static bool cold_with(publisher_t *p, const mesh_mapping_t *map, mesh_ref_t ref,
                      publish_copy_e level, publish_time_t now, char *text) {
    publish_file_t file;
    publish_file_begin(&file, p->last_file + 1, p->capacity);
    if (file.w == NULL) {
        snprintf(text, PUBLISH_TEXT_MAX, "out of memory");
        return false;
    }
    file.compiler = compiler_new(file.w, p->slots);
    ref = publish_copy_cold(file.w, &map->snapshot, ref, level, p->generation);
    if (ref == 0) {
        publish_file_text(&file, text);
    }
    if (ref == 0 || publish_file_flush(&p->zone, &file, ref, text) != MESH_OK) {
        publish_file_drop(&p->zone, &file, true);
        return false;
    }
    publish_file_switch(p, &file, now.mono_ms);
    continue_from(p, now);
    return true;
}

static void start_cold(publisher_t *p, publish_time_t now) {
    char text[PUBLISH_TEXT_MAX];
    mesh_ref_t ref;
    mesh_mapping_t *map = publish_last_good_open(p, &ref, text);
    if (map == NULL) {
        if (text[0] != '\0') {
            agent_log(AGENT_LOG_ERROR, text);
        }
        return;
    }
    bool ok = false;
    for (int level = 0; !ok && level < PUBLISH_COPY_LEVELS; level++) {
        ok = cold_with(p, map, ref, (publish_copy_e)level, now, text);
    }
    mesh_mapping_unref(map);
    if (ok) {
        const mesh_rec_root_t *root = published(p);
        agent_log(AGENT_LOG_WARN, "cold start from the last-good copy",
                  agent_u("generation", root->generation),
                  agent_i("age_ms", (int64_t)(now.unix_ms - root->time_ms)));
    } else {
        agent_log(AGENT_LOG_ERROR, "the last-good copy is of no use",
                  agent_s("why", text));
    }
}

static void set_node(publisher_t *p, const publisher_options_t *options) {
    const model_locality_t *node = &options->node;

    p->texts = arena_new();
    p->local_cluster = arena_str(p->texts, options->local_cluster);
    p->node = (model_locality_t){arena_str(p->texts, node->region),
                                 arena_str(p->texts, node->zone),
                                 arena_str(p->texts, node->sub_zone)};
}

static bool set_options(publisher_t *p, const publisher_options_t *options,
                        char *error) {
    p->capacity = options->capacity ? options->capacity : MESH_FILE_CAPACITY;
    if (p->capacity < MESH_FILE_CAPACITY_MIN ||
        p->capacity > MESH_FILE_CAPACITY_MAX) {
        snprintf(error, PUBLISH_TEXT_MAX,
                 "capacity of %llu bytes: expected %llu to %llu",
                 (unsigned long long)p->capacity,
                 (unsigned long long)MESH_FILE_CAPACITY_MIN,
                 (unsigned long long)MESH_FILE_CAPACITY_MAX);
        return false;
    }
    const char *state = options->state_dir ? options->state_dir : "";
    int n = snprintf(p->state_dir, sizeof(p->state_dir), "%s", state);
    if (n < 0 || (size_t)n >= sizeof(p->state_dir)) {
        snprintf(error, PUBLISH_TEXT_MAX, "state directory: name too long");
        return false;
    }
    return true;
}

static void start(publisher_t *p, publish_time_t now) {
    char text[PUBLISH_TEXT_MAX];
    uint64_t word = mesh_control_word(p->zone.control);
    p->slots = slots_new(NULL, publish_runtime_past, p);
    publish_runtime_refresh(p);
    p->last_file = mesh_word_file(word);
    if (word != 0 && publish_file_continue(p, word, text)) {
        continue_from(p, now);
        return;
    }
    if (word != 0) {
        /* Workers go on with what they have mapped and checked. */
        agent_log(AGENT_LOG_ERROR, "the zone's snapshot is given up",
                  agent_s("why", text));
        p->generation = publish_runtime_generation(p);
    }
    start_cold(p, now);
}

static void zone_text(const char *dir, const mesh_zone_error_t *why,
                      char *error) {
    if (why->err == 0) {
        snprintf(error, PUBLISH_TEXT_MAX, "zone %.128s: %s", dir,
                 why->what ? why->what : "refused");
        return;
    }
    snprintf(error, PUBLISH_TEXT_MAX, "zone %.128s: %s %.256s: %s%s", dir,
             why->what, why->path, strerror(why->err),
             why->err == EACCES
                 ? "; the zone's directory must belong to the agent's user"
                 : "");
}

publisher_t *publisher_open(const publisher_options_t *options,
                            publish_time_t now, mesh_status_t *status,
                            char *error) {
    publisher_t *p = calloc(1, sizeof(*p));
    *status = MESH_ERROR;
    if (p == NULL) {
        snprintf(error, PUBLISH_TEXT_MAX, "out of memory");
        return NULL;
    }
    p->file.fd = -1;
    if (!set_options(p, options, error)) {
        free(p);
        return NULL;
    }
    mesh_zone_error_t why = {0};
    *status = mesh_zone_open(&p->zone, options->dir, &why);
    if (*status != MESH_OK) {
        zone_text(options->dir, &why, error);
        free(p);
        return NULL;
    }
    set_node(p, options);
    agent_job_init(&p->thread, options->threads);
    start(p, now);
    p->old_files = !publish_file_sweep(p);
    return p;
}

bool publisher_intact(const publisher_t *p) {
    return mesh_zone_intact(&p->zone, p->file.fd, p->file.number);
}

void publisher_close(publisher_t *p, publish_time_t now) {
    if (p == NULL) {
        return;
    }
    publish_job_collect(p, now, true);
    if (p->dirty && p->state_dir[0] != '\0' && p->file.root != 0) {
        publish_last_good_start(p, now);
        publish_job_collect(p, now, true);
    }
    agent_job_free(&p->thread);
    publish_file_drop(&p->zone, &p->file, false);
    slots_free(p->slots);
    if (p->runtime_open) {
        mesh_runtime_close(&p->runtime);
    }
    mesh_zone_close(&p->zone);
    arena_free(p->texts);
    free(p);
}
