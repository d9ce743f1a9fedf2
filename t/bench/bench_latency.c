/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Latency at a rate that is offered whatever comes back.
 *
 *     bench_latency PORT PATH RATE SECONDS SEED
 *                          count, failures, and p50, p90, p99, p99.9 and the
 *                          longest, in microseconds
 *     bench_latency silent PORT
 *                          takes connections, reads, and never answers
 *
 * Requests are due at times of a Poisson process that the seed fixes, and
 * their latency is counted from when they were due: one that waits for a
 * connection because others are slow is slow too.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rng.h"

#define CONNECTIONS 64
#define EVENTS 64
#define PRIORITY 20 /* above the proxy's and the endpoints' */
#define WARM_UP_NS 500000000
#define GRACE_NS 3000000000

typedef struct {
    int fd;
    bool busy;
    uint64_t due;
    size_t len;
    char answer[8192];
} connection_t;

typedef struct {
    connection_t connections[CONNECTIONS];
    char request[1024];
    size_t request_len;
    int epoll;
    int port;
    uint32_t *taken;
    size_t count;
    size_t room;
    uint64_t counted_from;
    uint64_t failures;
    uint64_t waiting; /* due, and not sent yet */
    uint64_t *due;    /* of those, a ring of DUE_MAX */
    uint64_t head;
} bench_t;

#define DUE_MAX 65536

