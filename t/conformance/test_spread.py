# SPDX-License-Identifier: Apache-2.0
"""What is drawn and what is hashed: nginx with mesh_route and Envoy 1.40 by
the same statistical test, in front of the same endpoints."""

import asyncio
import collections
import json
import os

import meshes
import pytest
import world

from meshtest.agent import Agent
from meshtest.chance import fits
from meshtest.echo import Echo, ask_all
from meshtest.envoy import Envoy

COUNT = int(2000 * float(os.environ.get("MESH_SOAK", "1")))
WEIGHTS = {"e0": 1, "e1": 1, "e2": 2, "e3": 3, "e4": 1}
EQUAL = dict.fromkeys(WEIGHTS, 1)
# What of a key's share may come of the table instead of chance.
LUMPS = {"ring_hash": 0.35, "maglev": 0.01}
TABLES = {"ring_hash": {"minimum_ring_size": 1024, "maximum_ring_size": 65536}, "maglev": {"table_size": 65537}}


def expect_shares(counts, shares, lumps=0.0):
    """Each as far as draws may be from it, and `lumps`."""
    total = sum(counts.values())
    for name, share in shares.items():
        assert fits(counts[name], total, share, slack=lumps * total * share), (name, share, counts)
    assert sum(counts[n] for n in shares) == total


def shares_of(weights):
    return {n: w / sum(weights.values()) for n, w in weights.items()}


class Pair:
    """pair.ask(requests) is [(by ours, by Envoy)], names of endpoints; for a
    mesh of one host whose routes are given in both languages."""

    def __init__(self, started, nginx, variant, zone, directory):
        self.started, self.nginx, self.variant, self.zone, self.dir = started, nginx, variant, zone, directory

    def run(self, names, ours, envoy, batches):
        """ours(at), envoy(at): the meshes.  Gives the batches' answers."""
        async def run():
            async with Echo(names) as echo:
                self.started.add(Agent(self.dir / "agent", self.variant, self.zone, json.dumps(ours(echo.at)))).start()
                n = self.nginx(main="mesh_zone {zone};", level="warn", workers=2, http="""
                    server { listen 127.0.0.1:{port}; location / { mesh_route; } }""")
                made = [{"name": "default", "options": {}, "hosts": []}]
                port = world.ports_of(made)["default"]
                listener = meshes.envoy_listener(made[0], port)
                routes, clusters = envoy(echo.at)
                manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
                manager["route_config"]["virtual_hosts"] = [{"name": "h", "domains": ["*"], "routes": routes}]
                config = {"static_resources": {"listeners": [listener], "clusters": clusters}}
                self.started.add(Envoy(self.dir / "envoy", config, [port])).start()
                return [[await self.ask(echo, p, batch) for p in (n.port, port)] for batch in batches]

        return asyncio.run(run())

    @staticmethod
    async def ask(echo, port, batch):
        echo.seen = {}
        data = [b"GET %s HTTP/1.1\r\nhost: h\r\nx-id: %d\r\n%s\r\n" % (target, i, lines)
                for i, (target, lines) in enumerate(batch)]
        answers = await ask_all([(port, d) for d in data])
        assert all(a and a.status == 200 for a in answers), collections.Counter(a and a.status for a in answers)
        return [echo.seen[b"%d" % i][0] for i in range(len(batch))]


@pytest.fixture
def pair(started, nginx, variant, zone, tmp_path):
    return Pair(started, nginx, variant, zone, tmp_path)


def envoy_endpoints(at, weights):
    cluster = meshes.envoy_cluster("c", at.values())
    rows = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    for row, name in zip(rows, at):
        row["load_balancing_weight"] = weights[name]
    return cluster


POLICIES = [{"header": "x-user", "terminal": True}, {"cookie": "sid"}, {"query_parameter": "q"}]
ENVOY_POLICIES = [{"header": {"header_name": "x-user"}, "terminal": True}, {"cookie": {"name": "sid"}},
                  {"query_parameter": {"name": "q"}}]


