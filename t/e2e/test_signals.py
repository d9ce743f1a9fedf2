# SPDX-License-Identifier: Apache-2.0
"""HUP and USR2 beside stock nginx: the same signals, the same load, and no
more errors; what was seen is kept, what is told arrives."""

import contextlib
import json
import os
import re
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from meshtest.load import Load
from meshtest.plain import Plain
from meshtest.process import free_port, wait_for
from meshtest.upgrade import Daemon, Stock

ROUNDS = int(4 * float(os.environ.get("MESH_SOAK", "1")))
MAIN = "mesh_zone {zone} fallback=%s;"
MESH = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route; add_header X-Route $mesh_route always;
                     add_header X-Pid $pid always; }
        location = /status { mesh_status; }
    }
"""
STOCK = """
    upstream u { %s keepalive 64; }
    server {
        listen 127.0.0.1:{port};
        location / { proxy_pass http://u; proxy_http_version 1.1;
                     proxy_set_header Connection ""; proxy_buffering off;
                     add_header X-Pid $pid always; }
    }
"""


def mesh(plain, dead, name="r0"):
    """Two endpoints, and one that refuses: it stays ejected."""
    rows = ", ".join(f'"{at}"' for at in [*plain.at.values(), dead])
    return f"""
clusters:
  c:
    endpoints: [{rows}]
    outlier_detection: {{consecutive_5xx: 1, base_ejection_time: 300s, max_ejection_percent: 50}}
hosts:
  - domains: ["*"]
    routes: [{{name: {name}, route: c, retries: {{attempts: 2, on: [connect-failure]}}}}]
"""


class Toll:
    """A connection that a worker closes before it has read of a request is
    nothing wrong (RFC 9112, 9.6), and stock nginx does so; the rest is."""

    def __init__(self, load):
        unread = [e for e in load.errors if re.search(r"reset by peer|\b0 bytes read on a total", e)]
        self.answers, self.closed = load.answers, load.reconnects + len(unread)
        self.wrong = [e for e in load.errors if e not in unread]

    def __str__(self):
        return f"{self.answers} answers, {len(self.wrong)} wrong, {self.closed} closed unread"


class Pair:
    """Ours and stock nginx under one load each."""

    def __init__(self, ours, stock, agent, text, dead):
        self.both = (ours, stock)
        self.ours, self.agent, self.text, self.dead = ours, agent, text, dead
        self.loads = []

    def ejected(self):
        (cluster,) = json.loads(self.ours.get("/status")[2])["clusters"]
        return [e["ejected"]["times"] for e in cluster["endpoints"]
                if e["address"] == self.dead and "ejected" in e], cluster["requests"]

    def load(self, started):
        def ok(status, headers, body):
            return None if status == 200 else f"status {status} {headers}"

        self.loads = [started.add(Load(n.port, ok, connections=4)) for n in self.both]
        for load in self.loads:
            load.start()

    def each(self, do):
        """To both at once."""
        with ThreadPoolExecutor(len(self.both)) as pool:
            list(pool.map(do, self.both))

    def end(self):
        for load in self.loads:
            load.stop()
        ours, stock = (Toll(load) for load in self.loads)
        print(f"ours: {ours}; stock: {stock}")
        assert min(load.answers for load in self.loads) > 100
        assert len(ours.wrong) <= len(stock.wrong), ours.wrong[:5]
        assert ours.closed <= 2 * stock.closed + 16

    def check(self, name, kept):
        """Ejection and counters were kept, and the next change arrives."""
        times, requests = self.ejected()
        if kept:
            assert times == [1], times
            assert requests >= self.loads[0].answers
        self.agent.write(self.text(name))
        wait_for(lambda: self.ours.get("/")[1]["x-route"] == name, f"the next change {name}")


@pytest.fixture
def pair(started, agent, variant, zone, tmp_path):
    plain = started.add(Plain(tmp_path / "plain", ["a1", "a2"])).start()
    dead = f"127.0.0.1:{free_port()}"

    def text(name):
        return mesh(plain, dead, name)

    a = agent(text("r0"))
    ours = started.add(Daemon(tmp_path / "ours", variant, zone, http=MESH, workers=2,
                              main=MAIN % (a.dir / "state/last-good.snapshot")))
    rows = "".join(f"server {at}; " for at in plain.at.values())
    stock = started.add(Stock(tmp_path / "stock", variant, zone, http=STOCK % rows, workers=2))
    p = Pair(ours.start(), stock.start(), a, text, dead)
    for _ in range(3):
        assert ours.get("/")[0] == 200
    assert p.ejected()[0] == [1]
    return p


@pytest.fixture(params=["whole", "bell lost", "wiped"])
def lose(request, pair, zone):
    """What somebody removes from the zone before the signals."""
    def one(path):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def lose():
        if request.param == "bell lost":
            one(zone / "mesh.bell")
        if request.param == "wiped":
            state = pair.agent.dir / "state/last-good.snapshot"
            wait_for(state.exists, "the last good copy")
            for path in zone.iterdir():
                one(path)
    lose.runtime_kept = request.param != "wiped"
    return lose


def hup(pair, turn):
    pair.each(lambda n: n.reload())


def usr2(pair, turn):
    """For good, and on every second turn back: the new one ends by QUIT or TERM."""
    old = {}

    def begin(n):
        old[n] = n.upgrade()

    pair.each(begin)
    if turn % 2:
        pair.each(lambda n: n.back(old[n], (signal.SIGQUIT, signal.SIGTERM)[turn // 2 % 2]))
    else:
        pair.each(lambda n: n.commit(old[n]))


@pytest.mark.parametrize("do, turns", [(hup, 4 * ROUNDS), (usr2, ROUNDS)], ids=["hup", "usr2"])
@pytest.mark.slow
def test_signals(pair, started, lose, do, turns):
    pair.load(started)
    lose()
    for turn in range(turns):
        do(pair, turn)
    pair.end()
    pair.check("r1", lose.runtime_kept)


def all_serve(pair, name):
    """Every worker of now says that it has the newest generation, and who
    answers does so by it.  (Which of them answers is the kernel's choice.)"""
    def arrived():
        status = pair.agent.status()
        has = {w["pid"] for w in status["workers"]
               if w["state"] == "live" and w["generation"] == status["generation"]}
        return set(pair.ours.workers()) <= has

    wait_for(arrived, f"{name} in {pair.ours.workers()}")
    answered = [pair.ours.get("/")[1] for _ in range(20)]
    assert {h["x-route"] for h in answered} == {name}


def kill_worker(n):
    """The oldest; until there are as many as should be."""
    pid = n.workers()[0]
    with contextlib.suppress(ProcessLookupError):   # of an older reload
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid not in n.workers() and len(n.workers()) >= n.count, "its successor")


