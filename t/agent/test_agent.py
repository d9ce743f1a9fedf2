# SPDX-License-Identifier: Apache-2.0
"""mesh-agent as a process: sources, edits, signals, ends and beginnings."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from meshtest.agent import Agent
from meshtest.process import SANITIZER_TEXT, binary, environment, stop, wait_for

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
    lines = "".join(f"\n  - {s}" for s in sources) or " []"
    conf.write_text(f"zone: {zone}\nstate: {path}/state\n{extra}\nsources:{lines}\n")
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
    assert (done.returncode, done.stdout) == (0, "ok: 1 source, no errors\n")
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
    a = agent(mesh("r0"))
    for turn in range(1, 20):
        text = mesh(f"r{turn}") + "      - {name: late, match: {path: /x}, route: reviews}\n"
        before = a.status()["generation"]
        began = time.monotonic()
        with open(a.mesh, "w") as f:
            f.write(mesh("half"))
            f.flush()
            # Something else in the directory makes the agent look.
            (a.dir / "other").write_text("x")
            (a.dir / "other").unlink()
            meanwhile = route(a)
            f.seek(0)
            f.truncate()
            f.write(text)
        took = time.monotonic() - began
        until_route(a, f"r{turn}")
        if took < 0.9:
            break
    # It waits for a second; whoever is slower than that begins again.
    assert took < 0.9 and meanwhile == f"r{turn - 1}"
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
    assert a.log().count("part in force again") == 1


def test_a_mistake_that_is_taken_back_is_told_as_well(agent):
    """Nothing is published then that would say so."""
    a = agent(mesh("one"))
    a.write("clusters: 5")
    wait_for(lambda: "part refused" in a.log(), "the verdict")
    assert "in force again" not in a.log()
    a.write(mesh("one"))
    wait_for(lambda: "part in force again" in a.log(), "the end of it")
    assert a.status()["generation"] == 1


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


# --- agent.yaml again -----------------------------------------------------------

CLUSTER = "clusters: {{{0}: {{endpoints: [127.0.0.1:80]}}}}\n"
HOST = "hosts: [{{domains: [{0}.local], routes: [{{name: {0}, route: {1}}}]}}]\n"


def clusters(a):
    told = json.loads(a.ctl("dump", "clusters", "-o", "json").stdout)
    return set(told["clusters"])


def reconfigure(a, zone, sources, extra="", check=True):
    configure(a.dir, zone, sources, extra)
    return a.ctl("reload", "-o", "json", check=check)


@pytest.fixture
def parts_agent(directory_agent):
    return directory_agent({"a.yaml": CLUSTER.format("a"), "b.yaml": CLUSTER.format("b")})


def test_sources_come_and_go(parts_agent, zone):
    a = parts_agent
    (a.dir / "more.yaml").write_text(CLUSTER.format("more"))
    assert clusters(a) == {"a", "b"}
    configure(a.dir, zone, ["directory: parts", "file: more.yaml"])
    a.process.send_signal(signal.SIGHUP)
    wait_for(lambda: clusters(a) == {"a", "b", "more"}, "the new source")
    # The new one is watched, and so is the old one.
    (a.dir / "more.yaml").write_text(CLUSTER.format("other"))
    (a.parts / "a.yaml").write_text(CLUSTER.format("aa"))
    wait_for(lambda: clusters(a) == {"aa", "b", "other"}, "edits")
    reconfigure(a, zone, ["file: more.yaml"])
    assert clusters(a) == {"other"}
    assert [p["name"] for p in a.status()["agent"]["parts"]] == [str(a.dir / "more.yaml")]
    # One that is gone is not listened to.
    (a.parts / "a.yaml").write_text(CLUSTER.format("nobody"))
    reconfigure(a, zone, ["file: more.yaml"])
    assert clusters(a) == {"other"}
    a.ctl("apply", "-f", "-", stdin=CLUSTER.format("applied"))
    reconfigure(a, zone, [])
    assert clusters(a) == {"applied"}


def test_a_file_that_changes_its_source_stays(parts_agent, zone):
    """Named before, in a named directory now: no moment without it."""
    a = parts_agent
    before = a.status()["generation"]
    for sources in (["directory: parts", "file: parts/a.yaml"], ["file: parts/b.yaml", "file: parts/a.yaml"],
                    ["directory: parts"]):
        reconfigure(a, zone, sources)
        assert clusters(a) == {"a", "b"} and a.status()["generation"] == before, sources
    (a.parts / "a.yaml").write_text(CLUSTER.format("c"))
    wait_for(lambda: clusters(a) == {"c", "b"}, "the edit")


def test_a_source_that_others_need_is_kept(started, variant, zone, tmp_path):
    a = started.add(Agent(tmp_path / "agent", variant, zone))
    (a.dir / "c.yaml").write_text(CLUSTER.format("c"))
    (a.dir / "h.yaml").write_text(HOST.format("h", "c"))
    a.conf = configure(a.dir, zone, ["file: c.yaml", "file: h.yaml"])
    a.start()
    reconfigure(a, zone, ["file: h.yaml"])
    assert part(a, "c.yaml")["state"] == "refused" and clusters(a) == {"c"}
    reconfigure(a, zone, [])
    assert clusters(a) == set() and a.status()["agent"]["parts"] == []


@pytest.mark.slow
def test_log_and_debounce_change(agent, zone):
    a = agent(mesh("one"))
    a.write(mesh("two"))
    until_route(a, "two")
    assert "part read" not in a.log()
    source = [f"file: {a.mesh}"]
    reconfigure(a, zone, source, "log: {level: debug, format: json}\ndebounce: {quiet: 5s, bound: 5s}")
    begin = len(a.log())
    # The first after a rest is at once, the second waits.
    a.write(mesh("three"))
    until_route(a, "three")
    a.write(mesh("four"))
    wait_for(lambda: a.log()[begin:].count('"part read"') == 2, "it is read")
    assert route(a) == "three"
    until_route(a, "four")
    assert all(json.loads(line)["level"] for line in a.log()[begin:].splitlines())
    reconfigure(a, zone, source)
    assert " info " in a.log().splitlines()[-1]


def test_what_cannot_change_stays(agent, zone, tmp_path):
    """The rest of the new agent.yaml takes effect."""
    a = agent(mesh("one"), extra="capacity: 8M")
    a.write(mesh("two"))
    until_route(a, "two")
    a.conf.write_text(f"zone: {tmp_path}/elsewhere\nstate: /nowhere\ncapacity: 16M\ndns: {{timeout: 3s}}\nnode: {{zone: z}}\n"
                      f"socket: {{path: {tmp_path}/s}}\nsources: [{{file: {a.mesh}}}, {{file: {a.dir}/b.yaml}}]\n")
    (a.dir / "b.yaml").write_text(CLUSTER.format("b"))
    done = a.ctl("reload", "-o", "json")
    told = json.loads(done.stdout)
    assert told["ok"] and len(told["verdict"]) == 6, told
    for field, old in (("zone", zone), ("state", f"{a.dir}/state"), ("socket.path", f"{zone}/agent.sock")):
        assert any(f'{field} cannot change without a restart: "{old}" stays' in v for v in told["verdict"]), told
    assert any("dns cannot change without a restart" in v for v in told["verdict"])
    assert any("capacity cannot change without a restart: 8388608 bytes stay" in v for v in told["verdict"])
    assert any("node cannot change without a restart" in v for v in told["verdict"])
    assert a.log().count("a change needs a restart") == 6
    assert "zone cannot change without a restart" in a.ctl("status").stdout
    assert clusters(a) == {"reviews", "b"}
    assert not (tmp_path / "elsewhere").exists() and not (tmp_path / "s").exists()
    # The state directory is still written, and the socket is where it was.
    a.ctl("apply", "-f", "-", stdin=CLUSTER.format("applied"))
    assert (a.dir / "state" / "streams").exists()
    told = json.loads(reconfigure(a, zone, [f"file: {a.mesh}"], "capacity: 8M\nnode: {local_cluster: b}").stdout)
    assert told["ok"] and ["node cannot change without a restart" in v for v in told["verdict"]] == [True]
    told = json.loads(reconfigure(a, zone, [f"file: {a.mesh}"], "capacity: 8M").stdout)
    assert told["ok"] and told["verdict"] == []
    assert "cannot change" not in a.ctl("status").stdout


def test_a_broken_agent_yaml_keeps_the_old_one_whole(agent, zone):
    a = agent(mesh("one"))
    (a.dir / "b.yaml").write_text(CLUSTER.format("b"))
    good = f"zone: {zone}\nstate: {a.dir}/state\nsources: [{{file: {a.dir}/b.yaml}}]\nlog: {{level: debug}}\n"
    for bad, why in (("logs: {}", "agent.yaml:5:1: logs: unknown field, expected \"log\""),
                     ("capacity: 3 elephants", 'agent.yaml:5:11: capacity: found "3 elephants"'),
                     ("socket: {group: no-such-group-here}", 'there is no group "no-such-group-here"'),
                     ("debounce: [", "agent.yaml:")):
        a.conf.write_text(good + bad + "\n")
        done = a.ctl("reload", check=False)
        assert done.returncode == 1 and "agent.yaml is refused" in done.stderr and why in done.stderr, done.stderr
        assert why in a.ctl("status").stdout
        assert clusters(a) == {"reviews"} and " debug " not in a.log()
        assert "agent.yaml refused; the old one stays in force" in a.log()
    a.conf.unlink()
    assert "cannot be read: No such file" in a.ctl("reload", check=False).stderr
    a.process.send_signal(signal.SIGHUP)
    # The sources are read again and watched all the same.
    a.write(mesh("two"))
    until_route(a, "two")
    a.conf.write_text(good)
    a.ctl("reload")
    assert clusters(a) == {"b"} and a.status()["agent"]["configuration"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_the_group_changes_for_who_is_connected(agent, zone):
    import grp
    group = grp.getgrgid(65534 if any(g.gr_gid == 65534 for g in grp.getgrall()) else 1)
    a = agent(mesh("one"))
    zone.chmod(0o755)
    code = ("import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);f=s.makefile();\n"
            "while input():\n s.sendall(b'{\"command\":\"unpin\"}\\n');print(f.readline().strip(),flush=True)\n"
            " f=(s.close(),s:=socket.socket(socket.AF_UNIX),s.connect(sys.argv[1]),s.makefile())[-1]")
    p = subprocess.Popen(["/usr/bin/python3", "-c", code, str(zone / "agent.sock")], user=12345,
                         group=group.gr_gid, extra_groups=[], cwd="/", text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask():
        p.stdin.write("x\n")
        p.stdin.flush()
        return json.loads(p.stdout.readline())
    try:
        assert "not allowed" in ask()["error"]
        reconfigure(a, zone, [f"file: {a.mesh}"], f"socket: {{group: {group.gr_name}}}")
        assert ask()["ok"]
        reconfigure(a, zone, [f"file: {a.mesh}"])
        assert "not allowed" in ask()["error"]
    finally:
        p.kill()
        p.communicate()


def test_a_storm_of_reloads(parts_agent, zone):
    """Sources that close while events of theirs are under way."""
    a = parts_agent
    for i in range(60):
        (a.parts / "a.yaml").write_text(CLUSTER.format(f"a{i}"))
        (a.parts / "x.yaml").write_text(CLUSTER.format(f"x{i}"))
        configure(a.dir, zone, ["directory: parts"] if i % 2 else ["file: parts/x.yaml", "file: parts/b.yaml"])
        a.process.send_signal(signal.SIGHUP)
    wait_for(lambda: clusters(a) == {"a59", "b", "x59"}, "the last of each")


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
    """If nothing was kept, the last good of the part is the root's alone."""
    a = agent(mesh("one"))
    a.kill()
    shutil.rmtree(a.dir / "state" / "parts")
    a.mesh.write_text("hosts: [")
    a.start()
    assert route(a) == "one"
    assert a.status()["agent"]["held_by"] == str(a.mesh)
    assert "a part has no last good" in a.log()
    done = a.ctl("reload", check=False)
    assert done.returncode == 1 and "its last good is not known" in done.stderr
    done = a.ctl("apply", "-f", "-", stdin=CLUSTER.format("more"), check=False)
    assert done.returncode == 1 and "its last good is not known" in done.stderr
    assert route(a) == "one" and a.status()["generation"] == 1
    a.write(mesh("two"))
    until_route(a, "two")
    assert "held_by" not in a.status()["agent"]


