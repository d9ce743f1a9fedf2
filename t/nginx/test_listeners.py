# SPDX-License-Identifier: Apache-2.0
"""Where nginx listens, as workers say it and meshctl shows it."""

import json
import os
import signal
import subprocess

import pytest

from meshtest.process import free_port, wait_for
from meshtest.upgrade import Daemon

MAIN = "mesh_zone {zone};"
MESH = """
clusters:
  c: {endpoints: ["127.0.0.1:1"]}
hosts:
  - domains: ["*"]
    routes: [{name: in, route: c}]
"""
SHOP = """
route_table: {name: shop}
hosts:
  - domains: ["*"]
    routes: [{name: shop, route: c}]
"""


def up(a, n, **kwargs):
    """nginx whose workers have their slots: they serve a little before."""
    n = n(main=MAIN, **kwargs)
    a.ctl("wait")
    return n


def listeners(a, code=None):
    """None: any exit code, as a worker may be on its way to its slot."""
    done = a.ctl("listeners", "-o", "json", check=False)
    assert done.returncode in ((0, 1) if code is None else (code,)), (done.stdout, done.stderr)
    return json.loads(done.stdout)


def on(a, port):
    found = [x for x in listeners(a) if x["address"].endswith(f":{port}")]
    assert len(found) <= 1, found
    return found[0] if found else {"workers": 0, "tables": []}


def named(listener):
    return {k for k, v in listener.items() if v is True}


