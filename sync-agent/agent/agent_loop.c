/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One epoll: signals, one timer, sources, the control socket, the end of what
 * is done beside this thread.  Whoever wants to be called later says when; the
 * timer is set to the earliest of them before each wait.
 */

#include "agent_loop.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent.h"
#include "agent_notify.h"

typedef struct {
    agent_t agent;
    int signal_fd;
    int timer_fd;
    uint64_t watchdog_ms; /* 0: none */
    uint64_t watchdog_due_ms;
    int zone_fd;      /* inotify on the zone's directory, or -1 */
    uint64_t lost_ms; /* files of the zone are gone: begin anew then */
    bool stop;
    bool anew;
} loop_t;

/* Who removes files of the zone is done with it by then. */
#define LOST_MS 200

bool agent_watch(const agent_t *agent, int fd, void *what) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

    return epoll_ctl(agent->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Without descriptors for an eventfd, work is done in line. */
static bool watch_job(const agent_t *agent, int fd, void *what) {
    return fd == -1 || agent_watch(agent, fd, what);
}

/* Closed standard descriptors would be taken by files of the zone. */
static bool open_descriptors(loop_t *loop) {
    agent_t *agent = &loop->agent;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);

    agent->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    loop->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return agent->epoll_fd != -1 && loop->signal_fd != -1 &&
           loop->timer_fd != -1 &&
           agent_watch(agent, loop->signal_fd, &loop->signal_fd) &&
           agent_watch(agent, loop->timer_fd, &loop->timer_fd);
}

static bool open_names(agent_t *agent) {
    const char *error = "failed";

    if (agent_names_open(agent, &error) &&
        agent_watch(agent, agent->dns->ops->fd(agent->dns), agent->dns)) {
        return true;
    }
    agent_log(AGENT_LOG_ERROR, "names cannot be resolved",
              agent_s("error", error));
    return false;
}

static void on_signal(loop_t *loop) {
    struct signalfd_siginfo info;

    while (read(loop->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            agent_log(AGENT_LOG_INFO, "reading all sources again",
                      agent_s("why", "HUP"));
            (void)agent_notify_reloading();
            (void)agent_reload(&loop->agent);
            agent_mesh_publish_read(&loop->agent);
            (void)agent_notify("READY=1");
        } else {
            agent_log(AGENT_LOG_INFO, "ending",
                      agent_s("signal", sigabbrev_np((int)info.ssi_signo)));
            loop->stop = true;
        }
    }
}

/* Without the watch, a zone that is wiped stays so until a restart. */
static void watch_zone(loop_t *loop) {
    loop->zone_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (loop->zone_fd == -1 ||
        inotify_add_watch(loop->zone_fd, loop->agent.config->zone,
                          IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF |
                              IN_MOVE_SELF | IN_ONLYDIR) == -1 ||
        !agent_watch(&loop->agent, loop->zone_fd, &loop->zone_fd)) {
        agent_log(AGENT_LOG_WARN, "the zone's directory cannot be watched",
                  agent_s("errno", strerror(errno)));
    }
}

static void on_zone(loop_t *loop) {
    char events[4096];

    while (read(loop->zone_fd, events, sizeof(events)) > 0) {
    }
    if (loop->lost_ms == AGENT_IDLE &&
        !publisher_intact(loop->agent.publisher)) {
        agent_log(AGENT_LOG_ERROR, "files of the zone were removed",
                  agent_s("zone", loop->agent.config->zone));
        loop->lost_ms = agent_now_ms() + LOST_MS;
    }
}

static uint64_t next_due(const loop_t *loop) {
    const agent_t *agent = &loop->agent;
    uint64_t due = agent_debounce_due(&agent->debounce);

    if (due != AGENT_IDLE) {
        due = agent_names_due(agent, due);
    }
    due = mesh_min(due, agent->dns->ops->due(agent->dns));
    due = mesh_min(due, agent->tick_ms);
    due = mesh_min(due, agent->retry_ms);
    due = mesh_min(due, ctl_server_due(agent->ctl));
    due = mesh_min(due, agent_control_due(agent));
    due = mesh_min(due, loop->lost_ms);
    if (loop->watchdog_ms) {
        due = mesh_min(due, loop->watchdog_due_ms);
    }
    for (uint32_t i = 0; i < agent->nsources; i++) {
        source_t *source = agent->sources[i];
        due = mesh_min(due, source->ops->due(source));
    }
    return due;
}