@pytest.fixture
def three(directory_agent):
    return directory_agent({
        "a.yaml": CLUSTER.format("a") + HOST.format("a", "a"),
        "b.yaml": CLUSTER.format("b") + HOST.format("b", "b"),
        "c.yaml": CLUSTER.format("c") + HOST.format("c", "c")})


def parts(a):
    told = a.status()["agent"]["parts"]
    return {os.path.basename(p["name"]): (p["state"], p["last_good"]) for p in told}


def host(a, name):
    done = a.ctl("explain", "GET", f"http://{name}.local/", "-o", "json", check=False)
    return json.loads(done.stdout).get("route")


def test_restart_over_a_broken_file_of_three(three):
    """Others' changes are live, the broken one's last good goes on."""
    a = three
    a.kill()
    (a.parts / "a.yaml").write_text("clusters: {a: {endpoints: 7}}\n")
    (a.parts / "b.yaml").write_text("clusters: {b: {endpoints: [127.0.0.1:80]}, b2: {endpoints: [127.0.0.1:80]}}\n"
                                    + HOST.format("b", "b2"))
    a.start()
    assert clusters(a) == {"a", "b", "b2", "c"}
    assert [host(a, n) for n in "abc"] == ["a", "b", "c"]
    assert parts(a) == {"a.yaml": ("refused", True), "b.yaml": ("in force", True), "c.yaml": ("in force", True)}
    verdict = part(a, "a.yaml")["verdict"][0]
    assert re.search(r"a\.yaml:1:27: clusters\.a\.endpoints: found", verdict), verdict
    assert verdict in a.ctl("status").stdout and "held" not in a.ctl("status").stdout
    assert "last good taken from the kept copy" in a.log()
    # As while it was running: it goes on, and more restarts change nothing.
    for _ in range(2):
        (a.parts / "c.yaml").write_text(CLUSTER.format("c"))
        wait_for(lambda: host(a, "c") is None, "the edit of another")
        assert clusters(a) == {"a", "b", "b2", "c"}
        a.kill()
        a.start()
    (a.parts / "a.yaml").write_text(CLUSTER.format("aa"))
    wait_for(lambda: clusters(a) == {"aa", "b", "b2", "c"}, "it is mended")
    assert parts(a)["a.yaml"] == ("in force", True)


