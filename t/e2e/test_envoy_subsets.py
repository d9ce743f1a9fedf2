# SPDX-License-Identifier: Apache-2.0
"""The same clusters in Envoy: labels lead to the same endpoints, by Envoy's
resources and by what our words say of them."""

import json
import random

import pytest

from meshtest.envoy import Envoy, bootstrap, socket_address, spread
from meshtest.process import free_port

MAIN = "mesh_zone {zone};"
HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route; add_header X-Picked $mesh_endpoint always; }
    }
"""
SUBSET = "type.googleapis.com/envoy.extensions.load_balancing_policies.subset.v3.Subset"
ROUND_ROBIN = {"policies": [{"typed_extension_config": {"name": "rr", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin"}}}]}
KEYS = ["a", "b,=", "c/d %"]
VALUES = ["1", "x y", "/%2f=,"]
CLUSTERS = 24
ROUTES = 8  # of each
MEMBERS = 10

OLD = ["NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET"]
OWN = ["NOT_DEFINED", "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET", "KEYS_SUBSET"]


def labels(r, least=0):
    chosen = r.sample(KEYS, r.randint(least, len(KEYS)))
    return {k: r.choice(VALUES) for k in sorted(chosen)}


def selector(r, keys):
    policy = r.choice(OWN if len(keys) > 1 else OWN[:-1])
    made = {"keys": keys, "fallback_policy": policy}
    if policy == "KEYS_SUBSET":
        made["fallback_keys_subset"] = r.sample(keys, r.randint(1, len(keys) - 1))
    return made


def subsets(r):
    """A LbSubsetConfig.  Envoy forgets the fallback of a selector whose keys begin
    another one's that stands before it: the fewest come first here."""
    sets = [s for s in (sorted(r.sample(KEYS, n)) for n in (1, 1, 2, 2, 3)) if r.random() < 0.6] or [["a"]]
    unique = sorted({tuple(s) for s in sets}, key=lambda s: (len(s), s))
    config = {"fallback_policy": r.choice(OLD), "default_subset": labels(r),
              "subset_selectors": [selector(r, list(s)) for s in unique]}
    if r.random() < 0.5:
        config["panic_mode_any"] = True
    return config


def forget(selectors):
    """As Envoy does, which sorts them where labels may be redundant."""
    for s in selectors:
        if any(len(o["keys"]) > len(s["keys"]) and o["keys"][:len(s["keys"])] == s["keys"] for o in selectors):
            s["fallback_policy"] = "NOT_DEFINED"
            s.pop("fallback_keys_subset", None)


def world(seed):
    """Clusters by name: (subset configuration, may routes have more labels, labels of
    endpoints); routes: (cluster, labels of the route, labels of the weighted cluster)."""
    r = random.Random(seed)
    clusters, routes = {}, []
    for i in range(CLUSTERS):
        name = f"c{i}"
        have = [labels(r) for _ in range(r.randint(1, MEMBERS))]
        clusters[name] = (subsets(r) if i else None, r.random() < 0.4, have)
        if i and clusters[name][1]:
            forget(clusters[name][0]["subset_selectors"])
        for _ in range(ROUTES):
            of = r.choice(have) if r.random() < 0.5 else labels(r)
            if clusters[name][0] and r.random() < 0.5:
                keys = r.choice(clusters[name][0]["subset_selectors"])["keys"]
                of = {k: of.get(k) or r.choice(VALUES) for k in keys}
            own = {k: v for k, v in of.items() if r.random() < 0.3}
            outdone = {k: r.choice(VALUES) if k in own else v for k, v in of.items() if k not in own or r.random() < 0.5}
            routes.append((name, outdone, own))
    return clusters, routes


# --- Envoy's words --------------------------------------------------------------

def criteria(of):
    return {"metadata_match": {"filter_metadata": {"envoy.lb": of}}} if of else {}


def their_cluster(name, said, at):
    config, redundant, have = said
    made = {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": socket_address(a)}, "metadata": {"filter_metadata": {"envoy.lb": of}}}
        for a, of in zip(at, have)]}]}}
    if config and redundant:
        made["load_balancing_policy"] = {"policies": [{"typed_extension_config": {"name": "s", "typed_config": {
            "@type": SUBSET, **config, "allow_redundant_keys": True, "subset_lb_policy": ROUND_ROBIN}}}]}
    elif config:
        made["lb_subset_config"] = config
    return made


