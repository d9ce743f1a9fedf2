/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The decoder's tables as JSON Schema (draft 2020-12), for editors and for
 * other programs' tests.  A document that it refuses is refused by the
 * decoder; what the decoder refuses on top of it (rules between values,
 * names that are there twice, what is inside of a text) no schema can say.
 */

#ifndef MODEL_SCHEMA_H
#define MODEL_SCHEMA_H

#include <cjson/cJSON.h>

#define MODEL_SCHEMA_DRAFT "https://json-schema.org/draft/2020-12/schema"

/* Of the mesh's files; the caller deletes it. */
cJSON *model_schema(void);

/*
 * What a row says in JSON Schema's words, with ' instead of ".  It is a
 * mistake of ours if it is none.
 */
cJSON *model_schema_words(const char *words);

#endif /* MODEL_SCHEMA_H */