def test_restart_over_broken_files_of_very_many(directory_agent):
    """A root names 256 of its parts; the others have their last good, too."""
    a = directory_agent({f"{i}.yaml": CLUSTER.format(f"c{i}") for i in range(300)})
    everything = {f"c{i}" for i in range(300)}
    assert clusters(a) == everything
    named = {os.path.basename(s["name"]) for s in a.status()["sources"]}
    others = sorted({f"{i}.yaml" for i in range(300)} - named)
    assert len(named) == 256 and "the newest 256" in a.ctl("status").stdout
    broken = [others[0], sorted(named)[0]]
    a.kill()
    for name in broken:
        (a.parts / name).write_text("clusters: 7\n")
    (a.parts / others[1]).unlink()
    (a.parts / others[2]).write_text(CLUSTER.format("changed"))
    a.start()
    left = {f"c{name.split('.')[0]}" for name in others[1:3]}
    wait_for(lambda: clusters(a) == everything - left | {"changed"}, "all but what was removed")
    for name in broken:
        assert parts(a)[name] == ("refused", True)
    assert len(list((a.dir / "state/parts").iterdir())) == 299
    # Mended, it is as every other again.
    (a.parts / broken[0]).write_text(CLUSTER.format("mended"))
    wait_for(lambda: "mended" in clusters(a), "the one that is mended")


