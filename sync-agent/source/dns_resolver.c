/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names by c-ares; see dns_resolver.h.
 */

#include "dns_resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent_log.h"

#define CLASS_IN 1
#define TYPE_SRV 33
#define TRIES 3
#define PORTS_MAX 4096 /* of one SRV answer */

typedef struct name_s name_t;

/* Addresses as they come in, until all parts of an answer are there. */
typedef struct {
    uint32_t count;
    uint32_t room;
    dns_address_t *v;
    uint32_t pending; /* queries that have not come back */
    uint32_t ttl_s;
    bool failed;      /* a part of the answer did not come */
    const char *why;  /* what is missing of it; NULL: nothing */
    char *target;     /* whose addresses; NULL: the name's own */
    uint32_t targets; /* of SRV */
    uint32_t missing;
} draft_t;

struct name_s {
    dns_answer_t answer;
    dns_question_t question;
    char text[DNS_NAME_MAX + 1];
    dns_resolver_t *resolver;
    bool forgotten; /* freed by its last query */
    bool used;      /* in this round */
    uint32_t failures;
    draft_t draft;
};

/* Addresses of a name: its own, or those of an SRV's target. */
typedef struct {
    name_t *name;
    char *host; /* of SRV; else NULL */
    uint16_t port;
    uint32_t weight;
    uint32_t pending; /* families that have not come back */
    bool any;         /* there are addresses */
    int status;       /* the worst of families without */
} target_t;

struct dns_resolver_s {
    dns_options_t options;
    ares_channel channel;
    int epoll_fd;
    uint32_t count;
    uint32_t room;
    name_t **names;     /* in order of question */
    uint32_t under_way; /* names that are asked for now, forgotten ones too */
    uint32_t retries;   /* of these: those that failed before */
    uint32_t next[2];   /* who waits for room: others, and failed before */
    uint64_t now_ms;
    bool changed;
};

static void *must(void *memory) {
    if (memory == NULL) {
        agent_log(AGENT_LOG_ERROR, "out of memory");
        abort();
    }
    return memory;
}

/* --- an answer ------------------------------------------------------------*/

static int by_address(const void *a, const void *b) {
    const dns_address_t *x = a, *y = b;
    int rc = x->family - y->family;

    if (rc == 0) {
        rc = memcmp(x->addr, y->addr, sizeof(x->addr));
    }
    return rc ? rc : (x->port > y->port) - (x->port < y->port);
}

static void draft_add(draft_t *draft, const dns_address_t *address) {
    if (draft->count == DNS_ADDRESSES_MAX) {
        return;
    }
    if (draft->count == draft->room) {
        draft->room = draft->room ? draft->room * 2 : 8;
        draft->v = must(realloc(draft->v, draft->room * sizeof(*draft->v)));
    }
    draft->v[draft->count++] = *address;
}

static void draft_sort(draft_t *draft) {
    uint32_t kept = 0;

    if (draft->count > 1) {
        qsort(draft->v, draft->count, sizeof(*draft->v), by_address);
    }
    for (uint32_t i = 0; i < draft->count; i++) {
        if (kept == 0 || by_address(&draft->v[kept - 1], &draft->v[i]) != 0) {
            draft->v[kept++] = draft->v[i];
        }
    }
    draft->count = kept;
}

/* IPv6 is left out if there is any IPv4, where that is preferred. */
static void draft_prefer(draft_t *draft) {
    uint32_t v4 = 0;

    for (uint32_t i = 0; i < draft->count; i++) {
        if (draft->v[i].family == MESH_FAMILY_IPV4) {
            draft->v[v4++] = draft->v[i];
        }
    }
    if (v4 != 0) {
        draft->count = v4;
    }
}

static bool same_weights(const dns_answer_t *answer, const draft_t *draft) {
    for (uint32_t i = 0; i < draft->count; i++) {
        if (by_address(&answer->v[i], &draft->v[i]) != 0 ||
            answer->v[i].weight != draft->v[i].weight) {
            return false;
        }
    }
    return true;
}

/* What the draft lacks is what the answer lacks, since now or since before. */
static void take_reason(name_t *name) {
    draft_t *draft = &name->draft;
    dns_answer_t *answer = &name->answer;
    bool some = !draft->failed && draft->count != 0;
    bool had_some = answer->state == DNS_ANSWERED && answer->count != 0;

    if (draft->why == NULL) {
        answer->since_ms = 0;
    } else if (answer->why == NULL || some != had_some) {
        answer->since_ms = name->resolver->now_ms;
    }
    free((void *)answer->target);
    answer->why = draft->why;
    answer->target = draft->target;
    answer->targets = draft->targets;
    answer->missing = draft->missing;
    draft->target = NULL;
}

