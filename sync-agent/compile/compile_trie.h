/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The path trie of one virtual host; the layout is mesh_trie_node_t's.
 */

#ifndef COMPILE_TRIE_H
#define COMPILE_TRIE_H

#include "mesh_writer.h"
#include "model.h"

/*
 * A TRIE over the paths of the routes, which are numbered as they stand.
 * 0: no routes, or the writer failed.
 */
mesh_ref_t compile_trie(mesh_writer_t *w, const model_route_t *routes,
                        uint32_t count);

#endif /* COMPILE_TRIE_H */
