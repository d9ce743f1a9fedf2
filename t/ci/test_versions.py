# SPDX-License-Identifier: Apache-2.0
"""The same sources against other versions of nginx: built and smoke-tested.

1.26.3 is Debian 13's, as a source package from the archive that this machine
uses; 1.28.3 is the tree that the crate nginx-src carries.
"""

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from meshtest.agent import Agent
from meshtest.nginx import Nginx
from meshtest.process import BUILD, TOP

pytestmark = pytest.mark.ci

CRATE = "1.28.5"    # the crate's own number; it carries nginx 1.28.3

CONFIGURE = ["--with-compat", "--with-http_ssl_module", "--with-http_v2_module",
             "--with-stream=dynamic", "--with-stream_ssl_module", "--with-debug"]


def archive():
    """URI of the Debian archive that apt uses here."""
    text = ""
    for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        if path.is_file() and path.suffix in (".list", ".sources"):
            text += path.read_text()
    found = re.search(r"^[^#\n]*?(https?://\S+/debian)/?(?:\s|$)", text, re.M)
    assert found, "no Debian archive among apt's sources"
    return found.group(1)


def source_debian_13(directory):
    """By apt itself, which knows how this machine reaches its archive."""
    lists = directory / "lists"
    (lists / "partial").mkdir(parents=True)
    sources = directory / "trixie.list"
    sources.write_text("deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                       f"{archive()} trixie main\n")
    apt = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={sources}",
           "-o", "Dir::Etc::sourceparts=/dev/null", "-o", f"Dir::State::lists={lists}"]
    run(directory, [*apt, "update"])
    run(directory, [*apt, "source", "--download-only", "--tar-only", "nginx"])
    with tarfile.open(directory / "nginx_1.26.3.orig.tar.gz") as t:
        t.extractall(directory)
    return directory / "nginx-1.26.3"


def source_crate(directory):
    run(directory, ["cargo", "init", "--quiet", "--name", "fetch", "--lib", "."])
    run(directory, ["cargo", "add", "--quiet", f"nginx-src@={CRATE}"])
    run(directory, ["cargo", "vendor", "--quiet", "vendor"])
    return directory / "vendor/nginx-src/nginx"


def build(source, name):
    """nginx itself and the modules, below build/nginx-NAME."""
    tree = BUILD / f"nginx-{name}"
    if not (tree / "objs/nginx").exists():
        subprocess.run(["rm", "-rf", str(tree)], check=True)
        subprocess.run(["cp", "-r", str(source()), str(tree)], check=True)
        if not (tree / "configure").exists():
            (tree / "configure").write_text((tree / "auto/configure").read_text())
        warn = "-O2 -Wall -Wextra -Werror -Wno-unused-parameter"
        run(tree, ["sh", "./configure", f"--with-cc-opt={warn}", *CONFIGURE,
                   f"--add-dynamic-module={TOP}"])
    run(tree, ["make", "-f", "objs/Makefile", "-j2", "binary", "modules"])
    return tree


def run(tree, command):
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


class OtherNginx(Nginx):
    """The same harness on another binary and its modules."""

    def __init__(self, tree, *args, **kwargs):
        self.tree = tree
        super().__init__(*args, **kwargs)
        # Its compiled-in error log, opened before the configuration is read.
        (self.dir / "logs").mkdir()
        text = self.conf.read_text()
        modules = BUILD / self.variant / "modules"
        text = text.replace(f"{modules}/", f"{tree}/objs/")
        text = text.replace("/usr/lib/nginx/modules/", f"{tree}/objs/")
        self.conf.write_text(text)

    def _command(self, *args):
        return [str(self.tree / "objs/nginx"), "-p", str(self.dir), "-c", str(self.conf), *args]


SOURCES = {"1.26.3": source_debian_13, "1.28.3": source_crate}


@pytest.mark.parametrize("version", sorted(SOURCES))
def test_other_nginx(version, zone, tmp_path, endpoints, started):
    scratch = tmp_path / "source"
    scratch.mkdir()
    tree = build(lambda: SOURCES[version](scratch), version)
    shown = subprocess.run([str(tree / "objs/nginx"), "-v"], capture_output=True, text=True)
    assert version in shown.stderr

    a, b = endpoints.add(name="a"), endpoints.add(name="b")
    agent = started.add(Agent(tmp_path / "agent", "release", zone, f"""
clusters:
  c: {{endpoints: ["{a.at}", "{b.at}"]}}
hosts:
  - domains: ["*"]
    routes: [{{route: c}}]
"""))
    agent.start()
    n = started.add(OtherNginx(
        tree, tmp_path / "nginx", "release", zone, main="mesh_zone {zone};",
        stream="""
        upstream t { mesh c; }
        server { listen 127.0.0.1:{tcp}; proxy_pass t; }
        server { listen 127.0.0.1:{udp} udp reuseport; proxy_pass t; }""",
        http="""
        upstream u { mesh c; }
        server { listen 127.0.0.1:{port};
            location / { mesh_route; }
            location /u { proxy_pass http://u; }
            location = /status { mesh_status; } }
        server { listen 127.0.0.1:{two}; http2 on; mesh_route other; }""",
        ports=("tcp", "udp", "two"))).start()

    for port, path in ((n.port, "/"), (n.port, "/u"), (n.tcp, "/")):
        seen = {n.get(path, port=port)[1].get("x-endpoint") for _ in range(8)}
        assert seen == {"a", "b"}, (path, seen, n.log()[-2000:])
    a.kill()
    assert all(n.get("/")[0] == 200 for _ in range(10))
    assert n.get("/status")[0] == 200

    said = json.loads(agent.ctl("listeners", "-o", "json").stdout)
    found = {x["address"]: (x["protocol"], x["tables"], {k for k, v in x.items() if v is True})
             for x in said}
    assert found == {
        f"127.0.0.1:{n.port}": ("http", ["default"], {"default_server", "upstreams"}),
        f"127.0.0.1:{n.two}": ("http", ["other"], {"default_server", "http2"}),
        f"127.0.0.1:{n.tcp}": ("stream", [], {"upstreams"}),
        f"127.0.0.1:{n.udp}": ("stream", [], {"upstreams", "udp", "reuseport"}),
    }