const char *dns_why_text(const char *why, const char *target,
                         char out[DNS_WHY_MAX]) {
    snprintf(out, DNS_WHY_MAX, "%s%s%s", why, target ? " of " : "",
             target ? target : "");
    return out;
}

static void failed(name_t *name) {
    const draft_t *draft = &name->draft;
    uint32_t shift = mesh_min(name->failures, 5u);
    uint64_t wait_ms = mesh_min(DNS_RETRY_MS << shift, DNS_RETRY_MAX_MS);
    char text[DNS_WHY_MAX];

    name->failures++;
    name->answer.next_ms = name->resolver->now_ms + wait_ms;
    if (name->answer.state != DNS_FAILED || name->answer.why != draft->why) {
        name->resolver->changed = true;
        name->answer.changes++;
        agent_log(
            AGENT_LOG_WARN, "name cannot be resolved",
            agent_s("name", name->text),
            agent_s("error", dns_why_text(draft->why, draft->target, text)),
            agent_s("addresses",
                    name->answer.known ? "of before go on" : "none yet"));
    }
    take_reason(name);
    name->answer.state = DNS_FAILED;
}

/* Once for each time that addresses are lost, and when they are back. */
static void log_answer(const name_t *name) {
    const dns_answer_t *answer = &name->answer;
    const draft_t *draft = &name->draft;
    bool lost = answer->state != DNS_ANSWERED || answer->count != 0;
    char text[DNS_WHY_MAX];

    if (draft->count == 0 && lost) {
        agent_log(
            AGENT_LOG_WARN, "name has no addresses",
            agent_s("name", name->text),
            agent_s("why", dns_why_text(draft->why, draft->target, text)));
    } else if (draft->count != 0 && answer->why != NULL &&
               (answer->state == DNS_FAILED || answer->count == 0)) {
        agent_log(AGENT_LOG_INFO, "name has addresses again",
                  agent_s("name", name->text));
    }
}

static void answered(name_t *name) {
    const dns_options_t *options = &name->resolver->options;
    draft_t *draft = &name->draft;
    dns_answer_t *answer = &name->answer;
    /* That there is nothing is soon asked again. */
    uint64_t ttl_ms = draft->count ? (uint64_t)draft->ttl_s * 1000 : 0;

    ttl_ms = mesh_max(ttl_ms, (uint64_t)options->min_ttl_ms);
    ttl_ms = mesh_min(ttl_ms, (uint64_t)options->max_ttl_ms);
    answer->next_ms = name->resolver->now_ms + ttl_ms;
    name->failures = 0;
    draft_sort(draft);
    if (name->question.family == DNS_V4_PREFERRED) {
        draft_prefer(draft);
    }
    log_answer(name);
    take_reason(name);
    if (draft->count != 0) {
        answer->had_ms = name->resolver->now_ms;
    }
    if (answer->state != DNS_ANSWERED || answer->count != draft->count ||
        !same_weights(answer, draft)) {
        name->resolver->changed = true;
        answer->changes++;
        free((void *)answer->v);
        answer->v = draft->v;
        answer->count = draft->count;
        draft->v = NULL;
        draft->count = draft->room = 0;
    }
    answer->state = DNS_ANSWERED;
    answer->known = true;
}

static void name_free(name_t *name) {
    free((void *)name->answer.v);
    free((void *)name->answer.target);
    free(name->draft.v);
    free(name->draft.target);
    free(name);
}

/* A query of the name came back. */
static void part_done(name_t *name) {
    draft_t *draft = &name->draft;

    if (--draft->pending != 0) {
        return;
    }
    name->resolver->under_way--;
    name->resolver->retries -= name->failures != 0;
    if (name->forgotten) {
        name_free(name);
        return;
    }
    if (draft->failed) {
        failed(name);
    } else {
        answered(name);
    }
    draft->count = 0;
}

/* --- c-ares ---------------------------------------------------------------*/

/* NXDOMAIN and no data say that there is nothing. */
static bool is_answer(int status) {
    return status == ARES_SUCCESS || status == ARES_ENODATA ||
           status == ARES_ENOTFOUND;
}

