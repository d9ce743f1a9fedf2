# SPDX-License-Identifier: Apache-2.0
"""What must stay flat however long it runs.

With MESH_SOAK set (`./dev soak`) at full length, else a short run of the same.
"""

import http.client
import json
import os
import socket
import statistics
import time
from pathlib import Path

import pytest

SOAK = "MESH_SOAK" in os.environ
PUBLISHES = 100_000 if SOAK else 3_000
WINDOW = PUBLISHES // (10 if SOAK else 5)  # a compaction happens in each
MAIN = "mesh_zone {zone};"
HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route; }
    }
"""


class Socket:
    """Lines over the agent's socket, one connection."""

    def __init__(self, zone):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(str(zone / "agent.sock"))
        self.file = self.s.makefile("rb")

    def ask(self, line, body=b""):
        self.s.sendall(json.dumps(line).encode() + b"\n" + body)
        answer = json.loads(self.file.readline())
        assert answer["ok"], answer
        return answer

    def apply(self, change):
        body = json.dumps(change).encode() + b"\n"
        line = {"command": "apply", "part": "soak", "format": "lines", "length": len(body)}
        return self.ask(line, body)["generation"]

    def close(self):
        self.file.close()
        self.s.close()


def cluster(i, weight):
    return {f"service-{i}": {"endpoints": [
        {"address": f"127.0.{1 + i}.{1 + e}:9080", "weight": weight if e == 3 else 1,
         "labels": {"version": f"v{e % 3}"}} for e in range(20)]}}


def host(i, body):
    return {"name": f"host-{i}", "domains": [f"h{i}.test"] if i else ["h0.test", "*"], "routes": [
        {"name": f"route-{i}", "match": {"path": {"prefix": "/"}},
         "respond": {"status": 200, "body": body}}]}


def change(n):
    """In turn an endpoint's weight, a route, and a cluster that comes or goes."""
    i = n // 3 % 20
    if n % 3 == 0:
        return {"upsert": {"clusters": cluster(i, 2 + n % 1000)}}
    if n % 3 == 1:
        return {"upsert": {"hosts": [host(i, f"n{n}")]}}
    if n % 2:
        return {"upsert": {"clusters": cluster(30 + i, 1)}}
    return {"remove": {"clusters": [f"service-{30 + (n - 3) // 3 % 20}"]}}


def memory(pid):
    """Resident memory and what of it is private and anonymous, in kB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    rows = dict(r.split(":") for r in text.splitlines()[1:])
    return {what: int(rows[what].split()[0]) for what in ("Rss", "Anonymous")}


class Memory:
    """Of each process, in windows of so many publishes."""

    def __init__(self, pids):
        self.pids = pids
        self.windows = []

    def sample(self, n):
        if n // WINDOW == len(self.windows):
            self.windows.append([])
        self.windows[-1].append({name: memory(pid) for name, pid in self.pids.items()})

    def series(self, name, what):
        """The median of each window, and the most of it."""
        values = [[row[name][what] for row in w] for w in self.windows]
        return [round(statistics.median(v)) for v in values], [max(v) for v in values]

    def check(self):
        """The last window against the second: the first warms up."""
        for name in self.pids:
            for what in ("Rss", "Anonymous"):
                median, most = self.series(name, what)
                print(f"{name} {what}: median {median} kB, most {most} kB")
                # A short run has less behind it; a heap settles in steps.
                slack = 0 if SOAK and what == "Rss" else 256
                assert abs(median[-1] - median[1]) <= 0.02 * median[1] + slack, (name, what)
                assert max(most[2:]) <= 1.5 * most[1] + 1024, (name, what)


def test_memory_over_100000_publishes(agent, nginx, variant):
    """Agent and worker after many small changes: as large as after few.

    Between compactions a snapshot file grows, and with it what is mapped and
    kept about it; so windows that see several are compared, by their medians.
    """
    if variant == "asan":
        pytest.skip("its quarantine keeps freed memory on purpose")
    a = agent("clusters: {}\n", extra="capacity: 1M\ndebounce: 0ms\nlog: {level: warn}")
    n = nginx(http=HTTP, main=MAIN, workers=1, level="warn")
    control = Socket(a.zone)
    for i in range(20):
        control.apply({"upsert": {"clusters": cluster(i, 1), "hosts": [host(i, "first")]}})
    client = http.client.HTTPConnection("127.0.0.1", n.port, timeout=20)
    memory_of = Memory({"agent": a.process.pid, "worker": n.workers()[0]})
    began, generation = time.monotonic(), 0
    for k in range(PUBLISHES):
        generation = control.apply(change(k))
        if k % 10 == 0:
            client.request("GET", "/")
            client.getresponse().read()
        if k % 20 == 0:
            memory_of.sample(k)
    a.wait_applied(generation, timeout=60)
    took = time.monotonic() - began
    compactions = control.ask({"command": "status"})["compactions"]
    print(f"{PUBLISHES} publishes in {took:.0f} s, {compactions} compactions")
    assert generation >= PUBLISHES and compactions >= len(memory_of.windows)
    memory_of.check()
    client.close()
    control.close()
