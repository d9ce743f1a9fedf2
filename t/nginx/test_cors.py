# SPDX-License-Identifier: Apache-2.0
"""CORS: preflights that are answered here, headers of real responses; and all
of it as Envoy has it, where there is one."""

import json
import re
import subprocess
from http.client import HTTPConnection

import pytest

from meshtest.envoy import BINARY, envoy_of
from meshtest.process import binary
from meshtest.upstream import MAIN

HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route; add_header X-Cluster $mesh_cluster always; }
    }
"""
MESH = """
clusters:
  c: {endpoints: ['%s']}
  none: {}
hosts:
  - domains: ["*"]
    response_headers: {add: {x-host: h}}
    cors: {allow_origin: "http://host.test", expose_headers: x-host, max_age: 5s}
    routes:
      - name: own
        match: {path: {prefix: /own}}
        route: c
        response_headers: {set: {x-route: r}}
        cors:
          allow_origin: ["http://a.test", {prefix: "http://p."}, {suffix: .s},
                         {contains: mid, ignore_case: true}, {regex: "https://[a-z]+\\\\.re"}]
          allow_methods: [GET, POST]
          allow_headers: "x-a,x-b"
          allow_credentials: true
          allow_private_network_access: true
      - {name: any, match: {path: {prefix: /any}}, route: c,
         cors: {allow_origin: "*", max_age: 0, allow_methods: "*", allow_headers: "*",
                expose_headers: "*"}}
      - {name: closed, match: {path: {prefix: /closed}}, route: c,
         cors: {allow_origin: ["http://a.test"], allow_headers: x-c,
                forward_not_matching_preflights: false}}
      - {name: nobody, match: {path: {prefix: /nobody}}, route: none}
      - {name: direct, match: {path: {prefix: /direct}}, respond: 204}
      - {name: away, match: {path: {prefix: /away}}, redirect: {host: b.test}}
      - {name: rest, route: c}
