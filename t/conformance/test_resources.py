# SPDX-License-Identifier: Apache-2.0
"""A mesh of istiod's size through the resource loader: 1,000 requests are
decided as Envoy decides them by the same RouteConfiguration."""

import contextlib
import json
import random
import re
import socket
import subprocess

import istio_scale
import pytest
from meshtest.envoy import Envoy
from meshtest.process import BUILD, binary, free_port, wait_for

REQUESTS = 1000
HCM = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def envoy_config(table, names, port, log):
    """The same table behind a listener; clusters only by name, without endpoints."""
    any_of = istio_scale.any_of
    table = {k: v for k, v in table.items() if k != "@type"}
    text = "%REQ(x-number)% %RESPONSE_CODE% %ROUTE_NAME% %UPSTREAM_CLUSTER_RAW%\n"
    access = any_of("extensions.access_loggers.file.v3.FileAccessLog", path=str(log),
                    log_format={"text_format_source": {"inline_string": text}})
    manager = any_of(
        HCM, stat_prefix="x", route_config=table, normalize_path=True,
        path_with_escaped_slashes_action="KEEP_UNCHANGED",
        http_filters=[{"name": "router", "typed_config": any_of(
            "extensions.filters.http.router.v3.Router")}],
        access_log=[{"name": "file", "typed_config": access}])
    return {"static_resources": {
        "clusters": [{"name": name, "connect_timeout": "1s"} for name in names],
        "listeners": [{"name": "l", "address": {"socket_address": {
            "address": "127.0.0.1", "port_value": port}}, "filter_chains": [
                {"filters": [{"name": "hcm", "typed_config": manager}]}]}]}}


