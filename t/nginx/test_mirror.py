# SPDX-License-Identifier: Apache-2.0
"""mirror: copies of requests, which nobody waits for."""

import collections
import http.client
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from meshtest import http2
from meshtest.envoy import BINARY, Envoy, bootstrap, envoy_of
from meshtest.process import binary, free_port, wait_for
from meshtest.upstream import Deaf, Raw, metric, start_both

LOCATIONS = """
    location / { %s mesh_route; proxy_set_header X-Own $request_method; }
    location = /metrics { mesh_metrics; }
"""
MESH = """
clusters:
  c: {endpoints: ['%(c)s']}
  h: {endpoints: ['%(h)s'], protocol: http2}
  m:
    endpoints: [{address: '%(m)s', labels: {v: "1"}}, {address: '%(k)s', labels: {v: "2"}}]
    subsets: {one: {v: "1"}, two: {v: "2"}}
    connect_timeout: 3s
    outlier_detection: {consecutive_5xx: 3, max_ejection_percent: 100}
    panic_threshold: 0
  o: {endpoints: ['%(k)s']}
  empty: {}
hosts:
  - domains: ["*"]
    mirror: m/one
    routes:
      - {name: other, match: {path: {prefix: /other}}, route: c, mirror: o, timeout: 2m}
      - name: some
        match: {path: {prefix: /some}}
        route: c
        mirror: [{cluster: m/one, percentage: 20}, {cluster: m/two, percentage: 0.5%%}]
      - name: both
        match: {path: {prefix: /both}}
        route: c
        rewrite: {prefix: /sent, host: in.test}
        request_headers: {set: {x-op: op}}
        mirror: [m/one, {cluster: m/two, shadow_host: false}]
      - {name: two, match: {path: {prefix: /two}}, route: h}
      - {name: gone, match: {path: {prefix: /gone}}, route: c, mirror: empty}
      - {name: local, match: {path: {prefix: /local}}, respond: 204}
      - {name: quick, match: {path: {prefix: /quick}}, route: c, timeout: 3s}
      - {name: hop, match: {path: {prefix: /hop}}, route: c, max_request_body: 100,
         internal_redirects: {codes: [303, 307]}}
      - {name: rest, route: c, timeout: 2m}
"""


@pytest.fixture
def start(agent, nginx, endpoints, started, tmp_path):
    def make(more="", **kwargs):
        c, m, k = (endpoints.add(f"127.0.8.{i}", name=name)
                   for i, name in ((1, "c"), (2, "m"), (3, "k")))
        fronts = started.add(http2.Fronts(tmp_path / "fronts", [c])).start()
        make.agent = agent(MESH % {"c": c.at, "m": m.at, "k": k.at, "h": fronts.at[0]})
        return start_both(nginx, LOCATIONS % more, **kwargs), c, m, k
    return make


@pytest.fixture
def free_address(endpoints):
    """For a talker of its own."""
    return endpoints.add("127.0.8.4", name="raw")


def mirrored(e, count=1):
    """What was sent to it, once that is so much."""
    return wait_for(lambda: len(e.requests) >= count and list(e.requests), "the copies")


def settled(n, name="mesh_cluster_attempts_in_flight", cluster="m", timeout=10):
    wait_for(lambda: metric(n, name, cluster) == 0, "all copies to end", timeout)


def fields(request, *without):
    names = {"connection", "content-length", "transfer-encoding", *without}
    return sorted((k.lower(), v) for k, v in request["headers"] if k.lower() not in names)


def test_a_copy_is_what_the_endpoint_got(start):
    n, c, m, k = start()
    assert n.get("/both/x?q=1", host="a.test:81", method="PUT", body=b"body",
                 headers={"X-Op": "a", "TE": "trailers", "X-Two": "2"})[0] == 200
    own, (one,), (two,) = c.requests[0], mirrored(m), mirrored(k)
    assert (one["method"], one["target"], one["version"]) == ("PUT", "/sent/x?q=1", "HTTP/1.1")
    assert [x["body_sha"] for x in (one, two)] == [own["body_sha"]] * 2
    hosts = [[v for h, v in x["headers"] if h.lower() == "host"] for x in (own, one, two)]
    assert hosts == [["in.test"], ["in.test-shadow"], ["in.test"]]
    assert fields(own, "host", "te") == fields(one, "host") == fields(two, "host")
    assert ("x-own", "PUT") in fields(one) and ("x-op", "op") in fields(one)
    assert ("x-forwarded-for", "127.0.0.1") in fields(one)
    settled(n)
    assert metric(n, "mesh_cluster_mirrors_total", "m") == 2
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 0
    assert metric(n, "mesh_cluster_requests_total", "m") == 0
    assert metric(n, "mesh_cluster_attempts_total", "m") == 2


@pytest.mark.parametrize("host, seen", [
    ("a.test", "a.test-shadow"), ("a.test:81", "a.test-shadow:81"),
    ("[::1]:81", "[::1]-shadow:81"), ("[::1]", "[::1]-shadow")])
def test_hosts(start, host, seen):
    n, c, m, k = start()
    assert n.get("/", host=host)[0] == 200
    assert ("host", seen) in fields(mirrored(m)[0])