def test_restart_over_a_file_that_went(started, variant, zone, tmp_path):
    """Named in agent.yaml: it should be there.  In a directory: it was removed."""
    a = started.add(Agent(tmp_path / "agent", variant, zone))
    (a.dir / "d").mkdir()
    for name in ("named", "d/listed", "d/other"):
        (a.dir / f"{name}.yaml").write_text(CLUSTER.format(name.split("/")[-1]))
    a.conf = configure(a.dir, zone, ["file: named.yaml", "directory: d"])
    a.start()
    a.kill()
    (a.dir / "named.yaml").unlink()
    (a.dir / "d/listed.yaml").unlink()
    (a.dir / "d/other.yaml").write_text(CLUSTER.format("another"))
    a.start()
    assert clusters(a) == {"named", "another"}
    assert part(a, "named.yaml")["state"] == "gone" and part(a, "named.yaml")["last_good"]
    # What left the mesh is kept no more.
    assert len(list((a.dir / "state/parts").iterdir())) == 2
    a.kill()
    configure(a.dir, zone, ["directory: d"])
    a.start()
    assert clusters(a) == {"another"}
    a.kill()
    a.start()
    assert len(list((a.dir / "state/parts").iterdir())) == 1


def test_restart_over_parts_that_do_not_fit_any_more(three):
    """A change that breaks the mesh is refused, as while it was running."""
    a = three
    a.kill()
    (a.parts / "a.yaml").write_text(CLUSTER.format("a"))
    (a.parts / "b.yaml").write_text(CLUSTER.format("b") + HOST.format("b", "nobody"))
    (a.parts / "c.yaml").write_text("clusters: {c: {endpoints: [127.0.0.1:80]}, c2: {endpoints: [127.0.0.1:80]}}\n")
    a.start()
    # b's new route leads nowhere; the other two are live.
    assert clusters(a) == {"a", "b", "c", "c2"}
    assert [host(a, n) for n in "abc"] == [None, "b", None]
    assert parts(a)["b.yaml"] == ("refused", True) and '"nobody"' in part(a, "b.yaml")["verdict"][0]
    (a.parts / "c.yaml").write_text(CLUSTER.format("nobody"))
    wait_for(lambda: parts(a)["b.yaml"] == ("in force", True), "they fit now")
    assert clusters(a) == {"a", "b", "nobody"}


