# SPDX-License-Identifier: Apache-2.0
"""Rewrites, substitutions and clusters by header in a live nginx: what Envoy
is not asked (t/e2e/test_envoy_rewrite.py), hostile requests, hosts that
follow endpoints, and explain beside it all."""

import json
import re
import socket
import subprocess

import pytest

from meshtest.dns import Dns
from meshtest.http2 import Fronts
from meshtest.upstream import MAIN

SERVER = """
    server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            add_header X-Flags $mesh_flags always;
            add_header X-Cluster $mesh_cluster always;
            add_header X-Attempts $mesh_attempts always;
        }
        location = /metrics { mesh_metrics; }
    }
"""

MESH = """
clusters:
  c: {endpoints: ['%s']}
  none: {endpoints: []}
hosts:
  - domains: ["*"]
    request_headers: {add_if_absent: {x-level: host, x-host-level: "%%REQ(x-level)%%"}}
    routes:
      - name: regex
        match: {path: {prefix: /re/}}
        route: c
        rewrite: {regex: {pattern: "/([a-z]+)", substitution: "/<\\\\1>"}}
      - name: slow
        match: {path: {prefix: /slow/}}
        route: c
        rewrite: {regex: {pattern: "(a+)+b", substitution: x}}
      - name: long
        match: {path: {prefix: /long/}}
        route: c
        rewrite: {regex: {pattern: "y", substitution: "0123456789"}}
      - {name: whole, match: {path: {prefix: /whole}}, route: c, rewrite: {path: "/w/%%REQ(x-to)%%"}}
      - name: template
        match: {path: {template: "/t/{a}/**"}}
        route: c
        rewrite: {template: "/{a}", host_from_header: x-host, append_x_forwarded_host: true}
      - name: by path
        match: {path: {prefix: /p/}}
        route: c
        rewrite:
          host_from_path: {pattern: "^/p/([^/]+)/.*$", substitution: "\\\\1.local"}
          prefix: /
          append_x_forwarded_host: true
      - name: headers
        match: {path: {prefix: /h}}
        route: {cluster: c, request_headers: {set: {x-level: cluster}}}
        request_headers:
          set: {x-q: "%%QUERY_PARAM(q)%%", x-a: "%%REQ(x-a)%%"}
          add: {x-level: "route of %%REQ(x-level)%%", x-empty: "%%REQ(x-none)%%"}
          overwrite_if_exists: {x-b: "<%%REQ(x-b)%%>", x-c: never}
          remove: [x-gone]
        response_headers:
          set: {content-type: "x/%%RESP(x-kind)%%", x-res: "%%RESPONSE_CODE%% %%RESPONSE_FLAGS%%"}
          add_if_absent: {content-type: never, x-date: "%%START_TIME(%%Y)%%"}
          overwrite_if_exists: {x-kind: "%%RESP(x-kind)%%+"}
      - name: answers
        match: {path: {exact: /answer}}
        respond: {status: 201, body: hello}
        response_headers: {set: {x-res: "%%ROUTE_NAME%% %%RESPONSE_CODE%% %%REQ(:path)%%"}}
      - name: unhealthy
        match: {path: {prefix: /none}}
        route: none
        response_headers: {set: {x-res: "%%RESPONSE_CODE%% %%RESPONSE_FLAGS%%"}}
      - {name: chosen, match: {path: {prefix: /by}}, route: {cluster_header: X-To-Cluster}}
      - name: teapot
        match: {path: {prefix: /tea}}
        route: {cluster_header: x-to-cluster, cluster_not_found_status: 418}
"""


@pytest.fixture
def mesh(agent, nginx, endpoints):
    endpoint = endpoints.add("127.0.8.1")
    endpoint.headers = {"X-Kind": "kind"}
    return agent(MESH % endpoint.at), nginx(http=SERVER, main=MAIN), endpoint


def get(n, target, headers="", method="GET", body=b"", version="1.1"):
    """(status, headers of the answer in lower case)."""
    text = f"{method} {target} HTTP/{version}\r\nHost: shop.local\r\n{headers}" \
           f"Connection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(text.encode("latin-1") + body)
        data = b""
        while True:
            more = s.recv(65536)
            if not more:
                break
            data += more
    lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    fields = [line.split(": ", 1) for line in lines[1:]]
    return int(lines[0].split()[1]), {f[0].lower(): f[-1] for f in fields}


