# SPDX-License-Identifier: Apache-2.0
"""TCP and UDP through `upstream { mesh ...; }` of stream{}."""

import collections
import json
import re
import socket
import threading
import time

import pytest

from meshtest.process import free_port, wait_for
from meshtest.upstream import MAIN, Raw, metric, pair

STREAM = """
    upstream all { mesh reviews; }
    upstream one { mesh reviews/v1; }
    upstream nowhere { mesh nowhere; }
    upstream nothing { mesh reviews/none; }
    proxy_connect_timeout 1s;
    server { listen 127.0.0.1:{tcp}; proxy_pass all; }
    server { listen 127.0.0.1:{sub}; proxy_pass one; }
    server { listen 127.0.0.1:{bad}; proxy_pass nowhere; }
    server { listen 127.0.0.1:{none}; proxy_pass nothing; }
"""
HTTP = """
    server {
        listen 127.0.0.1:{port};
        location = /metrics { mesh_metrics; }
    }
"""


def mesh(endpoints, cluster=""):
    rows = "\n".join(f"      - {{address: '{e.at}', labels: {{version: v{i + 1}}}}}"
                     for i, e in enumerate(endpoints))
    return f"""
clusters:
  reviews:
    endpoints:
{rows}
    subsets: {{v1: {{version: v1}}}}
    panic_threshold: 0
{cluster}
"""


def start(nginx, **kwargs):
    return nginx(stream=STREAM, http=HTTP, main=MAIN,
                 ports=("tcp", "sub", "bad", "none"), **kwargs)


def who(n, port):
    """An HTTP request, since the endpoints speak that: through TCP."""
    return n.get("/", port=port, headers={"Connection": "close"})[1].get("x-endpoint")


def test_round_robin_is_exact_over_workers(agent, nginx, endpoints):
    agent(mesh(pair(endpoints, 3)))
    n = start(nginx, workers=2)
    assert collections.Counter(who(n, n.tcp) for _ in range(90)) == \
        {"e1": 30, "e2": 30, "e3": 30}
    assert {who(n, n.sub) for _ in range(6)} == {"e1"}
    assert metric(n, "mesh_cluster_connections_opened_total") == 96


def who_from(port, source):
    """Of a TCP port by that address, or of a Unix socket."""
    with socket.socket(socket.AF_INET if source else socket.AF_UNIX) as s:
        s.settimeout(20)
        if source:
            s.bind((source, 0))
        s.connect(("127.0.0.1", port) if source else port)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := s.recv(65536):
            answer += part
    return re.search(rb"(?i)x-endpoint: (\S+)", answer)[1].decode()


@pytest.mark.parametrize("lb", ["ring_hash", "maglev"])
def test_source_chooses(agent, nginx, endpoints, lb):
    """A client's sessions come to one endpoint, of all workers, and where a
    route's policy sends its requests; when that dies, to another one, and no
    other client's move.  Without hash=, and from a Unix socket, at random."""
    e = pair(endpoints, 4)
    a = agent(mesh(e, f"    lb: {lb}\n") + """
hosts: [{domains: "*", routes: [{route: reviews, hash_policy: {source_ip: true}}]}]
""")
    n = nginx(main=MAIN, workers=2, http=HTTP, ports=("tcp", "plain", "chosen"), stream="""
        upstream by_source { mesh reviews hash=source_ip; }
        upstream plain { mesh reviews; }
        server { listen 127.0.0.1:{tcp}; listen unix:{dir}/s; proxy_pass by_source; }
        server { listen 127.0.0.1:{plain}; proxy_pass plain; }
""")
    sources = [f"127.0.3.{i + 1}" for i in range(120)]      # of a quarter, somebody is at each
    home = {s: who_from(n.tcp, s) for s in sources}
    assert set(home.values()) == {"e1", "e2", "e3", "e4"}
    at = {x.at: x.name for x in e}
    assert all(who_from(n.tcp, s) == home[s] for s in sources)
    for s in sources[:40]:
        said = json.loads(a.ctl("explain", "GET", "http://x/", "--source", s, "-o", "json").stdout)
        assert at[said["endpoint"]] == home[s]
    assert len({who_from(n.plain, sources[0]) for _ in range(40)}) > 1
    assert len({who_from(f"{n.dir}/s", None) for _ in range(40)}) > 1

    e[0].kill()
    for s in sources:
        assert (who_from(n.tcp, s) == home[s]) == (home[s] != "e1")


def test_unknown_parameters_are_refused(nginx):
    """What is hashed is said in these words, or not at all."""
    for said in ("hash=source", "hash=source_ip hash=source_ip", "source_ip"):
        n = nginx(main=MAIN, http=HTTP, start=False,
                  stream=f"upstream x {{ mesh reviews {said}; }} server {{ listen 127.0.0.1:1; proxy_pass x; }}")
        status, text = n.test()
        assert status != 0, said
        assert 'takes "hash=source_ip" beside' in text or "invalid number of arguments" in text


def test_refusals_say_why(agent, nginx, endpoints):
    agent(mesh(pair(endpoints, 1)).replace("v1: {version: v1}}", "v1: {version: v1}, none: {version: x}}"))
    n = start(nginx)
    for port in (n.bad, n.none):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            assert s.recv(1) == b""
    wait_for(lambda: 'no cluster "nowhere" in generation' in n.log()
             and 'no usable endpoint in cluster "reviews"' in n.log(), "both reasons")