@pytest.mark.parametrize("lb", ["ring_hash", "maglev"])
@pytest.mark.slow
def test_hashes_spread_alike(pair, lb):
    """By weight over keys, and a key stays where it is: with another path,
    and with what a terminal policy passes over."""
    def ours(at):
        rows = [{"address": a, "weight": WEIGHTS[n]} for n, a in at.items()]
        return {"clusters": {"c": {"endpoints": rows, "lb": {"policy": lb, **TABLES[lb]}}},
                "hosts": [{"domains": ["*"], "routes": [{"route": "c", "hash_policy": POLICIES}]}]}

    def envoy(at):
        cluster = envoy_endpoints(at, WEIGHTS)
        cluster["lb_policy"] = lb.upper()
        cluster[f"{lb}_lb_config"] = TABLES[lb]
        return [{"match": {"prefix": "/"}, "route": {"cluster": "c", "hash_policy": ENVOY_POLICIES}}], [cluster]

    by_header = [(b"/", b"x-user: u%d\r\n" % i) for i in range(COUNT)]
    again = [(b"/x?q=%d" % i, b"x-user: u%d\r\ncookie: sid=%d\r\n" % (i, i)) for i in range(0, COUNT, 4)]
    by_cookie = [(b"/", b"cookie: a=1; sid=s%d\r\n" % i) for i in range(COUNT)]
    by_query = [(b"/?a=1&q=k%d" % i, b"") for i in range(COUNT)]
    answers = pair.run(WEIGHTS, ours, envoy, [by_header, again, by_cookie, by_query])
    for ours_or_theirs in (0, 1):
        header, same, cookie, query = (batch[ours_or_theirs] for batch in answers)
        assert same == header[::4]
        for batch in (header, cookie, query):
            expect_shares(collections.Counter(batch), shares_of(WEIGHTS), LUMPS[lb])


@pytest.mark.slow
def test_hashes_of_rewritten_headers(pair):
    """Users of a tenant stay together, tenants spread by weight; what the
    pattern does not match counts whole."""
    rewrite = {"pattern": "^(t[0-9]+)-.*$", "substitution": "\\1"}

    def ours(at):
        rows = [{"address": a, "weight": WEIGHTS[n]} for n, a in at.items()]
        policy = {"header": {"name": "x-user", "regex_rewrite": rewrite}}
        return {"clusters": {"c": {"endpoints": rows, "lb": {"policy": "maglev"}}},
                "hosts": [{"domains": ["*"], "routes": [{"route": "c", "hash_policy": policy}]}]}

    def envoy(at):
        cluster = envoy_endpoints(at, WEIGHTS)
        cluster["lb_policy"] = "MAGLEV"
        policy = {"header": {"header_name": "x-user", "regex_rewrite": {
            **rewrite, "pattern": {"regex": rewrite["pattern"]}}}}
        return [{"match": {"prefix": "/"}, "route": {"cluster": "c", "hash_policy": [policy]}}], [cluster]

    tenants = [(b"/", b"x-user: t%d\r\n" % i) for i in range(COUNT)]
    users = [(b"/", b"x-user: t%d-%d\r\n" % (i, i % 7)) for i in range(COUNT)]
    others = [(b"/", b"x-user: t1_%d\r\n" % i) for i in range(COUNT)]
    answers = pair.run(WEIGHTS, ours, envoy, [tenants, users, others])
    for ours_or_theirs in (0, 1):
        alone, together, apart = (batch[ours_or_theirs] for batch in answers)
        assert alone == together
        for batch in (alone, apart):
            expect_shares(collections.Counter(batch), shares_of(WEIGHTS), LUMPS["maglev"])


def test_shares_of_splits_and_percentages(pair):
    """30 % here, of the rest a tenth there, and what is left by weight."""
    split = {"e1": 7, "e2": 2, "e3": 0, "e4": 1}

    def ours(at):
        return {"clusters": {n: {"endpoints": [a]} for n, a in at.items()},
                "hosts": [{"domains": ["*"], "routes": [
                    {"match": {"percentage": 30}, "route": "e0"},
                    {"route": [{"cluster": n, "weight": w} for n, w in split.items()]}]}]}

    def envoy(at):
        return [{"match": {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 30}}},
                 "route": {"cluster": "e0"}},
                {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [
                    {"name": n, "weight": w} for n, w in split.items()]}}}], \
            [meshes.envoy_cluster(n, [a]) for n, a in at.items()]

    [answers] = pair.run(EQUAL, ours, envoy, [[(b"/", b"")] * COUNT])
    shares = {"e0": 0.3, **{n: 0.7 * s for n, s in shares_of(split).items()}}
    for names in answers:
        expect_shares(collections.Counter(names), shares)


