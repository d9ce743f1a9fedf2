# SPDX-License-Identifier: Apache-2.0
"""docs/model-fields.md says something of each field of a stock Istio mesh;
README's and the demo's YAML decode."""

import re
import subprocess

from meshtest.process import TOP, binary


def test_each_of_the_211_fields_has_one_row():
    rows = re.findall(r"^\|\s*`?([a-z][A-Za-z0-9_.]*\.[A-Za-z0-9_.]+)`?\s*\|",
                      (TOP / "docs/model-fields.md").read_text(), re.M)
    assert len(rows) == 211
    assert len(set(rows)) == 211


def validate(path):
    return subprocess.run([binary("release", "meshctl"), "validate", str(path)],
                          capture_output=True, text=True, timeout=30)


def test_demo_has_no_errors_and_no_warnings():
    done = validate(TOP / "conf/demo.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.replace("0 warnings", "")


def test_readme_s_yaml_is_valid(tmp_path):
    text = (TOP / "README.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", text, re.S).group(1)
    path = tmp_path / "readme.yaml"
    path.write_text(block)
    done = validate(path)
    assert done.returncode == 0, done.stdout + done.stderr
