# SPDX-License-Identifier: Apache-2.0
"""Picking endpoints, retries and timeouts in live workers."""

import collections
import http.client
import re
import socket
import threading
import time

import pytest

from meshtest.load import Load
from meshtest.process import wait_for
from meshtest.upstream import HTTP, MAIN, Raw, mesh, metric, pair, retries


# --- picking ----------------------------------------------------------------

@pytest.mark.parametrize("path", ["/direct", "/"])
def test_round_robin_is_exact_over_workers(agent, nginx, endpoints, path):
    agent(mesh(pair(endpoints, 3)))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    who = collections.Counter(n.get(path)[1]["x-endpoint"] for _ in range(300))
    assert who == {"e1": 100, "e2": 100, "e3": 100}


def test_unix_and_ipv6_endpoints(agent, nginx, endpoints, tmp_path):
    path = tmp_path / "endpoint.sock"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    six = socket.socket(socket.AF_INET6)
    try:
        six.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback")
    listeners = {"unix": unix, "six": six}
    stop = threading.Event()

    def serve(name, s):
        s.listen()
        s.settimeout(0.1)
        while not stop.is_set():
            try:
                c, _ = s.accept()
            except socket.timeout:
                continue
            with c:
                c.recv(65536)
                c.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n"
                          f"Connection: close\r\n\r\n{name}".encode())

    threads = [threading.Thread(target=serve, args=x) for x in listeners.items()]
    for t in threads:
        t.start()
    try:
        agent(f"""
clusters:
  reviews:
    endpoints: ['unix:{path}', '[::1]:{six.getsockname()[1]}']
hosts: []
""")
        n = nginx(http=HTTP, main=MAIN)
        seen = {(h["x-tried"], body) for _, h, body in (n.get("/direct") for _ in range(4))}
        assert seen == {(f"unix:{path}", b"unix"),
                        (f"[::1]:{six.getsockname()[1]}", b"six")}
    finally:
        stop.set()
        for t in threads:
            t.join()
        unix.close()
        six.close()


def test_refusals_say_why(agent, nginx, endpoints):
    agent(mesh(pair(endpoints, 1)))
    n = nginx(http=HTTP, main=MAIN)
    assert n.get("/missing")[::2] == (503, b"no such cluster")
    assert n.get("/subset")[::2] == (503, b"no such subset")
    assert 'no mesh cluster "nowhere" in generation 1' in n.log()

    # A refusal is an answer like others: its connection goes on.
    c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=10)
    statuses = []
    for method, path in 2 * [("GET", "/missing"), ("HEAD", "/missing"), ("GET", "/direct")]:
        c.request(method, path)
        r = c.getresponse()
        r.read()
        statuses.append(r.status)
    assert statuses == [503, 503, 200, 503, 503, 200]
    c.close()
    wait_for(lambda: len(n.access()) == 8, "the log")


BAD = {
    "upstream u { mesh a; server 127.0.0.1:1; }": '"server" beside "mesh"',
    "upstream u { server 127.0.0.1:1; mesh a; }": '"server" beside "mesh"',
    "upstream u { mesh a; mesh b; }": "is duplicate",
    "upstream u { mesh a; zone z 64k; }": '"zone" beside "mesh"',
    "upstream u { least_conn; mesh a; }": "another balancer",
    "upstream u { mesh a/; }": "takes NAME or NAME/SUBSET",
    "upstream u { mesh /b; }": "takes NAME or NAME/SUBSET",
    "upstream u { mesh a b; }": "number of arguments",
}


@pytest.mark.parametrize("text", BAD)
def test_configurations_that_cannot_work(nginx, text):
    n = nginx(http=text, main=MAIN, start=False)
    status, said = n.test()
    assert status == 1 and BAD[text] in said, said


def test_an_upstream_needs_a_zone(nginx):
    n = nginx(http="upstream u { mesh a; }", start=False)
    status, said = n.test()
    assert status == 1 and 'needs "mesh_zone"' in said, said


