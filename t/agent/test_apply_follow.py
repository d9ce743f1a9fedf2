# SPDX-License-Identifier: Apache-2.0
"""meshctl apply --follow: lines are applied as they come, whatever becomes of
the agent meanwhile."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from meshtest.process import SANITIZER_TEXT, environment, wait_for

MESH = """\
clusters: {home: {endpoints: [127.0.1.1:9080]}}
hosts: [{domains: [shop.local], routes: [{name: home, route: home}]}]
"""


def cluster(name, endpoint="127.0.9.1:80"):
    return {"upsert": {"clusters": {name: {"endpoints": [endpoint]}}}}


def host(name, to):
    return {"upsert": {"hosts": [{"domains": [name], "routes": [{"route": to}]}]}}


def remove(**lists):
    return {"remove": lists}


class Follow:
    """A meshctl whose input is ours, or a file's."""

    def __init__(self, a, *args, stdin=subprocess.PIPE, file="-", stdout=None):
        self.out_path, self.err_path = a.dir / "follow.out", a.dir / "follow.err"
        self.out_file, self.err_file = open(self.out_path, "wb"), open(self.err_path, "wb")
        self.process = subprocess.Popen(
            [str(a.bin / "meshctl"), "--zone", str(a.zone), "apply", "-f", str(file),
             "--follow", *args], stdin=stdin, stdout=stdout or self.out_file,
            stderr=self.err_file, env=environment(a.variant))

    def write(self, *lines):
        text = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def out(self):
        return self.out_path.read_text().splitlines()

    def err(self):
        return self.err_path.read_text().splitlines()

    def told(self, n):
        """Waits for that many lines on standard output."""
        return wait_for(lambda: len(self.out()) >= n and self.out(), f"line {n} of the output",
                        20)

    def end(self, code=0, timeout=30):
        """The end of the input."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        got = self.process.wait(timeout)
        assert not any(s in self.err_path.read_text() for s in SANITIZER_TEXT), self.err()
        assert got == code, (got, self.out(), self.err())

    def stop(self):
        pass

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.out_file.close()
        self.err_file.close()


@pytest.fixture
def a(agent):
    return agent(MESH)


@pytest.fixture
def follow(started):
    return lambda a, *args, **kwargs: started.add(Follow(a, *args, **kwargs))


def has(a, name):
    return a.ctl("endpoints", name, check=False).returncode == 0


def clusters(a):
    return set(json.loads(a.ctl("dump", "clusters", "-o", "json").stdout)["clusters"])


# --- as they come --------------------------------------------------------------

def test_lines_are_applied_while_the_input_is_open(a, follow):
    f = follow(a, "--part", "p")
    for i in range(1, 4):
        f.write(cluster(f"c{i}"))
        assert re.fullmatch(rf"published: generation {i + 1}, line {i}", f.told(i)[-1])
        assert has(a, f"c{i}")
    f.write(remove(clusters=["c2"]))
    assert f.told(4)[-1] == "published: generation 5, line 4" and not has(a, "c2")
    # Half a line is nothing, yet.
    text = json.dumps(cluster("late"))
    f.process.stdin.write(text[:20].encode())
    f.process.stdin.flush()
    f.process.stdin.write(text[20:].encode())
    f.process.stdin.close()
    f.end()
    assert f.out()[-1] == "published: generation 6, line 5" and has(a, "late")
    assert f.err() == []
    # The agent has one connection fewer; another goes on where that one was.
    f = follow(a, "--part", "p", "-o", "json")
    f.write("", cluster("late"))
    f.end()
    told = json.loads(f.out()[0])
    assert (told["outcome"], told["generation"]) == ("unchanged", 6)
    assert told["lines"] == {"first": 2, "last": 2, "count": 1}


def test_a_named_pipe(a, follow, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    f = follow(a, file=fifo, stdin=subprocess.DEVNULL)
    # Nobody has opened it yet: that is not its end.
    with open(fifo, "w") as w:
        print(json.dumps(cluster("one")), file=w, flush=True)
        assert f.told(1) == ["published: generation 2, line 1"]
        print("nonsense", file=w, flush=True)
        print(json.dumps(cluster("two")), file=w, flush=True)
        f.told(2)
    f.end(code=1)
    assert {"one", "two"} <= clusters(a)
    assert f.err()[0].startswith(f"{fifo}:2:1: ")


def test_a_signal_ends_a_pipe_that_nobody_opens(a, follow, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    f = follow(a, file=tmp_path / "fifo", stdin=subprocess.DEVNULL)
    wait_for(lambda: connections(a), "the connection")
    f.process.send_signal(signal.SIGINT)
    f.end()
    assert (f.out(), f.err()) == ([], [])


def connections(a):
    """Of the agent's socket, by /proc: one line for each end of it."""
    with open("/proc/net/unix") as table:
        return sum(line.rstrip().endswith(f"{a.zone}/agent.sock") for line in table) - 1