@pytest.mark.parametrize("more", ["", "proxy_request_buffering on;"])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("framing", ["length", "unknown"])
@pytest.mark.parametrize("path", ["/", "/two"])
def test_bodies(start, more, two, framing, path):
    """In pieces, of all sizes that are kept, over both protocols."""
    n, c, m, k = start(more)
    for count, size in enumerate([0, 1, 5000, 65536], 1):
        body = os.urandom(size)
        if two:
            args = ["--data-binary", "@-", "-X", "PUT"] if framing == "length" else \
                ["-T", "-"]
            done = subprocess.run(
                ["curl", "-s", "--http2-prior-knowledge", "--max-time", "20", *args,
                 f"http://127.0.0.1:{n.two}{path}"], input=body, capture_output=True, check=True)
            assert done.stdout
        else:
            pieces = [body[i:i + 3000] for i in range(0, size, 3000)]
            s = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
            s.request("PUT", path, body=body if framing == "length" else iter(pieces),
                      encode_chunked=framing != "length",
                      headers={} if framing == "length" else {"Transfer-Encoding": "chunked"})
            assert s.getresponse().read()
            s.close()
        got = mirrored(m, count)[-1]
        assert (got["method"], got["body_len"]) == ("PUT", size)
        assert got["body_sha"] == c.requests[-1]["body_sha"]
        assert got["target"] == path
    settled(n)
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 0


@pytest.mark.parametrize("more", ["", "proxy_request_buffering on;"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_body_is_not_mirrored(start, more, framing):
    n, c, m, k = start(more)
    body = b"x" * 65537
    s = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
    s.request("PUT", "/", body=body if framing == "length" else iter([body]),
              encode_chunked=framing != "length",
              headers={} if framing == "length" else {"Transfer-Encoding": "chunked"})
    assert s.getresponse().status == 200
    s.close()
    assert n.get("/")[0] == 200                     # the next one is
    mirrored(m)
    settled(n)
    assert [r["body_len"] for r in m.requests] == [0]
    assert [r["body_len"] for r in c.requests] == [65537, 0]
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 1
    assert metric(n, "mesh_cluster_mirrors_total", "m") == 1


def test_shares_are_exact(start):
    n, c, m, k = start()
    for i in range(400):
        assert n.get("/some")[0] == 200
    wait_for(lambda: len(m.requests) == 80 and len(k.requests) == 2, "the copies")
    settled(n)
    assert metric(n, "mesh_cluster_mirrors_total", "m") == 82


def test_what_is_answered_here_is_not(start):
    n, c, m, k = start()
    assert n.get("/local")[0] == 204
    c.kill()
    assert n.get("/on")[0] == 502                   # but this one was on its way
    assert mirrored(m)[0]["target"] == "/on"
    assert metric(n, "mesh_cluster_mirrors_total", "m") == 1


def test_a_cluster_without_endpoints(start):
    n, c, m, k = start()
    assert n.get("/gone")[0] == 200
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "empty") == 1


ITSELF = "clusters: {c: {endpoints: ['%(c)s']}, m: {}}", "c"
LIMITED = "clusters: {c: {endpoints: ['%(c)s']}, m: {endpoints: ['%(m)s'], keepalive: {%(more)s}}}", "m"
OTHER = """%s
hosts:
  - domains: ["*"]
    routes:
      - {name: here, match: {path: {exact: /%s}}, respond: 204}
      - {name: all, route: c, mirror: %s}
"""


def another(start, n, mesh, **names):
    """Another mesh, once it has been adopted."""
    text, to = mesh
    mark = "here" + str(time.monotonic_ns())
    names = {k: v.at if hasattr(v, "at") else v for k, v in names.items()}
    start.agent.write(OTHER % (text % names, mark, to))
    wait_for(lambda: n.get("/" + mark)[0] == 204, "the new mesh")
    for cluster in "cm":
        settled(n, cluster=cluster)


class Silent:
    """Takes connections and never answers."""

    def __call__(self, s):
        s.settimeout(60)
        try:
            while s.recv(65536):
                pass
        except OSError:
            pass


def times(n, count, path="/"):
    taken = []
    s = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
    for i in range(count):
        before = time.perf_counter()
        s.request("GET", path, headers={"Host": "a"})
        assert s.getresponse().read()
        taken.append(time.perf_counter() - before)
    s.close()
    return taken


def test_nobody_waits_for_a_mirror(start, started):
    """It never answers; requests, connections and gauges go on as before, and
    no more copies than the limit wait for it."""
    n, c, m, k = start()
    started.add(Raw(m, Silent()))
    took = times(n, 700)
    assert statistics.quantiles(took, n=100)[98] < 1    # far from the route's two minutes
    assert metric(n, "mesh_cluster_attempts_in_flight", "m") == 512
    assert metric(n, "mesh_cluster_mirrors_total", "m") == 512
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 188
    assert len(c.requests) == 700 and all(l.startswith("200 ") for l in n.logged(700))
    # They end with the worker, which does not wait for them either.
    n.reload()
    wait_for(lambda: metric(n, "mesh_cluster_attempts_in_flight", "m") == 0,
             "the old worker to end", 8)
    assert n.get("/")[0] == 200
    wait_for(lambda: metric(n, "mesh_cluster_mirrors_total", "m") == 513, "another copy")


def test_another_mirror_has_room_beside(start, started):
    """One that never answers takes half of what there may be, and another
    one half of the rest."""
    n, c, m, k = start()
    started.add(Raw(m, Silent()))
    took = times(n, 600)
    assert len(took) == 600 and metric(n, "mesh_cluster_mirrors_total", "m") == 512
    times(n, 100, "/other")
    wait_for(lambda: len(k.requests) == 100, "the copies")
    assert metric(n, "mesh_cluster_mirrors_total", "o") == 100
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "o") == 0
    k.delay = 60
    times(n, 300, "/other")
    wait_for(lambda: metric(n, "mesh_cluster_attempts_in_flight", "o") == 256, "the copies")
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "o") == 44


