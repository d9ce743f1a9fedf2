/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A model as Envoy's resources: in the forms that protobuf's JSON and Envoy's
 * messages leave open.
 */

#ifndef XDS_TEXT_H
#define XDS_TEXT_H

#include "model.h"
#include "rng.h"

/*
 * Takes out of a random part what Envoy's resources cannot say, and puts in
 * what they always say; names of routes become those that the loader gives.
 */
void xds_text_fit(arena_t *arena, model_part_t *part);

/* A document of such a part; free() it. */
char *xds_text_json(const model_part_t *part, rng_t *rng);

#endif /* XDS_TEXT_H */
