#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A fresh Debian 12 (debootstrap) with a clean clone in /src.
# usage: clean_root.sh DIR make | commands | systemd

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/t/ci/root.sh"
root=$1
isolate "$@"

# The bare root stays beside it, for what wants one without compilers.
make_clone() {
    make_root "$root.bare"
    rm -rf "$root"
    cp -a "$root.bare" "$root"
    git clone -q "$top" "$root/src"
}

# README's two.
commands() {
    mount_root "$root"
    echo "== ./dev run"
    inside "$root" 'cd /src && exec ./dev run' > "$root.run" 2>&1 &
    run=$!
    for _ in $(seq 600); do
        grep -q 'Ctrl-C' "$root.run" && break
        kill -0 $run 2>/dev/null || break
        sleep 0.5
    done
    grep -q 'Ctrl-C' "$root.run" || { cat "$root.run"; echo "./dev run did not come up"; exit 1; }
    url=$(grep -oE 'http://127[0-9.]+:[0-9]+/' "$root.run" | head -n 1)
    inside "$root" "curl -fsS -o /dev/null -w 'demo answers %{http_code}\n' $url"
    echo "== what the demo says to try"
    grep '^       ' "$root.run" > "$root/tmp/try"
    inside "$root" 'cd /src && bash -eu /tmp/try' || { echo "one of them failed"; exit 1; }
    # Ctrl-C goes to the demo itself, which runs under env, chroot and bash.
    inside "$root" 'kill -INT $(cat /src/build/demo/pid)'
    wait $run || { tail -20 "$root.run"; echo "./dev run did not end well"; exit 1; }

    # What takes seconds of a test is the same on any machine.
    echo "== ./dev test"
    inside "$root" 'cd /src && ./dev test -q --brief'
}

# What boot_root.sh boots, with all that wants a network done before.
systemd() {
    mount_root "$root"
    inside_apt_get_install "$root" systemd systemd-sysv dbus
    inside "$root" 'cd /src && ./dev build'
}

case $2 in
    make) make_clone ;;
    commands) commands ;;
    systemd) systemd ;;
esac