static const char *why_of(int status) {
    switch (status) {
    case ARES_ENOTFOUND:
        return "NXDOMAIN";
    case ARES_SUCCESS:
    case ARES_ENODATA:
        return "no answer of that type";
    case ARES_ETIMEOUT:
        return "timeout";
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ENOTIMP:
    case ARES_ECONNREFUSED:
        /* After the last server c-ares 1.18 has the last one for all. */
        return "server's failure";
    case ARES_EBADRESP:
        return "the reply is malformed";
    default:
        return ares_strerror(status);
    }
}

/*
 * Something did not come: a failure outdoes that there is nothing, and of
 * targets the first by name is told, whichever comes first.  Takes `target`
 * over.
 */
static void lacks(draft_t *draft, int status, char *target) {
    bool failure = !is_answer(status);
    bool first = draft->why == NULL || (failure && !draft->failed);

    if (!first && failure == draft->failed && target && draft->target) {
        first = strcmp(target, draft->target) < 0;
    }
    if (first) {
        free(draft->target);
        draft->why = why_of(status);
        draft->target = target;
    } else {
        free(target);
    }
    draft->missing += draft->targets != 0;
    draft->failed |= failure;
}

/* false: there are none. */
static bool take_nodes(name_t *name, const target_t *target,
                       const struct ares_addrinfo *info) {
    bool any = false;

    for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next) {
        dns_address_t address = {.port = target->port,
                                 .weight = target->weight};

        if (n->ai_family == AF_INET) {
            const struct sockaddr_in *in = (const void *)n->ai_addr;
            address.family = MESH_FAMILY_IPV4;
            memcpy(address.addr, &in->sin_addr, 4);
        } else if (n->ai_family == AF_INET6) {
            const struct sockaddr_in6 *in6 = (const void *)n->ai_addr;
            address.family = MESH_FAMILY_IPV6;
            memcpy(address.addr, &in6->sin6_addr, 16);
        } else {
            continue;
        }
        name->draft.ttl_s =
            mesh_min(name->draft.ttl_s, (uint32_t)mesh_max(n->ai_ttl, 0));
        draft_add(&name->draft, &address);
        any = true;
    }
    return any;
}

/*
 * That one family has nothing says nothing of the addresses of another one,
 * whose server fails.
 */
static int worse(int a, int b) {
    if (is_answer(a) != is_answer(b)) {
        return is_answer(a) ? b : a;
    }
    return mesh_max(a, b);
}

/* A family came back, or all of them were asked for. */
static void target_done(target_t *target) {
    name_t *name = target->name;

    if (--target->pending != 0) {
        return;
    }
    if (target->any) {
        free(target->host);
    } else {
        lacks(&name->draft, target->status, target->host);
    }
    free(target);
    part_done(name);
}

static void on_addresses(void *arg, int status, int timeouts,
                         struct ares_addrinfo *info) {
    target_t *target = arg;

    (void)timeouts;
    if (status == ARES_SUCCESS && info != NULL &&
        take_nodes(target->name, target, info)) {
        target->any = true;
    } else {
        status = status == ARES_SUCCESS ? ARES_ENODATA : status;
        target->status = worse(target->status, status);
    }
    ares_freeaddrinfo(info);
    target_done(target);
}

/* `service`: a target of SRV, else the name's own. */
static void ask_addresses(name_t *name, const char *host,
                          const struct ares_srv_reply *service) {
    static const int families[][2] = {[DNS_V4_PREFERRED] = {AF_INET, AF_INET6},
                                      [DNS_V4] = {AF_INET, 0},
                                      [DNS_V6] = {AF_INET6, 0},
                                      [DNS_ALL] = {AF_INET, AF_INET6}};
    const int *family = families[name->question.family];
    target_t *target = must(malloc(sizeof(*target)));

    *target = (target_t){
        .name = name, .weight = 1, .pending = 1, .status = ARES_ENODATA};
    if (service != NULL) {
        target->host = must(strdup(host));
        target->port = service->port;
        target->weight = mesh_max(service->weight, 1);
    }
    name->draft.pending++;
    for (size_t i = 0; i < 2 && family[i] != 0; i++) {
        struct ares_addrinfo_hints hints = {.ai_family = family[i],
                                            .ai_flags = ARES_AI_NOSORT,
                                            .ai_socktype = SOCK_STREAM};

        target->pending++;
        ares_getaddrinfo(name->resolver->channel, host, NULL, &hints,
                         on_addresses, target);
    }
    target_done(target);
}

