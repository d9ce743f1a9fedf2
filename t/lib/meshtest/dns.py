# SPDX-License-Identifier: Apache-2.0
"""dnsmasq as the DNS server of a test, with records that the test changes."""

import signal
import socket
import struct
import subprocess
from pathlib import Path

from .process import free_port, stop, wait_for


class Dns:
    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.hosts = self.dir / "hosts"
        self.services = []
        self.process = None
        self.set({})

    @property
    def at(self):
        return f"127.0.0.1:{self.port}"

    def set(self, records):
        """{"name": ["127.0.1.1", ...]}: all that it knows, from now on."""
        self.hosts.write_text("".join(
            f"{a} {name}\n" for name, addresses in records.items() for a in addresses))
        if self.process is not None:
            before = self.count()
            self.process.send_signal(signal.SIGHUP)
            wait_for(lambda: self.count() > before, "dnsmasq to read its records")

    def count(self):
        return (self.dir / "log").read_text().count("read " + str(self.hosts))

    def start(self, services=(), ttl=0):
        """services: "_http._tcp.name,target,port[,priority[,weight]]"."""
        self.log = open(self.dir / "log", "ab")
        self.process = subprocess.Popen(
            ["/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
             f"--port={self.port}", "--listen-address=127.0.0.1", "--bind-interfaces",
             "--no-resolv", "--no-hosts", f"--addn-hosts={self.hosts}", "--log-facility=-",
             f"--local-ttl={ttl}", "--user=root", "--pid-file=",
             "--local=/test/", "--log-queries", *[f"--srv-host={s}" for s in services]],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        wait_for(self._answers, "dnsmasq")
        return self

    def _answers(self):
        query = struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\1x\4test\0\0\1\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.sendto(query, ("127.0.0.1", self.port))
                return s.recv(512)
            except OSError:
                return None

    def freeze(self):
        """It answers no more, and refuses nothing: as a server that is lost."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process is not None:
            self.thaw()
            stop(self.process)
            self.process = None
            self.log.close()

    close = stop
