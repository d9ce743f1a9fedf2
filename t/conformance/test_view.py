# SPDX-License-Identifier: Apache-2.0
"""A decision of a balancer that goes by what it has seen is repeated by its
logged ticket and a view that was saved just before: with requests held at some
endpoints, one ejected and one drained."""

import concurrent.futures
import json

from meshtest.process import wait_for

BALANCERS = {
    "rr": "round_robin",
    "random": "random",
    "least": "least_request",
    "all": "{policy: least_request, full_scan: true}",
    "bias": "{policy: least_request, active_request_bias: 1.0}",
    "ewma": "{policy: peak_ewma, decay_time: 10m, default_rtt: 1ms}",
}
BY_LOAD = {"least", "all", "bias", "ewma"}
HELD = 6        # of each cluster
ROUNDS = 8

HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            add_header X-Ticket $mesh_ticket always;
            add_header X-Picked $mesh_endpoint always;
        }
    }
"""


def mesh(endpoints):
    rows = "\n".join(f"      - {{address: '{e.at}', weight: {w}}}" for e, w in zip(endpoints, [1, 1, 2, 1, 3]))
    clusters = "\n".join(f"""
  {name}:
    lb: {lb}
    outlier_detection: {{consecutive_5xx: 1, base_ejection_time: 300s, max_ejection_percent: 100}}
    endpoints:
{rows}""" for name, lb in BALANCERS.items())
    routes = "\n".join(f"      - {{match: {{path: /{name}}}, route: {name}}}" for name in BALANCERS)
    return f"clusters:{clusters}\nhosts:\n  - domains: ['*']\n    routes:\n{routes}\n"


def seen(a):
    """{cluster: {address: what `endpoints` says of it}}"""
    told = json.loads(a.ctl("-o", "json", "endpoints").stdout)
    return {c["cluster"]: {e["address"]: e for e in c["endpoints"]} for c in told}


def in_flight(a):
    return {name: sum(e["in_flight"] for e in rows.values()) for name, rows in seen(a).items()}


def make_state(a, n, e):
    """e[2] is ejected and e[3] drained everywhere, e[0] is known as slow."""
    e[2].status = 503
    for name in BALANCERS:
        def ejected():
            n.get(f"/{name}")
            return "ejected" in seen(a)[name][e[2].at]
        wait_for(ejected, f"an ejection in {name}", 20)
        a.ctl("drain", name, e[3].at, "--wait")
    e[2].status = 200
    # Whoever has not answered yet is thought faster, and so is asked.
    e[0].delay, e[1].delay, e[4].delay = 0.05, 0.005, 0.005
    learned = lambda: all("ewma" in seen(a)["ewma"][x.at] for x in (e[0], e[1], e[4]))
    wait_for(lambda: n.get("/ewma") and learned(), "three averages", 20)
    for x in e:
        x.delay = 0


def one_round(a, n, e, pool, view):
    """Holds requests, saves what is seen, sends one more to each cluster, and
    gives {cluster: its answer's headers}."""
    for x in e:
        x.hold = True
    held = [pool.submit(n.get, f"/{name}") for name in BALANCERS for _ in range(HELD)]
    wait_for(lambda: set(in_flight(a).values()) == {HELD}, "requests that are held", 20)
    e[1].hold = False       # so that what is in flight differs
    wait_for(lambda: all(rows[e[1].at]["in_flight"] == 0 for rows in seen(a).values()), "an empty endpoint", 20)
    e[1].hold = True
    view.write_text(a.ctl("-o", "json", "endpoints").stdout)
    before = in_flight(a)
    asked = {name: pool.submit(n.get, f"/{name}") for name in BALANCERS}
    wait_for(lambda: in_flight(a) == {k: v + 1 for k, v in before.items()}, "one more of each", 20)
    for x in e:
        x.hold = False
    for f in held:
        assert f.result(20)[0] == 200
    return {name: f.result(20)[1] for name, f in asked.items()}


def explained(a, name, ticket, *more):
    done = a.ctl("explain", "GET", f"http://h/{name}", "--ticket", ticket, *more, "-o", "json")
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


def test_a_saved_view_repeats_decisions(agent, nginx, endpoints, tmp_path):
    e = [endpoints.add(name=f"e{i}") for i in range(5)]
    a = agent(mesh(e))
    n = nginx(http=HTTP, main="mesh_zone {zone};", workers=2)
    make_state(a, n, e)
    view = tmp_path / "view.json"
    by_load, moved = 0, 0
    with concurrent.futures.ThreadPoolExecutor(len(BALANCERS) * (HELD + 1)) as pool:
        for _ in range(ROUNDS):
            for name, headers in one_round(a, n, e, pool, view).items():
                told = explained(a, name, headers["x-ticket"], "--view", str(view))
                assert told["endpoint"] == headers["x-picked"], (name, headers, told)
                why = {x["address"]: x["why"] for x in told["endpoints"]}
                assert why[e[2].at].startswith("ejected: consecutive 5xx, ") and why[e[3].at] == "drained"
                if name in BY_LOAD:
                    by_load += 1
                    moved += explained(a, name, headers["x-ticket"])["endpoint"] != headers["x-picked"]
    print(f"{by_load} decisions by load, {moved} of them another without the view")
    assert moved, "the view decided nothing"


def test_what_if_another_were_ejected(agent, nginx, endpoints, tmp_path):
    """An edited view: the endpoint that was picked is out, and another is."""
    e = [endpoints.add(name=f"e{i}") for i in range(5)]
    a = agent(mesh(e))
    n = nginx(http=HTTP, main="mesh_zone {zone};")
    _, headers, _ = n.get("/rr")
    told = json.loads(a.ctl("-o", "json", "endpoints", "rr").stdout)
    for x in told[0]["endpoints"]:
        if x["address"] == headers["x-picked"]:
            x["ejected"] = {"why": "gateway", "for_ms": 60000}
    view = tmp_path / "view.json"
    view.write_text(json.dumps(told, indent=2))
    said = explained(a, "rr", headers["x-ticket"], "--view", str(view))
    assert said["endpoint"] in {x.at for x in e} - {headers["x-picked"]}
    done = a.ctl("explain", "GET", "http://h/least", "--view", str(view))
    assert 'nothing of cluster "least"' in done.stderr