def test_redirects_inside_nginx(agent, nginx, endpoints):
    """The answer of one upstream leads to another one, in one request."""
    e = pair(endpoints)
    text = mesh(e[:1], cluster=f"""  second:
    endpoints: ['{e[1].at}']
""")
    agent(text)
    n = nginx(main=MAIN, http=HTTP.replace("server {", """
        upstream second { mesh second; }
        server {
        location /first {
            proxy_pass http://u;
            proxy_intercept_errors on;
            error_page 503 = /second;
            add_header X-Cluster $mesh_cluster;
        }
        location = /second {
            proxy_pass http://second;
            add_header X-Cluster $mesh_cluster;
            add_header X-Tried $upstream_addr;
        }
    """, 1))
    e[0].status = 503
    status, headers, _ = n.get("/first")
    assert (status, headers["x-endpoint"], headers["x-cluster"]) == (200, "e2", "second")
    assert headers["x-tried"] == f"{e[0].at} : {e[1].at}"
    e[0].status = 200
    e[0].headers = {"X-Accel-Redirect": "/second"}
    status, headers, _ = n.get("/first")
    assert (status, headers["x-endpoint"]) == (200, "e2")
    for cluster, attempts in (("reviews", 2), ("second", 2)):
        assert metric(n, "mesh_cluster_attempts_total", cluster) == attempts
        assert metric(n, "mesh_cluster_attempts_in_flight", cluster) == 0


def test_no_mesh_yet_and_then_it_comes(agent, nginx, endpoints, zone):
    n = nginx(http=HTTP, main=MAIN)
    status, _, body = n.get("/direct")
    assert status == 503 and body
    e = pair(endpoints, 1)
    agent(mesh(e))
    wait_for(lambda: n.get("/direct")[0] == 200, "the first snapshot")


def test_no_endpoint_is_503_uh(agent, nginx):
    agent(mesh([], cluster="").replace("    endpoints:\n\n", "    endpoints: []\n"))
    n = nginx(http=HTTP, main=MAIN)
    status, headers, body = n.get("/")
    assert (status, body) == (503, b"no healthy endpoint")
    assert headers["x-flags"] == "UH"
    assert metric(n, "mesh_cluster_no_endpoint_total") == 1


# --- endpoints that die -----------------------------------------------------

@pytest.mark.parametrize("path", ["/direct", "/"])
def test_killed_endpoint_costs_no_get(agent, nginx, endpoints, started, path):
    e = pair(endpoints, 3)
    agent(mesh(e, cluster="""
    outlier_detection: {consecutive_5xx: 3, base_ejection_time: 30s, max_ejection_percent: 50}
"""))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    load = started.add(Load(n.port, lambda s, h, b: None if s == 200 else f"{s} {h}", path=path))
    load.start()
    wait_for(lambda: load.answers > 200, "load")
    e[0].kill()
    wait_for(lambda: "ejected endpoint" in n.log(), "the ejection")
    before = load.answers
    wait_for(lambda: load.answers > before + 500, "load after the ejection")
    load.stop()
    assert load.errors == []
    assert re.search(rf'ejected endpoint {e[0].at} of cluster "reviews" for 30s: '
                     r"3 consecutive 5xx \(generation 1\)", n.log())
    # Ejected: not even tried.
    tried = [n.get(path)[1]["x-tried"] for _ in range(20)]
    assert all(e[0].at not in t for t in tried)


def test_post_is_not_repeated_once_sent(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e, route=retries()))
    n = nginx(http=HTTP, main=MAIN)
    for x in e:
        x.reset = True
    status, headers, _ = n.get("/", method="POST", body=b"pay")
    assert status == 502
    assert (headers["x-attempts"], headers["x-flags"]) == ("1", "UC")
    status, headers, _ = n.get("/direct", method="POST", body=b"pay")
    assert status == 502 and "," not in headers["x-tried"]

    # Nothing was sent: another endpoint may have it.
    e[0].kill()
    e[1].reset = False
    answers = [n.get("/", method="POST", body=b"pay") for _ in range(2)]
    assert [a[0] for a in answers] == [200, 200]
    assert sorted(a[1]["x-attempts"] for a in answers) == ["1", "2"]
    assert [r["body_len"] for r in e[1].requests] == [3, 3]


