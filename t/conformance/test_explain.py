# SPDX-License-Identifier: Apache-2.0
"""What nginx decided for a request is what `meshctl explain` says of it:
route, cluster, subset, redirect; with the logged ticket the endpoint, too.

MESH_SEED chooses other meshes and requests, MESH_SOAK more of them.
"""

import asyncio
import base64
import collections
import json
import os
import random
import re

import meshes
import pytest
import traffic
import world

from meshtest.echo import Echo, ask_all

SEED = int(os.environ.get("MESH_SEED", "23"))
COUNT = int(24000 * float(os.environ.get("MESH_SOAK", "1")))

# Each endpoint alone is one of a cluster, and all are of those with a balancer.
ENDPOINTS = ["e0", "e1", "e2", "e3", "e4"]
BALANCERS = {
    "c0": "round_robin",
    "c1": {"policy": "maglev", "table_size": 251},
    "c2": {"policy": "ring_hash", "minimum_ring_size": 64, "maximum_ring_size": 256},
    "random": "random",
    "least": "least_request",
    "ewma": "peak_ewma",
}
BY_LOAD = {"least", "ewma"}     # what else is in flight decides, too
POLICIES = [{"header": "x-a", "terminal": True}, {"header": "end-user"}, {"cookie": "sid"},
            {"cookie": {"name": "made", "ttl": "60s"}}, {"query_parameter": "q"}, {"path": True}, {"source_ip": True},
            {"header": {"name": "end-user", "regex_rewrite": {"pattern": "[a-m]+", "substitution": "<\\0>"}}}]


KEYED = [{"value": 5, "runtime_key": k} for k in ("some", "all", "nobody's")]


def clusters(rnd, at):
    out = {}
    for name, lb in BALANCERS.items():
        rows = [{"address": at[e], "weight": rnd.choice([1, 1, 2, 5]),
                 "labels": {"v": str(i % 2)}, "health": "unhealthy" if i == 4 else "healthy"}
                for i, e in enumerate(ENDPOINTS)]
        out[name] = {"endpoints": rows, "lb": lb, "subsets": {"odd": {"v": "1"}}, "panic_threshold": 0}
    return {"clusters": {**out, "none": {"endpoints": []}}, "runtime": {"some": 40, "all": "100%"}}


def vary(rnd, made):
    """What Envoy has not, or not so: subsets, the client's address, hash
    policies, sessions, percentages between 0 and 100."""
    for r in world.routes_by_name(made).values():
        if rnd.random() < 0.1:
            r["match"]["percentage"] = rnd.choice([10, 50, "33.3333%", *KEYED])
        if rnd.random() < 0.1:
            r["match"]["source"] = rnd.choice([["127.0.0.0/8"], ["10.0.0.0/8", "::1"]])
        if "route" not in r:
            continue
        for e, name in zip(r["route"], rnd.sample(list(BALANCERS), len(r["route"]))):
            if e["cluster"] != "none":
                e["cluster"] = name + rnd.choice(["", "", "/odd"])
        if len({e["cluster"] for e in r["route"]}) < len(r["route"]):
            del r["route"][1:]
        if rnd.random() < 0.6:
            r["hash_policy"] = rnd.sample(POLICIES, rnd.choice([1, 1, 2, 3]))
        elif rnd.random() < 0.5:
            r["stateful_session"] = rnd.choice([{"cookie": "stay"}, {"header": "x-stay"}])
        if rnd.random() < 0.9:
            r["split_by"] = rnd.choice(["hash", {"header": "x-random"}])
    return made


def can_be_asked(request):
    """explain's lines hold no NUL, its JSON no bytes that are no UTF-8, and
    what is no header is no question."""
    return re.fullmatch(rb"[\t\r\n\x20-\x7e]*", request.data(0)) and b" " not in request.target \
        and all(re.match(rb"[^ :]+:", line) for line in request.lines)


def question(request, said):
    """As a user would write it, with what the access log says."""
    # A URL's scheme says how the client came: here it came without TLS.
    url = re.sub(rb"^[A-Za-z][A-Za-z0-9+.-]*://", b"http://", request.target)
    lines = [b"%s %s" % (request.method, url), b"--table " + request.mesh.encode(),
             b"--source 127.0.0.1"]
    if b"x-mesh-ticket" in said:
        lines.append(b"--ticket " + said[b"x-mesh-ticket"])
    if b"x-mesh-hash" in said:
        lines.append(b"--hash " + said[b"x-mesh-hash"])
    return b"\n".join(lines + request.lines) + b"\n\n"


