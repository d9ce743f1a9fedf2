/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The texts of parts that are in force, kept in the state directory, so that
 * the next agent has the last good of a part whose content is broken by then:
 * <state>/parts/<digest of the name>.part holds a line "VERSION NAME" and the
 * text as it was read.
 *
 * Written after the publishing; not synced, as the version tells a text that
 * is whole.  Parts that are told over the socket have a journal instead.
 */

#ifndef AGENT_KEPT_H
#define AGENT_KEPT_H

#include "mesh_base.h"
#include "model.h"
#include "source_bundle.h"

/*
 * Keeps the part's text unless it is there already.  false: it cannot be
 * written, with errno.
 */
bool agent_kept_write(const char *state, const model_part_t *part);

void agent_kept_remove(const char *state, const char *part);

/*
 * The part as it was kept.  NULL with a reason in `error`: it was not, it is
 * not whole, its version is another one than `version` (NULL: any will do),
 * or it is refused today.
 */
source_bundle_t *agent_kept_read(const char *state, const char *part,
                                 const char *version, char *error, size_t size);

/*
 * Tells of each part that is kept whole: its name, and the version.  Texts
 * are not read: agent_kept_read() sees whether one is what it says.
 */
typedef void (*agent_kept_pt)(void *ctx, const char *name, const char *version);
void agent_kept_each(const char *state, agent_kept_pt each, void *ctx);

/* Removes what is kept of parts with other names than these. */
void agent_kept_sweep(const char *state, const char *const *parts,
                      uint32_t count);

#endif /* AGENT_KEPT_H */
