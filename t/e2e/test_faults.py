# SPDX-License-Identifier: Apache-2.0
"""What breaks under load, and what must not.

MESH_SOAK multiplies the time of the long ones (`./dev soak`).
"""

import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

from meshtest.agent import Agent
from meshtest.load import Load
from meshtest.plain import Plain
from meshtest.process import wait_for

SECONDS = 20 * float(os.environ.get("MESH_SOAK", "1"))
MAIN = "mesh_zone {zone};"
HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            add_header X-Route $mesh_route always;
            add_header X-Cluster $mesh_cluster always;
            add_header X-Generation $mesh_generation always;
            add_header X-Flags $mesh_flags always;
            add_header X-Pid $pid always;
        }
        location = /status { mesh_status; }
    }
"""


def side(plain, which):
    """The whole mesh in version "a" or "b": every name it stamps says so,
    and the cluster `shared` changes its endpoints under one name."""
    mine = [at for name, at in plain.at.items() if name.startswith(which)]
    rows = ", ".join(f'"{at}"' for at in mine)
    return f"""
clusters:
  shared: {{endpoints: [{rows}]}}
  only-{which}: {{endpoints: [{rows}]}}
hosts:
  - domains: ["*"]
    routes:
      - name: route-{which}
        match: {{path: {{prefix: /}}}}
        route: [{{cluster: shared, weight: 1}}, {{cluster: only-{which}, weight: 1}}]
        request_headers: {{set: {{x-mesh: {which}}}}}
"""


def one_mesh(status, headers, body):
    """Route, cluster, request header and endpoint are of one generation."""
    if status != 200:
        return f"status {status} flags {headers.get('x-flags')}"
    which = headers["x-route"][-1]
    stamps = [headers["x-endpoint"][0], headers.get("x-saw", "?")[:1]]
    if headers["x-cluster"] != "shared":
        stamps.append(headers["x-cluster"][-1])
    if any(s != which for s in stamps):
        return f"mixed generations: {headers}"
    return None


@pytest.fixture
def plain(started, tmp_path):
    def make(*names, **kwargs):
        return started.add(Plain(tmp_path / "plain", names, **kwargs)).start()
    return make


def load(started, n, check=one_mesh, **kwargs):
    thread = started.add(Load(n.port, check, **kwargs))
    thread.start()
    return thread


@pytest.mark.slow
def test_whole_mesh_flips(agent, nginx, plain, started, variant):
    """100 whole-mesh flips a second: no error, no mixed generation."""
    seconds = SECONDS if variant == "release" else SECONDS / 2
    p = plain("a1", "a2", "b1", "b2")
    texts = [side(p, "a"), side(p, "b")]
    a = agent(texts[0])
    n = nginx(http=HTTP, main=MAIN, workers=2)
    pids, first = n.workers(), a.status()["generation"]
    seen = set()

    def check(status, headers, body):
        seen.add(headers.get("x-generation"))
        return one_mesh(status, headers, body)

    requests = load(started, n, check=check)
    began, flips = time.monotonic(), 0

    def enough():
        """The time is over and half of its flips were published and answered by,
        on a slow machine later; a mesh that stops publishing never gets there."""
        elapsed = time.monotonic() - began
        if elapsed < seconds or flips % 100:
            return False
        done = a.status()["generation"] - first
        return elapsed > 4 * seconds or (
            done > 50 * seconds and requests.answers > 1000 and len(seen) > done / 3)

    while not enough():
        flips += 1
        a.write(texts[flips % 2])
        time.sleep(max(0, began + flips / 100 - time.monotonic()))
    requests.stop()
    status = a.wait_applied(first + 1)
    published = status["generation"] - first
    print(f"{requests.answers} answers, {flips} flips, {published} published, "
          f"{len(seen)} seen by clients, slowest {requests.slowest * 1000:.0f} ms")
    assert requests.errors[:5] == [] and requests.answers > 1000
    assert published > 50 * seconds
    assert len(seen) > published / 4
    assert n.workers() == pids


def test_agent_killed_while_publishing(variant, nginx, plain, started, zone, tmp_path):
    """kill -9 of the agent at any point: workers go on, the next agent too."""
    p = plain("a1", "a2", "b1", "b2")
    texts = [side(p, "a"), side(p, "b")]
    a = started.add(Agent(tmp_path / "agent", variant, zone, texts[0])).start()
    n = nginx(http=HTTP, main=MAIN)
    requests = load(started, n, connections=4)
    rnd = random.Random(4)
    for turn in range(12):
        for flip in range(6):
            a.write(texts[(turn + flip) % 2])
            time.sleep(rnd.random() * 0.01)
        a.kill()
        a.start()
    a.apply(texts[1])
    requests.stop()
    print(f"{requests.answers} answers, {len(requests.errors)} errors, 12 kills")
    assert requests.errors[:5] == []
    assert n.get("/")[1]["x-route"] == "route-b"
    assert all(w["refused"] == 0 for w in a.status()["workers"])
    a.write(texts[0])
    wait_for(lambda: n.get("/")[1]["x-route"] == "route-a", "the flip after all that")


async def survivors(n, kill, count=24):
    """Opens WebSockets to all workers, kills one: who of them still echoes."""
    import websockets

    def worker(s):
        return int(s.response.headers["x-pid"])

    socks = []
    while len(socks) < count or len({worker(s) for s in socks}) < n.count:
        socks.append(await websockets.connect(f"ws://127.0.0.1:{n.port}/"))
    killed = kill()
    for s in socks:
        if worker(s) == killed:
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(s.recv(), 10)
        else:
            await s.send("still here")
            assert await asyncio.wait_for(s.recv(), 10) == "still here"
            await s.close()
    return len(socks), sum(worker(s) != killed for s in socks)


def test_worker_killed(agent, nginx, endpoints, started):
    """kill -9 of a worker fails what it held and nothing else."""
    e = endpoints.add(name="a1")
    agent(f"""
