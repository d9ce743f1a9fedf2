# SPDX-License-Identifier: Apache-2.0
"""docker/entrypoint.sh, a container's first process, run without a container:
the shipped gateway, with a test's places and ports."""

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from meshtest.agent import Agent
from meshtest.nginx import NGINX
from meshtest.process import TOP, binary, environment, wait_for
from meshtest.shipped import Shipped

MESH = """
clusters:
  c: {{endpoints: ["{at}"]}}
hosts:
  - domains: ["*"]
    routes: [{{route: c, timeout: 30s}}]
"""


class Container:
    """The launcher, and what it starts, as children of a process of ours."""

    def __init__(self, directory, zone, at):
        # Only their files: the launcher starts both.
        self.nginx = Shipped(directory / "nginx", "release", zone, "gateway", 8080, admin=9145)
        self.agent = Agent(directory / "agent", "release", zone, MESH.format(at=at))
        self.zone = zone
        self.dir = directory
        self.seen = set()
        self.process = None

    def start(self, **settings):
        env = environment("release")
        env["PATH"] = f"{Path(binary('release', 'meshctl')).parent}:{Path(NGINX).parent}:{env['PATH']}"
        env.update(MESH_ZONE=str(self.zone), MESH_AGENT_CONF=str(self.agent.conf),
                   MESH_NGINX_CONF=str(self.nginx.conf), **settings)
        self.out = open(self.dir / "log", "wb")
        # As a container begins; a shell does not trap what nohup or "&" ignores.
        fresh = ["env", "--default-signal=HUP,INT,QUIT,TERM"]
        self.process = subprocess.Popen([*fresh, str(TOP / "docker/entrypoint.sh")], env=env,
                                        stdout=self.out, stderr=self.out,
                                        stdin=subprocess.DEVNULL)
        return self

    def log(self):
        return (self.dir / "log").read_text(errors="replace")

    def said(self, text, timeout=15):
        wait_for(lambda: text in self.log(), f'"{text}" in: {self.log()}', timeout)

    def ready(self):
        self.said("mesh-entrypoint: ready")
        assert self.child("nginx") and self.child("mesh-agent")
        return self

    def child(self, name):
        """Pid of its child that runs this program, or None."""
        pid = self.process.pid
        try:
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == name:
                    self.seen.add(int(child))
                    return int(child)
        except OSError:
            pass
        return None

    def served(self):
        return self.nginx.get("/")[0] == 200

    def send(self, sig):
        self.process.send_signal(sig)

    def ended(self, timeout=10):
        """Its status; and nothing of it is left."""
        status = self.process.wait(timeout)
        self.process = None
        assert not [p for p in self.seen if alive(p)]
        return status

    def stop(self):
        if self.process is not None:
            self.send(signal.SIGTERM)
            assert self.ended() == 0

    def close(self):
        if self.process is not None:
            self.child("nginx"), self.child("mesh-agent")
            self.process.kill()
            self.process.wait()
        for pid in self.seen:
            if alive(pid):
                os.kill(pid, signal.SIGTERM)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def container(tmp_path, zone, endpoints, started):
    endpoint = endpoints.add(name="a")
    c = started.add(Container(tmp_path, zone, endpoint.at))
    c.endpoint = endpoint
    return c


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_both(container, sig):
    container.start().ready()
    assert container.served()
    container.send(sig)
    assert container.ended() == 0
    assert "ending signal=TERM" in container.log()


def test_the_first_request_finds_a_mesh(container):
    container.start()
    wait_for(lambda: container.child("nginx"), "nginx")
    assert container.agent.status()["generation"] == 1
    container.ready()


def test_quit_lets_requests_finish(container):
    container.start().ready()
    container.endpoint.delay = 1.5
    answers = []
    asking = threading.Thread(target=lambda: answers.append(container.nginx.get("/")[0]))
    asking.start()
    wait_for(lambda: container.endpoint.requests, "the request at the endpoint")
    container.send(signal.SIGQUIT)
    assert container.ended(20) == 0
    asking.join(10)
    assert answers == [200]


def test_a_killed_agent_is_started_again(container):
    container.start().ready()
    first = container.child("mesh-agent")
    os.kill(first, signal.SIGKILL)
    container.said("mesh-agent ended with 137, the next one starts in 1 s")
    assert container.served()
    second = wait_for(lambda: container.child("mesh-agent"), "another agent")
    assert second != first
    wait_for(lambda: container.log().count("info running") == 2, "that it runs")
    # Back-off: it lived for less than a minute.
    os.kill(second, signal.SIGKILL)
    container.said("the next one starts in 2 s")
    assert container.served()
    # An end while there is no agent.
    container.send(signal.SIGTERM)
    assert container.ended() == 0


def test_hup_reaches_both(container):
    container.start().ready()
    nginx = container.child("nginx")
    children = Path(f"/proc/{nginx}/task/{nginx}/children")
    before = set(children.read_text().split())
    container.send(signal.SIGHUP)
    container.said("reading all sources again")
    wait_for(lambda: len(set(children.read_text().split()) - before) == 2, "new workers")
    assert container.child("nginx") == nginx and container.served()


def test_usr1_opens_logs_anew(container):
    container.start().ready()
    log = container.nginx.dir / "access.log"
    log.rename(log.with_suffix(".old"))
    container.send(signal.SIGUSR1)
    wait_for(log.exists, "a new access log")
    assert container.served()


def test_nginx_s_end_is_the_container_s(container):
    container.start().ready()
    nginx = container.child("nginx")
    workers = Path(f"/proc/{nginx}/task/{nginx}/children").read_text().split()
    os.kill(nginx, signal.SIGKILL)
    assert container.ended() == 137
    assert "nginx ended with 137" in container.log()
    # A container's other processes end with it; here nobody sees to that.
    for pid in workers:
        os.kill(int(pid), signal.SIGKILL)


def test_a_broken_agent_yaml_ends_it(container):
    container.agent.conf.write_text("zonk: /nowhere\n")
    container.start()
    assert container.ended() == 1
    assert re.search(r"agent\.yaml:1:1: zonk: unknown field", container.log())


def test_a_broken_nginx_conf_ends_it(container):
    container.nginx.conf.write_text("nonsense;\n")
    container.start()
    assert container.ended() == 1
    assert 'unknown directive "nonsense"' in container.log()


def test_nothing_to_publish_holds_nginx_back_for_a_while_only(container):
    container.agent.mesh.write_text("clusters: {c: {endpoint: x}}\n")
    container.start(MESH_READY_TIMEOUT="1")
    container.said("nothing was published in 1 s")
    container.said("not ready yet")
    assert container.nginx.get("/")[0] == 503
    # Mended, it serves.
    container.agent.write(MESH.format(at=container.endpoint.at))
    wait_for(container.served, "a 200")


def test_term_while_it_waits(container):
    container.agent.mesh.write_text("clusters: {c: {endpoint: x}}\n")
    container.start()
    container.said("part refused")
    container.send(signal.SIGTERM)
    began = time.monotonic()
    assert container.ended() == 0
    assert time.monotonic() - began < 8


def test_arguments_are_run_instead(container):
    done = subprocess.run([str(TOP / "docker/entrypoint.sh"), "echo", "a", "b"],
                          capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stdout) == (0, "a b\n")
