# SPDX-License-Identifier: Apache-2.0
"""Names among endpoints, against a real DNS server."""

import collections
import json
import re

import pytest

from meshtest.agent import Agent
from meshtest.dns import Dns
from meshtest.process import wait_for


@pytest.fixture
def dns(started, tmp_path):
    return started.add(Dns(tmp_path / "dns"))


def extra(dns, timeout="2s"):
    return f"dns: {{servers: ['{dns.at}'], min_ttl: 40ms, timeout: {timeout}}}\n"


def soon_lost(dns):
    """For servers that answer no more."""
    return extra(dns, "500ms")


def mesh(endpoints="['reviews.test:9080']", more=""):
    return f"clusters: {{reviews: {{endpoints: {endpoints}{more}}}}}\n"


def addresses(a, cluster="reviews"):
    done = a.ctl("endpoints", cluster, "-o", "json", check=False)
    found = json.loads(done.stdout or "[]")
    return {e["address"]: e for e in found[0]["endpoints"]} if found else {}


def wait_addresses(a, want, cluster="reviews"):
    wait_for(lambda: set(addresses(a, cluster)) == set(want), f"the endpoints {want}")


def test_addresses_follow_their_records(agent, dns):
    dns.set({"reviews.test": ["127.0.1.1", "127.0.1.2"]})
    dns.start()
    a = agent(mesh("[{address: 'reviews.test:9080', weight: 3, labels: {v: a}, zone: z}, '127.0.9.9:1']"),
              extra=extra(dns))
    wait_addresses(a, {"127.0.1.1:9080", "127.0.1.2:9080", "127.0.9.9:1"})
    one = addresses(a)["127.0.1.2:9080"]
    assert (one["weight"], one["labels"], one["zone"]) == (3, "v=a", "z")
    dns.set({"reviews.test": ["127.0.1.2", "127.0.1.3"]})
    wait_addresses(a, {"127.0.1.2:9080", "127.0.1.3:9080", "127.0.9.9:1"})


def test_the_first_answer_is_waited_for(agent, dns):
    """No generation ever has the cluster without its endpoints."""
    dns.set({"reviews.test": ["127.0.1.1"]})
    dns.start()
    a = agent(mesh(), extra=extra(dns))
    wait_for(lambda: a.status()["generation"] == 1, "the first generation")
    assert set(addresses(a)) == {"127.0.1.1:9080"}
    assert a.log().count("published") == 1


@pytest.mark.slow
def test_a_failure_keeps_what_there_was(agent, dns, started, variant, zone, tmp_path):
    """The server is lost: the addresses go on, over a restart of the agent,
    too.  That a name is gone is no failure."""
    dns.set({"reviews.test": ["127.0.1.1"]})
    dns.start()
    a = agent(mesh(), extra=soon_lost(dns))
    wait_addresses(a, {"127.0.1.1:9080"})
    dns.freeze()
    wait_for(lambda: "name cannot be resolved" in a.log(), "the failure")
    assert re.search(r"name=reviews\.test error=\S.*of before go on", a.log())
    assert set(addresses(a)) == {"127.0.1.1:9080"}

    a.kill()
    b = started.add(Agent(tmp_path / "agent", variant, zone, mesh(), extra=soon_lost(dns))).start()
    b.ctl("apply", "-f", "-", "--part", "other", stdin='{"clusters": {"x": {"endpoints": []}}}')
    assert set(addresses(b)) == {"127.0.1.1:9080"}
    dns.thaw()
    dns.set({})
    wait_addresses(b, set())
    assert "name has no addresses name=reviews.test" in b.log()
    dns.set({"reviews.test": ["127.0.1.7"]})
    wait_addresses(b, {"127.0.1.7:9080"})


@pytest.mark.slow
def test_a_server_that_is_lost_from_the_beginning(agent, dns):
    """What has no names is published in time, and names when they come."""
    dns.set({"reviews.test": ["127.0.1.1"]})
    dns.start()
    dns.freeze()
    a = agent(mesh() + "endpoints: {other: ['127.0.2.1:1']}\n", extra=soon_lost(dns))
    wait_for(lambda: a.status()["generation"] >= 1, "a publishing without them")
    assert addresses(a) == {}
    dns.thaw()
    wait_addresses(a, {"127.0.1.1:9080"})


