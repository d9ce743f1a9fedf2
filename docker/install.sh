#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the Dockerfile's stages do, as root on a Debian 12.
#
#   install.sh build DIR   builds, and puts what the image adds below DIR
#   install.sh runtime     with that copied to /: Debian's packages, and the
#                          places that are written to

set -euo pipefail

share=/usr/local/share/nginx-mesh

# The packages of the libraries that programs are linked with.
packages_of() {
    local lib
    ldd "$@" | awk '/=> \// { print $3 }' | sort -u | while read -r lib; do
        # By the path that the package knows: /lib is a link.
        dpkg -S "$(realpath "$lib")" 2>/dev/null || dpkg -S "$lib"
    done | cut -d: -f1 | sort -u
}

build_into() {
    local out=$1
    cd "$(dirname "$0")/.."
    ./dev install --destdir "$out"
    strip --strip-unneeded "$out"/usr/lib/nginx/modules/*.so "$out"/usr/local/bin/*
    install -m 0755 docker/entrypoint.sh "$out/usr/local/bin/mesh-entrypoint"
    # There is no systemd, and Debian's way of loading modules is not used.
    rm -r "$out"/usr/local/lib "$out"/usr/local/share "$out"/usr/share
    mkdir -p "$out$share"
    install -m 0755 docker/install.sh "$out$share/install.sh"
    # The gateway of conf/. Its "user" is root's business, and there is none.
    sed '/^user /d' conf/gateway/nginx.conf > "$out$share/nginx.conf"
    packages_of "$out"/usr/local/bin/mesh-agent "$out"/usr/local/bin/meshctl \
        > "$out$share/packages"
}

runtime() {
    # Debian starts a service when it installs it.
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    apt-get update -qq
    # shellcheck disable=SC2046
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends nginx libnginx-mod-stream $(cat $share/packages)
    cp $share/nginx.conf /etc/nginx/nginx.conf
    rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/*
    # All that is ever written, so that the root can be read only: the zone
    # (a tmpfs, please), the state (a volume), nginx's bodies (none, unless
    # you turn buffering on).
    install -d -o www-data -g www-data /run/nginx-mesh /var/lib/nginx-mesh \
        /var/lib/nginx/body /var/lib/nginx/proxy /var/lib/nginx/fastcgi \
        /var/lib/nginx/uwsgi /var/lib/nginx/scgi
    ln -sf /dev/stdout /var/log/nginx/access.log
    ln -sf /dev/stderr /var/log/nginx/error.log
}

case ${1:-} in
    build) build_into "${2:?build DIR}" ;;
    runtime) runtime ;;
    *) echo "usage: install.sh build DIR | runtime" >&2; exit 2 ;;
esac
