# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Fresh Debian 12 roots for the tests of this folder, which source this.  Where
# to get packages from, and which authorities to trust on the way, is what this
# machine uses.

# Goes on in mounts and processes of its own: nothing of either outlives it.
isolate() {
    if [ "${MESH_ROOT_ISOLATED:-}" != yes ]; then
        export MESH_ROOT_ISOLATED=yes
        exec unshare --mount --pid --fork --kill-child "$0" "$@"
    fi
}

# make_root DIR: a minimal Debian that knows where packages come from.
make_root() {
    local root=$1 uri
    uri=$(find /etc/apt/sources.list /etc/apt/sources.list.d -name '*.sources' \
              -o -name '*.list' 2>/dev/null | xargs cat | grep -v '^ *#' |
          grep -oE '(https?|file)://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ')
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase bookworm "$root" "$uri" > "$root.log" 2>&1 ||
        { tail -5 "$root.log"; return 1; }
    rm -f "$root"/etc/apt/sources.list
    cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/etc/apt/"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    [ ! -f /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/trusted-here.crt"
    rm -f "$root"/etc/apt/apt.conf.d/docker-*
}

# mount_root DIR: what a process expects to find.
mount_root() {
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount --make-rslave "$1/dev"
    mount -t tmpfs tmpfs "$1/dev/shm"
}

# inside DIR COMMAND [VARIABLE=VALUE...]
inside() {
    local root=$1 command=$2; shift 2
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        PIP_CERT=/etc/trusted-here.crt SSL_CERT_FILE=/etc/trusted-here.crt "$@" \
        chroot "$root" /bin/bash -c "$command"
}

# Debian starts a service when it installs it.
inside_apt_get_install() {
    local root=$1; shift
    printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    inside "$root" "apt-get update -qq && apt-get install -y -qq --no-install-recommends $*" \
        DEBIAN_FRONTEND=noninteractive > "$root.apt.log" 2>&1 ||
        { tail -20 "$root.apt.log"; return 1; }
    rm -f "$root/usr/sbin/policy-rc.d"
}
