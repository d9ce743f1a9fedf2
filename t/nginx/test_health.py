# SPDX-License-Identifier: Apache-2.0
"""Health words and drains, live: who gets requests, who says why not."""

import json
import os
import re
import signal
import socket
import threading

from meshtest.load import Load
from meshtest.process import wait_for
from meshtest.upstream import HTTP, MAIN, Raw, mesh, metric, pair, retries


def who(n, count=20):
    answers = [n.get("/") for _ in range(count)]
    assert all(status == 200 for status, _, _ in answers), answers
    return {headers["x-endpoint"] for _, headers, _ in answers}


def states(a, cluster="reviews"):
    told = json.loads(a.ctl("endpoints", cluster, "-o", "json").stdout)
    return {e["address"]: e["state"] for e in told[0]["endpoints"]}


def drain(a, e, *args, cluster="reviews", **kwargs):
    return a.ctl("drain", cluster, e.at, *args, **kwargs)


def undrain(a, e, *args, cluster="reviews", **kwargs):
    return a.ctl("undrain", cluster, e.at, *args, **kwargs)


# --- draining -----------------------------------------------------------------

def test_drain_under_load(agent, nginx, endpoints, started):
    """After the answer not one more request, and none fails."""
    e = pair(endpoints, 3)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    load = Load(n.port, lambda status, headers, body: None if status == 200 else f"status {status}",
                connections=16)
    load.start()
    try:
        for _ in range(3):
            wait_for(lambda: load.answers > 200, "some load")
            done = drain(a, e[1], "--wait")
            assert "drained: 0 attempts in flight, applied on all workers" in done.stdout
            drained = len(e[1].requests)
            answers = load.answers
            wait_for(lambda: load.answers > answers + 500, "more load")
            assert len(e[1].requests) == drained
            undrain(a, e[1], "--wait")
            wait_for(lambda: len(e[1].requests) > drained + 50, "it is back")
    finally:
        load.stop()
    assert load.errors == []
    assert metric(n, "mesh_cluster_no_endpoint_total") == 0


def test_in_flight_requests_finish(agent, nginx, endpoints):
    e = pair(endpoints)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    e[0].hold = e[1].hold = True
    answers = []
    slow = [threading.Thread(target=lambda: answers.append(n.get("/"))) for _ in range(2)]
    for t in slow:
        t.start()
    wait_for(lambda: e[0].requests and e[1].requests, "both are in flight")
    done = drain(a, e[0])
    assert done.stdout == "drained: 1 attempts in flight\n"
    done = drain(a, e[0], "--wait", "--timeout", "0.1", check=False)
    assert done.returncode == 1
    assert "still in flight when the time was over: 1" in done.stderr
    def let_go():
        e[0].hold = e[1].hold = False

    later = threading.Timer(0.5, let_go)        # while it is waited for
    later.start()
    done = drain(a, e[0], "--wait")
    assert "0 attempts in flight" in done.stdout and not e[0].hold
    for t in (later, *slow):
        t.join(10)
    assert [status for status, _, _ in answers] == [200, 200]
    assert who(n) == {"e2"}


def test_who_says_why(agent, nginx, endpoints):
    e = pair(endpoints)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    assert who(n) == {"e1", "e2"}
    drain(a, e[0], "--wait")
    assert states(a) == {e[0].at: "drained", e[1].at: "usable"}
    told = json.loads(a.ctl("explain", "GET", "http://x/", "-o", "json").stdout)
    assert {x["address"]: x["why"] for x in told["endpoints"]} == {e[0].at: "drained", e[1].at: ""}
    assert "drained endpoints: 1" in a.ctl("status").stdout
    status = json.loads(n.get("/status")[2])
    seen = {x["address"]: (x["in"], x["reasons"]) for x in status["clusters"][0]["endpoints"]}
    assert seen == {e[0].at: (False, ["drained"]), e[1].at: (True, [])}
    text = n.get("/metrics")[2].decode()
    drained = dict(re.findall(r'^mesh_endpoint_drained\{cluster="reviews",endpoint="([^"]+)"\} (\d)$', text, re.M))
    assert drained == {e[0].at: "1", e[1].at: "0"}
    # Again is no change, and neither is anybody else's.
    assert drain(a, e[0]).stdout.startswith("unchanged")
    assert undrain(a, e[1]).stdout.startswith("unchanged")
    undrain(a, e[0], "--wait")
    assert who(n) == {"e1", "e2"} and set(states(a).values()) == {"usable"}


