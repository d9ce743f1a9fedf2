# SPDX-License-Identifier: Apache-2.0
"""Each balancer in live workers, and `meshctl explain` beside it."""

import base64
import collections
import http.client
import itertools
import json
import random
import re
import threading
import time

import pytest

from meshtest.chance import bounds, fits
from meshtest.process import wait_for
from meshtest.upstream import MAIN, metric, pair, retries

HTTP = """
    server {
        listen 127.0.0.1:{port};
        location = /metrics { mesh_metrics; }
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


def explain(a, *args, target="http://shop.local/", check=True):
    done = a.ctl("explain", "GET", target, *args, "-o", "json", check=check)
    return json.loads(done.stdout)


def test_random(agent, nginx, endpoints):
    """By weight, without turns; a decision repeats by its ticket, and a retry
    goes elsewhere."""
    e = pair(endpoints, 3)
    a = agent(mesh(e, "random", [2, 1, 1], route=retries(on="[connect-failure]")))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    answers = [n.get("/")[1] for _ in range(400)]
    who = collections.Counter(h["x-endpoint"] for h in answers)
    assert all(fits(who[x], 400, share) for x, share in (("e1", 0.5), ("e2", 0.25), ("e3", 0.25))), who
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


HASHING = ["ring_hash", "maglev"]
POLICIES = """
        hash_policy:
          - {header: x-user, terminal: true}
          - cookie: {name: sid, ttl: 1h, path: /, attributes: {SameSite: Lax}}
