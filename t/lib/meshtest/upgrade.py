# SPDX-License-Identifier: Apache-2.0
"""nginx as a daemon, which USR2 replaces; and one without our modules."""

import ctypes
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from .nginx import Nginx
from .process import wait_for, wait_for_port

SUBREAPER = 36
SANITIZERS = ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS")


class Adopted:
    """A process that became our child, or will when its parent ends; as Popen."""

    args = ["nginx"]

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                if not Path(f"/proc/{self.pid}").exists():
                    self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout=20):
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.005)
        return self.returncode

    def send_signal(self, sig):
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Daemon(Nginx):
    """USR2 is ignored while the parent of a master is the process that
    started it, so this one is a daemon, and becomes our child again."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        text = self.conf.read_text().replace("daemon off;", "daemon on;")
        # A new binary gets this environment only.
        text = "".join(f"env {v};\n" for v in SANITIZERS) + text
        self.conf.write_text(text)

    def start(self, wait=True):
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        super().start(wait=False)
        assert self.process.wait(20) == 0, self.log()
        wait_for(self._pid, "its pid")
        self.process = Adopted(self._pid())
        wait_for_port("127.0.0.1", self.port)
        self._wait_workers(self.process)
        return self

    def _pid(self):
        try:
            return int((self.dir / "nginx.pid").read_text() or 0)
        except FileNotFoundError:
            return 0

    def workers(self, master=None):
        """Those that do not drain.  A new binary is a child of its old
        master, too."""
        pid = (master or self.process).pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(p) for p in children if is_worker(p)]

    def _wait_workers(self, master):
        wait_for(lambda: len(self.workers(master)) >= self.count, "its workers")

    def upgrade(self):
        """USR2.  Returns the old master; .process is the new one."""
        old = self.process
        old.send_signal(signal.SIGUSR2)
        wait_for(lambda: self._pid() not in (0, old.pid), "the new master: " + self.log()[-2000:])
        self.process = Adopted(self._pid())
        self._wait_workers(self.process)
        return old

    def commit(self, old):
        """The old master ends; the new one is ours then."""
        old.send_signal(signal.SIGWINCH)
        wait_for(lambda: not self.workers(old), "the end of its workers", timeout=20)
        old.send_signal(signal.SIGQUIT)
        assert old.wait() == 0

    def back(self, old, sig=signal.SIGQUIT):
        """The new binary ends, after the old one was asked for workers again."""
        new, self.process = self.process, old
        old.send_signal(signal.SIGWINCH)
        wait_for(lambda: not self.workers(old), "the end of its workers", timeout=20)
        old.send_signal(signal.SIGHUP)
        self._wait_workers(old)
        new.send_signal(sig)
        new.wait()
        wait_for(lambda: self._pid() == old.pid, "the old pid file")


def is_worker(pid):
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return title.startswith(b"nginx: worker") and b"shutting down" not in title


class Stock(Daemon):
    """The same nginx.conf without what is ours."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        text = re.sub(r"load_module [^;]*mesh[^;]*;", "", self.conf.read_text())
        text = re.sub(r"log_format mesh [^;]*;", "log_format mesh '$status';", text)
        self.conf.write_text(text)