def test_copies_have_so_much_memory(start, started):
    """16 MB of them: bodies of 64 kB reach that before their number's limit."""
    n, c, m, k = start(level="error")
    started.add(Raw(m, Silent()))
    s = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
    for i in range(280):
        s.request("PUT", "/", body=b"x" * 65536)
        assert s.getresponse().read()
    s.close()
    sent = metric(n, "mesh_cluster_mirrors_total", "m")
    assert 240 <= sent < 256
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 280 - sent
    assert [r["body_len"] for r in c.requests] == [65536] * 280


@pytest.mark.slow
def test_a_mirror_that_nobody_can_connect_to(start, started):
    """Its address answers no SYN."""
    n, c, m, k = start()
    m.kill()
    started.add(Deaf(m.address, m.port))
    took = times(n, 50)
    assert max(took) < 1 and len(c.requests) == 50
    assert metric(n, "mesh_cluster_attempts_in_flight", "m") == 50
    settled(n, timeout=20)                          # after connect_timeout
    assert metric(n, "mesh_cluster_connect_failures_total", "m") == 50


@pytest.mark.parametrize("how", ["reload", "quit"])
def test_a_worker_that_quits_gives_up_its_copies(start, started, how):
    """In no time that a mirror has: neither the route's nor a connect's."""
    n, c, m, k = start()
    started.add(Raw(m, Silent()))
    times(n, 20)
    (worker,) = n.workers()
    assert metric(n, "mesh_cluster_attempts_in_flight", "m") == 20
    if how == "reload":
        n.reload()
    else:
        os.kill(n.process.pid, signal.SIGQUIT)
    wait_for(lambda: not os.path.exists(f"/proc/{worker}"), "the worker to end", 5)


def test_a_worker_that_quits_begins_no_copies(start, started):
    """Of a request that it still ends: its client does not wait for a mirror,
    nor does who stops nginx."""
    n, c, m, k = start()
    started.add(Raw(m, Silent()))
    (worker,) = n.workers()
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        wait_for(lambda: c.connections, "the endpoint")
        n.reload()
        title = Path(f"/proc/{worker}/cmdline")
        wait_for(lambda: b"shutting down" in title.read_bytes(), "the old worker to be told")
        s.sendall(b"dy")
        assert s.recv(65536).startswith(b"HTTP/1.1 200")
    wait_for(lambda: not os.path.exists(f"/proc/{worker}"), "the worker to end", 5)
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 1


@pytest.mark.slow
def test_a_mirror_has_a_time_of_its_own(start, started):
    n, c, m, k = start()
    started.add(Raw(m, Silent()))
    for i in range(3):
        assert n.get("/quick")[0] == 200
    settled(n)
    assert metric(n, "mesh_cluster_timeouts_total", "m") == 3
    text = n.get("/metrics")[2].decode()            # and counts against its endpoint
    assert re.search(rf'mesh_endpoint_ejected{{cluster="m",endpoint="{m.at}"}} 1', text)


def test_connections_are_kept(start):
    """By mirrors for mirrors: the requests' own are others."""
    n, c, m, k = start()
    for i in range(30):
        path, method = ("/both", "PUT") if i % 3 else ("/two", "HEAD")
        assert n.get(path, method=method, body=b"b" if i % 3 else None)[0] == 200
        mirrored(m, i + 1)
        settled(n)
    assert (m.connections, k.connections) == (1, 1)
    assert metric(n, "mesh_cluster_connections_reused_total", "m") == 29 + 19
    assert metric(n, "mesh_cluster_connections_opened_total", "m") == 2
    for request in m.requests + k.requests:
        assert not [h for h, v in request["headers"] if h.lower() == "connection"]


def test_a_clients_request_gets_no_connection_of_a_copy(start):
    """Nor the other way round: of an endpoint of both."""
    n, c, m, k = start()
    another(start, n, ITSELF, c=c)
    for i in range(20):
        assert n.get("/")[0] == 200
        mirrored(c, 2 * i + 2)
        settled(n, cluster="c")
    assert c.connections == 2


def test_the_clusters_limits_are_the_mirrors(start):
    n, c, m, k = start()
    for more, made in (("max_requests: 5", 4), ("max_idle: 0", 20)):
        another(start, n, LIMITED, c=c, m=m, more=more)
        done, before = len(m.requests), m.connections
        for i in range(20):
            assert n.get("/")[0] == 200
            mirrored(m, done + i + 1)
            settled(n)
        assert m.connections - before == made
    (last,) = {v for h, v in m.requests[-1]["headers"] if h.lower() == "connection"}
    assert last == "close"


