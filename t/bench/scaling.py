# SPDX-License-Identifier: Apache-2.0
"""What a request costs among 10,000 routes or hosts beside 10, and with two
workers beside one.

The request's route is the last of its host, its host the last but for "*", in
both meshes the same: only what is before them differs.
"""

import proxies

FEW, MANY = 10, 10000
OUR_ROUTE = "      - name: bench\n"
OUR_HOST = '  - domains: ["*"]\n'
ENVOY_ROUTE = "              - match: {prefix: /bench}\n                route:\n"
ENVOY_HOST = '            - name: any\n'


def before(text, mark, rows):
    assert text.count(mark) == 1, mark
    return text.replace(mark, "".join(rows) + mark)


def our_routes(n):
    return lambda text: before(text, OUR_ROUTE, (
        f"      - {{match: {{path: {{prefix: /service-{i:05}/}}}}, route: c}}\n" for i in range(n)))


def our_hosts(n):
    return lambda text: before(text, OUR_HOST, (
        f"  - domains: [service-{i:05}.local]\n    routes: [{{route: c}}]\n" for i in range(n)))


def envoy_routes(n):
    return lambda text: before(text, ENVOY_ROUTE, (
        f"              - {{match: {{prefix: /service-{i:05}/}}, route: {{cluster: c}}}}\n" for i in range(n)))


def envoy_hosts(n):
    return lambda text: before(text, ENVOY_HOST, (
        f"            - {{name: s{i}, domains: [service-{i:05}.local], "
        f"routes: [{{match: {{prefix: /}}, route: {{cluster: c}}}}]}}\n" for i in range(n)))


def instructions(directory, zones, at, callgrind, kind, more):
    cost = {}
    for n in (FEW, MANY):
        cost[n] = callgrind(lambda run, n=n: proxies.Mesh(
            f"{kind}-{n}-{run}", directory, at, zones / f"{kind}-{n}-{run}", more=more(n), master="off"))
    return cost


def envoys(directory, at, kind, more):
    return [proxies.Envoy(f"envoy-{kind}-{n}", directory, at, more=more(n)) for n in (FEW, MANY)]


def measure(options, directory, zones, at, callgrind, cpu_per_request, ratio):
    result = {}
    for kind, ours, envoy in (("routes", our_routes, envoy_routes), ("hosts", our_hosts, envoy_hosts)):
        cost = instructions(directory, zones, at, callgrind, kind, ours)
        result[f"instructions_{FEW}_{kind}"] = round(cost[FEW])
        result[f"instructions_{MANY}_{kind}"] = round(cost[MANY])
        result[f"{kind}_{MANY}_vs_{FEW}"] = round(cost[MANY] / cost[FEW], 4)
        if proxies.ENVOY.exists():
            # An interpreter of instructions has no time for Envoy, whose requests
            # cost some 400 us among 10,000 routes.
            made = envoys(directory, at, kind, envoy)
            cost, _ = cpu_per_request(options.pairs, options.requests // 10, made)
            result[f"envoy_{kind}_{MANY}_vs_{FEW}"] = ratio(cost[made[1].name], cost[made[0].name])
    made = [proxies.Mesh(f"workers-{n}", directory, at, zones / f"workers-{n}", workers=n) for n in (1, 2)]
    cost, rate = cpu_per_request(options.pairs, options.requests, made)
    result["workers_2_vs_1_cpu_per_request"] = ratio(cost["workers-2"], cost["workers-1"])
    result["workers_2_vs_1_throughput"] = ratio(rate["workers-2"], rate["workers-1"])
    return result
