# SPDX-License-Identifier: Apache-2.0
"""Each balancer in live workers, and `meshctl explain` beside it."""

import collections
import json

from meshtest.upstream import MAIN, pair, retries

HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            add_header X-Ticket $mesh_ticket always;
            add_header X-Picked $mesh_endpoint always;
            add_header X-Attempts $mesh_attempts always;
            add_header X-Tried $upstream_addr always;
        }
    }
"""


def mesh(endpoints, lb, weights=None, route="", cluster=""):
    rows = "\n".join(f"      - {{address: '{e.at}', weight: {w}}}"
                     for e, w in zip(endpoints, weights or [1] * len(endpoints)))
    return f"""
clusters:
  reviews:
    lb: {lb}
    panic_threshold: 0
    endpoints:
{rows}
{cluster}
hosts:
  - domains: ["*"]
    routes:
      - route: reviews
{route}
"""


def explain(a, *args, target="http://shop.local/"):
    done = a.ctl("explain", "GET", target, *args, "-o", "json")
    return json.loads(done.stdout)


def test_random(agent, nginx, endpoints):
    """By weight, without turns; a decision repeats by its ticket, and a retry
    goes elsewhere."""
    e = pair(endpoints, 3)
    a = agent(mesh(e, "random", [2, 1, 1], route=retries(on="[connect-failure]")))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    answers = [n.get("/")[1] for _ in range(400)]
    who = collections.Counter(h["x-endpoint"] for h in answers)
    assert 140 < who["e1"] < 260 and who["e2"] > 50 and who["e3"] > 50, who
    names = [h["x-endpoint"] for h in answers]
    assert sum(x == y for x, y in zip(names, names[1:])) > 80, "takes turns"

    for h in answers[:20]:
        said = explain(a, "--ticket", h["x-ticket"])
        assert (said["endpoint"], said["lb"]) == (h["x-picked"], "random")

    e[0].kill()
    for _ in range(40):
        status, h, _ = n.get("/")
        assert status == 200 and h["x-endpoint"] != "e1"
        tried = h["x-tried"].split(", ")
        assert len(set(tried)) == len(tried)