def test_idle_connections_end_with_time_set_and_stray_bytes(start, started):
    n, c, m, k = start()
    stray, opened, closed = [], [], []

    def answer(s):
        opened.append(1)
        s.settimeout(20)
        while s.recv(65536):
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + b"".join(stray))
        closed.append(1)

    started.add(Raw(m, answer))
    for i in range(3):
        assert n.get("/")[0] == 200
        settled(n)
    assert (len(opened), len(closed)) == (1, 0)
    # A set without it closes it.
    another(start, n, LIMITED, c=c, m=k, more="idle_timeout: 300ms")
    wait_for(lambda: closed, "it to be closed")
    assert n.get("/")[0] == 200
    mirrored(k)
    wait_for(lambda: not k._writers, "its time to be over")
    # What comes behind an answer belongs to no other.
    stray.append(b"HTTP/1.1 500 X\r\n\r\n")
    another(start, n, LIMITED, c=c, m=m, more="idle_timeout: 60s")
    before = len(opened)
    for i in range(5):
        assert n.get("/")[0] == 200
        settled(n)
    assert len(opened) == before + 5
    assert metric(n, "mesh_cluster_resets_total", "m") == 0


def test_a_connection_that_was_closed_meanwhile(start, started):
    """The copy is sent once more, if that is safe, and no vote is cast."""
    n, c, m, k = start()
    heads = []

    def once(s):
        s.settimeout(20)
        for i in range(2):
            head = s.recv(65536)
            if not head:
                return
            heads.append(head.split(b" ")[0])
            if i == 0:
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    started.add(Raw(m, once))
    for method, count in (("PUT", 1), ("PUT", 3), ("POST", 4)):
        assert n.get("/", method=method, body=b"body")[0] == 200
        wait_for(lambda: len(heads) == count, "the copy")
        settled(n)
    assert metric(n, "mesh_cluster_races_saved_total", "m") == 1
    assert metric(n, "mesh_cluster_resets_total", "m") == 1
    assert metric(n, "mesh_cluster_mirrors_total", "m") == 3
    assert metric(n, "mesh_cluster_connections_opened_total", "m") == 2


def test_a_long_answer_is_not_read_to_its_end(start, started):
    n, c, m, k = start()
    sent = []

    def answer(s):
        s.settimeout(20)
        s.recv(65536)
        try:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            for i in range(1000):
                s.sendall(b"x" * 1000000)
                sent.append(1)
        except OSError:
            sent.append(0)

    started.add(Raw(m, answer))
    assert n.get("/")[0] == 200
    wait_for(lambda: 0 in sent, "its connection to be closed")
    assert len(sent) < 100
    settled(n)
    assert metric(n, "mesh_cluster_resets_total", "m") == 0


BY_PATH = "clusters: {c: {endpoints: ['%(c)s']}, m: {endpoints: ['unix:%(m)s']}}", "m"


def test_an_answer_that_is_there_at_once(start):
    """More of it than is read in a row: no event tells of the rest."""
    n, c, m, k = start()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(20)
        listener.bind(f"{n.dir}/m")
        listener.listen()
        another(start, n, BY_PATH, c=c, m=f"{n.dir}/m")
        assert n.get("/")[0] == 200
        s, _ = listener.accept()
    with s:
        s.settimeout(20)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        assert s.recv(65536)
        (worker,) = n.workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300000)
        finally:
            os.kill(worker, signal.SIGCONT)
        settled(n)
        assert n.get("/")[0] == 200
        assert s.recv(65536).startswith(b"GET /")


def test_answers_of_all_kinds(start, started):
    """Thrown away, in whatever form they come; bad ones count as bad."""
    n, c, m, k = start()
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nup to the end",
        b"HTTP/1.0 204 No\r\n\r\n",
        b"HTTP/1.1 103 X\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3000000,
        b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000,
        b"SSH-2.0-nothing\r\n",
        b"HTTP/1.1 20",
    ]
    todo = list(answers)

    def answer(s):
        s.settimeout(20)
        s.recv(65536)
        try:
            s.sendall(todo.pop(0))
        except OSError:
            pass

    started.add(Raw(m, answer))
    for i in range(len(answers)):
        assert n.get("/quick")[0] == 200
        wait_for(lambda: len(todo) == len(answers) - i - 1, "the copy")
        settled(n)
        # Three bad ones in a row end it.
        assert metric(n, "mesh_cluster_ejected_endpoints", "m") == (i == len(answers) - 1)
    text = n.get("/metrics")[2].decode()
    count = {c: int(v) for c, v in re.findall(
        rf'mesh_endpoint_responses_total{{cluster="m",endpoint="{m.at}",class="(\w+)"}} (\d+)', text)}
    assert (count["2xx"], count["5xx"]) == (7, 1)
    assert metric(n, "mesh_cluster_resets_total", "m") == 4


