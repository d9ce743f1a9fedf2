#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A fresh Debian 12 (debootstrap), a clean clone, README's two commands.
# usage: clean_root.sh DIR.  Where to get packages from, and which authorities
# to trust on the way, is what this machine uses.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
root=$1

if [ "${2:-}" != inside ]; then
    rm -rf "$root"
    mkdir -p "$root"
    # Own mounts and own processes: nothing of either outlives this script.
    exec unshare --mount --pid --fork --kill-child "$0" "$root" inside
fi

uri=$(find /etc/apt/sources.list /etc/apt/sources.list.d -name '*.sources' \
          -o -name '*.list' 2>/dev/null | xargs cat | grep -v '^ *#' |
      grep -oE '(https?|file)://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ')
debootstrap --variant=minbase bookworm "$root" "$uri" > "$root.log" 2>&1 ||
    { tail -5 "$root.log"; exit 1; }

rm -f "$root"/etc/apt/sources.list
cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/etc/apt/"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
[ -f /etc/pip.conf ] && cp /etc/pip.conf "$root/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/trusted-here.crt"
rm -f "$root"/etc/apt/apt.conf.d/docker-*

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"

git clone -q "$top" "$root/src"

inside() {
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        PIP_CERT=/etc/trusted-here.crt SSL_CERT_FILE=/etc/trusted-here.crt \
        chroot "$root" /bin/bash -c "$1"
}

echo "== ./dev run"
inside 'cd /src && exec ./dev run' > "$root.run" 2>&1 &
run=$!
for _ in $(seq 600); do
    grep -q 'Ctrl-C' "$root.run" && break
    kill -0 $run 2>/dev/null || break
    sleep 0.5
done
grep -q 'Ctrl-C' "$root.run" || { cat "$root.run"; echo "./dev run did not come up"; exit 1; }
url=$(grep -oE 'http://127[0-9.]+:[0-9]+/' "$root.run" | head -n 1)
inside "curl -fsS -o /dev/null -w 'demo answers %{http_code}\n' $url"
# Ctrl-C goes to the demo itself, which runs under env, chroot and bash.
inside 'kill -INT $(cat /src/build/demo/pid)'
wait $run || { tail -20 "$root.run"; echo "./dev run did not end well"; exit 1; }

echo "== ./dev test"
inside 'cd /src && ./dev test -q'