class Live:
    """What the answer's headers say; an empty variable is not there."""

    def __init__(self, answer):
        self.status = answer.status
        self.said = {k: v for k, v in answer.headers if k.startswith(b"x-mesh-")}
        self.location = answer.value(b"location")

    def get(self, name):
        value = self.said.get(b"x-mesh-" + name, b"-").decode()
        return None if value == "-" else value


def wrong(live, told):
    """[(what, live's, explain's)] that are not the same."""
    pairs = [("route", live.get(b"route"), told.get("route"))]
    result = told["result"]
    if "cluster" in told:
        pairs += [("cluster", live.get(b"cluster"), told["cluster"]),
                  ("subset", live.get(b"subset"), told["subset"] or None)]
        if result == "routed" and live.get(b"cluster") in BY_LOAD and not told.get("by_session"):
            usable = [e["address"] for e in told["endpoints"] if e["candidate"]]
            pairs.append(("endpoint", live.get(b"endpoint") in usable, True))
        else:
            pairs.append(("endpoint", live.get(b"endpoint"), told.get("endpoint")))
    elif result == "redirect":
        pairs.append(("location", live.location and live.location.decode(), told["location"]))
    return [p for p in pairs + [("status", live.status, told.get("status", 200))] if p[1] != p[2]]


@pytest.fixture
def ask(started, variant, zone, tmp_path, nginx):
    """ask(made, requests, clusters) gives the agent and nginx's answers;
    requests and clusters are made of the endpoints' addresses by name."""
    def send(made, requests_of, clusters_of):
        async def run():
            async with Echo(ENDPOINTS) as echo:
                a = world.start_agent(started, tmp_path / "agent", variant, zone, clusters_of(echo.at), made)
                n = world.start_nginx(nginx, made)
                requests = requests_of(echo.at)
                return a, requests, await ask_all([(n.names[r.mesh], r.data(i)) for i, r in enumerate(requests)])

        return asyncio.run(run())

    return send


def requests_of(rnd, made, at):
    """Some of clients that come back with a session's cookie or header, some with
    a number, or what is too long for one."""
    requests = traffic.requests(SEED, [m["name"] for m in made], COUNT * 13 // 10)
    requests = [r for r in requests if can_be_asked(r)][:COUNT]
    for r in requests:
        if rnd.random() < 0.3:
            name = rnd.choice([*at.values(), "127.0.9.9:1"])
            stay = base64.b64encode(name.encode())
            r.lines.append(rnd.choice([b"Cookie: stay=", b"X-Stay: "]) + stay)
        if rnd.random() < 0.5:
            r.lines.append(b"X-Random: %d" % rnd.choice([rnd.randrange(200), rnd.randrange(2**66)]))
    return requests


@pytest.mark.slow
def test_live_equals_explain(ask):
    rnd = random.Random(SEED)
    made = vary(rnd, world.make(SEED))
    agent, requests, answers = ask(made, lambda at: requests_of(rnd, made, at), lambda at: clusters(rnd, at))
    reached = [(r, Live(a)) for r, a in zip(requests, answers) if a and a.value(b"x-mesh-generation")]
    text = b"".join(question(r, live.said) for r, live in reached)
    done = agent.ctl("explain", "-f", "-", "-o", "json", stdin=text.decode(), check=False, timeout=300)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(reached), done.stderr[-2000:]

    bad = [(r, live, t) for (r, live), t in zip(reached, told) if wrong(live, t)]
    for r, live, t in bad[:10]:
        print(wrong(live, t), r, live.said, {k: v for k, v in t.items() if k not in ("tried", "endpoints")})
    results = collections.Counter(t["result"] for t in told)
    lbs = collections.Counter(t["lb"] for t in told if t["result"] == "routed")
    print(f"{len(requests)} requests with seed {SEED}, {len(reached)} reached the mesh: {dict(results)}, {dict(lbs)}, "
          f"{sum(t.get('by_session', False) for t in told)} by session")
    assert not bad
    assert len(reached) > COUNT * 0.8
    assert sum(t.get("by_session", False) for t in told) > COUNT / 2000
    by = collections.Counter(k for t in told for k in t.get("split_by", {}) if k in ("by", "header"))
    assert by["by"] > COUNT / 1000 and by["header"] > COUNT / 1000, by
    assert set(lbs) == {"round_robin", "maglev", "ring_hash", "random", "least_request", "peak_ewma"}
    assert results["redirect"] and results["direct response"] and results["no endpoint"]