def test_services(agent, dns):
    """SRV: ports and weights of the best priority."""
    dns.set({"a.test": ["127.0.1.1"], "b.test": ["127.0.1.2"], "c.test": ["127.0.1.3"]})
    dns.start(services=["_http._tcp.shop.test,a.test,8001,0,10", "_http._tcp.shop.test,b.test,8002,0,30",
                        "_http._tcp.shop.test,c.test,8003,5,10"])
    a = agent(mesh("['srv:_http._tcp.shop.test']"), extra=extra(dns))
    wait_addresses(a, {"127.0.1.1:8001", "127.0.1.2:8002"})
    assert {k: v["weight"] for k, v in addresses(a).items()} == \
        {"127.0.1.1:8001": 10, "127.0.1.2:8002": 30}


@pytest.mark.parametrize("family,want", [
    ("v4", {"127.0.1.1:1"}), ("v6", {"[::1]:1"}), ("all", {"127.0.1.1:1", "[::1]:1"}),
    ("v4_preferred", {"127.0.1.1:1"})])
def test_families(agent, dns, family, want):
    dns.set({"both.test": ["127.0.1.1", "::1"], "six.test": ["::1"]})
    dns.start()
    a = agent(mesh("['both.test:1']", f", dns: {{family: {family}}}"), extra=extra(dns))
    wait_addresses(a, want)
    if family == "v4_preferred":
        a.write(mesh("['six.test:1']"))
        wait_addresses(a, {"[::1]:1"})


def test_logical_takes_one(agent, dns):
    dns.set({"reviews.test": ["127.0.1.1", "127.0.1.2", "127.0.1.3"]})
    dns.start()
    a = agent(mesh(more=", dns: {lookup: logical}"), extra=extra(dns))
    wait_for(lambda: len(addresses(a)) == 1, "one endpoint")


def test_names_come_and_go_with_their_parts(agent, dns):
    dns.set({"a.test": ["127.0.1.1"], "b.test": ["127.0.1.2"]})
    dns.start()
    a = agent(mesh("['127.0.9.1:1']"), extra=extra(dns))
    wait_addresses(a, {"127.0.9.1:1"})
    a.write(mesh("['a.test:1']"))
    wait_addresses(a, {"127.0.1.1:1"})
    a.write(mesh("['a.test:1', 'b.test:1']"))
    wait_addresses(a, {"127.0.1.1:1", "127.0.1.2:1"})
    assert "@dns" in json.dumps(a.status())
    a.write(mesh("['127.0.9.1:1']"))
    wait_addresses(a, {"127.0.9.1:1"})
    a.ctl("apply", "-f", "-", "--part", "s", "--format", "lines", stdin=json.dumps(
        {"upsert": {"clusters": {"s": {"endpoints": ["b.test:7"]}}}}) + "\n")
    wait_addresses(a, {"127.0.1.2:7"}, "s")
    a.ctl("apply", "-f", "-", "--part", "s", "--format", "lines",
          stdin='{"remove": {"clusters": ["s"]}}\n')
    wait_for(lambda: not addresses(a, "s"), "the cluster's end")
    wait_for(lambda: "@dns" not in json.dumps(a.status()), "no name to be left to follow")


def test_names_of_a_part_that_is_broken_at_the_restart(agent, dns):
    """Its last good is taken from its kept text, names included."""
    dns.set({"reviews.test": ["127.0.1.1"]})
    dns.start()
    a = agent(mesh(), extra=extra(dns))
    wait_addresses(a, {"127.0.1.1:9080"})
    a.kill()
    a.mesh.write_text("clusters: [")
    a.start()
    assert set(addresses(a)) == {"127.0.1.1:9080"}
    a.ctl("apply", "-f", "-", "--part", "other", stdin='{"clusters": {"x": {"endpoints": []}}}')
    assert set(addresses(a)) == {"127.0.1.1:9080"}
    dns.set({"reviews.test": ["127.0.1.2"]})
    wait_addresses(a, {"127.0.1.2:9080"})


