# SPDX-License-Identifier: Apache-2.0
"""Weighted clusters that a request's hash or number chooses, in live workers,
and `meshctl explain` beside them."""

import collections
import json
import re

from meshtest.chance import fits
from meshtest.upstream import MAIN, pair, retries

HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            add_header X-Hash $mesh_hash always;
            add_header X-Ticket $mesh_ticket always;
            add_header X-Cluster $mesh_cluster always;
            add_header X-Picked $mesh_endpoint always;
            add_header X-Attempts $mesh_attempts always;
        }
    }
"""
HASH = """
        split_by: hash
        hash_policy:
          - {header: x-user, terminal: true}
          - cookie: {name: sid, ttl: 1h}
"""
NUMBER = "        split_by: {header: X-Random}\n"


def mesh(e, by, weights=(70, 30), lb="round_robin", more=""):
    """v1 has the first two endpoints, v2 the others."""
    def cluster(name, endpoints):
        rows = "".join(f"      - '{x.at}'\n" for x in endpoints)
        return f"  {name}:\n    lb: {lb}\n    panic_threshold: 0\n    endpoints:\n{rows}"

    return f"""
clusters:
{cluster("v1", e[:2])}{cluster("v2", e[2:])}
hosts:
  - domains: ["*"]
    routes:
      - match: {{path: /plain}}
        route: [{{cluster: v1, weight: {weights[0]}}}, {{cluster: v2, weight: {weights[1]}}}]
      - route: [{{cluster: v1, weight: {weights[0]}}}, {{cluster: v2, weight: {weights[1]}}}]
{by}{more}"""


def explain(a, *args, target="http://shop.local/"):
    return json.loads(a.ctl("explain", "GET", target, *args, "-o", "json").stdout)


def ask(n, path="/", **headers):
    status, h, _ = n.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert status == 200
    return h


def test_users_stay(agent, nginx, endpoints):
    """In every worker, on every path, where explain says; and without a
    ticket of the route, which others draw."""
    e = pair(endpoints, 4)
    text = mesh(e, HASH)
    a = agent(text)
    n = nginx(http=HTTP, main=MAIN, workers=2)
    users = [f"user{i}" for i in range(120)]
    first = {u: ask(n, x_user=u) for u in users}
    home = {u: h["x-cluster"] for u, h in first.items()}
    counts = collections.Counter(home.values())
    assert 60 <= counts["v1"] <= 108 and counts["v2"] == 120 - counts["v1"], counts
    assert all("set-cookie" not in h and h["x-ticket"].startswith("-.") for h in first.values())
    for u in users:
        assert ask(n, "/other?a=1", x_user=u, cookie="sid=7")["x-cluster"] == home[u]
    for u in users[:20]:
        said = explain(a, "-H", f"x-user: {u}")
        assert (said["cluster"], said["hash"]["value"]) == (home[u], first[u]["x-hash"])
        assert said["ticket"]["route_counts"] is False and said["split_by"]["of"] == 100
        assert (said["split_by"]["split"] >= 70) == (home[u] == "v2") and said["split_by"]["by"] == "hash"
        assert explain(a, "--hash", first[u]["x-hash"])["cluster"] == home[u]
    text_of = a.ctl("explain", "GET", "http://shop.local/", "-H", f"x-user: {users[0]}").stdout
    assert f"by hash {first[users[0]]['x-hash']}, point " in text_of

    # Round robin inside: the hash is the split's alone.
    assert {ask(n, x_user=users[0])["x-picked"] for _ in range(8)} == \
        {x.at for x in (e[:2] if home[users[0]] == "v1" else e[2:])}

    # In turn, with a ticket and no hash, where the route asks for nothing.
    plain = [ask(n, "/plain", x_user="me") for _ in range(100)]
    assert collections.Counter(h["x-cluster"] for h in plain) == {"v1": 70, "v2": 30}
    assert all(not h["x-ticket"].startswith("-.") and not h.get("x-hash") for h in plain)

    # Written otherwise nobody moves, and then those alone that must.
    a.apply(mesh(e, HASH, weights=(7, 3)))
    assert all(ask(n, x_user=u)["x-cluster"] == home[u] for u in users)
    a.apply(mesh(e, HASH, weights=(1, 1)))
    after = {u: ask(n, x_user=u)["x-cluster"] for u in users}
    assert all(after[u] == "v2" for u in users if home[u] == "v2")
    assert 6 <= sum(after[u] != home[u] for u in users) <= 48


def test_a_cookie_that_is_set(agent, nginx, endpoints):
    """It has chosen already for the request that it is given to, though the
    clusters' balancers look at no hash."""
    e = pair(endpoints, 4)
    a = agent(mesh(e, HASH))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    homes = collections.Counter()
    for _ in range(300):
        h = ask(n)
        cookie = re.fullmatch(r'(sid="[0-9a-f]{16}"); Max-Age=3600; HttpOnly', h["set-cookie"])[1]
        again = ask(n, cookie=cookie)
        assert (again["x-cluster"], again["x-hash"]) == (h["x-cluster"], h["x-hash"]) and "set-cookie" not in again
        homes[h["x-cluster"]] += 1
    assert fits(homes["v1"], 300, 0.7) and set(homes) == {"v1", "v2"}, homes
    said = explain(a)
    assert said["hash"] == {"set_cookie": ["sid"]} and said["split_by"] == {"by": "hash", "of": 100}
    assert "by hash of a new cookie sid: any of them" in a.ctl("explain", "GET", "http://shop.local/").stdout
    assert "set-cookie" not in ask(n, "/plain")


