#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev bench`: what a request, a cluster and a publishing cost.

CPU per request: the proxies in turn on one core, load and endpoints on the
other, in interleaved rounds; ratios are of the same round, with a 95 %
interval over rounds.  Instructions per request: callgrind, as a difference of
two runs, so that start-up cancels out.  Latency beside mirrors: mirroring.py.
"""

import argparse
import json
import math
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from meshtest.plain import Plain  # noqa: E402
from meshtest.process import TOP  # noqa: E402

import mirroring  # noqa: E402
import picks  # noqa: E402
import proxies  # noqa: E402
import publishing  # noqa: E402
import scaling  # noqa: E402

# Two-sided 95 % of Student's t by degrees of freedom; 1.96 beyond.
T95 = {19: 2.093, 23: 2.069, 29: 2.045, 39: 2.023, 59: 2.001}


def load(port, requests, connections=16):
    """h2load's keep-alive HTTP/1.1; every answer must be a 200.  Gives the
    requests per second."""
    done = subprocess.run(
        proxies.pinned(proxies.LOAD_CORE, [
            "h2load", "--h1", "-n", str(requests), "-c", str(connections),
            "-H", ":authority: shop.local", "-H", "User-Agent: bench", "-H", "Accept: */*",
            f"http://127.0.0.1:{port}/bench/item?id=1"]),
        capture_output=True, text=True, timeout=300)
    ok = re.search(r"(\d+) 2xx", done.stdout)
    assert ok and int(ok.group(1)) == requests, done.stdout + done.stderr
    return float(re.search(r"finished in .*?, ([0-9.]+) req/s", done.stdout).group(1))


def cpu_per_request(pairs, requests, made):
    """By name, in microseconds, a row a round, and requests per second alike:
    of proxies that are not started yet."""
    started = []
    cost, rate = {}, {}
    try:
        for p in made:
            started.append(p.start())
            load(p.port, requests)
        for turn in range(pairs):
            order = started[turn % len(started):] + started[:turn % len(started)]
            for p in order:
                before = p.cpu_ns()
                rate.setdefault(p.name, []).append(load(p.port, requests))
                cost.setdefault(p.name, []).append((p.cpu_ns() - before) / requests / 1000)
    finally:
        for p in started:
            p.stop()
    return cost, rate


def ratio(ours, theirs):
    """Mean of the paired ratios, and its 95 % interval."""
    r = [a / b for a, b in zip(ours, theirs)]
    mean = statistics.fmean(r)
    half = T95.get(len(r) - 1, 2.1 if len(r) < 30 else 1.96) * statistics.stdev(r) / math.sqrt(len(r))
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def callgrind(make, few=500, many=2500):
    """Instructions of one request."""
    totals = []
    for n in (few, many):
        p = make(f"callgrind-{n}")
        out = p.dir / "callgrind.out"
        p.start(prefix=["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
        load(p.port, n, connections=4)
        p.stop()
        totals.append(int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1)))
    return (totals[1] - totals[0]) / (many - few)


def instructions(directory, at, zone_of):
    stock = callgrind(lambda n: proxies.Stock(f"stock-{n}", directory, at, master="off"))
    mesh = callgrind(lambda n: proxies.Mesh(f"mesh-{n}", directory, at, zone_of(n), master="off"))
    return stock, mesh


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=TOP,
                            capture_output=True, text=True).stdout.strip()
    return {"cpu": model.group(1) if model else "?", "cores": len(proxies.CORES),
            "kernel": platform.release(), "commit": commit}


def measure(options, directory, zones):
    plain = Plain(directory / "plain", ["a", "b"]).start()
    result = {"machine": machine()}
    try:
        at = list(plain.at.values())
        if "instructions" in options.only:
            stock, mesh = instructions(directory, at, lambda n: zones / n)
            result["instructions_nginx"] = round(stock)
            result["instructions_mesh"] = round(mesh)
            result["instructions_vs_nginx"] = round(mesh / stock, 4)
        if "cpu" in options.only:
            made = proxies.all_of_them(directory, at, zones / "cpu")
            cost, _ = cpu_per_request(options.pairs, options.requests, made)
            result["cpu_us_per_request"] = {k: round(statistics.fmean(v), 2) for k, v in cost.items()}
            for other in ("nginx", "haproxy", "envoy"):
                if other in cost:
                    result[f"cpu_per_request_vs_{other}"] = ratio(cost["mesh"], cost[other])
        if "scale" in options.only:
            result.update(scaling.measure(options, directory, zones, at, callgrind, cpu_per_request, ratio))
        if "mirror" in options.only:
            result.update(mirroring.measure(options, directory, zones, plain, load))
        if "picks" in options.only:
            result["picks"] = picks.measure(directory)
        if "publish" in options.only:
            result.update(publishing.measure(directory, zones, options.samples))
    finally:
        plain.stop()
    return result


def main():
    p = argparse.ArgumentParser(prog="./dev bench")
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--pairs", type=int, default=24)
    p.add_argument("--requests", type=int, default=20000)
    p.add_argument("--samples", type=int, default=200)
    p.add_argument("--rate", type=int, default=1500, help="of requests a second, where latency is measured")
    p.add_argument("--seconds", type=float, default=4, help="of one turn there")
    p.add_argument("--proxies", default="mesh,envoy", type=lambda s: s.split(","), help="there")
    p.add_argument("--only", default="instructions,scale,picks,cpu,mirror,publish",
                   type=lambda s: s.split(","))
    options = p.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="mesh-bench-"))
    zones = Path(tempfile.mkdtemp(prefix="mesh-bench-", dir="/dev/shm"))
    try:
        result = measure(options, directory, zones)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(zones, ignore_errors=True)
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        Path(options.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
