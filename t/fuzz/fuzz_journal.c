/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as the journal of an applied part: whole requests from its start,
 * the rest is cut away for good, what comes behind is read back, and a
 * compacted one means no more requests and can be compacted again.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_journal.h"
#include "agent_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) {
        abort();
    }
}

static void apply(void *ctx, const ctl_request_t *request) {
    uint64_t *sum = ctx;

    must(request->command == CTL_APPLY);
    must(request->body.len == request->length);
    *sum = mesh_mix64(*sum ^
                      mesh_hash64(request->body.data ? request->body.data : "",
                                  request->body.len) ^
                      (uint64_t)request->format);
}

static uint64_t size_of(int fd) {
    struct stat st;

    must(fstat(fd, &st) == 0);
    return (uint64_t)st.st_size;
}

static uint32_t read_all(agent_journal_t *journal, uint64_t *sum) {
    *sum = 0;
    return agent_journal_read(journal, apply, sum);
}

static void append(agent_journal_t *journal) {
    ctl_request_t request = {.command = CTL_APPLY,
                             .format = CTL_LINES,
                             .part = "p",
                             .length = 5,
                             .body = MESH_STR("more\n")};

    agent_journal_add(journal, &request);
    agent_journal_commit(journal);
}

static void check_compact(const uint8_t *data, size_t size) {
    size_t len = 0, again = 0;
    char *frames =
        agent_journal_compact((mesh_str_t){size, (const char *)data}, &len);

    if (frames == NULL) {
        return;
    }
    if (len > 0) {
        char *twice = agent_journal_compact((mesh_str_t){len, frames}, &again);
        must(twice != NULL && again == len && memcmp(twice, frames, len) == 0);
        free(twice);
    }
    free(frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    agent_journal_t journal;
    uint64_t first, second, third;
    char path[64];
    int fd = memfd_create("journal", MFD_CLOEXEC);

    agent_log_setup(AGENT_LOG_ERROR + 1, AGENT_LOG_TEXT);
    must(fd != -1 && write(fd, data, size) == (ssize_t)size);
    agent_journal_init(&journal, "", "p");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    free(journal.path);
    journal.path = strdup(path);

    uint32_t count = read_all(&journal, &first);
    must(journal.size <= size && size_of(fd) == journal.size);
    must(read_all(&journal, &second) == count && second == first);
    append(&journal);
    must(size_of(fd) == journal.size);
    must(read_all(&journal, &third) == count + 1);
    agent_journal_free(&journal);
    close(fd);

    /* Of exactly that size, so that a byte more is seen. */
    uint8_t *copy = malloc(size ? size : 1);
    must(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    check_compact(copy, size);
    free(copy);
    return 0;
}
