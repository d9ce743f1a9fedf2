/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files and directories as sources.
 */

#ifndef SOURCE_FILE_H
#define SOURCE_FILE_H

#include "source.h"

#define SOURCE_FILES_MAX 4096 /* in one directory */

/*
 * A file that is open for writing is left alone until it is closed, but not
 * longer than this: some writers never close.
 */
#define SOURCE_WRITING_MS 1000

/* How often is looked at what no event tells of, or cannot be read now. */
#define SOURCE_BLIND_MS 1000

/*
 * A file may be away for a moment while an editor renames: vim moves the old
 * one to its backup name before it writes the new one.
 */
#define SOURCE_GONE_MS 200

extern const source_ops_t source_file_ops;
extern const source_ops_t source_directory_ops;

#endif /* SOURCE_FILE_H */
