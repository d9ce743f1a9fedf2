#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A container's first process: mesh-agent and nginx, for as long as nginx runs.
#
#   TERM, INT   nginx ends at once, then the agent
#   QUIT        nginx first finishes what it has begun
#   HUP         both read their configuration again
#   USR1        nginx opens its logs anew
#
# An agent that dies is started again, after 1 s, 2 s, 4 s, ... 30 s; nginx
# serves on by what was published.  nginx's end is the container's end.
# With arguments it runs them instead: docker run ... meshctl status.

set -u

[ $# -eq 0 ] || exec "$@"

zone=${MESH_ZONE:-/run/nginx-mesh}
agent_conf=${MESH_AGENT_CONF:-/etc/nginx-mesh/agent.yaml}
nginx_conf=${MESH_NGINX_CONF:-/etc/nginx/nginx.conf}
ready_timeout=${MESH_READY_TIMEOUT:-30}     # seconds

agent="" nginx="" waiter="" timer=""        # pids
ending="" delay=1 born=0

say() { echo "mesh-entrypoint: $*" >&2; }

signal() {
    local name=$1 pid; shift
    for pid in "$@"; do kill -s "$name" "$pid" 2> /dev/null; done
}

start_agent() {
    mesh-agent -c "$agent_conf" &
    agent=$!
    born=$SECONDS
    timer=""
}

# A timer, because a trap does not interrupt a sleep.
agent_ended() {
    agent=""
    [ -z "$ending" ] || return
    [ $((SECONDS - born)) -lt 60 ] || delay=1
    say "mesh-agent ended with $1, the next one starts in $delay s; nginx serves on"
    sleep "$delay" &
    timer=$!
    delay=$((delay * 2 < 30 ? delay * 2 : 30))
}

# An agent that cannot even begin is a container that cannot: its message is
# the last.  One that has nothing to publish keeps nginx back for a while only.
wait_published() {
    local n=$((ready_timeout * 20)) status
    until meshctl --zone "$zone" history > /dev/null 2>&1; do
        if ! kill -0 "$agent" 2> /dev/null; then
            wait "$agent"
            status=$?
            exit $((status ? status : 1))
        fi
        if [ -n "$ending" ]; then
            signal TERM "$agent"
            wait "$agent"
            exit 0
        fi
        n=$((n - 1))
        [ $n -gt 0 ] || { say "nothing was published in $ready_timeout s"; return; }
        sleep 0.05
    done
}

trap 'ending=yes; signal TERM $nginx' TERM INT
trap 'ending=yes; signal QUIT $nginx' QUIT
trap 'signal HUP $nginx $agent' HUP
trap 'signal USR1 $nginx' USR1

[ "$(stat -f -c %T "$zone" 2> /dev/null)" = tmpfs ] ||
    say "$zone is not a tmpfs: better --tmpfs $zone, or an emptyDir of medium Memory"

start_agent
wait_published
nginx -c "$nginx_conf" -g "daemon off; pid $zone/nginx.pid;" &
nginx=$!
[ -z "$ending" ] || signal TERM $nginx
meshctl --zone "$zone" wait --timeout "$ready_timeout" > /dev/null &
waiter=$!

while :; do
    # shellcheck disable=SC2086
    wait -n -p ended $nginx $agent $waiter $timer
    status=$?
    case ${ended-} in
        "") ;;          # a signal came, and -p left nothing
        "$nginx") break ;;
        "$agent") agent_ended $status ;;
        "$waiter")
            waiter=""
            if [ $status = 0 ]; then say "ready"; else say "not ready yet; nginx says why"; fi ;;
        "$timer") start_agent ;;
    esac
done

[ -n "$ending" ] || say "nginx ended with $status"
signal TERM $agent $waiter $timer
# shellcheck disable=SC2086
wait $agent
[ -n "$ending" ] || exit $((status ? status : 1))
exit $status
