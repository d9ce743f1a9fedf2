#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the unit tests notice?  `./dev mutate` changes one operator at a time in
the pure rooms, and runs the room's tests on it until one fails.

A mutant that no test fails on survived: either nothing asks for what it
changed, or the change makes no difference.  The score is of those that
compile.  A sample of all places, the same for the same --seed.
"""

import argparse
import collections
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PURE = TOP / "ngx_mesh_module"
ROOMS = ("route", "lb", "cluster")
# Balancers look at nothing but views.
TESTED_BY = {"route": ["route"], "lb": ["lb"], "cluster": ["cluster", "lb"]}

# Places in code of which comments, texts and directives are gone.
CHANGES = [(re.compile(pattern), to) for pattern, to in (
    (r"(?<=[^<=>!-]) < (?=[^<=])", (" <= ", " >= ")),
    (r" <= ", (" < ", " > ")),
    (r"(?<=[^>=-]) > (?=[^>=])", (" >= ", " <= ")),
    (r" >= ", (" > ", " < ")),
    (r" == ", (" != ",)),
    (r" != ", (" == ",)),
    (r"&& ", ("|| ",)),
    (r"\|\| ", ("&& ",)),
    (r" \+ ", (" - ",)),
    (r"(?<=[\w)\]]) - ", (" + ",)),
    (r"(?<=[\w)\]]) \* (?=[\w(])", (" / ",)),
    (r" / ", (" * ",)),
    (r" % ", (" / ",)),
    (r" \| ", (" & ",)),
    (r"(?<=[\w)\]]) & (?=[\w(])", (" | ",)),
    (r" << ", (" >> ",)),
    (r" >> ", (" << ",)),
    (r"\+= ", ("-= ",)),
    (r"-= ", ("+= ",)),
    (r"\breturn true;", ("return false;",)),
    (r"\breturn false;", ("return true;",)),
    (r"\b(continue|break);", (";",)),
    (r"(?<![\w.])0(?=[;)\]])", ("1",)),
    (r"(?<![\w.])1(?=[;)\]])", ("0", "2")),
    (r"(?<=if \()[^()]+(?=\) \{)", (r"!(\g<0>)",)),
)]

HIDDEN = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|^#(?:\\\n|[^\n])*", re.S | re.M)


class Mutant:
    def __init__(self, path, text, start, end, to):
        self.path, self.text, self.start, self.end, self.to = path, text, start, end, to

    def mutated(self):
        return self.text[:self.start] + self.to + self.text[self.end:]

    def __str__(self):
        line = self.text.count("\n", 0, self.start) + 1
        begin = self.text.rfind("\n", 0, self.start) + 1
        whole = self.text[begin:self.text.find("\n", self.start)]
        return f"{self.path.relative_to(TOP)}:{line}: {whole.strip()}  " \
               f"[column {self.start - begin + 1}: {self.text[self.start:self.end]!r} is {self.to!r}]"


def mutants_of(path):
    text = path.read_text()
    code = HIDDEN.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    return [Mutant(path, text, m.start(), m.end(), m.expand(to))
            for pattern, tos in CHANGES for m in pattern.finditer(code) for to in tos]


class Room:
    """The room's unit tests, the fastest first."""

    def __init__(self, name, out, flags):
        self.out, self.flags = out, flags
        self.tests = sorted((self.timed(p), p) for room in TESTED_BY[name]
                            for p in sorted((TOP / "t/unit" / room).glob("test_*.c")))

    def timed(self, source):
        begin = time.monotonic()
        program = self.out / "unit" / source.relative_to(TOP / "t/unit").with_suffix("")
        with tempfile.TemporaryDirectory(prefix="mesh-unit-") as directory:
            done = subprocess.run([program], capture_output=True, cwd=directory, timeout=300)
        if done.returncode:
            sys.exit(f"{program} fails as it is")
        return time.monotonic() - begin

    def link(self, test, mutated, program):
        """What it defines is taken from no archive any more."""
        flags = self.flags
        objects = [self.out / "obj" / p.relative_to(TOP).with_suffix(".o") for p in flags["TLIB"]]
        main = self.out / "obj" / test.relative_to(TOP).with_suffix(".o")
        return subprocess.run(["gcc", "-o", program, main, mutated, *objects, self.out / "libagent.a",
                               self.out / "libmesh.a", *flags["LIBS"], "-lcmocka", *flags["WRAPPED"]],
                              capture_output=True).returncode == 0

    def killed_by(self, mutated, directory):
        for took, test in self.tests:
            program = Path(directory) / test.stem
            if not self.link(test, mutated, program):
                sys.exit(f"{test} does not link with a mutant")
            try:
                # A mutant may want all memory there is.
                done = subprocess.run(["sh", "-c", 'ulimit -v 4000000; exec "$0"', program], capture_output=True,
                                      cwd=directory, timeout=10 + 10 * took)
            except subprocess.TimeoutExpired:
                return f"{test.stem}, which does not end"
            if done.returncode:
                return test.stem
        return None


