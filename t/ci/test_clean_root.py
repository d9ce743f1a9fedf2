# SPDX-License-Identifier: Apache-2.0
"""README's two commands on a fresh Debian 12, from a clean clone."""

import os
import shutil
import subprocess

import pytest

from meshtest.process import BUILD, TOP

pytestmark = pytest.mark.ci


@pytest.mark.skipif(os.getuid() != 0, reason="debootstrap needs root")
def test_two_commands_in_a_clean_root():
    root = BUILD / "clean-root"
    try:
        done = subprocess.run(
            [str(TOP / "t/ci/clean_root.sh"), str(root)], capture_output=True,
            text=True, timeout=1500, errors="replace",
        )
        text = done.stdout + done.stderr
        print(text[-4000:])
        assert done.returncode == 0, text[-6000:]
        assert "demo answers 200" in text
        assert " passed" in text
    finally:
        shutil.rmtree(root, ignore_errors=True)