def test_one_hash_for_both(agent, nginx, endpoints):
    """The endpoint, too, and each endpoint of a cluster gets some; retries
    stay in the cluster."""
    e = pair(endpoints, 4)
    a = agent(mesh(e, HASH, lb="ring_hash", more=retries(on="[connect-failure]")))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    users = [f"user{i}" for i in range(120)]
    first = {u: ask(n, x_user=u) for u in users}
    assert {(h["x-cluster"], h["x-picked"]) for h in first.values()} == \
        {("v1" if i < 2 else "v2", x.at) for i, x in enumerate(e)}
    for u in users:
        assert ask(n, x_user=u)["x-picked"] == first[u]["x-picked"]
        said = explain(a, "--hash", first[u]["x-hash"])
        assert (said["cluster"], said["endpoint"]) == (first[u]["x-cluster"], first[u]["x-picked"])
    e[0].kill()
    for u in users:
        h = ask(n, x_user=u)
        assert h["x-cluster"] == first[u]["x-cluster"]
        assert h["x-picked"] == (e[1].at if first[u]["x-picked"] == e[0].at else first[u]["x-picked"])


def test_numbers(agent, nginx, endpoints):
    """Of the client's header; without one, in turn."""
    e = pair(endpoints, 4)
    a = agent(mesh(e, NUMBER))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    for number in (0, 1, 69, 70, 99, 100, 169, 170, 2 ** 64 - 1):
        wanted = "v1" if number % 100 < 70 else "v2"
        for _ in range(4):
            h = ask(n, x_random=str(number))
            assert h["x-cluster"] == wanted and h["x-ticket"].startswith("-.") and not h.get("x-hash")
        said = explain(a, "-H", f"x-random: {number}", "--random", str(number + 30 if number < 2 ** 63 else 0))
        assert said["cluster"] == wanted and "split" not in said["random"]
        by = said["split_by"]
        assert (by["header"], int(by["value"]), by["split"], by["of"]) == ("x-random", number, number % 100, 100)
    assert "by header x-random: 171, point 71 of 100" in \
        a.ctl("explain", "GET", "http://shop.local/", "-H", "x-random: 171").stdout

    for value in ("-1", "x", str(2 ** 64)):
        answers = [ask(n, x_random=value) for _ in range(100)]
        assert collections.Counter(h["x-cluster"] for h in answers) == {"v1": 70, "v2": 30}
        for h in answers[:10]:
            said = explain(a, "-H", f"x-random: {value}", "--ticket", h["x-ticket"])
            assert said["cluster"] == h["x-cluster"] and "split_by" not in said
    assert "by no number in header x-random, ticket 4\n" in \
        a.ctl("explain", "GET", "http://shop.local/", "--ticket", "4.0").stdout
    assert "by number in x-random" in a.ctl("routes").stdout


def test_without_a_hash(agent, nginx, endpoints):
    """In turn, and lint says so where no policy is there at all."""
    e = pair(endpoints, 4)
    a = agent(mesh(e, "        split_by: hash\n"))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    answers = [ask(n, x_user="me") for _ in range(100)]
    assert collections.Counter(h["x-cluster"] for h in answers) == {"v1": 70, "v2": 30}
    for h in answers[:10]:
        assert explain(a, "--ticket", h["x-ticket"])["cluster"] == h["x-cluster"]
    assert "by no hash, ticket " in a.ctl("explain", "GET", "http://shop.local/").stdout
    assert "unused-split-by" in a.ctl("lint", check=False).stdout
