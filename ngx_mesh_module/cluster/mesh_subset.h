/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names of the subsets that selectors make of endpoints' labels:
 * "stage=prod,version=v2", with keys in order, each once.  Bytes that names
 * cannot have, and those that have a meaning here, are %XX: so a set of
 * labels has one name, and what may name a subset may name these.
 *
 * What they are for: Envoy's load balancer subsets, whose requests carry
 * labels (metadata_match) and whose clusters say which keys divide them.
 */

#ifndef MESH_SUBSET_H
#define MESH_SUBSET_H

#include "mesh_base.h"


#define MESH_SUBSET_NAME_MAX     1024
#define MESH_SUBSET_LABELS_MAX   64


/* Is it a name of that kind?  Others have no "=". */
static inline bool
mesh_subset_by_labels(mesh_str_t name)
{
    return name.len != 0 && memchr(name.data, '=', name.len) != NULL;
}

/*
 * Adds a label to a name of `len` bytes; `out` has room for
 * MESH_SUBSET_NAME_MAX, and labels come in order.  Returns the new length, or
 * one above MESH_SUBSET_NAME_MAX if it did not fit, then and ever after.
 */
size_t mesh_subset_put(char *out, size_t len, mesh_str_t key,
    mesh_str_t value);

/*
 * The same name as `text`, which may have its labels in any order and may
 * escape more than it must.  Returns the length, which is not above that of
 * the text, or 0: it is not such a name, is too long, or has a key twice.
 */
size_t mesh_subset_canonical(mesh_str_t text, char *out);

/*
 * Takes the next label off a name: `label` as it is written, and its key,
 * escaped.  false: there is none.
 */
bool mesh_subset_next(mesh_str_t *name, mesh_str_t *label, mesh_str_t *key);

/*
 * What escaped text means, into `out`, which has room for as many bytes.
 * Returns the length; SIZE_MAX: an escape is wrong or missing.
 */
size_t mesh_subset_unescape(mesh_str_t escaped, char *out);

/* Is that the key, which is written escaped? */
bool mesh_subset_is_key(mesh_str_t escaped, mesh_str_t key);


#endif /* MESH_SUBSET_H */
