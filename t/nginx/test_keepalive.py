# SPDX-License-Identifier: Apache-2.0
"""Idle connections to endpoints."""

import socket
import ssl
import time

import pytest

from meshtest.process import wait_for
from meshtest.tls import self_signed
from meshtest.upstream import HTTP, MAIN, Raw, mesh, metric, pair, retries


@pytest.mark.parametrize("path", ["/direct", "/"])
def test_connections_are_reused(agent, nginx, endpoints, path):
    e = pair(endpoints, 3)
    agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    for _ in range(60):
        assert n.get(path)[0] == 200
    assert [x.connections for x in e] == [1, 1, 1]
    assert metric(n, "mesh_cluster_connections_reused_total") == 57


def test_keepalive_limits_are_the_clusters(agent, nginx, endpoints):
    e = pair(endpoints, 1)
    agent(mesh(e, cluster="    keepalive: {max_requests: 5}\n"))
    n = nginx(http=HTTP, main=MAIN)
    for _ in range(20):
        assert n.get("/")[0] == 200
    assert e[0].connections == 4


def test_no_keepalive_if_none_is_wanted(agent, nginx, endpoints):
    e = pair(endpoints, 1)
    agent(mesh(e, cluster="    keepalive: {max_idle: 0}\n"))
    n = nginx(http=HTTP, main=MAIN)
    for _ in range(5):
        assert n.get("/")[0] == 200
    assert e[0].connections == 5


def test_connections_outlive_generations(agent, nginx, endpoints):
    e = pair(endpoints, 3)
    a = agent(mesh(e))
    n = nginx(main=MAIN, http=HTTP.replace(
        "mesh_route;", "mesh_route; add_header X-Generation $mesh_generation always;"))
    for _ in range(6):
        n.get("/")
    a.write(mesh(e[:2], cluster="    connect_timeout: 3s\n"))
    wait_for(lambda: n.get("/")[1]["x-generation"] == "2", "generation 2")
    for _ in range(10):
        assert n.get("/")[1]["x-endpoint"] in ("e1", "e2")
    assert [x.connections for x in e] == [1, 1, 1]
    # The one that is gone was closed: its only connection is over.
    wait_for(lambda: not e[2]._writers, "the third endpoint's connection to end")


@pytest.mark.parametrize("first", [True, False])
def test_an_endpoint_that_goes_while_a_body_comes(agent, nginx, endpoints, first):
    """The request still goes there, as it was routed; its connection is not kept."""
    e = pair(endpoints, 2)
    a = agent(mesh(e[:1]))
    n = nginx(main=MAIN, http=HTTP.replace("mesh_route;", """
        proxy_request_buffering on;
        mesh_route;
        add_header X-Generation $mesh_generation always;"""))
    if not first:
        assert n.get("/")[0] == 200
    with socket.create_connection(("127.0.0.1", n.port), timeout=20) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: shop.local\r\nContent-Length: 4\r\n"
                  b"Expect: 100-continue\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 100 ")   # it is routed
        a.write(mesh(e[1:]))
        wait_for(lambda: n.get("/", host="none.test")[1]["x-generation"] == "2", "generation 2")
        wait_for(lambda: not e[0]._writers, "what was idle to be closed")
        s.sendall(b"body")
        assert b"\r\nx-endpoint: e1\r\n" in s.recv(65536).lower()
    wait_for(lambda: not e[0]._writers, "the connection to end")


def test_a_keepalive_race_is_replayed(agent, nginx, endpoints, started):
    """The endpoint takes a request on an idle connection and closes it."""
    races = []

    def serve(c):
        if c.recv(65536):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if c.recv(65536):
                races.append(1)

    (e,) = pair(endpoints, 1)
    agent(mesh([e], route=retries(attempts=1, on="[409]")))
    n = nginx(http=HTTP, main=MAIN)
    started.add(Raw(e, serve))
    for path in ("/", "/direct"):
        for _ in range(3):
            assert n.get(path)[0] == 200
    assert len(races) >= 2
    assert metric(n, "mesh_cluster_races_saved_total") == len(races)
    # Not safe: an unsafe request that was sent stays the client's affair.
    assert n.get("/", method="POST", body=b"1")[0] in (200, 502)
    assert "ejected" not in n.log()


def test_idle_connections_do_not_hold_a_draining_worker(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    for _ in range(4):
        n.get("/")
    old = n.workers()
    began = time.monotonic()
    n.reload()
    wait_for(lambda: not set(old) & set(n.workers()), "the old worker's end", 5)
    assert time.monotonic() - began < 5
    assert n.get("/")[0] == 200


def test_one_upstream_protocol_never_meets_another(agent, nginx, endpoints):
    """An HTTP/1 connection in the pool is no HTTP/2 connection."""
    e = pair(endpoints, 1)
    agent(mesh(e))
    n = nginx(main=MAIN, http=HTTP.replace(
        "location /direct {",
        "location /h2 { grpc_pass grpc://u; grpc_read_timeout 2s; }\n location /direct {"))
    assert n.get("/direct")[0] == 200
    assert n.get("/h2")[0] == 502           # an HTTP/1 endpoint does not speak it
    assert n.get("/direct")[0] == 200
    assert e[0].connections >= 2
    assert "no connection data found" not in n.log()


def test_tls_connections_keep_to_their_names(agent, nginx, endpoints, started, tmp_path):
    """The name in the handshake is part of what may share a connection."""
    certificate = self_signed(tmp_path)
    handshakes = []

    def serve(c):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        name = []
        context.sni_callback = lambda _, sni, __: name.append(sni)
        with context.wrap_socket(c, server_side=True) as tls:
            handshakes.extend(name)
            while tls.recv(65536):
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                            % (len(name[0]), name[0].encode()))

    (e,) = pair(endpoints, 1)
    agent(mesh([e]))
    location = """
        location /tls/ {
            proxy_pass https://u;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_ssl_server_name on;
            proxy_ssl_name $arg_name;
            proxy_ssl_session_reuse on;
        }
    """
    n = nginx(main=MAIN, http=HTTP.replace("location /direct {", location + "location /direct {"))
    started.add(Raw(e, serve))
    for _ in range(3):
        for name in ("a.local", "b.local"):
            assert n.get(f"/tls/?name={name}")[::2] == (200, name.encode())
    assert sorted(handshakes) == ["a.local", "b.local"]


def test_a_stock_keepalive_is_taken_over(agent, nginx, endpoints):
    e = pair(endpoints)
    agent(mesh(e))
    n = nginx(main=MAIN, http=HTTP.replace("mesh reviews; }", "mesh reviews; keepalive 9; }", 1))
    for _ in range(10):
        assert n.get("/direct")[0] == 200
    assert [x.connections for x in e] == [1, 1]
    assert metric(n, "mesh_cluster_connections_reused_total") == 8
