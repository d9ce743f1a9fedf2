# SPDX-License-Identifier: Apache-2.0
"""meshctl lint: of files and of what is published; what it prints, and how it
ends.  Rules themselves are in t/unit/lint."""

import json
import re
import subprocess

import pytest

from meshtest.process import TOP, binary, environment

MESH = """\
clusters:
  reviews:
    endpoints: ["127.0.1.1:9080", "127.0.1.2:9080"]
    outlier_detection: {}
  spare:
    endpoints: ["127.0.1.3:9080"]
hosts:
  - domains: shop.local
    routes:
      - match: {path: /reviews}
        route: reviews
      - match: {path: /reviews/1, methods: GET}
        route: reviews
"""


@pytest.fixture
def lint(variant, tmp_path):
    def run(*args, mesh=MESH, code=1):
        path = tmp_path / "mesh.yaml"
        path.write_text(mesh)
        done = subprocess.run([binary(variant, "meshctl"), "lint", "mesh.yaml", *args],
                              cwd=tmp_path, capture_output=True, text=True,
                              env=environment(variant), timeout=30)
        assert done.returncode == code, (args, done.stdout, done.stderr)
        return done
    return run


def test_findings_have_their_places(lint):
    done = lint()
    assert done.stdout.splitlines() == [
        'mesh.yaml:2:3: warning: cluster "reviews": max_ejection_percent 10 of 2 endpoints is '
        'none; at least 50 ejects one [never-ejects]',
        'mesh.yaml:5:3: info: cluster "spare": no route leads to it; an upstream in nginx.conf '
        'may [unused-cluster]',
        'mesh.yaml:12:9: warning: route "shop.local/1": route "shop.local/0" (line 10) before '
        'it takes all of its requests [unreachable-route]',
        '3 findings, 2 warnings',
    ]


def test_json(lint):
    found = json.loads(lint("-o", "json").stdout)
    assert [f["code"] for f in found] == ["never-ejects", "unused-cluster", "unreachable-route"]
    assert found[2] == {"code": "unreachable-route", "severity": "warning", "file": "mesh.yaml",
                        "line": 12, "column": 9, "resource": 'route "shop.local/1"',
                        "text": 'route "shop.local/0" (line 10) before it takes all of its '
                                'requests'}


def test_ignored_codes_count_for_nothing(lint):
    done = lint("--ignore", "never-ejects", "--ignore", "unreachable-route", code=0)
    assert done.stdout.splitlines()[-1] == "1 finding, 0 warnings"
    done = lint("--ignore", "never-eject", code=2)
    assert "no rule of lint is \"never-eject\"; they are: unreachable-route " in done.stderr


def test_files_with_errors(lint):
    done = lint(mesh=MESH.replace("route: reviews", "route: review", 1))
    assert done.stdout == ""
    assert 'found cluster "review"' in done.stderr and "nothing else is told" in done.stderr
    done = lint("nowhere.yaml", code=3)
    assert "nowhere.yaml: No such file" in done.stderr


def test_gateways(lint):
    mesh = MESH.replace("- match: {path: /reviews}", "- match: {path: /reviews}\n"
                        "        retries: {on: reset, attempts: 2}\n"
                        "        rewrite: {prefix: /x}")
    mesh += "      - match: {path: /x}\n        route: spare\n" \
            "        retries: {on: reset, attempts: 3}\n"
    assert "amplification" not in lint(mesh=mesh).stdout
    assert 'a request may become 12 tries: "shop.local/0" (3), then "shop.local/2" (4)' in \
        lint("--gateway", "127.0.1.1:9080", mesh=mesh).stdout


def test_of_what_is_published(agent):
    a = agent(MESH)
    done = a.ctl("lint", check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        'warning: route "shop.local/1": route "shop.local/0" before it takes all of its '
        'requests [unreachable-route]',
        'info: cluster "spare": no route leads to it; an upstream in nginx.conf may '
        '[unused-cluster]',
        'warning: cluster "reviews": max_ejection_percent 10 of 2 endpoints is none; at least '
        '50 ejects one [never-ejects]',
        '3 findings, 2 warnings',
    ]
    assert all("file" not in f for f in
               json.loads(a.ctl("lint", "-o", "json", check=False).stdout))
    a.kill()
    assert a.ctl("lint", check=False).stdout == done.stdout
    assert a.ctl("lint", "--at", "77", check=False).returncode == 3


def test_of_no_zone(variant, tmp_path):
    done = subprocess.run([binary(variant, "meshctl"), "--zone", str(tmp_path), "lint"],
                          capture_output=True, text=True, env=environment(variant))
    assert done.returncode == 3 and "nothing was published there" in done.stderr


def test_each_code_is_in_the_documentation(lint):
    codes = lint("--ignore", "x", code=2).stderr.split("they are:")[1].split()
    text = (TOP / "docs/meshctl.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (?:warning|info) \|", text, re.M)
    assert rows == codes


def test_shipped_meshes_have_no_findings(variant):
    for path in (TOP / "conf/demo.yaml", TOP / "conf/gateway/mesh.yaml",
                 TOP / "conf/fleet/mesh.yaml"):
        done = subprocess.run([binary(variant, "meshctl"), "lint", str(path)],
                              capture_output=True, text=True, env=environment(variant))
        assert (done.returncode, done.stdout) == (0, "0 findings, 0 warnings\n"), path