@pytest.fixture(scope="module")
def scale(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scale")
    return directory, istio_scale.write(directory)


@contextlib.contextmanager
def envoy(directory, table, names):
    """Envoy with that table: its port and its access log."""
    port, log = free_port(), directory / "access.log"
    with Envoy(directory, envoy_config(table, names, port, log), [port],
               options=("--file-flush-interval-msec", "50")):
        yield port, log


def random_request(rng):
    i = rng.randrange(istio_scale.HOSTS_80)
    if rng.random() < 0.7:
        i -= i % 5                                  # hosts with more routes
    name = istio_scale.service(i)
    host = rng.choice([
        f"{name}.default.svc.cluster.local", f"{name}.default.svc.cluster.local.",
        f"{name}.default.svc.cluster.local:80", name, f"{name}:8080", name.upper(),
        f"{name}.default.svc", f"{name}.default", f"10.100.{i // 250}.{i % 250 + 1}",
        f"{name}.other", "x.block.example", "block.de", "a.b.block.example:1", "nobody",
        "block.example", f"x{name}"])
    path = rng.choice([
        "/", "/login", "/login/", "/login?x", "/api", "/api/", "/api/1", "/apix", "/API",
        "/v1/items/7", "/v1/items/7/x", "/v12/items/", "/vx/items/7", "/Static/a", "/sTATIC",
        "/static", "/split/1", "/split", "/splitter", "/x?debug=1", "/x?debug=1&debug=2",
        "/x?debug=2&debug=1", "/x?debug", "/x?Debug=1", "/a/../api/b", "/a/%2e%2e/login",
        "/%61pi", "/api%2fb", "//api", "/./login", "/v1/items/%2F", "/?"])
    headers = []
    if rng.random() < 0.2:
        headers.append(("End-User", rng.choice(["jason", "Jason", "jaso", " jason "])))
    if rng.random() < 0.3:
        headers.append(("X-Flag", rng.choice(["", "1"])))
    return rng.choice(["GET", "GET", "POST", "DELETE"]), path, host, headers


def ask_envoy(port, log, requests):
    """By number: (status, route, cluster), "-" for none."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        stream = s.makefile("rb")
        for n, (method, path, host, headers) in enumerate(requests):
            lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"X-Number: {n}",
                     "Content-Length: 0", *(f"{k}: {v}" for k, v in headers), "", ""]
            s.sendall("\r\n".join(lines).encode())
            length, line = 0, b"x"
            while line.strip():
                line = stream.readline()
                assert line, f"Envoy closed after {requests[n]}"
                found = re.match(rb"content-length: (\d+)", line, re.I)
                length = int(found[1]) if found else length
            stream.read(length)
    text = wait_for(lambda: (t := log.read_text()).count("\n") >= len(requests) and t,
                    "Envoy's access log", timeout=20)
    return {int(n): rest for n, *rest in (line.split(" ", 3) for line in text.splitlines())}


def ask_judge(paths, requests):
    """(route, path, ways) of each, or ("-", why)."""
    text = "".join(f"80\n{method} {path}\nhost: {host}\n"
                   + "".join(f"{k}: {v.strip()}\n" for k, v in headers) + "\n"
                   for method, path, host, headers in requests)
    done = subprocess.run([BUILD / "release/tools/judge", "--resources", *paths], input=text,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(requests)
    return [line.split(" ") for line in lines]


def test_a_thousand_requests_are_decided_as_by_envoy(scale):
    rng = random.Random(7)
    requests = [random_request(rng) for _ in range(REQUESTS)]
    names = [c["name"] for c in istio_scale.clusters()]
    with envoy(scale[0], istio_scale.tables()[0], names) as (port, log):
        theirs = ask_envoy(port, log, requests)
    ours = ask_judge(scale[1], requests)
    differ, routes = [], set()
    for n, request in enumerate(requests):
        status, route, cluster = theirs[n]
        if route == "-":
            same = ours[n][0] == "-"
        else:
            ways = ours[n][2].split(",") if len(ours[n]) == 3 else []
            same = ours[n][0].endswith("/" + route) and (cluster in ways or [status] == ways)
        if not same:
            differ.append((request, theirs[n], ours[n]))
        routes.add(route)
    assert not differ, f"{len(differ)} differ: {differ[:5]}"
    assert len(routes) > 100


X = {"name": "x"}
A = {"string_match": {"exact": "a"}}


def template(text):
    return {"path_match_policy": {
        "name": "envoy.path.match.uri_template.uri_template_matcher",
        "typed_config": istio_scale.any_of(
            "extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            path_template=text)}}


MATCHES = {
    "no-parameter": {"prefix": "/q1", "query_parameters": [{"name": "a", "present_match": False}]},
    "parameter": {"prefix": "/q1", "query_parameters": [{"name": "a"}]},
    "no-cookie": {"prefix": "/c", "cookies": [
        {"name": "k", "string_match": {"exact": "v"}, "invert_match": True}]},
    "empty": {"prefix": "/h1", "headers": [{**X, "string_match": {"exact": ""}}]},
    "absent": {"prefix": "/h2", "headers": [{**X, "present_match": False}]},
    "twice-inverted": {"prefix": "/h3", "headers": [
        {**X, "present_match": False, "invert_match": True}]},
    "missing": {"prefix": "/h4", "headers": [
        {**X, **A, "invert_match": True, "treat_missing_header_as_empty": True}]},
    "inverted": {"prefix": "/h5", "headers": [{**X, **A, "invert_match": True}]},
    "range": {"prefix": "/h6", "headers": [{**X, "range_match": {"start": "-5", "end": "5"}}]},
    "both": {"prefix": "/h7", "headers": [{**X, "string_match": {"prefix": "a"}},
                                          {**X, "string_match": {"suffix": "z"}}]},
    "whole-path": {"prefix": "/h8", "headers": [
        {"name": ":path", "string_match": {"safe_regex": {"regex": "/h8.*z"}}}]},
    "regex": {"safe_regex": {"regex": "/Rx/.*"}, "case_sensitive": False},
    "no-prefix": {"prefix": "", "headers": [
        {"name": "only", "string_match": {"exact": "YES", "ignore_case": True}}]},
    "grpc": {"prefix": "/", "grpc": {}},
    "any-case": {"path": "/PaTh", "case_sensitive": False},
    "template": template("/t/{a}/*/{b=x/**}"),
    "file": {**template("/T/{a=**}.js"), "case_sensitive": False},
    "beside": template("/u/v{a}.x/{b}y/z="),
    "last": {"prefix": "/"},
}
PATHS = ["/q1", "/q1?a", "/q1?a=1", "/q1?b", "/c", "/h1", "/h2", "/h3", "/h4", "/h5", "/h6", "/h7",
         "/h8/z", "/h8/z?z", "/h8", "/rx/a", "/Rx/a", "/path", "/x", "/PATH/",
         "/t/1/2/x/3/4", "/t/1/2/3", "/t//2/x/3", "/t/1/2/x", "/T/1/2.js", "/t/1/2.js", "/T/1.js?q",
         "/u/v1.x/2y/z=", "/u/v.x/2y/z=", "/u/v1.x/y/z=", "/u/v1.x/2/y/z="]
HEADERS = [[], [("x", "")], [("x", "a")], [("x", "az")], [("x", "4")], [("x", "5")], [("x", "-5")],
           [("x", "a"), ("x", "z")], [("cookie", "k=v")], [("cookie", "k=w")], [("only", "yes")],
           [("content-type", "application/grpc")]]


def test_matchers_decide_as_envoy_s(tmp_path):
    table = istio_scale.table("80", [{"name": "v", "domains": ["*"], "routes": [
        {"name": name, "match": match, "direct_response": {"status": 200 + i}}
        for i, (name, match) in enumerate(MATCHES.items())]}])
    path = tmp_path / "resources.json"
    path.write_text(json.dumps([table, istio_scale.listeners()[0]]))
    requests = [("GET", path, "any", headers) for path in PATHS for headers in HEADERS]
    with envoy(tmp_path, table, []) as (port, log):
        theirs = ask_envoy(port, log, requests)
    ours = ask_judge([path], requests)
    differ = [(request, theirs[n], ours[n]) for n, request in enumerate(requests)
              if ours[n][0] != "80/v/" + theirs[n][1]]
    assert not differ, f"{len(differ)} differ: {differ[:5]}"
    assert {route for _, route, _ in theirs.values()} == set(MATCHES)


def test_the_whole_mesh_is_loaded(scale):
    done = subprocess.run([binary("release", "meshctl"), "-o", "json", "clusters",
                           *(w for p in scale[1] for w in ("--resources", p))],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    clusters = {c["cluster"]: c for c in json.loads(done.stdout)}
    assert len(clusters) == 1026
    assert sum(c["endpoints"] for c in clusters.values()) == 3 * 1020
    assert all(c["usable"] == c["endpoints"] for c in clusters.values())
    assert "not supported yet" in done.stderr       # passed over, and told


def test_validate_says_what_is_missing(scale):
    done = subprocess.run([binary("release", "meshctl"), "-o", "json", "validate", *scale[1]],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    said = json.loads(done.stdout)
    kinds = {r["kind"]: (r["taken"], r["refused"]) for r in said["resources"]}
    assert kinds["endpoint assignment"] == (1020, 0)
    assert kinds["cluster"] == (1, 1025)            # BlackHoleCluster
    missing = {m["field"]: m for m in said["not_supported_yet"]}
    assert missing["cluster: transport_socket_matches"]["resources"] == 1020
    assert missing["cluster: transport_socket_matches"]["refused"]
    assert not missing["cluster: metadata"]["refused"]
    assert missing["route configuration: virtual_hosts.routes.route.max_grpc_timeout"]["refused"]