"""


def with_hash(http):
    return http.replace("add_header X-Ticket",
                        "add_header X-Hash $mesh_hash always; add_header X-Ticket")


@pytest.mark.parametrize("lb", HASHING)
def test_hashes_choose(agent, nginx, endpoints, lb):
    """The same user goes to the same endpoint, in every worker, through other
    generations, and where explain says; without one endpoint, only its own
    users go elsewhere, and they come back with it."""
    e = pair(endpoints, 4)
    text = mesh(e, lb, route=POLICIES + retries(on="[connect-failure]"))
    a = agent(text)
    n = nginx(http=with_hash(HTTP), main=MAIN, workers=2)

    def ask(user):
        status, h, _ = n.get("/", headers={"x-user": user})
        assert status == 200 and "set-cookie" not in h
        return h

    users = [f"user{i}" for i in range(120)]    # of a quarter, somebody is at each
    first = {u: ask(u) for u in users}
    home = {u: h["x-endpoint"] for u, h in first.items()}
    assert set(home.values()) == {"e1", "e2", "e3", "e4"}
    assert all(ask(u)["x-endpoint"] == home[u] for u in users)
    for u in users[:20]:
        said = explain(a, "-H", f"x-user: {u}")
        assert said["endpoint"] == first[u]["x-picked"]
        assert said["hash"] == {"value": first[u]["x-hash"], "set_cookie": []}
        again = explain(a, "--hash", first[u]["x-hash"])
        assert again["endpoint"] == first[u]["x-picked"]

    a.apply(text.replace("panic_threshold: 0", "panic_threshold: 1"))
    assert all(ask(u)["x-endpoint"] == home[u] for u in users)

    e[0].kill()
    for u in users:
        h = ask(u)
        if home[u] == "e1":
            assert h["x-attempts"] == "2" and h["x-endpoint"] != "e1"
        else:
            assert h["x-endpoint"] == home[u]
    e[0].start()
    assert all(ask(u)["x-endpoint"] == home[u] for u in users)


@pytest.mark.parametrize("lb", HASHING)
def test_hash_of_retries(agent, nginx, endpoints, lb):
    """Without its endpoint a user has one other, not any other: for retries,
    in the view of after the ejection, and as long as that lasts."""
    e = pair(endpoints, 5)
    a = agent(mesh(e, lb, route=POLICIES + retries(on="[connect-failure]"),
                   cluster="    outlier_detection: {consecutive_5xx: 8,"
                           " base_ejection_time: 60s, max_ejection_percent: 100}\n"))
    n = nginx(http=with_hash(HTTP), main=MAIN)

    def ask(user):
        status, h, _ = n.get("/", headers={"x-user": user})
        assert status == 200
        return h

    # A fifth of them, more or less, is its: ten are among the first thousand.
    users = (u for u in map("user{}".format, range(1000)) if ask(u)["x-endpoint"] == "e1")
    mine = list(itertools.islice(users, 10))
    assert len(mine) == 10
    e[0].kill()
    second = {u: ask(u) for u in mine}
    assert [second[u]["x-attempts"] for u in mine[:8]] == ["2"] * 8

    def first():
        """All go at once to where their retries went."""
        answers = [ask(u) for u in mine]
        assert [h["x-endpoint"] for h in answers] == [second[u]["x-endpoint"] for u in mine]
        return {h["x-attempts"] for h in answers} == {"1"}

    wait_for(first, "the ejection")
    assert all(first() for _ in range(5))
    said = explain(a, "-H", f"x-user: {mine[0]}")
    assert said["endpoint"] == second[mine[0]]["x-picked"]


def test_cookies_that_are_set(agent, nginx, endpoints):
    """A client without one is given a cookie, once; it leads back to the
    endpoint that answered first."""
    e = pair(endpoints, 4)
    a = agent(mesh(e, "maglev", route=POLICIES))
    n = nginx(http=with_hash(HTTP), main=MAIN, workers=2)
    homes = set()
    for _ in range(20):
        _, h, _ = n.get("/")
        cookie = h["set-cookie"]
        found = re.fullmatch(
            r'(sid="[0-9a-f]{16}"); Max-Age=3600; Path=/; SameSite=Lax; HttpOnly', cookie)
        assert found, cookie
        homes.add(h["x-endpoint"])
        for sent in (found[1], "other=1; " + found[1].replace('"', "")):
            _, again, _ = n.get("/", headers={"cookie": sent})
            assert again["x-endpoint"] == h["x-endpoint"]
            assert again["x-hash"] == h["x-hash"] and "set-cookie" not in again
        said = explain(a, "-H", "cookie: " + found[1])
        assert said["hash"]["value"] == h["x-hash"]
    assert len(homes) > 1
    assert explain(a)["hash"] == {"set_cookie": ["sid"]}

    # Two requests of one connection are one client.
    c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=10)
    seen = set()
    for _ in range(2):
        c.request("GET", "/")
        r = c.getresponse()
        r.read()
        seen.add(r.headers["set-cookie"])
    c.close()
    assert len(seen) == 1

    # No cookie for a balancer that looks at none, nor in an answer of our own.
    a.apply(mesh(e, "random", route=POLICIES))
    assert "set-cookie" not in n.get("/")[1]
    a.apply(mesh(e[:1], "maglev", [0], route=POLICIES))
    status, h, _ = n.get("/")
    assert status == 503 and "set-cookie" not in h


@pytest.mark.slow
def test_live_equals_explain(agent, nginx, endpoints):
    """Hash and endpoint, over all kinds of policies and random requests."""
    e = pair(endpoints, 5)
    rng = random.Random(11)
    kinds = ["{header: x-user}", "{cookie: sid}", "{source_ip: true}",
             "{query_parameter: q}", "{path: true}",
             "{header: {name: x-user, regex_rewrite: {pattern: '^u|[0-4]', substitution: '-'}}}"]
    a = agent(mesh(e, "maglev"))
    n = nginx(http=with_hash(HTTP), main=MAIN)
    for turn in range(8):
        some = [k[:-1] + rng.choice([", terminal: true}", "}"])
                for k in rng.sample(kinds, rng.randint(1, 4))]
        a.apply(mesh(e, HASHING[turn % 2], [1, 2, 3, 4, 5],
                       route="        hash_policy: [" + ", ".join(some) + "]\n"))
        for _ in range(10):
            headers = {}
            if rng.random() < 0.5:
                headers["x-user"] = f"u{rng.randint(0, 9)}"
            if rng.random() < 0.5:
                headers["cookie"] = f"a=1; sid={rng.randint(0, 9)}"
            path = rng.choice(["/", "/a/../b%41", "/c?q=%20", "/?p=1&q=2"])
            _, h, _ = n.get(path, headers=headers)
            args = ["--source", "127.0.0.1", "--ticket", h["x-ticket"]]
            for k, v in headers.items():
                args += ["-H", f"{k}: {v}"]
            said = explain(a, *args, target="http://x" + path)
            assert said["hash"].get("value", "") == h.get("x-hash", ""), (some, path, headers)
            assert said["endpoint"] == h["x-picked"]


def test_hash_of_a_rewritten_header(agent, nginx, endpoints):
    """Who is of one tenant goes to one endpoint, in every worker and where
    explain says; without the rewrite, not so.  A pattern that gives up leaves
    the value as it came."""
    e = pair(endpoints, 4)
    policy = ("        hash_policy: {header: {name: x-user, regex_rewrite: "
              "{pattern: '%s', substitution: '\\1'}}}\n")
    tenant = policy % "^([a-z]+)-.*$"
    a = agent(mesh(e, "maglev", route=tenant))
    n = nginx(http=with_hash(HTTP), main=MAIN, workers=2)

    def hashes(names):
        return [n.get("/", headers={"x-user": x})[1] for x in names]

    users = [f"acme-{i}" for i in range(20)]
    answers = hashes(users)
    assert len({h["x-endpoint"] for h in answers}) == 1
    assert {h["x-hash"] for h in answers} == {hashes(["acme"])[0]["x-hash"]}
    said = explain(a, "-H", "x-user: acme-7")
    assert said["hash"]["value"] == answers[7]["x-hash"]
    assert said["endpoint"] == answers[7]["x-picked"]
    assert "x-hash" not in n.get("/")[1]

    a.apply(mesh(e, "maglev", route="        hash_policy: {header: x-user}\n"))
    plain = hashes(users)
    assert len({h["x-hash"] for h in plain}) == 20 and len({h["x-endpoint"] for h in plain}) > 1

    long = "a" * 50 + "b"
    want = hashes([long])[0]["x-hash"]
    a.apply(mesh(e, "maglev", route=policy % "((a+)+)$"))
    assert hashes([long])[0]["x-hash"] == want
    limits = re.findall(r"^mesh_worker_regex_limits_total\{.*\} (\d+)$",
                        n.get("/metrics")[2].decode(), re.M)
    assert sum(map(int, limits)) == 1


def in_flight(n, count):
    """Waits for that: an attempt ends a little after its answer has come."""
    wait_for(lambda: metric(n, "mesh_cluster_attempts_in_flight") == count, f"{count} in flight")


def at_once(n, endpoints, count):
    """So many requests that no endpoint answers, each sent when the one before
    has been picked for; who answered then."""
    who = []
    threads = []
    in_flight(n, 0)
    for e in endpoints:
        e.hold = True
    for i in range(count):
        t = threading.Thread(target=lambda: who.append(n.get("/")[1]["x-endpoint"]))
        t.start()
        threads.append(t)
        in_flight(n, i + 1)
    for e in endpoints:
        e.hold = False
    for t in threads:
        t.join()
    return collections.Counter(who)


@pytest.mark.slow
def test_least_request_of_all(agent, nginx, endpoints):
    """full_scan spreads what is in flight exactly, by weight; with a bias and
    unequal weights it is a draw that load repels."""
    e = pair(endpoints, 4)
    a = agent(mesh(e, "{policy: least_request, full_scan: true}"))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    assert at_once(n, e, 12) == {"e1": 3, "e2": 3, "e3": 3, "e4": 3}

    a.apply(mesh(e, "{policy: least_request, full_scan: true}", [1, 1, 1, 3]))
    assert at_once(n, e, 12) == {"e1": 2, "e2": 2, "e3": 2, "e4": 6}

    a.apply(mesh(e, "{policy: least_request, active_request_bias: 0.5}", [1, 1, 1, 7]))
    for _ in range(10):
        in_flight(n, 0)
        _, h, _ = n.get("/")
        in_flight(n, 0)
        assert explain(a, "--ticket", h["x-ticket"])["endpoint"] == h["x-picked"]

    # 7 of 10; less if another worker is not quite done with the one before.
    who = collections.Counter(n.get("/")[1]["x-endpoint"] for _ in range(400))
    assert bounds(400, 0.62)[0] <= who["e4"] <= bounds(400, 0.73)[1] and len(who) == 4, who


@pytest.mark.slow
def test_peak_ewma(agent, nginx, endpoints):
    """The slow one gets hardly anything, whichever it is; nor does one that
    fails at once."""
    e = pair(endpoints, 2)
    a = agent(mesh(e, "{policy: peak_ewma, decay_time: 30s}",
                   route=retries(on="[connect-failure]")))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    # Much slower than a busy machine makes the other one: a peak is believed.
    e[1].delay = 0.8
    who = collections.Counter(n.get("/")[1]["x-endpoint"] for _ in range(100))
    assert who["e2"] <= 5, who

    e[0].delay, e[1].delay = 2.5, 0
    who = collections.Counter(n.get("/")[1]["x-endpoint"] for _ in range(60))
    assert who["e1"] <= 5, who
    assert explain(a)["lb"] == "peak_ewma"

    # Its average doubles until it is the slower one.
    e[0].delay = 0
    e[1].kill()
    first = [n.get("/")[1]["x-tried"].split(", ")[0] for _ in range(40)]
    assert 0 < first.count(e[1].at) < 20, first


SESSION = """
        stateful_session: {cookie: {name: at, ttl: 60s, path: /}%s}
