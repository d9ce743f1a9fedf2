# SPDX-License-Identifier: Apache-2.0
"""Redirects of endpoints that are followed inside."""

import json
import socket
import time
from http.client import HTTPConnection, HTTPResponse

import pytest

from meshtest import http2
from meshtest.envoy import BINARY, envoy_of
from meshtest.process import wait_for
from meshtest.upstream import Raw, start_both

LOG = """
    log_format hops '$status $mesh_route $mesh_cluster $mesh_redirects $mesh_attempts '
                    '"$upstream_status" "$upstream_addr" "$request"';
    access_log {dir}/hops.log hops;
    proxy_cache_path {dir}/cache keys_zone=c:1m;
"""
LOCATIONS = """
    location / { %s mesh_route; }
    location /secret { return 418; }
    location = /metrics { mesh_metrics; }
"""
MESH = """
clusters:
  c: {endpoints: ['%(c)s']}
  d: {endpoints: ['%(d)s']}
  h: {endpoints: ['%(h)s'], protocol: http2}
hosts:
  - domains: ["*"]
    routes:
      - name: start
        match: {path: {prefix: /start}}
        route: c
        rewrite: {prefix: /sent}
        request_headers: {add: {x-req: r}}
        response_headers: {add: {x-res: start}}
        internal_redirects: {max: 2, codes: [302, 303, 307]}
        timeout: 3s
      - {name: cross, match: {path: {prefix: /cross}}, route: c,
         internal_redirects: {allow_cross_scheme: true}}
      - {name: plain, match: {path: {prefix: /plain}}, route: c}
      - {name: two, match: {path: {prefix: /two}}, route: h, internal_redirects: {max: 16}}
      - {name: retried, match: {path: {prefix: /retried}}, route: c,
         retries: {attempts: 3, on: [503]}, internal_redirects: {}}
      - {name: direct, match: {path: {prefix: /direct}}, respond: {status: 299, body: here}}
      - {name: away, match: {path: {prefix: /away}}, redirect: {host: z.test}}
      - {name: upper, match: {path: {prefix: /ok}, headers: {":authority": u.test}}, route: d,
         response_headers: {add: {x-res: upper}}, timeout: 60s}
      - {name: limited, match: {path: {prefix: /limited}}, route: d, max_request_body: 3}
      - {name: ok, match: {path: {prefix: /ok}}, route: c, timeout: 60s}
"""


@pytest.fixture
def start(agent, nginx, endpoints, started, tmp_path):
    def make(more="", text=MESH):
        c, d = (endpoints.add(f"127.0.8.{i}", name=name) for i, name in ((1, "c"), (2, "d")))
        fronts = started.add(http2.Fronts(tmp_path / "fronts", [c])).start()
        agent(text % {"c": c.at, "d": d.at, "h": fronts.at[0]})
        return start_both(nginx, LOCATIONS % more, http=LOG), c, d
    return make


def hops(n, count):
    """The last line of the log once it has `count`: its words."""
    def lines():
        found = (n.dir / "hops.log").read_text().splitlines()
        return found if len(found) >= count else None
    return wait_for(lines, "the log")[-1]


def header(request, name):
    return [v for k, v in request["headers"] if k.lower() == name]


def test_it_is_routed_anew(start):
    n, c, d = start()
    c.redirects = [(302, "http://u.test/ok/../ok/%41?a=1#part")]
    status, headers, body = n.get("/start/x?q=1", host="a.test:81")
    assert status == 200 and headers["x-res"] == "upper"
    assert "set-cookie" not in headers and "location" not in headers
    assert [(r["method"], r["target"], header(r, "host")) for r in c.requests + d.requests] == \
        [("GET", "/sent/x?q=1", ["a.test:81"]), ("GET", "/ok/A?a=1", ["u.test"])]
    assert header(c.requests[0], "x-envoy-original-url") == []
    assert header(d.requests[0], "x-envoy-original-url") == ["http://a.test:81/start/x?q=1"]
    assert header(d.requests[0], "x-req") == ["r"]  # as in Envoy: what was added stays
    line = hops(n, 1)
    assert line.startswith("200 upper d 1 2 ") and '"302 : 200"' in line
    assert f'"{c.at} : {d.at}"' in line


@pytest.mark.parametrize("status, location", [
    (301, "http://u.test/ok"), (308, "http://u.test/ok"), (304, "http://u.test/ok"),
    (302, None), (302, "/ok"), (302, "//u.test/ok"), (302, "ok"), (302, "http:///ok"),
    (302, "http://u.test/ok x"), (302, "http://u.test/ok\x01"), (302, "http://u@/ok"),
    (302, "ftp://u.test/ok"), (302, "https://u.test/ok"), (302, "http://u.test/nowhere"),
    (302, "http://u.test/ok/%00"), (302, "http://u.test/secret")])
