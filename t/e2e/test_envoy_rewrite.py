# SPDX-License-Identifier: Apache-2.0
"""The same rewrites, templates, redirects and header operations in nginx-mesh
and in Envoy: endpoints are sent the same path, host and headers, clients the
same answers."""

import json
import random
import re
import socket
import subprocess

import pytest

from meshtest.envoy import BINARY, Envoy, bootstrap, cluster
from meshtest.process import free_port

SERVER = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route; }
    }
"""
MAIN = "mesh_zone {zone};"
TYPES = "type.googleapis.com/envoy.extensions."


def template(name, text, field):
    return {"name": f"envoy.path.{name}.uri_template",
            "typed_config": {
                "@type": f"{TYPES}path.{name}.uri_template.v3.UriTemplate"
                         f"{name.capitalize()}Config", field: text}}


def regex(pattern, substitution):
    return {"pattern": {"regex": pattern}, "substitution": substitution}


# Each route's rewrite in our words and in Envoy's; the prefix is /<name>/.
REWRITES = {
    "all": ('regex: {pattern: "/([a-z]+)/([0-9]+)", substitution: "/\\\\2-\\\\1"}',
            {"regex_rewrite": regex("/([a-z]+)/([0-9]+)", "/\\2-\\1")}),
    "every": ('regex: {pattern: "a*", substitution: "/<"}',
              {"regex_rewrite": regex("a*", "/<")}),
    "empty": ('regex: {pattern: "^/empty", substitution: ""}',
              {"regex_rewrite": regex("^/empty", "")}),
    "tail": ('regex: {pattern: "[0-9]+$|_", substitution: "(\\\\0)\\\\\\\\"}',
             {"regex_rewrite": regex("[0-9]+$|_", "(\\0)\\\\")}),
    "bound": ('regex: {pattern: "\\\\bx|(?i)Q(z)?", substitution: "y\\\\1"}',
              {"regex_rewrite": regex("\\bx|(?i)Q(z)?", "y\\1")}),
    "whole": ('path: /one/two', {"path_rewrite": "/one/two"}),
    "made": ('path: "/m/%REQ(x-to)%/%REQ(:METHOD)%"',
             {"path_rewrite": "/m/%REQ(x-to)%/%REQ(:METHOD)%"}),
    "byhead": ("host_from_header: x-host", {"host_rewrite_header": "x-host"}),
    "bypath": ('host_from_path: {pattern: "^/bypath/([^/]+)/.*$", substitution: "\\\\1.local"}\n'
               "          append_x_forwarded_host: true",
               {"host_rewrite_path_regex": regex("^/bypath/([^/]+)/.*$", "\\1.local"),
                "append_x_forwarded_host": True}),
    # Of the path as it came, all matches, to nothing.
    "bothby": ('host_from_path: {pattern: "[^a-z.]+", substitution: ""}\n          prefix: /seen/',
               {"host_rewrite_path_regex": regex("[^a-z.]+", ""), "prefix_rewrite": "/seen/"}),
    "named": ("host: other.local\n          append_x_forwarded_host: true",
              {"host_rewrite_literal": "other.local", "append_x_forwarded_host": True}),
}
# Of routes whose weighted cluster makes the host w.local first.
WEIGHTED = {
    "walone": ("prefix: /seen", {"prefix_rewrite": "/seen"}),
    "wnamed": ("host: other.local\n          append_x_forwarded_host: true",
               {"host_rewrite_literal": "other.local", "append_x_forwarded_host": True}),
    "wbyhead": ("host_from_header: x-host\n          append_x_forwarded_host: true",
                {"host_rewrite_header": "x-host", "append_x_forwarded_host": True}),
    "wbypath": ('host_from_path: {pattern: "^/([a-z]+)/.*", substitution: "\\\\1.test"}\n'
                "          append_x_forwarded_host: true",
                {"host_rewrite_path_regex": regex("^/([a-z]+)/.*", "\\1.test"),
                 "append_x_forwarded_host": True}),
}
TEMPLATES = {
    "/t1/{a}/{b}": "/x/{b}/{a}",
    "/t2/*/{rest=**}": "/y/{rest}",
    "/t3/{file}.mp4": "/z/{file}",
    "/t4/{a=v1/*}/**.ts": "/{a}",
    "/t5/{a}/": "/w/{a}{a}",
    "/t6/**": "/s",
    "/t7/v{major}.x/y-{b}": "/x={major}*/{b}",
    "/t8/{a}x/{b=c/*}y/z": "/{b}+{a}",
    "/t9/x.{b=**}.y/z=": "/{b}",
}
REDIRECTS = {
    "r1": ("scheme: https", {"https_redirect": True}),
    "r2": ('regex_rewrite: {pattern: "^/r2/(.*)$", substitution: "/to/\\\\1/end"}',
           {"regex_rewrite": regex("^/r2/(.*)$", "/to/\\1/end")}),
    "r3": ("host: h.local\n          port: 81\n          path: /p\n          strip_query: true",
           {"host_redirect": "h.local", "port_redirect": 81, "path_redirect": "/p",
            "strip_query": True}),
    "r4": ("prefix_rewrite: /new/\n          status: 308",
           {"prefix_rewrite": "/new/", "response_code": "PERMANENT_REDIRECT"}),
    "r5": ('path: "/q?z=1"\n          status: 303',
           {"path_redirect": "/q?z=1", "response_code": "SEE_OTHER"}),
    "r6": ("scheme: https\n          port: 8443", {"scheme_redirect": "https", "port_redirect": 8443}),
}
# Values of request operations; those of responses.
VALUES = [
    "plain", "%%", "100%% of %%REQ", "%REQ(x-a)%", "%REQ(X-A?x-b)%", "%REQ(x-no?x-b)%",
    "%REQ(x-no)%", "%REQ(x-b):3%", "[%REQ(x-a):2%%REQ(x-b):1%]", "%REQ(:METHOD)%",
    "%REQ(:PATH)%", "%REQ(:AUTHORITY)%", "%REQ(:SCHEME)%", "%REQ(x-twice)%",
    "%PROTOCOL%", "%ROUTE_NAME%", "%UPSTREAM_CLUSTER%", "%HOSTNAME%",
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
    "%REQUESTED_SERVER_NAME%", "%QUERY_PARAM(q)%", "%QUERY_PARAM(none)%", "%QUERY_PARAM(q):2%",
    "%PATH(NQ)%", "%PATH(WQ:PATH)%", "%PATH(NQ:ORIG_OR_PATH)%", "%PATH(NQ:ORIG)%",
    "%REQ(x-envoy-original-path?:path)%", "%REQ(x-empty?x-b)%",
]
RESPONSE_VALUES = [
    "%RESP(x-from)%", "%RESP(x-no?x-from)%", "%RESP(content-type)%", "%RESPONSE_CODE%",
    "%RESPONSE_FLAGS%", "%UPSTREAM_HOST%", "%REQ(x-a)%-%RESP(x-from)%", "%REQ(:PATH)%",
    "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "%PATH(WQ:ORIG)%", "%PATH(WQ:PATH)%",
    "%REQ(:AUTHORITY)%", "%UPSTREAM_CLUSTER%",
]
# Times: digits may differ, their number and places may not.
TIMES = ["%START_TIME%", "%START_TIME(%Y/%m/%dT%H:%M:%S%z)%", "%START_TIME(%s.%3f)%",
         "%START_TIME(%F %T.%6f %E3S)%", "%START_TIME(%f)%"]

ACTIONS = {"set": "OVERWRITE_IF_EXISTS_OR_ADD", "add": "APPEND_IF_EXISTS_OR_ADD",
           "add_if_absent": "ADD_IF_ABSENT", "overwrite_if_exists": "OVERWRITE_IF_EXISTS"}
# Of one level; what is in the request: x-a, x-b, x-twice (two), x-empty.
OPERATIONS = [
    ("set", "x-a", "1"), ("set", "x-new", "%REQ(x-a)%"), ("overwrite_if_exists", "x-b", "2"),
    ("overwrite_if_exists", "x-none", "3"), ("add", "x-twice", "4"),
    ("add_if_absent", "x-twice", "5"), ("add_if_absent", "x-fresh", "%REQ(x-gone)%+"),
    ("add_if_absent", "x-new", "6"), ("set", "x-nothing", "%REQ(x-none)%"),
    ("add", "x-kept", "%REQ(x-none)%"), ("overwrite_if_exists", "x-gone", "7"),
]


def our_values(values, times):
    rows = "".join(f"            x-v{i}: '{v}'\n" for i, v in enumerate(values + times))
    return f"          set:\n{rows}"


def our_operations():
    rows = ""
    for op in ACTIONS:
        rows += f"          {op}:\n"
        for o, name, value in OPERATIONS:
            if o == op:
                kept = name == "x-kept"
                rows += f"            {name}: " + (
                    f"{{value: '{value}', keep_empty_value: true}}\n" if kept else f"'{value}'\n")
    return rows


def our_mesh(at):
    routes = ""
    for name, (words, _) in REWRITES.items():
        routes += f"""
      - name: {name}
        match: {{path: {{prefix: /{name}/}}}}
        route: c
        rewrite:
          {words}"""
    for name, (words, _) in WEIGHTED.items():
        routes += f"""
      - name: {name}
        match: {{path: {{prefix: /{name}/}}}}
        route: {{cluster: c, rewrite: {{host: w.local}},
                request_headers: {{set: {{x-own: '%REQ(:AUTHORITY)%'}}}}}}
        request_headers: {{set: {{x-route: '%REQ(:AUTHORITY)%'}}}}
        rewrite:
          {words}"""
    for i, (match, rewrite) in enumerate(TEMPLATES.items()):
        routes += f"""
      - {{name: t{i}, match: {{path: {{template: "{match}"}}}}, route: c,
         rewrite: {{template: "{rewrite}"}}}}"""
    for name, (words, _) in REDIRECTS.items():
        routes += f"""
      - name: {name}
        match: {{path: {{prefix: /{name}/}}}}
        redirect:
          {words}"""
    return f"""
