#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a program can hold: `./dev lint`.

Include direction, sizes and complexity, headers that compile alone, layout,
banned calls, words that do not belong.  Gates, without an allow-list.
"""

import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PURE = "base format snapshot runtime route policy cluster lb stats identity".split()
GLUE = "core http stream".split()

# What a room may include besides itself.
MAY = {
    "base": "", "format": "base", "snapshot": "base format",
    "runtime": "base format", "stats": "base runtime format",
    "route": "base format snapshot",
    "cluster": "base format snapshot runtime",
    "lb": "base format snapshot runtime cluster",
    "policy": "base format snapshot runtime route",
    "identity": "base format snapshot",
    "core": " ".join(PURE), "http": " ".join(PURE) + " core",
    "stream": " ".join(PURE) + " core",
}
BANNED = r"\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|alloca)\s*\("
UNFINISHED = r"\b(TODO|FIXME|XXX|HACK)\b|not implemented|\bstub\b"
BRANCH = r"\b(?:if|for|while|case)\b|&&|\|\||\?"

problems = []


def problem(path, line, text):
    problems.append(f"{path.relative_to(TOP)}:{line}: {text}")


def tracked(*patterns):
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=TOP, check=True, capture_output=True, text=True,
    ).stdout.split("\n")
    return [TOP / f for f in out if f and (TOP / f).exists()]


def room(path):
    return path.parent.name


def is_module(path):
    return "ngx_mesh_module" in path.parts


def without_comments(text):
    """Comments and strings blanked, lines kept."""
    def blank(m):
        s = m.group(0)
        return re.sub(r"[^\n]", " ", s) if s.startswith("/") else '""'
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", blank, text, flags=re.S)


def functions(code):
    """(name, first line, lines, branches) of each function body."""
    lines = code.split("\n")
    start = None
    for i, line in enumerate(lines):
        opens = line == "{" or re.match(r"^[A-Za-z].*\)\s*\{$", line)
        if start is None and opens:
            start = i
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 8):start + 1])
            names = re.findall(r"(\w+)\s*\(", head)
            body = "\n".join(lines[start + 1:i])
            if line == "}":
                yield (names[-1] if names else "?", start + 1, i - start - 1,
                       1 + len(re.findall(BRANCH, body)))
            start = None


def check_sizes(path, text, code):
    n = text.count("\n")
    header = path.suffix == ".h"
    limit = 400 if header else 1000
    if "format" not in path.parts and n > limit:
        problem(path, n, f"{n} lines, the gate is {limit}")
    if header:
        return
    test = path.is_relative_to(TOP / "t")
    glue = is_module(path) and room(path) in GLUE
    longest, branches = (120, 25) if glue or test else (100, 20)
    for name, line, length, complexity in functions(code):
        if length > longest:
            problem(path, line, f"{name}() has {length} lines, the gate is {longest}")
        if complexity > branches:
            problem(path, line, f"{name}() has complexity {complexity}, the gate is {branches}")


def check_includes(path, text, rooms_of):
    if not is_module(path):
        for m in re.finditer(r'#include\s+[<"](ngx_[^">]+)', text):
            problem(path, text[:m.start()].count("\n") + 1, f"includes nginx glue: {m.group(1)}")
        return
    mine = room(path)
    allowed = set(MAY.get(mine, "").split()) | {mine}
    for m in re.finditer(r'#include\s+[<"]([^">]+)', text):
        name, line = m.group(1), text[:m.start()].count("\n") + 1
        other = rooms_of.get(name)
        if other and other not in allowed:
            problem(path, line, f"room {mine} includes {name} of room {other}")
        if name.startswith("ngx_") and mine in PURE:
            problem(path, line, f"pure room {mine} includes {name}")
        if re.match(r"ngx_(http|stream)\.h", name) and mine == "core":
            problem(path, line, "core includes ngx_http.h or ngx_stream.h")


def check_layout(path, text):
    for i, line in enumerate(text.split("\n"), 1):
        if len(line) > 80:
            problem(path, i, f"{len(line)} columns")
        if "\t" in line or line != line.rstrip():
            problem(path, i, "tab or trailing blank")
    if not text.startswith("/* SPDX-License-Identifier: Apache-2.0 */"):
        problem(path, 1, "no SPDX line at the top")


def check_words(path, code, text):
    for m in re.finditer(BANNED, code):
        problem(path, code[:m.start()].count("\n") + 1, f"banned call {m.group(1)}")
    for m in re.finditer(UNFINISHED, text):
        problem(path, text[:m.start()].count("\n") + 1, f"unfinished: {m.group(0)}")


def check_headers_alone(headers):
    base = TOP / "ngx_mesh_module"
    incs = [f"-I{base / r}" for r in PURE]
    incs += [f"-I{d}" for d in (TOP / "sync-agent").iterdir() if d.is_dir()]
    incs += [f"-I{TOP / 't/lib'}"]
    for h in headers:
        if is_module(h) and room(h) in GLUE:
            continue
        done = subprocess.run(
            ["gcc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
             "-fsyntax-only", *incs, "-x", "c", str(h)], capture_output=True, text=True)
        if done.returncode:
            problem(h, 1, "does not compile alone: " + done.stderr.strip().split("\n")[0])


def check_format(paths):
    paths = [str(p) for p in paths if not is_module(p)]
    if not paths:
        return
    done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *paths],
                          cwd=TOP, capture_output=True, text=True)
    for line in done.stderr.split("\n"):
        m = re.match(r"(.*?):(\d+):\d+: error: (.*)", line)
        if m:
            problem(Path(m.group(1)), m.group(2), "clang-format would change this")


def check_leaks_of_place():
    """No path of a development machine, nothing of the studies' folder."""
    for path in tracked():
        if path.suffix in (".png", ".pb") or path == Path(__file__):
            continue
        text = path.read_text(errors="replace")
        for m in re.finditer(r"/work/|\.\./shared\b|/root/\.pyenv", text):
            problem(path, text[:m.start()].count("\n") + 1, f"names a place of one machine: {m.group(0)}")


def main():
    sources = tracked("*.c", "*.h")
    rooms_of = {p.name: room(p) for p in sources if is_module(p)}
    for path in sources:
        text = path.read_text()
        code = without_comments(text)
        check_sizes(path, text, code)
        check_includes(path, text, rooms_of)
        check_words(path, code, text)
        check_layout(path, text)
    check_headers_alone([p for p in sources if p.suffix == ".h"])
    check_format(sources)
    check_leaks_of_place()
    for p in problems:
        print(p)
    print(f"lint: {len(sources)} C files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
