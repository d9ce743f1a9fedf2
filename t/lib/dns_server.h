/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A DNS server in a child process of the test, on a port of 127.0.0.1, with
 * records that the test changes while it runs.  What it was not told of does
 * not exist (NXDOMAIN); a name that it knows has no data of other types.
 */

#ifndef DNS_SERVER_H
#define DNS_SERVER_H

#include <sys/types.h>

#include "mesh_base.h"

#define DNS_SERVER_ADDRESSES 8 /* of a name and type */

typedef enum {
    DNS_SERVER_RIGHT,   /* as it should be */
    DNS_SERVER_SILENT,  /* no answer at all */
    DNS_SERVER_BROKEN,  /* SERVFAIL, after which clients try again */
    DNS_SERVER_FORMERR, /* after which they do not */
    DNS_SERVER_GARBAGE, /* random bytes behind the head */
    DNS_SERVER_CUT,     /* half of the answer */
} dns_server_mode_e;

typedef struct dns_table_s dns_table_t;

typedef struct {
    char at[32]; /* "127.0.0.1:port" */
    pid_t pid;
    dns_table_t *table; /* shared with the child */
} dns_server_t;

void dns_server_start(dns_server_t *s);
void dns_server_stop(dns_server_t *s);

/*
 * All that the name has of that type: IPv4 and IPv6 addresses with blanks
 * between; of SRV "priority weight port target" each.  NULL: nothing.
 */
void dns_server_a(dns_server_t *s, const char *name, uint32_t ttl_s,
                  const char *addresses);
void dns_server_aaaa(dns_server_t *s, const char *name, uint32_t ttl_s,
                     const char *addresses);
void dns_server_srv(dns_server_t *s, const char *name, uint32_t ttl_s,
                    const char *services);

/* The name does not exist any more; "": none does. */
void dns_server_forget(dns_server_t *s, const char *name);

/* How it answers from now on, whatever it is asked. */
void dns_server_mode(dns_server_t *s, dns_server_mode_e mode);

/* For one name instead, and one type ("A"; NULL: all); "": for no name. */
void dns_server_mode_of(dns_server_t *s, const char *name, const char *type,
                        dns_server_mode_e mode);

/* How often it was asked. */
uint32_t dns_server_asked(const dns_server_t *s);

#endif /* DNS_SERVER_H */