"""


def test_sessions(agent, nginx, endpoints):
    """A client stays where its cookie says, whatever the balancer wants; it is
    given another one when its endpoint is gone, or 503 when strict."""
    e = pair(endpoints, 3)
    a = agent(mesh(e, "round_robin", route=SESSION % "" + retries(on="[connect-failure]")))
    n = nginx(http=HTTP, main=MAIN, workers=2)

    def ask(cookie=None):
        status, h, _ = n.get("/", headers={"cookie": cookie} if cookie else {})
        return status, h

    status, h = ask()
    found = re.fullmatch(r'(at="([^"]+)"); Max-Age=60; Path=/; HttpOnly', h["set-cookie"])
    assert found and base64.b64decode(found[2]).decode() == h["x-picked"]
    home, cookie = h["x-endpoint"], found[1]
    for _ in range(9):
        status, h = ask(cookie)
        assert h["x-endpoint"] == home and "set-cookie" not in h
    said = explain(a, "-H", "cookie: " + cookie)
    assert said["by_session"] is True and said["endpoint"] == h["x-picked"]
    assert explain(a)["by_session"] is False

    # A name that is nobody's, or no name at all: as if there were none.
    for bad in ('at="MTAuMC4wLjE6ODA="', "at=%%%", "at="):
        status, h = ask(bad)
        assert status == 200 and "at=" in h["set-cookie"]

    # Its endpoint does not answer: another one, and a cookie for that.
    dead = next(x for x in e if x.name == home)
    dead.kill()
    status, h = ask(cookie)
    assert status == 200 and h["x-attempts"] == "2" and h["x-endpoint"] != home
    assert base64.b64decode(h["set-cookie"].split('"')[1]).decode() == h["x-picked"]

    # It left, and another endpoint is not good enough.
    rest = [x for x in e if x.name != home]
    a.apply(mesh(rest, "round_robin", route=SESSION % ", strict: true"))
    status, h = ask(cookie)
    assert status == 503 and "set-cookie" not in h
    said = explain(a, "-H", "cookie: " + cookie, check=False)
    assert said["result"] == "no endpoint"
    assert {(x["candidate"], x["why"]) for x in said["endpoints"]} == {
        (False, "not the session's, which is strict")
    }
    status, h = ask()
    assert status == 200 and h["set-cookie"].endswith("HttpOnly")

    # No answer of an endpoint, no cookie.
    for x in rest:
        x.kill()
    status, h = ask()
    assert status == 502 and "set-cookie" not in h


def test_sessions_by_header(agent, nginx, endpoints):
    """As by a cookie, with a header of the answer, which takes the place of the
    endpoint's own; the endpoint is sent what the client sent."""
    e = pair(endpoints, 3)
    for one in e:
        one.headers = {"X-At": "own", "X-Kind": "kind"}
    route = "        stateful_session: {header: X-At%s}\n"
    change = "        response_headers: {set: {x-seen: '%RESP(x-at)%'}}\n"
    a = agent(mesh(e, "round_robin", route=route % "" + change + retries(on="[connect-failure]")))
    n = nginx(http=HTTP, main=MAIN, workers=2)

    def ask(at=None):
        status, h, _ = n.get("/", headers={"x-at": at} if at else {})
        return status, h

    def named(h):
        return base64.b64decode(h["x-at"]).decode()

    status, h = ask()
    assert status == 200 and named(h) == h["x-picked"] and h["x-seen"] == h["x-at"]
    assert "set-cookie" not in h and h["x-kind"] == "kind"
    home, at = h["x-endpoint"], h["x-at"]
    for _ in range(9):
        status, h = ask(at)
        assert h["x-endpoint"] == home and h["x-at"] == "own"
    said = explain(a, "-H", "X-At: " + at)
    assert said["by_session"] is True and said["endpoint"] == h["x-picked"]
    assert explain(a, "-H", f"cookie: x-at={at}")["by_session"] is False
    text = a.ctl("explain", "GET", "http://shop.local/", "-H", "x-at: " + at).stdout
    assert "by the session's header" in text
    dead = next(x for x in e if x.name == home)
    assert ("x-at", at) in [(k.lower(), v) for k, v in dead.requests[-1]["headers"]]

    # A name that is nobody's, or none: as if there were no header.
    for bad in ("MTAuMC4wLjE6ODA=", "%%%", '"' + at + '"x'):
        status, h = ask(bad)
        assert status == 200 and named(h) == h["x-picked"]

    dead.kill()
    status, h = ask(at)
    assert status == 200 and h["x-attempts"] == "2" and h["x-endpoint"] != home
    assert named(h) == h["x-picked"]

    rest = [x for x in e if x.name != home]
    a.apply(mesh(rest, "round_robin", route=route % ", strict: true"))
    status, h = ask(at)
    assert status == 503 and "x-at" not in h
    said = explain(a, "-H", "x-at: " + at, check=False)
    assert said["result"] == "no endpoint"

    # No answer of an endpoint, no header.
    for x in rest:
        x.kill()
    status, h = ask()
    assert status == 502 and "x-at" not in h


