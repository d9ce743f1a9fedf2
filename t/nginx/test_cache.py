# SPDX-License-Identifier: Apache-2.0
"""nginx's proxy_cache in front of the mesh: what it has goes on when the mesh
has nothing."""

import re
from pathlib import Path

import pytest

from meshtest.process import wait_for
from meshtest.upstream import MAIN, mesh, pair, retries

CACHE = """
            proxy_cache c;
            proxy_cache_key $uri;
            proxy_cache_valid 200 404 1s;
            proxy_cache_lock on;
            add_header X-Cache $upstream_cache_status always;
"""
HTTP = f"""
    proxy_cache_path {{dir}}/cache keys_zone=c:1m;
    upstream u {{ mesh reviews; }}
    server {{
        listen 127.0.0.1:{{port}};
        location /direct {{
            proxy_pass http://u;
            proxy_cache_use_stale error;
            {CACHE}
        }}
        location /routed {{
            proxy_buffering on;
            mesh_route;
            proxy_cache_use_stale error;
            {CACHE}
        }}
        location /strict {{ proxy_pass http://u; {CACHE} }}
    }}
"""
PATHS = ("/direct", "/routed", "/strict")


def ask(n, path):
    status, headers, body = n.get(path)
    return status, headers.get("x-cache"), body


def expire(n):
    """Nothing in the cache is fresh any more."""
    wait_for(lambda: ask(n, "/direct/fresh")[1] == "EXPIRED", "the cache's time", step=0.2)


def no_endpoint(e):
    return mesh(e).replace(f"- '{e[0].at}'", f"- {{address: '{e[0].at}', health: unhealthy}}")


def no_cluster(e):
    return mesh(e).replace("reviews", "other")


@pytest.mark.parametrize("change, said", [(no_endpoint, b"no healthy endpoint"),
                                          (no_cluster, b"no such cluster")])
def test_a_stale_answer_goes_on_without_the_mesh(agent, nginx, endpoints, change, said):
    e = pair(endpoints, 1)
    a = agent(mesh(e))
    n = nginx(http=HTTP, main=MAIN)
    for path in (*PATHS, "/direct/fresh"):
        assert ask(n, path)[:2] == (200, "MISS")
    expire(n)

    a.apply(change(e))
    for _ in range(2):
        assert ask(n, "/direct")[:2] == (200, "STALE")
        assert ask(n, "/strict") == (503, "EXPIRED", said)
        assert ask(n, "/direct/new") == (503, "MISS", said)
        if change is no_endpoint:
            assert ask(n, "/routed")[:2] == (200, "STALE")
            assert ask(n, "/routed/new") == (503, "MISS", said)

    # "stalled cache updating" is an alert, which the harness finds.
    a.apply(mesh(e))
    for path in PATHS:
        assert ask(n, path)[0] == 200


def test_a_cached_answer_is_no_attempt(agent, nginx, endpoints):
    """A stale 404 is not retried as an endpoint's 404 would be."""
    e = pair(endpoints, 1)
    agent(mesh(e, route=retries(attempts=3, on="[404]")))
    n = nginx(http=HTTP, main=MAIN)
    e[0].status = 404
    assert ask(n, "/routed")[:2] == (404, "MISS")
    assert ask(n, "/direct/fresh")[:2] == (404, "MISS")
    expire(n)
    e[0].kill()
    assert ask(n, "/routed")[:2] == (404, "STALE")
    assert "invalid header" not in n.log()


@pytest.fixture
def split(agent, nginx, endpoints):
    """a1, a2 and b, by host and header, behind an nginx that keeps answers."""
    e = [endpoints.add(name=name) for name in ("a1", "a2", "b")]
    agent(f"""
clusters:
  a:
    endpoints:
      - {{address: '{e[0].at}', labels: {{v: "1"}}}}
      - {{address: '{e[1].at}', labels: {{v: "2"}}}}
    subsets: {{v1: {{v: "1"}}, v2: {{v: "2"}}}}
  b: {{endpoints: ['{e[2].at}']}}
hosts:
  - domains: [a.local]
    routes:
      - match: {{headers: {{end-user: jason}}}}
        route: a/v2
      - route: a/v1
  - domains: [b.local]
    routes: [{{route: b}}]
""")

    def make(location, server="", http=""):
        return nginx(main=MAIN, http=f"""
        proxy_cache_path {{dir}}/cache keys_zone=c:1m;
        {http}
        server {{
            listen 127.0.0.1:{{port}};
            proxy_buffering on;
            {server}
            location / {{
                mesh_route;
                proxy_cache c;
                proxy_cache_valid 200 1m;
                add_header X-Cache $upstream_cache_status;
                {location}
            }}
        }}
    """)
    return make