/* Only the best priority: those behind it are for when all of it fails. */
static void take_targets(name_t *name, const struct ares_srv_reply *list) {
    uint32_t best = UINT32_MAX, taken = 0;

    for (const struct ares_srv_reply *s = list; s; s = s->next) {
        best = mesh_min(best, (uint32_t)s->priority);
    }
    for (const struct ares_srv_reply *s = list; s; s = s->next) {
        /* RFC 2782: a target of "." is a service that is not there. */
        if (s->priority == best && s->host[0] != '\0' && s->port != 0 &&
            taken++ < PORTS_MAX) {
            name->draft.targets++;
            ask_addresses(name, s->host, s);
        }
    }
    if (taken == 0) {
        name->draft.why = "the service has no target";
    }
}

static void on_services(void *arg, int status, int timeouts,
                        unsigned char *reply, int len) {
    name_t *name = arg;
    struct ares_srv_reply *list = NULL;

    (void)timeouts;
    if (!name->forgotten && status == ARES_SUCCESS) {
        status = ares_parse_srv_reply(reply, len, &list);
        if (status == ARES_SUCCESS) {
            name->draft.ttl_s = dns_reply_ttl(reply, (size_t)len, 0);
            take_targets(name, list);
            ares_free_data(list);
        }
    }
    if (status != ARES_SUCCESS) {
        lacks(&name->draft, status, NULL);
    }
    part_done(name);
}

static void ask(name_t *name) {
    draft_t *draft = &name->draft;

    draft->count = draft->targets = draft->missing = 0;
    draft->failed = false;
    draft->why = NULL;
    free(draft->target);
    draft->target = NULL;
    draft->ttl_s = name->question.srv ? 0 : UINT32_MAX;
    /* An answer may come before the call is over. */
    name->answer.next_ms = UINT64_MAX;
    name->resolver->under_way++;
    name->resolver->retries += name->failures != 0;
    if (name->question.srv) {
        draft->pending = 1;
        ares_query(name->resolver->channel, name->text, CLASS_IN, TYPE_SRV,
                   on_services, name);
        return;
    }
    draft->pending = 1;
    ask_addresses(name, name->text, NULL);
    part_done(name);
}

