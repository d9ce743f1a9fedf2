# SPDX-License-Identifier: Apache-2.0
"""meshctl and the agent's socket, as people and programs use them."""

import json
import os
import random
import re
import socket
import subprocess
import threading

import pytest

from meshtest.agent import Agent
from meshtest.process import SANITIZER_TEXT, binary, environment, wait_for

MESH = """\
clusters:
  reviews:
    endpoints:
      - 127.0.1.1:9080
      - {address: 127.0.1.2:9080, labels: {version: v2}, weight: 3, zone: b}
      - {address: 127.0.1.3:9080, labels: {version: v2}, weight: 0}
    subsets: {v2: {version: v2}, none: {version: v9}}
  empty:
    endpoints: []
    protocol: grpc
hosts:
  - domains: [shop.local, "*.shop.local"]
    routes:
      - name: jason
        match: {path: {prefix: /reviews}, headers: {end-user: {exact: jason}}}
        route: reviews/v2
      - name: post
        match: {path: {exact: /reviews}, methods: [POST]}
        route: reviews
      - name: canary
        match: {path: {prefix: /reviews}}
        route: [{cluster: reviews, weight: 50}, {cluster: reviews/v2, weight: 50}]
      - name: moved
        match: {path: {prefix: /old}}
        redirect: {prefix_rewrite: /new, status: 302}
      - name: tea
        match: {path: {exact: /tea}}
        respond: {status: 418, body: short and stout}
      - name: api
        match: {path: {prefix: /api/}}
        rewrite: {prefix: /}
        route: reviews
      - name: nobody
        match: {path: {prefix: /empty}}
        route: empty
"""

EXTRA = {"clusters": {"extra": {"endpoints": ["127.0.9.1:80"]}}}


@pytest.fixture
def a(agent):
    return agent(MESH)


def explain(a, *args, method="GET", code=0):
    done = a.ctl("explain", method, *args, "-o", "json", check=False)
    assert done.returncode == code, (args, done.stdout, done.stderr)
    return json.loads(done.stdout)


def lines(*changes):
    return "".join(json.dumps(c) + "\n" for c in changes)


def has(a, cluster):
    return a.ctl("endpoints", cluster, check=False).returncode == 0


# --- the command line ---------------------------------------------------------

def test_usage(a, variant):
    assert re.match(r"meshctl \d+\.\d+\.\d+\n", a.ctl("--version").stdout)
    text = a.ctl("--help").stdout
    for command in ("status", "dump", "explain", "endpoints", "history", "rollback", "pin",
                    "unpin", "apply", "remove", "wait", "validate", "drain", "undrain"):
        assert f"  {command}" in text
    assert "  apply -f FILE|- [--part NAME] [--format yaml|json|lines] [--follow] [--wait] [--timeout SECONDS]\n" in text
    assert "usage: meshctl wait [--applied GENERATION] [--timeout SECONDS]\n" in \
        a.ctl("wait", "x", check=False).stderr
    for args in ([], ["nonsense"], ["explain"], ["explain", "GET"], ["status", "-f", "x"],
                 ["-o", "xml", "status"], ["rollback", "x"], ["rollback"], ["apply"],
                 ["apply", "-f", "x", "--part", "../x"], ["explain", "GET", "/", "-H", "x"],
                 ["explain", "GET", "/", "--ticket", "1"], ["wait", "--timeout", "-1"],
                 ["dump", "nonsense"], ["remove"], ["remove", "a/b"], ["--nonsense"]):
        done = a.ctl(*args, check=False)
        assert done.returncode == 2 and done.stderr, args


def test_unreadable_zone(variant, tmp_path):
    for args in (["status"], ["explain", "GET", "/"], ["endpoints"], ["history"], ["dump"],
                 ["pin"], ["apply", "-f", "/dev/null"]):
        done = subprocess.run([binary(variant, "meshctl"), "--zone", str(tmp_path), *args],
                              capture_output=True, text=True, env=environment(variant))
        assert done.returncode == 3 and done.stderr, (args, done)


def test_what_is_said_when_there_is_nothing(a, variant, tmp_path):
    done = subprocess.run([binary(variant, "meshctl"), "--zone", str(tmp_path), "status"],
                          capture_output=True, text=True, env=environment(variant))
    assert "nothing was published there" in done.stderr
    assert "is this its zone?" in done.stderr and done.stdout == ""
    done = a.ctl("endpoints", "nowhere", check=False)
    assert (done.stdout, done.stderr) == ("", 'meshctl: no cluster "nowhere"\n')
    done = a.ctl("wait", "--timeout", "0", check=False)
    assert (done.returncode, done.stderr) == \
        (1, "meshctl: not in time: there is no worker of nginx\n")
    assert "request     GET (no host) /reviews\n" in a.ctl("explain", "GET", "/reviews",
                                                           check=False).stdout


