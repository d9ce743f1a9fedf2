/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is done beside the main thread: copying the published root into the
 * next snapshot file, or into the state directory.
 */

#include "agent_log.h"
#include "agent_publish_state.h"

#include <stdio.h>
#include <string.h>

/*
 * Below the stated share a file's garbage costs less than a compaction; a
 * mesh that fills much of the capacity by itself waits until half of what is
 * left is used.
 */
uint64_t publish_compaction_size(uint64_t live, uint64_t capacity) {
    uint64_t at =
        mesh_max(live * PUBLISH_COMPACT_FACTOR, live + PUBLISH_COMPACT_MIN);
    uint64_t most = mesh_max(capacity / 2, live + (capacity - live) / 2);
    return mesh_min(at, most);
}

void publish_compaction_later(publisher_t *p) {
    uint64_t size = mesh_writer_size(p->file.w);
    uint64_t left = mesh_writer_capacity(p->file.w) - size;
    p->compact_at = size + mesh_min(left / 2, PUBLISH_COMPACT_MIN);
}

/* --- beside the main thread --------------------------------------------- */

static void next_drop(publish_job_t *job) {
    mesh_copier_free(job->copier);
    job->copier = NULL;
    publish_file_drop(job->zone, &job->next, true);
}

static mesh_status_t compact_with(publish_job_t *job) {
    publish_file_t *next = &job->next;
    publish_file_begin(next, job->number, job->capacity);
    job->copier = next->w != NULL ? mesh_copier_create(next->w) : NULL;
    if (job->copier == NULL) {
        snprintf(job->text, PUBLISH_TEXT_MAX, "out of memory");
        return MESH_NO_MEMORY;
    }
    mesh_ref_t ref = publish_copy_root(
        job->copier, next->w, &job->map->snapshot, job->root, job->level);
    if (ref == 0) {
        publish_file_text(next, job->text);
        return MESH_NO_SPACE;
    }
    return publish_file_flush(job->zone, next, ref, job->text);
}

static void compact(publish_job_t *job) {
    for (int level = 0; level < PUBLISH_COPY_LEVELS; level++) {
        job->level = (publish_copy_e)level;
        job->status = compact_with(job);
        if (job->status == MESH_OK) {
            return;
        }
        next_drop(job);
        if (job->status != MESH_NO_SPACE) {
            return;
        }
    }
}

static void work(void *ctx) {
    publish_job_t *job = ctx;
    job->status = mesh_mapping_adopt(job->map, job->root, 0);
    if (job->status != MESH_OK) {
        snprintf(job->text, PUBLISH_TEXT_MAX,
                 "the published root does not read back");
    } else if (job->compaction) {
        compact(job);
    } else {
        publish_last_good_write(job);
    }
    mesh_mapping_unref(job->map);
    job->map = NULL;
}

/* --- the main thread ---------------------------------------------------- */

/* false with text: the file cannot be mapped. */
static bool start(publisher_t *p, bool compaction, publish_time_t now,
                  char *text) {
    mesh_zone_error_t error = {0};
    p->job = (publish_job_t){
        .compaction = compaction,
        .map = mesh_mapping_again(p->file.map, &error),
        .root = p->file.root,
        .number = p->last_file + 1,
        .capacity = compaction ? p->capacity : mesh_writer_capacity(p->file.w),
        .zone = &p->zone,
        .state_dir = p->state_dir,
        .unix_ms = now.unix_ms,
        .next = {.fd = -1},
    };
    if (p->job.map == NULL) {
        snprintf(text, PUBLISH_TEXT_MAX, "snapshot.%u: %s: %s", p->file.number,
                 error.what ? error.what : "map", strerror(error.err));
        return false;
    }
    agent_job_start(&p->thread, work, &p->job);
    return true;
}

/* Without a thread it is done here and now, unless a test wants it later. */
static void done_already(publisher_t *p, publish_time_t now) {
    if (!p->thread.alone) {
        publish_job_collect(p, now, false);
    }
}

void publish_compaction_start(publisher_t *p, publish_time_t now) {
    char text[PUBLISH_TEXT_MAX];
    publish_file_sweep(p);
    if (start(p, true, now, text)) {
        done_already(p, now);
    } else {
        publish_compaction_later(p);
        agent_log(AGENT_LOG_WARN, "compaction failed", agent_s("why", text));
    }
}

/* What is published from now on is for the next copy. */
void publish_last_good_start(publisher_t *p, publish_time_t now) {
    char text[PUBLISH_TEXT_MAX];
    p->copied = true;
    p->copied_ms = now.mono_ms;
    if (start(p, false, now, text)) {
        p->dirty = false;
        done_already(p, now);
    } else {
        agent_log(AGENT_LOG_ERROR, "last-good copy", agent_s("why", text));
    }
}

static mesh_ref_t find_copied(const void *ctx, mesh_ref_t ref) {
    return mesh_copier_find(ctx, ref);
}

/* What was published while the copy was made; MESH_OK: it is in there. */
static mesh_status_t catch_up(publisher_t *p) {
    publish_job_t *job = &p->job;
    publish_file_t *next = &job->next;
    if (p->file.root == job->root) {
        return MESH_OK;
    }
    mesh_ref_t ref = publish_copy_root(
        job->copier, next->w, &p->file.map->snapshot, p->file.root, job->level);
    if (ref == 0) {
        publish_file_text(next, job->text);
        return MESH_NO_SPACE;
    }
    return publish_file_flush(job->zone, next, ref, job->text);
}

static void collect_compaction(publisher_t *p, publish_time_t now) {
    publish_job_t *job = &p->job;
    publish_file_t *next = &job->next;
    if (job->status == MESH_OK) {
        job->status = catch_up(p);
    }
    if (job->status != MESH_OK) {
        next_drop(job);
        publish_compaction_later(p);
        agent_log(AGENT_LOG_WARN, "compaction failed",
                  agent_s("why", job->text));
        return;
    }
    next->compiler = p->file.compiler;
    p->file.compiler = NULL;
    compiler_move(next->compiler, next->w, find_copied, job->copier);
    mesh_copier_free(job->copier);
    publish_file_switch(p, next, now.mono_ms);
    p->compactions++;
    p->compact_at = publish_compaction_size(mesh_writer_size(p->file.w),
                                            mesh_writer_capacity(p->file.w));
    agent_log(AGENT_LOG_INFO, "compacted", agent_u("file", p->file.number),
              agent_u("bytes", mesh_writer_size(p->file.w)));
}

static void collect_last_good(publisher_t *p) {
    if (p->job.status == MESH_OK) {
        p->last_good_ms = p->job.unix_ms;
        return;
    }
    agent_log(AGENT_LOG_ERROR, p->job.text);
    p->dirty = true;
}

void publish_job_collect(publisher_t *p, publish_time_t now, bool wait) {
    if (!p->thread.running || (!wait && !agent_job_ended(&p->thread))) {
        return;
    }
    agent_job_join(&p->thread);
    if (p->job.compaction) {
        collect_compaction(p, now);
    } else {
        collect_last_good(p);
    }
}