clusters:
  c: {{endpoints: ["{e.at}"]}}
hosts:
  - domains: ["*"]
    routes: [{{route: c, timeout: 0}}]
""")
    n = nginx(http=HTTP, main=MAIN, workers=2)
    requests = load(started, n, check=lambda status, *_: None if status == 200 else status,
                    connections=8)
    killed = set()

    def kill():
        before = set(n.workers())
        pid = sorted(before)[len(killed) % 2]
        os.kill(pid, signal.SIGKILL)
        killed.add(str(pid))
        wait_for(lambda: len(set(n.workers()) - before) == 1, "a new worker")
        return pid

    for _ in range(3):
        answers = requests.answers
        wait_for(lambda: requests.answers > answers + 100, "load")
        total, left = asyncio.run(survivors(n, kill))
        assert 0 < left < total
    answers = requests.answers
    wait_for(lambda: requests.answers > answers + 100, "load")
    requests.stop()
    print(f"{requests.answers} answers, {len(killed)} kills, {len(requests.cut)} connections cut, "
          f"{len(requests.errors)} before an answer; {left} of {total} WebSockets left")
    # None: not answered yet, so whose it was is not known.
    assert set(requests.cut) <= killed | {None}
    assert len(requests.cut) <= 8 * len(killed)
    wait_for(lambda: all(c["in_flight"] == 0 for c in clusters(n)), "nothing in flight")
    for c in clusters(n):
        assert all(e["in_flight"] == 0 for e in c["endpoints"]), c
    n.stop(allow=[r"exited on signal 9"])


def clusters(n):
    return json.loads(n.get("/status")[2])["clusters"]


def test_reload_under_load(agent, nginx, plain, started):
    p = plain("a1", "a2")
    a = agent(side(p, "a"))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    requests = load(started, n, connections=4)
    for _ in range(4):
        time.sleep(0.4)
        n.reload()
    time.sleep(0.4)
    requests.stop()
    assert requests.errors[:5] == []
    counted = sum(c["requests"] for c in json.loads(n.get("/status")[2])["clusters"])
    assert counted >= requests.answers, "counters survive HUP"
    a.write(side(p, "a").replace("route-a", "route-x-a"))
    wait_for(lambda: n.get("/")[1]["x-route"] == "route-x-a", "new workers adopt")


@pytest.mark.slow
def test_endpoint_killed_and_returned(agent, nginx, endpoints, started):
    e = [endpoints.add(name=f"a{i}") for i in range(4)]
    rows = ", ".join(f'"{x.at}"' for x in e)
    agent(f"""
clusters:
  c:
    endpoints: [{rows}]
    outlier_detection:
      consecutive_local_origin_failure: 3
      split_external_local_origin_errors: true
      base_ejection_time: 300ms
      max_ejection_percent: 50
hosts:
  - domains: ["*"]
    routes:
      - route: c
        retries: {{attempts: 2, on: [connect-failure, reset, gateway-error]}}
