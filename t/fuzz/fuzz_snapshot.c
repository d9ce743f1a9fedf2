/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as a snapshot file: checked in slices, then everything that a
 * root reaches is read, as workers and tools do.  The first byte of the input
 * is the slice; a head is put before the rest, since random heads only teach
 * the fuzzer to make heads.
 */

#include <stdlib.h>

#include "snapshot_touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    if (len < 1) {
        return 0;
    }
    const mesh_file_head_t head = {.magic = MESH_FORMAT_MAGIC,
                                   .version = MESH_FORMAT_VERSION,
                                   .head_size = sizeof(head),
                                   .file_number = 1,
                                   .capacity = MESH_FILE_CAPACITY_MIN};
    const uint64_t budget = data[0];
    const size_t size = sizeof(head) + (len - 1);
    uint8_t *bytes = malloc(size); /* exactly: a byte more is caught */
    uint64_t *starts = calloc(1, mesh_snapshot_starts_size(size) + 1);
    touch_must(bytes != NULL && starts != NULL);
    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + sizeof(head), data + 1, len - 1);

    mesh_snapshot_t s;
    touch_must(mesh_snapshot_init(&s, bytes, size, size, starts) == MESH_OK);
    mesh_status_t rc;
    do {
        const uint64_t before = s.verified;
        rc = mesh_snapshot_verify(&s, size & ~UINT64_C(7), budget);
        touch_must(rc != MESH_AGAIN || s.verified > before);
    } while (rc == MESH_AGAIN);
    touch_must(s.verified <= size);

    (void)touch_all_records(&s);
    (void)touch_everything(&s);
    for (mesh_ref_t ref = 0; ref < size / 8 + 2; ref++) {
        (void)mesh_snapshot_root_end(bytes, size, ref);
    }

    /* and whatever the bytes are, with a head of their own */
    if (mesh_snapshot_init(&s, data, len, len, starts) != MESH_OK) {
        touch_must(s.error.reason != NULL);
    }
    free(starts);
    free(bytes);
    return 0;
}