static void on_socket(void *ctx, ares_socket_t fd, int readable, int writable) {
    dns_resolver_t *r = ctx;
    struct epoll_event event = {.events = (readable ? EPOLLIN : 0u) |
                                          (writable ? EPOLLOUT : 0u),
                                .data.fd = fd};

    if (event.events == 0) {
        (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    } else if (epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0) {
        (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

/* --- names ----------------------------------------------------------------*/

static int by_question(const dns_question_t *a, const dns_question_t *b) {
    int rc = mesh_str_cmp(a->name, b->name);

    if (rc == 0) {
        rc = (int)a->srv - (int)b->srv;
    }
    return rc ? rc : (int)a->family - (int)b->family;
}

/* Where the question is, or where it belongs. */
static uint32_t place_of(const dns_resolver_t *r, const dns_question_t *q,
                         bool *found) {
    uint32_t low = 0, high = r->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int rc = by_question(&r->names[middle]->question, q);

        if (rc == 0) {
            *found = true;
            return middle;
        }
        if (rc < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

void dns_resolver_begin(dns_resolver_t *r) {
    for (uint32_t i = 0; i < r->count; i++) {
        r->names[i]->used = false;
    }
}

static name_t *name_new(dns_resolver_t *r, const dns_question_t *q, uint32_t at,
                        uint64_t now_ms) {
    name_t *name = must(calloc(1, sizeof(*name)));

    memcpy(name->text, q->name.data, q->name.len);
    name->question = *q;
    name->question.name.data = name->text;
    name->resolver = r;
    name->answer.asked_ms = now_ms;
    if (r->count == r->room) {
        r->room = r->room ? r->room * 2 : 64;
        r->names = must(realloc(r->names, r->room * sizeof(*r->names)));
    }
    memmove(r->names + at + 1, r->names + at,
            (r->count - at) * sizeof(*r->names));
    r->names[at] = name;
    r->count++;
    return name;
}

const dns_answer_t *dns_resolver_ask(dns_resolver_t *r,
                                     const dns_question_t *question,
                                     uint64_t now_ms) {
    bool found;
    uint32_t at = place_of(r, question, &found);

    if (!found && (r->count == DNS_NAMES_MAX || question->name.len == 0 ||
                   question->name.len > DNS_NAME_MAX)) {
        return NULL;
    }
    name_t *name = found ? r->names[at] : name_new(r, question, at, now_ms);

    name->used = true;
    return &name->answer;
}

static void forget(name_t *name) {
    name->forgotten = true;
    if (name->draft.pending == 0) {
        name_free(name);
    }
}

void dns_resolver_end(dns_resolver_t *r) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < r->count; i++) {
        if (r->names[i]->used) {
            r->names[kept++] = r->names[i];
        } else {
            forget(r->names[i]);
        }
    }
    r->count = kept;
}

/* --- time -----------------------------------------------------------------*/

int dns_resolver_fd(const dns_resolver_t *r) {
    return r->epoll_fd;
}

/*
 * Names of servers that do not answer are under way for long: they leave room
 * for others.
 */
static bool has_room(const dns_resolver_t *r, const name_t *name) {
    return r->under_way < DNS_UNDER_WAY_MAX &&
           (name->failures == 0 || r->retries < DNS_RETRIES_MAX);
}

uint64_t dns_resolver_due(const dns_resolver_t *r, uint64_t now_ms) {
    uint64_t due = UINT64_MAX;
    struct timeval tv;

    /* Who has no room is asked for when another one is done. */
    for (uint32_t i = 0; i < r->count; i++) {
        if (has_room(r, r->names[i])) {
            due = mesh_min(due, r->names[i]->answer.next_ms);
        }
    }
    if (ares_timeout(r->channel, NULL, &tv) != NULL) {
        uint64_t ms =
            (uint64_t)tv.tv_sec * 1000 + ((uint64_t)tv.tv_usec + 999) / 1000;
        due = mesh_min(due, now_ms + ms);
    }
    return due;
}

/*
 * Those that failed before, or the others; in turn, so that who is due soon
 * again does not outdo who waits.
 */
static void ask_due(dns_resolver_t *r, bool failed_before) {
    uint32_t *next = &r->next[failed_before];

    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t at = (*next + i) % r->count;
        name_t *name = r->names[at];

        if ((name->failures != 0) != failed_before ||
            name->answer.next_ms > r->now_ms) {
            continue;
        }
        if (!has_room(r, name)) {
            *next = at;
            return;
        }
        ask(name);
    }
}

void dns_resolver_ready(dns_resolver_t *r, uint64_t now_ms) {
    struct epoll_event events[32];
    int n = epoll_wait(r->epoll_fd, events, 32, 0);

    r->now_ms = now_ms;
    for (int i = 0; i < n; i++) {
        bool in = events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP);
        bool out = events[i].events & EPOLLOUT;

        ares_process_fd(r->channel, in ? events[i].data.fd : ARES_SOCKET_BAD,
                        out ? events[i].data.fd : ARES_SOCKET_BAD);
    }
    /* Its own timeouts. */
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    ask_due(r, false);
    ask_due(r, true);
    if (r->changed) {
        r->changed = false;
        r->options.changed(r->options.ctx);
    }
}

/* --- begin and end --------------------------------------------------------*/

dns_resolver_t *dns_resolver_new(const dns_options_t *options,
                                 const char **error) {
    dns_resolver_t *r = must(calloc(1, sizeof(*r)));
    struct ares_options ares = {.sock_state_cb = on_socket,
                                .sock_state_cb_data = r,
                                .timeout = (int)options->timeout_ms,
                                .tries = TRIES};
    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;

    r->options = *options;
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int rc =
        r->epoll_fd == -1 ? ARES_ENOMEM : ares_library_init(ARES_LIB_INIT_ALL);
    if (rc == ARES_SUCCESS) {
        rc = ares_init_options(&r->channel, &ares, mask);
    }
    if (rc == ARES_SUCCESS && options->servers != NULL) {
        rc = ares_set_servers_ports_csv(r->channel, options->servers);
    }
    if (rc != ARES_SUCCESS) {
        *error = ares_strerror(rc);
        dns_resolver_free(r);
        return NULL;
    }
    return r;
}

void dns_resolver_free(dns_resolver_t *r) {
    if (r == NULL) {
        return;
    }
    dns_resolver_begin(r);
    dns_resolver_end(r);
    /* Queries under way come back now, and free their names. */
    if (r->channel != NULL) {
        ares_destroy(r->channel);
        ares_library_cleanup();
    }
    if (r->epoll_fd != -1) {
        close(r->epoll_fd);
    }
    free(r->names);
    free(r);
}