def test_restart_over_a_part_that_others_lost(three):
    """The broken part needs what another has given up: that one stays, too."""
    a = three
    (a.parts / "a.yaml").write_text(HOST.format("a", "b"))
    wait_for(lambda: clusters(a) == {"b", "c"}, "a needs b")
    a.kill()
    (a.parts / "a.yaml").write_text("hosts: [")
    (a.parts / "b.yaml").write_text(CLUSTER.format("b3"))
    a.start()
    assert host(a, "a") == "a" and clusters(a) == {"b", "c"}
    # What is as it was has nothing to do with it.
    assert parts(a) == {"a.yaml": ("refused", True), "b.yaml": ("refused", True), "c.yaml": ("in force", True)}
    (a.parts / "a.yaml").write_text(HOST.format("a", "b3"))
    wait_for(lambda: clusters(a) == {"b3", "c"}, "it is mended")


def test_kept_copies_that_are_of_no_use(three):
    """Cut, garbage or of another version: held, as without one."""
    a = three
    (kept,) = [f for f in (a.dir / "state/parts").iterdir() if b"a.yaml" in f.read_bytes().split(b"\n")[0]]
    right = kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600 and kept.parent.stat().st_mode & 0o777 == 0o700
    a.kill()
    (a.parts / "a.yaml").write_text("broken: [")
    other = CLUSTER.format("zzz").encode()
    for bad in (right[:-3], right[:20], b"", b"\n", b"x" * 5000, right.replace(b"127", b"128"),
                hashlib.sha256(other).hexdigest()[:32].encode() + b" " + b"x\n" + other):
        kept.write_bytes(bad)
        a.start()
        assert a.status()["agent"]["held_by"].endswith("a.yaml"), bad
        assert clusters(a) == {"a", "b", "c"}
        a.kill()
    kept.write_bytes(right)
    a.start()
    assert "held_by" not in a.status()["agent"] and parts(a)["a.yaml"] == ("refused", True)


def test_restart_while_a_file_is_written(three):
    """It is not there yet, and must not be missing."""
    a = three
    text = (a.parts / "a.yaml").read_text()
    a.kill()
    (a.parts / "a.yaml").write_text("")  # truncated, to be written
    (a.parts / "b.yaml").write_text(CLUSTER.format("b4"))
    before = json.loads(a.ctl("history", "-o", "json").stdout)[0]["generation"]
    a.start()
    (a.parts / "a.yaml").write_text(text)
    wait_for(lambda: "b4" in clusters(a), "the other edit")
    for h in json.loads(a.ctl("history", "-o", "json").stdout):
        if h["generation"] > before:
            told = json.loads(a.ctl("dump", "clusters", "-o", "json", "--at", str(h["generation"])).stdout)
            assert "a" in told["clusters"], h