"""
POLICY = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"


def policy(**fields):
    return {"envoy.filters.http.cors": {"@type": POLICY, **fields}}


def same_in_envoy(at):
    """The same hosts in Envoy's words."""
    def route(prefix, to=None, **more):
        return {"match": {"prefix": prefix}, **(to or {"route": {"cluster": "c"}}), **more}

    return [{
        "name": "h", "domains": ["*"],
        "response_headers_to_add": [{"header": {"key": "x-host", "value": "h"}}],
        "typed_per_filter_config": policy(
            allow_origin_string_match=[{"exact": "http://host.test"}],
            expose_headers="x-host", max_age="5"),
        "routes": [
            route("/own", response_headers_to_add=[
                {"header": {"key": "x-route", "value": "r"},
                 "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
                typed_per_filter_config=policy(
                    allow_origin_string_match=[
                        {"exact": "http://a.test"}, {"prefix": "http://p."}, {"suffix": ".s"},
                        {"contains": "mid", "ignore_case": True},
                        {"safe_regex": {"regex": "https://[a-z]+\\.re"}}],
                    allow_methods="GET, POST", allow_headers="x-a,x-b", allow_credentials=True,
                    allow_private_network_access=True)),
            route("/any", typed_per_filter_config=policy(
                allow_origin_string_match=[{"exact": "*"}], max_age="0", allow_methods="*",
                allow_headers="*", expose_headers="*")),
            route("/closed", typed_per_filter_config=policy(
                allow_origin_string_match=[{"exact": "http://a.test"}], allow_headers="x-c",
                forward_not_matching_preflights=False)),
            route("/nobody", {"route": {"cluster": "none"}}),
            route("/direct", {"direct_response": {"status": 204}}),
            route("/away", {"redirect": {"host_redirect": "b.test"}}),
            route("/"),
        ]}]


@pytest.fixture
def start(agent, nginx, endpoints):
    e = endpoints.add("127.0.8.1")
    agent(MESH % e.at)
    return nginx(http=HTTP, main=MAIN), e


def ask(port, path, origin=None, method="GET", **headers):
    """(status, CORS and other own headers) of one request."""
    c = HTTPConnection("127.0.0.1", port, timeout=20)
    sent = {k.replace("_", "-"): v for k, v in headers.items()}
    if origin is not None:
        sent["Origin"] = origin
    c.request(method, path, headers=sent)
    r = c.getresponse()
    r.read()
    c.close()
    got = {}
    for k, v in r.getheaders():
        # Envoy sends an empty header where a wildcard meets nothing.
        if v and re.match(r"access-control-|x-host|x-route|vary", k, re.I):
            got[k.lower()] = ", ".join(filter(None, [got.get(k.lower()), v]))
    return r.status, got


def preflight(port, path, origin, **more):
    return ask(port, path, origin, "OPTIONS", access_control_request_method="GET", **more)


ORIGINS = [None, "", "null", "http://a.test", "HTTP://A.TEST", "http://b.test", "http://p.x",
           "x.s", "http://MiD.x", "https://abc.re", "https://a.b.re", "http://host.test", "*"]


def test_responses(start):
    n, e = start
    allowed = {"access-control-allow-origin": "http://a.test",
               "access-control-allow-credentials": "true",
               "access-control-expose-headers": "x-host",
               "x-host": "h", "x-route": "r", "vary": "origin"}
    assert ask(n.port, "/own", "http://a.test") == (200, allowed)
    assert ask(n.port, "/own", "http://a.test", "OPTIONS") == (200, allowed)
    foreign = {"x-host": "h", "x-route": "r", "vary": "origin"}
    assert ask(n.port, "/own", "http://b.test") == (200, foreign)
    assert ask(n.port, "/own") == (200, foreign)
    status, headers = ask(n.port, "/nobody", "http://host.test")
    assert status == 503 and headers["access-control-allow-origin"] == "http://host.test"
    # Neither redirects nor direct responses have one, and nobody varies there.
    for path in "/direct", "/away":
        assert set(ask(n.port, path, "http://host.test")[1]) == {"x-host"}


@pytest.mark.parametrize("said, vary", [
    (None, "origin"), ("accept", "accept, origin"), ("accept , Origin", "accept , Origin"),
    ("*", "*"), ("origins", "origins, origin")])
def test_an_endpoints_own_words_do_not_count(start, said, vary):
    n, e = start
    e.headers = {"Access-Control-Allow-Origin": "*", "access-control-expose-headers": "secret"}
    if said:
        e.headers["Vary"] = said
    status, headers = ask(n.port, "/own", "http://a.test")
    assert headers["access-control-allow-origin"] == "http://a.test"
    assert headers["access-control-expose-headers"] == "x-host"
    assert headers["vary"] == vary


def test_preflights(start):
    n, e = start
    assert preflight(n.port, "/own", "http://a.test") == (200, {
        "access-control-allow-origin": "http://a.test",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-host",
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "x-a,x-b",
        "access-control-max-age": "5", "vary": "origin"})
    assert preflight(n.port, "/closed", "http://b.test") == (200, {
        "access-control-allow-headers": "x-c", "access-control-max-age": "5",
        "vary": "origin"})
    private = {"access_control_request_private_network": "true"}
    name = "access-control-allow-private-network"
    assert preflight(n.port, "/own", "http://a.test", **private)[1][name] == "true"
    assert name not in preflight(n.port, "/any", "http://a.test", **private)[1]
    assert e.requests == []
    lines = n.logged(4)
    assert [l.split()[3] for l in lines] == ["own", "closed", "own", "any"]
    # A foreign one goes to the endpoint, which may know it.
    assert preflight(n.port, "/own", "http://b.test")[1].keys() == {"x-host", "x-route", "vary"}
    assert [r["method"] for r in e.requests] == ["OPTIONS"]


def test_a_preflight_draws_no_ticket_and_has_no_body(start):
    n, e = start
    c = HTTPConnection("127.0.0.1", n.port, timeout=20)
    for i in range(3):                              # on one connection
        c.request("OPTIONS", "/any", body=b"x" * 100, headers={
            "Origin": "http://x", "Access-Control-Request-Method": "PUT"})
        r = c.getresponse()
        assert (r.status, r.read(), r.getheader("Content-Type")) == (200, b"", None)
        assert r.getheader("Access-Control-Max-Age") == "0"
    c.close()
    assert all(l.split()[8] == "-" for l in n.logged(3))


def test_explain_tells_the_same(start, variant, zone):
    n, e = start
    for origin in ORIGINS[2:]:
        for args in [("GET",), ("OPTIONS",), ("OPTIONS", "access-control-request-method: GET")]:
            words = [w for h in (f"origin: {origin}", *args[1:]) for w in ("-H", h)]
            done = subprocess.run(
                [str(binary(variant, "meshctl")), "--zone", str(zone), "-o", "json", "explain",
                 args[0], "http://x/own", *words], capture_output=True, text=True)
            told = json.loads(done.stdout)["cors"]
            more = {"access_control_request_method": "GET"} if len(args) > 1 else {}
            status, got = ask(n.port, "/own", origin, args[0], **more)
            real = {k: v for k, v in got.items() if k.startswith("access-")}
            assert told["headers"] == real, (origin, args)
            answered = not any(r["method"] == "OPTIONS" for r in e.requests)
            e.requests.clear()
            assert told["preflight"] == (answered and args[0] == "OPTIONS")


@pytest.mark.skipif(not BINARY.exists(), reason="there is no Envoy")
def test_envoy_has_it_the_same(start, tmp_path):
    n, e = start
    with envoy_of(tmp_path / "envoy", same_in_envoy(e.at), {"c": [e.at], "none": []}) as envoy:
        for path in "/own", "/any", "/closed", "/nobody", "/direct", "/away", "/":
            for origin in ORIGINS:
                for method in "GET", "OPTIONS":
                    for more in ({}, {"access_control_request_method": "GET"},
                                 {"access_control_request_method": "GET",
                                  "access_control_request_headers": "x-1,x-2",
                                  "access_control_request_private_network": "true"}):
                        args = (path, origin, method)
                        ours = ask(n.port, *args, **more)
                        theirs = ask(envoy.port, *args, **more)
                        ours[1].pop("vary", None)    # which Envoy leaves to others
                        assert ours == theirs, (args, more)
    assert len(e.requests) % 2 == 0                  # each one twice: through both
