/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The short way for the YAML that generators and most people write.
 */

#ifndef MODEL_YAML_PLAIN_H
#define MODEL_YAML_PLAIN_H

#include "model_node.h"

/*
 * The tree, or NULL without an error: the text has something that this
 * reader leaves to libyaml, or a mistake.  `text` has passed
 * model_text_accept().
 */
model_node_t *model_yaml_plain(arena_t *arena, const char *file,
                               mesh_str_t text);

/* libyaml's reading of any text, with errors. */
model_node_t *model_yaml_full(arena_t *arena, const char *file, mesh_str_t text,
                              model_errors_t *errors);

#endif /* MODEL_YAML_PLAIN_H */
