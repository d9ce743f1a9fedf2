# SPDX-License-Identifier: Apache-2.0
"""Format versions: what workers say they read, and files that are newer."""

import fcntl
import re
import struct

import pytest

from meshtest.process import wait_for
from meshtest.upstream import HTTP, MAIN, mesh, pair

F_OFD_SETLK = 37
HEAD = 4096
SLOT = 256
WORD = 16
LIVE = 1


class Forged:
    """A worker of another build: a slot of the runtime and the lock on it."""

    def __init__(self, zone, slot, oldest, newest, pid=4711):
        self.file = open(zone / "runtime.1", "r+b", buffering=0)
        self.at = HEAD + slot * SLOT
        fcntl.fcntl(self.file, F_OFD_SETLK,
                    struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 1 + slot, 1, 0))
        self.write(LIVE, pid, newest, oldest)

    def write(self, state, pid, newest, oldest):
        self.file.seek(self.at)
        self.file.write(struct.pack("<IIHH", state, pid, newest, oldest))

    def leave(self):
        self.write(0, 0, 0, 0)
        self.file.close()

    def die(self):
        self.file.close()


def bed(agent, nginx, endpoints):
    e = pair(endpoints)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    a.wait_applied(1)
    return e, a, n


def test_workers_say_what_they_read(agent, nginx, endpoints):
    _, a, _ = bed(agent, nginx, endpoints)
    (worker,) = a.status()["workers"]
    assert (worker["reads_oldest"], worker["reads_newest"]) == (1, 1)


@pytest.mark.parametrize("end", ["leave", "die"])
@pytest.mark.slow
def test_no_common_version_holds_publishing(agent, nginx, endpoints, zone, end):
    """Nothing new, everybody told why; it goes on when that worker is gone."""
    e, a, n = bed(agent, nginx, endpoints)
    why = "no format of snapshots is read by all workers: this agent writes 1 to 1, " \
          "and worker 7 (pid 4711) reads 2 to 3"
    other = Forged(zone, 7, 2, 3)
    a.write(mesh(e, cluster="    lb: least_request\n"))
    wait_for(lambda: "publishing refused" in a.log(), "the refusal")
    assert why in a.log()
    done = a.ctl("apply", "-f", "-", stdin="clusters: {more: {endpoints: [127.0.9.1:80]}}", check=False)
    assert done.returncode == 1 and why in done.stderr
    done = a.ctl("pin", check=False)
    assert done.returncode == 1 and why in done.stderr
    status = a.status()
    assert status["generation"] == 1 and status["agent"]["held"] == why
    (part,) = [p for p in status["agent"]["parts"] if p["name"].endswith("mesh.yaml")]
    assert (part["state"], part["last_good"], part["verdict"]) == ("refused", True, [why])
    assert f"publishing is held: {why}" in a.ctl("status").stdout
    assert n.get("/")[0] == 200
    # It is tried every second, and said once.
    wait_for(lambda: a.status()["agent"]["publishes"] > status["agent"]["publishes"] + 1, "more tries")
    assert a.log().count("publishing refused") == 1

    getattr(other, end)()
    a.wait_applied(2)
    status = a.status()
    assert "held" not in status["agent"]
    assert [p["state"] for p in status["agent"]["parts"]] == ["in force"]
    assert a.ctl("endpoints", "more", check=False).returncode == 1


def test_a_worker_that_reads_more_holds_nothing(agent, nginx, endpoints, zone):
    e, a, _ = bed(agent, nginx, endpoints)
    other = Forged(zone, 7, 1, 2)
    a.write(mesh(e, cluster="    lb: least_request\n"))
    wait_for(lambda: a.status()["generation"] == 2, "the edit")
    other.leave()


def test_a_snapshot_of_a_newer_format(agent, nginx, endpoints, zone):
    """A worker says what it has met, and goes on with what it has."""
    e, a, n = bed(agent, nginx, endpoints)
    a.stop()
    data = bytearray((zone / "snapshot.1").read_bytes())
    struct.pack_into("<I", data, 8, 9)
    struct.pack_into("<I", data, 16, 2)
    (zone / "snapshot.2").write_bytes(data)
    with open(zone / "mesh.ctl", "r+b") as f:
        f.seek(WORD)
        word, = struct.unpack("<Q", f.read(8))
        assert word >> 32 == 1
        f.seek(WORD)
        f.write(struct.pack("<Q", (2 << 32) | (word & 0xffffffff)))
    (zone / "mesh.bell").write_bytes(b"x")
    wait_for(lambda: "refused snapshot 2: it is of format version 9, and this module reads 1 to 1; "
             "generation 1 goes on" in n.log(), "the refusal")
    assert n.get("/")[0] == 200
    assert re.search(r'mesh_worker_refused_total\{worker="0"\} 1$', n.get("/metrics")[2].decode(), re.M)
    done = a.ctl("status", check=False)
    assert done.returncode == 3
    assert "not of a format version that this build reads, which are 1 to 1" in done.stderr
    assert "version 9" in done.stderr
    # Neither does the agent go on with it: it leaves it, and workers follow.
    a.start()
    assert "snapshot.2 is of format version 9" in a.log()
    a.apply(mesh(e, cluster="    lb: least_request\n"))
    assert n.get("/")[0] == 200
    assert n.log().count("refused snapshot") == 1


def test_a_zone_of_a_newer_format(agent, nginx, endpoints, zone):
    """The control page says so before anything is mapped."""
    _, a, n = bed(agent, nginx, endpoints)
    a.stop()
    n.stop()
    with open(zone / "mesh.ctl", "r+b") as f:
        f.seek(8)
        f.write(struct.pack("<I", 9))
    n.start()
    status, _, body = n.get("/")
    assert status == 503 and b"format that this module does not read" in body
    done = a.ctl("status", check=False)
    assert done.returncode == 3 and "format version that this build does not read" in done.stderr
