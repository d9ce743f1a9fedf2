/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Capturing; see capture.h.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"

/* Descriptor `fd` is a file in memory from now on; what it was is kept. */
static int divert(int fd, int *kept, const char *content) {
    int file = memfd_create("capture", MFD_CLOEXEC);

    assert_int_not_equal(file, -1);
    if (content != NULL) {
        assert_int_equal(write(file, content, strlen(content)),
                         strlen(content));
        assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    }
    *kept = dup(fd);
    assert_int_equal(dup2(file, fd), fd);
    return file;
}

static char *restore(int fd, int kept, int file) {
    off_t size = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);

    assert_non_null(text);
    assert_int_equal(pread(file, text, (size_t)size, 0), size);
    assert_int_equal(dup2(kept, fd), fd);
    close(kept);
    close(file);
    return text;
}

capture_t capture(int (*f)(void *ctx), void *ctx, const char *input) {
    int kept[3];
    int files[3];
    capture_t captured;

    fflush(stdout);
    fflush(stderr);
    files[0] = divert(0, &kept[0], input ? input : "");
    files[1] = divert(1, &kept[1], NULL);
    files[2] = divert(2, &kept[2], NULL);
    captured.code = f(ctx);
    fflush(stdout);
    fflush(stderr);
    captured.err = restore(2, kept[2], files[2]);
    captured.out = restore(1, kept[1], files[1]);
    free(restore(0, kept[0], files[0]));
    return captured;
}

void capture_free(capture_t *captured) {
    free(captured->out);
    free(captured->err);
}
