# SPDX-License-Identifier: Apache-2.0
"""mesh-agent and meshctl as a user runs them."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

from .process import SANITIZER_TEXT, binary, environment, stop, wait_for


class Agent:
    """`user`: the uid it runs as; its directory must be one that this user
    reaches.  `bin`: where its programs are, instead of the build."""

    def __init__(self, directory, variant, zone, text="", extra="", env=(), user=None,
                 bin=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.variant = variant
        self.bin = Path(bin) if bin else Path(binary(variant, "meshctl")).parent
        self.user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        self.zone = Path(zone)
        self.mesh = self.dir / "mesh.yaml"
        self.conf = self.dir / "agent.yaml"
        self.mesh.write_text(text)
        self.conf.write_text(
            f"zone: {zone}\nstate: {self.dir}/state\n{extra}\n"
            f"sources:\n  - file: {self.mesh}\n"
        )
        self.env = dict(env)
        self.process = None
        if user is not None:
            os.chown(self.dir, user, user)

    def command(self):
        return [str(self.bin / "mesh-agent"), "-c", str(self.conf)]

    def spawn(self, notify=None, **kwargs):
        """Starts it and waits for nothing."""
        env = {**environment(self.variant), **self.env}
        if notify:
            env["NOTIFY_SOCKET"] = notify
        self.log_file = open(self.dir / "agent.log", "ab")
        self.process = subprocess.Popen(
            self.command(), stdout=self.log_file, stderr=self.log_file,
            stdin=subprocess.DEVNULL, env=env, **self.user, **kwargs,
        )
        return self

    def start(self):
        """Starts it and waits until it says READY, as systemd would."""
        path = str(self.dir / "notify.sock")
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            os.chmod(path, 0o777)
            s.settimeout(30)
            self.spawn(notify=path)
            try:
                while b"READY=1" not in s.recv(4096):
                    pass
            except socket.timeout:
                raise AssertionError("mesh-agent is not ready: " + self.log()) from None
        return self

    def log(self):
        return (self.dir / "agent.log").read_text(errors="replace")

    def write(self, text):
        """Edits the mesh file as an editor does: a new file, renamed."""
        new = self.mesh.with_suffix(".new")
        new.write_text(text)
        new.rename(self.mesh)

    def apply(self, text, timeout=20):
        """Edits and waits until every live worker has it."""
        before = self.status()["generation"]
        self.write(text)
        return self.wait_applied(before + 1, timeout)

    def wait_applied(self, generation, timeout=20):
        def applied():
            status = self.status()
            live = [w for w in status.get("workers", ()) if w.get("state") == "live"]
            if status["generation"] < generation or not live:
                return None
            if any(w["generation"] < status["generation"] for w in live):
                return None
            return status

        return wait_for(applied, f"generation {generation} on all workers", timeout)

    def ctl(self, *args, check=True, stdin=None, timeout=30, **user):
        done = subprocess.run(
            [str(self.bin / "meshctl"), "--zone", str(self.zone), *args],
            capture_output=True, text=True, timeout=timeout, input=stdin,
            env=environment(self.variant), **user,
        )
        assert not any(s in done.stderr for s in SANITIZER_TEXT), done.stderr
        if check:
            assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done

    def status(self):
        return json.loads(self.ctl("status", "-o", "json").stdout)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None
        self.log_file.close()

    def stop(self, sig=signal.SIGTERM):
        if self.process is None:
            return
        status = stop(self.process, sig)
        self.process = None
        self.log_file.close()
        text = self.log()
        assert not any(s in text for s in SANITIZER_TEXT), text[-6000:]
        assert status == 0, f"mesh-agent ended with {status}: {text[-2000:]}"

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