static uint64_t now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in address_of(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

/* --- load ----------------------------------------------------------------- */

static void open_connection(bench_t *b, connection_t *c) {
    struct sockaddr_in to = address_of(b->port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;

    c->busy = false;
    c->len = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd == -1 || connect(c->fd, (void *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void fail(bench_t *b, connection_t *c) {
    b->failures += c->busy;
    close(c->fd);
    open_connection(b, c);
}

static void send_due(bench_t *b, connection_t *c) {
    c->due = b->due[b->head++ % DUE_MAX];
    b->waiting--;
    c->busy = true;
    c->len = 0;
    if (send(c->fd, b->request, b->request_len, MSG_NOSIGNAL) !=
        (ssize_t)b->request_len) {
        fail(b, c);
    }
}

static void send_waiting(bench_t *b) {
    for (size_t i = 0; i < CONNECTIONS && b->waiting; i++) {
        if (!b->connections[i].busy) {
            send_due(b, &b->connections[i]);
        }
    }
}

/* Of a whole 200 in the buffer; false: more is to come. */
static bool is_whole(const connection_t *c) {
    const char *end = memmem(c->answer, c->len, "\r\n\r\n", 4);
    const char *length = strcasestr(c->answer, "\r\ncontent-length:");

    if (end == NULL || length == NULL || length > end) {
        return false;
    }
    size_t head = (size_t)(end + 4 - c->answer);
    return c->len == head + strtoul(length + 17, NULL, 10);
}

static void take(bench_t *b, connection_t *c) {
    ssize_t n = recv(c->fd, c->answer + c->len, sizeof(c->answer) - 1 - c->len,
                     MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0 || !c->busy) {
        fail(b, c);
        return;
    }
    c->len += (size_t)n;
    c->answer[c->len] = '\0';
    if (!is_whole(c)) {
        return;
    }

    uint64_t now = now_ns();

    c->busy = false;
    b->failures += strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0;
    if (c->due >= b->counted_from && b->count < b->room) {
        b->taken[b->count++] =
            (uint32_t)mesh_min((now - c->due) / 1000, UINT32_MAX);
    }
    if (b->waiting) {
        send_due(b, c);
    }
}

static void wait_until(bench_t *b, uint64_t due) {
    struct epoll_event events[EVENTS];
    uint64_t now = now_ns();
    uint64_t left = due > now ? due - now : 0;
    struct timespec t = {.tv_sec = (time_t)(left / 1000000000),
                         .tv_nsec = (long)(left % 1000000000)};
    int n = epoll_pwait2(b->epoll, events, EVENTS, &t, NULL);

    for (int i = 0; i < n; i++) {
        take(b, events[i].data.ptr);
    }
}

static bool any_busy(const bench_t *b) {
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (b->connections[i].busy) {
            return true;
        }
    }
    return b->waiting != 0;
}

static double exponential(rng_t *rng) {
    return -log(((double)(rng_next(rng) >> 11) + 1) / 9007199254740993.0);
}

static void run(bench_t *b, double rate, double seconds, uint64_t seed) {
    rng_t rng = {.state = seed};
    uint64_t begin = now_ns();
    uint64_t end = begin + WARM_UP_NS + (uint64_t)(seconds * 1e9);
    uint64_t due = begin;

    b->counted_from = begin + WARM_UP_NS;
    while (due < end) {
        wait_until(b, due);
        while (due <= now_ns() && due < end && b->waiting < DUE_MAX) {
            b->due[(b->head + b->waiting++) % DUE_MAX] = due;
            due += (uint64_t)(exponential(&rng) * 1e9 / rate);
        }
        send_waiting(b);
    }
    while (any_busy(b) && now_ns() < end + GRACE_NS) {
        wait_until(b, now_ns() + 10000000);
    }
    b->failures += any_busy(b);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint32_t part(const bench_t *b, double p) {
    size_t i = (size_t)(p * (double)b->count);

    return b->count ? b->taken[i < b->count ? i : b->count - 1] : 0;
}

static int load(char **argv) {
    static bench_t b;
    double rate = atof(argv[3]);
    double seconds = atof(argv[4]);

    /* Whoever waits for the load is not measured; may be refused. */
    (void)sched_setscheduler(0, SCHED_FIFO,
                             &(struct sched_param){.sched_priority = PRIORITY});
    prctl(PR_SET_TIMERSLACK, 1);
    b.port = (int)strtol(argv[1], NULL, 10);
    b.request_len = (size_t)snprintf(b.request, sizeof(b.request),
                                     "GET %s HTTP/1.1\r\nHost: shop.local\r\n"
                                     "User-Agent: bench\r\nAccept: */*\r\n\r\n",
                                     argv[2]);
    b.room = (size_t)(rate * seconds * 2) + 1000;
    b.taken = calloc(b.room, sizeof(*b.taken));
    b.due = calloc(DUE_MAX, sizeof(*b.due));
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (b.taken == NULL || b.due == NULL || b.epoll == -1 ||
        b.request_len >= sizeof(b.request)) {
        die("bench_latency");
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        open_connection(&b, &b.connections[i]);
    }
    run(&b, rate, seconds, strtoull(argv[5], NULL, 10));
    qsort(b.taken, b.count, sizeof(*b.taken), ascending);
    printf("%zu %llu %u %u %u %u %u\n", b.count, (unsigned long long)b.failures,
           part(&b, 0.5), part(&b, 0.9), part(&b, 0.99), part(&b, 0.999),
           part(&b, 1));
    return 0;
}

/* --- a target that never answers ------------------------------------------ */

static _Noreturn void silent(int port) {
    static char thrown_away[65536];
    struct sockaddr_in at = address_of(port);
    struct epoll_event event = {.events = EPOLLIN};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int one = 1;

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    event.data.fd = s;
    if (bind(s, (void *)&at, sizeof(at)) != 0 || listen(s, 4096) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, s, &event) != 0) {
        die("silent");
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;

            if (fd != s) {
                if (recv(fd, thrown_away, sizeof(thrown_away), 0) <= 0) {
                    close(fd);
                }
                continue;
            }
            event.data.fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
            if (event.data.fd != -1) {
                epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
            }
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "silent") == 0) {
        silent((int)strtol(argv[2], NULL, 10));
    }
    if (argc == 6) {
        return load(argv);
    }
    fprintf(stderr, "usage: bench_latency PORT PATH RATE SECONDS SEED\n"
                    "       bench_latency silent PORT\n");
    return 2;
}