def test_post_is_repeated_if_the_route_says_so(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e, route=retries(more=", retry_unsafe: true")))
    n = nginx(http=HTTP, main=MAIN)
    e[0].status = 503
    body = b"x" * 40000
    for _ in range(4):
        status, headers, _ = n.get("/", method="POST", body=body)
        assert status == 200 and headers["x-endpoint"] == "e2"
    assert {r["body_len"] for r in e[1].requests} == {40000}
    assert len({r["body_sha"] for r in e[1].requests}) == 1


def test_a_chunked_body_is_repeated(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e, route=retries()))
    n = nginx(http=HTTP, main=MAIN)
    e[0].status = 503
    for size in (0, 1, 5000, 60000):
        for _ in range(2):
            e[1].requests.clear()
            c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=10)
            half = size // 2
            c.request("PUT", "/", body=iter([b"a" * half, b"b" * (size - half)]),
                      encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
            r = c.getresponse()
            assert (r.status, r.getheader("x-endpoint")) == (200, "e2"), size
            assert e[1].requests[-1]["body_len"] == size
            c.close()


def test_a_body_beyond_the_copy_is_not_repeated(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e, route=retries()))
    n = nginx(http=HTTP, main=MAIN)
    for x in e:
        x.status = 503
    status, headers, _ = n.get("/", method="PUT", body=b"x" * 300000)
    assert (status, headers["x-attempts"]) == (503, "1")


# --- retries by status ------------------------------------------------------

def test_retriable_status(agent, nginx, endpoints):
    e = pair(endpoints, 3)
    agent(mesh(e, route=retries(on="[gateway-error]")))
    n = nginx(http=HTTP, main=MAIN)
    e[0].status = 503
    seen = [n.get("/") for _ in range(6)]
    assert [s for s, _, _ in seen] == [200] * 6
    retried = [h for _, h, _ in seen if h["x-attempts"] == "2"]
    assert len(retried) == 2
    assert {h["x-statuses"] for h in retried} == {"503, 200"}
    assert metric(n, "mesh_cluster_retries_total") == 2


def test_exhausted_retries_give_the_last_real_answer(agent, nginx, endpoints):
    e = pair(endpoints, 3)
    agent(mesh(e, route=retries(attempts=2, on="[5xx]")))
    n = nginx(http=HTTP, main=MAIN)
    for x in e:
        x.status, x.body = 501, b"not by me"
    status, headers, body = n.get("/")
    assert (status, body) == (501, b"not by me")
    assert (headers["x-attempts"], headers["x-flags"]) == ("3", "URX")
    assert headers["x-statuses"] == "501, 501, 501"
    assert len(set(headers["x-tried"].split(", "))) == 3
    assert metric(n, "mesh_cluster_retries_exhausted_total") == 1


def test_listed_codes_alone_are_retried(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e, route=retries(on="[409]")))
    n = nginx(http=HTTP, main=MAIN)
    for x in e:
        x.status = 503
    assert n.get("/")[1]["x-attempts"] == "1"
    for x in e:
        x.status = 409
    assert n.get("/")[1]["x-attempts"] == "3"


def test_nginx_directives_rule_in_plain_upstreams(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e))
    n = nginx(main=MAIN, http=HTTP.replace(
        "location /direct {",
        "location /next { proxy_pass http://u; proxy_next_upstream http_503;"
        " add_header X-Tried $upstream_addr always; }\n location /direct {"))
    e[0].status = 503
    assert [n.get("/next")[0] for _ in range(4)] == [200] * 4
    assert sorted(n.get("/direct")[0] for _ in range(2)) == [200, 503]
    e[1].status = 503
    status, headers, _ = n.get("/next")
    assert status == 503 and headers["x-tried"].count(",") == 1


# --- time -------------------------------------------------------------------