def test_a_state_directory_that_cannot_be_written(agent):
    a = agent(mesh("one"), extra="")
    shutil.rmtree(a.dir / "state" / "parts")
    (a.dir / "state" / "parts").write_text("in the way")
    for name in ("two", "three"):
        a.write(mesh(name))
        until_route(a, name)
    assert a.log().count("a part cannot be kept for the next agent") == 1


def test_reboot_serves_the_last_good_copy(agent, zone):
    a = agent(mesh("one"))
    a.stop()
    for f in zone.iterdir():
        shutil.rmtree(f) if f.is_dir() else f.unlink()
    a.mesh.write_text("hosts: [")
    a.start()
    assert route(a) == "one" and a.status()["cold"]


# A disk that takes as long as the file named by HOLD is there.
SLOW_FSYNC = """
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) {
    while (access(getenv("HOLD"), F_OK) == 0)
        usleep(2000);
    return (int)syscall(SYS_fsync, fd);
}
"""


def test_publishing_does_not_wait_for_the_disk(started, variant, zone, tmp_path):
    """While the last-good copy is being synced, changes are published and
    answered; TERM waits for the copy of the newest."""
    if variant == "asan":
        pytest.skip("its runtime has to be the first that is loaded")
    source, shim, hold = (tmp_path / n for n in ("fsync.c", "fsync.so", "hold"))
    source.write_text(SLOW_FSYNC)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True)
    hold.touch()
    a = started.add(Agent(tmp_path / "agent", variant, zone, mesh("one"),
                          env={"LD_PRELOAD": str(shim), "HOLD": str(hold)})).start()
    copy = a.dir / "state" / "last-good.snapshot"
    made = copy.with_suffix(".snapshot.new")
    wait_for(made.exists, "the copy")
    for k in range(30):
        a.ctl("apply", "-f", "-", stdin=mesh(f"r{k}").replace("shop.local", f"h{k}.test")
              .replace("reviews", f"c{k}"))
        a.write(mesh(f"two-{k}"))
        until_route(a, f"two-{k}")
    assert made.exists() and not copy.exists()
    a.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "ending" in a.log(), "TERM")
    assert a.process.poll() is None
    hold.unlink()
    a.stop()
    shutil.rmtree(zone)
    a.mesh.unlink()
    a.start()
    assert route(a) == "two-29"


@pytest.mark.parametrize("what", ["all", "mesh.lock", "mesh.ctl", "mesh.bell", "snapshot.1"])
def test_removed_files_are_made_anew(agent, zone, what):
    """Somebody empties the run directory under a running agent."""
    a = agent(mesh("one"))
    pid = a.process.pid
    control = (zone / "mesh.ctl").stat().st_ino
    for path in [zone / what] if what != "all" else list(zone.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    wait_for(lambda: a.log().count(" running ") == 2, "its second beginning")
    assert "files of the zone were removed" in a.log()
    a.write(mesh("two"))
    until_route(a, "two")
    if what == "all":
        assert (zone / "mesh.ctl").stat().st_ino != control
    assert a.ctl("reload").returncode == 0
    assert a.process.pid == pid and a.process.poll() is None


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


def test_warnings_are_told_when_they_change(agent):
    a = agent("clusters: {a: {endpoints: []}, b: {endpoints: []}}\n")
    assert a.log().count("warning=") == 2
    a.ctl("apply", "-f", "-", stdin="clusters: {c: {endpoints: ['127.0.0.1:1']}}")
    assert a.log().count("warning=") == 2
    a.write("clusters: {a: {endpoints: []}}\n")
    wait_for(lambda: a.log().count("warning=") == 3, "the one that is left")


def test_in_the_journal_lines_have_its_priorities(variant, tmp_path, zone):
    conf = tmp_path / "agent.yaml"
    conf.write_text(f"zone: {zone}\nstate: {tmp_path}/state\nsources: [{{file: missing.yaml}}]\n")
    log = open(tmp_path / "log", "wb")
    st = os.fstat(log.fileno())
    env = {**environment(variant), "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}
    p = subprocess.Popen([binary(variant, "mesh-agent"), "-c", str(conf)], stderr=log, env=env)
    try:
        wait_for(lambda: "running" in (tmp_path / "log").read_text(), "its log")
    finally:
        assert stop(p) == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(re.match(r"<[3467]>[a-z]", l) for l in lines), lines
    assert any(l.startswith("<6>running zone=") for l in lines)


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
