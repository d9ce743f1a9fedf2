/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A model as somebody may write it: fields in any order, defaults said or
 * not, short forms or long ones, in JSON or in YAML's block and flow styles.
 */

#ifndef MODEL_TEXT_H
#define MODEL_TEXT_H

#include "model.h"
#include "rng.h"

/* A document that decodes to the part; free() it. */
char *model_text_json(const model_part_t *part, rng_t *rng);
char *model_text_yaml(const model_part_t *part, rng_t *rng);

#endif /* MODEL_TEXT_H */
