# SPDX-License-Identifier: Apache-2.0
"""docs/install.md on a machine of its own, with its systemd: install, load,
restart, upgrade, boot again, remove.  Skipped where systemd cannot be booted in
namespaces, and for that not among the required ones."""

import pytest

pytestmark = pytest.mark.ci


def test_install_on_a_machine(clean_root):
    clean_root.run("clean_root.sh", "systemd", timeout=900)
    first = clean_root.run("boot_root.sh", "/src/t/ci/install_checks.sh first-boot", timeout=300)
    assert "== an upgrade" in first
    second = clean_root.run("boot_root.sh", "/src/t/ci/install_checks.sh second-boot", timeout=300)
    assert "==> removed" in second