# --- refusals -------------------------------------------------------------------

def test_bad_lines_among_good_ones(a, follow, tmp_path):
    """All in one request: each bad one is refused alone, by its number."""
    lines = tmp_path / "changes"
    lines.write_text("".join(json.dumps(x) + "\n" for x in (
        cluster("a"), {"upsert": {"clusters": {"bad": {"endpoints": ["nowhere"], "lb": "best"}}}},
        host("a.test", "a"), {}, host("b.test", "b"), cluster("c"), {"nonsense": 1}))
        + "\n{\n" + json.dumps(cluster("reviews")) + "\n" + json.dumps(cluster("home")) + "\n"
        + json.dumps(cluster("last")))
    f = follow(a, file=lines, stdin=subprocess.DEVNULL)
    f.end(code=1)
    err = f.err()
    places = [re.match(rf"{re.escape(str(lines))}:(\d+):", e) for e in err]
    assert all(places), err
    assert [int(p[1]) for p in places] == [2, 2, 4, 7, 9, 5, 11, 11], err
    assert 'clusters.bad.endpoints[0]: found "nowhere", expected' in err[0]
    assert 'clusters.bad.lb: found "best", expected' in err[1]
    assert 'found cluster "b", expected a cluster of the mesh' in err[5]
    assert clusters(a) >= {"a", "c", "reviews", "last"} and not has(a, "b")
    e = json.loads(a.ctl("explain", "GET", "http://a.test/", "-o", "json").stdout)
    assert e["cluster"] == "a"
    assert a.ctl("explain", "GET", "http://b.test/", check=False).returncode == 1
    # What was refused is right as soon as the mesh is.
    f = follow(a)
    f.write(cluster("b"))
    f.told(1)
    f.write(host("b.test", "b"))
    f.end()


def test_what_belongs_together_is_applied_together(a, follow, tmp_path):
    """A host before its cluster: one request, one generation."""
    lines = tmp_path / "changes.jsonl"
    lines.write_text(json.dumps(host("x.test", "x")) + "\n" + json.dumps(cluster("x")) + "\n")
    f = follow(a, file=lines, stdin=subprocess.DEVNULL)
    f.end()
    assert f.out() == ["published: generation 2, lines 1..2"]


def test_very_many_bad_lines(a, follow, tmp_path):
    """More than the agent tells at once: all are told, the good ones are in."""
    lines = tmp_path / "changes"
    lines.write_text("".join(json.dumps(cluster(f"c{i}")) + "\n" if i % 3 == 0 else f"[{i}]\n"
                             for i in range(1, 700)))
    f = follow(a, "-o", "json", file=lines, stdin=subprocess.DEVNULL)
    f.end(code=1)
    told = [json.loads(line) for line in f.out()]
    assert [t["lines"]["first"] for t in told if not t["ok"]] == \
        [i for i in range(1, 700) if i % 3]
    assert [t["lines"]["count"] for t in told if t["ok"]] == [233]
    assert len(f.err()) == 466 and len(clusters(a)) == 234


def test_a_line_beyond_the_limit(a, follow):
    f = follow(a)
    f.write(cluster("before"))
    mega = b"x" * (1 << 20)
    for _ in range(256):
        f.process.stdin.write(mega)
    f.write("", cluster("after"))
    f.end(code=1, timeout=120)
    assert f.err() == ["<stdin>:2: the line is longer than 268435455 bytes"]
    assert has(a, "before") and has(a, "after")


