# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the agent in every state that its files take.

Each test lets one thing happen again and again, and kills the agent in the
first, second, third ... state of zone and state directory on the way, until
the thing is over before that.  After each kill, what is published is whole,
workers go on, and the next agent brings the change.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import zlib

import pytest

from meshtest.agent import Agent
from meshtest.process import binary, environment, wait_for
from meshtest.trace import Trace, allow

MAIN = "mesh_zone {zone};"
HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route; add_header X-Route $mesh_route always; }
    }
"""
STATES_MOST = 200       # of one thing: it does not end


def mesh(name, filler=0):
    """`filler`: clusters whose content is of that name only."""
    rows = "".join(f'  {name}-{i}: {{endpoints: ["127.9.{i // 250}.{i % 250 + 1}:80"], '
                   f"connect_timeout: {i + 1}ms}}\n" for i in range(filler))
    return (f"clusters:\n  c: {{endpoints: ['127.0.0.1:1']}}\n{rows}hosts:\n"
            f'  - domains: ["*"]\n    routes:\n'
            f"      - {{name: {name}, respond: {{status: 200, body: {name}}}}}\n")


def wipe(directory, but=()):
    """As a reboot does; the directory itself stays."""
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in but:
            path.unlink()


class Killed:
    """An agent that is killed in the n-th state of its files."""

    def __init__(self, agent):
        self.agent = agent
        self.directories = (agent.zone, agent.dir / "state")
        # With sanitizers it starts slowly: every fourth state will do.
        self.step = 4 if agent.variant == "asan" else 1

    def disk(self):
        """What the next agent would find; not the runtime, which is the workers'."""
        found = []
        for directory in self.directories:
            for path in sorted(directory.rglob("*")):
                # A thread may go on while we look.
                with contextlib.suppress(FileNotFoundError):
                    content = 0
                    if path.is_file() and not path.name.startswith("runtime."):
                        content = zlib.crc32(path.read_bytes())
                    found.append((path, content))
        return found

    def word(self):
        ctl = self.agent.zone / "mesh.ctl"
        return ctl.read_bytes() if ctl.exists() else b""

    def at(self, n, trace, over, every_call=False):
        """In the n-th state, or before the n-th call.  False: over() was true
        when it rested, or it had ended, before."""
        last, states = self.disk(), 0
        for i, rests in enumerate(trace.calls()):
            now = self.disk()
            states += now != last
            last = now
            if n == (i if every_call else states):
                trace.kill()
                self.agent.kill()
                return True
            assert states < STATES_MOST
            if rests and over():
                trace.detach()
                return False
        self.agent.process = None
        return False

    def route(self):
        """By the files alone."""
        done = self.agent.ctl("explain", "GET", "http://any/", "-o", "json", check=False)
        return json.loads(done.stdout)["route"] if done.returncode == 0 else None


@pytest.fixture
def killed(started, variant, zone, tmp_path):
    def make(text, **kwargs):
        return Killed(started.add(Agent(tmp_path / "agent", variant, zone, text, **kwargs)))
    return make


def served(n, names):
    status, headers, body = n.get("/")
    assert status == 200 and headers["x-route"] in names, (status, headers, body)
    assert body.decode() == headers["x-route"]


def until_published(k, name):
    wait_for(lambda: k.route() == name, f"{name}: {k.agent.log()[-2000:]}")


def until_served(k, n, name):
    wait_for(lambda: n.get("/")[2].decode() == name, f"{name}: {k.agent.log()[-2000:]}")
    assert k.route() == name
    assert all(w["refused"] == 0 for w in k.agent.status()["workers"])


