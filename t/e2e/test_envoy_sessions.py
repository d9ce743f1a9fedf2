# SPDX-License-Identifier: Apache-2.0
"""Sessions by a header in nginx-mesh and in Envoy: each takes the other's
values, and does the same with what is none."""

import base64
import http.client

import pytest

from meshtest.envoy import Envoy, bootstrap, cluster
from meshtest.process import free_port

MAIN = "mesh_zone {zone};"
HTTP = "server { listen 127.0.0.1:{port}; location / { mesh_route; } }"
TYPE = "type.googleapis.com/envoy.extensions."


def state(strict):
    return {"strict": strict, "session_state": {
        "name": "envoy.http.stateful_session.header",
        "typed_config": {
            "@type": f"{TYPE}http.stateful_session.header.v3.HeaderBasedSessionState",
            "name": "x-session"}}}


def envoy_config(port, at):
    """/strict/ and /loose/."""
    def route(name):
        per = {"@type": f"{TYPE}filters.http.stateful_session.v3.StatefulSessionPerRoute",
               "stateful_session": state(name == "strict")}
        return {"match": {"prefix": f"/{name}/"}, "route": {"cluster": "c"},
                "typed_per_filter_config": {"envoy.filters.http.stateful_session": per}}

    filters = [
        {"name": "envoy.filters.http.stateful_session", "typed_config": {
            "@type": f"{TYPE}filters.http.stateful_session.v3.StatefulSession"}},
        {"name": "envoy.filters.http.router", "typed_config": {
            "@type": f"{TYPE}filters.http.router.v3.Router"}}]
    host = {"name": "any", "domains": ["*"], "routes": [route("strict"), route("loose")]}
    return bootstrap(port, [host], [cluster("c", at)], http_filters=filters)


MESH = """
clusters:
  c: {endpoints: %s}
hosts:
  - domains: ["*"]
    routes:
      - match: {path: {prefix: /strict/}}
        route: c
        stateful_session: {header: x-session, strict: true}
      - match: {path: {prefix: /loose/}}
        route: c
        stateful_session: {header: x-session}
"""


@pytest.fixture
def both(agent, nginx, endpoints, started, tmp_path):
    """(endpoints, port of nginx-mesh, port of Envoy)."""
    made = [endpoints.add(f"127.0.8.{20 + i}", name=f"e{i}") for i in range(4)]
    at = [e.at for e in made]
    agent(MESH % at)
    ours = nginx(http=HTTP, main=MAIN)
    port = free_port()
    started.add(Envoy(tmp_path / "envoy", envoy_config(port, at), [port])).start()
    return made, ours.port, port


def ask(port, path, headers=()):
    """(status, headers of the answer in lower case)."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    c.putrequest("GET", path)
    for name, value in headers:
        c.putheader(name, value)
    c.endheaders()
    r = c.getresponse()
    r.read()
    c.close()
    return r.status, {k.lower(): v for k, v in r.getheaders()}


def test_values_are_the_same(both):
    """An endpoint is called alike, and found by what either says."""
    made, ours, envoys = both
    of = {}
    for port in (ours, envoys):
        for _ in range(12):
            status, headers = ask(port, "/loose/x")
            name, value = headers["x-endpoint"], headers["x-session"]
            assert status == 200 and of.setdefault(name, value) == value
    assert sorted(of) == [e.name for e in made]
    for name, value in of.items():
        for port in (ours, envoys):
            for path in ("/loose/x", "/strict/x"):
                status, headers = ask(port, path, [("X-Session", value)])
                assert (status, headers["x-endpoint"]) == (200, name)
                assert "x-session" not in headers


def test_values_that_are_none(both):
    """Nobody's address: another endpoint and its name, or 503 where it is
    strict.  What is no base64: as if there were nothing."""
    made, ours, envoys = both
    known = base64.b64encode(made[2].at.encode()).decode()
    nobody, words, long = (base64.b64encode(x).decode()
                           for x in (b"127.0.9.9:1", b"who", b"x" * 600))
    cases = [[nobody], [known, nobody], [nobody, known], [words], [long],
             [known[:-1] + "!"], [""], ["%%%"], ["===="], ["A"]]
    for values in cases:
        for path in ("/loose/x", "/strict/x"):
            a, b = (ask(port, path, [("X-Session", v) for v in values])
                    for port in (ours, envoys))
            assert a[0] == b[0], (path, values)
            assert ("x-session" in a[1]) == ("x-session" in b[1]), (path, values)