def cluster_of(rows, more="", routes=""):
    """rows: (endpoint, what is said of it)."""
    lines = "\n".join(f"      - {{address: '{e.at}'{', ' if said else ''}{said}}}"
                      for e, said in rows)
    return f"""
clusters:
  reviews:
    endpoints:
{lines}
{more}
hosts:
  - domains: ["*"]
    routes:
{routes}      - route: reviews
        retries: {{attempts: 3, on: [connect-failure]}}
"""


OUTLIER = """
    outlier_detection: {consecutive_5xx: 1, base_ejection_time: 1500ms,
                        max_ejection_time: 1500ms, max_ejection_percent: 100}
"""


def who_answers(n, count, path="/"):
    who = collections.Counter()
    for _ in range(count):
        status, h, _ = n.get(path)
        assert status == 200
        who[h["x-endpoint"]] += 1
    return who


@pytest.mark.parametrize("lb", ["round_robin", "maglev"])
def test_priorities(agent, nginx, endpoints, lb):
    """All of it at priority 0; with half of that gone, 70 and 30; with all of
    it gone, everything at priority 1, by retries and then by ejection; and
    back."""
    e = pair(endpoints, 4)
    said = ["", "", "priority: 1", "priority: 1"]
    text = cluster_of(zip(e, said), OUTLIER + f"    lb: {lb}\n")
    a = agent(text)
    n = nginx(http=HTTP, main=MAIN, workers=2)
    assert set(who_answers(n, 50)) == {"e1", "e2"}       # maglev without a hash draws

    def loads():
        """After some requests, which all end well."""
        who_answers(n, 8)
        said = json.loads(a.ctl("endpoints", "reviews", "-o", "json").stdout)[0]
        return [g["load_percent"] for g in said["groups"]]
    assert loads() == [100, 0]
    e[0].kill()
    wait_for(lambda: loads() == [70, 30], "the ejection of one")
    e[1].kill()
    wait_for(lambda: loads() == [0, 100], "the ejection of both")
    wait_for(lambda: set(who_answers(n, 8)) == {"e3", "e4"}, "priority 1 alone")
    e[0].start()
    e[1].start()
    wait_for(lambda: loads() == [100, 0], "priority 0 again", timeout=20)
    # A worker's view may be 10 ms behind.
    wait_for(lambda: set(who_answers(n, 20)) == {"e1", "e2"}, "priority 0 alone")