REQUESTS = (("a1", "a.local", {}), ("a2", "a.local", {"end-user": "jason"}), ("b", "b.local", {}))


def test_what_routes_differently_is_kept_apart(split):
    """nginx's own key has no host: to it, all of mesh_route is one server."""
    n = split("")
    for path in ("/x?y=1", "/x", "/z?y=1"):
        for cached in ("MISS", "HIT"):
            for want, host, headers in REQUESTS:
                _, got, _ = n.get(path, host=host, headers=headers)
                assert (got["x-endpoint"], got["x-cache"]) == (want, cached)


def test_the_key_is_the_one_that_is_documented(split):
    text = (Path(__file__).resolve().parents[2] / "docs/directives.md").read_text()
    (key,) = re.findall(r"^proxy_cache_key (.*);$", text, re.M)
    n = split("")
    assert n.get("/x?y=1", host="a.local:81")[1]["x-cache"] == "MISS"
    # It gets its name after the client has got the answer.
    (file,) = wait_for(lambda: list((n.dir / "cache").glob("[0-9a-f]" * 32)), "the file")
    values = {"scheme": "http", "mesh_host": "a.local:81", "mesh_cluster": "a",
              "mesh_subset": "v1", "request_uri": "/x?y=1"}
    said = re.sub(r"\$(\w+)", lambda m: values[m[1]], key)
    assert b"\nKEY: " + said.encode() + b"\n" in file.read_bytes()


@pytest.mark.parametrize("level", ["location", "server", "http"])
def test_a_key_of_the_users_is_left(split, level):
    n = split(**{"location": "", level: "proxy_cache_key $uri;"})
    seen = [n.get(path, host=host, headers=headers)[1]
            for path in ("/x?y=1", "/x") for _, host, headers in REQUESTS]
    assert [s["x-endpoint"] for s in seen] == ["a1"] * 6
    assert [s["x-cache"] for s in seen] == ["MISS"] + ["HIT"] * 5


def test_a_block_in_the_location_has_the_key_too(split):
    n = split("if ($http_x_if) { add_header X-Cache if-$upstream_cache_status; }")
    for cached in ("if-MISS", "if-HIT"):
        for want, host, headers in REQUESTS:
            _, got, _ = n.get("/x", host=host, headers={**headers, "X-If": "1"})
            assert (got["x-endpoint"], got["x-cache"]) == (want, cached)


REWRITES = """
clusters: {c: {endpoints: ['%s']}}
hosts:
  - domains: ["*"]
    routes:
      - {match: {headers: {end-user: jason}}, route: c, rewrite: {prefix: /two/}}
      - match: {path: {prefix: /hop}}
        route: c
        internal_redirects: {codes: 302, max: 2}
      - {route: c, rewrite: {prefix: /one/}}
"""


@pytest.fixture
def rewritten(agent, nginx, endpoints):
    """One cluster by routes that differ in the path. $request_uri has been read
    before: what nginx remembers of it is the client's."""
    e = endpoints.add("127.0.9.1", name="c")
    agent(REWRITES % e.at)
    n = nginx(main=MAIN, http="""
        proxy_cache_path {dir}/cache keys_zone=c:1m;
        server {
            listen 127.0.0.1:{port};
            set $read $request_uri;
            location / {
                proxy_buffering on;
                mesh_route;
                proxy_cache c;
                proxy_cache_valid 200 1m;
                add_header X-Cache $upstream_cache_status;
                add_header X-Read $read;
            }
        }
    """)
    return n, e


def test_what_is_rewritten_differently_is_kept_apart(rewritten):
    n, e = rewritten
    for cached in ("MISS", "HIT"):
        for headers in {}, {"end-user": "jason"}:
            _, got, _ = n.get("/x", headers=headers)
            assert (got["x-cache"], got["x-read"]) == (cached, "/x")
    assert [r["target"] for r in e.requests] == ["/one/x", "/two/x"]


def test_hops_are_kept_apart(rewritten):
    """What an endpoint redirects to may be another place for each client."""
    n, e = rewritten
    for client in "a", "b":
        e.redirects = [(302, f"http://u.test/of-{client}")]
        assert n.get("/hop")[1]["x-cache"] == "MISS"
    assert [r["target"] for r in e.requests] == ["/hop", "/one/of-a", "/hop", "/one/of-b"]
