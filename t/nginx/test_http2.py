# SPDX-License-Identifier: Apache-2.0
"""Clusters of `protocol: http2` behind mesh_route: any HTTP, from clients of
HTTP/1.1 and of HTTP/2."""

import collections
import hashlib
import http.client
import json
import socket
import struct
import threading
import time

import pytest

from meshtest.http2 import (
    DATA, END_HEADERS, HEADERS, PING, SETTINGS, Fronts, curl, frame, serve_both,
)
from meshtest.process import wait_for
from meshtest.upstream import MAIN, Raw, metric, pair

HTTP = """
    proxy_set_header X-Outer "$request_method";
    proxy_set_header X-Scrubbed "";
    proxy_set_header Connection "keep-alive";
    server {
        listen 127.0.0.1:{port};
        include {dir}/locations;
    }
    server {
        listen 127.0.0.1:{two} http2;
        include {dir}/locations;
    }
"""
LOCATIONS = """
    location / {
        mesh_route;
        add_header X-Cluster $mesh_cluster always;
        add_header X-Attempts $mesh_attempts always;
        add_header X-Tried $upstream_addr always;
        add_header X-Statuses $upstream_status always;
    }
    location = /metrics { mesh_metrics; }
"""


def mesh(two, one=(), cluster="", route=""):
    """Clusters `two` of HTTP/2 and `one` of HTTP/1.1."""
    return f"""
clusters:
  two:
    endpoints: {json.dumps(list(two))}
    protocol: http2
    panic_threshold: 0
{cluster}
  one: {{endpoints: {json.dumps(list(one))}}}
hosts:
  - domains: ["*"]
    routes:
      - {{match: {{path: {{prefix: /one}}}}, route: one}}
      - match: {{path: {{prefix: /split}}}}
        route: [{{cluster: one, weight: 50}}, {{cluster: two, weight: 50}}]
      - match: {{path: {{prefix: /}}}}
        route: two
{route}
"""


@pytest.fixture
def start(agent, nginx):
    def make(text, locations=LOCATIONS, http=HTTP):
        a = agent(text)
        n = nginx(http=http, main=MAIN, ports=("two",), start=False)
        (n.dir / "locations").write_text(locations)
        return a, n.start()
    return make


@pytest.fixture
def fronts(started, endpoints, tmp_path):
    """Two endpoints, and what speaks HTTP/2 before them."""
    made = pair(endpoints)
    return made, started.add(Fronts(tmp_path / "fronts", made)).start()


def told(body):
    seen = json.loads(body)
    seen["headers"] = {k.lower(): v for k, v in seen["headers"]}
    return seen


@pytest.mark.parametrize("client", ["--http1.1", "--http2-prior-knowledge"])
def test_what_an_endpoint_gets(start, fronts, client):
    e, front = fronts
    _, n = start(mesh(front.at[:1]))
    port = n.port if client == "--http1.1" else n.two
    body = b"x" * 40000
    args = ["-H", "Host: shop.local", "-H", "X-Mine: 1", "-H", "X-Scrubbed: 2",
            "-H", "X-Forwarded-For: 192.0.2.1", "-H", "TE: trailers, deflate",
            "-H", "Proxy-Connection: keep-alive", "-H", "HTTP2-Settings: AAMA"]
    if client == "--http1.1":
        args += ["-H", "Connection: upgrade", "-H", "Upgrade: websocket", "-H", "Keep-Alive: 1"]
    status, headers, answer = curl(port, "/a%2Fb/?q=%20", "-X", "PUT", "--data-binary",
                                   body.decode(), *args, version=client)
    seen = told(answer)
    assert (status, headers["x-cluster"], headers["x-endpoint"]) == (200, "two", "e1")
    assert (seen["method"], seen["target"]) == ("PUT", "/a%2Fb/?q=%20")
    assert seen["body_sha"] == hashlib.sha256(body).hexdigest()
    h = seen["headers"]
    assert (h["host"], h["x-spoken"], h["x-mine"]) == ("shop.local", "HTTP/2.0", "1")
    assert h["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
    assert h["x-outer"] == "PUT" and "x-scrubbed" not in h
    # Its authority is one, no Host field, and nothing is of the connection.
    fields = dict(front.received())
    assert fields[":authority"] == "shop.local" and fields["te"] == "trailers"
    assert fields[":path"] == "/a%2Fb/?q=%20" and fields["content-length"] == "40000"
    assert not {"host", "connection", "upgrade", "keep-alive", "proxy-connection",
                "http2-settings", "transfer-encoding"} & set(fields)
    assert len(fields) == len(front.received())


def test_bodies_of_unknown_length_and_none(start, fronts):
    e, front = fronts
    _, n = start(mesh(front.at[:1]))
    c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=10)
    for size in (0, 1, 70000, 300000):
        c.request("POST", "/", body=iter([b"a" * size, b"b"]), encode_chunked=True,
                  headers={"Transfer-Encoding": "chunked"})
        assert told(c.getresponse().read())["body_len"] == size + 1
    c.request("HEAD", "/")
    r = c.getresponse()
    assert (r.status, r.read()) == (200, b"")
    c.close()
    e[0].body = b"y" * 500000
    assert curl(n.two)[2] == e[0].body == n.get("/")[2]