def test_a_dead_mirror(start):
    n, c, m, k = start()
    m.kill()
    for i in range(3):
        assert metric(n, "mesh_cluster_ejected_endpoints", "m") == 0
        assert n.get("/")[0] == 200
        settled(n)
        assert metric(n, "mesh_cluster_connect_failures_total", "m") == i + 1
    assert metric(n, "mesh_cluster_ejected_endpoints", "m") == 1
    # Views follow within milliseconds; then there is nobody to be sent to.
    wait_for(lambda: n.get("/")[0] == 200
             and metric(n, "mesh_cluster_mirrors_dropped_total", "m"), "it to be out")


def test_a_copy_does_not_wait_for_a_slow_answer(start):
    n, c, m, k = start()
    c.hold = True
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        mirrored(m)
    settled(n)


def test_a_copy_begins_when_its_request_was_answered(start):
    """Before the worker reads what comes next."""
    n, c, m, k = start()
    s = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
    for i in range(20):
        for path in ("/", "/metrics"):
            s.request("GET", path, headers={"Host": "a"})
            text = s.getresponse().read().decode()
        assert f'mesh_cluster_mirrors_total{{cluster="m"}} {i + 1}\n' in text
    s.close()


def test_the_client_leaves_while_copies_wait(start):
    """They wait some milliseconds for the answer, and are sent all the same."""
    n, c, m, k = start()
    c.delay = 0.003
    for i in range(200):
        with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            end = time.monotonic() + 20
            while len(c.requests) <= i:
                assert time.monotonic() < end
                time.sleep(0.0003)
    mirrored(m, 200)
    settled(n)
    assert len(m.requests) == 200 == metric(n, "mesh_cluster_mirrors_total", "m")


def test_the_client_leaves_first(start):
    n, c, m, k = start()
    m.hold = c.hold = True
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        wait_for(lambda: m.requests, "the copy")
    wait_for(lambda: n.access()[-1:] and n.access()[-1].startswith("499 "), "nginx to notice")
    m.hold = c.hold = False
    settled(n)
    assert [r["body_len"] for r in m.requests] == [4]
    assert metric(n, "mesh_cluster_resets_total", "m") == 0
    # And one whose body never comes is no copy.
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        wait_for(lambda: c.connections == 2, "the endpoint")
    wait_for(lambda: metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 1, "the end")
    assert len(m.requests) == 1


def test_endpoints_are_picked_as_for_any_request(start):
    n, c, m, k = start()
    assert n.get("/both")[0] == 200
    mirrored(k)
    mirrored(m)
    settled(n)
    assert [len(x.requests) for x in (c, m, k)] == [1, 1, 1]


@pytest.mark.parametrize("more", ["", "proxy_request_buffering on;"])
@pytest.mark.parametrize("status, then", [(303, ("GET", 0)), (307, ("POST", 4))])
def test_each_hop_of_a_redirect_is_mirrored(start, more, status, then):
    n, c, m, k = start(more)
    c.redirects = [(status, "http://b.test/next")]
    assert n.get("/hop", host="a.test", method="POST", body=b"body")[0] == 200
    wait_for(lambda: len(m.requests) == 2, "the copies")
    seen = {(r["method"], r["body_len"], r["target"]) for r in m.requests}
    assert seen == {("POST", 4, "/hop"), (*then, "/next")}
    assert {v for r in m.requests for h, v in r["headers"] if h.lower() == "host"} == \
        {"a.test-shadow", "b.test-shadow"}


