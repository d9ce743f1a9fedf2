/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Maps by name that follow the mesh: what was collected last is compared
 * with what is collected now, and the MAP is made from the one before.
 */

#ifndef COMPILE_MAP_H
#define COMPILE_MAP_H

#include "compile_memory.h"

/* Entries of a map, being collected. */
typedef struct {
    mesh_map_entry_t *v;
    uint32_t count;
    uint32_t room;
} compile_entries_t;

void compile_entries_reserve(compile_entries_t *entries, uint32_t count);
void compile_entries_add(compile_entries_t *entries, mesh_ref_t name,
                         mesh_ref_t value, uint32_t aux);

/* A map as it was made last; zeroed it is empty. */
typedef struct {
    compile_entries_t entries; /* in the order in which they were collected */
    mesh_ref_t map;            /* 0: none, or nothing is known */
} compile_map_t;

/*
 * The MAP of these entries, which it takes over; their names differ.  Costs
 * one comparison of the entries and the leaves that changed.  0: there are
 * none, or the writer failed.
 */
mesh_ref_t compile_map_follow(mesh_writer_t *w, compile_map_t *map,
                              uint16_t value_kind, compile_entries_t *entries);

/* Whatever did not come along is put afresh next time. */
void compile_map_move(compile_map_t *map, const compile_moved_t *moved);
void compile_map_free(compile_map_t *map);

/* --- MAPs of a writer ---------------------------------------------------- */

/* The entry of that name, or NULL; valid until the next put. */
const mesh_map_entry_t *compile_map_find(const mesh_writer_t *w, mesh_ref_t map,
                                         mesh_ref_t name);

/* One name whose entries in two maps differ. */
typedef struct {
    mesh_map_entry_t before; /* name 0: it is new */
    mesh_map_entry_t after;  /* name 0: it is gone */
} compile_diff_t;

typedef struct {
    compile_diff_t *v;
    uint32_t count;
    uint32_t room;
} compile_diffs_t;

/* Adds what differs; equal leaves are not looked at. */
void compile_map_diff(const mesh_writer_t *w, mesh_ref_t before,
                      mesh_ref_t after, compile_diffs_t *diffs);
void compile_diffs_free(compile_diffs_t *diffs);

/* Changes for mesh_writer_update_map(), being collected. */
typedef struct {
    mesh_map_change_t *v;
    uint32_t count;
    uint32_t room;
} compile_changes_t;

void compile_changes_put(compile_changes_t *changes, mesh_ref_t name,
                         mesh_ref_t value, uint32_t aux);
void compile_changes_gone(compile_changes_t *changes, mesh_ref_t name);
void compile_changes_free(compile_changes_t *changes);

#endif /* COMPILE_MAP_H */
