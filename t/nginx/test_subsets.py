# SPDX-License-Identifier: Apache-2.0
"""Subsets by labels, in routes, in upstreams of http and of stream; live."""

import collections

import pytest

from meshtest.process import wait_for

MAIN = "mesh_zone {zone};"
HTTP = """
    upstream v2 { mesh "reviews/version=v2,stage=prod"; }
    server {
        listen 127.0.0.1:{port};
        location = /metrics { mesh_metrics; }
        location = /upstream { proxy_pass http://v2; }
        location / { mesh_route; add_header X-Subset $mesh_subset always; }
    }
"""
STREAM = """
    upstream v2 { mesh "reviews/version=v2,stage=prod"; }
    proxy_connect_timeout 1s;
    server { listen 127.0.0.1:{tcp}; proxy_pass v2; }
"""
MESH = """
clusters:
  reviews:
    panic_threshold: 0
    outlier_detection: {{consecutive_5xx: 1, max_ejection_percent: 60, base_ejection_time: 1h}}
    subset_selectors:
    - keys: version
      fallback: none
    - {{keys: [version, stage], fallback: {{keys: version}}}}
    endpoints:
{endpoints}
hosts:
- domains: '*'
  routes:
  - {{match: {{path: {{exact: /v1}}}}, route: reviews/version=v1}}
  - {{match: {{path: {{exact: /v2}}}}, route: "reviews/stage=prod,version=v2", retries: {{on: connect-failure, attempts: 2}}}}
  - {{match: {{path: {{exact: /test}}}}, route: "reviews/stage=test,version=v2"}}
"""


def mesh(rows):
    """Of (address, version, stage)."""
    return MESH.format(endpoints="\n".join(
        f"    - {{address: '{at}', labels: {{version: {version}, stage: {stage}}}}}" for at, version, stage in rows))


def reached(get, count=12):
    return dict(collections.Counter(get() for _ in range(count)))


def test_labels_lead_and_follow_the_endpoints(agent, nginx, endpoints):
    """What endpoints there are decides, at any moment: a subset comes, moves,
    and what stands in for it is used while nobody has the labels."""
    e = [endpoints.add(name=f"e{i + 1}") for i in range(4)]
    rows = [(e[0].at, "v1", "prod"), (e[1].at, "v2", "prod"), (e[2].at, "v2", "prod"), (e[3].at, "v1", "test")]
    a = agent(mesh(rows))
    n = nginx(http=HTTP, stream=STREAM, main=MAIN, ports=("tcp",))

    def through(path, port=None):
        return lambda: n.get(path, port=port, headers={"Connection": "close"})[1].get("x-endpoint")

    assert reached(through("/v1")) == {"e1": 6, "e4": 6}
    for way in (through("/v2"), through("/upstream"), through("/", n.tcp)):
        assert reached(way) == {"e2": 6, "e3": 6}
    status, headers, _ = n.get("/v2")
    assert status == 200 and headers["x-subset"] == "stage=prod,version=v2"
    # Nobody is v2 in test: any of v2.
    assert reached(through("/test")) == {"e2": 6, "e3": 6}

    rows[3] = (e[3].at, "v2", "test")
    rows[2] = (e[2].at, "v3", "prod")
    a.write(mesh(rows))
    wait_for(lambda: reached(through("/test")) == {"e4": 12}, "the subset that came")
    for way in (through("/v2"), through("/upstream"), through("/", n.tcp)):
        assert reached(way) == {"e2": 12}

    a.write(mesh(rows[1:]))
    wait_for(lambda: n.get("/v1")[0] == 503, "the subset that went, and has no fallback")
    assert n.get("/v1")[2] == b"no such subset"


def test_a_dead_endpoint_of_a_subset(agent, nginx, endpoints):
    """Other attempts stay in the subset, in http and in stream, after views have
    been renewed in between."""
    e = [endpoints.add(name=f"e{i + 1}") for i in range(4)]
    agent(mesh([(x.at, "v1" if i == 3 else "v2", "prod") for i, x in enumerate(e)]))
    n = nginx(http=HTTP, stream=STREAM, main=MAIN, ports=("tcp",))
    e[0].kill()
    for get in (lambda: n.get("/", port=n.tcp, headers={"Connection": "close"})[1].get("x-endpoint"),
                lambda: n.get("/v2")[1].get("x-endpoint")):
        assert set(reached(get, 30)) == {"e2", "e3"}
    wait_for(lambda: "ejected endpoint" in n.log(), "the ejection")


def test_turns_are_a_subsets_own(agent, nginx, endpoints):
    """Of many subsets that are asked in turn, each spreads its own requests."""
    e = [endpoints.add(name=f"e{i}") for i in range(12)]
    versions = [f"v{i % 6}" for i in range(12)]
    agent(mesh([(x.at, v, "prod") for x, v in zip(e, versions)]) + "".join(
        f"  - {{match: {{path: {{exact: /own/{v}}}}}, route: reviews/version={v}}}\n" for v in versions[:6]))
    n = nginx(http=HTTP, main=MAIN)
    seen = collections.defaultdict(collections.Counter)
    for _ in range(20):
        for v in versions[:6]:
            seen[v][n.get(f"/own/{v}")[1].get("x-endpoint")] += 1
    assert seen == {v: {f"e{i}": 10, f"e{i + 6}": 10} for i, v in enumerate(versions[:6])}


BAD = ["a/x=1,x=2", "a/=1", "a/x=%zz", "a/x=1,", "a/x=1, y=2", "a/x=1/2"]


@pytest.mark.parametrize("said", BAD)
def test_labels_that_are_none(nginx, said):
    for where in ({"http": f'upstream u {{ mesh "{said}"; }}'},
                  {"http": "", "stream": f'upstream u {{ mesh "{said}"; }}'}):
        n = nginx(main=MAIN, start=False, **where)
        status, text = n.test()
        assert status != 0 and "KEY=VALUE" in text, text