def test_priorities_by_health(agent, nginx, endpoints):
    """Half of priority 0 is said to be unhealthy: 70 of 100, exactly, and
    turns inside; a worker's ticket repeated by explain."""
    e = pair(endpoints, 6)
    said = ["", "", "health: unhealthy", "health: unhealthy", "priority: 1", "priority: 1"]
    a = agent(cluster_of(zip(e, said)))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    assert who_answers(n, 100) == {"e1": 35, "e2": 35, "e5": 15, "e6": 15}
    for _ in range(20):
        _, h, _ = n.get("/")
        said = explain(a, "--ticket", h["x-ticket"])
        assert said["endpoint"] == h["x-picked"]
        picked = [g["priority"] for g in said["groups"] if g["picked"]]
        assert picked == [0 if h["x-endpoint"] in ("e1", "e2") else 1]

    # Drained, they are no part of it any more: the rest of 0 is whole.
    for x in e[2:4]:
        a.ctl("drain", "reviews", x.at, "--wait")
    assert set(who_answers(n, 40)) == {"e1", "e2"}


def test_localities(agent, nginx, endpoints):
    """By weight of localities, whatever they have; a retry stays near."""
    e = pair(endpoints, 4)
    said = ["zone: a", "zone: b", "zone: b", "zone: c"]
    text = cluster_of(zip(e, said), """
    lb:
      policy: round_robin
      locality_weights: [{zone: a, weight: 3}, {zone: b, weight: 1}]
""")
    a = agent(text)
    n = nginx(http=HTTP, main=MAIN, workers=2)
    who = who_answers(n, 200)
    assert abs(who["e1"] - 150) <= 4 and abs(who["e2"] - who["e3"]) <= 4, who
    assert who["e4"] == 0
    said = explain(a)
    assert [(g["locality"], g["load_percent"]) for g in said["groups"]] == [
        ("a", 75), ("b", 25), ("others", 0)]
    assert said["endpoints"][3]["why"] == "its locality has no weight"

    e[0].kill()
    who = who_answers(n, 60)
    assert set(who) == {"e2", "e3"} and min(who.values()) > 15, who


