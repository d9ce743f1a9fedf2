# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# ./dev install, which sources this; docs/install.md is for its users.
# say, die, cmd_build and $build are dev's.

# The administrator's once they are there.
install_examples="agent.yaml mesh.yaml"

# What nginx was configured with: nginx_path modules-path.
nginx_path() {
    nginx -V 2>&1 | grep -oE -- " --$1=[^ ]+" | cut -d= -f2
}

# One file a line: MODE SOURCE DESTINATION.  systemd looks for units below
# /usr and /usr/local; for another prefix they go to /etc.
install_list() {
    local prefix=$1 lib=/etc modules available name
    case $prefix in /usr | /usr/local) lib=$prefix/lib ;; esac
    modules=$(nginx_path modules-path)
    for name in ngx_mesh_core ngx_http_mesh ngx_stream_mesh; do
        echo "0644 $build/release/modules/${name}_module.so $modules/${name}_module.so"
    done
    for name in mesh-agent meshctl; do
        echo "0755 $build/release/bin/$name $prefix/bin/$name"
    done
    available=$(nginx_path prefix)/modules-available
    if [ -d "$available" ]; then
        for name in mod-mesh.conf mod-mesh-stream.conf; do
            echo "0644 conf/modules/$name $available/$name"
        done
    fi
    cat <<EOF
0644 conf/systemd/mesh-agent.service $lib/systemd/system/mesh-agent.service
0644 conf/systemd/nginx-mesh.sysusers $lib/sysusers.d/nginx-mesh.conf
0644 conf/systemd/nginx-mesh.tmpfiles $lib/tmpfiles.d/nginx-mesh.conf
0644 conf/gateway/nginx.conf $prefix/share/doc/nginx-mesh/gateway/nginx.conf
0644 conf/fleet/nginx.conf $prefix/share/doc/nginx-mesh/fleet/nginx.conf
0644 conf/fleet/mesh.yaml $prefix/share/doc/nginx-mesh/fleet/mesh.yaml
0644 conf/schema/mesh.schema.json $prefix/share/nginx-mesh/mesh.schema.json
0644 conf/schema/agent.schema.json $prefix/share/nginx-mesh/agent.schema.json
0644 $build/release/share/bash $prefix/share/bash-completion/completions/meshctl
0644 $build/release/share/fish $prefix/share/fish/vendor_completions.d/meshctl.fish
0644 $build/release/share/zsh $prefix/share/zsh/$(zsh_directory "$prefix")/_meshctl
0644 $build/release/share/meshctl $prefix/share/man/man1/meshctl.1
0644 $build/release/share/mesh-agent $prefix/share/man/man8/mesh-agent.8
0644 $build/release/share/mesh.yaml $prefix/share/man/man5/mesh.yaml.5
0644 $build/release/share/agent.yaml $prefix/share/man/man5/agent.yaml.5
EOF
}

# Debian's zsh leaves site-functions below /usr to zsh itself.
zsh_directory() {
    if [ "$1" = /usr ]; then echo vendor-completions; else echo site-functions; fi
}

# meshctl writes its completions and the manual pages itself.
make_shared() {
    local name dir=$build/release/share
    mkdir -p "$dir"
    for name in bash zsh fish; do
        "$build/release/bin/meshctl" completion $name > "$dir/$name"
    done
    for name in meshctl mesh-agent mesh.yaml agent.yaml; do
        "$build/release/bin/meshctl" man $name > "$dir/$name"
    done
}

# put MODE SOURCE DESTINATION: by rename, because a running nginx has the old
# file mapped and a running agent is busy.
put() {
    mkdir -p "$(dirname "$3")"
    install -m "$1" "$2" "$3.new"
    mv -f "$3.new" "$3"
}

# The unit says where its program is.
put_unit() {
    sed "s|/usr/local/|$4/|" "$2" > "$build/release/mesh-agent.service"
    put "$1" "$build/release/mesh-agent.service" "$3"
}

