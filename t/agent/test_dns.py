# SPDX-License-Identifier: Apache-2.0
"""Names among endpoints, against a real DNS server."""

import json
import re

import pytest

from meshtest.agent import Agent
from meshtest.dns import Dns
from meshtest.process import wait_for


@pytest.fixture
def dns(started, tmp_path):
    return started.add(Dns(tmp_path / "dns"))


def extra(dns, more=""):
    return f"dns: {{servers: ['{dns.at}'], min_ttl: 40ms, timeout: 150ms{more}}}\n"


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


def test_a_failure_keeps_what_there_was(agent, dns, started, variant, zone, tmp_path):
    """The server is lost: the addresses go on, over a restart of the agent,
    too.  That a name is gone is no failure."""
    dns.set({"reviews.test": ["127.0.1.1"]})
    dns.start()
    a = agent(mesh(), extra=extra(dns))
    wait_addresses(a, {"127.0.1.1:9080"})
    dns.freeze()
    wait_for(lambda: "name cannot be resolved" in a.log(), "the failure")
    assert re.search(r"name=reviews\.test error=\S.*of before go on", a.log())
    assert set(addresses(a)) == {"127.0.1.1:9080"}

    a.kill()
    b = started.add(Agent(tmp_path / "agent", variant, zone, mesh(), extra=extra(dns))).start()
    b.ctl("apply", "-f", "-", "--part", "other", stdin='{"clusters": {"x": {"endpoints": []}}}')
    assert set(addresses(b)) == {"127.0.1.1:9080"}
    dns.thaw()
    dns.set({})
    wait_addresses(b, set())
    assert "name has no addresses name=reviews.test" in b.log()
    dns.set({"reviews.test": ["127.0.1.7"]})
    wait_addresses(b, {"127.0.1.7:9080"})


def test_a_server_that_is_lost_from_the_beginning(agent, dns):
    """What has no names is published in time, and names when they come."""
    dns.set({"reviews.test": ["127.0.1.1"]})
    dns.start()
    dns.freeze()
    a = agent(mesh() + "endpoints: {other: ['127.0.2.1:1']}\n", extra=extra(dns))
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