def published(k, word):
    return lambda: k.word() != word


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
def test_while_it_publishes(killed, nginx, torn):
    """Before every system call; `torn`: in every state, and of what was
    appended only half had come to the file."""
    k = killed(mesh("r0"))
    k.agent.start()
    n = nginx(http=HTTP, main=MAIN)
    turn, new = 0, "r0"
    while True:
        old, new = new, f"r{turn + 1}"
        file, word = k.agent.zone / "snapshot.1", k.word()
        size = file.stat().st_size
        trace = Trace(k.agent.process.pid)
        k.agent.write(mesh(new))
        if not k.at(turn, trace, published(k, word), every_call=not torn):
            break
        if torn and k.word() == word and file.stat().st_size > size:
            os.truncate(file, size + (file.stat().st_size - size) // 2)
        served(n, (old, new))
        assert k.route() in (old, new)
        k.agent.start()
        until_served(k, n, new)
        turn += k.step
    until_served(k, n, new)
    print(f"killed {turn // k.step} times")
    assert turn >= (3 if torn else 15)      # how many there are at least


def snapshots(k):
    """Numbers of the snapshot files, and the size of the last."""
    files = sorted(k.agent.zone.glob("snapshot.*"), key=lambda p: int(p.suffix[1:]))
    return [int(p.suffix[1:]) for p in files], files[-1].stat().st_size


def nearly_full(k):
    """A zone whose next change passes half of the capacity, kept aside."""
    k.agent.start()
    version = size = grown = 0
    half, filler = 512 << 10, 200
    while size + grown < half + 4096:
        version += 1
        word = k.word()
        k.agent.write(mesh(f"r{version}", filler))
        wait_for(published(k, word), "its publishing")
        before, size = size, snapshots(k)[1]
        if filler == 200:
            grown = size - before
        if size + 2 * grown > half:
            filler = 10         # in small steps, not to miss it
    assert snapshots(k)[0] == [1]
    k.agent.stop()
    kept = k.agent.dir / "kept"
    shutil.copytree(k.agent.zone, kept)
    return kept, f"r{version}"


def test_while_it_compacts(killed, nginx):
    """The change goes into the file, and all that lives into the next one."""
    k = killed(mesh("r0", 200), extra="capacity: 1M")
    kept, old = nearly_full(k)
    before = k.agent.mesh.read_text()
    n = nginx(http=HTTP, main=MAIN)
    turn = 0
    while True:
        new = f"n{turn}"
        k.agent.mesh.write_text(before)
        k.agent.start()
        until_served(k, n, old)
        trace = Trace(k.agent.process.pid)
        k.agent.write(mesh(new, 200))
        if not k.at(turn, trace, lambda: k.route() == new):
            break
        served(n, (old, new))
        assert k.route() in (old, new)
        k.agent.start()
        until_served(k, n, new)
        k.agent.kill()
        wipe(k.agent.zone, but=["runtime.1"])
        shutil.copytree(kept, k.agent.zone, dirs_exist_ok=True)
        turn += k.step
    until_served(k, n, new)
    print(f"killed {turn // k.step} times, files {snapshots(k)[0]}")
    assert snapshots(k)[0] == [1, 2]


def test_while_it_writes_the_last_good_copy(killed):
    """TERM writes it.  After a kill on the way and a reboot, the one before
    or this one is there, and it stays when the source is of no use."""
    k = killed(mesh("r0"))
    turn, saved, new = 0, 0, "r0"
    while True:
        old, new = new, f"r{turn + 1}"
        k.agent.write(mesh(old))
        k.agent.start()
        until_published(k, old)
        k.agent.stop()
        k.agent.start()
        k.agent.write(mesh(new))
        until_published(k, new)
        trace = Trace(k.agent.process.pid)
        k.agent.process.send_signal(signal.SIGTERM)
        if not k.at(turn, trace, lambda: False):
            break
        wipe(k.agent.zone)
        k.agent.write("no: [mesh")
        k.agent.start()
        assert k.route() in (old, new)
        saved += k.route() == new
        k.agent.kill()
        turn += k.step
    print(f"killed {turn // k.step} times, the new copy was there {saved} times")
    assert saved < turn and (saved or k.step > 1)


@pytest.mark.parametrize("zone_is", ["empty", "published", "torn", "wiped"])
@pytest.mark.slow
def test_while_it_starts(killed, zone_is):
    """Killed in each state of a start, the next start is as good."""
    k = killed(mesh("r0"))
    turn = 0
    while True:
        if zone_is in ("published", "torn"):
            k.agent.start()
            k.agent.kill()
        if zone_is == "torn":
            with open(k.agent.zone / "snapshot.1", "ab") as f:
                f.write(b"\1" * 100)
        if zone_is == "wiped":
            k.agent.start()
            k.agent.stop()
            wipe(k.agent.zone)
        k.agent.spawn(preexec_fn=allow)
        trace = Trace(k.agent.process.pid, born=True)
        if not k.at(turn, trace, lambda: k.route() == "r0"):
            break
        assert k.route() in ("r0", None)
        k.agent.start()
        assert k.route() == "r0"
        k.agent.kill()
        if zone_is == "empty":
            wipe(k.agent.zone)
        turn += k.step
    print(f"killed {turn // k.step} times")


def test_while_it_takes_a_part(killed, variant):
    """What meshctl was told is taken is there after the kill."""
    k = killed("clusters: {x: {endpoints: []}}")
    k.agent.start()
    turn = told = 0
    last = None
    while True:
        trace = Trace(k.agent.process.pid)
        ctl = subprocess.Popen(
            [binary(variant, "meshctl"), "--zone", str(k.agent.zone), "apply", "-f", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment(variant), text=True)
        ctl.stdin.write(mesh(f"r{turn}"))
        ctl.stdin.close()
        over = k.at(turn, trace, lambda: ctl.poll() is not None, every_call=True)
        status = ctl.wait(10)
        if not over:
            break
        k.agent.start()
        told += status == 0
        assert k.route() in ([f"r{turn}"] if status == 0 else [f"r{turn}", last])
        last = k.route()
        turn += k.step
    print(f"killed {turn // k.step} times, {told} told")
