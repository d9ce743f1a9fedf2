/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A document of JSON's values in YAML's words: block and flow styles, quotes
 * of both kinds or none, comments and empty lines, as the dice fall.
 */

#ifndef RANDOM_YAML_H
#define RANDOM_YAML_H

#include <cjson/cJSON.h>

#include "rng.h"

/* free() it. */
char *random_yaml(const cJSON *document, rng_t *rng);

#endif /* RANDOM_YAML_H */
