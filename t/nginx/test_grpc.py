# SPDX-License-Identifier: Apache-2.0
"""gRPC through grpc_pass, the location's own or mesh_route's: calls, streams,
retries, votes by grpc-status."""

import collections
import re
import threading

import pytest

from meshtest.process import wait_for

grpc = pytest.importorskip("grpc")
from meshtest.calls import Server  # noqa: E402: needs grpc

MAIN = "mesh_zone {zone};"
HTTP = """
    upstream u { mesh calls; }
    server {
        listen 127.0.0.1:{port} http2;
        location /test.Plain/ { grpc_pass grpc://u; }
        location / { mesh_route; }
    }
    server {
        listen 127.0.0.1:{metrics};
        location = /metrics { mesh_metrics; }
    }
"""


def mesh(servers, cluster="", retries=""):
    return f"""
clusters:
  calls:
    endpoints: [{", ".join(repr(s.at) for s in servers)}]
    protocol: grpc
    panic_threshold: 0
{cluster}
hosts:
  - domains: ["*"]
    routes:
      - match: {{path: {{prefix: /}}}}
        route: calls
{retries}
"""


@pytest.fixture
def servers():
    made = [Server(f"g{i}", f"127.0.2.{i}") for i in (1, 2)]
    yield made
    for s in made:
        s.stop()


@pytest.fixture
def channel(nginx):
    channels = []

    def make(**kwargs):
        n = nginx(http=HTTP, main=MAIN, ports=("metrics",), **kwargs)
        c = grpc.insecure_channel(f"127.0.0.1:{n.port}", [("grpc.use_local_subchannel_pool", 1)])
        channels.append(c)
        return n, c

    yield make
    for c in channels:
        c.close()


def metric(n, name):
    text = n.get("/metrics", port=n.metrics)[2].decode()
    found = re.findall(rf'^{name}\{{cluster="calls"[^}}]*\}} (\d+)$', text, re.M)
    assert found, (name, text[:3000])
    return sum(int(x) for x in found)


@pytest.mark.parametrize("service", ["Plain", "Routed"])
def test_unary_calls_are_balanced(agent, channel, servers, service):
    agent(mesh(servers))
    n, c = channel()
    call = c.unary_unary(f"/test.{service}/Echo")
    who = collections.Counter()
    for i in range(20):
        name, _, text = call(b"%d" % i, timeout=20).partition(b":")
        assert text == b"%d" % i
        who[name] += 1
    assert who == {b"g1": 10, b"g2": 10}
    assert metric(n, "mesh_cluster_attempts_total") == 20
    # Connections of grpc_pass are kept, unless the endpoint sent a frame late.
    assert metric(n, "mesh_cluster_connections_reused_total") > 0


@pytest.mark.parametrize("service", ["Plain", "Routed"])
def test_bidirectional_streams(agent, channel, servers, service):
    agent(mesh(servers))
    _, c = channel()
    done = threading.Event()

    def ask():
        for i in range(10):
            yield b"%d" % i
        done.wait(20)

    answers = c.stream_stream(f"/test.{service}/Chat")(ask(), timeout=30)
    got = [next(answers) for _ in range(10)]
    done.set()
    assert list(answers) == []
    assert [g.partition(b":")[2] for g in got] == [b"%d" % i for i in range(10)]
    assert len({g.partition(b":")[0] for g in got}) == 1


@pytest.mark.parametrize("size", [0, 1, 3000, 60000])
def test_a_listed_status_is_retried(agent, channel, servers, size):
    agent(mesh(servers, retries="        retries: {attempts: 2, on: [unavailable]}"))
    n, c = channel()
    servers[0].fail = grpc.StatusCode.UNAVAILABLE
    call = c.unary_unary("/test.Routed/Echo")
    for _ in range(12):
        assert call(b"x" * size, timeout=20) == b"g2:" + b"x" * size
    assert servers[0].calls and servers[1].calls == [size] * 12
    assert metric(n, "mesh_cluster_retries_total") == len(servers[0].calls)


def test_a_status_that_is_not_listed_is_passed_on(agent, channel, servers):
    agent(mesh(servers, retries="        retries: {attempts: 2, on: [unavailable]}"))
    n, c = channel()
    for s in servers:
        s.fail = grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as e:
        c.unary_unary("/test.Routed/Echo")(b"", timeout=20)
    assert e.value.code() == grpc.StatusCode.NOT_FOUND
    assert metric(n, "mesh_cluster_retries_total") == 0
    for s in servers:
        s.fail = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(grpc.RpcError) as e:
        c.unary_unary("/test.Routed/Echo")(b"", timeout=20)
    assert e.value.code() == grpc.StatusCode.UNAVAILABLE
    assert metric(n, "mesh_cluster_retries_exhausted_total") == 1


@pytest.mark.parametrize("service", ["Plain", "Routed"])
@pytest.mark.parametrize("method", ["Echo", "Late"])
def test_grpc_status_votes(agent, channel, servers, method, service):
    """In the response header, or in trailers after a message."""
    agent(mesh(servers, cluster="""
    outlier_detection: {consecutive_5xx: 3, base_ejection_time: 30s, max_ejection_percent: 50}
"""))
    n, c = channel()
    servers[0].fail = grpc.StatusCode.UNAVAILABLE
    call = (c.unary_unary if method == "Echo" else c.unary_stream)(f"/test.{service}/{method}")

    def failed():
        try:
            answer = call(b"", timeout=20)
            if method == "Late":
                list(answer)
            return False
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.UNAVAILABLE
            return True

    assert [failed() for _ in range(6)].count(True) == 3
    wait_for(lambda: f"ejected endpoint {servers[0].at}" in n.log(), "the ejection")
    # The views of before may serve a few milliseconds more.
    wait_for(lambda: not any(failed() for _ in range(6)), "calls that all succeed")
    before = metric(n, "mesh_cluster_attempts_total")
    assert not any(failed() for _ in range(10))
    assert metric(n, "mesh_cluster_attempts_total") == before + 10


def test_a_dead_endpoint_costs_no_call(agent, channel, servers):
    agent(mesh(servers))
    n, c = channel()
    call = c.unary_unary("/test.Routed/Echo")
    for _ in range(6):
        call(b"1", timeout=20)
    servers[0].stop()
    for _ in range(10):
        assert call(b"2", timeout=20) == b"g2:2"
    servers[0].start()
    wait_for(lambda: call(b"3", timeout=20) == b"g1:3", "the endpoint to be used again")
