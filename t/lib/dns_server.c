/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A DNS server for tests; see dns_server.h.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dns_server.h"
#include "mesh_atomic.h"
#include "rng.h"

#define RECORDS 64
#define HEAD 12
#define TYPE_A 1
#define TYPE_AAAA 28
#define TYPE_SRV 33
#define NXDOMAIN 3
#define SERVFAIL 2
#define FORMERR 1

typedef struct {
    char name[64];
    uint16_t type;
    uint32_t ttl_s;
    uint32_t count;
    struct {
        uint16_t len;
        uint8_t data[96];
    } v[DNS_SERVER_ADDRESSES];
} record_t;

struct dns_table_s {
    uint32_t lock; /* odd: being changed */
    uint32_t asked;
    uint32_t mode;
    char other[64];      /* the name that has a mode of its own; "": none */
    uint16_t other_type; /* 0: all */
    uint32_t other_mode;
    uint32_t count;
    record_t records[RECORDS];
};

/* --- the table ------------------------------------------------------------ */

static void change(dns_table_t *t) {
    mesh_store_release(&t->lock, t->lock + 1);
}

static record_t *record_of(dns_table_t *t, const char *name, uint16_t type) {
    for (uint32_t i = 0; i < t->count; i++) {
        record_t *r = &t->records[i];

        if (r->type == type && strcasecmp(r->name, name) == 0) {
            return r;
        }
    }
    assert_true(t->count < RECORDS);
    record_t *r = &t->records[t->count++];
    *r = (record_t){.type = type};
    snprintf(r->name, sizeof(r->name), "%s", name);
    return r;
}

static uint8_t *put_name(uint8_t *p, const char *name) {
    while (*name != '\0') {
        size_t len = strcspn(name, ".");
        *p++ = (uint8_t)len;
        memcpy(p, name, len);
        p += len;
        name += len + (name[len] == '.');
    }
    *p++ = 0;
    return p;
}

static uint8_t *put_16(uint8_t *p, unsigned value) {
    *p++ = (uint8_t)(value >> 8);
    *p++ = (uint8_t)value;
    return p;
}

/* One address or service; the text behind it. */
static const char *put_one(record_t *r, const char *text) {
    uint8_t *data = r->v[r->count].data;
    uint8_t *p = data;
    char word[64];
    int used = 0;

    if (r->type == TYPE_SRV) {
        unsigned priority, weight, port;
        assert_int_equal(sscanf(text, "%u %u %u %63s%n", &priority, &weight,
                                &port, word, &used),
                         4);
        p = put_16(put_16(put_16(p, priority), weight), port);
        p = put_name(p, strcmp(word, ".") == 0 ? "" : word);
    } else {
        int family = r->type == TYPE_A ? AF_INET : AF_INET6;
        assert_int_equal(sscanf(text, "%63s%n", word, &used), 1);
        assert_int_equal(inet_pton(family, word, p), 1);
        p += r->type == TYPE_A ? 4 : 16;
    }
    r->v[r->count++].len = (uint16_t)(p - data);
    return text + used + strspn(text + used, " ");
}

static void set(dns_server_t *s, const char *name, uint16_t type,
                uint32_t ttl_s, const char *text) {
    change(s->table);
    record_t *r = record_of(s->table, name, type);
    r->ttl_s = ttl_s;
    r->count = 0;
    while (text != NULL && *text != '\0') {
        assert_true(r->count < DNS_SERVER_ADDRESSES);
        text = put_one(r, text);
    }
    change(s->table);
}

void dns_server_a(dns_server_t *s, const char *name, uint32_t ttl_s,
                  const char *addresses) {
    set(s, name, TYPE_A, ttl_s, addresses);
}

void dns_server_aaaa(dns_server_t *s, const char *name, uint32_t ttl_s,
                     const char *addresses) {
    set(s, name, TYPE_AAAA, ttl_s, addresses);
}

void dns_server_srv(dns_server_t *s, const char *name, uint32_t ttl_s,
                    const char *services) {
    set(s, name, TYPE_SRV, ttl_s, services);
}

void dns_server_forget(dns_server_t *s, const char *name) {
    dns_table_t *t = s->table;

    change(t);
    for (uint32_t i = 0; i < t->count;) {
        if (*name == '\0' || strcasecmp(t->records[i].name, name) == 0) {
            t->records[i] = t->records[--t->count];
        } else {
            i++;
        }
    }
    change(t);
}

void dns_server_mode(dns_server_t *s, dns_server_mode_e mode) {
    mesh_store_release(&s->table->mode, (uint32_t)mode);
}