""")
    n = nginx(http=HTTP, main=MAIN, workers=2)

    def ok(status, headers, body):
        return None if status == 200 else f"status {status} {headers}"

    requests = load(started, n, check=ok, connections=4, pause=0.001)

    def back(one):
        """Its ejections are over, and it is asked."""
        before = len(one.requests)
        wait_for(lambda: len(one.requests) > before + 20, "its requests")

    for one in e[:3]:
        back(one)
        one.kill()
        wait_for(lambda: f"ejected endpoint {one.at} " in n.log(), "the ejection")
        seen = requests.answers
        wait_for(lambda: requests.answers > seen + 200, "requests without it")
        one.start()
        back(one)
    requests.stop()
    print(f"{requests.answers} answers, {len(requests.errors)} errors, 3 kills")
    assert requests.errors[:5] == [] and requests.reconnects == 0
    last = len(e[0].requests)
    assert {n.get("/")[1]["x-endpoint"] for _ in range(12)} == {"a0", "a1", "a2", "a3"}
    assert len(e[0].requests) > last, "it takes traffic again"


def test_cold_start_from_last_good(variant, nginx, endpoints, started, zone, tmp_path):
    """The run directory is wiped (a reboot) and the sources are gone: the
    last good mesh is served."""
    e = endpoints.add(name="a1")
    text = f"""
clusters:
  c: {{endpoints: ["{e.at}"]}}
hosts:
  - domains: ["*"]
    routes: [{{name: kept, route: c}}]
"""
    a = started.add(Agent(tmp_path / "agent", variant, zone, text)).start()
    state = tmp_path / "agent" / "state"
    wait_for(lambda: list(state.glob("*")), "the last-good copy", timeout=20)
    a.stop()
    last_good = next(p for p in state.iterdir() if p.is_file())
    shutil.rmtree(zone)
    n = nginx(http=HTTP, main="mesh_zone {zone} fallback=%s;" % last_good, start=False)
    began = time.monotonic()
    n.start()
    status, headers, _ = n.get("/")
    took = time.monotonic() - began
    print(f"first 200 after {1000 * took:.0f} ms")
    assert took < 1     # on a machine at rest some 20 ms
    assert status == 200 and headers["x-route"] == "kept"


@pytest.fixture
def small(tmp_path):
    """A tmpfs of 1 MB."""
    if os.getuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)],
                             capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip("no mounts here: " + mounted.stderr)
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=False)


def test_full_disk(variant, nginx, endpoints, started, tmp_path, small):
    """ENOSPC is a refusal with a reason; what is published is served."""
    e = endpoints.add(name="a1")
    head = f'clusters:\n  c: {{endpoints: ["{e.at}"]}}\n'
    tail = 'hosts:\n  - domains: ["*"]\n    routes: [{name: small, route: c}]\n'
    a = started.add(Agent(tmp_path / "agent", variant, small / "zone", head + tail)).start()
    n = nginx(http=HTTP, main=f"mesh_zone {small}/zone workers=4 clusters=64 "
              "routes=64 endpoints=256;")
    assert n.get("/")[0] == 200
    filler = "".join(f'  big-{i}: {{endpoints: ["127.0.0.1:{i % 60000 + 1}"]}}\n'
                     for i in range(8000))
    a.write(head + filler + tail.replace("small", "large"))
    wait_for(lambda: re.search(r"no space|No space|capacity", a.log()), "the refusal")
    assert n.get("/")[1]["x-route"] == "small"
    a.apply(head + tail.replace("small", "again"))
    assert n.get("/")[1]["x-route"] == "again"
    n.stop()
    a.stop()


def test_full_state_directory(variant, nginx, endpoints, started, zone, tmp_path, small):
    """Nothing can be kept for a cold start: publishing goes on, the log says
    so, and the last whole copy stays until another one is."""
    e = endpoints.add(name="a1")

    def text(name):
        return (f'clusters:\n  c: {{endpoints: ["{e.at}"]}}\n'
                f'hosts:\n  - domains: ["*"]\n    routes: [{{name: {name}, route: c}}]\n')

    def part(name):
        return f"clusters: {{{name}: {{endpoints: []}}}}"

    (tmp_path / "agent").mkdir()
    (tmp_path / "agent/state").symlink_to(small)
    a = started.add(Agent(tmp_path / "agent", variant, zone, text("r0"))).start()
    a.ctl("apply", "-f", "-", stdin=part("kept"))
    a.stop()
    copy = small / "last-good.snapshot"
    first = copy.read_bytes()

    with open(small / "filler", "wb", buffering=0) as f, pytest.raises(OSError):
        while f.write(b"x" * 4096):
            pass
    a.start()
    n = nginx(http=HTTP, main=MAIN)
    a.apply(text("r1"))
    assert n.get("/")[1]["x-route"] == "r1"
    a.ctl("apply", "-f", "-", "--part", "more", stdin=part("more"))
    assert "an applied part cannot be kept for the next agent" in a.log()
    a.stop()
    assert re.search(r"last-good copy: .*No space left", a.log())
    assert copy.read_bytes() == first and not copy.with_suffix(".snapshot.new").exists()

    (small / "filler").unlink()
    a.start()
    a.apply(text("r2"))
    assert n.get("/")[1]["x-route"] == "r2"
    assert "kept" in a.ctl("clusters").stdout
    a.stop()
    assert copy.read_bytes() != first
