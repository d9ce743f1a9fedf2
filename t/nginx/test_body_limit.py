# SPDX-License-Identifier: Apache-2.0
"""max_request_body: how large a route's bodies may be."""

import http.client
import json
import socket
import subprocess

import pytest

from meshtest import http2
from meshtest.process import binary
from meshtest.upstream import start_both

LOCATIONS = """
    error_page 418 /unused;
    location / { %s mesh_route; }
"""
MESH = """
clusters:
  c: {endpoints: ['%s']}
hosts:
  - domains: ["*"]
    routes:
      - {name: free, match: {path: /free}, route: c, max_request_body: 0}
      - {name: small, match: {path: /small}, route: c, max_request_body: 5}
      - {name: all, route: c, max_request_body: 64k}
"""


@pytest.fixture
def start(agent, nginx, endpoints):
    def make(more=""):
        e = endpoints.add("127.0.8.1")
        agent(MESH % e.at)
        return start_both(nginx, LOCATIONS % more), e
    return make


def chunked(port, pieces, path="/"):
    """The status of an upload of unknown length, read whenever it comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        try:
            s.sendall(b"PUT %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                      % path.encode())
            for piece in pieces:
                s.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            s.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass                                    # it has answered already
        r = http.client.HTTPResponse(s)
        r.begin()
        r.read()
        return r.status


@pytest.mark.parametrize("more", ["", "proxy_request_buffering on;"])
def test_a_body_of_known_length(start, more):
    n, e = start(more)
    for size, status in (65536, 200), (65537, 413), (5_000_000, 413), (0, 200):
        assert n.get("/", method="PUT", body=b"x" * size)[0] == status, size
    assert n.get("/small", method="PUT", body=b"12345")[0] == 200
    assert n.get("/small", method="PUT", body=b"123456")[0] == 413
    assert n.get("/free", method="PUT", body=b"x" * 5_000_000)[0] == 200
    assert [r["body_len"] for r in e.requests] == [65536, 0, 5, 5_000_000]
    lines = n.logged(7)
    # Logged when the rest of a body has been thrown away: in any order.
    assert sorted(l.split()[3] for l in lines if l.startswith("413")) == ["all", "all", "small"]


@pytest.mark.parametrize("more", ["", "proxy_request_buffering on;"])
def test_a_chunked_body(start, more):
    n, e = start(more)
    assert chunked(n.port, [b"x" * 4096] * 16) == 200
    assert chunked(n.port, [b"x" * 4096] * 16 + [b"y"]) == 413
    assert chunked(n.port, [b"x" * 65537]) == 413
    assert chunked(n.port, [b"x"] * 5, "/small") == 200
    assert chunked(n.port, [b"x"] * 6, "/small") == 413
    assert chunked(n.port, [b"x" * 65536] * 40, "/free") == 200
    assert sum(r["body_len"] == 65536 for r in e.requests) == 1
    assert [r["body_len"] for r in e.requests if r["target"] == "/free"] == [40 * 65536]
    assert not any(r["body_len"] > 65536 for r in e.requests if r["target"] == "/")


@pytest.mark.parametrize("length", [True, False])
def test_http2(start, length):
    n, e = start()
    for size, status in (65536, 200), (65537, 413):
        u = http2.Upload(n.two, size if length else None)
        u.send(b"x" * (0 if length and status == 413 else size))
        if length and status == 413:
            u.left = None
            assert u.answer() == 413
        else:
            assert u.answer() == status
    assert [r["body_len"] for r in e.requests] == [65536]


def test_nginx_has_its_own_limit_beside_it(start):
    n, e = start("client_max_body_size 3;")
    assert n.get("/small", method="PUT", body=b"123")[0] == 200
    assert n.get("/small", method="PUT", body=b"1234")[0] == 413
    assert n.get("/free", method="PUT", body=b"1234")[0] == 413
    assert [r["body_len"] for r in e.requests] == [3]


def test_explain_tells_the_same(start, variant, zone):
    n, e = start()
    for path, size in ("/", 65536), ("/", 65537), ("/small", 6), ("/free", 70000):
        done = subprocess.run(
            [binary(variant, "meshctl"), "--zone", str(zone), "-o", "json", "explain", "PUT",
             f"http://x{path}", "-H", f"content-length: {size}"], capture_output=True, text=True)
        told = json.loads(done.stdout)
        status = n.get(path, method="PUT", body=b"x" * size)[0]
        assert told.get("status", 200) == status
        assert (done.returncode, told["result"]) == \
            ((0, "routed") if status == 200 else (1, "body too large"))
