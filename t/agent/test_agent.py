# SPDX-License-Identifier: Apache-2.0
"""mesh-agent as a process: sources, edits, signals, ends and beginnings."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from meshtest.agent import Agent
from meshtest.process import SANITIZER_TEXT, binary, environment, wait_for

MESH = """\
clusters:
  reviews:
    endpoints: [127.0.1.1:9080, 127.0.1.2:9080]
hosts:
  - domains: [shop.local]
    routes:
      - name: {name}
        route: reviews
"""


def mesh(name):
    return MESH.format(name=name)


def route(a):
    """The name of the published route that a request would take."""
    done = a.ctl("explain", "GET", "http://shop.local/", "-o", "json", check=False)
    return json.loads(done.stdout).get("route") if done.stdout else None


def until_route(a, name):
    wait_for(lambda: route(a) == name, f"route {name}: {a.log()}")


def part(a, name="mesh.yaml"):
    status = a.status()
    return next(p for p in status["agent"]["parts"] if p["name"].endswith(name))


def run(variant, *args):
    done = subprocess.run([binary(variant, "mesh-agent"), *args], capture_output=True,
                          text=True, timeout=30, env=environment(variant))
    assert not any(s in done.stderr for s in SANITIZER_TEXT), done.stderr
    return done


def configure(path, zone, sources, extra=""):
    conf = path / "agent.yaml"
    lines = "\n".join(f"  - {s}" for s in sources)
    conf.write_text(f"zone: {zone}\nstate: {path}/state\n{extra}\nsources:\n{lines}\n")
    return conf


@pytest.fixture
def directory_agent(started, variant, zone, tmp_path):
    """An agent whose source is a directory; its parts are files in it."""
    def make(files):
        a = Agent(tmp_path / "agent", variant, zone)
        parts = a.dir / "parts"
        parts.mkdir()
        for name, text in files.items():
            (parts / name).write_text(text)
        a.conf = configure(a.dir, zone, ["directory: parts"])
        a.parts = parts
        return started.add(a).start()
    return make


# --- the command line ---------------------------------------------------------

def test_command_line(variant, tmp_path):
    assert re.match(r"mesh-agent \d+\.\d+\.\d+\n", run(variant, "--version").stdout)
    assert "usage:" in run(variant, "--help").stdout
    for args in ([], ["--nonsense"], ["-c"], ["-c", "x", "y"]):
        done = run(variant, *args)
        assert done.returncode == 2 and "usage:" in done.stderr, args
    done = run(variant, "-c", str(tmp_path / "none.yaml"))
    assert done.returncode == 1 and "No such file" in done.stderr


def test_bad_configuration_names_the_place(variant, tmp_path, zone):
    conf = tmp_path / "agent.yaml"
    conf.write_text(f"zone: {zone}\ncapacity: 3 elephants\nlogs: {{}}\n")
    done = run(variant, "-c", str(conf))
    assert done.returncode == 1
    assert f'{conf}:2:11: capacity: found "3 elephants"' in done.stderr, done.stderr
    assert f"{conf}:3:1: logs: unknown field" in done.stderr, done.stderr
    assert not list(zone.iterdir())


# --- --check ------------------------------------------------------------------

def test_check_accepts_and_writes_nothing(variant, tmp_path, zone):
    (tmp_path / "mesh.yaml").write_text(mesh("a"))
    conf = configure(tmp_path, zone, ["file: mesh.yaml"])
    done = run(variant, "-c", str(conf), "--check")
    assert (done.returncode, done.stdout) == (0, "ok: 1 sources are right\n")
    assert not list(zone.iterdir()) and not (tmp_path / "state").exists()


def test_check_prints_every_error_of_every_source(variant, tmp_path, zone):
    (tmp_path / "a.yaml").write_text("clusters:\n  x:\n    endpoints: [nowhere]\n")
    (tmp_path / "b.yaml").write_text("clusters: {x: {endpoints: [127.0.0.1:80]}\n")
    conf = configure(tmp_path, zone, ["file: a.yaml", "file: b.yaml", "file: c.yaml"])
    done = run(variant, "-c", str(conf), "--check")
    assert done.returncode == 1
    assert re.search(r"a\.yaml:3:17: clusters\.x\.endpoints\[0\]: found \"nowhere\"", done.stdout), done.stdout
    assert re.search(r"b\.yaml:\d+:\d+", done.stdout), done.stdout
    assert "c.yaml: the file is gone" in done.stdout
    assert not list(zone.iterdir())


def test_check_sees_rules_across_sources(variant, tmp_path, zone):
    (tmp_path / "a.yaml").write_text("hosts: [{domains: [a], routes: [{route: elsewhere}]}]\n")
    (tmp_path / "b.yaml").write_text("clusters: {elsewhere: {endpoints: [127.0.0.1:80]}}\n")
    conf = configure(tmp_path, zone, ["file: a.yaml", "file: b.yaml"])
    assert run(variant, "-c", str(conf), "--check").returncode == 0
    (tmp_path / "b.yaml").write_text("clusters: {other: {endpoints: [127.0.0.1:80]}}\n")
    done = run(variant, "-c", str(conf), "--check")
    assert done.returncode == 1 and '"elsewhere"' in done.stdout


# --- edits --------------------------------------------------------------------

def test_edit_by_rename(agent):
    a = agent(mesh("one"))
    assert route(a) == "one"
    a.write(mesh("two"))
    until_route(a, "two")


def test_edit_in_place(agent):
    a = agent(mesh("one"))
    a.mesh.write_text(mesh("two"))  # truncates, then writes
    until_route(a, "two")


def test_edit_as_vim_does(agent):
    """The old file is renamed away before the new one is there."""
    a = agent(mesh("one"))
    backup = a.mesh.with_suffix(".yaml~")
    a.mesh.rename(backup)
    a.mesh.write_text(mesh("two"))
    until_route(a, "two")
    backup.unlink()
    assert part(a)["state"] == "in force"
    assert "gone" not in a.log()


def test_a_slow_writer_is_waited_for(agent):
    """A half-written file that would be right by itself is not taken."""
    a = agent(mesh("one"))
    text = mesh("two") + "      - {name: late, match: {path: /x}, route: reviews}\n"
    before = a.status()["generation"]
    with open(a.mesh, "w") as f:
        f.write(mesh("half"))
        f.flush()
        # Something else in the directory makes the agent look.
        (a.dir / "other").write_text("x")
        (a.dir / "other").unlink()
        assert route(a) == "one"
        f.seek(0)
        f.truncate()
        f.write(text)
    until_route(a, "two")
    assert a.status()["generation"] == before + 1


def test_kubernetes_symlink_swap(started, variant, zone, tmp_path):
    a = started.add(Agent(tmp_path / "agent", variant, zone))
    volume = a.dir / "volume"
    for n in (1, 2, 3):
        data = volume / f"..2026_{n}"
        data.mkdir(parents=True)
        (data / "mesh.yaml").write_text(mesh(f"v{n}"))
    (volume / "..data").symlink_to("..2026_1")
    (volume / "mesh.yaml").symlink_to("..data/mesh.yaml")
    a.conf = configure(a.dir, zone, ["file: volume/mesh.yaml"])
    a.start()
    assert route(a) == "v1"
    for n in (2, 3):
        (volume / "..data_tmp").symlink_to(f"..2026_{n}")
        (volume / "..data_tmp").rename(volume / "..data")
        until_route(a, f"v{n}")
        shutil.rmtree(volume / f"..2026_{n - 1}")
    # In place, behind the links.
    (volume / "..2026_3" / "mesh.yaml").write_text(mesh("v4"))
    until_route(a, "v4")


def test_directory_of_a_deployment_is_swapped(started, variant, zone, tmp_path):
    """releases/N with a link `current`: a link in the middle of the path."""
    a = started.add(Agent(tmp_path / "agent", variant, zone))
    for n in (1, 2):
        release = a.dir / "releases" / str(n)
        release.mkdir(parents=True)
        (release / "mesh.yaml").write_text(mesh(f"r{n}"))
    (a.dir / "current").symlink_to("releases/1")
    a.conf = configure(a.dir, zone, ["file: current/mesh.yaml"])
    a.start()
    assert route(a) == "r1"
    (a.dir / "next").symlink_to("releases/2")
    (a.dir / "next").rename(a.dir / "current")
    until_route(a, "r2")


def test_touching_publishes_nothing(agent):
    a = agent(mesh("one"))
    os.utime(a.mesh)
    a.write(mesh("one"))
    a.write(mesh("two"))
    until_route(a, "two")
    assert a.status()["generation"] == 2


def test_a_storm_ends_with_the_last_edit(agent):
    a = agent(mesh("start"))
    for i in range(300):
        a.write(mesh(f"s{i}"))
    until_route(a, "s299")
    assert part(a)["state"] == "in force"


# --- refusals -----------------------------------------------------------------

def test_broken_edit_keeps_the_last_good(agent):
    a = agent(mesh("one"))
    a.write(mesh("two") + "      - nonsense: 1\n")
    wait_for(lambda: part(a)["state"] == "refused", "the verdict")
    assert route(a) == "one"
    p = part(a)
    assert p["last_good"] and re.search(r"mesh\.yaml:9:9: hosts\[0\]\.routes\[1\]\.nonsense", p["verdict"][0]), p
    a.write(mesh("three"))
    until_route(a, "three")
    assert part(a)["state"] == "in force" and part(a)["verdict"] == []


def test_deleted_file_keeps_the_last_good(agent):
    a = agent(mesh("one"))
    a.mesh.unlink()
    wait_for(lambda: part(a)["state"] == "gone", "the verdict")
    assert part(a)["verdict"] == ["the file is gone"] and route(a) == "one"
    a.mesh.write_text(mesh("one"))
    wait_for(lambda: part(a)["state"] == "in force", "it is back")


def test_truncated_file_keeps_the_last_good(agent):
    a = agent(mesh("one"))
    a.mesh.write_text("")
    wait_for(lambda: part(a)["state"] == "refused", "the verdict")
    assert route(a) == "one"


def test_a_broken_part_is_refused_alone(directory_agent):
    a = directory_agent({
        "clusters.yaml": "clusters: {a: {endpoints: [127.0.0.1:80]}}\n",
        "hosts.yaml": "hosts: [{domains: [shop.local], routes: [{name: r1, route: a}]}]\n",
        "broken.yaml": "clusters: {b: {endpoints: 7}}\n",
        "notes.txt": "not a part", ".hidden.yaml": "not: one",
    })
    assert route(a) == "r1"
    names = {os.path.basename(p["name"]): p["state"] for p in a.status()["agent"]["parts"]}
    assert names == {"clusters.yaml": "in force", "hosts.yaml": "in force", "broken.yaml": "refused"}
    (a.parts / "broken.yaml").write_text("clusters: {b: {endpoints: [127.0.0.1:81]}}\n")
    wait_for(lambda: a.ctl("endpoints", "b", check=False).returncode == 0, "cluster b")


def test_files_that_belong_together_come_in_any_order(directory_agent):
    a = directory_agent({"a.yaml": "clusters: {one: {endpoints: [127.0.0.1:80]}}\n"})
    (a.parts / "hosts.yaml").write_text("hosts: [{domains: [shop.local], routes: [{name: r, route: two}]}]\n")
    wait_for(lambda: part(a, "hosts.yaml")["state"] == "refused", "the refusal")
    assert '"two"' in part(a, "hosts.yaml")["verdict"][0]
    (a.parts / "b.yaml").write_text("clusters: {two: {endpoints: [127.0.0.1:80]}}\n")
    until_route(a, "r")
    assert part(a, "hosts.yaml")["state"] == "in force"


def test_a_removed_file_takes_its_part_along(directory_agent):
    a = directory_agent({"a.yaml": "clusters: {one: {endpoints: [127.0.0.1:80]}}\n",
                         "b.yaml": "clusters: {two: {endpoints: [127.0.0.1:80]}}\n"})
    (a.parts / "b.yaml").unlink()
    wait_for(lambda: a.ctl("endpoints", "two", check=False).returncode == 1, "cluster two is gone")
    assert a.ctl("endpoints", "one").returncode == 0


def test_a_removal_that_others_need_is_refused(directory_agent):
    a = directory_agent({"a.yaml": "clusters: {one: {endpoints: [127.0.0.1:80]}}\n",
                         "h.yaml": "hosts: [{domains: [shop.local], routes: [{name: r, route: one}]}]\n"})
    (a.parts / "a.yaml").unlink()
    wait_for(lambda: part(a, "a.yaml")["state"] == "refused", "the refusal")
    assert route(a) == "r" and a.ctl("endpoints", "one").returncode == 0
    (a.parts / "h.yaml").unlink()
    wait_for(lambda: a.ctl("endpoints", "one", check=False).returncode == 1, "both are gone")


# --- signals and ends ---------------------------------------------------------

def test_hup_reads_everything_again(agent):
    a = agent(mesh("one"))
    a.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reading all sources again" in a.log(), "HUP in the log")
    assert route(a) == "one" and a.status()["generation"] == 1


def notify_socket(tmp_path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = str(tmp_path / "n")
    s.bind(path)
    s.settimeout(10)
    return s, path


def test_systemd_is_told(variant, tmp_path, zone):
    (tmp_path / "mesh.yaml").write_text(mesh("a"))
    conf = configure(tmp_path, zone, ["file: mesh.yaml"])
    s, path = notify_socket(tmp_path)
    env = dict(environment(variant), NOTIFY_SOCKET=path, WATCHDOG_USEC="100000")
    p = subprocess.Popen([binary(variant, "mesh-agent"), "-c", str(conf)], env=env,
                         stderr=subprocess.DEVNULL)
    try:
        def await_line(line):
            seen = ""
            while line not in seen.split("\n"):
                seen = s.recv(4096).decode()
            return seen
        await_line("READY=1")
        await_line("WATCHDOG=1")
        p.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in await_line("RELOADING=1")
        await_line("READY=1")
        p.terminate()
        await_line("STOPPING=1")
        assert p.wait(10) == 0
    finally:
        p.kill()
        p.wait()
        s.close()


def test_term_leaves_a_zone_that_can_be_read(agent, zone):
    a = agent(mesh("one"))
    a.stop()
    assert route(a) == "one"
    assert not (zone / "agent.sock").exists()


def test_a_second_agent_refuses(agent, variant):
    a = agent(mesh("one"))
    done = run(variant, "-c", str(a.conf))
    assert done.returncode == 3 and "the zone has an agent already" in done.stderr
    a.write(mesh("two"))
    until_route(a, "two")


def test_kill_and_restart_continues(agent):
    a = agent(mesh("one"))
    a.write(mesh("two"))
    until_route(a, "two")
    a.kill()
    assert route(a) == "two"
    a.start()
    status = a.status()
    assert (status["generation"], route(a)) == (2, "two")
    a.write(mesh("three"))
    until_route(a, "three")
    assert a.status()["generation"] == 3


def test_restart_over_a_broken_file_holds_what_is_published(agent):
    """The last good of a part that this process never read is the root's."""
    a = agent(mesh("one"))
    a.kill()
    a.mesh.write_text("hosts: [")
    a.start()
    assert route(a) == "one"
    assert a.status()["agent"]["held_by"] == str(a.mesh)
    assert "publishing held" in a.log() or "refused" in a.log()
    a.ctl("reload", check=False)
    assert route(a) == "one" and a.status()["generation"] == 1
    a.write(mesh("two"))
    until_route(a, "two")
    assert "held_by" not in a.status()["agent"]


