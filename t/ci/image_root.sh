#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docker/ without a container engine: both stages' scripts, each in a root of
# its own, then the image's entry point as the first process of namespaces of
# its own, as www-data, on a root that is read only but for three mounts.
# usage: image_root.sh DIR, a root with the clone in /src and DIR.bare beside it

set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/t/ci/root.sh"
root=$1 image=$1.image
isolate "$@"

fail() { echo "FAILED: $*"; tail -30 "$image.log" 2>/dev/null; exit 1; }

stages() {
    echo "== the image's stages"
    mount_root "$root"
    inside "$root" 'rm -rf /out && /src/docker/install.sh build /out'
    rm -rf "$image"
    cp -a "$root.bare" "$image"
    cp -r "$root/out/." "$image/"
    mount_root "$image"
    inside "$image" '/usr/local/share/nginx-mesh/install.sh runtime' > "$image.log" 2>&1 ||
        fail "install.sh runtime"
    umount -R "$image/proc" "$image/dev"
    echo "the image's part: $(du -sk "$root/out" | cut -f1) kB"
}

# In a network and processes of its own; what is below is what the Dockerfile
# and a read-only container say.
container() {
    mount --bind "$image" "$image"
    mount -t proc proc "$image/proc"
    mount -t tmpfs -o mode=755 tmpfs "$image/dev"
    for node in null zero full random urandom; do
        : > "$image/dev/$node"
        mount --bind "/dev/$node" "$image/dev/$node"
    done
    ln -s /proc/self/fd "$image/dev/fd"
    ln -s /proc/self/fd/1 "$image/dev/stdout"
    ln -s /proc/self/fd/2 "$image/dev/stderr"
    mount -t tmpfs -o mode=1777 tmpfs "$image/run/nginx-mesh"
    mount -t tmpfs -o mode=1777 tmpfs "$image/var/lib/nginx-mesh"
    mount --bind "$image.yaml" "$image/etc/nginx-mesh/mesh.yaml"
    mount -o remount,bind,ro "$image"
    cd "$image"
    # This shell's background jobs have QUIT ignored.
    exec env -i --default-signal=INT,QUIT PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot --userspec=33:33 --groups= . "$@"
}

until_ok() {
    local n=$(($1 * 20)); shift
    until "$@" > /dev/null 2>&1; do
        n=$((n - 1))
        [ $n -gt 0 ] || fail "waited in vain for: $*"
        sleep 0.05
    done
}
served() { curl -s http://127.0.0.1:8080/ | grep -x 'an endpoint' > /dev/null; }
# The pid, here, of the first process's child that runs this program.
pid_of() {
    local pid
    for pid in $(cat "/proc/$first/task/$first/children"); do
        [ "$(cat "/proc/$pid/comm")" != "$1" ] || echo "$pid"
    done
}

first_process() {
    first=$(tr -d ' ' < "/proc/$container/task/$container/children")
    [ -n "$first" ]
}

start() {
    : > "$image.log"
    chmod 0666 "$image.log"     # an engine gives its pipes to the user
    unshare --mount --pid --fork --kill-child "$0" "$root" container "$@" \
        >> "$image.log" 2>&1 &
    container=$!
}

start_entrypoint() {
    start mesh-entrypoint
    first=
    until_ok 10 first_process
    until_ok 20 grep -q 'mesh-entrypoint: ready' "$image.log"
}

# ends SECONDS STATUS
ends() {
    local n=$(($1 * 20)) status=0
    while kill -0 $container 2>/dev/null; do
        n=$((n - 1))
        [ $n -gt 0 ] || fail "it did not end in $1 s"
        sleep 0.05
    done
    wait $container || status=$?
    [ $status = "$2" ] || fail "it ended with $status, expected $2"
}

checks() {
    ip link set lo up
    mount -t proc proc /proc
    mkdir -p "$image.web"
    echo 'an endpoint' > "$image.web/index.html"
    python3 -m http.server -d "$image.web" --bind 127.0.0.1 8001 > /dev/null 2>&1 &
    until_ok 10 curl -s http://127.0.0.1:8001/
    cat > "$image.yaml" <<'YAML'
clusters:
  web: {endpoints: [127.0.0.1:8001]}
hosts:
  - {domains: ["*"], routes: [{route: web}]}
YAML

    echo "== up, as www-data"
    start_entrypoint
    served || fail "no answer"
    for name in mesh-agent nginx; do
        [ "$(stat -c %u "/proc/$(pid_of $name)")" = 33 ] || fail "$name is not www-data"
    done
    grep -E '\[(warn|alert|emerg)\]|mesh-entrypoint: .*tmpfs' "$image.log" && fail "its log"
    grep -q 'route=.* cluster=web .*endpoint=127.0.0.1:8001' "$image.log" || fail "no access log"
    until_ok 20 nsenter --target "$first" --mount --pid --root --wd \
        env -i PATH=/usr/local/bin /usr/bin/env meshctl wait --timeout 2

    echo "== the agent is killed, and comes back"
    old=$(pid_of mesh-agent)
    kill -KILL "$old"
    served || fail "no answer without the agent"
    until_ok 20 sh -c "[ \$(grep -c 'info running' '$image.log') = 2 ]"
    served || fail "no answer after it"

    echo "== TERM"
    kill -TERM "$first"
    ends 10 0

    echo "== QUIT"
    start_entrypoint
    kill -QUIT "$first"
    ends 30 0

    echo "== a command instead"
    start meshctl --version     # may have ended before anybody sees its pid
    ends 10 0
    grep -q '^meshctl ' "$image.log" || fail "no version"
}

case ${2:-} in
    container) shift 2; container "$@" ;;
    checks) checks ;;
    *) stages; exec unshare --net "$0" "$root" checks ;;
esac