class Updates(threading.Thread):
    """50 a second, each under a name of its own."""

    def __init__(self, agent, text):
        super().__init__(daemon=True)
        self.agent, self.text, self.count = agent, text, 0
        self._ended = threading.Event()

    def run(self):
        while not self._ended.wait(0.02):
            self.count += 1
            self.agent.write(self.text(f"u{self.count}"))

    def stop(self):
        self._ended.set()
        self.join(10)

    close = stop


@pytest.mark.slow
def test_reloads_and_kills_among_updates(pair, started):
    """Where updates came during a reload, others lost them (dyups #102), and
    a respawned worker had its master's old copy."""
    n = pair.ours
    pair.load(started)
    pair.loads[1].stop()        # stock nginx is not of interest here
    updates = started.add(Updates(pair.agent, pair.text))
    updates.start()
    for turn in range(5 * ROUNDS):
        n.reload()
        if turn % 5 == 4:
            kill_worker(n)
    updates.stop()
    last = f"u{updates.count}"
    wait_for(lambda: n.get("/")[1]["x-route"] == last, f"the last update {last}")
    wait_for(lambda: len(n.workers()) == n.count, "the end of those that drain", timeout=20)
    all_serve(pair, last)

    # No reload since: the master knows an older mesh.
    for _ in range(n.count):
        kill_worker(n)
    all_serve(pair, last)
    pair.loads[0].stop()
    toll = Toll(pair.loads[0])
    kills = ROUNDS + n.count
    print(f"{5 * ROUNDS} reloads, {kills} kills, {updates.count} updates, {toll}")
    assert all(e.startswith("Incomplete") or "reset" in e for e in toll.wrong), toll.wrong[:5]
    assert len(toll.wrong) <= 4 * kills
    assert pair.ejected()[0] == [1]
    n.stop(allow=["exited on signal 9"])