def test_names_that_are_none_are_refused(agent, endpoints):
    e = pair(endpoints)
    a = agent(mesh(e))
    before = a.status()["generation"]
    done = a.ctl("drain", "nobody", e[0].at, check=False)
    assert done.returncode == 1
    assert 'there is no cluster "nobody" in the published mesh' in done.stderr
    for command in ("drain", "undrain"):
        done = a.ctl(command, "reviews", "127.0.0.9:1", check=False)
        assert done.returncode == 1
        assert 'cluster "reviews" has no endpoint "127.0.0.9:1"' in done.stderr
    for args in (["drain"], ["drain", "reviews"], ["drain", "", "x"], ["undrain", "a", "b", "c"],
                 ["drain", "x" * 2000, "y"]):
        assert a.ctl(*args, check=False).returncode == 2, args
    assert a.status()["generation"] == before


def test_all_drained_is_no_panic(agent, nginx, endpoints):
    """A drain is a wish, not a failure: panic does not overrule it."""
    e = pair(endpoints)
    a = agent(mesh(e).replace("panic_threshold: 0", "panic_threshold: 100"))
    n = nginx(http=HTTP, main=MAIN)
    drain(a, e[0], "--wait")
    assert who(n) == {"e2"}
    drain(a, e[1], "--wait")
    status, headers, body = n.get("/")
    assert (status, headers["x-flags"], body) == (503, "UH", b"no healthy endpoint")
    assert metric(n, "mesh_cluster_panics_total") == 0
    assert len(e[0].requests) == 0
    undrain(a, e[1], "--wait")
    assert who(n) == {"e2"}


def test_a_retry_goes_to_no_drained_endpoint(agent, nginx, endpoints, started):
    """Not even by the view that the request began with."""
    e = pair(endpoints, 3)
    let_go = threading.Event()
    stuck = []

    def serve(c):
        if c.recv(65536):
            stuck.append(c)
            let_go.wait(20)

    started.add(Raw(e[0], serve))
    a = agent(mesh(e, route=retries()))
    n = nginx(http=HTTP, main=MAIN)
    answers = []

    def one():
        answers.append(n.get("/"))

    threads = [threading.Thread(target=one) for _ in range(24)]
    for t in threads:
        t.start()
    wait_for(lambda: len(stuck) == 8 and len(answers) == 16, "a third of them is stuck")
    drain(a, e[1], "--wait")
    before = len(e[1].requests)
    let_go.set()
    for t in threads:
        t.join(20)
    assert [status for status, _, _ in answers] == [200] * 24
    assert len(e[1].requests) == before
    assert len(e[2].requests) == 8 + 8


def test_tcp_sessions_are_drained(agent, nginx, endpoints):
    e = pair(endpoints)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN, ports=("tcp",), stream="""
        upstream t { mesh reviews; }
        server { listen 127.0.0.1:{tcp}; proxy_pass t; }
    """)

    def session():
        s = socket.create_connection(("127.0.0.1", n.tcp), timeout=10)
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return s, re.search(rb"X-Endpoint: (\w+)", s.recv(65536)).group(1).decode()

    first = [session() for _ in range(2)]
    assert {name for _, name in first} == {"e1", "e2"}
    done = drain(a, e[0], "--wait", "--timeout", "0.1", check=False)
    assert "still in flight" in done.stderr
    for _ in range(6):
        s, name = session()
        s.close()
        assert name == "e2"
    for s, _ in first:
        s.close()
    drain(a, e[0], "--wait")


# --- how long a drain lasts ---------------------------------------------------

def test_drains_survive_agent_and_nginx(agent, nginx, endpoints):
    e = pair(endpoints)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    drain(a, e[0], "--wait")
    a.kill()
    assert who(n) == {"e2"} and states(a)[e[0].at] == "drained"
    pids = n.workers()
    n.process.send_signal(signal.SIGHUP)
    wait_for(lambda: n.workers() and not set(n.workers()) & set(pids), "new workers")
    assert who(n) == {"e2"}
    a.start()
    assert who(n) == {"e2"} and states(a)[e[0].at] == "drained"
    # A new generation of everything else.
    a.apply(mesh(e, cluster="    lb: least_request\n"))
    assert who(n) == {"e2"}
    a.stop()
    a.start()
    assert who(n) == {"e2"}
    undrain(a, e[0], "--wait")
    assert who(n, 50) == {"e1", "e2"}      # equals are drawn


