/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Times to live of a DNS reply: no byte outside of it is read.
 */

#include <stdlib.h>
#include <string.h>

#include "dns_resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Of exactly that size, so that a byte more is seen. */
    uint8_t *copy = malloc(size ? size : 1);

    if (copy == NULL)
        return 0;
    if (size)
        memcpy(copy, data, size);
    uint32_t ttl = dns_reply_ttl(copy, size, 7);
    if (ttl != 7 && ttl > INT32_MAX)
        abort();
    free(copy);
    return 0;
}