# Modules for another nginx are refused here, not at the next start of one
# that was working until then.
check_modules() {
    local conf=$build/release/check.conf m=$build/release/modules
    cat > "$conf" <<EOF
load_module "$m/ngx_mesh_core_module.so";
load_module "$m/ngx_http_mesh_module.so";
pid "$build/release/check.pid";
events {}
EOF
    nginx -t -q -c "$conf" || die "nginx does not load the modules that were built"
}

# What only this machine needs: the user, the directories, systemd's look.
settle() {
    getent passwd nginx-mesh > /dev/null ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin --comment "nginx-mesh agent" nginx-mesh
    install -d -m 0755 -o nginx-mesh -g nginx-mesh /run/nginx-mesh /var/lib/nginx-mesh
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

install_all() {
    local dest=$1 prefix=$2 mode source to name
    check_modules
    make_shared
    install_list "$prefix" | while read -r mode source to; do
        case $to in
            */mesh-agent.service) put_unit "$mode" "$source" "$dest$to" "$prefix" ;;
            *) put "$mode" "$source" "$dest$to" ;;
        esac
    done
    for name in $install_examples; do
        to=/etc/nginx-mesh/$name
        if [ -e "$dest$to" ]; then
            say "kept $dest$to"
        else
            put 0644 "conf/gateway/$name" "$dest$to"
        fi
    done
    [ -n "$dest" ] || settle
    say "installed; docs/install.md says how to load, upgrade and remove it"
}

# Nothing that nginx needs at its next start is taken from it.
check_unused() {
    local conf
    conf=$(dirname "$(nginx_path conf-path)")
    # A configuration that nginx does not take is read as it lies there.
    { nginx -T 2>/dev/null || grep -Rh '' "$conf"; } |
        grep -E '^[^#]*load_module.*ngx_(mesh_core|http_mesh|stream_mesh)_module' >&2 &&
        die "nginx still loads these: take the lines, or the links in modules-enabled, out of its configuration, reload it, and try again"
    return 0
}

uninstall_all() {
    local dest=$1 prefix=$2 mode source to name
    if [ -z "$dest" ]; then
        check_unused
        [ ! -d /run/systemd/system ] ||
            systemctl disable -q --now mesh-agent.service || true
    fi
    install_list "$prefix" | while read -r mode source to; do
        rm -f "$dest$to"
    done
    for name in $install_examples; do
        to=$dest/etc/nginx-mesh/$name
        if cmp -s "conf/gateway/$name" "$to"; then rm -f "$to"; fi
    done
    to=$prefix/share/doc/nginx-mesh
    rmdir "$dest$to"/* "$dest$to" "$dest$prefix/share/nginx-mesh" \
        "$dest/etc/nginx-mesh" 2>/dev/null || true
    say "removed"
    for to in /etc/nginx-mesh /var/lib/nginx-mesh /run/nginx-mesh; do
        [ ! -e "$dest$to" ] || say "left for you to remove: $dest$to"
    done
}

# install [--destdir DIR] [--prefix DIR] [--uninstall]
install_main() {
    local dest="" prefix=/usr/local what=install_all
    PATH=$PATH:/usr/sbin:/sbin
    while [ $# -gt 0 ]; do
        case $1 in
            --destdir | --prefix)
                case ${2:-} in /?*) ;; *) die "$1 takes an absolute path" ;; esac
                if [ "$1" = --prefix ]; then prefix=${2%/}; else dest=${2%/}; fi
                shift 2 ;;
            --uninstall) what=uninstall_all; shift ;;
            *) die "usage: ./dev install [--destdir DIR] [--prefix DIR] [--uninstall]" ;;
        esac
    done
    [ -n "$dest" ] || [ "$(id -u)" = 0 ] ||
        die "this needs root: sudo ./dev install; or --destdir DIR"
    [ $what = uninstall_all ] || cmd_build release
    $what "$dest" "$prefix"
}
