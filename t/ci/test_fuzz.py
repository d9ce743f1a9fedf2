# SPDX-License-Identifier: Apache-2.0
"""Every fuzz target, two minutes in all."""

import pytest

pytestmark = pytest.mark.ci


def test_fuzz_two_minutes(fuzzing):
    process, path = fuzzing
    assert process.wait(900) == 0, path.read_text(errors="replace")[-6000:]
