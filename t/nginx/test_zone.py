# SPDX-License-Identifier: Apache-2.0
"""mesh_zone in live nginx: who may use a zone, what its files may do to it."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from meshtest.process import BUILD, wait_for
from meshtest.upstream import HTTP, MAIN, mesh, metric, pair


def served(n):
    return n.get("/")[0] == 200


def fails_to_start(n):
    """Its exit status and what it says, when it does not come up."""
    done = subprocess.run(n._command(), capture_output=True, text=True,
                          env=n.environment(), timeout=30)
    return done.returncode, done.stderr


def test_a_second_nginx_is_refused(agent, nginx, endpoints):
    """Two masters would count in one runtime: the second says so and ends,
    and the first never notices."""
    agent(mesh(pair(endpoints)))
    first = nginx(http=HTTP, main=MAIN)
    assert served(first)
    second = nginx(http=HTTP, main=MAIN, start=False)
    assert second.test()[0] == 0, "a test of the configuration locks nothing"
    status, said = fails_to_start(second)
    assert status != 0 and "in use by another nginx" in said, said
    assert served(first)
    first.stop()
    assert served(second.start())


BAD = {
    "mesh_zone {zone} workers=0;": 'invalid "workers=0"',
    "mesh_zone {zone} endpoints=99999999999;": 'invalid "endpoints=99999999999"',
    "mesh_zone {zone} sizes=3;": 'unknown argument "sizes=3"',
    "mesh_zone {zone}; mesh_zone {zone};": "is duplicate",
    "mesh_zone '';": "empty path",
    "mesh_zone /%s;" % ("x" * 4050): "path above",
    "mesh_zone;": "number of arguments",
}


@pytest.mark.parametrize("main", BAD)
def test_arguments(nginx, main):
    n = nginx(start=False, main=main, http="server { listen 127.0.0.1:{port}; }")
    status, said = n.test()
    assert status != 0 and BAD[main] in said, said


def test_a_zone_that_cannot_be_made(agent, nginx, endpoints, zone, tmp_path):
    """At the start nginx ends with the reason; a reload is refused and the
    old configuration serves on."""
    (tmp_path / "file").write_text("")
    bad = f"mesh_zone {tmp_path}/file/zone;"
    status, said = fails_to_start(nginx(start=False, main=bad, http=HTTP))
    assert status != 0 and re.search(r'mesh_zone "\S+/file/zone": .* failed \(\d+: ', said), said

    agent(mesh(pair(endpoints)))
    n = nginx(main=MAIN, http=HTTP)
    pids = n.workers()
    good = n.conf.read_text()
    n.conf.write_text(good.replace(f"mesh_zone {zone};", bad))
    n.send(signal.SIGHUP)
    wait_for(lambda: "file/zone" in n.log(), "the refusal")
    assert served(n) and n.workers() == pids
    n.conf.write_text(good)
    n.reload()
    assert served(n)
    n.stop(allow=[r"mesh_zone .* failed"])


def test_garbage_in_the_control_page(agent, nginx, endpoints, zone):
    (zone / "mesh.ctl").write_bytes(os.urandom(4096))
    n = nginx(main=MAIN, http=HTTP)
    status, _, body = n.get("/")
    assert status == 503 and b"control page" in body
    (zone / "mesh.ctl").unlink()
    agent(mesh(pair(endpoints)))
    wait_for(lambda: served(n), "the mesh")


@pytest.mark.parametrize("cut", [0, 1, 64, 4095])
def test_a_short_control_page(nginx, zone, cut):
    (zone / "mesh.ctl").write_bytes(b"x" * cut)
    n = nginx(main=MAIN, http=HTTP)
    assert n.get("/")[0] == 503


def test_what_is_corrupt_is_refused_and_the_last_good_goes_on(agent, nginx, endpoints, zone):
    """Bytes behind the published root are damaged before they are published:
    as a bad disk or another program would."""
    a = agent(mesh(pair(endpoints)))
    n = nginx(main=MAIN, http=HTTP)
    assert served(n)
    (snapshot,) = zone.glob("snapshot.*")
    word = (zone / "mesh.ctl").read_bytes()
    a.kill()

    size = snapshot.stat().st_size
    with snapshot.open("ab") as f:
        f.write(b"\xff" * 4096)
    with (zone / "mesh.ctl").open("r+b") as f:
        f.seek(find_word(word))
        f.write(((1 << 32) | size >> 3).to_bytes(8, "little"))
    (zone / "mesh.bell").write_bytes(b"!")
    wait_for(lambda: "refused snapshot" in n.log(), "the refusal")
    assert served(n), "generation 1 goes on"
    assert "generation 1 goes on" in n.log()


def find_word(page):
    """The offset of {file 1, root}: the only 8 bytes that look like it."""
    found = [i for i in range(0, len(page), 8)
             if int.from_bytes(page[i + 4:i + 8], "little") == 1
             and int.from_bytes(page[i:i + 4], "little") > 8]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("damage", ["garbage", "short", "empty"])
def test_a_damaged_runtime_is_made_anew(agent, nginx, endpoints, zone, damage):
    agent(mesh(pair(endpoints)))
    n = nginx(main=MAIN, http=HTTP)
    assert served(n)
    n.stop()
    (runtime,) = zone.glob("runtime.*")
    with runtime.open("r+b") as f:
        if damage == "garbage":
            f.write(os.urandom(4096))
        else:
            f.truncate(100 if damage == "short" else 0)
    n.start()
    assert served(n) and metric(n, "mesh_cluster_requests_total") == 1
    wait_for(lambda: "counters and ejections begin anew" in n.log(), "the notice")


def test_a_runtime_cut_short_by_somebody(agent, nginx, endpoints, zone):
    """New workers touch nothing of it and count for themselves, and the agent
    goes on; a reload makes it anew."""
    text = mesh(pair(endpoints))
    a = agent(text)
    n = nginx(main=MAIN, http=HTTP)
    assert served(n)
    a.apply(text.replace("route: reviews", "respond: 204"))     # it has mapped it
    (pid,) = n.workers()
    os.kill(pid, signal.SIGSTOP)        # what it does itself would be SIGBUS
    os.truncate(zone / "runtime.1", 0)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: n.workers() and pid not in n.workers(), "another worker")
    assert n.get("/")[0] == 204
    a.write(text)
    wait_for(lambda: served(n), "the next mesh")
    assert all(served(n) for _ in range(5))
    assert "size of the runtime file" in n.log()
    assert n.log().count("exited on signal") == 1

    n.reload()
    wait_for(lambda: len(n.workers()) == 1, "the old worker's end")
    assert served(n) and metric(n, "mesh_cluster_requests_total") == 1
    assert "counters and ejections begin anew" in n.log()
    n.stop(allow=[r"exited on signal 9"])


def test_a_control_page_cut_short_is_made_anew(agent, nginx, endpoints, zone):
    """Numbers begin anew with it, and workers notice."""
    a = agent(mesh(pair(endpoints)))
    n = nginx(main=MAIN, http=HTTP)
    assert served(n)
    a.kill()
    os.truncate(zone / "mesh.ctl", 10)
    a.start()
    a.write(mesh(pair(endpoints), route="").replace("route: reviews", "respond: 204"))
    wait_for(lambda: n.get("/")[0] == 204, "the new mesh")


@pytest.mark.parametrize("name", ["snapshot.1", "mesh.ctl", "mesh.health"])
def test_a_fifo_in_a_files_place_holds_nobody(agent, nginx, endpoints, zone, name):
    a = agent(mesh(pair(endpoints)))
    a.kill()
    (zone / name).unlink(missing_ok=True)
    os.mkfifo(zone / name)
    n = nginx(main=MAIN, http=HTTP)
    assert n.get("/")[0] in (200, 503)
    assert a.ctl("status", check=False).returncode in (0, 3)
    a.spawn()
    wait_for(lambda: a.log().count("running") == 2 or "cannot be opened" in a.log(),
             "an agent that runs, or says why not")
    a.kill()


def test_another_size_by_reload(agent, nginx, endpoints, zone):
    agent(mesh(pair(endpoints)))
    n = nginx(main=MAIN, http=HTTP)
    for _ in range(5):
        n.get("/")
    assert metric(n, "mesh_cluster_requests_total") == 5
    n.reload()
    wait_for(lambda: len(n.workers()) == 1, "the old worker's end")
    assert metric(n, "mesh_cluster_requests_total") == 5, "kept over a reload"
    n.conf.write_text(n.conf.read_text().replace(
        f"mesh_zone {zone};", f"mesh_zone {zone} clusters=16 endpoints=64;"))
    n.reload()
    wait_for(lambda: len(n.workers()) == 1, "the old worker's end")
    assert served(n) and metric(n, "mesh_cluster_requests_total") == 1
    assert "counters and ejections begin anew" in n.log()


def test_more_workers_than_slots(agent, nginx, endpoints):
    """Those without a slot serve and count for themselves."""
    a = agent(mesh(pair(endpoints)))
    n = nginx(main="mesh_zone {zone} workers=1;", http=HTTP, workers=2)
    refused = "no free worker slot in the runtime"
    wait_for(lambda: n.log().count(refused) and a.status().get("workers"), "both workers' begin")
    assert all(served(n) for _ in range(20))
    assert n.log().count(refused) == 1
    before = set(n.workers())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(n.workers()) - before) == 2, "new workers")
    assert all(served(n) for _ in range(20))
    n.stop(allow=[r"exited on signal 9"])


def test_a_slot_that_becomes_free_is_taken(agent, nginx, endpoints):
    """After a reload the new worker has to wait for the old one's."""
    e = pair(endpoints, 1)
    agent(mesh(e))
    n = nginx(main="mesh_zone {zone} workers=1;", http=HTTP)
    assert served(n)
    n.reload()
    wait_for(lambda: "no free worker slot in the runtime" in n.log(), "the wait")
    assert served(n)
    wait_for(lambda: "got a worker slot" in n.log(), "the slot", timeout=20)
    assert served(n)
    (worker,) = json.loads(n.get("/status")[2])["workers"]
    assert worker["generation"] == 1


