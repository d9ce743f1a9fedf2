# SPDX-License-Identifier: Apache-2.0
"""Completion in the shells themselves, and manual pages through groff: both
are made of meshctl's tables."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from meshtest.process import TOP, binary, environment

MESH = """\
clusters:
  reviews:
    endpoints: ["127.0.1.1:9080", "127.0.1.2:9080", "[::1]:9080"]
  ratings:
    endpoints: ["unix:/run/ratings.sock"]
  "a$(b)":
    endpoints: []
hosts:
  - domains: [shop.local, "*.shop.local"]
    routes: [{route: reviews}]
"""

PAGES = {"meshctl": 1, "mesh-agent": 8, "mesh.yaml": 5, "agent.yaml": 5}


@pytest.fixture
def a(agent):
    return agent(MESH)


def words(a, *line):
    """What the last word may become, without descriptions."""
    text = a.ctl("completion", "words", "--", *line, check=False).stdout
    return [w.split("\t")[0] for w in text.splitlines()]


# --- what is offered ----------------------------------------------------------

def test_commands_and_options(a):
    commands = re.findall(r"^  ([a-z]+)", a.ctl("--help").stdout.split("\noptions:")[0], re.M)
    assert words(a, "") == commands
    assert words(a, "un") == ["unpin", "undrain"]
    assert words(a, "nonsense", "") == commands
    assert words(a, "-") == ["--zone", "--socket", "-o", "--output", "--help", "--version"]
    assert words(a, "explain", "--t") == ["--table", "--ticket"]
    assert words(a, "apply", "--w") == ["--wait"]
    assert words(a, "status", "--w") == []


def test_values(a):
    assert words(a, "-o", "") == ["json", "table"]
    assert words(a, "status", "") == ["resources", "names"]
    assert words(a, "--output=j") == ["--output=json"]
    assert words(a, "apply", "--format", "") == ["yaml", "json", "lines"]
    assert words(a, "dump", "") == ["clusters", "routes"]
    assert words(a, "explain", "P") == ["POST", "PUT", "PATCH"]
    assert words(a, "validate", "") == [":files"] == words(a, "validate", "x", "")
    assert words(a, "--zone", "") == [":directories"]
    assert words(a, "lint", "--ignore", "unu") == ["unused-cluster", "unused-hash-policy", "unused-split-by",
                                                    "unused-runtime-key"]
    # No value of an option is an argument, and nothing follows the last one.
    assert words(a, "clusters", "--at", "1", "") == []
    assert words(a, "routes", "-o", "json", "") == ["shop.local"]
    assert words(a, "routes", "shop.local", "") == []


def test_names_of_the_zone(a, tmp_path):
    # A name that a shell would run is not offered.
    assert words(a, "endpoints", "") == ["ratings", "reviews"]
    assert words(a, "drain", "re") == ["reviews"]
    assert words(a, "drain", "reviews", "127.0.1.") == ["127.0.1.1:9080", "127.0.1.2:9080"]
    assert words(a, "undrain", "ratings", "") == ["unix:/run/ratings.sock"]
    assert words(a, "explain", "GET", "shop") == ["shop.local"]
    assert words(a, "explain", "GET", "/", "--table", "") == ["default"]
    generation = json.loads(a.ctl("status", "-o", "json").stdout)["generation"]
    assert words(a, "routes", "--at", "")[0] == str(generation)
    assert words(a, "rollback", "") == words(a, "diff", "1", "")
    # The zone that is named on the line counts.
    assert words(a, "--zone", str(tmp_path), "endpoints", "") == []
    assert words(a, f"--zone={tmp_path}", "endpoints", "") == []


def test_wrong_usage(a):
    for args in ((), ("csh",), ("bash", "x")):
        done = a.ctl("completion", *args, check=False)
        assert (done.returncode, done.stdout) == (2, ""), args


# --- in shells ----------------------------------------------------------------

class Terminal:
    """A shell on a terminal of its own, at which keys are pressed."""

    def __init__(self, argv, env):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)

    def press(self, keys, wanted, seconds=20):
        """Presses keys until `wanted` was printed behind what was there."""
        self.text = ""
        os.write(self.fd, keys.encode())
        end = time.monotonic() + seconds
        while not re.search(wanted, self.text):
            left = end - time.monotonic()
            assert left > 0, f"no {wanted!r} in {self.text!r}"
            if select.select([self.fd], [], [], left)[0]:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
        return self.text

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def shell(a, variant, tmp_path):
    """shell(argv, setup): with meshctl's directory in PATH, in tmp_path."""
    opened = []
    env = dict(environment(variant), TERM="dumb", HOME=str(tmp_path), PS1="", COLUMNS="200",
               PATH=f"{os.path.dirname(binary(variant, 'meshctl'))}:/usr/bin:/bin")
    (tmp_path / "lonely.yaml").write_text("{}")

    def start(argv, setup):
        terminal = Terminal(argv, env)
        opened.append(terminal)
        terminal.press(f"cd {tmp_path}; {setup}; echo rea''dy\n", r"ready\r?\n")
        return terminal
    yield start
    for terminal in opened:
        terminal.close()