def test_reboot_serves_the_last_good_copy(agent, zone):
    a = agent(mesh("one"))
    a.stop()
    for f in zone.iterdir():
        shutil.rmtree(f) if f.is_dir() else f.unlink()
    a.mesh.write_text("hosts: [")
    a.start()
    assert route(a) == "one" and a.status()["cold"]


def test_json_log(started, variant, zone, tmp_path):
    a = started.add(Agent(tmp_path / "agent", variant, zone, mesh("one"),
                          extra="log: {format: json, level: debug}"))
    a.start()
    a.write("nonsense: \"a\nb\"")
    wait_for(lambda: "part refused" in a.log(), "the refusal")
    lines = [json.loads(line) for line in a.log().splitlines()]
    assert {"time", "level", "msg"} <= set(lines[0])
    published = next(l for l in lines if l["msg"] == "published")
    assert published["generation"] == 1 and published["level"] == "info"


def test_memory_of_many_edits_is_flat(agent, variant):
    if variant == "asan":
        pytest.skip("its quarantine keeps freed memory on purpose")
    a = agent(mesh("start"))

    def resident():
        with open(f"/proc/{a.process.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096

    def edits(n, base):
        for i in range(n):
            a.write(mesh(f"m{base + i}"))
            if i % 50 == 0:
                until_route(a, f"m{base + i}")
        until_route(a, f"m{base + n - 1}")
    edits(400, 0)
    before = resident()
    edits(1200, 1000)
    assert resident() < before + 2_000_000
