# SPDX-License-Identifier: Apache-2.0
"""Latency of requests beside copies of them: without a mirror, with one that
answers, one that takes connections and never answers, and one whose address
drops SYNs.

The load is offered at a fixed rate (bench_latency.c), to one after the other;
a ratio is that of one turn to the turn without a mirror beside it.  Between
turns copies that wait come to their end.  And at full load, as many requests
as the proxy takes: the part of copies that were answered.

What is measured is the proxy, not what shares the machine with it.  Targets
run on the core of load and endpoints, which would wait for the end of a
target's slice (2.8 ms); and a virtual core that sleeps takes hundreds of
microseconds to wake.  So proxy, endpoints and load are real-time tasks, and
idle cores poll.  Both need root; "undisturbed" tells whether it was so.

Of ratios there are a median and its 95 % interval by rank: what disturbs a
tail of latencies makes means of them say nothing.
"""

import contextlib
import math
import os
import re
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path

from meshtest.process import BUILD, free_port, stop, wait_for_port
from meshtest.plain import Plain
from meshtest.upstream import Deaf

import proxies

PROGRAM = BUILD / "release/bench/bench_latency"
OURS = "        timeout: 15s\n"
OUR_CLUSTERS = "clusters:\n"
ENVOYS = "                  timeout: 15s\n"
ENVOY_CLUSTERS = "  clusters: ["
ENVOY_CLUSTER = """{{name: m, type: STATIC, connect_timeout: 1s, load_assignment: {{cluster_name: m,
    endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1,
    port_value: {port}}}}}}}}}]}}]}}}}, """


def replaced(text, *pairs):
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def ours(port):
    """Copies end a second later at the latest, so that they end before the
    next turn."""
    return lambda text: replaced(
        text, (OURS, "        timeout: 1s\n" + ("        mirror: m\n" if port else "")),
        (OUR_CLUSTERS, OUR_CLUSTERS + (f"  m: {{endpoints: ['127.0.0.1:{port}'], connect_timeout: 1s}}\n"
                                       if port else "")))


def envoys(port):
    policy = "                  request_mirror_policies: [{cluster: m}]\n" if port else ""
    return lambda text: replaced(
        text, (ENVOYS, "                  timeout: 1s\n" + policy),
        (ENVOY_CLUSTERS, ENVOY_CLUSTERS + (ENVOY_CLUSTER.format(port=port) if port else "")))


