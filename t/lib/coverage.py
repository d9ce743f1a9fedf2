#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Branch coverage of the C unit tests, by room: `./dev coverage`.

Runs the programs of build/coverage/unit and reads what gcc's own gcov tells.
A branch is one way out of a condition, as gcc made it without optimising.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
OUT = TOP / "build" / "coverage"
PURE = "base format snapshot runtime route policy cluster lb stats".split()
AGENT = "model xds source compile lint health ctl agent".split()
GOAL = 90  # per cent; a file below it is listed


def run_unit(program):
    with tempfile.TemporaryDirectory(prefix="mesh-unit-") as directory:
        done = subprocess.run([program], capture_output=True, text=True,
                              timeout=600, cwd=directory, errors="replace")
    return program, done


def run_units():
    """Runs each program once; ends here when one fails."""
    for stale in OUT.rglob("*.gcda"):
        stale.unlink()
    programs = [p for p in sorted(OUT.glob("unit/*/test_*"))
                if (TOP / "t" / p.relative_to(OUT)).with_suffix(".c").exists()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for program, done in pool.map(run_unit, programs):
            if done.returncode:
                sys.exit(f"{done.stdout}{done.stderr}coverage: "
                         f"{program.name} failed")


def read_gcov():
    """{file: {line: [executed, {branch: taken}]}}, paths below the top.

    An inline function of a header is counted by each object that has it: the
    counts of one branch add up.
    """
    notes = [str(p) for tree in ("ngx_mesh_module", "sync-agent")
             for p in sorted((OUT / "obj" / tree).rglob("*.gcno"))]
    told = subprocess.run(
        ["gcov", "--json-format", "--stdout", "--branch-probabilities", *notes],
        check=True, capture_output=True, text=True).stdout
    files = {}
    for report in told.splitlines():
        for source in json.loads(report)["files"]:
            path = Path(source["file"])
            if not path.is_relative_to(TOP) or not path.exists():
                continue
            lines = files.setdefault(str(path.relative_to(TOP)), {})
            for line in source["lines"]:
                add_line(lines, line)
    return files


def add_line(lines, line):
    seen = lines.setdefault(line["line_number"], [0, {}])
    seen[0] += line["count"]
    for i, branch in enumerate(line["branches"]):
        key = line.get("function_name"), i
        seen[1][key] = seen[1].get(key, 0) + branch["count"]


def branches(lines):
    """(taken, all) of a file's lines."""
    counts = [n for _, taken in lines.values() for n in taken.values()]
    return sum(1 for n in counts if n), len(counts)


def percent(taken, total):
    return 100 * taken / total if total else 100.0


def show_rooms(files, least):
    """Prints the table; the pure rooms that are below `least`."""
    short = []
    for tree, rooms in ("ngx_mesh_module", PURE), ("sync-agent", AGENT):
        for room in rooms:
            mine = {f: branches(lines) for f, lines in sorted(files.items())
                    if f.startswith(f"{tree}/{room}/")}
            taken, total = (sum(c[i] for c in mine.values()) for i in (0, 1))
            print(f"{room:10} {taken:5} of {total:5} branches "
                  f"{percent(taken, total):6.1f} %")
            for f, counts in mine.items():
                if percent(*counts) < GOAL:
                    print(f"    {Path(f).name:36} {counts[0]:4} of "
                          f"{counts[1]:4} {percent(*counts):6.1f} %")
            if room in PURE and percent(taken, total) < least:
                short.append(room)
    return short


def show_file(name, lines):
    """The lines that have not run (-), or not in every way (taken/all)."""
    taken, total = branches(lines)
    print(f"{name}: {taken} of {total} branches, {percent(taken, total):.1f} %")
    text = (TOP / name).read_text().splitlines()
    for number, (executed, ways) in sorted(lines.items()):
        missing = sum(1 for n in ways.values() if not n)
        if executed and not missing:
            continue
        mark = f"{len(ways) - missing}/{len(ways)}" if executed else "-"
        print(f"{number:5} {mark:>5}  {text[number - 1]}")


def main():
    ask = argparse.ArgumentParser(prog="./dev coverage", description=__doc__)
    ask.add_argument("--min", type=float, default=0, metavar="N",
                     help="exit 1 when a pure room has less than N %% of its branches")
    ask.add_argument("--again", action="store_true",
                     help="show the figures of the last run")
    ask.add_argument("file", nargs="*",
                     help="show the lines of these files that are not covered")
    args = ask.parse_args()
    if not args.again:
        run_units()
    files = read_gcov()
    for name in args.file:
        found = [f for f in files if f == name or Path(f).name == name]
        if not found:
            sys.exit(f"coverage: no figures about {name}")
        for f in found:
            show_file(f, files[f])
    if args.file:
        return 0
    short = show_rooms(files, args.min)
    if short:
        print(f"coverage: below {args.min:g} %: {', '.join(short)}")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