def test_a_mesh_above_the_sizes_is_served(agent, nginx, endpoints):
    """Clusters and endpoints without a slot are served, uncounted."""
    e = pair(endpoints, 3)
    agent(f"""
clusters:
  a: {{endpoints: ['{e[0].at}']}}
  b: {{endpoints: ['{e[1].at}', '{e[2].at}']}}
hosts:
  - domains: [a]
    routes: [{{route: a}}]
  - domains: [b]
    routes: [{{route: b}}]
""")
    n = nginx(main="mesh_zone {zone} clusters=1 routes=1 endpoints=1;", http=HTTP)
    names = [n.get("/", host=h)[1]["x-endpoint"] for h in "abab"]
    assert names[0] == names[2] == "e1" and {names[1], names[3]} == {"e2", "e3"}
    assert n.get("/metrics")[0] == 200


def test_fallback_file(agent, nginx, endpoints, zone, tmp_path):
    """Without agent and snapshot the last good copy is served; a damaged one
    is refused with its reason."""
    e = pair(endpoints, 1)
    a = agent(mesh(e))
    a.stop()
    (copy,) = (tmp_path / "agent" / "state").glob("last-good*")
    kept = tmp_path / "kept"
    shutil.copy(copy, kept)
    shutil.rmtree(zone)
    zone.mkdir()

    main = "mesh_zone {zone} fallback=%s;" % kept
    n = nginx(main=main, http=HTTP)
    assert n.get("/")[1]["x-endpoint"] == "e1"
    assert re.search(r"serving last good copy \"\S+\" of generation \d+, \d+ s old", n.log())
    n.stop()

    data_before = kept.read_bytes()
    data = bytearray(data_before)
    data[len(data) // 2] ^= 0xFF
    kept.write_bytes(data)
    n.start()
    assert n.get("/")[0] in (200, 503)
    n.stop()
    kept.write_bytes(data_before)
    n.start()
    assert n.get("/")[0] == 200
    kept.write_bytes(b"garbage")        # in place, while it is served
    assert n.get("/")[0] == 200
    assert "exited on signal" not in n.log()
    n.stop()
    n.start()
    assert n.get("/")[0] == 503
    n.stop()
    kept.unlink()
    n.start()
    assert n.get("/")[0] == 503


def test_wrong_order_of_modules(nginx):
    n = nginx(start=False, main=MAIN, http=HTTP)
    modules = BUILD / n.variant / "modules"
    lines = [f"load_module {modules}/{m}.so;" for m in
             ("ngx_mesh_core_module", "ngx_http_mesh_module")]
    text = n.conf.read_text()
    n.conf.write_text(text.replace("\n".join(lines), "\n".join(reversed(lines))))
    status, said = n.test()
    assert status != 0 and "undefined symbol" in said, said


def test_unused_it_costs_nothing(nginx, endpoints, tmp_path):
    """Loaded, without a mesh_zone: stock nginx, and no file anywhere."""
    e = endpoints.add(name="plain")
    n = nginx(http="""
        server { listen 127.0.0.1:{port}; location / { proxy_pass http://%s; } }""" % e.at)
    assert n.get("/")[1]["x-endpoint"] == "plain"
    # What is mapped stays put, while a descriptor may just be closing.
    assert "/runtime." not in Path(f"/proc/{n.workers()[0]}/maps").read_text()