def test_nothing_published_yet_and_then_it_is(agent, nginx, endpoints):
    n = start(nginx)
    with socket.create_connection(("127.0.0.1", n.tcp), timeout=20) as s:
        assert s.recv(1) == b""
    assert 'mesh: cluster "reviews": ' in n.log()
    agent(mesh(pair(endpoints, 1)))
    wait_for(lambda: "adopted generation" in n.log(), "the mesh")
    assert who(n, n.tcp) == "e1"


def test_a_dead_endpoint_costs_no_session_and_is_ejected(agent, nginx, endpoints):
    e = pair(endpoints, 3)
    agent(mesh(e, "    outlier_detection: {consecutive_5xx: 3, max_ejection_percent: 50}"))
    n = start(nginx)
    e[1].kill()
    assert {who(n, n.tcp) for _ in range(30)} == {"e1", "e3"}
    failures = metric(n, "mesh_cluster_connect_failures_total")
    assert failures >= 3
    wait_for(lambda: "ejected endpoint" in n.log(), "the ejection")
    time.sleep(0.02)                            # a view is 10 ms old at most
    assert {who(n, n.tcp) for _ in range(30)} == {"e1", "e3"}
    assert metric(n, "mesh_cluster_connect_failures_total") - failures <= 1
    assert re.search(rf"ejected endpoint {re.escape(e[1].at)} of cluster", n.log())


class Echo(Raw):
    def __init__(self, e):
        def serve(c):
            while True:
                data = c.recv(65536)
                if not data:
                    return
                c.sendall(e.name.encode() + b":" + data)
        super().__init__(e, serve)


def test_sessions_live_through_updates_and_are_counted(agent, nginx, endpoints, started):
    """A long session pins no snapshot, and its end gives back what its
    beginning took, though its endpoint is gone from the mesh by then."""
    e = pair(endpoints, 2)
    for x in e:
        started.add(Echo(x))
    a = agent(mesh(e))
    n = start(nginx)
    held = [socket.create_connection(("127.0.0.1", n.tcp), timeout=20) for _ in range(20)]
    for s in held:
        s.sendall(b"a")
    names = [s.recv(100).split(b":")[0] for s in held]
    assert collections.Counter(names) == {b"e1": 10, b"e2": 10}
    wait_for(lambda: metric(n, "mesh_cluster_attempts_in_flight") == 20, "the gauge")

    for i in range(60):
        a.write(mesh(e[:1 + i % 2], f"    connect_timeout: {i + 1}s"))
        time.sleep(0.01)
    a.write(mesh(e[:1]))
    a.ctl("wait")
    for s, name in zip(held, names):
        s.sendall(b"b")
        assert s.recv(100) == name + b":b"
    for s in held:
        s.close()
    wait_for(lambda: metric(n, "mesh_cluster_attempts_in_flight") == 0, "the gauge at rest")


def test_udp(agent, nginx, endpoints):
    def serve(s, name):
        while True:
            data, sender = s.recvfrom(2048)
            if data == b"end":
                return
            s.sendto(name + data, sender)

    sockets = []
    for i in range(2):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        sockets.append(s)
    threads = [threading.Thread(target=serve, args=(s, b"%d" % i)) for i, s in enumerate(sockets)]
    for t in threads:
        t.start()
    try:
        rows = ", ".join("'127.0.0.1:%d'" % s.getsockname()[1] for s in sockets)
        agent(f"clusters: {{reviews: {{endpoints: [{rows}]}}}}\n")
        port = free_port()
        n = nginx(main=MAIN, http=HTTP, stream="""
            upstream all { mesh reviews; }
            server { listen 127.0.0.1:%d udp; proxy_pass all; proxy_responses 1; }""" % port)
        seen = collections.Counter()
        for _ in range(10):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
                c.settimeout(20)
                c.sendto(b"x", ("127.0.0.1", port))
                seen[c.recv(100)] += 1
        assert seen == {b"0x": 5, b"1x": 5}
        assert metric(n, "mesh_cluster_connections_opened_total") == 10
    finally:
        for s in sockets:
            s.sendto(b"end", s.getsockname())
        for t in threads:
            t.join(5)
        for s in sockets:
            s.close()


BAD = {
    "upstream u { mesh a; server 127.0.0.1:1; }": 'beside "mesh"',
    "upstream u { mesh a; mesh b; }": "is duplicate",
    "upstream u { least_conn; mesh a; }": "another balancing method",
    "upstream u { mesh a/; }": "takes NAME or NAME/SUBSET",
    "upstream u { mesh /b; }": "takes NAME or NAME/SUBSET",
}


@pytest.mark.parametrize("text", BAD)
def test_configurations_that_cannot_work(nginx, text):
    n = nginx(start=False, main=MAIN, http=HTTP, stream=text)
    status, said = n.test()
    assert status != 0 and BAD[text] in said, said


def test_needs_zone(nginx):
    n = nginx(start=False, http="server { listen 127.0.0.1:{port}; }",
              stream="upstream u { mesh a; }")
    status, said = n.test()
    assert status != 0 and "mesh_zone" in said
