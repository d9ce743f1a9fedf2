# SPDX-License-Identifier: Apache-2.0
"""Every fuzz target, 80 seconds of a processor in all."""

import subprocess

import pytest

from meshtest.process import TOP

pytestmark = pytest.mark.ci


def test_fuzz():
    done = subprocess.run([str(TOP / "dev"), "fuzz", "80"], text=True,
                          capture_output=True, timeout=900, errors="replace")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