def test_a_source_with_names_that_comes_by_a_reload(agent, dns, zone):
    """It waits for first answers as at the start."""
    dns.set({"new.test": ["127.0.1.1"]})
    dns.start()
    a = agent(mesh("['127.0.9.1:1']"), extra=extra(dns))
    (a.dir / "new.yaml").write_text("clusters: {new: {endpoints: ['new.test:1']}}\n")
    a.conf.write_text(a.conf.read_text() + f"  - file: {a.dir}/new.yaml\n")
    a.ctl("reload")
    assert set(addresses(a, "new")) == {"127.0.1.1:1"}
    assert a.status()["generation"] == 2
    a.conf.write_text(a.conf.read_text().replace(f"  - file: {a.dir}/new.yaml\n", ""))
    a.ctl("reload")
    assert addresses(a, "new") == {} and set(addresses(a)) == {"127.0.9.1:1"}


def test_unchanged_answers_publish_nothing(agent, dns):
    dns.set({"reviews.test": ["127.0.1.1"]})
    dns.start()
    a = agent(mesh(), extra=extra(dns))
    wait_addresses(a, {"127.0.1.1:9080"})
    generation = a.status()["generation"]

    def asked():
        return (dns.dir / "log").read_text().count("query[A] reviews.test")

    before = asked()
    wait_for(lambda: asked() >= before + 5, "five more questions")
    assert a.status()["generation"] == generation


# --- status and endpoints ---------------------------------------------------

def part(a, *args):
    """What status has of @dns; None: there is nothing to say."""
    status = json.loads(a.ctl("status", *args, "-o", "json").stdout)
    return next((p for p in status["agent"]["parts"] if p["name"] == "@dns"), None)


def names(a):
    return {n["name"]: n for n in (part(a, "names") or {}).get("names", ())}


def wait_state(a, **states):
    """Names without ".test", and how they have to fare."""
    want = {f"{k}.test": v for k, v in states.items()}

    def fare():
        now = names(a)
        return now if {k: v["state"] for k, v in now.items()} == want else None

    return wait_for(fare, f"the names {want}")


def verdict(a):
    """The line of @dns in the table, without what changes with time."""
    lines = [x for x in a.ctl("status").stdout.splitlines() if x.startswith("@dns")]
    return re.sub(r"\d+[smh]\b", "AGE", lines[-1])


def test_status_tells_of_names_that_fail(agent, dns):
    """From the start: no such name, nothing of that type; once there is
    something, the verdict is gone."""
    dns.set({"ok.test": ["127.0.1.1"], "six.test": ["::1"]})
    dns.start()
    a = agent("clusters:\n"
              "  reviews: {endpoints: ['gone.test:1', 'ok.test:1']}\n"
              "  six: {endpoints: ['six.test:1'], dns: {family: v4}}\n"
              "  gone: {endpoints: ['gone.test:2']}\n", extra=extra(dns))
    found = wait_state(a, gone="failing", six="failing", ok="ok")
    assert found["gone.test"]["verdict"] == "NXDOMAIN; it never had addresses"
    assert found["gone.test"]["sets"] == ["gone", "reviews"]
    assert found["six.test"]["verdict"] == "no answer of that type; it never had addresses"
    assert (found["six.test"]["type"], found["ok.test"]["type"]) == ("A", "A/AAAA")
    assert (found["ok.test"]["addresses"], found["ok.test"]["verdict"]) == (1, "")
    assert found["ok.test"]["had_ms"] and not found["gone.test"]["had_ms"]
    assert "2 of 3 names fail: gone.test (NXDOMAIN, AGE), six.test (no answer of that type, AGE)" \
        in verdict(a)
    source = part(a)["source"]
    assert (source["state"], source["names"], source["failing"]) == ("failing", 3, 2)
    assert source["since_ms"] and "names" not in part(a)
    # While it is just asked for, there is no NEXT.
    wait_for(lambda: re.search(r"^@dns +gone\.test +A/AAAA +gone,reviews +0 +in \d+s +failing +"
                               r"\S+ ago +NXDOMAIN; it never had addresses$",
                               a.ctl("status", "names").stdout, re.M), "the table's line")
    dns.set({"ok.test": ["127.0.1.1"], "six.test": ["127.0.1.6"], "gone.test": ["127.0.1.7"]})
    wait_state(a, gone="ok", six="ok", ok="ok")
    assert part(a)["source"] == {"state": "ok", "since_ms": 0, "text": "", "names": 3, "failing": 0}
    assert "fail" not in verdict(a)
    assert "name has addresses again name=gone.test" in a.log()


