/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Documents of Envoy's resources to a part.
 */

#ifndef XDS_FIXTURE_H
#define XDS_FIXTURE_H

#include "../model/model_fixture.h"
#include "xds.h"

/* Several documents, one part. */
static inline const char *load(fixture_t *f, const char *const *texts) {
    fixture_open(f);
    xds_t *xds = xds_new(f->arena, &f->errors, false);
    for (; *texts != NULL; texts++) {
        const model_node_t *root = model_node_from_yaml(
            f->arena, "f", mesh_str_from(*texts), &f->errors);
        if (root == NULL) {
            fail_msg("%s: %s", *texts, fixture_messages(f));
            return NULL;
        }
        assert_true(xds_recognize(root));
        xds_add(xds, "f", root);
    }
    f->part = xds_part(xds, "resources");
    return fixture_messages(f);
}

#define texts(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline const char *good(fixture_t *f, const char *const *all) {
    const char *messages = load(f, all);

    if (f->errors.errors != 0) {
        fail_msg("%s", messages);
    }
    return messages;
}

#endif /* XDS_FIXTURE_H */