@pytest.mark.slow
def test_per_try_timeout(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e, route=retries(on="[reset]", more=", per_try_timeout: 2s")))
    n = nginx(http=HTTP, main=MAIN)
    e[0].hold = True
    took = []
    for _ in range(2):
        began = time.monotonic()
        status, headers, _ = n.get("/")
        took.append(time.monotonic() - began)
        assert (status, headers["x-endpoint"]) == (200, "e2")
    assert 1.99 < max(took) < 3.3 and min(took) < 1.5, took
    assert metric(n, "mesh_cluster_timeouts_total") == 1


@pytest.mark.slow
def test_the_deadline_ends_the_request(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e, route=retries(attempts=9, on="[reset]", more=", per_try_timeout: 2s")
               + "        timeout: 5500ms\n"))
    n = nginx(http=HTTP, main=MAIN)
    for x in e:
        x.hold = True
    began = time.monotonic()
    status, headers, _ = n.get("/")
    took = time.monotonic() - began
    assert status == 504 and 5.49 < took < 6.6, (status, took)
    assert (headers["x-attempts"], headers["x-flags"]) == ("3", "UT")


@pytest.mark.slow
def test_the_deadline_ends_a_body(agent, nginx, endpoints, started):
    def serve(c):
        c.recv(65536)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
        c.recv(65536)                           # until nginx closes

    (e,) = pair(endpoints, 1)
    agent(mesh([e], route="        timeout: 2s\n"))
    n = nginx(http=HTTP, main=MAIN)
    started.add(Raw(e, serve))
    began = time.monotonic()
    with pytest.raises(http.client.IncompleteRead):
        n.get("/")
    assert 1.99 < time.monotonic() - began < 3.2


def test_deadlines_of_many_lengths(agent, nginx, endpoints):
    """Some have the queue of their length to themselves, others (61 ms apart)
    meet, and all come when they are due, in flight together."""
    (e,) = pair(endpoints, 1)
    lengths = [300, 361, 422, 500, 561, 301, 800]
    routes = "\n".join(f"""
      - match: {{path: {{exact: /{ms}}}}}
        route: reviews
        timeout: {ms}ms""" for ms in lengths)
    agent(mesh([e]).replace("    routes:", "    routes:" + routes, 1))
    n = nginx(http=HTTP, main=MAIN)
    n.get("/quick")                             # a deadline that is taken back
    e.hold = True
    took = {}

    def ask(ms, turn):
        began = time.monotonic()
        status, headers, _ = n.get(f"/{ms}")
        took[ms, turn] = (status, headers["x-flags"], time.monotonic() - began)

    threads = [threading.Thread(target=ask, args=(ms, turn))
               for turn in range(3) for ms in lengths]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(took) == 3 * len(lengths)
    for (ms, _), (status, flags, seconds) in took.items():
        assert (status, flags) == (504, "UT"), took
        assert ms / 1000 - 0.01 < seconds < ms / 1000 + 1, took


def test_connect_timeout_of_the_cluster(agent, nginx, endpoints):
    (e,) = pair(endpoints, 1)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    address = full.getsockname()
    fill = [socket.socket() for _ in range(4)]
    for s in fill:
        s.setblocking(False)
        s.connect_ex(address)
    text = mesh([e], cluster="    connect_timeout: 200ms\n")
    text = text.replace(f"      - '{e.at}'", f"      - '{e.at}'\n      - '127.0.0.1:{address[1]}'")
    agent(text)
    n = nginx(http=HTTP, main=MAIN)
    took = []
    for _ in range(4):
        began = time.monotonic()
        assert n.get("/")[0] == 200
        took.append(time.monotonic() - began)
    assert 0.19 < max(took) < 1.5, took
    for s in fill + [full]:
        s.close()


# --- outcomes ---------------------------------------------------------------

