# SPDX-License-Identifier: Apache-2.0
"""Random values and runtime keys: what `meshctl explain` makes of them is what
Envoy 1.40 does with the same resources."""

import asyncio
import copy
import json
import os
import random
import subprocess

import meshes
import pytest

from meshtest.echo import Echo, ask_all
from meshtest.envoy import Envoy
from meshtest.process import binary, free_port

SEED = int(os.environ.get("MESH_SEED", "29"))
CLUSTERS = ["e0", "e1", "e2", "e3"]


def explained(variant, config, requests):
    """One answer a request; none of them needs a zone."""
    done = subprocess.run(
        [binary(variant, "meshctl"), "--zone", "/nonexistent", "-o", "json", "explain", "-f", "-",
         "--resources", str(config)], input="\n\n".join(requests) + "\n", capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def bootstrap(routes, port, clusters=(), **more):
    listener = meshes.envoy_listener({"name": "m", "options": {}, "hosts": []}, port)
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"] = {"name": "r", "virtual_hosts": [{"name": "h", "domains": ["*"], "routes": routes}]}
    return {"static_resources": {"listeners": [listener], "clusters": list(clusters)}, **more}


async def envoy_answers(port, requests):
    """`requests`: (target, header lines)."""
    data = [b"GET %s HTTP/1.1\r\nhost: h\r\nx-id: %d\r\n%s\r\n" % (target.encode(), i, lines)
            for i, (target, lines) in enumerate(requests)]
    answers = await ask_all([(port, d) for d in data])
    assert all(a and a.status == 200 for a in answers), [a and a.status for a in answers][:20]
    return answers


def weights(rnd):
    while True:
        out = [rnd.choice([0, 1, 1, 2, 7, 50, 99, 1000, 123456]) for _ in CLUSTERS]
        if sum(out):
            return out


def test_weighted_clusters(started, variant, tmp_path):
    """Envoy takes the value from a header where it is told to."""
    rnd = random.Random(SEED)
    splits = [weights(rnd) for _ in range(20)]
    asked = [(i, rnd.choice([rnd.randrange(20), rnd.randrange(2000), rnd.randrange(2**64)]))
             for i in range(len(splits)) for _ in range(60)]
    # Longer prefixes first: /s10 before /s1.
    routes = [{"match": {"prefix": f"/s{i}"}, "route": {"weighted_clusters": {
        "clusters": [{"name": n, "weight": w} for n, w in zip(CLUSTERS, row)], "header_name": "x-random"}}}
        for i, row in reversed(list(enumerate(splits)))]
    plain = copy.deepcopy(routes)
    for r in plain:
        del r["route"]["weighted_clusters"]["header_name"]

    async def run():
        async with Echo(CLUSTERS) as echo:
            clusters = [meshes.envoy_cluster(n, [at]) for n, at in echo.at.items()]
            port = free_port()
            ours = tmp_path / "ours.json"
            ours.write_text(json.dumps(bootstrap(plain, port, clusters)))
            started.add(Envoy(tmp_path / "envoy", bootstrap(routes, port, clusters), [port])).start()
            answers = await envoy_answers(port, [(f"/s{i}", b"x-random: %d\r\n" % n) for i, n in asked])
            return ours, [a.value(b"x-endpoint").decode() for a in answers]

    ours, theirs = asyncio.run(run())
    told = explained(variant, ours, [f"GET http://h/s{i}\n--random {n}" for i, n in asked])
    # A number in the header comes before the random value.
    same = explained(variant, tmp_path / "envoy" / "envoy.json",
                     [f"GET http://h/s{i}\nx-random: {n}\n--random {n + 1}" for i, n in asked])
    assert [t["cluster"] for t in same] == [t["cluster"] for t in told]
    bad = [(a, splits[a[0]], t, o["cluster"]) for a, t, o in zip(asked, theirs, told) if t != o["cluster"]]
    assert len(told) == len(theirs) and not bad, bad[:10]
    assert len(set(theirs)) == len(CLUSTERS)


# Values of keys that make a percentage all, nothing, or nothing new.
VALUES = [0, 100, 99.0 + 1, 101, 4000, "0", "100", "hello", "", True, False, 0.5, -1,
          "0.5", 0.9, 100.7, "100.7", 1e2, "1e2", " 100 ", "-0", "true", "0x64", "1e400", "x1", {},
          {"numerator": 0}, {"numerator": 100}, {"numerator": 1000000, "denominator": "MILLION"},
          {"numerator": 7000, "denominator": "HUNDRED"}, {"numerator": 10000, "denominator": "TEN_THOUSAND"}]


def test_runtime_keys(started, variant, tmp_path):
    """In layers, some of them set again by a later one, some nested."""
    first = {f"a.k{i}": v for i, v in enumerate(VALUES)}
    second = {"a": {f"k{i}": v for i, v in enumerate(VALUES[::-1]) if i % 5 == 0}, "b": {"c": {"d": 100}}}
    first.update({f"c.k{i}": v for i, v in enumerate(VALUES)})      # that no later layer has
    keys = [*first, "b.c.d", "nobody.s"]
    routes = []
    for i, key in enumerate(keys):
        for default in (0, 100):
            routes += [
                {"match": {"path": f"/{i}/{default}", "runtime_fraction": {
                    "default_value": {"numerator": default}, "runtime_key": key}},
                 "name": "yes", "direct_response": {"status": 200, "body": {"inline_string": "yes"}}},
                {"match": {"path": f"/{i}/{default}"},
                 "name": "no", "direct_response": {"status": 200, "body": {"inline_string": "no"}}}]
    port = free_port()
    config = bootstrap(routes, port, layered_runtime={"layers": [
        {"name": "first", "static_layer": first}, {"name": "second", "static_layer": second}]})
    targets = [f"/{i}/{default}" for i in range(len(keys)) for default in (0, 100)]
    envoy = started.add(Envoy(tmp_path / "envoy", config, [port])).start()
    theirs = [a.body.decode() for a in asyncio.run(envoy_answers(port, [(t, b"") for t in targets]))]
    for value in (0, 50, 99):
        told = explained(variant, envoy.path, [f"GET http://h{t}\n--random {value}" for t in targets])
        ours = [t["route"].split("/")[-1].split(".")[0] for t in told]
        routes_of = {f"{i}": ("yes", "no")[i % 2] for i in range(len(routes))}
        ours = [routes_of.get(o, o) for o in ours]
        bad = [(t, keys[int(t.split("/")[1])], x, o) for t, x, o in zip(targets, theirs, ours) if x != o]
        assert not bad, bad
    assert {"yes", "no"} == set(theirs)