def try_keys(terminal, zone):
    """Ctrl-U empties the line."""
    line = f"meshctl --zone {zone} "
    terminal.press(line + "hist\t", "history ")
    terminal.press("\x15" + line + "drain rev\t", "reviews ")
    terminal.press("\x15" + line + "drain ratings uni\t", r"unix:/run/ratings\.sock")
    terminal.press("\x15" + line + "drain reviews 127.0.1.2:9\t", r"127\.0\.1\.2:9080 ")
    terminal.press("\x15" + line + "validate lon\t", r"lonely\.yaml")
    terminal.press("\x15" + line + "lint --ignore rand\t", "random-hash-balancer ")
    terminal.press("\x15" + line + "-o js\t", "json ")


def test_bash(a, shell):
    terminal = shell(["bash", "--norc", "--noprofile", "-i"],
                     "bind 'set bell-style none'; PS1=; source <(meshctl completion bash)")
    try_keys(terminal, a.zone)
    # Two that begin alike: what they have in common, then both.
    line = f"\x15meshctl --zone {a.zone} drain reviews 127"
    terminal.press(line + "\t", r"127\.0\.1\.")
    assert "127.0.1.1:9080" in terminal.press("\t\t", r"127\.0\.1\.2:9080")


@pytest.mark.ci
def test_zsh(a, shell):
    terminal = shell(["zsh", "-f", "-i"],
                     "unsetopt beep prompt_sp; PS1=; autoload -U compinit; compinit -D -u; "
                     "source <(meshctl completion zsh)")
    try_keys(terminal, a.zone)


@pytest.mark.ci
def test_fish(a, variant, tmp_path):
    """fish tells what it would offer."""
    env = dict(environment(variant), HOME=str(tmp_path),
               PATH=f"{os.path.dirname(binary(variant, 'meshctl'))}:/usr/bin:/bin")
    (tmp_path / "lonely.yaml").write_text("{}")

    def ask(line):
        done = subprocess.run(
            ["fish", "-N", "-c", "meshctl completion fish | source; complete -C $argv[1]", "--",
             f"meshctl --zone {a.zone} {line}"],
            cwd=tmp_path, capture_output=True, text=True, env=env, timeout=60)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return [w.split("\t")[0] for w in done.stdout.splitlines()]
    assert ask("un") == ["undrain", "unpin"]
    assert ask("drain reviews 127.0.1.2") == ["127.0.1.2:9080"]
    assert ask("endpoints ") == ["ratings", "reviews"]
    assert ask("validate lon") == ["lonely.yaml"]


# --- manual pages -------------------------------------------------------------

@pytest.fixture
def man(variant):
    def page(name):
        return subprocess.run([binary(variant, "meshctl"), "man", name], capture_output=True,
                              text=True, check=True, env=environment(variant)).stdout

    def rendered(name):
        done = subprocess.run(["groff", "-ww", "-man", "-Tascii", "-P-cbou", "-rLL=200n"],
                              input=page(name), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return done.stdout
    return rendered


@pytest.mark.parametrize("name", PAGES)
def test_pages_render_without_a_warning(man, name):
    text = man(name)
    assert text.startswith(f"{name.upper()}({PAGES[name]})")
    for section in ("NAME", "DESCRIPTION", "SEE ALSO"):
        assert f"\n{section}\n" in text


def test_meshctl_s_page_has_all(a, man):
    text = man("meshctl")
    usage, options = a.ctl("--help").stdout.split("\noptions:\n")
    for command in re.findall(r"^  ([a-z]+)", usage, re.M):
        assert re.search(rf"^       {command}\b", text, re.M), command
    names = re.findall(r"--[a-z]+", options)
    assert len(names) > 10
    for option in names:
        assert re.search(rf"^       (-\w, )?{option}\b", text, re.M), option


def test_agent_s_page_has_all(variant, man):
    text = man("mesh-agent")
    done = subprocess.run([binary(variant, "mesh-agent"), "--help"], capture_output=True,
                          text=True, check=True, env=environment(variant))
    assert done.stdout.startswith("usage: mesh-agent -c FILE [--check]\n")
    for option in re.findall(r"^  .*(--[a-z]+)", done.stdout, re.M):
        assert option in text


def fields(node):
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for value in node.values():
            yield from fields(value)
    elif isinstance(node, list):
        for value in node:
            yield from fields(value)


@pytest.mark.parametrize("name", ["mesh", "agent"])
def test_pages_have_all_fields(man, name):
    text = man(f"{name}.yaml")
    names = set(fields(json.loads((TOP / f"conf/schema/{name}.schema.json").read_text())))
    assert len(names) > 10
    for field in names - {"file", "directory"}:
        assert re.search(rf"^       ([a-z_]+\.)?{field}\b", text, re.M), field


def test_no_such_page(a):
    done = a.ctl("man", "nginx", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there are meshctl mesh-agent mesh.yaml agent.yaml" in done.stderr