def test_a_drain_ends_when_the_endpoint_leaves(agent, nginx, endpoints):
    e = pair(endpoints)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    drain(a, e[0], "--wait")
    a.apply(mesh(e[1:]))
    wait_for(lambda: "the drain ended: the endpoint left the mesh" in a.log(), "the log")
    a.apply(mesh(e))
    wait_for(lambda: who(n) == {"e1", "e2"}, "it is back")
    assert "drained endpoints" not in a.ctl("status").stdout


# --- the file -----------------------------------------------------------------

def replace(zone, data):
    (zone / "other").write_bytes(data)
    (zone / "other").rename(zone / "mesh.health")


def test_missing_short_and_garbage_files(agent, nginx, endpoints, zone):
    e = pair(endpoints)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    drain(a, e[0], "--wait")
    assert who(n) == {"e2"}
    right = (zone / "mesh.health").read_bytes()
    a.kill()
    # One that vanishes: what was mapped goes on.
    (zone / "mesh.health").unlink()
    assert who(n) == {"e2"}
    # One that is none: no bit is set, in workers and in tools.
    for bad in (b"", b"x", right[:100], right[:4096], right[:-1], b"x" * len(right),
                os.urandom(70000), right[:12] + b"\xff\xff\xff\xff" + right[16:]):
        replace(zone, right)
        wait_for(lambda: who(n) == {"e2"}, "the right file")
        replace(zone, bad)
        wait_for(lambda: who(n) == {"e1", "e2"}, "no bit is set")
        done = a.ctl("endpoints", "-o", "json")
        assert "mesh.health is left out" in done.stderr
        assert {x["state"] for x in json.loads(done.stdout)[0]["endpoints"]} == {"usable"}
    assert "mesh.health\": " in n.log()
    # The next agent makes it anew, and it works.
    a.start()
    assert who(n) == {"e1", "e2"}
    drain(a, e[0], "--wait")
    assert who(n) == {"e2"}
    assert len(n.workers()) == 1 and "exited on signal" not in n.log()


def test_an_nginx_without_the_file(agent, nginx, endpoints, zone):
    """It is started before the agent, or finds none: no bit is set."""
    e = pair(endpoints)
    n = nginx(http=HTTP, main=MAIN)
    a = agent(mesh(e))
    wait_for(lambda: n.get("/")[0] == 200, "the mesh")
    drain(a, e[0], "--wait")
    assert who(n) == {"e2"}


def test_a_file_that_grows(agent, nginx, endpoints):
    """More endpoints than the file had words: workers take the larger one."""
    e = pair(endpoints)
    many = "".join(f"      - '127.9.{i // 250}.{i % 250 + 1}:9'\n" for i in range(5000))
    a = agent("clusters:\n  many:\n    endpoints:\n" + many)
    n = nginx(http=HTTP, main=MAIN)
    a.ctl("drain", "many", "127.9.0.1:9", "--wait")
    a.apply("clusters:\n  many:\n    endpoints:\n" + many + mesh(e).replace("clusters:\n", ""))
    assert who(n) == {"e1", "e2"}
    drain(a, e[0], "--wait")
    assert who(n) == {"e2"}
    assert states(a, "many")["127.9.0.1:9"] == "drained"


def test_drains_cost_no_generation_and_no_memory(agent, nginx, endpoints, zone):
    e = pair(endpoints)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    assert who(n) == {"e1", "e2"}
    before = a.status()["generation"]
    size = (zone / "snapshot.1").stat().st_size
    for _ in range(50):
        drain(a, e[0])
        undrain(a, e[0])
    drain(a, e[0], "--wait")
    assert who(n) == {"e2"}
    assert a.status()["generation"] == before
    assert (zone / "snapshot.1").stat().st_size == size
    assert (zone / "mesh.health").stat().st_size < 40000