def seen(endpoint):
    last = endpoint.requests[-1]
    return last["target"], [(k.lower(), v) for k, v in last["headers"]]


def values(headers, name):
    return [v for k, v in headers if k == name]


def explain(a, target, headers=""):
    args = [x for h in headers.split("\r\n") if h for x in ("-H", h)]
    return json.loads(a.ctl("explain", "GET", "http://shop.local" + target, *args,
                            "-o", "json").stdout)


@pytest.mark.parametrize("target,headers", [
    ("/re/a/b1/C?q=/x", ""), ("/re/", ""), ("/whole?x", "X-To: there\r\n"), ("/whole", ""),
    ("/p/shop/x?y", ""), ("/p/shop", ""), ("/p/a%20b/", ""), ("/p/%61/./b", ""),
    ("/t/v1/a/b", "X-Host: other.local:81\r\n"), ("/t/v1/", "X-Host: a b\r\n"), ("/t/v1/", ""),
    ("/h?q=%41", "X-A: 1\r\nX-B: 2\r\nX-Gone: 3\r\nX-Level: client\r\n"), ("/h", ""),
])
def test_explain_tells_what_the_endpoint_sees(mesh, target, headers):
    a, n, endpoint = mesh
    assert get(n, target, headers)[0] == 200
    path, fields = seen(endpoint)
    said = explain(a, target, headers)
    assert said["path"] == path.partition("?")[0]
    assert said.get("host", "shop.local") == values(fields, "host")[0]
    for op in said["request_headers"]:
        there = values(fields, op["name"].lower())
        if op["op"] == "remove" or (not op["acts"] and op["why"] != "it is there"):
            assert op["value"] not in there or not there, op
        elif op["acts"]:
            assert op["value"] in there, op
    changed = {op["name"] for op in said["request_headers"] if op["acts"]}
    assert changed >= ({"x-level"} if target.startswith("/h") else set())


def test_levels_and_conditions(mesh):
    _, n, endpoint = mesh
    get(n, "/h?q=a%20b", "X-A: 1\r\nX-B: 2\r\nX-Gone: 3\r\nX-Level: client\r\n")
    _, fields = seen(endpoint)
    assert values(fields, "x-level") == ["cluster", "route of cluster"]
    assert values(fields, "x-host-level") == ["cluster"]
    assert values(fields, "x-q") == ["a b"] and values(fields, "x-a") == ["1"]
    assert values(fields, "x-b") == ["<2>"]
    assert not values(fields, "x-c") and not values(fields, "x-gone")
    assert not values(fields, "x-empty")
    get(n, "/whole")
    assert values(seen(endpoint)[1], "x-level") == ["host"]
    assert not values(seen(endpoint)[1], "x-host-level")


def test_responses(mesh):
    _, n, endpoint = mesh
    status, fields = get(n, "/h")
    assert (status, fields["x-res"]) == (200, "200 -")
    assert fields["content-type"] == "x/kind" and fields["x-kind"] == "kind+"
    assert re.fullmatch(r"20\d\d", fields["x-date"])
    status, fields = get(n, "/answer")
    assert (status, fields["x-res"]) == (201, "answers 201 /answer")
    status, fields = get(n, "/none")
    assert (status, fields["x-res"], fields["x-flags"]) == (503, "503 UH", "UH")


def test_hostile_values_end_no_line(mesh):
    _, n, endpoint = mesh
    get(n, "/h?q=a%0d%0aX-Evil:%201%00b")
    _, fields = seen(endpoint)
    assert values(fields, "x-q") == ["a  X-Evil: 1 b"]
    assert not values(fields, "x-evil")
    get(n, "/whole?q=1", "X-To: a b?c#d\tHTTP/1.1\r\n")
    assert seen(endpoint)[0] == "/w/a%20b%3Fc%23d%09HTTP/1.1?q=1"
    get(n, "/t/%2e%2e/x", "X-Host: evil\x01\r\n")
    assert values(seen(endpoint)[1], "host") == ["shop.local"]


def test_limits_of_regular_expressions(mesh):
    _, n, endpoint = mesh

    def gave_up():
        text = n.get("/metrics")[2].decode()
        return sum(map(int, re.findall(r"^mesh_worker_regex_limits_total{.*} (\d+)$", text, re.M)))

    path = "/slow/" + "a" * 60 + "cb"
    before = gave_up()
    get(n, path)
    assert seen(endpoint)[0] == path
    assert gave_up() == before + 1
    get(n, "/slow/aab")
    assert seen(endpoint)[0] == "/slow/x"
    path = "/long/" + "y" * 6000
    get(n, path)
    assert seen(endpoint)[0] == "/long/" + "0123456789" * 6000
    path = "/long/" + "y" * 6600
    get(n, path + "?q")
    assert seen(endpoint)[0] == path + "?q"