class Mesh(proxies.Mesh):
    """With metrics, and with connections for many copies at a time."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        path = self.dir / "nginx.conf"
        path.write_text(replaced(path.read_text(), ("worker_connections 1024", "worker_connections 8192")))

    def http(self):
        return replaced(super().http(), ("location / {", "location = /metrics { mesh_metrics; } location / {"))

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as f:
            text = f.read().decode()
        sent = re.search(r'^mesh_cluster_mirrors_total{cluster="m"} (\d+)', text, re.M)
        ok = re.search(r'^mesh_endpoint_responses_total{cluster="m",[^}]*class="2xx"} (\d+)', text, re.M)
        return {"sent": int(sent[1]), "answered": int(ok[1])}


class Targets:
    """Kinds of mirrors, by name: their ports."""

    def __init__(self, directory):
        self.fast = Plain(directory / "mirror", ["m"]).start()
        silent, deaf = free_port(), free_port()
        self.silent = subprocess.Popen(proxies.pinned(proxies.LOAD_CORE, [PROGRAM, "silent", silent]))
        wait_for_port("127.0.0.1", silent)
        self.deaf = Deaf("127.0.0.1", deaf)
        self.ports = {"none": None, "fast": int(self.fast.at["m"].rpartition(":")[2]),
                      "silent": silent, "no_connect": deaf}

    def stop(self):
        self.deaf.stop()
        stop(self.silent)
        self.fast.stop()


def schedule(pids, policy, priority):
    for task in (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()):
        os.sched_setscheduler(int(task.name), policy, os.sched_param(priority))


@contextlib.contextmanager
def undisturbed(pids):
    """Idle cores do not sleep (Linux' PM QoS), and all threads of these go before
    what is no real-time task.  Gives whether it is so."""
    with contextlib.ExitStack() as stack:
        try:
            qos = stack.enter_context(open("/dev/cpu_dma_latency", "wb", buffering=0))
            qos.write(bytes(4))
            schedule(pids, os.SCHED_FIFO, 10)
            stack.callback(schedule, pids, os.SCHED_OTHER, 0)
            so = True
        except OSError:
            so = False
        yield so


def latency(port, rate, seconds, seed):
    """{percentile: microseconds}; every answer must have been a 200."""
    out = subprocess.run(
        proxies.pinned(proxies.LOAD_CORE, [PROGRAM, port, "/bench/item?id=1", rate, seconds, seed]),
        capture_output=True, text=True, check=True, timeout=60 + 2 * seconds).stdout
    count, failures, p50, _, p99, *_ = map(int, out.split())
    assert failures == 0 and count > rate * seconds / 2, out
    return {"p50": p50, "p99": p99}


def turns(options, made):
    """{proxy: {percentile: [of each turn]}}, of proxies that are started."""
    taken = {p.name: {"p50": [], "p99": []} for p in made}
    for turn in range(options.pairs):
        for p in made[turn % len(made):] + made[:turn % len(made)]:
            for name, us in latency(p.port, options.rate, options.seconds, turn).items():
                taken[p.name][name].append(us)
            time.sleep(1.5)
    return taken


def ratio(ours, theirs):
    """Median of the paired ratios.  Its interval's ends are as many ranks from
    the ends as it has a median on the other side of in at most 2.5 % each."""
    r = sorted(a / b for a, b in zip(ours, theirs))
    beyond, k = 0.0, 0
    while k < len(r) // 2:
        beyond += math.comb(len(r), k) / 2 ** len(r)
        if beyond > 0.025:
            break
        k += 1
    k = max(k - 1, 0)
    return {"median": round(statistics.median(r), 4), "low": round(r[k], 4), "high": round(r[-1 - k], 4)}


def ratios(taken, kinds):
    """Medians of all turns, and what they are to those without a mirror."""
    result = {}
    for kind in kinds:
        row = {f"{name}_us": sorted(v)[len(v) // 2] for name, v in taken[kind].items()}
        if kind != "none":
            row |= {f"{name}_vs_none": ratio(v, taken["none"][name]) for name, v in taken[kind].items()}
        result[kind] = row
    return result


def answered(mesh, requests, load):
    """The part of copies that a target got and answered, at full load."""
    load(mesh.port, 1000)
    time.sleep(0.5)
    before = mesh.metrics()
    rate = load(mesh.port, requests)
    time.sleep(2)
    after = mesh.metrics()
    return {"requests_per_second": round(rate),
            "part": round((after["answered"] - before["answered"]) / requests, 5)}


def measure(options, directory, zones, plain, load):
    result = {}
    at = list(plain.at.values())
    targets = Targets(directory)
    try:
        for name in options.proxies:
            if name == "envoy" and not proxies.ENVOY.exists():
                continue
            made = [Mesh(kind, directory / "mirror-mesh", at, zones / f"mirror-{kind}", more=ours(port))
                    if name == "mesh" else
                    proxies.Envoy(kind, directory / "mirror-envoy", at, more=envoys(port))
                    for kind, port in targets.ports.items()]
            try:
                for p in made:
                    p.start()
                if name == "mesh":
                    result["copies_answered"] = answered(made[1], options.requests, load)
                with undisturbed(proxies.tree(plain.process.pid) + [i for p in made for i in p.pids()]) as so:
                    result[name] = ratios(turns(options, made), targets.ports)
                result[name]["undisturbed"] = so
            finally:
                for p in made:
                    p.stop()
    finally:
        targets.stop()
    return {"mirror": result}
