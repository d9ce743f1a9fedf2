# SPDX-License-Identifier: Apache-2.0
"""A balancer's pick alone: t/bench/bench_lb.c's nanoseconds by number of
endpoints, and instructions by callgrind, as a difference of two runs."""

import re
import subprocess

from meshtest.process import BUILD

BENCH = BUILD / "release/bench/bench_lb"
ENDPOINTS = 50
FEW, MANY = 20000, 120000


def nanoseconds():
    """{balancer: {endpoints: {"equal": ns, "weighted": ns}}}"""
    out = subprocess.run([BENCH], capture_output=True, text=True, check=True, timeout=300).stdout
    result = {}
    for line in out.splitlines()[1:]:
        name, n, equal, weighted, *_ = line.split()
        result.setdefault(name, {})[n] = {"equal": float(equal), "weighted": float(weighted)}
    return result


def instructions(directory, name):
    totals = []
    for count in (FEW, MANY):
        out = directory / f"picks-{name}-{count}"
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", BENCH, name,
                        str(ENDPOINTS), str(count)], capture_output=True, check=True, timeout=300)
        totals.append(int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1)))
    return round((totals[1] - totals[0]) / (MANY - FEW), 1)


def measure(directory):
    ns = nanoseconds()
    return {name: {"instructions": instructions(directory, name), "ns": ns[name]} for name in ns}
