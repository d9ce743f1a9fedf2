# SPDX-License-Identifier: Apache-2.0
"""The same requests to nginx with mesh_route and to Envoy 1.40, in front of
the same endpoints: the same status, route and cluster, and the same request as
the endpoint saw it.  differences.py lists where they may differ, and why.

MESH_SEED chooses other meshes and requests, MESH_SOAK more of them.
"""

import asyncio
import collections
import os

import pytest

import differences
import meshes
import traffic
import world
from meshtest.echo import Echo, ask_all
from meshtest.envoy import Envoy
from meshtest.process import TOP

SEED = int(os.environ.get("MESH_SEED", "11"))
COUNT = int(10000 * float(os.environ.get("MESH_SOAK", "1")))

# What proxies say of themselves and of connections.
OWN = {b"x-id", b"connection", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-proto",
       b"x-forwarded-host", b"x-request-id", b"te", meshes.PICK.encode()}
ANSWERED = b"x-up: 1\r\nx-two: 1\r\nX-Two: 2\r\ncache-control: no-store\r\nx-kept: a, b\r\n"
RESPONSE = {n.encode() for n in meshes.OPS_RESPONSE} | {b"x-kept", b"x-route", b"x-endpoint"}


class Result:
    """What one proxy made of a request: equal if a user could not tell them
    apart."""

    def __init__(self, answer, seen, routes):
        self.answer = answer
        self.status = answer.status if answer else None
        self.route = answer.value(b"x-route") if answer else None
        self.endpoint, request = seen or (None, None)
        if self.status == 400 and not seen:
            self.route = None       # no route says that, though it may add its headers
        self.request = request
        self.target = request and request.target
        self.sent = request and self.headers_of(request, lambda n: n not in OWN and not n.startswith(b"x-envoy-"))
        self.method = request and request.method
        self.body = request and request.body
        # An error of the proxy's own has a body of its own.
        self.headers = self.headers_of(answer, lambda n: n in RESPONSE) if self.route else None
        local = self.route and "route" not in routes[self.route.decode()]
        self.location = answer and answer.value(b"location")
        self.text = answer.body if local else None

    @staticmethod
    def headers_of(message, wanted):
        found = collections.defaultdict(list)
        for name, value in message.headers:
            if wanted(name):
                found[name].append(value)
        return dict(found)

    def differs(self, other):
        return [k for k in ("status", "route", "endpoint", "method", "target", "sent", "body", "headers", "location", "text")
                if getattr(self, k) != getattr(other, k)]

    def __repr__(self):
        return f"{self.status} by {self.route} at {self.endpoint}: {self.method} {self.target} {self.sent} " \
               f"{self.headers} {self.location} {self.text}"


async def both(echo, n, envoy_ports, routes, requests):
    """nginx first: Envoy is told which cluster of a split it took."""
    out = []
    for ports in (n.names, envoy_ports):
        more = {}
        for i, r in enumerate(out[0] if out else ()):
            if r.endpoint and len(routes[r.route.decode()]["route"]) > 1:
                route = routes[r.route.decode()]
                more[i] = [b"%s: %d" % (meshes.PICK.encode(), world.pick_of(route, r.endpoint))]
        echo.seen = {}
        answers = await ask_all([(ports[r.mesh], r.data(i, more.get(i, ()))) for i, r in enumerate(requests)])
        out.append([Result(a, echo.seen.get(b"%d" % i), routes)
                    for i, a in enumerate(answers)])
        assert not echo.strange, [(n, m.first, m.headers) for n, m in echo.strange[:3]]
    return zip(requests, *out)


@pytest.fixture
def meet(started, variant, zone, tmp_path, nginx):
    """meet(requests) gives [(request, ours, Envoy's)]."""
    made = differences.EXAMPLES + world.make(SEED)

    def send(requests):
        async def run():
            async with Echo(meshes.CLUSTERS, lambda request: ANSWERED) as echo:
                world.start_agent(started, tmp_path / "agent", variant, zone, meshes.our_clusters(echo.at), made)
                n = world.start_nginx(nginx, made)
                ports = world.ports_of(made)
                envoy = Envoy(tmp_path / "envoy", meshes.envoy(made, ports, echo.at), ports.values())
                started.add(envoy).start()
                return list(await both(echo, n, ports, world.routes_by_name(made), requests))

        return made, asyncio.run(run())

    return send


@pytest.mark.slow
def test_as_envoy(meet):
    names = [f"m{i}" for i in range(len(world.OPTIONS))]
    examples = [row.example() for row in differences.ROWS]
    made, rows = meet(examples + traffic.requests(SEED, names, COUNT))
    options = {m["name"]: m["options"] for m in made}
    unknown, used = [], collections.Counter()
    for i, (request, ours, theirs) in enumerate(rows):
        found = differences.find(request, options[request.mesh], ours, theirs)
        used.update(row.name for row in found)
        if i < len(examples):
            assert differences.ROWS[i] in found, f"{differences.ROWS[i].name}: {request} differs no longer so: " \
                f"\n{ours}\n{theirs}\nbut by {[row.name for row in found]}"
        if ours.differs(theirs) and not found:
            unknown.append((request, ours, theirs))
    show(rows, unknown, used)
    assert not unknown
    reached = collections.Counter(r.route.decode().split(".", 1)[1] for _, r, _ in rows if r.route)
    assert sum(r.endpoint is not None for _, r, _ in rows) > COUNT / 3
    assert len(reached) > 40, reached


def show(rows, unknown, used):
    print(f"{len(rows)} requests with seed {SEED}: {len(unknown)} differ, {sum(used.values())} times a listed difference")
    print(*used.most_common(), sep="\n")
    print("statuses", collections.Counter(r.status for _, r, _ in rows))
    for request, ours, theirs in unknown[:20]:
        print(f"{ours.differs(theirs)}\n  {request}\n  ours   {ours!r}\n  Envoy  {theirs!r}")


def test_differences_are_in_the_docs():
    """Each row there, in the same order, with a reason; and no other."""
    text = (TOP / "docs/envoy-differences.md").read_text()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in row] for row in rows if not row[0].strip().startswith(("---", "difference"))]
    assert [row[0] for row in found] == [row.name for row in differences.ROWS]
    assert all(len(row) == 4 and all(row) for row in found)