def test_near_ones_first(agent, nginx, endpoints):
    """The node's zone first, its region when that dies, then anybody; an agent
    that does not know where it is says so, and all are alike."""
    e = pair(endpoints, 4)
    said = [f"locality: {{region: {r}, zone: {z}}}"
            for r, z in (("eu", "a"), ("eu", "b"), ("us", "a"), ("us", "c"))]
    text = cluster_of(zip(e, said), "    lb: {policy: round_robin, locality_failover: true}\n")
    a = agent(text, extra="node: {region: eu, zone: b}")
    n = nginx(http=HTTP, main=MAIN, workers=2)
    assert set(who_answers(n, 12)) == {"e2"}
    state = json.loads(a.ctl("endpoints", "reviews", "-o", "json").stdout)[0]
    assert [x["priority"] for x in state["endpoints"]] == [1, 0, 2, 2]
    e[1].kill()
    assert set(who_answers(n, 12)) == {"e1"}
    e[0].kill()
    assert set(who_answers(n, 12)) == {"e3", "e4"}

    for x in e[:2]:
        x.start()
    a.stop()
    a.conf.write_text(a.conf.read_text().replace("node: {region: eu, zone: b}", ""))
    a.start()
    wait_for(lambda: len(who_answers(n, 12)) == 4, "all alike")
    assert "does not say where this node is" in a.log()