void dns_server_mode_of(dns_server_t *s, const char *name, const char *type,
                        dns_server_mode_e mode) {
    change(s->table);
    s->table->other_type = type == NULL             ? 0
                           : strcmp(type, "A") == 0 ? TYPE_A
                                                    : TYPE_AAAA;
    snprintf(s->table->other, sizeof(s->table->other), "%s", name);
    s->table->other_mode = (uint32_t)mode;
    change(s->table);
}

uint32_t dns_server_asked(const dns_server_t *s) {
    return mesh_load_acquire(&s->table->asked);
}

/* --- the child ------------------------------------------------------------ */

/* The question's name as text, and what is behind its type and class. */
static const uint8_t *take_question(const uint8_t *q, size_t len,
                                    char name[256], uint16_t *type) {
    const uint8_t *p = q + HEAD, *end = q + len;
    size_t n = 0;

    while (p < end && *p != 0 && n + *p + 1 < 256 && p + *p < end) {
        memcpy(name + n, p + 1, *p);
        n += *p;
        name[n++] = '.';
        p += *p + 1;
    }
    name[n ? n - 1 : 0] = '\0';
    if (p + 5 > end) {
        return NULL;
    }
    *type = (uint16_t)(p[1] << 8 | p[2]);
    return p + 5;
}

static size_t answer(dns_table_t *t, const uint8_t *q, size_t len,
                     uint8_t *out) {
    char name[256];
    uint16_t type;
    const uint8_t *end = len > HEAD ? take_question(q, len, name, &type) : NULL;
    bool known = false;
    unsigned count = 0;

    if (end == NULL) {
        return 0;
    }
    if (t->other[0] != '\0' && strcasecmp(t->other, name) == 0 &&
        (t->other_type == 0 || t->other_type == type)) {
        t->mode = t->other_mode;
    }
    uint8_t *p = out + (end - q);
    memcpy(out, q, (size_t)(end - q));
    for (uint32_t i = 0; i < t->count; i++) {
        const record_t *r = &t->records[i];
        bool own = strcasecmp(r->name, name) == 0;

        known |= own;
        for (uint32_t k = 0; own && r->type == type && k < r->count; k++) {
            p = put_16(p, 0xc000 | HEAD); /* the name in the question */
            p = put_16(put_16(p, type), 1);
            p = put_16(put_16(p, r->ttl_s >> 16), r->ttl_s & 0xffff);
            p = put_16(p, r->v[k].len);
            memcpy(p, r->v[k].data, r->v[k].len);
            p += r->v[k].len;
            count++;
        }
    }
    unsigned rcode = t->mode == DNS_SERVER_BROKEN    ? SERVFAIL
                     : t->mode == DNS_SERVER_FORMERR ? FORMERR
                     : known                         ? 0
                                                     : NXDOMAIN;
    put_16(put_16(out + 2, 0x8180 | rcode), 1);
    put_16(put_16(put_16(out + 6, rcode ? 0 : count), 0), 0);
    return rcode ? (size_t)(end - q) : (size_t)(p - out);
}

/* A copy that is not half changed. */
static void copy_table(const dns_table_t *shared, dns_table_t *copy) {
    do {
        memcpy(copy, shared, sizeof(*copy));
    } while ((copy->lock & 1) ||
             mesh_load_acquire(&shared->lock) != copy->lock);
}

static _Noreturn void serve(int fd, dns_table_t *shared) {
    static dns_table_t t;
    static uint8_t q[4096], out[8192];
    rng_t rng = {1};

    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(fd, q, sizeof(q), 0, (void *)&from, &size);

        if (n <= 0) {
            continue;
        }
        (void)mesh_fetch_add(&shared->asked, 1);
        copy_table(shared, &t);
        size_t len = answer(&t, q, (size_t)n, out);
        if (len == 0 || t.mode == DNS_SERVER_SILENT) {
            continue;
        }
        for (size_t i = HEAD; t.mode == DNS_SERVER_GARBAGE && i < len; i++) {
            out[i] = (uint8_t)rng_next(&rng);
        }
        len = t.mode == DNS_SERVER_CUT ? len / 2 : len;
        (void)sendto(fd, out, len, 0, (void *)&from, size);
    }
}

void dns_server_start(dns_server_t *s) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (void *)&address, size), 0);
    assert_int_equal(getsockname(fd, (void *)&address, &size), 0);
    snprintf(s->at, sizeof(s->at), "127.0.0.1:%u", ntohs(address.sin_port));
    s->table = mmap(NULL, sizeof(*s->table), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(s->table, MAP_FAILED);
    fflush(stdout);
    fflush(stderr);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        serve(fd, s->table);
    }
    close(fd);
}

void dns_server_stop(dns_server_t *s) {
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    munmap(s->table, sizeof(*s->table));
}