def test_a_body_that_is_refused_is_not_mirrored(start):
    n, c, m, k = start()
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(b"PUT /hop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"3c\r\n" + b"x" * 60 + b"\r\n")
        wait_for(lambda: c.connections, "the endpoint")
        s.sendall(b"3c\r\n" + b"y" * 60 + b"\r\n0\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 413")
    wait_for(lambda: metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 1, "the end")
    assert not m.requests and metric(n, "mesh_cluster_mirrors_total", "m") == 0


def test_a_websocket_is_not_mirrored(start):
    n, c, m, k = start()
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 101")
    assert n.get("/on")[0] == 200
    assert mirrored(m)[0]["target"] == "/on"
    assert metric(n, "mesh_cluster_mirrors_total", "m") == 1


def memory(n):
    """Bytes of the worker's own memory, and its descriptors."""
    (pid,) = n.workers()
    with open(f"/proc/{pid}/smaps_rollup") as f:
        text = f.read()
    return (int(re.search(r"Private_Dirty: +(\d+)", text)[1]),
            len(os.listdir(f"/proc/{pid}/fd")))


@pytest.mark.slow
def test_ten_thousand_leave_nothing(start, variant):
    n, c, m, k = start(level="error")
    total = 10000 if variant == "release" else 1500
    done = 0
    sizes = []
    s = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
    for count in (total // 5, total - total // 5):
        for i in range(count):
            s.request("POST", "/both", body=b"x" * (i % 50), headers={"Host": "a"})
            assert s.getresponse().read()
            c.requests.clear()
        done += count
        wait_for(lambda: metric(n, "mesh_cluster_mirrors_total", "m")
                 + metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 2 * done, "the copies")
        settled(n)
        sizes.append(memory(n))
    s.close()
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 0
    assert len(m.requests) == len(k.requests) == total
    (before, files), (after, files_after) = sizes
    assert files_after <= files + 4
    if variant == "release":                        # a sanitizer keeps what is freed
        assert after - before < 600, sizes


def test_names_of_mirrors_are_checked(variant, tmp_path):
    path = tmp_path / "mesh.yaml"
    path.write_text("clusters: {a: {endpoints: ['127.0.0.1:1']}}\n"
                    "hosts: [{domains: a, routes: [{route: a, mirror: [x, a/s]}]}]\n")
    done = subprocess.run([binary(variant, "meshctl"), "validate", str(path)],
                          capture_output=True, text=True)
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert 'cluster "x"' in text and 'subset "s"' in text


# --- over HTTP/2 -----------------------------------------------------------------

MESH2 = """
clusters:
  c: {endpoints: ['%(c)s']}
  h: {endpoints: ['%(h)s'], protocol: http2}
  m: {endpoints: ['%(m)s'], protocol: http2, connect_timeout: 2s}
hosts:
  - domains: ["*"]
    routes:
      - {name: two, match: {path: {prefix: /two}}, route: h, mirror: m}
      - {name: quick, match: {path: {prefix: /quick}}, route: c, mirror: m, timeout: 3s}
      - {name: rest, route: c, mirror: m, timeout: 2m}
"""


@pytest.fixture
def start2(agent, nginx, endpoints, started, tmp_path):
    """Mirrors behind a stock nginx that speaks HTTP/2, or at `to`."""
    def make(to=None, **kwargs):
        c, m = (endpoints.add(f"127.0.8.{i}", name=name) for i, name in ((1, "c"), (2, "m")))
        make.fronts = started.add(http2.Fronts(tmp_path / "fronts", [c, m])).start()
        agent(MESH2 % {"c": c.at, "h": make.fronts.at[0], "m": to or make.fronts.at[1]})
        return start_both(nginx, LOCATIONS % "", **kwargs), c, m
    return make


@pytest.mark.parametrize("path", ["/x?y=1", "/two"])
def test_copies_over_http2(start2, path):
    n, c, m = start2()
    for count, (method, size) in enumerate([("GET", None), ("HEAD", None), ("POST", 0), ("PUT", 1),
                                            ("PUT", 5000), ("DELETE", None), ("PUT", 65536)], 1):
        body = None if size is None else os.urandom(size)
        assert n.get(path, host="a.test:81", method=method, body=body,
                     headers={"X-Two": "2", "X-Long": "l" * 3000, "Cookie": "a=b"})[0] == 200
        got, own = mirrored(m, count)[-1], c.requests[-1]
        assert (got["method"], got["target"]) == (method, path)
        assert got["body_sha"] == own["body_sha"]
        assert ("host", "a.test-shadow:81") in fields(got)
        assert ("x-spoken", "HTTP/2.0") in fields(got)
        without = ("host", "x-spoken", "x-own", "x-forwarded-for")
        assert fields(got, *without) == fields(own, *without)
        settled(n)
    assert metric(n, "mesh_cluster_connections_opened_total", "m") == 1
    assert metric(n, "mesh_cluster_connections_reused_total", "m") == 6
    assert metric(n, "mesh_cluster_resets_total", "m") == 0
    text = n.get("/metrics")[2].decode()
    assert re.search(r'mesh_endpoint_responses_total{cluster="m",[^}]*class="2xx"} 7', text)


def test_an_endpoint_of_http2_that_goes_and_comes(start2):
    """Its connection ends with it; nothing is lost but what it did not take."""
    n, c, m = start2()
    for i in range(3):
        assert n.get("/", method="POST", body=b"b")[0] == 200
        mirrored(m, i + 1)
        settled(n)
        start2.fronts.stop()
        start2.fronts.start()
    assert metric(n, "mesh_cluster_connections_opened_total", "m") == 3
    m.status = 503
    assert n.get("/")[0] == 200
    mirrored(m, 4)
    settled(n)
    text = n.get("/metrics")[2].decode()
    assert re.search(r'mesh_endpoint_responses_total{cluster="m",[^}]*class="5xx"} 1', text)


@pytest.mark.slow
def test_many_over_http2(start2, variant):
    n, c, m = start2(level="error")
    total = 1500 if variant == "release" else 500
    s = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
    for i in range(total):
        s.request("POST", "/", body=b"x" * (i % 5000), headers={"Host": "a"})
        assert s.getresponse().read()
        if i % 20 == 0:
            settled(n)                              # the endpoint is slower
    s.close()
    wait_for(lambda: len(m.requests) == total, "the copies")
    settled(n)
    assert sum(r["body_len"] for r in m.requests) == sum(i % 5000 for i in range(total))
    assert metric(n, "mesh_cluster_mirrors_dropped_total", "m") == 0
    # Each was sent once; nginx ends a connection after 1000 requests.
    assert metric(n, "mesh_cluster_connections_opened_total", "m") < total / 20
    assert metric(n, "mesh_cluster_resets_total", "m") == 0


def ok(stream, status=b"\x88"):
    return http2.frame(http2.HEADERS, http2.END_STREAM | http2.END_HEADERS, stream, status)


GOAWAY, RST_STREAM = 7, 3


def refuse(stream):
    """As one that goes: nothing of this stream was done."""
    return http2.frame(GOAWAY, 0, 0, struct.pack(">II", stream - 2, 0))


def test_frames_of_the_connection(start2, started, free_address):
    """Settings, pings and windows are answered, and the connection is kept."""
    frames = http2.Frames(
        lambda s: http2.frame(http2.SETTINGS) + http2.frame(http2.PING, 0, 0, b"12345678") + ok(s),
        ok, refuse, ok, lambda s: http2.frame(RST_STREAM, 0, s, struct.pack(">I", 8)), ok)
    n, c, m = start2(to=free_address.at)
    started.add(Raw(free_address, frames))
    for i in range(5):
        assert n.get("/", method="POST", body=b"b")[0] == 200
        settled(n)
        # The third was refused, and is sent once more, on a connection of its own.
        wait_for(lambda: len(frames.replies) == (5, 4, 2, 1, 0)[i], "the copy")
        settled(n)
    assert (http2.SETTINGS, http2.ACK, 0, b"") in frames.seen
    assert (http2.PING, http2.ACK, 0, b"12345678") in frames.seen
    # Some come when nobody waits for anything.
    talker = frames.talker
    talker.sendall(http2.frame(http2.WINDOW_UPDATE, 0, 0, b"\0\0\0\1")
                   + http2.frame(http2.PING, 0, 0, b"87654321"))
    wait_for(lambda: (http2.PING, http2.ACK, 0, b"87654321") in frames.seen, "an answer")
    frames.replies.append(ok)
    assert n.get("/")[0] == 200
    wait_for(lambda: not frames.replies, "the copy")
    settled(n)
    streams = [stream for kind, _, stream, _ in frames.seen if kind == http2.HEADERS]
    assert streams == [1, 3, 5, 1, 3, 1, 3]
    assert metric(n, "mesh_cluster_races_saved_total", "m") == 1
    assert metric(n, "mesh_cluster_resets_total", "m") == 1


def goodbye(stream):
    """No other one will be taken."""
    return http2.frame(GOAWAY, 0, 0, struct.pack(">II", stream, 0))


def test_connections_of_http2_that_end(start2, started, free_address):
    """With a goodbye, beside an answer or behind it, or with a body that is not
    sent to its end as its answer is there before."""
    answers, opened, closed = [], [], []

    def serve(s):
        opened.append(s)
        s.settimeout(20)
        for kind, _, stream, _ in http2.frames(s):
            if kind == http2.HEADERS:
                s.sendall(answers.pop()(stream))
        closed.append(s)

    n, c, m = start2(to=free_address.at)
    started.add(Raw(free_address, serve))

    def copy(answer, body=None):
        answers.append(answer)
        assert n.get("/", method="PUT" if body else "GET", body=body)[0] == 200
        wait_for(lambda: not answers, "the copy")
        settled(n)
        return len(opened)

    assert copy(ok) == 1
    assert copy(lambda stream: goodbye(stream) + ok(stream)) == 1
    assert copy(ok) == 2
    opened[1].sendall(goodbye(1))
    wait_for(lambda: opened[1] in closed, "it to be closed")
    assert copy(ok, body=b"x" * 65536) == 3         # the window has 65535
    assert copy(ok) == 4
    assert metric(n, "mesh_cluster_resets_total", "m") == 0


def test_there_is_an_end_to_what_an_idle_one_says(start2, started, free_address):
    """Frames that want no answer, without an end, do not keep the worker."""
    piece, most = http2.frame(0xfa, payload=b"unknown") * 16384, 400
    sent = []
    idle = threading.Event()

    def serve(s):
        s.settimeout(20)
        for kind, flags, stream, payload in http2.frames(s):
            if flags & http2.END_STREAM and kind <= http2.HEADERS:
                s.sendall(ok(stream))
                idle.wait(20)
                try:
                    while len(sent) < most:
                        s.sendall(piece)
                        sent.append(1)
                except OSError:
                    sent.append(0)
                return

    n, c, m = start2(to=free_address.at)
    started.add(Raw(free_address, serve))
    assert n.get("/")[0] == 200
    wait_for(lambda: metric(n, "mesh_cluster_mirrors_total", "m") == 1, "the copy")
    settled(n)
    idle.set()
    wait_for(lambda: 0 in sent or len(sent) == most, "the end")
    assert 0 in sent
    assert n.get("/")[0] == 200
    assert metric(n, "mesh_cluster_resets_total", "m") == 0


@pytest.mark.slow
def test_one_that_speaks_before_the_worker_looks(start2, started, free_address):
    """Its settings are there together with the connection: the time to connect
    is over all the same, and the connection is kept."""
    free_address.kill()
    queue = started.add(Deaf(free_address.address, free_address.port))
    n, c, m = start2(to=free_address.at)
    assert n.get("/")[0] == 200
    wait_for(lambda: metric(n, "mesh_cluster_connections_opened_total", "m") == 1, "the copy")
    (worker,) = n.workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        before = [x.getsockname() for x in queue.queued]
        for x in queue.queued:
            x.close()
        queue.s.settimeout(20)
        s, peer = queue.s.accept()
        while peer in before:
            s.close()
            s, peer = queue.s.accept()
        s.settimeout(20)
        s.sendall(http2.frame(http2.SETTINGS))
    finally:
        os.kill(worker, signal.SIGCONT)
    for kind, flags, stream, payload in http2.frames(s):
        if flags & http2.END_STREAM and kind <= http2.HEADERS:
            if stream == 1:
                time.sleep(2.5)                     # above connect_timeout
            s.sendall(ok(stream))
            settled(n)
            if stream == 3:
                break
            assert n.get("/")[0] == 200
    assert metric(n, "mesh_cluster_connections_opened_total", "m") == 1
    s.close()


def test_windows_of_few_bytes(start2, started, free_address):
    """An endpoint that takes 1000 bytes of a body at a time gets all of it."""
    taken = []

    def serve(s):
        s.settimeout(20)
        s.sendall(http2.frame(http2.SETTINGS, payload=struct.pack(">HI", 4, 1000)))
        for kind, flags, stream, payload in http2.frames(s):
            if kind == http2.DATA:
                taken.append(payload)
                if not flags & http2.END_STREAM:
                    size = struct.pack(">I", len(payload))
                    s.sendall(http2.frame(http2.WINDOW_UPDATE, 0, 0, size)
                              + http2.frame(http2.WINDOW_UPDATE, 0, stream, size))
            if flags & http2.END_STREAM and kind <= http2.HEADERS:
                s.sendall(ok(stream))

    n, c, m = start2(to=free_address.at)
    started.add(Raw(free_address, serve))
    assert n.get("/")[0] == 200                     # now its settings are known
    settled(n)
    body = os.urandom(20000)
    assert n.get("/", method="PUT", body=body)[0] == 200
    wait_for(lambda: sum(map(len, taken)) == len(body), "the body")
    assert b"".join(taken) == body and max(map(len, taken)) == 1000
    settled(n)
    assert metric(n, "mesh_cluster_connections_opened_total", "m") == 1
    assert metric(n, "mesh_cluster_resets_total", "m") == 0


@pytest.mark.slow
def test_one_of_http2_that_never_answers(start2, started, free_address):
    n, c, m = start2(to=free_address.at)
    started.add(Raw(free_address, Silent()))
    took = times(n, 50)
    assert max(took) < 1
    assert metric(n, "mesh_cluster_attempts_in_flight", "m") == 50
    assert n.get("/quick")[0] == 200
    wait_for(lambda: metric(n, "mesh_cluster_timeouts_total", "m") == 1, "its time")
    n.reload()
    settled(n, timeout=8)


def test_one_that_does_not_speak_it(start2, endpoints):
    other = endpoints.add("127.0.8.3", name="k")
    n, c, m = start2(to=other.at)
    for i in range(3):
        assert n.get("/")[0] == 200
        wait_for(lambda: metric(n, "mesh_cluster_resets_total", "m") == i + 1, "the end")
    settled(n)


@pytest.mark.skipif(not BINARY.exists(), reason="there is no Envoy")
def test_an_endpoint_without_a_table_of_fields(start2, tmp_path):
    """Each request behind its settings has to say that it keeps none either."""
    port = free_port()
    config = bootstrap(port, [{"name": "h", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "direct_response": {"status": 202}}]}],
        http2_protocol_options={"hpack_table_size": 0})
    with Envoy(tmp_path / "envoy", config, [port]):
        n, c, m = start2(to=f"127.0.0.1:{port}")
        for i in range(5):
            assert n.get("/", method="POST", body=b"body")[0] == 200
            settled(n)
            wait_for(lambda: metric(n, "mesh_cluster_mirrors_total", "m") == i + 1, "the copy")
            settled(n)
        assert metric(n, "mesh_cluster_resets_total", "m") == 0
        assert metric(n, "mesh_cluster_connections_opened_total", "m") == 1