def ask(a, request, body=""):
    """A request over a connection of its own; its answer is read by the caller."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(a.zone / "agent.sock"))
    if body:
        request["length"] = len(body)
    s.sendall(json.dumps(request).encode() + b"\n" + body.encode())
    return s


def answer(s):
    with s, s.makefile() as r:
        return json.loads(r.readline())


def test_nobody_is_refused_for_another(agent, follow):
    """Two parts in one publishing: one breaks the mesh of a file."""
    a = agent(MESH, extra="debounce: {quiet: 300ms, bound: 1s}")
    f = follow(a, "--part", "registry")
    f.write(cluster("back"))
    f.told(1)
    a.write(MESH.replace("route: home", "route: back"))
    wait_for(lambda: json.loads(a.ctl("explain", "GET", "http://shop.local/", "-o",
                                      "json").stdout)["cluster"] == "back", "the mesh")
    other = ask(a, {"command": "apply", "part": "other", "format": "lines"},
                json.dumps(cluster("fine")))
    f.write(remove(clusters=["back"]))
    assert answer(other)["outcome"] == "published"
    f.end(code=1)
    assert "back" in f.err()[0] and clusters(a) == {"home", "back", "fine"}


def test_two_writers_of_one_part(agent, follow):
    """Each is told of its own lines, and loses none to the other's."""
    a = agent(MESH, extra="debounce: {quiet: 100ms, bound: 300ms}")
    f = follow(a, "--part", "p")
    f.write(cluster("first"))
    f.told(1)
    for i in range(5):
        bad = ask(a, {"command": "apply", "part": "p", "format": "lines"},
                  json.dumps(host(f"h{i}.test", "nobody")))
        f.write(cluster(f"c{i}"))
        assert answer(bad)["outcome"] == "refused"
    f.end()
    assert clusters(a) == {"home", "first"} | {f"c{i}" for i in range(5)}


def test_requests_one_behind_the_other(agent):
    """On one connection, all sent before the first is answered."""
    a = agent(MESH)
    pin, unpin = ('{"command": "%s"}\n' % x for x in ("pin", "unpin"))

    def requests(part):
        for i in range(30):
            body = json.dumps(cluster(f"{part}{i}"))
            yield json.dumps({"command": "apply", "part": part, "format": "lines",
                              "length": len(body)}) + "\n" + body
            yield pin + unpin if i % 3 == 0 else ""
    connections = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for s, part in zip(connections, "ppq"):
        s.settimeout(20)
        s.connect(str(a.zone / "agent.sock"))
        s.sendall("".join(requests(part)).encode())
    for s in connections:
        with s, s.makefile() as r:
            got = [json.loads(r.readline()) for _ in range(50)]
        assert all(x["ok"] and x["outcome"] in ("published", "unchanged") for x in got), got
    a.ctl("unpin")
    assert clusters(a) == {"home"} | {f"{x}{i}" for i in range(30) for x in "pq"}


@pytest.mark.slow
def test_a_part_is_removed_while_it_is_followed(agent, follow):
    """What comes behind that is all there is of it, at once or later."""
    a = agent(MESH, extra="debounce: {quiet: 1s, bound: 3s}")
    f = follow(a, "--part", "p")
    f.write(cluster("old"))
    f.told(1)
    gone = ask(a, {"command": "remove", "part": "p"})
    # That is told until it is published; of meshctl, a poll may take longer.
    wait_for(lambda: ["removed by meshctl"] in [
        p["verdict"] for p in answer(ask(a, {"command": "status"}))["parts"]], "the removal", step=0.001)
    f.write(cluster("new"))
    assert answer(gone)["outcome"] == "published"
    f.told(2)
    assert clusters(a) == {"home", "new"}
    a.kill()
    a.start()
    assert clusters(a) == {"home", "new"}
    a.ctl("remove", "p")
    f.write(cluster("newest"))
    f.told(3)
    assert clusters(a) == {"home", "newest"}
    # Who needs it holds it, and what came behind is given up, too.
    f.write(host("needs.test", "newest"))
    f.end()
    a.write(MESH.replace("route: home", "route: newest"))
    wait_for(lambda: json.loads(a.ctl("explain", "GET", "http://shop.local/", "-o",
                                      "json").stdout)["cluster"] == "newest", "the mesh")
    assert a.ctl("remove", "p", check=False).returncode == 1
    assert clusters(a) == {"home", "newest"}
    a.kill()
    a.start()
    assert clusters(a) == {"home", "newest"}


