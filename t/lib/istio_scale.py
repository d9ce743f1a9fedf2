# SPDX-License-Identifier: Apache-2.0
"""Resources as istiod sends them to a sidecar of a mesh with 1,000 services.

Of the shape and size of a real capture: 1,026 clusters, 1,020 endpoint
assignments, 13 listeners, 7 route configurations of which one has 669 virtual
hosts with 6 domains each.  Some hosts have more routes than a capture's, so
that more than the host is decided.  All is made from a seed.
"""

import json
import random
import sys

TYPE = "type.googleapis.com/envoy."
DOMAIN = "default.svc.cluster.local"
SERVICES = 1000
HOSTS_80 = 667
HOSTS_8080 = 333


def any_of(kind, /, **fields):
    return {"@type": TYPE + kind, **fields}


def service(i):
    return f"svc{i:04}"


def port_of(i):
    return 80 if i < HOSTS_80 else 8080


def cluster_name(i, subset=""):
    return f"outbound|{port_of(i)}|{subset}|{service(i)}.{DOMAIN}"


def metadata(i):
    return {"filter_metadata": {"istio": {"services": [
        {"host": f"{service(i)}.{DOMAIN}", "name": service(i), "namespace": "default"}]}}}


def limits():
    most = 4294967295
    return {"thresholds": [{"max_connections": most, "max_pending_requests": most,
                            "max_requests": most, "max_retries": most}]}


def eds_cluster(name, i):
    return any_of(
        "config.cluster.v3.Cluster", name=name, alt_stat_name=name + ";", type="EDS",
        eds_cluster_config={"eds_config": {"ads": {}, "initial_fetch_timeout": "0s",
                                           "resource_api_version": "V3"},
                            "service_name": name},
        connect_timeout="10s", lb_policy="LEAST_REQUEST", circuit_breakers=limits(),
        common_lb_config={"healthy_panic_threshold": {}}, metadata=metadata(i),
        transport_socket_matches=[{"name": "tlsMode-disabled", "match": {}, "transport_socket": {
            "name": "envoy.transport_sockets.raw_buffer",
            "typed_config": any_of("extensions.transport_sockets.raw_buffer.v3.RawBuffer")}}],
        filters=[{"name": "istio.metadata_exchange", "typed_config": {
            "@type": "type.googleapis.com/udpa.type.v1.TypedStruct"}}])


def other_clusters():
    passed = ["PassthroughCluster", "InboundPassthroughCluster", "inbound|9080||",
              "inbound|9081||", "inbound|9082||"]
    for name in passed:
        yield any_of("config.cluster.v3.Cluster", name=name, type="ORIGINAL_DST",
                     connect_timeout="10s", lb_policy="CLUSTER_PROVIDED",
                     circuit_breakers=limits())
    yield any_of("config.cluster.v3.Cluster", name="BlackHoleCluster", type="STATIC",
                 connect_timeout="10s")


def named_clusters():
    """(name, service): each service, and subsets of the first ten."""
    for i in range(SERVICES):
        yield cluster_name(i), i
    for i in range(10):
        for subset in ("v1", "v2"):
            yield cluster_name(i, subset), i


def clusters():
    return [eds_cluster(name, i) for name, i in named_clusters()] + list(other_clusters())


def endpoint(address, i):
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": 8080}}},
            "health_status": "HEALTHY", "load_balancing_weight": 1,
            "metadata": {"filter_metadata": {
                "envoy.transport_socket_match": {"tlsMode": "istio"},
                "istio": {"workload": f"{service(i)}-0;default;{service(i)};v1;Kubernetes"}}}}


def assignments():
    return [any_of("config.endpoint.v3.ClusterLoadAssignment", cluster_name=name, endpoints=[
        {"locality": {"region": "region1", "zone": f"zone{zone}", "sub_zone": "sub1"},
         "load_balancing_weight": n,
         "lb_endpoints": [endpoint(f"10.{10 + zone * 2 + k}.{i // 250}.{i % 250 + 1}", i)
                          for k in range(n)]}
        for zone, n in ((1, 2), (2, 1))]) for name, i in named_clusters()]


def action(cluster):
    return {"cluster": cluster, "timeout": "0s", "max_grpc_timeout": "0s", "retry_policy": {
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled,"
                    "retriable-status-codes",
        "num_retries": 2, "host_selection_retry_max_attempts": "5",
        "retry_host_predicate": [{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": any_of("extensions.retry.host.previous_hosts.v3."
                                   "PreviousHostsPredicate")}]}}


def last_route(i):
    return {"name": f"{service(i)}-default", "match": {"prefix": "/"},
            "route": action(cluster_name(i)),
            "decorator": {"operation": f"{service(i)}:{port_of(i)}/*"}}


