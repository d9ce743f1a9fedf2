/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A part that somebody tells over a connection (`meshctl apply`): replaced
 * as a whole, or changed resource by resource.  Lines of a change:
 *
 *     {"upsert": {"clusters": {"a": {...}}, "hosts": [{...}]}}
 *     {"upsert": {"runtime": {"share.of.x": 10}}}
 *     {"remove": {"clusters": ["a"], "endpoints": ["b"], "hosts": ["c"]}}
 *     {"replace": {"clusters": {"a": {...}}}}
 *
 * Upserts have the shape of a whole document; what is in it is put or
 * replaced by name.  Removing a cluster removes its own endpoints, too; a
 * name that is not there is no error, so that a change may be repeated.
 * Hosts are meant in the document's "route_table" ({"name": ...}), else in
 * the default one.  A replacement is an upsert into an empty part.
 */

#ifndef SOURCE_STREAM_H
#define SOURCE_STREAM_H

#include "source.h"

typedef struct source_stream_s source_stream_t;

/* `name`: of the part among all sources. */
source_stream_t *source_stream_new(const char *name);
void source_stream_free(source_stream_t *stream);
const char *source_stream_name(const source_stream_t *stream);

/*
 * New content; false with errors: nothing changed.  On true the stream's
 * content is the new one, until source_stream_restore().  Of lines, errors of
 * all that are wrong are added, with their numbers from 1, as long as there
 * is room (MODEL_ERRORS_MAX); those of blanks are nothing.
 */
bool source_stream_replace(source_stream_t *stream, mesh_str_t text, bool json,
                           uint64_t unix_ms, model_errors_t *errors);
bool source_stream_change(source_stream_t *stream, mesh_str_t lines,
                          uint64_t unix_ms, model_errors_t *errors);

/* A line without a newline that is nothing: no bytes, or spaces. */
bool source_stream_is_blank(mesh_str_t line);

/* Its content now; the caller's to free. */
source_bundle_t *source_stream_bundle(const source_stream_t *stream);

/*
 * Goes back to content that source_stream_bundle() gave, after a change of
 * it was refused by rules across parts.  NULL: empty.
 */
void source_stream_restore(source_stream_t *stream,
                           const source_bundle_t *bundle);

#endif /* SOURCE_STREAM_H */