def test_a_pin_is_told(a, follow):
    """It is taken, and not in force."""
    f = follow(a)
    f.write(cluster("before"))
    f.told(1)
    a.ctl("pin")
    f.write(cluster("after"))
    assert f.told(2)[-1].endswith("line 2, the policy is pinned") and not has(a, "after")
    a.ctl("unpin")
    assert has(a, "after")
    f.write(cluster("last"))
    f.end()
    assert re.fullmatch(r"published: generation \d+, line 3", f.out()[-1])


# --- many -----------------------------------------------------------------------

def test_a_burst_is_a_few_publishes(a, follow, tmp_path):
    lines = tmp_path / "burst"
    lines.write_text("".join(json.dumps(cluster(f"c{i}", f"10.0.{i >> 8}.{i & 255}:80")) + "\n"
                             for i in range(10000)))
    f = follow(a, file=lines, stdin=subprocess.DEVNULL)
    f.end(timeout=120)
    assert f.out() == ["published: generation 2, lines 1..10000"]
    assert len(clusters(a)) == 10001
    # Through a pipe it depends on who is faster; nothing is lost or twice.
    f = follow(a, "-o", "json")
    f.write(*(cluster(f"c{i}", f"10.1.{i >> 8}.{i & 255}:80") for i in range(10000)))
    f.end(timeout=120)
    told = [json.loads(line) for line in f.out()]
    assert [t["lines"]["first"] for t in told] == \
        [1] + [t["lines"]["last"] + 1 for t in told[:-1]]
    assert told[-1]["lines"]["last"] == 10000 and len(told) < 1000
    assert sum(t["lines"]["count"] for t in told) == 10000
    endpoints = a.ctl("endpoints", "c9999", "-o", "json").stdout
    assert "10.1.39.15:80" in endpoints


def test_the_whole_part_in_one_line(a, follow):
    """List, then watch: what is not in the list leaves, in one generation."""
    f = follow(a)
    f.write(cluster("old"), cluster("both"))
    f.end()
    f = follow(a)
    f.write({"replace": {"clusters": {"both": {"endpoints": ["127.0.9.1:80"]},
                                      "new": {"endpoints": []}}}})
    assert f.told(1) == ["published: generation 3, line 1"]
    assert clusters(a) == {"home", "both", "new"}
    f.write({"replace": {"clusters": {"both": {"endpoints": ["127.0.9.1:80"]},
                                      "new": {"endpoints": []}}}})
    assert f.told(2)[1] == "unchanged: generation 3, line 2"
    f.write(cluster("more"))
    f.told(3)
    f.write({"replace": {"clusters": {"home": {}}}})
    f.end(code=1)
    assert "home" in f.err()[0] and f.err()[0].startswith("<stdin>:4: ")
    assert clusters(a) == {"home", "both", "new", "more"}
    a.kill()
    a.start()
    assert clusters(a) == {"home", "both", "new", "more"}


# --- the agent goes away ----------------------------------------------------------

def test_the_agent_is_killed_and_comes_back(a, follow):
    f = follow(a)
    f.write(cluster("before"), host("before.test", "before"))
    f.told(1)
    a.kill()
    f.write(cluster("while1"))
    f.write("[]", cluster("while2"), remove(clusters=["nobody"]))
    wait_for(f.err, "that it is told")
    a.start()
    wait_for(lambda: has(a, "while2"), "what was written meanwhile")
    f.write(remove(clusters=["while1"]))
    f.end(code=1)
    # Nothing is lost, what it had accepted before included.
    assert clusters(a) == {"home", "before", "while2"}
    err = f.err()
    assert re.fullmatch(r"meshctl: agent at \S+/agent\.sock: .*; trying again", err[0])
    assert err.count("meshctl: the agent answers, going on") == 1
    assert sum("trying again" in e for e in err) == 1
    assert [e for e in err if e.startswith("<stdin>:4:1: ")]


def test_an_agent_that_is_killed_again_and_again(a, follow):
    """Each line is in force at the end, however often it was sent."""
    f = follow(a)
    f.write(cluster("first"))
    f.told(1)               # whoever finds no agent at the beginning ends
    for i in range(60):
        f.write(cluster(f"c{i}", f"127.2.0.{i + 1}:80"))
        if i % 3:
            f.write(remove(clusters=[f"c{i - 1}"]))
        if i % 7 == 0:
            a.kill()
            a.start()
    f.end(timeout=60)
    wanted = {f"c{i}" for i in range(60) if not (i + 1) % 3 or i == 59}
    assert clusters(a) == wanted | {"home", "first"}
    a.stop()
    a.start()
    assert clusters(a) == wanted | {"home", "first"}


