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

extern const source_ops_t source_file_ops;
extern const source_ops_t source_directory_ops;

#endif /* SOURCE_FILE_H */