@pytest.mark.slow
def test_status_tells_of_names_that_are_lost(agent, dns):
    """No server: the addresses go on, and the verdict says so; then there is
    no such name; then it is back; then nobody asks for it."""
    dns.set({"reviews.test": ["127.0.1.1", "127.0.1.2"], "other.test": ["127.0.2.1"]})
    dns.start()
    a = agent(mesh() + "endpoints: {other: ['other.test:1']}\n", extra=soon_lost(dns))
    wait_state(a, reviews="ok", other="ok")
    generation = a.status()["generation"]
    dns.freeze()
    found = wait_state(a, reviews="kept", other="kept")
    assert found["reviews.test"]["verdict"] == "timeout; its addresses go on"
    assert found["reviews.test"]["addresses"] == 2 and found["reviews.test"]["answered"]
    assert "2 of 2 names fail: other.test (timeout, AGE, 1 address kept), " \
        "reviews.test (timeout, AGE, 2 addresses kept)" in verdict(a)
    assert len(addresses(a)) == 2 and a.status()["generation"] == generation

    # One that is new meanwhile had none, and holds its set back.
    a.write(mesh("['reviews.test:9080', 'new.test:1']"))
    found = wait_state(a, reviews="kept", new="failing")
    assert not found["new.test"]["answered"] and found["new.test"]["held"]
    assert found["new.test"]["verdict"] == \
        "timeout; it was never answered, until then its set goes on as it was"
    assert len(addresses(a)) == 2

    dns.thaw()
    dns.set({"new.test": ["127.0.1.3"]})
    found = wait_state(a, reviews="failing", new="ok")
    assert found["reviews.test"]["verdict"] == "NXDOMAIN; it had addresses before"
    wait_addresses(a, {"127.0.1.3:1"})
    dns.set({"new.test": ["127.0.1.3"], "reviews.test": ["127.0.1.1"]})
    wait_state(a, reviews="ok", new="ok")
    dns.set({"new.test": ["127.0.1.3"]})
    wait_state(a, reviews="failing", new="ok")
    a.write(mesh("['new.test:1']"))
    wait_state(a, new="ok")
    assert part(a)["source"]["failing"] == 0


@pytest.mark.slow
def test_status_tells_of_names_before_there_is_any_part(agent, dns):
    """No server from the start, and no answer that a part could be made of."""
    dns.set({"reviews.test": ["127.0.1.1"]})
    dns.start()
    dns.freeze()
    a = agent(mesh(), extra=soon_lost(dns))
    found = wait_state(a, reviews="failing")
    assert found["reviews.test"]["verdict"] == "timeout; it was never answered"
    assert (part(a)["state"], part(a)["last_good"]) == ("none", False)
    assert "1 of 1 name fails: reviews.test (timeout, AGE)" in verdict(a)
    dns.thaw()
    wait_state(a, reviews="ok")
    wait_for(lambda: part(a)["state"] == "in force", "the part")
    a.write(mesh("['127.0.9.1:1']"))
    wait_for(lambda: part(a) is None, "nothing to say")


@pytest.mark.slow
def test_status_of_names_after_a_restart(agent, dns):
    """What is published goes on, and is told apart from what was answered."""
    dns.set({"reviews.test": ["127.0.1.1", "127.0.1.2"]})
    dns.start()
    a = agent(mesh(), extra=soon_lost(dns))
    wait_addresses(a, {"127.0.1.1:9080", "127.0.1.2:9080"})
    dns.freeze()
    a.kill()
    a.start()
    found = wait_state(a, reviews="kept")["reviews.test"]
    assert (found["addresses"], found["answered"], found["had_ms"]) == (2, False, 0)
    assert found["verdict"] == \
        "timeout; it was not answered yet, its addresses of before go on"
    dns.thaw()
    assert wait_state(a, reviews="ok")["reviews.test"]["answered"]


