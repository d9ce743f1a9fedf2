#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the Dockerfile's stages do, as root on a Debian 12.
#
#   install.sh build DIR   builds, and puts what the image adds below DIR
#   install.sh runtime     Debian's packages and the places that are written to

set -euo pipefail

# What mesh-agent and meshctl are linked with; nginx brings its own.
runtime_packages="nginx libnginx-mod-stream libyaml-0-2 libcjson1 libssl3"

build_into() {
    local out=$1
    cd "$(dirname "$0")/.."
    ./dev install --destdir "$out"
    strip --strip-unneeded "$out"/usr/lib/nginx/modules/*.so "$out"/usr/local/bin/*
    install -m 0755 docker/entrypoint.sh "$out/usr/local/bin/mesh-entrypoint"
    # The gateway of conf/. Its "user" is root's business, and there is none.
    mkdir -p "$out/etc/nginx"
    sed '/^user /d' conf/gateway/nginx.conf > "$out/etc/nginx/nginx.conf"
    # There is no systemd, and Debian's way of loading modules is not used.
    rm -r "$out"/usr/local/lib "$out"/usr/share
}

runtime() {
    # Debian starts a service when it installs it.
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends $runtime_packages
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
