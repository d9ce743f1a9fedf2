#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Boots a root's own systemd in namespaces of its own, and runs a command in
# it; the command's exit status is this one's.
# usage: boot_root.sh DIR COMMAND.  77: systemd does not come up here.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/t/ci/root.sh"
root=$1 command=$2
isolate "$@"

if [ "${3:-}" = init ]; then
    mount --rbind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs tmpfs tmp
    mount -t tmpfs -o mode=755 tmpfs dev
    for node in null zero full random urandom tty; do
        : > dev/$node
        mount --bind /dev/$node dev/$node
    done
    ln -s /proc/self/fd dev/fd
    ln -s pts/ptmx dev/ptmx
    mkdir dev/shm dev/pts
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    mount -t tmpfs tmpfs dev/shm
    ip link set lo up
    # Not a chroot: units with a view of the files of their own need a root
    # that can be moved.
    pivot_root . .
    umount -l .
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --unit=multi-user.target
fi

# A cgroup of its own, whose tree goes when systemd is gone.
groups=$(mktemp -d)
mount -t cgroup2 cgroup2 "$groups" || exit 77
group=$(mktemp -d "$groups/mesh-test.XXXXXX")
init="" first=""
end() {
    # With the first process of its namespace all others are gone.
    kill -KILL ${first:-$init} 2>/dev/null || true
    wait $init 2>/dev/null || true
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    umount "$groups"
    rmdir "$groups"
}
trap end EXIT
(
    echo $BASHPID > "$group/cgroup.procs"
    exec unshare --mount --pid --cgroup --ipc --uts --net --fork --kill-child \
        "$0" "$root" - init 2> "$root.boot"
) &
init=$!

booted() {
    first=$(cat "/proc/$init/task/$init/children" 2>/dev/null) && first=${first% } &&
        [ -n "$first" ] &&
        nsenter --target "$first" --all --root --wd \
            systemctl is-system-running --wait 2>/dev/null | grep -qE 'running|degraded'
}
mount -t proc proc /proc
for _ in $(seq 100); do
    booted && break
    kill -0 $init 2>/dev/null || break
    sleep 0.1
done
booted || { cat "$root.boot"; exit 77; }
nsenter --target "$first" --all --root --wd \
    env -i HOME=/root PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 /bin/bash -c "$command"