def test_a_split_between_protocols(start, fronts, endpoints):
    e, front = fronts
    plain = endpoints.add("127.0.1.9", name="plain")
    _, n = start(mesh(front.at, one=[plain.at]))
    who = collections.Counter()
    c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=10)
    for i in range(40):
        if i % 2:
            _, headers, body = curl(n.two, "/split")
        else:
            c.request("GET", "/split")
            r = c.getresponse()
            headers, body = {k.lower(): v for k, v in r.getheaders()}, r.read()
        spoken = told(body)["headers"].get("x-spoken", "HTTP/1.1")
        who[(headers["x-cluster"], headers["x-endpoint"], spoken)] += 1
    c.close()
    assert who == {("one", "plain", "HTTP/1.1"): 20,
                   ("two", "e1", "HTTP/2.0"): 10, ("two", "e2", "HTTP/2.0"): 10}


@pytest.mark.parametrize("size", [0, 1, 60000])
def test_a_status_is_retried(start, fronts, size):
    e, front = fronts
    _, n = start(mesh(front.at, route="        retries: {attempts: 2, on: [gateway-error]}\n"))
    e[0].status = 503
    for _ in range(6):
        status, headers, body = n.get("/", method="PUT", body=b"z" * size)
        assert (status, headers["x-endpoint"]) == (200, "e2")
        assert told(body)["body_len"] == size
    assert metric(n, "mesh_cluster_retries_total", "two") == 3
    for x in e:
        x.status = 503
    status, headers, _ = curl(n.two)
    assert (status, headers["x-attempts"], headers["x-statuses"]) == (503, "3", "503, 503, 503")


def test_statuses_vote(start, fronts):
    e, front = fronts
    _, n = start(mesh(front.at, cluster="    outlier_detection: {consecutive_5xx: 3, "
                                        "base_ejection_time: 30s, max_ejection_percent: 50}\n"))
    e[0].status = 500
    assert [n.get("/")[0] for _ in range(6)].count(500) == 3
    wait_for(lambda: f"ejected endpoint {front.at[0]} of cluster \"two\"" in n.log(), "the ejection")
    wait_for(lambda: all(n.get("/")[0] == 200 for _ in range(4)), "no more of it")


def test_a_dead_endpoint_costs_no_request(start, fronts, endpoints):
    e, front = fronts
    dead = endpoints.add("127.0.1.3", start=False)
    _, n = start(mesh([dead.at, front.at[0]]))
    for method in 4 * ["GET", "POST"]:
        status, headers, body = n.get("/", method=method, body=b"1")
        assert (status, headers["x-endpoint"], told(body)["body_len"]) == (200, "e1", 1)
    assert metric(n, "mesh_cluster_connect_failures_total", "two") == 4


def test_refusals_are_those_of_any_cluster(start):
    _, n = start(mesh([]))
    assert n.get("/")[::2] == (503, b"no healthy endpoint")


@pytest.mark.parametrize("client", ["one", "two"])
def test_redirects_inside_nginx(start, fronts, endpoints, client):
    """From one protocol to another and back, in one request."""
    e, front = fronts
    plain = endpoints.add("127.0.1.9", name="plain")
    _, n = start(mesh(front.at[:1], one=[plain.at]), locations=LOCATIONS + """
        location /to-one {
            mesh_route;
            grpc_intercept_errors on;
            error_page 503 = /one/x;
        }
        location /one/to-two {
            mesh_route;
            proxy_intercept_errors on;
            error_page 503 = @two;
        }
        location @two { rewrite ^ /y break; mesh_route; add_header X-Cluster $mesh_cluster; }
    """)

    def get(path):
        _, headers, body = curl(n.port if client == "one" else n.two, path,
                                version="--http1.1" if client == "one" else
                                "--http2-prior-knowledge")
        return headers["x-cluster"], headers["x-endpoint"], told(body)["target"]

    for _ in range(3):
        e[0].status, e[0].fail_next = 503, 1
        assert get("/to-one") == ("one", "plain", "/one/x")
        plain.status, plain.fail_next = 503, 1
        assert get("/one/to-two") == ("two", "e1", "/y")
        plain.status, plain.headers = 200, {"X-Accel-Redirect": "/z"}
        assert get("/one/accel") == ("two", "e1", "/z")
        plain.headers = {}
    assert n.get("/one")[0] == 200