def serve(path, connections):
    """An agent of our own: of each connection, what is answered to each request;
    None ends it.  Returns the bodies that it was sent, which connections were
    ended, and its thread."""
    bodies, ended = [], []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def run():
        for answers in connections:
            s, _ = listener.accept()
            with s, s.makefile("rb") as r:
                for answer in answers:
                    line = r.readline()
                    if not line:
                        break
                    bodies.append(r.read(json.loads(line)["length"]).decode())
                    if answer is None:
                        break
                    s.sendall(json.dumps(answer).encode() + b"\n")
            ended.append(1)
        listener.close()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return bodies, ended, thread


def test_a_connection_that_is_ended_when_idle_is_no_news(a, follow, tmp_path):
    """As the agent does after ten minutes."""
    ok = {"ok": True, "outcome": "published", "generation": 7}
    bodies, ended, thread = serve(tmp_path / "sock", [[ok], [ok, ok, None]])
    f = follow(a, "--socket", str(tmp_path / "sock"))
    f.write("1")
    f.told(1)
    wait_for(lambda: ended, "the end of the connection")
    f.write("2")
    f.told(2)
    f.write("3")
    f.end()
    thread.join(10)
    assert bodies == ["1\n", "2\n", "3\n"] and f.err() == []


def test_what_was_under_way_is_sent_again(a, follow, tmp_path):
    ok = {"ok": True, "outcome": "unchanged", "generation": 7}
    bodies, _, thread = serve(tmp_path / "sock", [[ok, None], [None], [ok, None]])
    f = follow(a, "--socket", str(tmp_path / "sock"))
    f.write("1")
    f.told(1)
    f.write("2", "3")
    f.end()
    thread.join(10)
    assert bodies == ["1\n"] + 3 * ["2\n3\n"]
    assert f.out()[-1] == "unchanged: generation 7, lines 2..3"
    assert len(f.err()) == 2


# --- the end ---------------------------------------------------------------------

@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(a, follow, sig):
    f = follow(a)
    f.write(cluster("one"))
    f.told(1)
    f.process.send_signal(sig)
    assert f.process.wait(20) == 0
    assert f.err() == [] and has(a, "one")
    # What was read and is not applied is named.
    f = follow(a)
    f.write(cluster("two"))
    f.told(1)
    a.kill()
    f.write("", cluster("three"))
    wait_for(f.err, "that it is told")
    wait_for(lambda: read_all(f), "the input to be read")
    f.process.send_signal(sig)
    assert f.process.wait(20) == 1
    assert f.err()[-1] == "meshctl: ended before <stdin>:3 was applied"


def test_a_signal_ends_a_flood(a, follow, tmp_path):
    """A line without an end, faster than it is read."""
    f = follow(a, file="/dev/zero", stdin=subprocess.DEVNULL)
    wait_for(lambda: connections(a), "the connection")
    f.process.send_signal(signal.SIGTERM)
    assert f.process.wait(20) == 0


@pytest.mark.parametrize("args", [(), ("-o", "json")])
def test_a_signal_ends_who_is_not_read(a, follow, args):
    """Nobody reads the output, and nobody has closed it."""
    r, w = os.pipe()
    os.set_blocking(w, False)
    try:
        while True:
            os.write(w, bytes(4096))
    except BlockingIOError:
        pass
    os.set_blocking(w, True)
    f = follow(a, *args, stdout=w)
    os.close(w)
    f.write(cluster("one"))
    wait_for(lambda: has(a, "one"), "the line")
    f.write(cluster("two"))
    f.process.send_signal(signal.SIGTERM)
    assert f.process.wait(20) == 1
    os.close(r)
    # It was taken; the other one was not.
    assert has(a, "one") and not has(a, "two")


def test_no_standard_input(a):
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" --zone "$1" apply -f - --follow <&-', str(a.bin / "meshctl"),
         str(a.zone)], capture_output=True, text=True, timeout=20, env=environment(a.variant))
    assert done.returncode == 3 and done.stderr == "meshctl: <stdin>: Bad file descriptor\n"


def read_all(f):
    import fcntl
    import termios
    import array
    left = array.array("i", [0])
    fcntl.ioctl(f.process.stdin, termios.FIONREAD, left)
    return left[0] == 0


