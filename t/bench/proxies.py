# SPDX-License-Identifier: Apache-2.0
"""Starts the proxies that are compared, each pinned to the last core."""

import os
import shutil
import subprocess
from pathlib import Path

from meshtest.agent import Agent
from meshtest.envoy import BINARY as ENVOY
from meshtest.nginx import NGINX
from meshtest.process import BUILD, free_port, stop, wait_for_port

import configs

CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, LOAD_CORE = CORES[-1], CORES[0]
ALL_CORES = ",".join(map(str, CORES))


def pinned(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


def tree(pid):
    """A process and all that come from it."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        todo += [int(c) for c in children.split()]
    return found


class Proxy:
    """`name`, `port`, and the CPU time of the process that does the work."""

    core = PROXY_CORE

    def __init__(self, name, directory, at):
        self.name = name
        self.dir = Path(directory) / name
        (self.dir / "tmp").mkdir(parents=True)
        self.port = free_port()
        self.ports = [a.rpartition(":")[2] for a in at]
        self.at = at
        self.process = None

    def start(self, prefix=()):
        with open(self.dir / "out.log", "ab") as log:
            self.process = subprocess.Popen(
                pinned(self.core, [*prefix, *self.command()]),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for_port("127.0.0.1", self.port, timeout=60)
        return self

    def cpu_ns(self):
        """Of the whole tree and all threads: schedstat's first number."""
        total = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def pids(self):
        return tree(self.process.pid)

    def stop(self):
        if self.process is not None:
            stop(self.process, timeout=60)
            self.process = None


class Nginx(Proxy):
    load = main = ""

    def __init__(self, *args, master="on", workers=1):
        super().__init__(*args)
        if workers > 1:
            self.core = ALL_CORES
        (self.dir / "nginx.conf").write_text(configs.NGINX_HEAD.format(
            load=self.load, dir=self.dir, master=master, main=self.main_text(), workers=workers,
            affinity="worker_cpu_affinity auto;" if workers > 1 else "",
            user="user root;" if os.getuid() == 0 else "", http=self.http()))

    def main_text(self):
        return ""

    def command(self):
        return [NGINX, "-p", self.dir, "-c", self.dir / "nginx.conf"]


class Stock(Nginx):
    def http(self):
        return configs.STOCK.format(
            port=self.port, servers=" ".join(f"server {a};" for a in self.at))


class Mesh(Nginx):
    """`more`: of its mesh's text, what becomes of it."""

    load = "\n".join(f"load_module {BUILD}/release/modules/{m}.so;" for m in
                     ("ngx_mesh_core_module", "ngx_http_mesh_module"))

    def __init__(self, name, directory, at, zone, more=lambda text: text, **kwargs):
        self.zone = zone
        super().__init__(name, directory, at, **kwargs)
        rows = ", ".join(f'"{a}"' for a in at)
        self.agent = Agent(self.dir / "agent", "release", zone, more(configs.MESH_YAML.format(endpoints=rows)))

    def main_text(self):
        return f"mesh_zone {self.zone};"

    def http(self):
        return configs.MESH.format(port=self.port)

    def start(self, prefix=()):
        self.agent.start()
        return super().start(prefix)

    def stop(self):
        super().stop()
        self.agent.stop()


class Haproxy(Proxy):
    def command(self):
        servers = "\n".join(f"    server s{i} {a} check inter 60s"
                            for i, a in enumerate(self.at))
        path = self.dir / "haproxy.cfg"
        path.write_text(configs.HAPROXY.format(port=self.port, servers=servers))
        return ["/usr/sbin/haproxy", "-db", "-q", "-f", path]


class Envoy(Proxy):
    """`more`: of its configuration's text, what becomes of it."""

    def __init__(self, *args, more=lambda text: text):
        super().__init__(*args)
        self.more = more

    def command(self):
        rows = ", ".join(configs.ENVOY_ENDPOINT.format(port=p) for p in self.ports)
        c, d = (configs.ENVOY_CLUSTER.format(name=x, endpoints=rows) for x in "cd")
        path = self.dir / "envoy.yaml"
        path.write_text(self.more(configs.ENVOY.format(port=self.port, c=c, d=d)))
        return [ENVOY, "-c", path, "--concurrency", "1", "-l", "error",
                "--disable-hot-restart"]


def all_of_them(directory, at, zone):
    """Every proxy of the comparison that is on this machine."""
    made = [Stock("nginx", directory, at), Mesh("mesh", directory, at, zone)]
    if shutil.which("haproxy", path="/usr/sbin:/usr/bin"):
        made.append(Haproxy("haproxy", directory, at))
    if ENVOY.exists():
        made.append(Envoy("envoy", directory, at))
    return made