def test_it_goes_to_the_client(start, status, location):
    n, c, d = start()
    c.redirects = [(status, location)]
    got, headers, body = n.get("/start")
    assert got == status and headers.get("location") == location
    assert headers["x-res"] == "start" and len(c.requests) == 1 and not d.requests
    text = n.get("/metrics")[2].decode()
    refused = int(status in (302,))
    assert f'mesh_route_internal_redirects_refused_total{{route="start"}} {refused}' in text
    assert 'mesh_route_internal_redirects_total{route="start"} 0' in text


def test_hops_have_an_end(start):
    n, c, d = start()
    c.redirects = [(302, "http://a.test/start/1"), (307, "http://b.test/start/2"),
                   (302, "http://c.test/start/3")]
    status, headers, _ = n.get("/start", host="h")
    assert (status, headers["location"]) == (302, "http://c.test/start/3")
    assert [header(r, "x-envoy-original-url") for r in c.requests] == \
        [[], ["http://h/start"], ["http://a.test/start/1"]]
    assert hops(n, 1).startswith("302 start c 2 3 ")
    assert [header(r, "x-req") for r in c.requests] == [["r"], ["r"] * 2, ["r"] * 3]
    # Each route's word counts for its own responses.
    c.requests.clear()
    c.redirects = [(302, "http://a.test/plain"), (302, "http://a.test/ok")]
    assert n.get("/start")[1]["location"] == "http://a.test/ok"


@pytest.mark.parametrize("path, status, body", [
    ("/direct", 299, b"here"), ("/away", 301, b"")])
def test_to_what_is_answered_here(start, path, status, body):
    n, c, d = start()
    s = HTTPConnection("127.0.0.1", n.port, timeout=20)
    for i in range(3):                              # the connection goes on
        c.redirects = [(302, f"http://a.test{path}")]
        s.request("GET", "/start")
        r = s.getresponse()
        assert (r.status, r.read()) == (status, body)
    s.close()
    assert len(c.requests) == 3


def test_schemes(start):
    n, c, d = start()
    c.redirects = [(302, "https://u.test/ok")]
    assert n.get("/cross")[0] == 200
    assert len(d.requests) == 1


@pytest.mark.parametrize("more", ["", "proxy_request_buffering on;"])
@pytest.mark.parametrize("size", [0, 1, 3000, 65536])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_is_sent_again(start, more, size, framing):
    n, c, d = start(more)
    body = b"b" * size
    c.redirects = [(307, "http://b.test/start"), (307, "http://u.test/ok")]
    sent = body if framing == "length" else iter([body] if body else [])
    s = HTTPConnection("127.0.0.1", n.port, timeout=20)
    s.request("POST", "/start", body=sent, encode_chunked=framing != "length",
              headers={} if framing == "length" else {"Transfer-Encoding": "chunked"})
    assert s.getresponse().status == 200
    s.close()
    assert len(c.requests) == 2
    assert [(r["method"], r["body_len"]) for r in c.requests + d.requests] == [("POST", size)] * 3
    assert len({r["body_sha"] for r in c.requests + d.requests}) == 1


def test_a_large_body_is_not(start):
    n, c, d = start()
    c.redirects = [(307, "http://u.test/ok")]
    assert n.get("/start", method="POST", body=b"b" * 65537)[0] == 307
    assert not d.requests


def test_nginx_buffers_a_larger_one(start):
    n, c, d = start("proxy_request_buffering on;")
    c.redirects = [(307, "http://u.test/ok")]
    assert n.get("/start", method="POST", body=b"b" * 300000)[0] == 200
    assert [r["body_len"] for r in d.requests] == [300000]


def test_a_body_that_is_still_coming(start, started):
    n, c, d = start()

    def early(s):
        s.recv(65536)
        s.sendall(b"HTTP/1.1 307 X\r\nLocation: http://u.test/ok\r\nContent-Length: 0\r\n\r\n")
        s.recv(65536)

    started.add(Raw(c, early))
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(b"POST /start HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf.")
        r = HTTPResponse(s)
        r.begin()
        assert (r.status, r.getheader("Location")) == (307, "http://u.test/ok")
    assert not d.requests


@pytest.mark.parametrize("method, then, length", [
    ("POST", "GET", 0), ("HEAD", "HEAD", 0), ("GET", "GET", 0), ("DELETE", "GET", 0)])
def test_see_other(start, method, then, length):
    n, c, d = start()
    c.redirects = [(303, "http://u.test/ok")]
    body = b"body" if method == "POST" else None
    status, headers, got = n.get("/start", method=method, body=body)
    assert status == 200
    assert [(r["method"], r["body_len"], header(r, "content-length"),
             header(r, "transfer-encoding")) for r in d.requests] == [(then, length, [], [])]


def test_the_next_route_has_its_own_policies(start):
    n, c, d = start()
    c.redirects = [(307, "http://u.test/limited")]
    assert n.get("/start", method="POST", body=b"1234")[0] == 413
    c.redirects = [(307, "http://u.test/limited")]
    assert n.get("/start", method="POST", body=b"123")[0] == 200
    assert [r["body_len"] for r in d.requests] == [3]