def shop_of(zones):
    rows = [f"{{address: '127.0.9.{i + 1}:1', zone: {z}}}" for i, z in enumerate(zones)]
    return f"clusters:\n  shop: {{endpoints: [{', '.join(rows)}]}}\n"


@pytest.mark.slow
def test_zone_aware(agent, nginx, endpoints):
    """What stays in the node's zone follows the local cluster's endpoints,
    drains of them, and ejections here; a worker's choice as explain's."""
    e = pair(endpoints, 6)
    lb = """
    lb: {policy: least_request, zone_aware: {min_cluster_size: 3}}
    outlier_detection: {consecutive_gateway_failure: 1, consecutive_5xx: 0, base_ejection_time: 60s,
                        max_ejection_percent: 100}
"""
    near = cluster_of(zip(e, [f"zone: {z}" for z in "aabbbb"]), lb)

    def whole(zones):
        return shop_of(zones) + near.replace("\nclusters:\n", "", 1)

    a = agent(whole("aab"), extra="node: {zone: a, local_cluster: shop}")
    n = nginx(http=HTTP, main=MAIN, workers=2)

    def zones(count):
        who = who_answers(n, count)
        return who["e1"] + who["e2"], sum(who[x] for x in ("e3", "e4", "e5", "e6"))

    def said():
        clusters = json.loads(a.ctl("clusters", "-o", "json").stdout)
        return next(c for c in clusters if c["cluster"] == "reviews")["zone_aware"]

    # A third of these and two thirds of those are in a: half.
    assert zones(100) == (50, 50)
    assert said()["why"] == "on: this zone takes what it can"
    for _ in range(20):
        _, h, _ = n.get("/")
        told = explain(a, "--ticket", h["x-ticket"])
        assert told["zone_aware"]["on"]
        picked = [g["locality"] for g in told["groups"] if g["picked"]]
        assert picked == ["a" if h["x-endpoint"] in ("e1", "e2") else "b"]

    a.apply(whole("abbb"))
    wait_for(lambda: zones(20) == (20, 0), "a quarter of those in a")
    assert said()["why"] == "on: all stays in this zone"
    a.apply(whole("aab"))
    wait_for(lambda: zones(20) == (10, 10), "two thirds again")

    # One that is drained is no proxy: half of them are here.
    a.ctl("drain", "shop", "127.0.9.1:1", "--wait")
    here, there = zones(300)
    assert 195 <= here <= 205, (here, there)
    a.ctl("undrain", "shop", "127.0.9.1:1", "--wait")
    assert zones(100) == (50, 50)

    # Who is ejected has no room: of five, one is here; then nobody.
    e[0].kill()
    wait_for(lambda: said()["zones"][0]["usable"] == 1 if zones(4) else False, "an ejection")
    here, there = zones(200)
    assert 55 <= here <= 65, (here, there)
    e[1].kill()
    wait_for(lambda: said()["zones"][0]["usable"] == 0 if zones(4) else False, "another one")
    assert zones(40) == (0, 40)
    assert [z["load_percent"] for z in said()["zones"]] == [0, 100]