@pytest.fixture
def certificate(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=x", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    return f"ssl_certificate {tmp_path}/cert.pem; ssl_certificate_key {tmp_path}/key.pem;"


def test_all_kinds(agent, nginx, certificate, tmp_path):
    """Addresses of each family, what is spoken on them, and the tables of all
    servers on them, once each."""
    a = agent(MESH)
    n = nginx(workers=2, main=MAIN, ports=("tls", "six", "plain", "grpc", "inner", "file",
                                              "tcp", "udp"), http=f"""
        upstream u {{ mesh c; }}
        server {{
            listen 127.0.0.1:{{port}};
            listen unix:{tmp_path}/http.sock;
            mesh_route;
        }}
        server {{
            listen 127.0.0.1:{{port}};
            server_name shop.local;
            location /a {{ mesh_route shop; }}
            location /b {{ location /b/c {{ mesh_route shop; }} }}
            location /d {{ if ($arg_x) {{ return 204; }} mesh_route "my table"; }}
        }}
        server {{
            listen 127.0.0.1:{{tls}} ssl http2 reuseport;
            server_name first;
            {certificate}
            location / {{ proxy_pass http://u; }}
        }}
        server {{
            listen 127.0.0.1:{{tls}} ssl http2;
            server_name second;
            {certificate}
            mesh_route shop;
        }}
        server {{ listen [::1]:{{six}}; mesh_route shop; }}
        server {{ listen 127.0.0.1:{{plain}}; location / {{ proxy_pass http://u; }} }}
        server {{ listen 127.0.0.1:{{grpc}}; location / {{ grpc_pass u; }} }}
        server {{
            listen 127.0.0.1:{{inner}};
            location /a {{
                proxy_pass http://127.0.0.1:1;
                location /a/b {{ if ($arg_x) {{ proxy_pass http://u; }} return 404; }}
            }}
        }}
        server {{
            listen 127.0.0.1:{{file}};
            location / {{ return 204; }}
            location /p {{ proxy_pass http://127.0.0.1:1; }}
        }}
        """, stream=f"""
        upstream s {{ mesh c; }}
        server {{ listen 127.0.0.1:{{tcp}}; proxy_pass s; }}
        server {{ listen 127.0.0.1:{{udp}} udp; proxy_pass s; }}
        server {{ listen unix:{tmp_path}/stream.sock; proxy_pass s; }}
        """)
    wait_for(lambda: {x["workers"] for x in listeners(a)} == {2}, "both workers")
    found = {x["address"]: x for x in listeners(a)}
    expected = {
        f"127.0.0.1:{n.port}": ("http", {"default_server"},
                                ["default", "shop", "my table"]),
        f"unix:{tmp_path}/http.sock": ("http", {"default_server"}, ["default"]),
        f"127.0.0.1:{n.tls}": ("http", {"ssl", "http2", "reuseport", "upstreams"}, ["shop"]),
        f"[::1]:{n.six}": ("http", {"default_server"}, ["shop"]),
        f"127.0.0.1:{n.plain}": ("http", {"upstreams"}, []),
        f"127.0.0.1:{n.grpc}": ("http", {"upstreams"}, []),
        f"127.0.0.1:{n.inner}": ("http", {"upstreams"}, []),
        f"127.0.0.1:{n.file}": ("http", set(), []),
        f"127.0.0.1:{n.tcp}": ("stream", {"upstreams"}, []),
        f"127.0.0.1:{n.udp}": ("stream", {"udp", "upstreams"}, []),
        f"unix:{tmp_path}/stream.sock": ("stream", {"upstreams"}, []),
    }
    assert {k: (v["protocol"], named(v), v["tables"]) for k, v in found.items()} == expected
    assert all(x["live"] == 2 and x["generation"] == 1 for x in found.values())
    text = a.ctl("listeners").stdout
    assert f"127.0.0.1:{n.tls}" in text and "https, http2" in text, text
    assert "default, shop, my table" in text and "(upstreams only)" in text, text


def test_without_the_mesh(agent, nginx, endpoints):
    """An http{} that uses nothing of the mesh says nothing, and so do files
    that only show its status."""
    a = agent(MESH)
    assert listeners(a, code=1) == []
    assert "no worker" in a.ctl("listeners", check=False).stderr
    nginx(main=MAIN, http="""
        server { listen 127.0.0.1:{port}; location / { mesh_status; } }""")
    wait_for(lambda: "listens nowhere" in a.ctl("listeners", check=False).stderr, "its worker")
    assert listeners(a, code=1) == []


def test_more_than_fit(agent, nginx):
    a = agent(MESH)
    more = "".join(f"listen 127.0.2.{i}:{{port}};\n" for i in range(120))
    up(a, nginx, http="server { listen 127.0.0.1:{port}; mesh_route; %s }" % more)
    done = a.ctl("listeners")
    assert len(done.stdout.splitlines()) == 1 + 112, done.stdout
    assert "and 9 more" in done.stderr


def test_explain_takes_the_listeners_table(agent, nginx, tmp_path):
    """--port chooses the table, as the connection would."""
    a = agent(MESH)
    a.ctl("apply", "-f", "-", "--wait", stdin=SHOP)
    n = up(a, nginx, ports=("shop",), http="""
        server { listen 127.0.0.1:{port}; mesh_route;
                 add_header X-Route $mesh_route always; }
        server { listen 127.0.0.1:{shop}; mesh_route shop;
                 add_header X-Route $mesh_route always; }""")
    for port, table, route in ((n.port, "default", "in"), (n.shop, "shop", "shop")):
        done = a.ctl("explain", "GET", "http://x/", "--port", str(port))
        first = done.stdout.splitlines()[0]
        assert first == f"listener    127.0.0.1:{port} http, table {table} (1 worker)"
        said = json.loads(a.ctl("explain", "GET", "http://x/", "--port", str(port),
                                "-o", "json").stdout)
        assert said["route"] == route
        assert said["listeners"][0]["tables"] == [table]
        assert n.get("/", port=port)[1]["x-route"] == route


def test_reload(agent, nginx):
    """New workers say what the new configuration says; those that leave count
    no more."""
    a = agent(MESH)
    n = up(a, nginx, workers=2, http="server { listen 127.0.0.1:{port}; mesh_route; }")
    assert on(a, n.port)["tables"] == ["default"]
    other = free_port()
    n.conf.write_text(n.conf.read_text().replace(
        "mesh_route;", f"listen 127.0.0.1:{other}; mesh_route shop;"))
    n.reload()
    wait_for(lambda: {tuple(x["tables"]) for x in listeners(a)} == {("shop",)}, "the new ones")
    wait_for(lambda: [x["workers"] for x in listeners(a)] == [2, 2], "both of them")
    assert on(a, other)["live"] == 2


def test_a_dead_workers_words_go_with_it(agent, nginx):
    a = agent(MESH)
    n = up(a, nginx, http="server { listen 127.0.0.1:{port}; mesh_route; }")
    assert on(a, n.port)["workers"] == 1
    n.send(signal.SIGSTOP)
    (pid,) = n.workers()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "no worker" in a.ctl("listeners", check=False).stderr, "its end")
    n.send(signal.SIGCONT)
    wait_for(lambda: a.ctl("listeners", check=False).returncode == 0, "its successor")
    assert on(a, n.port)["workers"] == 1
    n.stop(allow=[r"exited on signal 9"])
    assert listeners(a, code=1) == []


def test_upgrade(agent, started, variant, zone, tmp_path):
    """USR2: both binaries' workers listen, and each says so."""
    a = agent(MESH)
    n = started.add(Daemon(tmp_path / "daemon", variant, zone, workers=2, main=MAIN,
                           http="server { listen 127.0.0.1:{port}; mesh_route; }")).start()
    wait_for(lambda: on(a, n.port)["workers"] == 2, "both workers")
    old = n.upgrade()
    wait_for(lambda: on(a, n.port)["workers"] == 4, "the new ones")
    n.commit(old)
    wait_for(lambda: on(a, n.port)["workers"] == 2, "the end of the old ones")
    assert on(a, n.port)["live"] == 2


def test_without_a_master(agent, nginx):
    """One process, whose configuration changes below it."""
    a = agent(MESH)
    n = nginx(main=MAIN + " master_process off;",
              http="server { listen 127.0.0.1:{port}; mesh_route; }")
    assert n.get("/")[0] and on(a, n.port)["tables"] == ["default"]
    n.conf.write_text(n.conf.read_text().replace("mesh_route;", "mesh_route shop;"))
    n.send(signal.SIGHUP)
    wait_for(lambda: on(a, n.port)["tables"] == ["shop"], "the new ones")
    assert on(a, n.port)["workers"] == 1