def test_a_client_that_leaves_is_no_vote(agent, nginx, endpoints):
    (e,) = pair(endpoints, 1)
    agent(mesh([e], cluster="    outlier_detection: {consecutive_5xx: 1, "
                            "consecutive_gateway_failure: 1, max_ejection_percent: 100}\n"))
    n = nginx(http=HTTP, main=MAIN)
    e.hold = True
    for path in ("/", "/direct"):
        before = len(e.requests)
        with socket.create_connection(("127.0.0.1", n.port)) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            wait_for(lambda: len(e.requests) > before, "the request at its endpoint")
    wait_for(lambda: sum(" 499 " in f" {x}" or x.startswith("499") for x in n.access()) == 2,
             "two abandoned requests in the log")
    e.hold = False
    assert n.get("/")[0] == 200
    assert "ejected" not in n.log()
    assert metric(n, "mesh_cluster_resets_total") == 0
    assert any(re.match(r"499 .* DC ", x) for x in n.access()), n.access()


def test_gauges_count_what_is_in_flight(agent, nginx, endpoints, started):
    e = pair(endpoints, 3)
    agent(mesh(e, route=retries()))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    for _ in e:
        n.get("/")                              # an unused endpoint has no series
    e[0].status = 503
    for x in e[1:]:
        x.hold = True
    load = started.add(Load(n.port, lambda s, h, b: None if s == 200 else str(s), connections=6))
    load.start()
    wait_for(lambda: metric(n, "mesh_cluster_attempts_in_flight") == 6, "six in flight")
    wait_for(lambda: metric(n, "mesh_endpoint_attempts_in_flight") == 6, "six at endpoints")
    for x in e[1:]:
        x.hold = False
    load.stop()
    assert load.errors == []
    assert metric(n, "mesh_cluster_attempts_in_flight") == 0
    assert metric(n, "mesh_endpoint_attempts_in_flight") == 0


def handshake(n, upgrade, connection="Upgrade"):
    with socket.create_connection(("127.0.0.1", n.port), timeout=10) as s:
        s.sendall(f"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: {connection}, close\r\n"
                  f"Upgrade: {upgrade}\r\nSec-WebSocket-Key: a\r\nX-Last: 1\r\n\r\n".encode())
        return s.recv(65536).split(b"\r\n")[0].decode()


def test_only_websocket_upgrades(agent, nginx, endpoints, started):
    """The handshake's two headers are sent once each, by mesh_route itself;
    to no other protocol is there a way."""
    seen = []

    def serve(c):
        head = b""
        while b"\r\n\r\n" not in head:
            head += c.recv(65536)
        seen.append([line.lower() for line in head.decode().split("\r\n")[1:] if line])
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    (e,) = pair(endpoints, 1)
    agent(mesh([e]))
    n = nginx(http=HTTP, main=MAIN)
    started.add(Raw(e, serve))

    assert "200" in handshake(n, "WebSocket")
    lines = seen.pop()
    hop = [line for line in lines if line.startswith(("connection:", "upgrade:"))]
    assert sorted(hop) == ["connection: upgrade", "upgrade: websocket"], lines
    assert "x-last: 1" in lines and "sec-websocket-key: a" in lines

    assert "200" in handshake(n, "websocket", "keep-alive, upgrade")
    assert "upgrade: websocket" in seen.pop()

    for other, connection in [(o, "Upgrade") for o in ("h2c", "websocketx", "websocket, h2c", "TLS/1.0", "")] + [
            ("websocket", "x-last")]:
        assert "200" in handshake(n, other, connection)
        lines = seen.pop()
        assert not [line for line in lines if line.startswith(("connection:", "upgrade:"))], lines


@pytest.mark.slow
def test_websocket_through_plain_upstream(agent, nginx, endpoints):
    from websockets.sync.client import connect

    e = pair(endpoints)
    agent(mesh(e, route="        timeout: 2s\n"))
    n = nginx(http=HTTP, main=MAIN)
    for path in ("/socket", "/"):
        with connect(f"ws://127.0.0.1:{n.port}{path}") as ws:
            ws.send("one")
            assert ws.recv(timeout=20) == "one"
            time.sleep(2.5)                 # past the route's deadline
            ws.send("x" * 5000)
            assert ws.recv(timeout=20) == "x" * 5000
