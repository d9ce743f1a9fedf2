# SPDX-License-Identifier: Apache-2.0
"""The configurations that conf/ ships do what they say."""

import json
import re
import socket

import pytest

from meshtest.process import TOP
from meshtest.shipped import Shipped, mesh_of


@pytest.fixture
def run(agent, started, variant, zone, tmp_path, endpoints):
    """run(name, {address: endpoint's name}, port, more ports) -> agent, nginx"""
    def make(name, names, port, **ports):
        at = {a: endpoints.add(name=n).at for a, n in names.items()}
        a = agent(mesh_of(name, at))
        n = started.add(Shipped(tmp_path / "nginx", variant, zone, name, port, **ports)).start()
        a.ctl("wait")
        return a, n
    return make


GATEWAY = {"127.0.0.1:8001": "web-1", "127.0.0.1:8002": "web-2",
           "127.0.0.1:8101": "api-1", "127.0.0.1:8102": "api-2", "127.0.0.1:8111": "api-next"}


@pytest.fixture
def gateway(run):
    return run("gateway", GATEWAY, 8080, admin=9145)


def answered(n, path, **kwargs):
    status, headers, body = n.get(path, host="shop.example", **kwargs)
    assert status == 200, (path, status, body)
    return headers["x-endpoint"], json.loads(body)


def test_gateway_routes(gateway):
    _, n = gateway
    assert {answered(n, "/")[0] for _ in range(4)} == {"web-1", "web-2"}
    versions = [answered(n, "/api/x")[0] for _ in range(100)]
    assert 4 <= versions.count("api-next") <= 6
    assert answered(n, "/api/x", headers={"x-release": "next"})[0] == "api-next"
    assert n.get("/", host="www.shop.example")[0] == 200
    status, _, body = n.get("/", host="elsewhere")
    assert (status, body) == (404, b"no such host here\n")


def test_gateway_tells_endpoints_who_asked(gateway):
    _, n = gateway
    seen = {k.lower(): v for k, v in answered(n, "/")[1]["headers"]}
    assert seen["host"] == "shop.example"
    assert seen["x-forwarded-for"] == "127.0.0.1" and seen["x-forwarded-proto"] == "http"
    assert re.fullmatch("[0-9a-f]{32}", seen["x-request-id"])


def test_gateway_log_repeats_a_decision(gateway):
    """The command that the configuration's comment promises."""
    a, n = gateway
    for i in range(5):
        where = answered(n, "/")[0]
        line = dict(re.findall(r'(\w+)="?([^" ]*)', n.logged(i + 1)[-1]))
        assert (line["route"], line["cluster"]) == ("web", "web")
        assert (line["attempts"], line["flags"]) == ("1", "-")
        told = json.loads(a.ctl("explain", "GET", "http://shop.example/", "--ticket",
                                line["ticket"], "--at", line["generation"],
                                "-o", "json").stdout)
        assert told["endpoint"] == line["endpoint"], (where, line)


def test_gateway_limits(gateway):
    _, n = gateway
    big = [("x-big-%d" % i, "a" * 15000) for i in range(6)]
    assert n.get("/", headers=dict(big))[0] == 400
    assert n.get("/", method="POST", headers={"Content-Length": str(65 << 20)},
                 body=b"")[0] == 413
    assert "nginx/" not in str(n.get("/", headers=dict(big)))


def test_gateway_status_is_for_the_machine(gateway):
    _, n = gateway
    for path in ("/mesh/status", "/mesh/metrics"):
        assert n.get(path, port=n.admin)[0] == 200
        assert n.get(path, host="elsewhere")[0] == 404
    assert "mesh_cluster_requests_total" in n.get("/mesh/metrics", port=n.admin)[2].decode()
    text = (TOP / "conf/gateway/nginx.conf").read_text()
    assert "listen 127.0.0.1:9145;" in text


FLEET = {"127.0.0.1:9081": "r1", "127.0.0.1:9082": "r2", "127.0.0.1:9083": "r3",
         "127.0.0.1:3306": "db"}


def test_fleet(run, endpoints):
    a, n = run("fleet", FLEET, 8080, tcp=3307)
    # Equals are drawn.
    seen = [n.get("/reviews/1")[1]["x-endpoint"] for _ in range(120)]
    assert set(seen) == {"r1", "r2", "r3"}
    # The location's own retries, on the mesh's endpoints.
    victim = [e for e in endpoints._all if e.name == "r1"][0]
    victim.kill()
    assert all(n.get("/reviews/1")[0] == 200 for _ in range(20))
    # TCP.
    assert n.get("/", port=n.tcp)[1]["x-endpoint"] == "db"
    # What the mesh does not know of stays nginx's: nobody listens there.
    assert n.get("/other")[0] == 502
    # An endpoint comes by an edit alone.
    fresh = endpoints.add(name="r4")
    a.apply(a.mesh.read_text().replace(victim.at, fresh.at))
    assert "r4" in {n.get("/reviews/1")[1]["x-endpoint"] for _ in range(120)}
    n.stop(allow=[r"connect\(\) failed"])


def test_fleet_is_a_stock_configuration_but_for_the_marked_lines():
    text = (TOP / "conf/fleet/nginx.conf").read_text()
    marked = [l for l in text.splitlines() if "# mesh" in l]
    assert len(marked) == 6
    plain = "".join(l + "\n" for l in text.splitlines()
                    if "# mesh" not in l and not l.lstrip().startswith("#"))
    assert "mesh" not in plain
