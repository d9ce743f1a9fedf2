# SPDX-License-Identifier: Apache-2.0
"""The house rules hold (t/lib/lint.py says which)."""

import subprocess

import pytest

from meshtest.process import TOP

pytestmark = pytest.mark.ci


def test_lint():
    done = subprocess.run(["/usr/bin/python3", str(TOP / "t/lib/lint.py")],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