def test_nobody_reads_what_it_tells(a, follow):
    r, w = os.pipe()
    f = follow(a, stdout=w)
    os.close(w)
    os.close(r)
    f.write(cluster("one"))
    f.end(code=3)
    assert f.err() == ["meshctl: standard output: Broken pipe"] and has(a, "one")


def test_there_must_be_an_agent_at_the_start(a, follow):
    a.kill()
    f = follow(a)
    assert f.process.wait(20) == 3
    assert len(f.err()) == 1 and "agent.sock" in f.err()[0]


# --- workers ---------------------------------------------------------------------

HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route; }
    }
"""


def test_requests_follow_the_lines(a, follow, nginx, endpoints):
    """With --wait, what is told is what the next request meets."""
    one, two = endpoints.add(name="one"), endpoints.add(name="two")
    n = nginx(http=HTTP, main="mesh_zone {zone};")
    assert n.get("/", host="live.test")[0] == 404
    f = follow(a, "--wait")
    f.write(host("live.test", "live"), cluster("live", one.at))
    assert f.told(1)[0].endswith(", applied on all workers")
    assert n.get("/", host="live.test")[1]["x-endpoint"] == "one"
    told = 1
    for e in (two, one, two):
        f.write(cluster("live", e.at))
        told += 1
        f.told(told)
        assert n.get("/", host="live.test")[1]["x-endpoint"] == e.name
    f.write(remove(hosts=["live.test"], clusters=["live"]))
    f.told(told + 1)
    assert n.get("/", host="live.test")[0] == 404
    f.end()


# --- not now ---------------------------------------------------------------------

def test_publishing_that_is_held_is_waited_for(a, follow):
    """And what was applied before the agent's restart is there all the same."""
    f = follow(a)
    f.write(cluster("before"))
    f.told(1)
    a.kill()
    shutil.rmtree(a.dir / "state" / "parts")
    a.mesh.write_text("hosts: [")
    a.start()
    f.write(cluster("held"), remove(clusters=["nobody"]))
    wait_for(lambda: any("its last good is not known; trying again" in e for e in f.err()),
             "that it is held")
    a.write(MESH)
    f.write(cluster("after"))
    f.end()
    assert clusters(a) == {"home", "before", "held", "after"}


def test_what_does_not_fit_after_a_restart_is_kept(a, follow):
    """A file changed while there was no agent: what is published stays, and so
    does what was applied, until it fits or somebody takes it out."""
    f = follow(a)
    f.write(cluster("mine"), host("mine.test", "home"))
    f.told(1)
    a.kill()
    a.mesh.write_text(MESH.replace("home", "other"))
    a.start()
    assert clusters(a) == {"home", "mine"}
    assert a.status()["agent"]["held_by"] == "stream:apply"
    # A change of it that does not mend it is refused, and it is still there.
    f.write(cluster("more"))
    wait_for(f.err, "the refusal")
    wait_for(lambda: [e for e in f.err() if e.startswith("<stdin>:3: ")], "the refusal")
    a.write(MESH)
    wait_for(lambda: "held_by" not in a.status()["agent"], "that it is mended")
    assert clusters(a) == {"home", "mine"}
    a.kill()
    a.mesh.write_text(MESH.replace("home", "other"))
    a.start()
    # One that does is taken.
    f.write(host("mine.test", "mine"))
    wait_for(lambda: clusters(a) == {"other", "mine"}, "the mended part")
    f.end(code=1)
    f = follow(a)
    f.write(host("mine.test", "other"))
    f.end()
    a.kill()
    a.mesh.write_text(MESH)
    a.start()
    assert clusters(a) == {"other", "mine"}
    a.ctl("remove", "apply")
    assert clusters(a) == {"home"}
    a.stop()
    a.start()
    assert clusters(a) == {"home"}


def test_too_many_clients_are_waited_for(a, follow):
    held = []
    for _ in range(64):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(a.zone / "agent.sock"))
        held.append(s)
    f = follow(a)
    f.write(cluster("one"))
    wait_for(lambda: any("too many clients; trying again" in e for e in f.err()),
             "that it waits")
    assert "the agent refuses: too many clients" in a.ctl("status").stdout
    for s in held:
        s.close()
    f.told(1)
    f.end()
    assert has(a, "one")
    assert f.err()[-1] == "meshctl: the agent answers, going on"
    assert f.err().count(f.err()[-1]) == 1
