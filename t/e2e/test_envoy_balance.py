# SPDX-License-Identifier: Apache-2.0
"""The same clusters in Envoy: spread over priorities and localities alike."""

import collections

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

# Groups of a cluster: priority, zone, endpoints, usable ones; what else it says.
CASES = {
    "standby": ([(0, "a", 4, 4), (1, "a", 4, 4)], {}),
    "one_short": ([(0, "a", 4, 3), (1, "a", 4, 4)], {}),
    "half": ([(0, "a", 4, 2), (1, "a", 4, 4)], {}),
    "quarter": ([(0, "a", 4, 1), (1, "a", 4, 1), (2, "a", 4, 4)], {}),
    "dead": ([(0, "a", 4, 0), (1, "a", 4, 1), (2, "a", 4, 4)], {}),
    "short": ([(0, "a", 4, 1), (1, "a", 4, 1), (2, "a", 5, 1)], {"panic": 0}),
    "one_panics": ([(0, "a", 5, 1), (1, "a", 5, 3)], {}),
    "all_panic": ([(0, "a", 2, 0), (1, "a", 5, 1)], {}),
    "nothing": ([(0, "a", 2, 0), (1, "a", 5, 0)], {"panic": 0}),
    "late_panic": ([(0, "a", 5, 4)], {"panic": 100}),
    "provisioned": ([(0, "a", 4, 2), (1, "a", 4, 4)], {"factor": 200}),
    "exact": ([(0, "a", 4, 3), (1, "a", 4, 4)], {"factor": 100}),
    "weights": ([(0, "a", 2, 2), (0, "b", 1, 1), (0, "c", 3, 3)],
                {"weights": {"a": 1, "b": 5, "c": 2}}),
    "weights_short": ([(0, "a", 4, 2), (0, "b", 2, 2)],
                      {"weights": {"a": 3, "b": 1}}),
    "weight_none": ([(0, "a", 2, 2), (0, "b", 2, 2)], {"weights": {"a": 3}}),
    "weight_out": ([(0, "a", 2, 0), (0, "b", 2, 2)],
                   {"weights": {"a": 3}, "panic": 0}),
    "weights_by_priority": ([(0, "a", 4, 1), (0, "b", 4, 1), (1, "a", 2, 2),
                             (1, "b", 4, 4)], {"weights": {"a": 9, "b": 1}}),
}
REQUESTS = 700


def rows(groups, at):
    """Who is in which group: (address, priority, zone, usable)."""
    taken = iter(at)
    return [(next(taken), p, z, i < usable)
            for p, z, count, usable in groups for i in range(count)]


def ours(at):
    text = "clusters:\n"
    hosts = "hosts:\n  - domains: ['*']\n    routes:\n"
    for name, (groups, more) in CASES.items():
        lb = "round_robin"
        if "weights" in more:
            lb = "{policy: round_robin, locality_weights: [%s]}" % ", ".join(
                f"{{zone: {z}, weight: {w}}}" for z, w in more["weights"].items())
        text += f"  {name}:\n    lb: {lb}\n"
        text += f"    panic_threshold: {more.get('panic', 50)}\n"
        text += f"    overprovisioning_factor: {more.get('factor', 140)}\n    endpoints:\n"
        for a, priority, zone, usable in rows(groups, at):
            text += (f"      - {{address: '{a}', priority: {priority}, zone: {zone}, "
                     f"health: {'healthy' if usable else 'unhealthy'}}}\n")
        hosts += f"      - {{match: {{path: {{exact: /{name}}}}}, route: {name}}}\n"
    return text + hosts


def locality(group, members, more):
    priority, zone = group
    entry = {"priority": priority, "locality": {"zone": zone}, "lb_endpoints": [
        {"endpoint": {"address": socket_address(a)},
         "health_status": "HEALTHY" if usable else "UNHEALTHY"} for a, usable in members]}
    if more.get("weights", {}).get(zone):
        entry["load_balancing_weight"] = more["weights"][zone]
    return entry


def theirs(at, port):
    clusters, routes = [], []
    for name, (groups, more) in CASES.items():
        members = collections.OrderedDict()
        for a, priority, zone, usable in rows(groups, at):
            members.setdefault((priority, zone), []).append((a, usable))
        common = {"healthy_panic_threshold": {"value": more.get("panic", 50)}}
        if "weights" in more:
            common["locality_weighted_lb_config"] = {}
        clusters.append({
            "name": name, "type": "STATIC", "connect_timeout": "5s",
            "lb_policy": "ROUND_ROBIN", "common_lb_config": common,
            "load_assignment": {
                "cluster_name": name,
                "policy": {"overprovisioning_factor": more.get("factor", 140)},
                "endpoints": [locality(g, m, more) for g, m in members.items()]}})
        routes.append({
            "match": {"path": f"/{name}"}, "route": {"cluster": name},
            "response_headers_to_add": [{"header": {
                "key": "x-picked", "value": "%UPSTREAM_HOST%"}}]})
    return bootstrap(port, [{"name": "all", "domains": ["*"], "routes": routes}], clusters)


def by_group(seen, members):
    where = {a: (priority, zone) for a, priority, zone, _ in members}
    out = collections.Counter()
    for a, n in seen.items():
        out[where.get(a, a)] += n
    return out


@pytest.mark.slow
def test_spread_as_envoys(agent, nginx, endpoints, started, tmp_path):
    """Per priority and locality, as far as Envoy draws (our shares are exact);
    and the same endpoints get something at all."""
    at = [endpoints.add(address=f"127.0.1.{i + 1}", name=f"e{i}").at for i in range(14)]
    agent(ours(at))
    n = nginx(http=HTTP, main=MAIN)
    port = free_port()
    started.add(Envoy(tmp_path / "envoy", theirs(at, port), [port])).start()

    for name, (groups, _) in CASES.items():
        members = rows(groups, at)
        mine = spread(n.port, name, REQUESTS)
        other = spread(port, name, REQUESTS)
        assert set(mine) == set(other), (name, mine, other)
        mine, other = by_group(mine, members), by_group(other, members)
        for group in set(mine) | set(other):
            assert fits(other[group], REQUESTS, mine[group] / REQUESTS, slack=3), (name, mine, other)