@pytest.mark.skipif(not BINARY.exists(), reason="there is no Envoy")
def test_envoy_has_it_the_same(start, tmp_path):
    n, c, m, k = start()
    hosts = [{"name": "h", "domains": ["*"], "routes": [{
        "match": {"prefix": "/both"}, "route": {
            "cluster": "c", "prefix_rewrite": "/sent", "host_rewrite_literal": "in.test",
            "request_mirror_policies": [
                {"cluster": "m"},
                {"cluster": "k", "disable_shadow_host_suffix_append": True}]}}, {
        "match": {"prefix": "/"}, "route": {
            "cluster": "c", "request_mirror_policies": [{"cluster": "m"}]}}]}]
    with envoy_of(tmp_path / "envoy", hosts, {x.name: [x.at] for x in (c, m, k)}) as envoy:
        for path in "/both/x?a=1", "/", "/x?":
            for method, body in ("GET", None), ("PUT", b"body"), ("HEAD", None), ("POST", b""):
                for host in "a.test", "b.test:8080", "[::1]:81":
                    seen = []
                    for port in n.port, envoy.port:
                        assert n.get(path, host=host, method=method, body=body,
                                     port=port)[0] == 200
                        mirrored(m)
                        if path.startswith("/both"):
                            mirrored(k)
                        seen.append([
                            (r["method"], r["target"], r["body_sha"],
                             [v for h, v in r["headers"] if h.lower() == "host"])
                            for r in c.requests + m.requests + k.requests])
                        for e in c, m, k:
                            e.requests.clear()
                    assert seen[0] == seen[1], (path, method, host)