clusters:
  c: {{endpoints: ['{at}']}}
  d: {{endpoints: ['{at}']}}
hosts:
  - domains: ["*"]
    request_headers: {{set: {{x-host-level: '%REQ(:AUTHORITY)%'}}}}
    routes:{routes}
      - name: halves
        match: {{path: {{prefix: /halves/}}}}
        route:
          - {{cluster: c, rewrite: {{host: c.local}}}}
          - {{cluster: d, request_headers: {{set: {{x-own: d}}}}}}
      - name: values
        match: {{path: {{prefix: /values}}}}
        route: c
        rewrite: {{prefix: /seen}}
        request_headers:
{our_values(VALUES, TIMES)}
        response_headers:
{our_values(RESPONSE_VALUES, [])}
      - name: operations
        match: {{path: {{prefix: /operations}}}}
        route: c
        request_headers:
{our_operations()}
        response_headers:
          add_if_absent: {{x-from: a, x-else: '%RESP(x-from)%'}}
          overwrite_if_exists: {{x-from: 'b%RESPONSE_CODE%', x-other: c}}
          remove: [x-endpoint]
      - {{name: chosen, match: {{path: {{prefix: /chosen}}}}, route: {{cluster_header: x-cluster}}}}
      - name: missing
        match: {{path: {{prefix: /missing}}}}
        route: {{cluster_header: x-cluster, cluster_not_found_status: 404}}
