# SPDX-License-Identifier: Apache-2.0
"""Places, free ports, waiting for conditions, and processes that end."""

import collections
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
BUILD = TOP / "build"
SANITIZER_TEXT = (
    "ERROR: AddressSanitizer",
    "ERROR: LeakSanitizer",
    "runtime error:",
)


def binary(variant, name):
    return str(BUILD / variant / "bin" / name)


_given_ports = collections.deque(maxlen=4000)


def free_port(address="127.0.0.1"):
    """A port that is free now and that no other caller was given lately.

    Below the ephemeral range, so that no outgoing connection takes it.
    """
    for _ in range(2000):
        port = 12000 + int.from_bytes(os.urandom(2), "little") % 18000
        if port in _given_ports:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((address, port))
            except OSError:
                continue
        _given_ports.append(port)
        return port
    raise RuntimeError("no free port")


def wait_for(condition, what, timeout=20.0, step=0.005):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(step)


def wait_for_port(address, port, timeout=20.0):
    def connected():
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            return False

    wait_for(connected, f"a listener on {address}:{port}", timeout)


def environment(variant, preload=False):
    """The environment of a process of a build variant.

    Stock nginx knows nothing of sanitizers, so their runtime is preloaded.
    """
    env = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    if variant == "asan":
        # nginx generates the same globals (ngx_modules, ...) into every module.
        env["ASAN_OPTIONS"] = (
            "detect_leaks=0:abort_on_error=0:exitcode=99:detect_odr_violation=0"
        )
        env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
        if preload:
            names = ("libasan.so", "libubsan.so")
            env["LD_PRELOAD"] = " ".join(
                subprocess.run(
                    ["gcc", f"-print-file-name={n}"],
                    check=True, capture_output=True, text=True,
                ).stdout.strip()
                for n in names
            )
    return env


def stop(process, sig=signal.SIGTERM, timeout=20.0):
    """Ends a process that we started and returns its status."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{process.args[0]} did not end on {sig}")
    return process.returncode