def test_clusters_by_header(mesh):
    _, n, endpoint = mesh
    status, fields = get(n, "/by", "X-To-Cluster: c\r\n")
    assert (status, fields["x-cluster"]) == (200, "c")
    status, fields = get(n, "/by", "X-To-Cluster: none\r\n")
    assert (status, fields["x-flags"]) == (503, "UH")
    for header in ("", "X-To-Cluster: other\r\n", f"X-To-Cluster: {'x' * 2000}\r\n"):
        for path, wanted in (("/by", 503), ("/tea", 418)):
            status, fields = get(n, path, header)
            assert (status, fields["x-flags"]) == (wanted, "NC")


def test_explain_of_clusters_by_header(mesh):
    a, _, _ = mesh
    assert explain(a, "/by", "X-To-Cluster: c\r\n")["cluster"] == "c"
    done = a.ctl("explain", "GET", "http://h/by", "-H", "x-to-cluster: d", check=False)
    assert done.returncode == 1 and "by header x-to-cluster: d" in done.stdout
    assert "no such cluster" in done.stdout
    done = a.ctl("explain", "GET", "http://h/by", check=False)
    assert done.returncode == 1 and "no header names a cluster" in done.stdout


TLS = """
    server {
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
        location / { mesh_route; }
    }
"""
SAID = """
clusters:
  c: {endpoints: ['%s']}
  two: {endpoints: ['%s'], protocol: http2}
hosts:
  - domains: ["*"]
    routes:
      - match: {path: {prefix: /}}
        route: {cluster_header: x-cluster}
        request_headers:
          set: {x-said: "%%PROTOCOL%% %%REQUESTED_SERVER_NAME%% %%REQ(:scheme)%% %%REQ(:authority)%%",
                x-from: "%%DOWNSTREAM_REMOTE_ADDRESS%%", x-to: "%%DOWNSTREAM_LOCAL_ADDRESS%%",
                x-ports: "%%DOWNSTREAM_REMOTE_PORT%% %%DOWNSTREAM_LOCAL_PORT%%"}
"""


