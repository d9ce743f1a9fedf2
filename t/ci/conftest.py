# SPDX-License-Identifier: Apache-2.0
"""One fresh Debian 12 with a clean clone, for all tests that want one."""

import os
import shutil
import signal
import subprocess

import pytest

from meshtest.process import BUILD, TOP

SKIP = 77


class CleanRoot:
    def __init__(self, path):
        self.path = path

    def run(self, script, *args, timeout):
        """t/ci/SCRIPT DIR ARGS: its text; it must end well."""
        done = subprocess.run([str(TOP / "t/ci" / script), str(self.path), *args],
                              capture_output=True, text=True, timeout=timeout,
                              errors="replace")
        text = done.stdout + done.stderr
        print(text[-4000:])
        if done.returncode == SKIP:
            pytest.skip(f"{script}: {text[-200:]}")
        assert done.returncode == 0, text[-6000:]
        return text


@pytest.fixture(scope="session")
def fuzzing(tmp_path_factory):
    """Every target, two minutes of a processor in all, beside the clean root,
    which mostly leaves one of two idle.  Its process, and where its output is."""
    path = tmp_path_factory.mktemp("fuzz") / "output"
    with open(path, "wb") as output:
        process = subprocess.Popen([str(TOP / "dev"), "fuzz", "120"], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output, start_new_session=True)
    try:
        yield process, path
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def clean_root():
    if os.getuid() != 0:
        pytest.skip("debootstrap needs root")
    root = CleanRoot(BUILD / "clean-root")
    try:
        root.run("clean_root.sh", "make", timeout=600)
        yield root
    finally:
        for path in BUILD.glob("clean-root*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
