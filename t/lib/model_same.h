/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Do two parts say the same?  Places, the part's own name, version and time
 * count for nothing, and neither does the order of resources.
 */

#ifndef MODEL_SAME_H
#define MODEL_SAME_H

#include "model.h"

#define MODEL_SAME_MAX 256

/*
 * NULL, or where they differ first: "cluster \"a\": lb", in `where`, which has
 * MODEL_SAME_MAX bytes.
 */
const char *model_same(const model_part_t *a, const model_part_t *b,
                       char where[MODEL_SAME_MAX]);

#endif /* MODEL_SAME_H */
