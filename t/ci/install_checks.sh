#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docs/install.md, done on a machine: boot_root.sh runs this in a root that has
# /src built, Debian's nginx running from its unit, and systemd.
# usage: install_checks.sh first-boot, then second-boot

set -Eeuo pipefail
cd /src

say() { echo "== $*"; }
fail() {
    echo "FAILED: $*"
    journalctl --no-pager -q -n 40 -u mesh-agent -u nginx || true
    tail -20 /var/log/nginx/error.log || true
    exit 1
}
trap 'fail "line $LINENO"' ERR
# until_ok SECONDS COMMAND...
until_ok() {
    local n=$(($1 * 20)); shift
    until "$@" > /dev/null 2>&1; do
        n=$((n - 1))
        [ $n -gt 0 ] || fail "waited in vain for: $*"
        sleep 0.05
    done
}
is() { [ "$1" = "$2" ] || fail "$3: \"$1\", expected \"$2\""; }
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
routed() { [ "$(curl -s -H 'Host: shop.example' http://127.0.0.1:8080/)" = "web-1" ]; }
owner() { stat -c %U "/run/nginx-mesh/$1"; }
agent_pid() { systemctl show -P MainPID mesh-agent; }

# An endpoint, and a name server that knows it: the agent has sockets, too.
endpoints() {
    dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
        --port=5353 --listen-address=127.0.0.1 --bind-interfaces --pid-file= \
        --address=/web.test/127.0.0.1 > /dev/null 2>&1 &
    mkdir -p /tmp/web && echo web-1 > /tmp/web/index.html
    python3 -m http.server -d /tmp/web --bind 127.0.0.1 8001 > /dev/null 2>&1 &
    until_ok 10 curl -s http://127.0.0.1:8001/
}

second_boot() {
    endpoints
    say "after a boot, both are there and the request is routed"
    is "$(systemctl is-active mesh-agent nginx | sort -u)" active "units"
    until_ok 10 routed
    is "$(owner .) $(owner runtime.1)" "nginx-mesh www-data" "the zone's owners"
    say "a cold start without the agent: its last-good copy"
    systemctl stop mesh-agent nginx
    rm -rf /run/nginx-mesh
    systemctl start nginx
    until_ok 10 routed
    [ ! -e /run/nginx-mesh/mesh.ctl ] || fail "the agent is there"
    say "nginx made the zone, and its master is root: the unit takes it over"
    is "$(owner .)" root "the zone's owner"
    systemctl start mesh-agent
    is "$(owner .)" nginx-mesh "the zone's owner"
    systemctl reload nginx
    until_ok 10 meshctl wait --timeout 1
    is "$(owner runtime.1)" www-data "the runtime's owner after a reload"
    remove
}