static void set_timer(const loop_t *loop) {
    uint64_t due = next_due(loop);
    struct itimerspec spec = {.it_value = {.tv_sec = 0}};

    if (due != AGENT_IDLE) {
        /* A zero would disarm it; the past fires at once. */
        due = mesh_max(due, 1);
        spec.it_value.tv_sec = (time_t)(due / 1000);
        spec.it_value.tv_nsec = (long)(due % 1000) * 1000000;
    }
    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void on_time(loop_t *loop) {
    agent_t *agent = &loop->agent;
    uint64_t now_ms = agent_now_ms();

    for (uint32_t i = 0; i < agent->nsources; i++) {
        source_t *source = agent->sources[i];
        if (source->ops->due(source) <= now_ms) {
            source->ops->ready(source, now_ms);
        }
    }
    if (agent->dns->ops->due(agent->dns) <= now_ms) {
        agent->dns->ops->ready(agent->dns, now_ms);
    }
    if (agent_names_due(agent, agent_debounce_due(&agent->debounce)) <=
            now_ms ||
        agent->retry_ms <= now_ms) {
        agent_mesh_publish(agent);
    }
    if (agent->tick_ms <= now_ms) {
        agent->tick_ms = publisher_tick(agent->publisher, agent_time());
    }
    if (ctl_server_due(agent->ctl) <= now_ms) {
        ctl_server_ready(agent->ctl, now_ms);
    }
    agent_control_tick(agent, now_ms);
    loop->anew = loop->stop = loop->lost_ms <= now_ms;
    if (loop->watchdog_ms && loop->watchdog_due_ms <= now_ms) {
        (void)agent_notify("WATCHDOG=1");
        loop->watchdog_due_ms = now_ms + loop->watchdog_ms;
    }
}

static void on_event(loop_t *loop, void *what) {
    uint64_t ticks;

    if (what == &loop->signal_fd) {
        on_signal(loop);
    } else if (what == &loop->timer_fd) {
        (void)!read(loop->timer_fd, &ticks, sizeof(ticks));
    } else if (what == loop->agent.publisher) {
        loop->agent.tick_ms = 0;
    } else if (what == &loop->agent.journal_job) {
        agent_control_collect(&loop->agent, false);
    } else if (what == &loop->zone_fd) {
        on_zone(loop);
    } else if (what == loop->agent.ctl) {
        ctl_server_ready(loop->agent.ctl, agent_now_ms());
    } else {
        source_t *source = what;
        source->ops->ready(source, agent_now_ms());
    }
}

static void loop_run(loop_t *loop) {
    agent_t *agent = &loop->agent;
    struct epoll_event events[32];

    while (!loop->stop) {
        set_timer(loop);
        agent->sources_changed = false;
        int n = epoll_wait(agent->epoll_fd, events, 32, -1);
        /* What is left of them is told again. */
        for (int i = 0; i < n && !loop->stop && !agent->sources_changed; i++) {
            on_event(loop, events[i].data.ptr);
        }
        if (!loop->stop) {
            on_time(loop);
        }
    }
}

static int open_zone(agent_t *agent) {
    char error[PUBLISH_TEXT_MAX];
    mesh_status_t status = MESH_ERROR;
    publisher_options_t options = {.dir = agent->config->zone,
                                   .state_dir = agent->config->state,
                                   .capacity = agent->config->capacity,
                                   .node = agent->config->node,
                                   .local_cluster =
                                       agent->config->local_cluster,
                                   .threads = true};

    agent->publisher = publisher_open(&options, agent_time(), &status, error);
    if (agent->publisher == NULL) {
        agent_log(AGENT_LOG_ERROR,
                  status == MESH_BUSY ? "the zone has an agent already"
                                      : "the zone cannot be opened",
                  agent_s("zone", agent->config->zone),
                  agent_s("error", error));
        return AGENT_EXIT_ZONE;
    }
    health_root_t root = agent_health_root(agent);
    agent->health = health_open(agent->config->zone, &root);
    agent_held_load(agent);
    agent->ctl =
        ctl_server_open(agent->config->socket_path, agent->config->socket_group,
                        agent_control_request, agent, error, sizeof(error));
    if (agent->ctl == NULL) {
        agent_log(AGENT_LOG_ERROR, "the control socket cannot be made",
                  agent_s("error", error));
        return AGENT_EXIT_ZONE;
    }
    return AGENT_EXIT_OK;
}

static void log_start(const agent_t *agent) {
    publisher_info_t info;

    publisher_info(agent->publisher, &info);
    agent_log(AGENT_LOG_INFO, "running", agent_s("zone", agent->config->zone),
              agent_u("sources", agent->nsources),
              agent_u("generation", info.generation),
              agent_s("from",
                      info.flags & MESH_ROOT_COLD ? "last-good copy" : "zone"));
}

static int loop_start(loop_t *loop) {
    agent_t *agent = &loop->agent;

    agent_mesh_init(agent);
    agent_job_init(&agent->journal_job, true);
    if (!open_descriptors(loop)) {
        agent_log(AGENT_LOG_ERROR, "no epoll, signalfd or timerfd",
                  agent_s("errno", strerror(errno)));
        return AGENT_EXIT_ZONE;
    }
    int rc = open_zone(agent);
    if (rc != AGENT_EXIT_OK) {
        return rc;
    }
    watch_zone(loop);
    if (!open_names(agent)) {
        return AGENT_EXIT_ZONE;
    }
    char error[512] = "epoll_ctl() failed";
    if (!agent_watch(agent, ctl_server_fd(agent->ctl), agent->ctl) ||
        !watch_job(agent, publisher_fd(agent->publisher), agent->publisher) ||
        !watch_job(agent, agent->journal_job.fd, &agent->journal_job) ||
        !agent_sources_change(agent, agent->config, error, sizeof(error))) {
        agent_log(AGENT_LOG_ERROR, "cannot begin", agent_s("error", error));
        return AGENT_EXIT_ZONE;
    }
    log_start(agent);
    agent_control_restore(agent);
    agent_sources_reload(agent);
    agent_held_recognize(agent);
    (void)agent_held_stand_in(agent, false);
    /* Nothing to say yet: what the zone has, or the last-good copy, stays. */
    if (agent->parts.changed && agent_names_due(agent, 0) == 0) {
        agent_mesh_publish(agent);
    }
    loop->watchdog_ms = agent_notify_watchdog_ms();
    loop->watchdog_due_ms = agent_now_ms() + loop->watchdog_ms;
    (void)agent_notify("READY=1");
    return AGENT_EXIT_OK;
}

static void loop_end(loop_t *loop) {
    agent_t *agent = &loop->agent;

    agent_sources_close(agent);
    if (agent->dns != NULL) {
        agent->dns->ops->close(agent->dns);
    }
    ctl_server_close(agent->ctl);
    health_close(agent->health);
    publisher_close(agent->publisher, agent_time());
    agent_parts_free(&agent->parts);
    agent_control_close(agent);
    agent_held_clear(agent);
    free(agent->config_verdict);
    if (loop->zone_fd != -1) {
        close(loop->zone_fd);
    }
    close(loop->timer_fd);
    close(loop->signal_fd);
    close(agent->epoll_fd);
}

/*
 * One heap for all threads, and large blocks outside of it: what a document
 * or a copy takes is given back when it is done, and the agent stays as large
 * as its mesh.
 */
static void set_up_memory(void) {
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}

/* One life: until a signal, or until the zone is lost. */
static int live(loop_t *loop) {
    const agent_config_t *config = loop->agent.config;

    agent_log_setup(config->log_level, config->log_format);
    int rc = loop_start(loop);
    if (rc == AGENT_EXIT_OK) {
        loop_run(loop);
        (void)(loop->anew ? agent_notify_reloading()
                          : agent_notify("STOPPING=1"));
    }
    loop_end(loop);
    return rc;
}

int agent_run(const char *path, const agent_config_t *config) {
    set_up_memory();
    loop_t *loop = calloc(1, sizeof(*loop));
    arena_t *arena = NULL; /* of a configuration that was read at HUP */
    int rc;

    if (loop == NULL) {
        return AGENT_EXIT_ZONE;
    }
    do {
        memset(loop, 0, sizeof(*loop));
        loop->agent.config_path = path;
        loop->agent.config = config;
        loop->agent.config_arena = arena;
        loop->zone_fd = -1;
        loop->lost_ms = AGENT_IDLE;
        rc = live(loop);
        config = loop->agent.config;
        arena = loop->agent.config_arena;
    } while (loop->anew);
    arena_free(arena);
    free(loop);
    return rc;
}