def test_protocols_never_share_a_connection(start, started, endpoints):
    """Two clusters at one address, and then one of them changes."""
    (e,) = pair(endpoints, 1)
    connections = []

    def serve(c):
        connections.append([])
        serve_both(c, connections[-1])

    started.add(Raw(e, serve))
    a, n = start(mesh([e.at], one=[e.at]))
    for _ in range(10):
        assert [n.get("/one")[0], n.get("/")[0], curl(n.two)[0]] == [200, 200, 200]
    assert sorted(map(len, connections)) == [10, 20]
    assert all(len(set(x)) == 1 for x in connections), connections

    a.apply(mesh([e.at], one=[e.at]).replace("protocol: http2", "protocol: http1"))
    for _ in range(10):
        assert n.get("/")[0] == 200
    a.apply(mesh([e.at], one=[e.at]))
    for _ in range(10):
        assert n.get("/")[0] == 200
    assert all(len(set(x)) == 1 for x in connections), connections
    # One of each protocol for `two`, one for `one`, and the first is used again.
    assert sorted(map(len, connections)) == [10, 10, 30]


def test_own_settings_win(start, fronts):
    """grpc_set_header before proxy_set_header before mesh_route."""
    e, front = fronts
    _, n = start(mesh(front.at[:1]), locations=LOCATIONS + """
        location /own {
            grpc_set_header X-Outer mine;
            proxy_set_header Host other.local;
            proxy_set_header X-Forwarded-For "";
            mesh_route;
            grpc_set_header X-Late too;
            proxy_set_header X-Late two;
        }
    """)
    h = told(n.get("/own", headers={"X-Forwarded-For": "1"})[2])["headers"]
    assert (h["host"], h["x-outer"], h["x-late"]) == ("other.local", "mine", "too")
    assert "x-forwarded-for" not in h
    assert dict(front.received())[":authority"] == "other.local"
    assert "proxy_set_header" not in (n.dir / "stderr.log").read_text()


@pytest.mark.parametrize("location, error, text", [
    ("mesh_route; grpc_pass grpc://a:1;", True, '"grpc_pass" directive is duplicate'),
    ("mesh_route; grpc_set_header Host a;", True, '"grpc_set_header Host" has to stand before'),
    ("proxy_set_header X-A a; mesh_route; grpc_set_header x-a b;", True,
     '"grpc_set_header x-a" has to stand before'),
    ("mesh_route; proxy_set_header X-A a;", False,
     '"proxy_set_header X-A" below "mesh_route" does not hold'),
    ("mesh_route; proxy_set_header Keep-Alive a;", False, "successful"),
])
def test_configurations(nginx, location, error, text):
    n = nginx(start=False, main=MAIN,
              http="server { listen 127.0.0.1:{port}; location / { %s } }" % location)
    status, said = n.test()
    assert (status != 0) == error and text in said, said


def breaks_off(c):
    """Begins an answer, asks for an answer itself, and is gone."""
    c.recv(65536)
    c.sendall(frame(SETTINGS))
    c.sendall(frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(DATA, 0, 1, b"begun"))
    time.sleep(0.01)
    c.sendall(frame(PING, 0, 0, bytes(8)))
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_an_answer_that_has_begun_is_not_repeated(agent, nginx, endpoints, started):
    """The grpc module writes on after the response's header, and a failure of
    that is to nginx one more failed attempt."""
    e = pair(endpoints)
    for x in e:
        started.add(Raw(x, breaks_off))
    agent(mesh([x.at for x in e]))
    n = nginx(main=MAIN, http="""
        upstream u { mesh two; }
        server { listen 127.0.0.1:{port}; location / { grpc_pass grpc://u; } }
    """)
    pids = n.workers()

    # The reset has to come while nginx is busy with others.
    def ask():
        for _ in range(60):
            with socket.create_connection(("127.0.0.1", n.port), timeout=10) as c:
                c.sendall(b"GET / HTTP/1.0\r\n\r\n")
                while c.recv(65536):
                    pass

    clients = [threading.Thread(target=ask) for _ in range(16)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    assert n.workers() == pids, "a worker crashed"
    assert any(line.startswith("200 ") for line in n.access())