remove() {
    say "removal is refused while nginx loads the modules"
    ./dev install --uninstall && fail "it was not"
    [ -e /usr/lib/nginx/modules/ngx_mesh_core_module.so ] || fail "it removed them"
    rm /etc/nginx/modules-enabled/*mesh* /etc/nginx/conf.d/mesh.conf
    systemctl reload nginx
    ./dev install --uninstall
    for file in /usr/lib/nginx/modules/*mesh* /usr/local/bin/mesh* \
                /usr/local/lib/systemd/system/mesh* /usr/share/nginx/modules-available/*mesh*; do
        [ ! -e "$file" ] || fail "$file is left"
    done
    [ -e /etc/nginx-mesh/mesh.yaml ] || fail "mesh.yaml was edited, and is gone"
    systemctl is-active -q mesh-agent && fail "the agent runs on"
    nginx -t -q
    systemctl restart nginx
    is "$(status http://127.0.0.1/)" 200 "nginx without the mesh"
}

first_boot() {
    is "$(status http://127.0.0.1/)" 200 "nginx before the mesh"

    say "./dev install, as docs/install.md says"
    ./dev install
    ln -s /usr/share/nginx/modules-available/mod-mesh.conf /etc/nginx/modules-enabled/60-mod-mesh.conf
    ln -s /usr/share/nginx/modules-available/mod-mesh-stream.conf /etc/nginx/modules-enabled/70-mod-mesh-stream.conf
    cat > /etc/nginx/conf.d/mesh.conf <<'NGINX'
mesh_zone /run/nginx-mesh fallback=/var/lib/nginx-mesh/last-good.snapshot;
server { listen 8080; location / { mesh_route; } }
NGINX
    nginx -t -q
    sed -i 's/127.0.0.1:8001, 127.0.0.1:8002/web.test:8001/' /etc/nginx-mesh/mesh.yaml
    echo 'dns: {servers: ["127.0.0.1:5353"]}' >> /etc/nginx-mesh/agent.yaml
    endpoints
    systemctl enable -q --now mesh-agent
    systemctl reload nginx
    until_ok 10 routed
    until_ok 10 meshctl wait --timeout 1

    systemd-tmpfiles --cat-config | grep -x 'd /run/nginx-mesh 0755 nginx-mesh nginx-mesh -' > /dev/null ||
        fail "tmpfiles.d"
    systemd-sysusers --cat-config | grep '^u nginx-mesh ' > /dev/null || fail "sysusers.d"

    say "three users"
    is "$(stat -c %U /proc/$(agent_pid))" nginx-mesh "the agent's user"
    is "$(owner .) $(owner mesh.ctl) $(owner runtime.1)" "nginx-mesh nginx-mesh www-data" "owners"

    say "the unit's hardening"
    grep -qx 'NoNewPrivs:	1' /proc/$(agent_pid)/status || fail "NoNewPrivs"
    grep -qx 'Seccomp:	2' /proc/$(agent_pid)/status || fail "no system call filter"
    grep -qx 'CapBnd:	0000000000000000' /proc/$(agent_pid)/status || fail "capabilities"
    journalctl -q -u mesh-agent -p 6..6 -g 'published generation=1' > /dev/null ||
        fail "the log's priorities"
    systemd-analyze verify /usr/local/lib/systemd/system/mesh-agent.service || fail "verify"
    systemd-analyze security --threshold=20 --no-pager mesh-agent > /tmp/security ||
        fail "$(tail -1 /tmp/security)"
    tail -1 /tmp/security

    say "and everything that the agent does works under it"
    echo 'clusters: {extra: {endpoints: ["127.0.0.1:9"]}}' | meshctl apply -f - --part extra --wait
    meshctl pin --wait
    meshctl unpin --wait
    meshctl rollback 1 --wait
    meshctl remove extra --wait
    sed -i 's/name: web$/name: web-renamed/' /etc/nginx-mesh/mesh.yaml
    until_ok 10 sh -c 'meshctl explain GET http://shop.example/ | grep web-renamed'
    before=$(agent_pid)
    systemctl reload mesh-agent
    is "$(agent_pid)" "$before" "a reload's process"
    until_ok 60 test -s /var/lib/nginx-mesh/last-good.snapshot

    say "restarts of the agent"
    systemctl restart mesh-agent
    is "$(owner runtime.1)" www-data "the runtime's owner after a restart"
    routed || fail "not routed after a restart"
    before=$(agent_pid)
    kill -KILL "$before"
    routed || fail "not routed without the agent"
    until_ok 20 sh -c "meshctl status | grep 'in force' && [ \$(systemctl show -P MainPID mesh-agent) -gt 1 ]"
    [ "$(agent_pid)" != "$before" ] || fail "not restarted"

    say "an upgrade: new files, then a new master by USR2"
    ./dev install
    old=$(cat /run/nginx.pid)
    while [ ! -e /tmp/upgraded ]; do
        routed || echo "not routed" >> /tmp/gaps
        echo . >> /tmp/asked
    done &
    until_ok 10 test -s /tmp/asked
    service nginx upgrade || fail "service nginx upgrade"
    until_ok 20 sh -c "[ \$(cat /run/nginx.pid) != $old ] && ! kill -0 $old"
    until_ok 10 routed
    until_ok 10 meshctl wait --timeout 1
    until_ok 10 sh -c '[ "$(wc -l < /tmp/asked)" -gt 50 ]'
    touch /tmp/upgraded
    wait $!
    [ ! -e /tmp/gaps ] || fail "requests failed in the upgrade: $(wc -l < /tmp/gaps)"
    ! grep -q 'mesh_core_module.so (deleted)' /proc/$(cat /run/nginx.pid)/maps || fail "the old modules are still mapped"
    grep -E '\[(alert|emerg)\]' /var/log/nginx/error.log && fail "in nginx's log" || true
}

case $1 in
    first-boot) first_boot ;;
    second-boot) second_boot ;;
esac
