/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The notify protocol by hand: it is one sendto(), and a library for it would
 * be the agent's only reason to load libsystemd.
 */

#include "agent_notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

bool agent_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (path == NULL || (path[0] != '/' && path[0] != '@')) {
        return false;
    }
    size_t len = strlen(path);
    if (len < 2 || len >= sizeof(address.sun_path)) {
        return false;
    }
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract name */
    }

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) {
        return false;
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    ssize_t n = sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                       (struct sockaddr *)&address, size);
    close(fd);
    return n == (ssize_t)strlen(state);
}

uint64_t agent_notify_watchdog_ms(void) {
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");

    if (usec == NULL) {
        return 0;
    }
    if (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()) {
        return 0;
    }
    char *end;
    unsigned long long value = strtoull(usec, &end, 10);
    if (*usec == '\0' || *end != '\0' || value < 2000) {
        return 0;
    }
    return value / 1000 / 2;
}

bool agent_notify_reloading(void) {
    char state[64];
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)ts.tv_sec * 1000000 +
                 (unsigned long long)ts.tv_nsec / 1000);
    return agent_notify(state);
}