def theirs(port, clusters, routes, at):
    hosts = [{"name": "all", "domains": ["*"], "routes": [
        {"match": {"path": f"/{i}"}, "route": {
            "weighted_clusters": {"clusters": [{"name": name, "weight": 1, **criteria(own)}]}, **criteria(of)},
         "response_headers_to_add": [{"header": {"key": "x-picked", "value": "%UPSTREAM_HOST%"}}]}
        for i, (name, of, own) in enumerate(routes)]}]
    return bootstrap(port, hosts, [their_cluster(n, said, at) for n, said in clusters.items()])


# --- ours -----------------------------------------------------------------------

def escaped(text):
    return "".join(f"%{ord(c):02x}" if c in "%,=/ " else c for c in text)


def our_name(of):
    """In any order."""
    return ",".join(f"{escaped(k)}={escaped(v)}" for k, v in sorted(of.items(), reverse=True))


def our_fallback(policy, default, keys=()):
    if policy == "DEFAULT_SUBSET":
        return {"subset": "default"} if default else "any"
    return {"NO_FALLBACK": "none", "ANY_ENDPOINT": "any", "KEYS_SUBSET": {"keys": list(keys)}}[policy]


def our_cluster(said, at):
    config, redundant, have = said
    made = {"endpoints": [{"address": a, **({"labels": of} if of else {})} for a, of in zip(at, have)]}
    if config is None:
        return made
    default = config["default_subset"]
    made |= {"subsets": {"default": default}} if default else {}
    selectors = []
    for s in config["subset_selectors"]:
        selectors.append({"keys": s["keys"]})
        if s["fallback_policy"] != "NOT_DEFINED":
            selectors[-1]["fallback"] = our_fallback(s["fallback_policy"], default, s.get("fallback_keys_subset", ()))
    return {**made, "subset_selectors": selectors, "subset_fallback": our_fallback(config["fallback_policy"], default),
            "subset_required": True, "subset_fallback_any": config.get("panic_mode_any", False),
            "subset_redundant_labels": redundant}


def ours(clusters, routes, at):
    def goes(i, name, of, own):
        joined = {**of, **own}
        to = name if not joined or clusters[name][0] is None else f"{name}/{our_name(joined)}"
        return {"match": {"path": {"exact": f"/{i}"}}, "route": to}
    return {"clusters": {n: our_cluster(said, at) for n, said in clusters.items()},
            "hosts": [{"domains": ["*"], "routes": [goes(i, *route) for i, route in enumerate(routes)]}]}


def unanswerable(clusters, name, of):
    """What our words refuse to say: labels that no selector has, with nothing instead."""
    config, redundant, _ = clusters[name]
    return bool(config and of and config["fallback_policy"] == "NO_FALLBACK" and not any(
        set(s["keys"]) <= set(of) if redundant else s["keys"] == sorted(of) for s in config["subset_selectors"]))


def explained(agent, path, count):
    """Of each route: the candidates, as Envoy's resources say."""
    asked = agent.dir / "asked.txt"
    asked.write_text("".join(f"GET http://shop.local/{i}\n\n" for i in range(count)))
    lines = agent.ctl("explain", "-f", str(asked), "--resources", str(path), "-o", "json",
                      check=False).stdout.splitlines()
    return [{e["address"] for e in json.loads(line).get("endpoints", ()) if e["candidate"]} or {""} for line in lines]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.slow
def test_labels_lead_where_envoys_do(agent, nginx, endpoints, started, tmp_path, seed):
    at = [endpoints.add(address=f"127.0.1.{i + 1}", name=f"e{i}").at for i in range(MEMBERS)]
    clusters, routes = world(seed)
    routes = [(n, of, own) for n, of, own in routes if not unanswerable(clusters, n, {**of, **own})]
    port = free_port()
    config = theirs(port, clusters, routes, at)
    a = agent(json.dumps(ours(clusters, routes, at)))
    n = nginx(http=HTTP, main=MAIN)
    envoy = started.add(Envoy(tmp_path / "envoy", config, [port])).start()
    said = explained(a, envoy.path, len(routes))
    assert len(said) == len(routes) > 100
    for i, route in enumerate(routes):
        requests = 2 * MEMBERS
        other = set(spread(port, str(i), requests))
        assert set(spread(n.port, str(i), requests)) == other, (route, clusters[route[0]])
        assert said[i] == other, (route, clusters[route[0]])
    envoy.stop()
    # Each answer is there: one, some, all of a cluster, nobody.
    sizes = {len(s) for s in said}
    assert {""} in said and len(sizes) > 3, sizes