def test_status_of_services(agent, dns):
    """A target that is not there is told with its name."""
    records = {"a.test": ["127.0.1.1"], "b.test": ["127.0.1.2"]}
    dns.set({"a.test": ["127.0.1.1"]})
    dns.start(services=["shop.test,a.test,8001,0,10", "shop.test,b.test,8002,0,30"])
    a = agent(mesh("['srv:shop.test']"), extra=extra(dns))
    found = wait_state(a, shop="partial")["shop.test"]
    assert (found["type"], found["addresses"]) == ("SRV", 1)
    assert found["verdict"] == "NXDOMAIN of b.test; no addresses of 1 of 2 targets"
    assert "1 of 1 name fails: shop.test (NXDOMAIN of b.test, AGE, 1 address left)" in verdict(a)
    dns.set(records)
    assert wait_state(a, shop="ok")["shop.test"]["addresses"] == 2
    dns.set({})
    found = wait_state(a, shop="failing")["shop.test"]
    assert found["verdict"] == "NXDOMAIN of a.test; it had addresses before"


def test_many_names(agent, dns):
    """All are answered, though they come at once; status has a line of them."""
    count = 2000
    dns.set({f"n{i}.test": [f"127.1.{i // 250}.{i % 250}"] for i in range(count) if i % 10})
    dns.start(ttl=300)
    a = agent("clusters:\n" + "".join(f"  c{i}: {{endpoints: ['n{i}.test:1']}}\n"
                                      for i in range(count)),
              extra=f"dns: {{servers: ['{dns.at}'], min_ttl: 300s, timeout: 2s}}\n")

    def states():
        return collections.Counter(n["state"] for n in names(a).values())

    want = {"ok": count - count // 10, "failing": count // 10}
    wait_for(lambda: states() == want, f"the names {want}", 60)
    text = part(a)["source"]["text"]
    assert text.startswith(f"{count // 10} of {count} names fail: n0.test (NXDOMAIN, ")
    assert text.endswith(f", and {count // 10 - 4} more") and len(text) < 300
    assert a.ctl("status", "names").stdout.count("\n@dns") == count + 2


def test_endpoints_tell_their_names(agent, dns):
    dns.set({"a.test": ["127.0.1.1"], "b.test": ["127.0.1.2"]})
    dns.start(services=["shop.test,b.test,8001,0,10"])
    a = agent("clusters:\n"
              "  reviews: {endpoints: ['a.test.:1', 'b.test:2', '127.0.9.9:3', 'srv:shop.test']}\n"
              "  plain: {endpoints: ['127.0.9.9:3']}\n", extra=extra(dns))
    wait_addresses(a, {"127.0.1.1:1", "127.0.1.2:2", "127.0.9.9:3", "127.0.1.2:8001"})
    assert {k: v["hostname"] for k, v in addresses(a).items()} == {
        "127.0.1.1:1": "a.test", "127.0.1.2:2": "b.test", "127.0.9.9:3": "", "127.0.1.2:8001": ""}
    table = a.ctl("endpoints").stdout
    assert re.search(r"^CLUSTER +ENDPOINT +FROM +WEIGHT", table, re.M), table
    assert re.search(r"^reviews +127\.0\.1\.1:1 +a\.test +1 +0 ", table, re.M), table
    assert "FROM" not in a.ctl("endpoints", "plain").stdout
    a.kill()
    assert addresses(a)["127.0.1.1:1"]["hostname"] == "a.test"


def test_what_is_no_name_is_refused(variant, tmp_path, agent):
    bad = {"'a b:1'": "an address such as", "'reviews.test'": "an address such as",
           "'srv:'": "a name after srv:", "'a..b:1'": "an address such as",
           "'" + "a" * 64 + ".test:1'": "an address such as"}
    a = agent(mesh("['127.0.0.1:1']"))
    for text, words in bad.items():
        a.mesh.write_text(mesh(f"[{text}]"))
        done = a.ctl("validate", str(a.mesh), check=False)
        assert done.returncode == 1 and words in done.stdout, (text, done.stdout)
    a.mesh.write_text(mesh("['127.0.0.1:1']", ", dns: {family: v4}"))
    done = a.ctl("validate", str(a.mesh), check=False)
    assert done.returncode == 1 and "dns without a name" in done.stdout