V9 = "      - {match: {path: {exact: /v9}}, route: reviews/v9}\n"


def test_subset_fallback(agent, nginx, endpoints):
    """A subset without endpoints, or that does not exist: nothing, anybody,
    or another subset."""
    e = pair(endpoints, 3)
    said = ["labels: {v: x}", "", "labels: {v: y}"]
    subsets = "    subsets: {x: {v: x}, v9: {v: z}}\n"
    a = agent(cluster_of(zip(e, said), subsets, V9))
    n = nginx(http=HTTP, main=MAIN, workers=2)
    assert n.get("/v9")[0] == 503
    a.apply(cluster_of(zip(e, said), subsets + "    subset_fallback: any\n", V9))
    assert who_answers(n, 12, "/v9") == {"e1": 4, "e2": 4, "e3": 4}
    a.apply(cluster_of(zip(e, said), "    subsets: {x: {v: x}}\n"
                                     "    subset_fallback: {subset: x}\n", V9))
    assert set(who_answers(n, 6, "/v9")) == {"e1"}
    assert explain(a, target="http://shop.local/v9")["fallback"] == "x"
    e[0].kill()
    assert n.get("/v9")[0] in (502, 503)


def test_hash_key(agent, nginx, endpoints):
    """An endpoint that moved to another address keeps its users."""
    e = pair(endpoints, 4)
    lb = "    lb: maglev\n"

    def mesh_of(order):
        rows = [(e[i], f"hash_key: pod-{k}") for k, i in enumerate(order)]
        return cluster_of(rows, lb).replace(
            "- route: reviews", "- route: reviews\n        hash_policy: {header: x-user}")
    a = agent(mesh_of([0, 1, 2]))
    n = nginx(http=with_hash(HTTP), main=MAIN)

    def homes():
        return [n.get("/", headers={"x-user": f"u{i}"})[1]["x-endpoint"] for i in range(60)]
    before = homes()
    a.apply(mesh_of([0, 3, 2]))
    after = homes()
    assert after == [{"e2": "e4"}.get(x, x) for x in before] and "e4" in after


@pytest.mark.slow
def test_slow_start(agent, nginx, endpoints):
    """One that joins gets little at first, and its share when its window is
    over."""
    e = pair(endpoints, 3)
    lb = "{policy: round_robin, slow_start: {window: 3s, aggression: 1}}"
    a = agent(mesh(e[:2], lb))
    n = nginx(http=HTTP, main=MAIN, workers=2)

    def share(count):
        return collections.Counter(n.get("/")[1]["x-endpoint"] for _ in range(count))

    # Both begin together: even, and so they stay.
    assert share(40)["e1"] in range(17, 24)
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() > begun + 3.1, "the first window")
    begun = time.monotonic()
    a.apply(mesh(e, lb))
    who = share(40)
    # A tenth of its weight, then more with the time, which is at most this.
    weight = min(max(0.1, (time.monotonic() - begun) / 3), 1)
    assert 1 <= who["e3"] <= 40 * weight / (2 + weight) + 2 and abs(who["e1"] - who["e2"]) <= 4, who
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() > begun + 3.1, "the window")
    assert share(1) and share(60) == {"e1": 20, "e2": 20, "e3": 20}
    said = json.loads(a.ctl("endpoints", "reviews", "-o", "json").stdout)
    assert '"weight": 1' in json.dumps(said)
