/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The path trie of one virtual host; the layout is mesh_trie_node_t's.
 */

#ifndef COMPILE_TRIE_H
#define COMPILE_TRIE_H

#include "mesh_writer.h"
#include "model.h"

/*
 * A TRIE over the paths of the routes, which are numbered as they stand:
 * `folded`, of those whose case is ignored, else of the others.
 * 0: no routes, or none in a folded one, or the writer failed.
 */
mesh_ref_t compile_trie(mesh_writer_t *w, const model_route_t *routes,
                        uint32_t count, bool folded);

#endif /* COMPILE_TRIE_H */
