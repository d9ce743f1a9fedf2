# SPDX-License-Identifier: Apache-2.0
"""What `./dev install` puts in place, with the users of a real machine: nginx's
master is root, its workers are www-data, the agent is somebody else."""

import json
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from meshtest.agent import Agent
from meshtest.load import Load
from meshtest.nginx import Nginx
from meshtest.process import TOP, wait_for

AGENT = 64321       # nobody's uid: the agent needs no entry in passwd
OTHER = 64322

MODULES = "usr/lib/nginx/modules"
HTTP = """server { listen 127.0.0.1:{port};
    location / { mesh_route; } }"""


def dev_install(*args):
    done = subprocess.run([str(TOP / "dev"), "install", *args], capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def place():
    """A directory that every user reaches, with an installation in root/."""
    directory = Path(tempfile.mkdtemp(prefix="mesh-install-"))
    directory.chmod(0o755)
    dev_install("--destdir", str(directory / "root"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_destdir(place):
    root = place / "root"
    assert files(root) == [
        "etc/nginx-mesh/agent.yaml", "etc/nginx-mesh/mesh.yaml",
        f"{MODULES}/ngx_http_mesh_module.so", f"{MODULES}/ngx_mesh_core_module.so",
        f"{MODULES}/ngx_stream_mesh_module.so",
        "usr/local/bin/mesh-agent", "usr/local/bin/meshctl",
        "usr/local/lib/systemd/system/mesh-agent.service",
        "usr/local/lib/sysusers.d/nginx-mesh.conf",
        "usr/local/lib/tmpfiles.d/nginx-mesh.conf",
        "usr/local/share/bash-completion/completions/meshctl",
        "usr/local/share/doc/nginx-mesh/fleet/mesh.yaml",
        "usr/local/share/doc/nginx-mesh/fleet/nginx.conf",
        "usr/local/share/doc/nginx-mesh/gateway/nginx.conf",
        "usr/local/share/fish/vendor_completions.d/meshctl.fish",
        "usr/local/share/man/man1/meshctl.1", "usr/local/share/man/man5/agent.yaml.5",
        "usr/local/share/man/man5/mesh.yaml.5", "usr/local/share/man/man8/mesh-agent.8",
        "usr/local/share/nginx-mesh/agent.schema.json",
        "usr/local/share/nginx-mesh/mesh.schema.json",
        "usr/local/share/zsh/site-functions/_meshctl",
        "usr/share/nginx/modules-available/mod-mesh-stream.conf",
        "usr/share/nginx/modules-available/mod-mesh.conf",
    ]
    share = root / "usr/local/share"
    assert (share / "man/man8/mesh-agent.8").read_text().startswith(".TH MESH-AGENT 8 ")
    assert (share / "zsh/site-functions/_meshctl").read_text().startswith("#compdef meshctl\n")
    # Renamed into place: whoever has the old file mapped keeps it.
    core = root / MODULES / "ngx_mesh_core_module.so"
    held = os.open(core, os.O_RDONLY)
    before = os.fstat(held)
    mesh = root / "etc/nginx-mesh/mesh.yaml"
    mesh.write_text("# mine\n")
    said = dev_install("--destdir", str(root))
    assert os.fstat(held).st_nlink == 0 and os.fstat(held).st_mtime == before.st_mtime
    os.close(held)
    # What the administrator wrote is his.
    assert mesh.read_text() == "# mine\n" and "kept" in said
    dev_install("--destdir", str(root), "--uninstall")
    assert files(root) == ["etc/nginx-mesh/mesh.yaml"]


def test_another_prefix(place):
    root = place / "other"
    dev_install("--destdir", str(root), "--prefix", "/opt/mesh")
    unit = (root / "etc/systemd/system/mesh-agent.service").read_text()
    assert "\nExecStart=/opt/mesh/bin/mesh-agent -c /etc/nginx-mesh/agent.yaml\n" in unit
    assert "/usr/local" not in unit
    dev_install("--destdir", str(root), "--prefix", "/opt/mesh", "--uninstall")
    assert files(root) == []


def test_modules_that_nginx_does_not_load_are_refused(tmp_path):
    other = tmp_path / "nginx"
    other.write_text('#!/bin/sh\n[ "$1" = -V ] && exec /usr/sbin/nginx -V\n'
                     'echo "module is not binary compatible" >&2\nexit 1\n')
    other.chmod(0o755)
    done = subprocess.run([str(TOP / "dev"), "install", "--destdir", str(tmp_path / "root")],
                          capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 1
    assert done.stderr.endswith("module is not binary compatible\n"
                                "dev: nginx does not load the modules that were built\n")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("args, said", [
    (["--destdir", "relative"], "--destdir takes an absolute path"),
    (["--prefix"], "--prefix takes an absolute path"),
    (["--nonsense"], "usage: ./dev install"),
])
def test_wrong_options(args, said):
    done = subprocess.run([str(TOP / "dev"), "install", *args], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1 and said in done.stderr


class Installed(Agent):
    """The agent by its unit's ExecStart, with the root in front of paths."""

    def command(self):
        root = self.bin.parents[2]
        unit = (root / "usr/local/lib/systemd/system/mesh-agent.service").read_text()
        line = [l for l in unit.splitlines() if l.startswith("ExecStart=")]
        program, option, conf = shlex.split(line[0].removeprefix("ExecStart="))
        assert (option, conf) == ("-c", "/etc/nginx-mesh/agent.yaml")
        return [str(root) + program, option, str(self.conf)]


MESH = """
clusters:
  c: {{endpoints: ["{at}"]}}
hosts:
  - domains: ["*"]
    routes: [{{route: c}}]
"""


def as_user(uid):
    return {"user": uid, "group": uid, "extra_groups": []}


def owners(zone):
    """File -> owner and mode, without the numbers in names."""
    return {p.name.rstrip(".0123456789"): (p.stat().st_uid, oct(p.stat().st_mode & 0o777))
            for p in zone.iterdir()}


class Machine:
    """Installed modules and agent on one zone, each with its own user."""

    def __init__(self, place, zone, tmp_path, endpoints, started):
        self.root = place / "root"
        # As tmpfiles.d says: the agent's before anybody comes.
        zone.chmod(0o755)
        os.chown(zone, AGENT, AGENT)
        self.endpoint = endpoints.add(name="a")
        self.agent = started.add(Installed(
            place / "agent", "release", zone, MESH.format(at=self.endpoint.at),
            user=AGENT, bin=self.root / "usr/local/bin"))
        self.agent.user["umask"] = 0o077
        self.nginx = started.add(Nginx(
            tmp_path / "nginx", "release", zone, http=HTTP, workers=2,
            main=f"mesh_zone {{zone}} fallback={place}/agent/state/last-good.snapshot;",
            user="www-data", modules=self.root / MODULES))

    def start(self):
        self.agent.start()
        self.nginx.start()
        self.agent.ctl("wait")
        return self

    def kill_worker(self):
        before = self.nginx.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: len(set(self.nginx.workers()) - {before[0]}) == 2, "a new worker")
        live = wait_for(lambda: [w for w in self.agent.status()["workers"]
                                 if w["state"] == "live" and w["pid"] != before[0]][1:],
                        "a slot for the new worker")
        assert live

    def served(self):
        status, _, body = self.nginx.get("/")
        return status == 200 and json.loads(body)["endpoint"] == "a"


@pytest.fixture
def machine(place, zone, tmp_path, endpoints, started):
    if os.getuid() != 0:
        pytest.skip("needs root to be several users")
    return Machine(place, zone, tmp_path, endpoints, started)


def test_three_users(machine, zone):
    machine.start()
    agent, n = machine.agent, machine.nginx
    assert machine.served()
    workers = pwd.getpwnam("www-data").pw_uid
    assert owners(zone) == {
        "agent.sock": (AGENT, "0o666"), "keys": (AGENT, "0o700"),
        "mesh.health": (AGENT, "0o644"),
        "mesh.bell": (AGENT, "0o644"), "mesh.ctl": (AGENT, "0o644"),
        "mesh.lock": (AGENT, "0o600"), "snapshot": (AGENT, "0o644"),
        "runtime": (workers, "0o644"),
    }
    assert all(Path(f"/proc/{p}").stat().st_uid == workers for p in n.workers())
    # A worker opens the runtime anew, by its name; and after a reload with
    # other sizes, another one.
    machine.kill_worker()
    n.conf.write_text(n.conf.read_text().replace(f"mesh_zone {zone}",
                                                 f"mesh_zone {zone} workers=128"))
    n.reload()
    wait_for(lambda: len(n.workers()) == 2, "the old workers' end")
    machine.kill_worker()
    assert "worker slot" not in n.log()
    # Everybody may look, only the agent's user and root may change.
    for command in ("status", "history", "endpoints"):
        agent.ctl(command, **as_user(OTHER))
    assert "routed" in agent.ctl("explain", "GET", "/", **as_user(OTHER)).stdout
    for uid in (OTHER, workers):
        refused = agent.ctl("pin", check=False, **as_user(uid))
        assert refused.returncode == 1 and "not allowed" in refused.stderr
    agent.ctl("pin", "--wait", **as_user(AGENT))
    agent.ctl("unpin", "--wait")
    # The next agent, the same files.
    agent.kill()
    assert machine.served()
    agent.start()
    agent.apply(MESH.format(at=machine.endpoint.at) + "    name: again\n")
    assert machine.served()
    n.stop(allow=["signal 9"])


def test_workers_read_the_last_good_copy(machine, zone):
    """A cold start: the zone is gone, as after a reboot, and so is the agent."""
    machine.agent.start()
    wait_for(lambda: machine.agent.status()["generation"] == 1, "a generation")
    machine.agent.stop()
    shutil.rmtree(zone)
    zone.mkdir()
    zone.chmod(0o755)
    machine.nginx.start()
    assert machine.served()
    assert "serving last good copy" in machine.nginx.log()


def test_agent_says_whose_the_zone_must_be(machine, zone):
    os.chown(zone, 0, 0)
    done = subprocess.run(machine.agent.command(), capture_output=True, text=True,
                          timeout=20, **as_user(AGENT))
    assert done.returncode == 3
    assert "must belong to the agent's user" in done.stderr


def test_upgrade_and_removal_under_load(machine, place):
    machine.start()
    n, root = machine.nginx, machine.root
    load = Load(n.port, lambda status, *_: None if status == 200 else f"status {status}")
    load.start()
    try:
        maps = {p: Path(f"/proc/{p}/maps").read_text() for p in n.workers()}
        assert all("ngx_mesh_core_module.so\n" in m for m in maps.values())
        dev_install("--destdir", str(root))
        wait_for(lambda: load.answers > 200, "requests over the new files")
        maps = {p: Path(f"/proc/{p}/maps").read_text() for p in n.workers()}
        assert all("ngx_mesh_core_module.so (deleted)" in m for m in maps.values())
        dev_install("--destdir", str(root), "--uninstall")
        seen = load.answers
        wait_for(lambda: load.answers > seen + 200, "requests without the files")
        # Its own configuration without the mesh: a reload unloads all of it.
        n.conf.write_text("\n".join(
            l for l in n.conf.read_text().replace("mesh_route;", "return 200;").splitlines()
            if not any(w in l for w in ("load_module", "mesh_zone", "log_format", "$mesh",
                                        "access_log"))))
        n.reload()
        wait_for(lambda: len(n.workers()) == 2, "the old workers' end")
        seen = load.answers
        wait_for(lambda: load.answers > seen + 200, "requests without the mesh")
    finally:
        load.stop()
    assert load.errors == []
    assert not any("mesh" in Path(f"/proc/{p}/maps").read_text() for p in n.workers())