def test_shares_of_balancers(pair):
    """Round robin by the endpoints' weights; random, which in Envoy knows no
    weights, among equals."""
    by_lb = {"round_robin": WEIGHTS, "random": EQUAL}

    def ours(at):
        return {"clusters": {lb: {"endpoints": [{"address": a, "weight": w[n]} for n, a in at.items()], "lb": lb}
                             for lb, w in by_lb.items()},
                "hosts": [{"domains": ["*"], "routes": [
                    {"match": {"path": f"/{lb}"}, "route": lb} for lb in by_lb]}]}

    def envoy(at):
        return [{"match": {"prefix": f"/{lb}"}, "route": {"cluster": lb}} for lb in by_lb], [
            {**envoy_endpoints(at, w), "name": lb, "lb_policy": lb.upper()} for lb, w in by_lb.items()]

    batches = [[(f"/{lb}".encode(), b"")] * COUNT for lb in by_lb]
    for weights, answers in zip(by_lb.values(), pair.run(WEIGHTS, ours, envoy, batches)):
        for names in answers:
            expect_shares(collections.Counter(names), shares_of(weights))


SPLIT = {"e0": 60, "e1": 30, "e2": 0, "e3": 10}


def split_meshes(ours_by, envoy_by):
    """The same weighted clusters in both languages, chosen by what is given."""
    def ours(at):
        return {"clusters": {n: {"endpoints": [at[n]]} for n in SPLIT},
                "hosts": [{"domains": ["*"], "routes": [
                    {"route": [{"cluster": n, "weight": w} for n, w in SPLIT.items()], **ours_by}]}]}

    def envoy(at):
        split, more = envoy_by
        return [{"match": {"prefix": "/"}, "route": {"weighted_clusters": {
            "clusters": [{"name": n, "weight": w} for n, w in SPLIT.items()], **split}, **more}}], \
            [meshes.envoy_cluster(n, [at[n]]) for n in SPLIT]

    return ours, envoy


@pytest.mark.slow
def test_sticky_splits(pair):
    """A key has one of the clusters, on every path, by weight over keys; who
    has none, and who is of a route without it, any of them."""
    ours, envoy = split_meshes({"split_by": "hash", "hash_policy": POLICIES},
                               ({"use_hash_policy": True}, {"hash_policy": ENVOY_POLICIES}))
    users = [(b"/", b"x-user: u%d\r\n" % i) for i in range(COUNT)]
    again = [(b"/x?q=%d" % i, b"x-user: u%d\r\ncookie: sid=%d\r\n" % (i, i)) for i in range(COUNT)]
    nobody = [(b"/", b"")] * COUNT
    answers = pair.run(SPLIT, ours, envoy, [users, again, nobody])
    for ours_or_theirs in (0, 1):
        first, second, none = (batch[ours_or_theirs] for batch in answers)
        assert first == second
        for batch in (first, none):
            expect_shares(collections.Counter(batch), shares_of(SPLIT))
    assert answers[0][0] != answers[0][1]   # by another hash


def test_splits_that_do_not_stick(pair):
    """Hash policies alone, and a flag that is off, change nothing."""
    ours, envoy = split_meshes({"hash_policy": POLICIES}, ({"use_hash_policy": False}, {"hash_policy": ENVOY_POLICIES}))
    [batch] = pair.run(SPLIT, ours, envoy, [[(b"/", b"x-user: me\r\n")] * COUNT])
    for names in batch:
        expect_shares(collections.Counter(names), shares_of(SPLIT))


# Numbers for both, and what is none for either.
NUMBERS = [b"0", b"59", b"60", b"89", b"90", b"99", b"100", b"160", b"007", b"+61", b"1234567890123",
           b"18446744073709551615", b"000000000018446744073709551615", b"  95  ", b"95\t"]
NO_NUMBERS = [b"18446744073709551616", b"99999999999999999999", b"-1", b"-0", b"+", b"+ 1", b"1.0", b"0x10",
              b"1 2", b"1,2", b"1e3", b"x", b"", b"90\r\nx-random: 90", b"90\r\nX-Random: 91"]


def test_splits_by_a_number(pair):
    """The very cluster that Envoy takes for a number; any of them where it
    takes it for none."""
    ours, envoy = split_meshes({"split_by": {"header": "X-Random"}}, ({"header_name": "X-Random"}, {}))
    values = [*NUMBERS, *[b"%d" % i for i in range(100)], *[b"%d" % (i * 7919 ** 4) for i in range(200)]]
    numbers = [(b"/", b"x-random: %s\r\n" % v) for v in values]
    times = 200
    others = [[(b"/", b"x-random: %s\r\n" % v)] * times for v in NO_NUMBERS]
    answers = pair.run(SPLIT, ours, envoy, [numbers, numbers, *others])
    for mine, theirs in answers[:2]:
        assert [(v, a, b) for v, a, b in zip(values, mine, theirs) if a != b] == []
    for value, (mine, theirs) in zip(NO_NUMBERS, answers[2:]):
        for names in (mine, theirs):
            assert set(names) == {"e0", "e1", "e3"}, (value, collections.Counter(names))
