/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Host and service names in endpoint sets of other parts, as one part:
 * an endpoint set for each of them, whose addresses are what its names
 * resolve to now.
 */

#ifndef SOURCE_DNS_H
#define SOURCE_DNS_H

#include "source.h"

#define SOURCE_DNS_PART "@dns" /* no file's or stream's name */

/* A set waits for its first answer this long before it is published without. */
#define SOURCE_DNS_WAIT_MS 2000

extern const source_ops_t source_dns_ops;

/*
 * What an earlier process made of a set, for the time until there is an
 * answer: false, or *set, in the arena.
 */
typedef bool (*source_dns_before_pt)(void *ctx, arena_t *arena, mesh_str_t name,
                                     model_endpoint_set_t *set);

/* NULL with *error (static text). */
source_t *source_dns_open(const agent_config_dns_t *config,
                          const source_sink_t *sink,
                          source_dns_before_pt before, void *ctx,
                          const char **error);

/*
 * The parts whose named sets are to be resolved, in force and coming; they
 * are read in this call only.
 */
void source_dns_follow(source_t *source, const model_part_t *const *parts,
                       uint32_t count, uint64_t now_ms);

/*
 * CLOCK_MONOTONIC milliseconds until which a publishing should wait for first
 * answers; 0: there is nothing to wait for.
 */
uint64_t source_dns_wait(const source_t *source);

#endif /* SOURCE_DNS_H */