@pytest.mark.parametrize("two", [False, True])
def test_protocols_may_change(start, two):
    """From HTTP/1.1 to HTTP/2 and back; clients of both."""
    n, c, d = start()
    c.redirects = [(302, "http://a.test/two/1"), (302, "http://a.test/two/2"),
                   (302, "http://u.test/ok")]
    port = n.two if two else n.port
    args = ("-d", "body")
    status, headers, body = http2.curl(port, "/start", *args,
                                       **({} if two else {"version": "--http1.1"}))
    assert status == 200 and json.loads(body)["endpoint"] == "d"
    assert [(r["target"], r["body_len"]) for r in c.requests] == \
        [("/sent", 4), ("/two/1", 4), ("/two/2", 4)]
    assert hops(n, 1).startswith("200 upper d 3 4 ")


def test_retries_go_on(start):
    n, c, d = start()
    c.status, c.fail_next = 503, 1
    c.redirects = [None, (302, "http://u.test/ok")]
    assert n.get("/retried", method="PUT", body=b"again")[0] == 200
    assert [r["body_len"] for r in c.requests + d.requests] == [5, 5, 5]
    line = hops(n, 1)
    assert line.startswith("200 upper d 1 3 ") and '"503, 302 : 200"' in line
    text = n.get("/metrics")[2].decode()
    assert 'mesh_cluster_retries_total{cluster="c"} 1' in text
    assert 'mesh_cluster_retries_total{cluster="d"} 0' in text
    assert 'mesh_route_internal_redirects_total{route="retried"} 1' in text


def test_what_a_cache_waits_for(start):
    """A hop gives up its key, here the next one's, too, to be filled by others."""
    n, c, d = start("""proxy_buffering on; proxy_cache c; proxy_cache_key all;
        proxy_cache_valid 200 1h; proxy_cache_lock on;
        proxy_cache_lock_age 1h; proxy_cache_lock_timeout 1h;""")
    c.redirects = [(302, "http://u.test/ok")]
    for _ in range(2):
        assert n.get("/start")[0] == 200
    assert [len(e.requests) for e in (c, d)] == [1, 1]
    # "stalled cache updating" is an alert, which the harness finds.


@pytest.mark.slow
def test_the_deadline_goes_on(start):
    """Three seconds for all hops, though the next route has sixty."""
    n, c, d = start()
    d.delay = 60
    c.redirects = [(302, "http://u.test/ok")]
    before = time.monotonic()
    assert n.get("/start")[0] == 504
    assert 2.5 < time.monotonic() - before < 20


def test_the_next_endpoint_is_dead(start):
    n, c, d = start()
    d.kill()
    c.redirects = [(302, "http://u.test/ok")]
    assert n.get("/start")[0] == 502
    assert hops(n, 1).startswith("502 upper d 1 ")


def test_the_client_leaves(start):
    n, c, d = start()
    d.delay = 0.3
    for i in range(20):
        c.redirects = [(302, "http://u.test/ok")]
        with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
            s.sendall(b"GET /start HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_for(lambda: len(d.requests) == i + 1, "the hop")
    assert n.get("/ok")[0] == 200


@pytest.mark.skipif(not BINARY.exists(), reason="there is no Envoy")
def test_envoy_has_it_the_same(start, tmp_path):
    n, c, d = start()

    def route(prefix, cluster, **action):
        return {"match": {"prefix": prefix}, "route": {"cluster": cluster, **action}}
    hosts = [{"name": "h", "domains": ["*"], "routes": [
        route("/start", "c", prefix_rewrite="/sent", internal_redirect_policy={
            "max_internal_redirects": 2, "redirect_response_codes": [302, 303, 307]}),
        {"match": {"prefix": "/direct"}, "direct_response": {"status": 299}},
        {"match": {"prefix": "/away"}, "redirect": {"host_redirect": "z.test"}},
        {**route("/ok", "d"), "match": {"prefix": "/ok", "headers": [
            {"name": ":authority", "string_match": {"exact": "u.test"}}]}},
        route("/ok", "c")]}]
    with envoy_of(tmp_path / "envoy", hosts, {"c": [c.at], "d": [d.at]}) as envoy:
        for status in 301, 302, 303, 307:
            for method, body in ("GET", None), ("POST", b"body"), ("HEAD", None):
                for to in ("http://u.test/ok?x", "http://v.test:80/ok", "HTTP://u.test/ok",
                           "http://me@u.test/ok", "/ok", "//u.test/ok", "https://u.test/ok",
                           "http://u.test/none", "http://u.test/direct", "http://u.test/away",
                           "http://u.test/start", "", "http://u.test/ok#f"):
                    seen = []
                    for port in n.port, envoy.port:
                        c.redirects = [(status, to)] * 3
                        d.redirects = []
                        got, headers, _ = n.get("/start", port=port, method=method, body=body)
                        seen.append((got, headers.get("location"), [
                            (r["endpoint"], r["method"], r["target"], header(r, "host"),
                             r["body_len"]) for r in c.requests + d.requests]))
                        c.requests.clear()
                        d.requests.clear()
                    assert seen[0] == seen[1], (status, method, to)