"""


def envoy_options(rows):
    return [{"header": {"key": name, "value": value}, "append_action": ACTIONS[op],
             "keep_empty_value": name == "x-kept"} for op, name, value in rows]


def envoy_routes():
    routes = []
    for name, (_, action) in REWRITES.items():
        routes.append({"name": name, "match": {"prefix": f"/{name}/"},
                       "route": {"cluster": "c", **action}})
    for name, (_, action) in WEIGHTED.items():
        own = {"name": "c", "weight": 1, "host_rewrite_literal": "w.local",
               "request_headers_to_add": envoy_options([("set", "x-own", "%REQ(:AUTHORITY)%")])}
        routes.append({"name": name, "match": {"prefix": f"/{name}/"},
                       "request_headers_to_add":
                       envoy_options([("set", "x-route", "%REQ(:AUTHORITY)%")]),
                       "route": {"weighted_clusters": {"clusters": [own]}, **action}})
    for i, (match, rewrite) in enumerate(TEMPLATES.items()):
        routes.append({"name": f"t{i}",
                       "match": {"path_match_policy": template("match", match, "path_template")},
                       "route": {"cluster": "c", "path_rewrite_policy":
                                 template("rewrite", rewrite, "path_template_rewrite")}})
    for name, (_, action) in REDIRECTS.items():
        routes.append({"name": name, "match": {"prefix": f"/{name}/"}, "redirect": action})
    values = [("set", f"x-v{i}", v) for i, v in enumerate(VALUES + TIMES)]
    responses = [("set", f"x-v{i}", v) for i, v in enumerate(RESPONSE_VALUES)]
    routes += [
        {"name": "values", "match": {"prefix": "/values"},
         "route": {"cluster": "c", "prefix_rewrite": "/seen"},
         "request_headers_to_add": envoy_options(values),
         "response_headers_to_add": envoy_options(responses)},
        {"name": "operations", "match": {"prefix": "/operations"}, "route": {"cluster": "c"},
         "request_headers_to_add": envoy_options(OPERATIONS),
         "response_headers_to_add": envoy_options([
             ("add_if_absent", "x-from", "a"), ("add_if_absent", "x-else", "%RESP(x-from)%"),
             ("overwrite_if_exists", "x-from", "b%RESPONSE_CODE%"),
             ("overwrite_if_exists", "x-other", "c")]),
         "response_headers_to_remove": ["x-endpoint"]},
        {"name": "chosen", "match": {"prefix": "/chosen"},
         "route": {"cluster_header": "x-cluster"}},
        {"name": "missing", "match": {"prefix": "/missing"},
         "route": {"cluster_header": "x-cluster",
                   "cluster_not_found_response_code": "NOT_FOUND"}}]
    return routes


def envoy_config(port, endpoint):
    host = {"name": "any", "domains": ["*"], "routes": envoy_routes(), "request_headers_to_add":
            envoy_options([("set", "x-host-level", "%REQ(:AUTHORITY)%")])}
    return bootstrap(port, [host], [cluster(name, [endpoint.at]) for name in ("c", "d")],
                     suppress=False, normalize_path=True)


@pytest.fixture
def both(agent, nginx, endpoints, started, tmp_path):
    """(endpoint, port of nginx-mesh, port of Envoy)."""
    endpoint = endpoints.add("127.0.8.9")
    endpoint.headers = {"X-From": "endpoint", "Content-Type": "text/x"}
    agent(our_mesh(endpoint.at))
    ours = nginx(http=SERVER, main=MAIN)
    port = free_port()
    started.add(Envoy(tmp_path / "envoy", envoy_config(port, endpoint), [port])).start()
    return endpoint, ours.port, port


HEADERS = ("X-A: alpha\r\nX-B: beta-gamma\r\nX-Twice: one\r\nX-Twice: two\r\nX-Empty:\r\n"
           "X-Gone: gone\r\n")


def ask(port, target, headers=HEADERS, host="shop.local:8080", method="GET"):
    """(status, headers of the answer)."""
    text = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(text.encode("latin-1"))
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            assert more, data
            data += more
    lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    fields = [tuple(x.strip() for x in line.split(":", 1)) for line in lines[1:]]
    return int(lines[0].split()[1]), [(k.lower(), v) for k, v in fields]


def seen_by(endpoint, port, *args, **more):
    """What the client got and what the endpoint saw: target, host, headers."""
    before = len(endpoint.requests)
    status, fields = ask(port, *args, **more)
    got = {"status": status, "location": dict(fields).get("location"),
           "answer": sorted(f for f in fields if re.match(r"x-(v\d|from|else|other)", f[0]))}
    if len(endpoint.requests) > before:
        seen = endpoint.requests[-1]
        headers = [(k.lower(), v) for k, v in seen["headers"]]
        got["target"] = seen["target"]
        got["host"] = dict(headers).get("host")
        got["headers"] = sorted(
            h for h in headers if re.match(r"x-(?!envoy|forwarded-(for|proto)|request-id)", h[0]))
    return got


PATHS = [
    "/all/12/b/3", "/all/", "/all/a/1?q=/a/2", "/all/xx/7/yy/8",
    "/every/baac", "/every/", "/every/aaa?aa", "/every/%61",
    "/empty/x", "/empty/", "/empty/?x",
    "/tail/a_b_1_22", "/tail/", "/tail/9?9",
    "/bound/x/qzQ-x", "/bound/xx",
    "/whole/a?b=c", "/whole/", "/made/a?b", "/made/",
    "/byhead/x", "/named/x", "/named/x?y",
    "/bypath/a/x", "/bypath/a-b.c/x?y=/d/e", "/bypath/A/", "/bypath/./a//", "/bothby/x.y/Z?w",
    "/bothby/", "/bothby/%41b",
    "/t1/a/b", "/t1/a/b?c=d", "/t1/a/b/", "/t1/a", "/t1//b", "/t1/a=b/c", "/t1/a%20b/c",
    "/t2/a/b/c/d", "/t2/a/", "/t2/a", "/t2//a", "/t3/movie.mp4", "/t3/.mp4", "/t3/a/b.mp4",
    "/t3/a.mp4.mp4?x=1", "/t4/v1/a/b/c.ts", "/t4/v1/a/.ts", "/t4/v2/a/b.ts", "/t5/x/",
    "/t5/x", "/t6/", "/t6/a/b?c", "/t6", "/t6/a*b", "/t6/a~b!$&'()+,;:@",
    "/t6/a[b]", "/t6/%ff%2f", "/t1/a*/b=",
    "/t7/v1.x/y-2", "/t7/v1.x/y-", "/t7/v.x/y-2", "/t7/v.x.x/y-y-", "/t7/v1.x/y-2/", "/t7/v1.X/y-2",
    "/t7/v1.x/y-%2F?q", "/t7/v1/.x/y-2", "/t8/xx/c/yy/z", "/t8/x/c/1y/z", "/t8/1x/c/y/z",
    "/t8/1x/c/2/y/z", "/t9/x.a/b.y/z=", "/t9/x..y/z=", "/t9/x.y/z=", "/t9/x./y.y/z=?",
    "/r1/x?y=1", "/r2/a/b?c", "/r3/x?y", "/r4/a?b", "/r5/x?y=2", "/r6/x",
]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_paths_hosts_and_redirects(both, method):
    endpoint, ours, envoys = both
    headers = HEADERS + "X-Host: by.header\r\nX-To: there\r\n"
    for path in PATHS:
        a = seen_by(endpoint, ours, path, headers=headers, method=method)
        b = seen_by(endpoint, envoys, path, headers=headers, method=method)
        assert a == b, path
    assert seen_by(endpoint, ours, "/byhead/x")["host"] == "shop.local:8080"
    assert seen_by(endpoint, envoys, "/byhead/x")["host"] == "shop.local:8080"


def test_paths_that_make_no_host(both):
    """They change nothing here; Envoy sends what came out (docs/envoy-differences.md)."""
    endpoint, ours, envoys = both
    for path, made in (("/bypath/x", "/bypath/x"), ("/bypath/a=b/x", "a=b.local")):
        assert seen_by(endpoint, envoys, path)["host"] == made
        assert seen_by(endpoint, ours, path)["host"] == "shop.local:8080"
        assert "x-forwarded-host" not in dict(seen_by(endpoint, ours, path)["headers"])


def test_a_weighted_clusters_own_host(both):
    endpoint, ours, envoys = both
    for name in WEIGHTED:
        for headers in (HEADERS, HEADERS + "X-Host: by.header\r\n",
                        HEADERS + "X-Forwarded-Host: first.local\r\n"):
            a, b = (seen_by(endpoint, p, f"/{name}/x?y", headers=headers) for p in (ours, envoys))
            assert a == b, (name, headers)
            assert dict(a["headers"])["x-host-level"] == "w.local"
            assert dict(a["headers"])["x-own"] == "shop.local:8080"
    hosts = [seen_by(endpoint, ours, "/halves/x") for _ in range(10)]
    seen = sorted((h["host"], dict(h["headers"]).get("x-own")) for h in hosts)
    assert seen == [("c.local", None)] * 5 + [("shop.local:8080", "d")] * 5


@pytest.mark.parametrize("host", ["shop.local", "shop.local:80", "shop.local:443", "[::1]:80", "a:81"])
def test_redirects_of_hosts(both, host):
    endpoint, ours, envoys = both
    for name in REDIRECTS:
        assert ask(ours, f"/{name}/a?b", host=host)[0] == ask(envoys, f"/{name}/a?b", host=host)[0]
        a, b = (seen_by(endpoint, p, f"/{name}/a?b", host=host) for p in (ours, envoys))
        assert a == b, name


def test_x_forwarded_host_is_appended(both):
    endpoint, ours, envoys = both
    for had in ("", "first.local", "first.local,shop.local", "shop.local"):
        headers = f"X-Forwarded-Host: {had}\r\n" if had else ""
        a, b = (seen_by(endpoint, p, "/named/x", headers=headers, host="shop.local")
                for p in (ours, envoys))
        assert a == b, had


def digits(got):
    for key in ("headers", "answer"):
        got[key] = [(k, re.sub(r"\d", "0", v)) if k in TIMED else (k, v) for k, v in got[key]]
    return got


TIMED = [f"x-v{len(VALUES) + i}" for i in range(len(TIMES))]


@pytest.mark.parametrize("target", ["/values/a?q=one&q=two", "/values?q=%41+b%2&none", "/values/x"])
def test_substitutions(both, target):
    endpoint, ours, envoys = both
    a, b = (digits(seen_by(endpoint, p, target)) for p in (ours, envoys))
    assert len(a["headers"]) > 20 and len(a["answer"]) > 10
    assert a == b


def test_header_operations(both):
    endpoint, ours, envoys = both
    a, b = (seen_by(endpoint, p, "/operations/x") for p in (ours, envoys))
    assert ("x-kept", "") in a["headers"] and ("x-new", "alpha") in a["headers"]
    assert a == b
    a, b = (seen_by(endpoint, p, "/operations/x", headers="") for p in (ours, envoys))
    assert a == b


def test_clusters_by_header(both):
    endpoint, ours, envoys = both
    for path in ("/chosen/x", "/missing/x"):
        for header in ("X-Cluster: c\r\n", "X-Cluster: d\r\n", "X-Cluster: none\r\n", "",
                       "X-Cluster:\r\n", "X-Cluster: c\r\nX-Cluster: none\r\n"):
            a, b = (seen_by(endpoint, p, path, headers=header) for p in (ours, envoys))
            assert a == b, (path, header)


# --- which texts are templates --------------------------------------------------

# Envoy has a "*" in a text act as in a regular expression: docs/decisions.md.
TOKENS = ["/", "/", "/", "a", "x", ".", "*", "**", "{a}", "{b}", "{a=*}", "{b=**}", "{c=a/*}",
          "{e=*/b/**}", "{d=x=y}", "%", "-", "=", "{", "}", "?", "é", "{f=}", "{g=a/}", "{1}",
          "{abcdefghijklmnopq}", "\\", "|", "^"]


def star_in_a_text(text):
    """A "*" anywhere but alone in its segment, or before the text that ends the path."""
    plain = re.sub(r"\{[^}]*\}", lambda m: "{" + m[0][1:-1].partition("=")[0] + "}", text)
    inner = [p for m in re.findall(r"\{([^}]*)\}", text) for p in m.partition("=")[2].split("/")]
    segments = plain.split("/")
    return (any("*" in p and p not in ("*", "**") for p in inner)
            or any("*" in re.sub(r"^\*\*?", "", s) for s in segments))


@pytest.mark.slow
def test_texts_that_are_templates(tmp_path, agent):
    """Ours are Envoy's, but for those."""
    a = agent("clusters: {}")
    rng = random.Random(7)
    texts = sorted({"/" + "".join(rng.choice(TOKENS) for _ in range(rng.randint(1, 5)))
                    for _ in range(160)})
    texts += ["/x.{b}", "/{a}.{b}", "/{a}x/b", "/x{a=b/c}", "/{a=b/c}x", "/**x/y", "/x=", "/*=x"]
    differ, taken = [], 0
    for i, text in enumerate(texts):
        config = bootstrap(0, [{"name": "v", "domains": ["*"], "routes": [{
            "match": {"path_match_policy": template("match", text, "path_template")},
            "direct_response": {"status": 200}}]}])
        path = tmp_path / f"{i}.json"
        path.write_text(json.dumps(config))
        envoys = subprocess.run([BINARY, "--mode", "validate", "-c", path, "-l", "off"],
                                capture_output=True).returncode == 0
        ours = a.ctl("validate", str(path), check=False).returncode == 0
        taken += ours
        if ours != (envoys and not star_in_a_text(text)):
            differ.append((text, envoys, ours))
    assert not differ
    assert taken > 20