def more_routes(i, rng):
    """What a VirtualService would add."""
    to = cluster_name(rng.randrange(SERVICES))
    made = [
        {"match": {"prefix": "/", "headers": [
            {"name": "end-user", "string_match": {"exact": "jason"}}]}, "route": action(to)},
        {"match": {"path": "/login"}, "redirect": {"path_redirect": "/sso",
                                                   "response_code": "FOUND"}},
        {"match": {"path_separated_prefix": "/api"}, "route": action(to)},
        {"match": {"safe_regex": {"regex": "/v[0-9]+/items/[^/]+"}}, "route": action(to)},
        {"match": {"prefix": "/Static", "case_sensitive": False}, "route": action(to)},
        {"match": {"prefix": "/", "query_parameters": [
            {"name": "debug", "string_match": {"exact": "1"}}]}, "route": action(to)},
        {"match": {"prefix": "/", "headers": [
            {"name": ":method", "string_match": {"exact": "DELETE"}},
            {"name": "x-flag", "present_match": True, "invert_match": True}]},
         "direct_response": {"status": 403}},
        {"match": {"prefix": "/split"}, "route": {
            "timeout": "0s", "weighted_clusters": {"clusters": [
                {"name": cluster_name(i), "weight": 90}, {"name": to, "weight": 10}]}}},
    ]
    rng.shuffle(made)
    made = made[:rng.randrange(1, len(made) + 1)]
    return [{"name": f"{service(i)}-{n}", **route} for n, route in enumerate(made)]


def virtual_host(i, rng):
    name = service(i)
    routes = more_routes(i, rng) if i % 5 == 0 else []
    return {"name": f"{name}.{DOMAIN}:{port_of(i)}", "include_request_attempt_count": True,
            "domains": [f"{name}.{DOMAIN}", f"{name}.{DOMAIN}.", name, f"{name}.default.svc",
                        f"{name}.default", f"10.100.{i // 250}.{i % 250 + 1}"],
            "routes": routes + [last_route(i)]}


def allow_any(i):
    return {"name": "allow_any", "domains": ["*"], "include_request_attempt_count": True,
            "routes": [{"name": f"allow_any-{i}", "match": {"prefix": "/"}, "route": {
                "cluster": "PassthroughCluster", "timeout": "0s", "max_grpc_timeout": "0s"}}]}


def table(name, hosts):
    return any_of("config.route.v3.RouteConfiguration", name=name, virtual_hosts=hosts,
                  validate_clusters=False, max_direct_response_body_size_bytes=1048576,
                  ignore_port_in_host_matching=True)


def block(port):
    return {"name": "block_all", "domains": ["*"], "routes": [
        {"name": f"block_all-{port}", "match": {"prefix": "/"},
         "direct_response": {"status": 502}}]}


def tables(seed=1):
    rng = random.Random(seed)
    hosts = [virtual_host(i, rng) for i in range(SERVICES)]
    made = [table("80", hosts[:HOSTS_80] + [
                {"name": "block.example", "domains": ["*.block.example", "block.*"],
                 "routes": [{"name": "block", "match": {"prefix": "/"},
                             "direct_response": {"status": 502}}]}, allow_any(80)]),
            table("8080", hosts[HOSTS_80:] + [allow_any(8080)])]
    return made + [table(str(port), [block(port)]) for port in (8081, 8778, 9080, 15021, 50051)]


def manager(name):
    """istiod's connection manager."""
    return any_of(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=f"outbound_{name};", normalize_path=True, stream_idle_timeout="0s",
        path_with_escaped_slashes_action="KEEP_UNCHANGED",
        rds={"config_source": {"ads": {}, "resource_api_version": "V3"},
             "route_config_name": name},
        http_filters=[
            {"name": "envoy.filters.http.grpc_stats", "typed_config": any_of(
                "extensions.filters.http.grpc_stats.v3.FilterConfig", emit_filter_state=True)},
            {"name": "envoy.filters.http.fault",
             "typed_config": any_of("extensions.filters.http.fault.v3.HTTPFault")},
            {"name": "envoy.filters.http.cors",
             "typed_config": any_of("extensions.filters.http.cors.v3.Cors")},
            {"name": "envoy.filters.http.router",
             "typed_config": any_of("extensions.filters.http.router.v3.Router")}],
        upgrade_configs=[{"upgrade_type": "websocket"}])


def listeners():
    made = []
    for name in ("80", "8080", "8081", "8778", "9080", "15021", "50051"):
        made.append(any_of(
            "config.listener.v3.Listener", name=f"0.0.0.0_{name}", bind_to_port=False,
            address={"socket_address": {"address": "0.0.0.0", "port_value": int(name)}},
            traffic_direction="OUTBOUND", listener_filters_timeout="0s",
            filter_chains=[{"filter_chain_match": {"transport_protocol": "raw_buffer"},
                            "filters": [{
                                "name": "envoy.filters.network.http_connection_manager",
                                "typed_config": manager(name)}]}]))
    for i in range(6):
        made.append(any_of(
            "config.listener.v3.Listener", name=f"10.96.0.{i + 1}_443", bind_to_port=False,
            address={"socket_address": {"address": f"10.96.0.{i + 1}", "port_value": 443}},
            filter_chains=[{"filters": [{
                "name": "envoy.filters.network.tcp_proxy",
                "typed_config": any_of("extensions.filters.network.tcp_proxy.v3.TcpProxy",
                                       stat_prefix="x", cluster=cluster_name(i))}]}]))
    return made


def response(resources, kind):
    return {"version_info": "2026-11-23T07:25:14Z/3", "nonce": "n",
            "type_url": resources[0]["@type"], "resources": resources,
            "control_plane": {"identifier": kind}}


def write(directory, seed=1):
    """The four responses; their paths in istiod's order."""
    paths = []
    for kind, resources in (("CDS", clusters()), ("EDS", assignments()),
                            ("LDS", listeners()), ("RDS", tables(seed))):
        path = directory / f"{kind}.json"
        path.write_text(json.dumps(response(resources, kind)))
        paths.append(path)
    return paths


if __name__ == "__main__":
    from pathlib import Path

    print(*write(Path(sys.argv[1])))
