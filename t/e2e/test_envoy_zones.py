# SPDX-License-Identifier: Apache-2.0
"""The same clusters, local clusters and localities in Envoy: zone-aware routing
spreads alike."""

import collections
import json

import pytest

from meshtest.chance import fits
from meshtest.envoy import Envoy, bootstrap, socket_address, spread
from meshtest.process import free_port

MAIN = "mesh_zone {zone};"
HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route; add_header X-Picked $mesh_endpoint always; }
    }
"""
POLICIES = "type.googleapis.com/envoy.extensions.load_balancing_policies"
REQUESTS = 300

# The local cluster: zone, endpoints, usable ones.  Both proxies are in zone a.
LOCALS = {
    "even": [("a", 4, 4), ("b", 4, 4), ("c", 2, 2)],
    "few_here": [("a", 1, 1), ("b", 6, 6), ("c", 3, 3)],
    "ill": [("a", 6, 2), ("b", 2, 2), ("d", 1, 1)],
    "none_usable_here": [("a", 2, 0), ("b", 3, 3), ("c", 3, 3)],
    "elsewhere": [("b", 4, 4), ("c", 4, 4)],
    "one_zone": [("a", 4, 4)],
    "panic": [("a", 3, 1), ("b", 4, 2)],
}

# Clusters: priority, zone, endpoints, usable ones, weight; what is said.
CASES = {
    "alike": ([(0, "a", 4, 4, 1), (0, "b", 4, 4, 1), (0, "c", 2, 2, 1)], {}),
    "documented": ([(0, "a", 2, 2, 1), (0, "b", 4, 4, 1), (0, "c", 2, 2, 1)], {}),
    "nobody_here": ([(0, "b", 4, 4, 1), (0, "c", 4, 4, 1)], {}),
    "one_left": ([(0, "a", 4, 1, 1), (0, "b", 4, 4, 1), (0, "c", 4, 4, 1)], {}),
    "nobody_usable_here": ([(0, "a", 3, 0, 1), (0, "b", 4, 4, 1), (0, "c", 5, 5, 1)], {}),
    "other_down": ([(0, "a", 2, 2, 1), (0, "b", 3, 0, 1), (0, "d", 6, 6, 1)], {}),
    "small": ([(0, "a", 1, 1, 1), (0, "b", 4, 4, 1)], {}),
    "small_is_enough": ([(0, "a", 1, 1, 1), (0, "b", 4, 4, 1)], {"min_cluster_size": 5}),
    "half_enabled": ([(0, "a", 2, 2, 1), (0, "b", 4, 4, 1), (0, "c", 2, 2, 1)], {"routing_enabled": 50}),
    "forced": ([(0, "a", 2, 2, 1), (0, "b", 9, 9, 1)], {"force_local_zone": 2}),
    "too_few_to_force": ([(0, "a", 2, 1, 1), (0, "b", 9, 9, 1)], {"force_local_zone": 2}),
    "weights": ([(0, "a", 2, 2, 1), (0, "b", 4, 4, 3), (0, "c", 2, 2, 2)], {"locality_basis": "weight"}),
    "weights_count_not": ([(0, "a", 2, 2, 1), (0, "b", 4, 4, 3), (0, "c", 2, 2, 2)], {}),
    "priorities": ([(0, "a", 2, 1, 1), (0, "b", 8, 5, 1), (1, "a", 2, 2, 1), (1, "b", 2, 2, 1)], {}),
    "panic": ([(0, "a", 2, 0, 1), (0, "b", 6, 3, 1)], {}),
    "panic_fails": ([(0, "a", 2, 0, 1), (0, "b", 6, 3, 1)], {"fail_traffic_on_panic": True}),
    "fails_if_local_panics": ([(0, "a", 4, 4, 1), (0, "b", 4, 4, 1)],
                              {"fail_traffic_on_panic": True, "routing_enabled": 70}),
    "one_zone": ([(0, "a", 8, 8, 1)], {}),
    "without_locality": ([(0, "a", 2, 2, 1), (0, "", 6, 6, 1)], {}),
}

# What is the same with any local cluster.
OF_ITSELF = {"nobody_here", "other_down", "small", "too_few_to_force", "weights_count_not", "panic", "panic_fails",
             "one_zone", "without_locality"}


def members(groups, at):
    """(address, priority, zone, usable, weight)"""
    taken = iter(at)
    return [(next(taken), p, z, i < usable, w) for p, z, count, usable, w in groups for i in range(count)]


def shop(local):
    groups = [(0, z, count, usable, 1) for z, count, usable in LOCALS[local]]
    return members(groups, [f"127.0.9.{i + 1}:9" for i in range(20)])


def our_rows(rows):
    return "".join(f"      - {{address: '{a}', priority: {p}, {f'zone: {z}, ' if z else ''}"
                   f"health: {'healthy' if usable else 'unhealthy'}, weight: {w}}}\n" for a, p, z, usable, w in rows)


def ours(at, lb):
    text, routes = "clusters:\n", ""
    for local in LOCALS:
        text += f"  {local}:\n    endpoints:\n{our_rows(shop(local))}"
        for name, (groups, more) in CASES.items():
            said = "".join(f", {k}: {str(v).lower()}" for k, v in more.items())
            text += (f"  {name}-{local}:\n"
                     f"    lb: {{policy: {lb}, zone_aware: {{local_cluster: {local}{said}}}}}\n"
                     f"    endpoints:\n{our_rows(members(groups, at))}")
            routes += f"      - {{match: {{path: {{exact: /{name}-{local}}}}}, route: {name}-{local}}}\n"
    return f"{text}hosts:\n  - domains: ['*']\n    routes:\n{routes}"


def assignment(name, rows):
    groups = collections.OrderedDict()
    for a, priority, zone, usable, weight in rows:
        groups.setdefault((priority, zone), []).append({
            "endpoint": {"address": socket_address(a)}, "load_balancing_weight": weight,
            "health_status": "HEALTHY" if usable else "UNHEALTHY"})
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": [
        {"priority": p, "lb_endpoints": e, **({"locality": {"zone": z}} if z else {})}
        for (p, z), e in groups.items()]}}


def their_policy(lb, more):
    zone = {k: v for k, v in more.items() if k in ("min_cluster_size", "fail_traffic_on_panic")}
    if "routing_enabled" in more:
        zone["routing_enabled"] = {"value": more["routing_enabled"]}
    if "force_local_zone" in more:
        zone["force_local_zone"] = {"min_size": more["force_local_zone"]}
    if "locality_basis" in more:
        zone["locality_basis"] = "HEALTHY_HOSTS_WEIGHT"
    kind = {"round_robin": "round_robin.v3.RoundRobin", "least_request": "least_request.v3.LeastRequest",
            "random": "random.v3.Random"}[lb]
    return {"policies": [{"typed_extension_config": {"name": lb, "typed_config": {
        "@type": f"{POLICIES}.{kind}", "locality_lb_config": {"zone_aware_lb_config": zone}}}}]}


def theirs(at, port, local, lb):
    clusters = [assignment(local, shop(local))]
    routes = []
    for name, (groups, more) in CASES.items():
        clusters.append({**assignment(f"{name}-{local}", members(groups, at)),
                         "load_balancing_policy": their_policy(lb, more)})
        routes.append({"match": {"path": f"/{name}-{local}"}, "route": {"cluster": f"{name}-{local}"},
                       "response_headers_to_add": [{"header": {"key": "x-picked", "value": "%UPSTREAM_HOST%"}}]})
    hosts = [{"name": "all", "domains": ["*"], "routes": routes}]
    return {**bootstrap(port, hosts, clusters), "node": {"id": "n", "cluster": local, "locality": {"zone": "a"}},
            "cluster_manager": {"local_cluster_name": local}}


def by_zone(seen, rows):
    where = {a: (priority, zone) for a, priority, zone, _, _ in rows}
    out = collections.Counter()
    for a, n in seen.items():
        out[where.get(a, a)] += n
    return out


def compare(name, mine, other):
    """As far as Envoy draws; ours are exact."""
    for zone in set(mine) | set(other):
        assert fits(other[zone], REQUESTS, mine[zone] / REQUESTS, slack=3), (name, mine, other)


def told(a, *more):
    """What meshctl says of zones, by cluster."""
    clusters = json.loads(a.ctl("clusters", *more, "-o", "json").stdout)
    return {c["cluster"]: c["zone_aware"] for c in clusters if "zone_aware" in c}


def test_resources_say_the_same(agent, tmp_path):
    """An Envoy bootstrap that is read as resources: who is on and off, and how
    much each locality gets, as the mesh that says the same in our words; and
    clusters that say nothing are zone-aware, too."""
    at = [f"127.0.1.{i + 1}:80" for i in range(14)]
    a = agent(ours(at, "round_robin"), extra="node: {zone: a}")
    mine = told(a)
    for local in LOCALS:
        path = tmp_path / f"{local}.json"
        config = theirs(at, 80, local, "round_robin")
        path.write_text(json.dumps(config))
        other = told(a, "--resources", str(path))
        assert set(other) == {f"{name}-{local}" for name in CASES}
        for name, said in other.items():
            assert said == mine[name], name
        for cluster in config["static_resources"]["clusters"]:
            cluster.pop("load_balancing_policy", None)
        path.write_text(json.dumps(config))
        assert told(a, "--resources", str(path))[f"documented-{local}"] == mine[f"documented-{local}"]


@pytest.mark.parametrize("lb", ["round_robin", "least_request", "random"])
@pytest.mark.slow
def test_zones_as_envoys(agent, nginx, endpoints, started, tmp_path, lb, variant):
    """Each cluster by each local cluster; with other balancers than round robin, or
    slowly, by one of them, as zones are chosen before.  Envoy's random knows no weights."""
    at = [endpoints.add(address=f"127.0.1.{i + 1}", name=f"e{i}").at for i in range(14)]
    agent(ours(at, lb), extra="node: {zone: a}")
    n = nginx(http=HTTP, main=MAIN)
    each = lb == "round_robin" and variant == "release"
    locals_ = LOCALS if each else ["even"]
    spreads = collections.defaultdict(set)
    for local in locals_:
        port = free_port()
        envoy = started.add(Envoy(tmp_path / f"envoy-{local}", theirs(at, port, local, lb), [port])).start()
        for name, (groups, _) in CASES.items():
            if (lb == "random" and name.startswith("weights")) or (local != "even" and name in OF_ITSELF):
                continue
            rows = members(groups, at)
            mine, other = (by_zone(spread(p, f"{name}-{local}", REQUESTS), rows) for p in (n.port, port))
            compare(f"{name}-{local}", mine, other)
            spreads[name].add(tuple(sorted(mine.items(), key=str)))
        envoy.stop()
    # The local cluster makes a difference.
    assert not each or len(spreads["documented"]) > 3, spreads["documented"]
