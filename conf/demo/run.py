#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: shop services, mesh-agent, a gateway nginx.  `./dev run` calls it.

Starts everything below build/demo, says what to open and to try, and ends
everything on Ctrl-C.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
DEMO = TOP / "build" / "demo"
BIN = TOP / "build" / "release" / "bin"
MODULES = TOP / "build" / "release" / "modules"

SERVICES = [
    ("web", "v1", "127.0.1.1"), ("web", "v1", "127.0.1.2"),
    ("reviews", "v1", "127.0.1.11"), ("reviews", "v1", "127.0.1.12"),
    ("reviews", "v2", "127.0.1.21"), ("reviews", "v2", "127.0.1.22"),
    ("reviews", "v3", "127.0.1.31"),
    ("ratings", "v1", "127.0.1.41"),
]
PORT = 9080

TEXT = """
The demo shop is up (end it with Ctrl-C).

  open          {url}

Try, from another terminal, in this directory:

  1. A canary by editing a number. In build/demo/mesh.yaml change the weights
     90 and 10, save, and ask again; nothing reloads. Make a mistake: nothing
     changes, and it is told below.
       for i in $(seq 100); do curl -s {url}reviews; done | grep -o '"v[0-9]"' | sort | uniq -c

  2. One user sees v2:
       curl -s -H 'end-user: jason' {url}reviews

  3. Kill a replica; no request fails, and the mesh ejects it:
       kill {victim}
       for i in $(seq 100); do curl -s -o /dev/null -w '%{{http_code}}\\n' {url}reviews; done | sort | uniq -c
       build/demo/meshctl endpoints reviews

  4. Ask why a request goes where it goes:
       build/demo/meshctl explain GET http://shop.local/reviews -H 'end-user: jason'

  5. What the snapshot holds, who has it, and back again:
       build/demo/meshctl status
       build/demo/meshctl history
       build/demo/meshctl rollback 1
       curl -s {url}mesh/status
       curl -s {url}mesh/metrics

Logs are in build/demo. From now on, what mesh-agent says:
"""


def free_port(first):
    for port in range(first, first + 200):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("demo: no free port")


def answers(address, port):
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def wait(condition, what, process=None):
    deadline = time.monotonic() + 15
    while not condition():
        if process is not None and process.poll() is not None:
            sys.exit(f"demo: {what}: the process ended with {process.returncode}; "
                     f"see {DEMO.relative_to(TOP)}/*.log")
        if time.monotonic() > deadline:
            sys.exit(f"demo: waited 15 s in vain for {what}")
        time.sleep(0.02)


class Demo:
    def __init__(self):
        # Before anything is removed: it may be another demo's of this tree.
        for _, _, address in SERVICES:
            if answers(address, PORT):
                sys.exit(f"demo: {address}:{PORT} is in use already; is another demo running?")
        self.processes = []
        shutil.rmtree(DEMO, ignore_errors=True)
        (DEMO / "tmp").mkdir(parents=True)
        (DEMO / "pid").write_text(str(os.getpid()))
        # The zone wants a tmpfs, where the system has one to write to.
        shm = Path("/dev/shm")
        base = shm if shm.is_dir() and os.access(shm, os.W_OK) else DEMO
        self.zone = base / f"nginx-mesh-demo.{os.getpid()}"
        self.port = free_port(8080)

    def spawn(self, name, *command):
        with open(DEMO / f"{name}.log", "ab") as log:
            p = subprocess.Popen([str(c) for c in command], cwd=TOP, stdout=log,
                                 stderr=log, stdin=subprocess.DEVNULL,
                                 start_new_session=True)
        self.processes.append(p)
        return p

    def start(self):
        victim = None
        for service, version, address in SERVICES:
            p = self.spawn(service, sys.executable, TOP / "conf/demo/shop.py",
                           service, version, address, PORT)
            victim = p.pid if (service, address) == ("reviews", "127.0.1.11") else victim
        for service, _, address in SERVICES:
            wait(lambda: answers(address, PORT), f"{service} at {address}")

        shutil.copy(TOP / "conf/demo.yaml", DEMO / "mesh.yaml")
        (DEMO / "agent.yaml").write_text(
            f"zone: {self.zone}\nstate: {DEMO}/state\n"
            f"sources:\n  - file: {DEMO}/mesh.yaml\n")
        meshctl = DEMO / "meshctl"
        meshctl.write_text(f'#!/bin/sh\nexec "{BIN}/meshctl" --zone "{self.zone}" "$@"\n')
        meshctl.chmod(0o755)
        agent = self.spawn("agent", BIN / "mesh-agent", "-c", DEMO / "agent.yaml")
        wait(lambda: "published" in (DEMO / "agent.log").read_text(), "mesh-agent", agent)

        text = (TOP / "conf/demo/nginx.conf").read_text()
        user = "user root;" if os.getuid() == 0 else ""
        for name, value in (("@MODULES@", MODULES), ("@DIR@", DEMO), ("@USER@", user),
                            ("@ZONE@", self.zone), ("@PORT@", self.port)):
            text = text.replace(name, str(value))
        (DEMO / "nginx.conf").write_text(text)
        nginx = self.spawn("nginx", "/usr/sbin/nginx", "-p", DEMO, "-c", DEMO / "nginx.conf")
        wait(lambda: answers("127.0.0.1", self.port), "nginx", nginx)
        print(TEXT.format(url=f"http://127.0.0.1:{self.port}/", victim=victim), flush=True)
        return agent, nginx

    def stop(self):
        for p in reversed(self.processes):
            if p.poll() is None:
                p.terminate()
        for p in reversed(self.processes):
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        shutil.rmtree(self.zone, ignore_errors=True)


def main():
    def interrupted(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    demo = Demo()
    try:
        agent, nginx = demo.start()
        with open(DEMO / "agent.log", errors="replace") as log:
            while agent.poll() is None and nginx.poll() is None:
                for line in log:
                    print("  " + line.partition(" ")[2], end="", flush=True)
                time.sleep(0.1)
        print("demo: agent or nginx ended by itself; see build/demo/*.log")
        return 1
    except KeyboardInterrupt:
        print("\ndemo: ending")
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        demo.stop()


if __name__ == "__main__":
    sys.exit(main())