@pytest.mark.parametrize("cluster", ["c", "two"])
@pytest.mark.parametrize("version,said", [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")])
def test_clients_of_tls_and_http2(agent, nginx, endpoints, started, tmp_path, version, said, cluster):
    endpoint = endpoints.add("127.0.8.1")
    fronts = started.add(Fronts(tmp_path / "fronts", [endpoint])).start()
    agent(SAID % (endpoint.at, fronts.at[0]))
    n = nginx(http=TLS + SERVER, main=MAIN, ports=("tls",), start=False)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x",
                    "-keyout", f"{n.dir}/key.pem", "-out", f"{n.dir}/cert.pem"],
                   check=True, capture_output=True)
    n.start()
    port = n.tls
    subprocess.run(["curl", "-skf", version, "--max-time", "20", "-H", f"x-cluster: {cluster}",
                    "--resolve", f"shop.local:{port}:127.0.0.1", f"https://shop.local:{port}/x"],
                   check=True, capture_output=True)
    _, fields = seen(endpoint)
    assert values(fields, "x-said") == [f"{said} shop.local https shop.local:{port}"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", values(fields, "x-from")[0])
    assert values(fields, "x-to") == [f"127.0.0.1:{port}"]
    assert values(fields, "x-ports") == [f"{values(fields, 'x-from')[0][10:]} {port}"]


# --- hosts that follow the endpoint ------------------------------------------

FOLLOWS = """
clusters:
  names:
    endpoints: [%s]
    protocol: %s
    lb: round_robin
hosts:
  - domains: ["*"]
    routes:
      - match: {path: {prefix: /}}
        route: names
        rewrite: {host_from_endpoint: true, append_x_forwarded_host: true, prefix: /p/}
        retries: {on: [5xx, connect-failure, reset], attempts: 3, retry_unsafe: true}
        stateful_session: {cookie: s}
        internal_redirects: {codes: [307]}
"""


@pytest.fixture
def follows(agent, nginx, endpoints, started, tmp_path):
    """follows(protocol): two endpoints by name, which their hosts follow."""
    def make(protocol="http1"):
        made = [endpoints.add("127.0.8.1", name="a"), endpoints.add("127.0.8.2", name="b")]
        ports = [e.port for e in made]
        if protocol == "http2":
            fronts = started.add(Fronts(tmp_path / "fronts", made)).start()
            ports = [int(at.rpartition(":")[2]) for at in fronts.at]
        dns = started.add(Dns(tmp_path / "dns"))
        dns.set({"a.test": ["127.0.8.1"], "b.test": ["127.0.8.2"]})
        dns.start()
        a = agent(FOLLOWS % (f"'a.test:{ports[0]}', 'b.test.:{ports[1]}'", protocol),
                  extra=f"dns: {{servers: ['{dns.at}'], min_ttl: 1s}}\n")
        n = nginx(http=SERVER, main=MAIN)
        a.wait_applied(1)
        return a, n, made
    return make


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_host_follows_the_endpoint(follows, protocol):
    a, n, made = follows(protocol)
    for _ in range(4):
        assert get(n, "/x")[0] == 200
    for e in made:
        assert e.requests
        for r in e.requests:
            fields = [(k.lower(), v) for k, v in r["headers"]]
            assert values(fields, "host") == [f"{e.name}.test"]
            assert values(fields, "x-forwarded-host") == ["shop.local"]
            assert r["target"] == "/p/x"
    assert explain(a, "/x")["host"] in ("a.test", "b.test")


@pytest.mark.parametrize("protocol", ["http1", "http2"])
@pytest.mark.parametrize("length", [0, 5, 30000])
def test_host_follows_at_retries(follows, protocol, length):
    _, n, made = follows(protocol)
    made[0].status = 503
    for method in ("GET", "POST"):
        for _ in range(2):
            for e in made:
                e.requests.clear()
            body = b"x" * length
            status, fields = get(n, "/x", f"Content-Length: {length}\r\n" if length else "",
                                 method=method, body=body)
            assert status == 200, (method, fields, [len(e.requests) for e in made])
            for e in made:
                for r in e.requests:
                    assert values([(k.lower(), v) for k, v in r["headers"]], "host") == \
                        [f"{e.name}.test"]
                    assert r["body_len"] == length
    made[0].status = 200


def test_host_follows_at_retries_of_chunked_bodies(follows):
    _, n, made = follows()
    made[0].reset = True
    for _ in range(3):
        made[1].requests.clear()
        status, _ = get(n, "/x", "Transfer-Encoding: chunked\r\n", method="PUT",
                        body=b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        assert status == 200
        last = made[1].requests[-1]
        assert last["body_len"] == 7 and ("Host", "b.test") in last["headers"]
    made[0].reset = False


@pytest.mark.parametrize("protocol", ["http1", "http2"])
@pytest.mark.parametrize("length", [0, 5, 30000])
def test_host_follows_at_redirects(follows, protocol, length):
    _, n, made = follows(protocol)
    for first, then in made, made[::-1]:
        first.requests.clear()
        then.requests.clear()
        first.redirects = [(307, "http://else.test/y")]
        for _ in range(2):
            status, _ = get(n, "/x", f"Content-Length: {length}\r\n" if length else "",
                            method="POST", body=b"x" * length)
            assert status == 200
            if not first.redirects:
                break
        assert first.requests[-1]["target"] == "/p/x"
        hop = then.requests[-1]
        fields = [(k.lower(), v) for k, v in hop["headers"]]
        assert (hop["target"], hop["body_len"]) == ("/p/y", length)
        assert values(fields, "host") == [f"{then.name}.test"]
        assert values(fields, "x-forwarded-host") == ["shop.local,else.test"]


def test_sessions_with_endpoints_that_have_names(follows):
    _, n, made = follows()
    cookie = get(n, "/x")[1]["set-cookie"].partition(";")[0]
    first = next(e for e in made if e.requests)
    for _ in range(5):
        _, fields = get(n, "/x", f"Cookie: {cookie}\r\n")
        assert fields["x-endpoint"] == first.name and "set-cookie" not in fields


def test_websockets_of_hosts_that_follow(follows):
    _, n, made = follows()
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", n.port), timeout=10) as s:
            s.sendall(b"GET /ws HTTP/1.1\r\nHost: shop.local\r\nUpgrade: websocket\r\n"
                      b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            assert s.recv(4096).startswith(b"HTTP/1.1 101 ")