def test_dump_is_indented_for_people(a):
    text = a.ctl("dump").stdout
    assert "\t" not in text and '\n  "clusters": {\n' in text
    assert json.loads(text) == json.loads(a.ctl("dump", "-o", "json").stdout)


def test_reading_commands_need_no_agent(a):
    commands = (["status"], ["explain", "GET", "shop.local/reviews"], ["endpoints"],
                ["history"], ["dump"])
    a.kill()
    for args in commands:
        a.ctl(*args)
        json.loads(a.ctl(*args, "-o", "json").stdout)
    assert "no agent answers" in a.ctl("status").stdout
    assert a.ctl("pin", check=False).returncode == 3


def test_a_corrupt_snapshot_is_refused(a, zone):
    a.kill()
    file = zone / "snapshot.1"
    data = bytearray(file.read_bytes())
    rng = random.Random(7)
    for _ in range(60):
        bad = bytearray(data)
        for _ in range(8):
            bad[rng.randrange(64, len(bad))] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        for args in (["status"], ["dump"], ["endpoints"], ["explain", "GET", "shop.local/reviews"]):
            done = a.ctl(*args, check=False)
            assert done.returncode in (0, 1, 3), (args, done)
    file.write_bytes(data[:len(data) // 2])
    assert a.ctl("status", check=False).returncode == 3


# --- explain ------------------------------------------------------------------

def test_explain_names_the_first_condition_that_failed(a):
    e = explain(a, "http://shop.local/reviews/1", "-H", "End-User: bob")
    assert [(t["route"], t["matches"]) for t in e["tried"]] == [
        ("jason", False), ("post", False), ("canary", True)]
    assert 'end-user is "bob", wanted "jason"' in e["tried"][0]["why"]
    assert e["tried"][1]["why"] == "path is not exactly /reviews"
    e = explain(a, "http://shop.local/reviews")
    assert "end-user is not there" in e["tried"][0]["why"]
    assert e["tried"][1]["why"] == "method is GET"
    assert explain(a, "shop.local/reviews", method="POST")["route"] == "post"


def test_explain_finds_virtual_hosts(a):
    assert explain(a, "http://a.shop.local/reviews")["virtual_host"] == "shop.local"
    assert explain(a, "/reviews", "-H", "Host: SHOP.local:8080")["route"] == "canary"
    assert explain(a, "http://other/reviews", code=1)["result"] == "no virtual host"
    assert explain(a, "http://shop.local/x", code=1)["result"] == "no route"
    assert explain(a, "/reviews", code=1)["result"] == "no virtual host"
    e = explain(a, "shop.local/reviews", "--table", "other", code=1)
    assert e["result"] == "no route table of that name"


def test_explain_actions(a):
    e = explain(a, "http://shop.local/old/a?b=c")
    assert (e["result"], e["status"]) == ("redirect", 302)
    assert e["location"] == "http://shop.local/new/a?b=c"
    assert explain(a, "https://shop.local/old")["location"] == "https://shop.local/new"
    e = explain(a, "http://shop.local/tea")
    assert (e["result"], e["status"]) == ("direct response", 418)
    assert explain(a, "http://shop.local/api/v1")["path"] == "/v1"
    assert explain(a, "http://shop.local/empty", code=1)["result"] == "no endpoint"


def test_explain_sees_the_path_as_workers_do(a):
    assert explain(a, "http://shop.local/x/../reviews")["route"] == "canary"
    assert explain(a, "http://shop.local/%72eviews")["route"] == "canary"
    assert explain(a, "http://shop.local/a%00b", code=1)["result"] == "path rejected"


def test_explain_says_why_an_endpoint_is_out(a):
    e = explain(a, "shop.local/reviews", "-H", "end-user: jason")
    assert (e["cluster"], e["subset"], e["endpoint"]) == ("reviews", "v2", "127.0.1.2:9080")
    why = {x["address"]: (x["candidate"], x["why"]) for x in e["endpoints"]}
    assert why == {"127.0.1.1:9080": (False, "not in the subset"),
                   "127.0.1.2:9080": (True, ""), "127.0.1.3:9080": (False, "weight 0")}


def test_tickets_repeat_a_decision_and_keep_the_shares(a):
    subsets = []
    for i in range(40):
        one = explain(a, "shop.local/reviews", "--ticket", f"{i}.{i * 7}")
        assert one == explain(a, "shop.local/reviews", "--ticket", f"{i}.{i * 7}")
        assert one["ticket"] == {"route": i, "cluster": i * 7, "route_counts": True}
        subsets.append(one["subset"])
    assert 18 <= subsets.count("v2") <= 22
    # As $mesh_ticket says of a route without a choice.
    explain(a, "shop.local/api/", "--ticket", "-.3")


MANY = """
GET http://shop.local/reviews HTTP/1.1\r
end-user: jason\r
\r


GET shop.local/reviews
--ticket 3.7
--source 10.0.0.1
GET /elsewhere
oops

POST /reviews
Host: shop.local

DELETE
x: y

GET http://shop.local/old/a?b=c
--table other
--hash x

GET shop.local/nowhere
"""


def test_explain_many(a, tmp_path):
    """Each as if it were asked for alone; and what is none is told, and costs
    the others nothing."""
    done = a.ctl("explain", "-f", "-", "-o", "json", stdin=MANY, check=False)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [s.get("route") for s in said] == ["jason", None, "post", None, None, None]
    assert said[0] == explain(a, "http://shop.local/reviews", "-H", "end-user: jason")
    assert said[2] == explain(a, "/reviews", "-H", "Host: shop.local", method="POST")
    assert [s["result"] for s in said] == ["routed", "not a request", "routed", "not a request",
                                           "not a request", "no route"]
    assert said[1]["error"] == "no header and no option of explain"
    assert said[3]["error"] == "a request begins with METHOD URL"
    assert [e.split(":", 1)[1] for e in done.stderr.splitlines()] == [
        " -:10: no header and no option of explain", " -:16: a request begins with METHOD URL",
        " -:21: no header and no option of explain"]
    assert done.returncode == 2

    path = tmp_path / "requests"
    path.write_text("GET /reviews\nhost: shop.local\n--ticket 3.7\n\nGET /reviews\n--ticket 4.8\n--table default")
    done = a.ctl("explain", "-f", str(path), "-H", "host: shop.local", "-o", "json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(s["ticket"]["route"], s["ticket"]["cluster"]) for s in said] == [(3, 7), (4, 8)]
    text = a.ctl("explain", "-f", str(path), check=False)
    assert text.returncode == 1 and text.stdout.count("result      ") == 2, text.stdout
    assert a.ctl("explain", "-f", str(path), "--table", "other", check=False).returncode == 1
    for args in (["GET", "/", "-f", "-"], ["GET"]):
        assert a.ctl("explain", *args, check=False, stdin="").returncode == 2
    # As apply has it.
    assert a.ctl("explain", "-f", str(tmp_path / "none"), check=False).returncode == 3
    assert a.ctl("explain", "-f", "-", stdin="\n\n").stdout == ""


def test_explain_text(a):
    text = a.ctl("explain", "GET", "http://shop.local/reviews", "-H", "end-user: jason").stdout
    assert re.search(r"->\s+jason\s+matches", text)
    assert "result      routed to 127.0.1.2:9080" in text


# --- what is there ------------------------------------------------------------

def test_endpoints(a):
    told = json.loads(a.ctl("endpoints", "reviews", "-o", "json").stdout)
    assert [c["cluster"] for c in told] == ["reviews"]
    rows = told[0]["endpoints"]
    assert [(r["address"], r["usable"], r["state"], r["weight"]) for r in rows] == [
        ("127.0.1.1:9080", True, "usable", 1), ("127.0.1.2:9080", True, "usable", 3),
        ("127.0.1.3:9080", False, "weight 0", 0)]
    assert (rows[1]["labels"], rows[1]["zone"]) == ("version=v2", "b")
    assert a.ctl("endpoints", "nobody", check=False).returncode == 1


def test_clusters(a):
    rows = {r["cluster"]: r for r in json.loads(a.ctl("clusters", "-o", "json").stdout)}
    assert set(rows) == {"reviews", "empty"}
    r = rows["reviews"]
    assert (r["lb"], r["endpoints"], r["usable"], r["subsets"], r["panic"]) == \
        ("round_robin", 3, 2, 2, False)
    assert (rows["empty"]["endpoints"], rows["empty"]["usable"]) == (0, 0)
    text = a.ctl("clusters").stdout
    assert re.search(r"^reviews +round_robin +2 +2/3 +100 +0 ", text, re.M), text


def test_routes(a):
    rows = json.loads(a.ctl("routes", "-o", "json").stdout)
    assert [r["name"] for r in rows] == ["jason", "post", "canary", "moved", "tea", "api", "nobody"]
    assert all(r["domains"] == "shop.local,*.shop.local" for r in rows)
    assert rows[0]["match"]["headers"][0]["exact"] == "jason"
    text = a.ctl("routes", "www.shop.local").stdout
    assert re.search(r"^default +shop\.local,\*\.shop\.local +canary +prefix /reviews +"
                     r"reviews 50, reviews/v2 50 +0 +0$", text, re.M), text
    assert re.search(r" moved +prefix /old +redirect 302 ", text)
    assert re.search(r" tea +exact /tea +respond 418 ", text)
    assert re.search(r' post +exact /reviews, methods \["POST"\] +reviews ', text)
    done = a.ctl("routes", "nowhere.local", check=False)
    assert done.returncode == 1 and 'no virtual host for "nowhere.local"' in done.stderr


def test_diff(a):
    first = a.status()["generation"]
    a.ctl("apply", "-f", "-", "--part", "more", stdin=json.dumps({
        "clusters": {"new": {"endpoints": ["127.0.9.1:80"], "lb": "least_request"}}}))
    second = a.status()["generation"]
    a.ctl("apply", "-f", "-", "--part", "more", stdin=json.dumps({
        "clusters": {"new": {"endpoints": [{"address": "127.0.9.1:80", "weight": 3},
                                           "127.0.9.2:80"]}}}))

    def diff(*args):
        done = a.ctl("diff", *map(str, args), "-o", "json", check=False)
        found = json.loads(done.stdout)
        assert done.returncode == (1 if found else 0), done
        return {(d["path"], str(d.get("from")), str(d.get("to"))) for d in found}

    assert diff(first, first) == set()
    ((path, was, now),) = diff(first, second)
    assert (path, was) == ("clusters.new", "None") and "least_request" in now
    third = diff(second)
    assert ("clusters.new.lb", "least_request", "round_robin") in third
    assert ("clusters.new.endpoints[127.0.9.1:80].weight", "1", "3") in third
    assert any(path == "clusters.new.endpoints[127.0.9.2:80]" and was == "None"
               for path, was, _ in third)
    assert len(third) == 3
    text = a.ctl("diff", str(second), str(first), check=False).stdout
    assert text.startswith("- clusters.new: {")
    assert a.ctl("diff", "99", check=False).returncode == 3
    assert a.ctl("diff", "x", check=False).returncode == 2


def test_explain_takes_the_ticket_of_the_subset(a, nginx):
    """The next request's, which subsets draw apart from their cluster."""
    n = nginx(main="mesh_zone {zone};", http="""
        server { listen 127.0.0.1:{port};
            location / { mesh_route; proxy_connect_timeout 1s; } }""")
    for i in range(3):
        n.get("/reviews", headers={"end-user": "jason"})
        said = explain(a, "http://shop.local/reviews", "-H", "end-user: jason")
        n.get("/reviews", headers={"end-user": "jason"})
        wait_for(lambda: len(n.access()) == 2 * i + 2, "the log")
        assert n.access()[-1].split()[8] == f"-.{said['ticket']['cluster']}", said


MATCHES = {
    "path": {"separated_prefix": "/a", "ignore_case": True},
    "headers": {
        "a": {"prefix": "b", "invert": True}, "b": {"range": {"start": -5, "end": 9007199254740993}},
        "c": {"contains": "d", "ignore_case": True, "treat_missing_as_empty": True},
        ":path": {"suffix": "e"}, "f": {"present": True}, "g": {"regex": "h|i"}},
    "grpc": True, "source": ["10.0.0.0/8", "::1/128"], "percentage": 12.5,
    "query": {"q": {"exact": "r"}}, "cookies": {"s": {"range": {"start": 1, "end": 2}}},
}


def test_dump_shows_matches_as_they_were_written(agent):
    a = agent(json.dumps({"hosts": [{"domains": ["*"], "routes": [{"match": MATCHES, "respond": 204}]}]}))
    d = json.loads(a.ctl("dump", "routes", "-o", "json").stdout)
    match = d["route_tables"]["default"]["domains"]["*"]["routes"][0]["match"]
    plain = MATCHES["path"] | {k: v for k, v in MATCHES.items() if not isinstance(v, dict)}
    assert {k: match[k] for k in plain} == plain
    for kind in ("headers", "query", "cookies"):
        assert {m.pop("name"): m for m in match[kind]} == MATCHES[kind]


def test_dump_speaks_of_everything(a):
    d = json.loads(a.ctl("dump", "-o", "json").stdout)
    assert sorted(d["clusters"]) == ["empty", "reviews"]
    assert d["clusters"]["reviews"]["subsets"] == {"none": {"version": "v9"}, "v2": {"version": "v2"}}
    assert {n: c["protocol"] for n, c in d["clusters"].items()} == {
        "empty": "http2", "reviews": "http1"}
    domains = d["route_tables"]["default"]["domains"]
    assert sorted(domains) == ["*.shop.local", "shop.local"]
    routes = {r["name"]: r for r in domains["shop.local"]["routes"]}
    assert routes["tea"]["respond"] == {"status": 418, "body": "short and stout"}
    assert [s["weight"] for s in routes["canary"]["route"]] == [50, 50]
    assert routes["jason"]["match"]["headers"] == [{"name": "end-user", "exact": "jason"}]
    assert "route_tables" not in json.loads(a.ctl("dump", "clusters", "-o", "json").stdout)


HOSTS = """
clusters: {c: {endpoints: ['127.0.1.1:1']}, d: {endpoints: ['127.0.1.1:1']}}
hosts:
  - domains: ["*"]
    request_headers: {set: {x-level: '%REQ(:AUTHORITY)%'}}
    routes:
      - name: halves
        route:
          - {cluster: c, rewrite: {host: c.local}, request_headers: {set: {x-own: '%REQ(:AUTHORITY)%'}}}
          - {cluster: d}
"""


def test_a_weighted_clusters_host_is_shown(agent):
    a = agent(HOSTS)
    seen = set()
    for ticket in range(4):
        args = ("explain", "GET", "http://shop.local/", "--ticket", f"{ticket}.0")
        text = a.ctl(*args).stdout
        assert re.search(r"^ +(->)? +c  1 of 2  as host c\.local$", text, re.M), text
        told = explain(a, *args[2:])
        own, text_says = told["cluster"] == "c", "host        shop.local goes out as c.local\n" in text
        seen.add(own)
        assert text_says == own and told.get("host") == ("c.local" if own else None)
        ops = {o["name"]: o["value"] for o in told["request_headers"]}
        assert ops == ({"x-own": "shop.local", "x-level": "c.local"} if own else {"x-level": "shop.local"})
    assert seen == {True, False}
    assert "c as c.local 1, d 1" in a.ctl("routes").stdout


def test_history_and_older_generations(a):
    a.ctl("apply", "-f", "-", stdin=lines({"upsert": EXTRA}))
    told = json.loads(a.ctl("history", "-o", "json").stdout)
    assert [h["generation"] for h in told] == [2, 1]
    assert told[0]["digest"] != told[1]["digest"] and told[0]["reason"] == "stream:apply"
    assert a.ctl("endpoints", "extra", "--at", "1", check=False).returncode == 1
    assert a.ctl("endpoints", "extra", "--at", "9", check=False).returncode == 3


def test_status_tells_of_resources(a):
    a.ctl("apply", "-f", "-", stdin=lines({"upsert": {"clusters": {"extra": {}}}}))
    text = a.ctl("status", "resources").stdout
    assert re.search(r'^PART +RESOURCE +VERSION +TAKEN +VERDICT$', text, re.M)
    part = next(p["name"] for p in a.status()["agent"]["parts"] if "stream" not in p["name"])
    for resource in ('cluster "reviews"', 'cluster "empty"', 'host "shop.local"'):
        assert re.search(rf'^{re.escape(part)} +{resource} +[0-9a-f]{{12}} +\d+s ago$', text, re.M)
    assert re.search(r'^stream:apply +cluster "extra" +[0-9a-f]{12} +\d+s ago$', text, re.M)
    # What is refused is told beside what goes on.
    a.write(MESH.replace("  empty:\n", "  empty:\n    lb: fastest\n"))
    wait_for(lambda: "refused" in a.ctl("status").stdout, "the verdict")
    text = a.ctl("status", "resources").stdout
    assert re.search(r'cluster "empty" +[0-9a-f]{12} +\d+s ago +\S+:9:9: clusters\.empty\.lb: '
                     r'found "fastest"', text), text
    found = json.loads(a.ctl("status", "resources", "-o", "json").stdout)["agent"]["parts"]
    assert [r["resource"] for r in found[-1]["resources"]] == ['cluster "extra"']
    assert "resources" not in a.status()["agent"]["parts"][0]
    assert a.ctl("status", "clusters", check=False).returncode == 2


def test_validate(a, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(MESH)
    bad.write_text("clusters: {x: {endpoints: [nowhere]}}")
    assert a.ctl("validate", str(good)).returncode == 0
    done = a.ctl("validate", str(good), str(bad), check=False)
    assert done.returncode == 1 and f"{bad}:1:" in done.stdout
    assert a.ctl("validate", str(tmp_path / "none"), check=False).returncode == 3
    assert a.ctl("validate", str(tmp_path), check=False).returncode == 3


def test_files_may_be_pipes(a):
    """As of a shell's <(...), and "-"."""
    extra = json.dumps(EXTRA)
    for name in ("-", "/dev/stdin"):
        assert a.ctl("validate", name, stdin=MESH).returncode == 0
        done = a.ctl("validate", name, stdin="clusters: 5", check=False)
        assert done.returncode == 1 and f"{name}:1:11: clusters: found 5" in done.stdout
        assert "published" in a.ctl("apply", "-f", name, "--part", "p", stdin=extra).stdout
        a.ctl("remove", "p")


# --- apply --------------------------------------------------------------------

def test_apply_replaces_the_part(a, tmp_path):
    file = tmp_path / "part.json"
    file.write_text(json.dumps(EXTRA))
    done = a.ctl("apply", "-f", str(file), "-o", "json")
    assert json.loads(done.stdout)["generation"] == 2 and has(a, "extra")
    a.ctl("apply", "-f", "-", stdin="clusters: {more: {endpoints: [127.0.9.2:80]}}")
    assert has(a, "more") and not has(a, "extra") and has(a, "reviews")
    a.ctl("apply", "-f", str(file), "--part", "second")
    assert has(a, "more") and has(a, "extra")
    a.ctl("remove", "second")
    assert has(a, "more") and not has(a, "extra")
    assert a.ctl("remove", "second", check=False).returncode == 1


def test_changes_touch_their_resource_only(a):
    clusters = {f"c{i}": {"endpoints": [f"127.1.0.{i}:80"]} for i in range(1, 100)}
    hosts = [{"domains": [f"h{i}"], "routes": [{"name": f"r{i}", "route": f"c{i}"}]}
             for i in range(1, 100)]
    a.ctl("apply", "-f", "-", "--format", "json",
          stdin=json.dumps({"clusters": clusters, "hosts": hosts}))
    before = a.status()["snapshot"]["bytes"]
    a.ctl("apply", "-f", "-", stdin=lines(
        {"upsert": {"clusters": {"c7": {"endpoints": ["127.2.0.7:80"]}}}},
        {"upsert": {"hosts": [{"domains": ["h8"], "routes": [{"name": "r8", "route": "c9"}]}]}},
        {"remove": {"hosts": ["h5"], "clusters": ["c5"]}}))
    assert explain(a, "h7/")["endpoint"] == "127.2.0.7:80"
    assert explain(a, "h8/")["cluster"] == "c9"
    assert explain(a, "h5/", code=1)["result"] == "no virtual host"
    assert not has(a, "c5") and has(a, "c6")
    assert a.status()["snapshot"]["bytes"] - before < 16384
    # Repeating it changes nothing.
    again = a.ctl("apply", "-f", "-", stdin=lines({"remove": {"clusters": ["c5"]}}))
    assert again.stdout.startswith("unchanged")


def test_a_refused_change_changes_nothing(a):
    a.ctl("apply", "-f", "-", stdin=lines({"upsert": EXTRA}))
    before = a.status()["generation"]
    for text, told in (
            ("clusters: {extra: {endpoints: [nowhere]}}", "nowhere"),
            ("hosts: [{domains: [x], routes: [{route: nobody}]}]", "nobody"),
            (lines({"upsert": EXTRA}, {"upsert": {"clusters": {"y": 7}}}), "clusters.y"),
            (lines({"upsert": {}}, {"nonsense": {}}), "expected"),
            (lines({"remove": {"clusters": "extra"}}), "expected"),
            (lines({"upsert": EXTRA}) + "{not json\n", "stream:apply"),
            ("clusters: {reviews: {endpoints: [127.0.0.1:80]}}", "reviews")):
        done = a.ctl("apply", "-f", "-", stdin=text, check=False)
        assert done.returncode == 1 and told in done.stderr, (text, done)
        assert a.status()["generation"] == before and has(a, "extra"), text
    a.ctl("apply", "-f", "-", stdin=lines({"remove": {"clusters": ["extra"]}}))
    assert not has(a, "extra")


def test_a_refused_first_apply_leaves_nothing_behind(a):
    assert a.ctl("apply", "-f", "-", stdin="hosts: [{domains: [x], routes: [{route: no}]}]",
                 check=False).returncode == 1
    assert [p["name"] for p in a.status()["agent"]["parts"]] == [str(a.mesh)]
    a.write(MESH.replace("418", "419"))
    wait_for(lambda: a.status()["generation"] == 2, "the file goes on")


def test_applied_parts_survive_the_agent(a):
    a.ctl("apply", "-f", "-", stdin=json.dumps(EXTRA))
    for i in range(20):
        a.ctl("apply", "-f", "-", stdin=lines({"upsert": {"clusters": {
            f"n{i % 3}": {"endpoints": [f"127.3.0.{i + 1}:80"]}}}}))
    a.ctl("apply", "-f", "-", stdin=lines({"remove": {"clusters": ["n0"]}}))
    before = a.ctl("endpoints").stdout
    generation = a.status()["generation"]
    a.kill()
    a.start()
    assert a.ctl("endpoints").stdout == before
    assert a.status()["generation"] == generation
    a.ctl("remove", "apply")
    assert not has(a, "extra")
    a.kill()
    a.start()
    assert not has(a, "extra")


def test_wait(a):
    # Nobody has adopted anything, as there are no workers.
    done = a.ctl("wait", "--timeout", "0.05", check=False)
    assert done.returncode == 1 and "not in time" in done.stderr
    done = a.ctl("apply", "-f", "-", "--wait", "-o", "json", stdin=lines({"upsert": EXTRA}))
    assert json.loads(done.stdout)["applied"] is True
    for args in (["reload"], ["drain", "reviews", "127.0.1.1:9080"]):
        done = a.ctl(*args, "--wait")
        assert done.stdout.endswith(", there are no workers\n"), done.stdout


# --- policy -------------------------------------------------------------------

def test_rollback_holds_until_the_sources_move_on(a):
    a.write(MESH.replace("418", "419").replace("127.0.1.1:9080", "127.0.1.7:9080"))
    wait_for(lambda: a.status()["generation"] == 2, "the edit")
    a.ctl("rollback", "1")
    assert explain(a, "shop.local/tea")["status"] == 418
    # Endpoints are those of now.
    assert "127.0.1.7:9080" in a.ctl("endpoints", "reviews").stdout
    assert a.status()["rolled_back"]
    a.write(MESH.replace("418", "420"))
    wait_for(lambda: explain(a, "shop.local/tea")["status"] == 420, "the next edit")
    assert not a.status()["rolled_back"]
    done = a.ctl("rollback", "99", check=False)
    assert done.returncode == 1 and "99" in done.stderr


def test_pin_holds_against_the_sources(a):
    a.ctl("pin")
    a.write(MESH.replace("418", "419"))
    wait_for(lambda: len(json.loads(a.ctl("history", "-o", "json").stdout)) >= 2, "history")
    wait_for(lambda: "part read" in a.log() or a.status()["agent"]["publishes"] >= 3, "the edit")
    assert explain(a, "shop.local/tea")["status"] == 418
    a.kill()
    a.start()
    assert a.status()["pinned"] and explain(a, "shop.local/tea")["status"] == 418
    a.ctl("unpin")
    assert explain(a, "shop.local/tea")["status"] == 419


# --- the socket ---------------------------------------------------------------

class Wire:
    def __init__(self, zone):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(10)
        self.s.connect(str(zone / "agent.sock"))
        self.f = self.s.makefile("rb")

    def send(self, data):
        self.s.sendall(data)
        return self

    def answer(self):
        line = self.f.readline()
        return json.loads(line) if line else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.f.close()
        self.s.close()


def test_many_requests_on_one_connection(a, zone):
    with Wire(zone) as w:
        w.send(b'{"command":"status"}\n' * 50)
        assert all(w.answer()["ok"] for _ in range(50))
        # Byte by byte, and an apply in between.
        body = json.dumps(EXTRA).encode()
        text = (b'{"command":"apply","part":"p","format":"json","length":%d}\n' % len(body)
                + body + b'{"command":"status"}\n')
        for i in range(len(text)):
            w.send(text[i:i + 1])
        assert w.answer()["outcome"] == "published"
        assert w.answer()["generation"] == 2


def test_what_is_not_understood_ends_the_connection(a, zone):
    for line in (b"", b"x", b"[]", b'{"command":7}', b'{"command":"dance"}', b'{}',
                 b'{"command":"apply"}', b'{"command":"status","length":5}',
                 b'{"command":"apply","part":"../../x","format":"yaml","length":0}',
                 b'{"command":"apply","part":"x","format":"yaml","length":999999999999}',
                 b'{"command":"rollback","generation":0}',
                 b'{"command":"rollback","generation":1.5}', b'{"command":"status"} x',
                 b'{"command":"drain","cluster":"x"}', b'{"command":"drain","endpoint":"x"}',
                 b'{"command":"drain","cluster":"","endpoint":"x"}',
                 b'{"command":"undrain","cluster":"x","endpoint":7}',
                 b'{"command":"drain","cluster":"%s","endpoint":"x"}' % (b"x" * 1025),
                 b'{"a":' * 2000, b"\xff\xfe", b'{"command":"status","x":1}'):
        with Wire(zone) as w:
            got = w.send(line + b"\n").answer()
            assert got["ok"] is False and got["error"], line
            assert w.answer() is None, line
    with Wire(zone) as w:
        assert w.send(b"x" * 70000).answer()["error"] == "the line is too long"
    assert a.status()["generation"] == 1


def test_clients_are_bounded(a, zone):
    held = [Wire(zone) for _ in range(64)]
    with Wire(zone) as w:
        assert w.answer() == {"ok": False, "error": "too many clients", "retry": True}
    for w in held:
        w.__exit__()

    def free():
        with Wire(zone) as w:
            try:
                return w.send(b'{"command":"status"}\n').answer()["ok"]
            except (OSError, TypeError):
                return False
    wait_for(free, "a place")


def test_a_client_that_leaves_is_no_harm(a, zone):
    for _ in range(30):
        with Wire(zone) as w:
            body = json.dumps(EXTRA).encode()
            w.send(b'{"command":"apply","part":"p","format":"json","length":%d}\n' % len(body) + body)
        with Wire(zone) as w:
            w.send(b'{"command":"apply","part":"p","format":"json","length":900}\n' + b"x" * 100)
    wait_for(lambda: has(a, "extra"), "the part")
    assert a.status()["agent"]["ok"]


def test_many_at_once_are_all_answered(a):
    """Each gets the verdict on its own part, whatever is published together."""
    failed = []

    def one(i):
        good = i % 4 != 3
        target = f"k{i}" if good else "nobody"
        text = json.dumps({"clusters": {f"k{i}": {"endpoints": [f"127.4.0.{i + 1}:80"]}},
                           "hosts": [{"domains": [f"k{i}"], "routes": [{"name": f"k{i}", "route": target}]}]})
        done = a.ctl("apply", "-f", "-", "--part", f"p{i}", stdin=text, check=False)
        if done.returncode != (0 if good else 1) or has(a, f"k{i}") != good:
            failed.append((i, done.stdout, done.stderr))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_others_may_only_read(started, variant, zone, tmp_path):
    import grp
    group = grp.getgrgid(65534 if any(g.gr_gid == 65534 for g in grp.getgrall()) else 1)
    a = started.add(Agent(tmp_path / "agent", variant, zone, MESH, extra=f"socket: {{group: {group.gr_name}}}"))
    a.start()
    zone.chmod(0o755)

    def as_somebody(line, gid):
        code = ("import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
                "s.sendall(sys.argv[2].encode()+b'\\n');print(s.makefile().readline())")
        done = subprocess.run(["/usr/bin/python3", "-c", code, str(zone / "agent.sock"), line],
                              user=12345, group=gid, extra_groups=[], cwd="/",
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    assert as_somebody('{"command":"status"}', 12345)["ok"]
    assert "not allowed" in as_somebody('{"command":"pin"}', 12345)["error"]
    assert not a.status()["pinned"]
    drain = '{"command":"drain","cluster":"reviews","endpoint":"127.0.1.1:9080"}'
    assert "not allowed" in as_somebody(drain, 12345)["error"]
    assert as_somebody(drain, group.gr_gid)["outcome"] == "drained"
    assert as_somebody('{"command":"pin"}', group.gr_gid)["ok"]
    assert a.status()["pinned"]
