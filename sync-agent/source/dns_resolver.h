/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names that are looked up again and again, by c-ares: when their time to
 * live is over, and after a failure by a growing interval.
 *
 * A name that exists has the addresses of its latest answer.  An answer that
 * says that there is none (NXDOMAIN, no data) is an answer, too: a headless
 * service without a ready pod looks like that.  A failure (no server answers,
 * SERVFAIL) is none: the addresses of before go on.  So it is if one family
 * fails and the other has nothing; where that has addresses, they are all.
 *
 * One thread: that of the agent's loop.  Times are CLOCK_MONOTONIC
 * milliseconds.
 */

#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include "mesh_base.h"
#include "mesh_format.h"

#define DNS_NAMES_MAX 65536    /* names asked for at a time */
#define DNS_UNDER_WAY_MAX 64   /* of these at a time; more overrun sockets */
#define DNS_RETRIES_MAX 32     /* of those: names that failed before */
#define DNS_ADDRESSES_MAX 1024 /* of one name; more are left out */
#define DNS_NAME_MAX 255
#define DNS_WHY_MAX (DNS_NAME_MAX + 64)
#define DNS_RETRY_MS 1000 /* after a failure, doubled with each */
#define DNS_RETRY_MAX_MS 30000

typedef enum {
    DNS_V4_PREFERRED, /* IPv6 only if there is no IPv4 */
    DNS_V4,
    DNS_V6,
    DNS_ALL,
} dns_family_e;

typedef struct {
    uint8_t family; /* mesh_family_e, IPv4 or IPv6 */
    uint8_t addr[16];
    uint16_t port;   /* of SRV; else 0 */
    uint32_t weight; /* of SRV; else 1 */
} dns_address_t;

/* What is asked; two are the same question if all of it is the same. */
typedef struct {
    mesh_str_t name;
    bool srv;
    dns_family_e family;
} dns_question_t;

typedef enum {
    DNS_ASKED,    /* nothing came back yet */
    DNS_ANSWERED, /* `v` is what the latest answer said */
    DNS_FAILED,   /* `v` is of before; `why` tells */
} dns_state_e;

typedef struct {
    dns_state_e state;
    bool known;      /* there was an answer, at some time */
    const char *why; /* it failed, is empty or lacks targets: static text */
    uint32_t count;
    const dns_address_t *v; /* in order; differ */
    uint64_t asked_ms;      /* since when it is asked for */
    uint64_t since_ms;      /* of `why`: all is lost since, or some of it is */
    uint64_t had_ms;        /* of the latest that had addresses; 0: none did */
    uint64_t next_ms;       /* asked again then; UINT64_MAX: it is under way */
    uint32_t changes;       /* so often it became another one */
    uint32_t targets;       /* SRV: of the best priority */
    uint32_t missing;       /* those of them that `why` is true of */
    const char *target;     /* the first of these; NULL: of none */
} dns_answer_t;

typedef struct {
    const char *servers; /* "127.0.0.1:53,[::1]:53"; NULL: the system's */
    uint32_t min_ttl_ms;
    uint32_t max_ttl_ms;
    uint32_t timeout_ms; /* of one try; three are made */

    /* An answer is another one, or its state is. */
    void (*changed)(void *ctx);
    void *ctx;
} dns_options_t;

typedef struct dns_resolver_s dns_resolver_t;

/* NULL with *error, static text. */
dns_resolver_t *dns_resolver_new(const dns_options_t *options,
                                 const char **error);
void dns_resolver_free(dns_resolver_t *r); /* NULL is fine */

/*
 * A round: begin, ask for every name of interest, end.  What was not asked
 * for in the round is forgotten, with its answer; NULL: too many names.
 */
void dns_resolver_begin(dns_resolver_t *r);
const dns_answer_t *dns_resolver_ask(dns_resolver_t *r,
                                     const dns_question_t *question,
                                     uint64_t now_ms);
void dns_resolver_end(dns_resolver_t *r);

/* Readable: call `ready`; also when `due` is over. */
int dns_resolver_fd(const dns_resolver_t *r);
void dns_resolver_ready(dns_resolver_t *r, uint64_t now_ms);
uint64_t dns_resolver_due(const dns_resolver_t *r, uint64_t now_ms);

/* "NXDOMAIN" or, with a target, "timeout of b.test": `out`. */
const char *dns_why_text(const char *why, const char *target,
                         char out[DNS_WHY_MAX]);

/*
 * The smallest time to live, in seconds, of the answers in a reply, which are
 * bytes from outside; `fallback` if it has none or cannot be read.
 */
uint32_t dns_reply_ttl(const uint8_t *reply, size_t len, uint32_t fallback);

#endif /* DNS_RESOLVER_H */