def make_variables(out):
    """The makefile's words, by the makefile."""
    rule = "print:\n\t@echo $(TLIB)\n\t@echo $(CFLAGS)\n\t@echo $(LIBS)\n\t@echo $(WRAPPED:%=-Wl,--wrap=%)\n"
    with tempfile.NamedTemporaryFile("w", suffix=".mk") as f:
        f.write(f"include {TOP}/sync-agent/Makefile\n{rule}")
        f.flush()
        text = subprocess.run(["make", "-s", "-f", f.name, "-f", "-", "print", f"OUT={out}", f"TOP={TOP}"],
                              input="", capture_output=True, text=True, check=True).stdout
    tlib, cflags, libs, wrapped = (line.split() for line in text.splitlines()[-4:])
    return {"TLIB": [Path(p) for p in tlib], "CFLAGS": [f for f in cflags if f != "-Werror"], "LIBS": libs,
            "WRAPPED": wrapped}


def judge(mutant, room, flags):
    """The test that failed, "" if none did, None if it does not compile."""
    with tempfile.TemporaryDirectory(prefix="mesh-mutant-") as directory:
        source, mutated = Path(directory) / mutant.path.name, Path(directory) / "mutant.o"
        source.write_text(mutant.mutated())
        done = subprocess.run(["gcc", *flags["CFLAGS"], "-O1", "-w", f"-I{mutant.path.parent}", "-c", source, "-o",
                               mutated], capture_output=True)
        return None if done.returncode else room.killed_by(mutated, directory) or ""


def main():
    p = argparse.ArgumentParser(prog="./dev mutate")
    p.add_argument("--samples", type=int, default=300)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--minutes", type=float, default=20, help="no new mutants after this")
    p.add_argument("files", nargs="*", type=Path)
    options = p.parse_args()
    out = TOP / "build/release"
    flags = make_variables(out)
    rooms = {r: Room(r, out, flags) for r in ROOMS}
    files = [f.resolve() for f in options.files] or [f for r in ROOMS for f in sorted((PURE / r).glob("*.c"))]
    every = [m for f in files for m in mutants_of(f)]
    chosen = random.Random(options.seed).sample(every, min(options.samples, len(every)))
    deadline = time.monotonic() + options.minutes * 60

    def run(mutant):
        if time.monotonic() > deadline:
            return mutant, "late"
        return mutant, judge(mutant, rooms[mutant.path.parent.name], flags)

    tried, killed, survivors = collections.Counter(), collections.Counter(), []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, by in pool.map(run, chosen):
            if by in (None, "late"):
                continue
            name = str(mutant.path.relative_to(PURE))
            tried[name] += 1
            killed[name] += bool(by)
            if not by:
                survivors.append(mutant)
    for mutant in sorted(survivors, key=lambda m: (str(m.path), m.start)):
        print(mutant)
    print()
    for name in sorted(tried):
        print(f"{name:32} {killed[name]:4} of {tried[name]:4}")
    total = sum(tried.values())
    print(f"{sum(killed.values())} of {total} mutants were noticed ({100 * sum(killed.values()) / max(total, 1):.1f} %); "
          f"{len(every)} places and ways in all, seed {options.seed}")


if __name__ == "__main__":
    main()
