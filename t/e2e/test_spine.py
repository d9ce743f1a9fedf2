# SPDX-License-Identifier: Apache-2.0
"""One YAML file drives stock nginx, live: the product's first promise."""

import collections
import json
import re

from meshtest.process import wait_for

HTTP = """
    upstream u { mesh reviews; }
    server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            add_header X-Generation $mesh_generation always;
            add_header X-Route $mesh_route always;
            add_header X-Flags $mesh_flags always;
        }
        location /direct/ { proxy_pass http://u; }
        location = /status { mesh_status; }
        location = /metrics { mesh_metrics; }
    }
"""
MAIN = "mesh_zone {zone};"


def mesh(endpoints, weight=10):
    v1, v2 = endpoints[:2], endpoints[2:]
    rows = [f"      - {{address: '{e.at}', labels: {{version: v1}}}}" for e in v1]
    rows += [f"      - {{address: '{e.at}', labels: {{version: v2}}}}" for e in v2]
    return f"""
clusters:
  reviews:
    endpoints:
{chr(10).join(rows)}
    subsets: {{v1: {{version: v1}}, v2: {{version: v2}}}}
hosts:
  - domains: [shop.local, "*.shop.local"]
    routes:
      - name: jason
        match: {{path: {{prefix: /reviews}}, headers: {{end-user: {{exact: jason}}}}}}
        route: reviews/v2
      - name: canary
        match: {{path: {{prefix: /reviews}}}}
        route: [{{cluster: reviews/v1, weight: {100 - weight}}}, {{cluster: reviews/v2, weight: {weight}}}]
      - name: teapot
        match: {{path: {{exact: /tea}}}}
        respond: {{status: 418, body: "short and stout"}}
      - name: old
        match: {{path: {{prefix: /old}}}}
        redirect: {{prefix_rewrite: /new, status: 308}}
      - name: rewritten
        match: {{path: {{prefix: /api/}}, methods: [GET]}}
        rewrite: {{prefix: /internal/}}
        route: reviews
        request_headers: {{set: {{x-who: mesh}}, remove: [x-secret]}}
        response_headers: {{add: {{x-answered: "yes"}}, remove: [x-endpoint]}}
"""


def test_routes_by_yaml(agent, nginx, endpoints):
    e = [endpoints.add(name=n) for n in ("a1", "a2", "b1", "b2")]
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)

    # A user by header; the subset only.
    who = collections.Counter(
        n.get("/reviews/1", headers={"end-user": "jason"})[1]["x-endpoint"] for _ in range(20))
    assert who == {"b1": 10, "b2": 10}

    # 90:10, exact over any hundred.
    who = collections.Counter(n.get("/reviews/1")[1]["x-endpoint"] for _ in range(100))
    assert 9 <= who["b1"] + who["b2"] <= 11, who
    assert abs(who["a1"] - who["a2"]) <= 1, who

    status, headers, body = n.get("/tea")
    assert (status, body) == (418, b"short and stout")
    status, headers, _ = n.get("/old/x?y=1")
    assert status == 308
    assert headers["location"] == "http://shop.local/new/x?y=1"

    status, headers, body = n.get("/api/a%2Fb?c=%20", headers={"x-secret": "1", "X-Who": "me"})
    seen = json.loads(body)
    assert seen["target"] == "/internal/a%2Fb?c=%20"
    sent = {k.lower(): v for k, v in seen["headers"]}
    assert sent["x-who"] == "mesh" and "x-secret" not in sent
    assert headers["x-answered"] == "yes" and "x-endpoint" not in headers

    status, headers, _ = n.get("/nothing")
    assert status == 404 and headers["x-flags"] == "NR"
    assert n.get("/reviews", host="elsewhere")[0] == 404
    assert n.get("/reviews", host="a.SHOP.local:8080")[0] == 200

    # The location that fleets have today, with its upstream from the mesh.
    who = collections.Counter(n.get("/direct/")[1]["x-endpoint"] for _ in range(8))
    assert who == {"a1": 2, "a2": 2, "b1": 2, "b2": 2}

    # An edited number moves the canary, without a new process.
    pids = n.workers()
    before = int(n.get("/reviews")[1]["x-generation"])
    a.apply(mesh(e, weight=100))
    status, headers, _ = n.get("/reviews")
    assert int(headers["x-generation"]) == before + 1
    who = {n.get("/reviews")[1]["x-endpoint"] for _ in range(20)}
    assert who == {"b1", "b2"}
    assert n.workers() == pids


def test_broken_edit_keeps_the_last_good(agent, nginx, endpoints):
    e = [endpoints.add(name=n) for n in ("a1", "a2", "b1", "b2")]
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    a.write(mesh(e).replace("weight: 90", "weight: ninety"))
    wait_for(lambda: "ninety" in a.log(), "the refusal in the log")
    assert re.search(r"mesh\.yaml:\d+:\d+.*weight.*ninety", a.log())
    assert n.get("/reviews")[0] == 200
    a.apply(mesh(e, weight=0))
    assert {n.get("/reviews")[1]["x-endpoint"] for _ in range(10)} == {"a1", "a2"}


def test_explain_agrees_with_the_live_decision(agent, nginx, endpoints):
    e = [endpoints.add(name=n) for n in ("a1", "a2", "b1", "b2")]
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    cases = [("/reviews", {"end-user": "jason"}), ("/reviews", {}), ("/api/x", {}),
             ("/tea", {}), ("/none", {})]
    for path, headers in cases:
        args = [x for k, v in headers.items() for x in ("-H", f"{k}: {v}")]
        done = a.ctl("explain", "GET", f"http://shop.local{path}", *args, "-o", "json", check=False)
        told = json.loads(done.stdout)
        _, live, _ = n.get(path, headers=headers)
        assert (told.get("route") or "") == live.get("x-route", ""), (path, told)


def test_status_and_metrics(agent, nginx, endpoints):
    e = [endpoints.add(name=n) for n in ("a1", "a2", "b1", "b2")]
    agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    for _ in range(10):
        assert n.get("/reviews", headers={"end-user": "jason"})[0] == 200
    status = json.loads(n.get("/status")[2])
    assert status["generation"] >= 1
    cluster = next(c for c in status["clusters"] if c["name"] == "reviews")
    assert len(cluster["endpoints"]) == 4
    text = n.get("/metrics")[2].decode()
    found = re.search(r'^mesh_cluster_requests_total\{cluster="reviews"[^}]*\} (\d+)$', text, re.M)
    assert found and int(found.group(1)) == 10, text[:2000]


def test_nothing_published_yet(nginx, agent, endpoints):
    """nginx first: a 503 that says why, then the mesh appears by itself."""
    n = nginx(http=HTTP, main=MAIN)
    status, headers, body = n.get("/reviews")
    assert status == 503 and body
    e = [endpoints.add(name=n_) for n_ in ("a1", "a2", "b1", "b2")]
    agent(mesh(e))
    wait_for(lambda: n.get("/reviews")[0] == 200, "the first generation")


def test_nginx_t_changes_nothing(agent, nginx, endpoints, zone):
    e = [endpoints.add(name=n) for n in ("a1", "a2", "b1", "b2")]
    n = nginx(http=HTTP, main=MAIN, start=False)
    status, text = n.test()
    assert status == 0, text
    assert not list(zone.iterdir())
    a = agent(mesh(e))
    n.start()
    a.ctl("wait")       # each worker has written what it writes at its start
    before = sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in zone.iterdir())
    assert n.test()[0] == 0
    assert before == sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in zone.iterdir())
    assert n.get("/reviews")[0] == 200
