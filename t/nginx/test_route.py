# SPDX-License-Identifier: Apache-2.0
"""mesh_route in a live nginx: what is decided, what goes upstream, what is
answered here."""

import collections
import json
import random
import re
import socket
import ssl
import subprocess
import time

import pytest

from meshtest.process import binary
from meshtest.tls import self_signed

SERVER = """
    server {
        listen 127.0.0.1:{port};
        location / {
            proxy_read_timeout 7s;
            mesh_route;
            add_header X-Route $mesh_route always;
            add_header X-Flags $mesh_flags always;
            add_header X-Ticket $mesh_ticket always;
            set_real_ip_from 127.0.0.0/8;
            real_ip_header X-Client;
        }
        location /other/ { mesh_route nosuch; }
        location = /status { mesh_status; }
        location = /metrics { mesh_metrics; }
    }
"""
MAIN = "mesh_zone {zone};"

MESH = """
clusters:
  c:
    endpoints: ['%s']
route_table: {%s}
hosts:
  - domains: [shop.local, "*.shop.local"]
    routes:
      - {name: admin, match: {path: {prefix: /admin}}, respond: {status: 403, body: "no"}}
      - {name: exact, match: {path: {exact: /a/b}}, route: c}
      - name: ops
        match: {path: {prefix: /ops}}
        route: c
        request_headers: {set: {x-set: one}, add: {x-add: two}, remove: [x-gone]}
        response_headers: {set: {server: mesh, x-res: three}, remove: [x-endpoint]}
      - name: rewritten
        match: {path: {prefix: /api/}}
        route: c
        rewrite: {prefix: /v2/, host: other.local}
      - {name: moved, match: {path: {prefix: /old}}, redirect: {prefix_rewrite: /new, status: 302}}
      - {name: joined, match: {path: {prefix: /h}, headers: {x-m: {exact: "1,2"}}}, route: c}
      - {name: second, match: {path: {prefix: /h}, headers: {x-m: "2"}}, route: c}
      - {name: others, match: {path: {prefix: /h}, headers: {x-n: {exact: "2", invert: true}}}, route: c}
      - {name: few, match: {path: {prefix: /h}, headers: {x-i: {range: {start: -1, end: 3}}}}, route: c}
      - {name: whole, match: {path: {prefix: /h}, headers: {":path": {suffix: "/x?A=1"}, ":method": GET,
         ":authority": {prefix: SHOP., ignore_case: true}, ":scheme": http}}, route: c}
      - {name: query, match: {path: {prefix: /q}, query: {k: "1"}}, route: c}
      - {name: cookie, match: {path: {prefix: /q}, cookies: {s: {prefix: a}, t: {present: false}}}, route: c}
      - {name: grpc, match: {path: {prefix: /q}, grpc: true}, respond: 204}
      - {name: near, match: {path: {prefix: /from}, source: [10.0.0.0/8, 127.0.0.1]}, route: c}
      - {name: far, match: {path: {prefix: /from}, source: "2001:db8::/32"}, route: c}
      - {name: plain, match: {path: {exact: /p/q}}, route: c}
      - {name: ten, match: {path: {prefix: /p}, percentage: 10}, route: c}
      - {name: thirty, match: {path: {prefix: /p}, percentage: 30%%}, route: c}
      - {name: first, match: {path: {prefix: /r/1}, methods: [POST]}, respond: 204}
      - {name: number, match: {path: {regex: "/r/[0-9]+"}}, route: c, rewrite: {prefix: /n}}
      - {name: two, match: {path: {exact: /r/2}}, respond: 204}
      - {name: word, match: {path: {prefix: /r}, headers: {x-w: {regex: "(?i)[a-z]+"}}, query: {q: {regex: "a|ab"}}}, route: c}
      - {name: slow, match: {path: {prefix: /r}, headers: {x-slow: {regex: "(a+)+b"}}}, route: c}
      - {name: root, match: {path: {exact: /}, headers: {":path": "/?r=1"}}, route: c}
      - {name: segment, match: {path: {separated_prefix: /Seg, ignore_case: true}}, route: c, rewrite: {prefix: /new}}
      - {name: anycase, match: {path: {exact: /E/X, ignore_case: true}}, route: c}
      - {name: under, match: {path: {prefix: /h}, headers: {x_under: {present: true}}}, route: c}
      - {name: post, match: {path: {prefix: /m}, methods: [POST]}, route: c}
      - {name: rest, match: {path: {prefix: /}}, route: c}
"""


@pytest.fixture
def mesh(agent, nginx, endpoints):
    """mesh(table) starts all on one endpoint: (nginx, endpoint)."""
    def make(table="name: default"):
        endpoint = endpoints.add("127.0.8.1")
        agent(MESH % (endpoint.at, table))
        return nginx(http=SERVER, main=MAIN), endpoint
    return make


def raw(n, text):
    """Sends bytes as they are and reads one answer: (status, head, body)."""
    with socket.create_connection(("127.0.0.1", n.port), timeout=10) as s:
        s.sendall(text)
        data = b""
        while True:
            more = s.recv(65536)
            if not more:
                break
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode("latin-1"), body


def get(n, target, host="shop.local", headers=""):
    return raw(n, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}"
                  f"Connection: close\r\n\r\n".encode("latin-1"))


def header(head, name):
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return None


def test_header_operations(mesh):
    n, endpoint = mesh()
    status, headers, body = n.get("/ops/x", headers={"x-gone": "1", "x-set": "0"})
    seen = {k.lower(): v for k, v in json.loads(body)["headers"]}
    assert status == 200
    assert (seen["x-set"], seen["x-add"]) == ("one", "two")
    assert "x-gone" not in seen and "connection" not in seen
    assert seen["host"] == "shop.local" and seen["x-forwarded-for"] == "127.0.0.1"
    assert headers["server"] == "mesh" and headers["x-res"] == "three"
    assert "x-endpoint" not in headers


def test_rewrite_keeps_bytes_of_the_rest(mesh):
    n, endpoint = mesh()
    get(n, "/api/a%20b%2Fc?q=%41&r=/../x")
    seen = endpoint.requests[-1]
    assert seen["target"] == "/v2/a%20b%2Fc?q=%41&r=/../x"
    assert ("Host", "other.local") in seen["headers"]


def test_query_and_cookies(mesh):
    n, endpoint = mesh()
    route = lambda *a, **k: header(get(n, *a, **k)[1], "X-Route")
    assert route("/q?k=1&k=2") == route("/q/../q/%41?a&k=1#f") == "query"
    assert route("http://shop.local/q?k=1") == "query"
    assert route("/q?k=2&k=1") == route("/q") == route("/q?K=1") == "rest"
    assert route("/q", headers="Cookie: r=b; s=ab\r\n") == "cookie"
    assert route("/q", headers="Cookie: r=b\r\nX: y\r\nCookie: s=ab\r\n") == "cookie"
    assert route("/q", headers="Cookie: s=b; s=ab\r\n") == "rest"
    assert route("/q", headers="Cookie: s=ab; t=\r\n") == "rest"


def test_sources_and_grpc(mesh):
    n, endpoint = mesh()
    route = lambda *a, **k: header(get(n, *a, **k)[1], "X-Route")
    assert route("/from") == "near"
    assert route("/from", headers="X-Client: 10.255.0.1\r\n") == "near"
    assert route("/from", headers="X-Client: 11.0.0.1\r\n") == "rest"
    assert route("/from", headers="X-Client: ::ffff:10.0.0.1\r\n") == "near"
    assert route("/from", headers="X-Client: 2001:db8::7\r\n") == "far"
    assert route("/from", headers="X-Client: 2001:db9::7\r\n") == "rest"
    assert route("/q", headers="Content-Type: application/grpc+json\r\n") == "grpc"
    assert route("/q", headers="Content-Type: application/grpc-web\r\n") == "rest"


def test_shares_are_exact_over_workers_and_repeatable(mesh, variant, zone):
    n, endpoint = mesh()
    seen = collections.Counter()
    for i in range(100):
        status, headers, _ = n.get("/p/q" if i % 3 == 0 else "/p/x")
        assert (headers["x-route"] == "plain") == (i % 3 == 0)
    for i in range(100):
        status, headers, _ = n.get("/p/x")
        seen[headers["x-route"]] += 1
        if i < 20:
            done = subprocess.run([binary(variant, "meshctl"), "--zone", zone, "explain", "GET",
                                   "http://shop.local/p/x", "--ticket", headers["x-ticket"],
                                   "-o", "json"], capture_output=True, text=True, timeout=30)
            assert json.loads(done.stdout)["route"] == headers["x-route"], headers
    # The first 66 tickets of a block and the next: 10 and 20 of 100 in all but the ends.
    assert seen["ten"] + seen["thirty"] + seen["rest"] == 100
    assert 7 <= seen["ten"] <= 13 and 16 <= seen["thirty"] <= 24, seen


def test_regular_expressions(mesh):
    n, endpoint = mesh()
    route = lambda *a, **k: header(get(n, *a, **k)[1], "X-Route")
    assert route("/r/12?x=/") == route("/r/2") == "number"
    assert endpoint.requests[-1]["target"] == "/n"
    assert n.get("/r/1", method="POST", body=b"")[1]["x-route"] == "first"
    assert route("/r/12a") == route("/r/") == route("/rr/1") == "rest"
    assert route("/r?q=ab", headers="x-w: aB\r\n") == "word"
    assert route("/r?q=abc", headers="x-w: aB\r\n") == "rest"
    assert route("/r?q=ab", headers="x-w: a1\r\n") == "rest"


def test_a_regex_that_never_ends_is_given_up_and_counted(mesh):
    n, endpoint = mesh()
    given_up = lambda: sum(int(float(line.split()[-1]))
                           for line in n.get("/metrics")[2].decode().splitlines()
                           if line.startswith("mesh_worker_regex_limits_total{"))
    assert header(get(n, "/r", headers="x-slow: aab\r\n")[1], "X-Route") == "slow"
    assert given_up() == 0
    began = time.monotonic()
    for i in range(20):
        assert header(get(n, "/r", headers=f"x-slow: {'a' * 4000}ba\r\n")[1], "X-Route") == "rest"
    assert time.monotonic() - began < 10
    assert given_up() == 20


def test_more_regexes_than_are_kept(agent, nginx):
    """1024 are; the mesh has 1500 and goes round twice."""
    routes = [{"name": f"r{i}", "match": {"path": {"prefix": f"/{i}/"},
               "headers": {"x": {"regex": f"a{i}b*"}}}, "respond": 204} for i in range(1500)]
    agent(json.dumps({"hosts": [{"domains": ["*"], "routes": routes}]}))
    n = nginx(http=SERVER, main=MAIN)
    for i in [*range(0, 1500), *range(0, 1500, 7)]:
        assert n.get(f"/{i}/", headers={"x": f"a{i}bb"})[0] == 204, i
    assert n.get("/7/", headers={"x": "a7c"})[0] == 404


def test_separated_prefixes_end_at_a_slash(mesh):
    n, endpoint = mesh()
    for target, route, sent in (("/seg", "segment", "/new"), ("/SEG/a?b", "segment", "/new/a?b"),
                                ("/segm", "rest", "/segm"), ("/x/../seG/", "segment", "/new/")):
        assert header(get(n, target)[1], "X-Route") == route
        assert endpoint.requests[-1]["target"] == sent


@pytest.mark.parametrize("target", ["/h/x?A=1", "/h/./x?A=1", "/h/%78?A=1", "/h/y/../x?A=1#f",
                                    pytest.param("/h/./" + "%78" * 700 + "/x?A=1", id="long"),
                                    "http://shop.local/h/x?A=1"])
def test_path_as_a_header_is_the_judged_one_with_its_query(mesh, target):
    n, endpoint = mesh()
    assert header(get(n, target)[1], "X-Route") == "whole"
    assert endpoint.requests[-1]["target"].endswith("/x?A=1")
    assert header(get(n, target.replace("A=1", "A=2"))[1], "X-Route") == "rest"


def test_matching(mesh):
    n, endpoint = mesh()
    route = lambda *a, **k: header(get(n, *a, **k)[1], "X-Route")
    assert route("/a/b") == "exact"
    assert route("/a/b/") == "rest"
    assert route("/h", headers="x-m: 1\r\nx-m: 2\r\n") == "second"
    assert route("/h", headers="x-m: 1,2\r\n") == "joined"
    assert route("/h", headers="x-m: 1\r\n") == "rest"
    assert route("/h", headers="x-n: 1\r\n") == "others"
    assert route("/h", headers="x-n: 1\r\nx-a: b\r\nx-n: 2\r\n") == "rest"
    assert route("/h", headers="x-i: 2\r\n") == "few"
    assert route("/h", headers="x-i: 3\r\n") == "rest"
    assert route("http://shop.local?r=1") == route("/?r=1") == "root"
    assert route("/e/x") == route("/E/x") == "anycase"
    assert route("/e/xy") == "rest"
    assert route("/h", headers="x_under: 1\r\n") == "under"
    assert route("/m") == "rest"
    assert n.get("/m", method="POST", body=b"x")[1]["x-route"] == "post"
    assert route("http://shop.local/a/b", host="bad.local") == "exact"
    assert route("/", host="A.SHOP.local:8080") == "rest"


CONNECTION = """
hosts:
  - domains: ["*"]
    routes:
      - {name: a, match: {sni: A.local}, respond: 200}
      - {name: under-b, match: {sni: {suffix: .B.local}}, respond: 200}
      - {name: word, match: {sni: {regex: "[a-z]+"}}, respond: 200}
      - {name: named, match: {sni: {present: true}}, respond: 200}
      - {name: plain, match: {port: %d, sni: {present: false}}, respond: 200}
      - {name: rest, respond: 200}
"""


def asked(n, port, name=None):
    """The route of a request whose TLS asks for that name; "": without one; None: no TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        if name is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            s = context.wrap_socket(s, server_hostname=name or None)
        with s:
            s.sendall(b"GET / HTTP/1.0\r\nHost: shop.local\r\n\r\n")
            head = b""
            while more := s.recv(65536):
                head += more
    return header(head.decode(), "X-Route")


def test_server_name_and_port(agent, nginx, tmp_path):
    cert, key = self_signed(tmp_path)
    server = SERVER.replace("listen 127.0.0.1:{port};", f"""
        listen 127.0.0.1:{{port}};
        listen 127.0.0.1:{{other}};
        listen 127.0.0.1:{{tls}} ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};""")
    a = agent(CONNECTION % 1)
    n = nginx(http=server, main=MAIN, ports=("other", "tls"))
    tls, other = n.names["tls"], n.names["other"]
    a.apply(CONNECTION % n.port)
    want = {(tls, "a.local"): "a", (tls, "A.Local"): "a", (tls, "x.a.local"): "named",
            (tls, "x.b.local"): "under-b", (tls, "b.local"): "named", (tls, "word"): "word",
            (tls, ""): "rest", (n.port, None): "plain", (other, None): "rest"}
    for (port, name), route in want.items():
        assert asked(n, port, name) == route, (port, name)
        sni = ["--sni", name] if name else []
        said = a.ctl("-o", "json", "explain", "GET", "http://shop.local/", "--port", str(port), *sni)
        assert json.loads(said.stdout)["route"] == route


def test_answers(mesh):
    n, endpoint = mesh("escaped_slashes: redirect")
    status, head, body = get(n, "/old/x?q=1")
    assert (status, header(head, "Location")) == (302, "http://shop.local/new/x?q=1")
    status, head, body = get(n, "/%2Fevil.example/x?q")
    assert (status, header(head, "Location")) == (307, "http://shop.local//evil.example/x?q")
    status, head, body = get(n, "/", host="bad.local")
    assert (status, body, header(head, "X-Flags")) == (404, b"no virtual host", "NR")
    status, head, body = get(n, "/other/")
    assert (status, body) == (404, b"no route table")
    assert get(n, "/admin/x")[0] == 403
    assert endpoint.requests == []


def test_escaped_slashes_rejected(mesh):
    n, endpoint = mesh("escaped_slashes: reject")
    status, head, body = get(n, "/a%2Fb")
    assert (status, body) == (400, b"path not allowed")


def test_nothing_published(nginx):
    n = nginx(http=SERVER, main=MAIN)
    status, head, body = get(n, "/")
    assert status == 503 and body and header(head, "X-Flags") == "NM"
    assert "no mesh configuration" in n.log()
    assert json.loads(get_body(n, "/status"))["generation"] == 0
    assert b"mesh_worker_generation" in get_body(n, "/metrics")


def get_body(n, path):
    status, headers, body = n.get(path)
    assert status == 200
    return body


PIECES = ["/", "/", "//", ".", "..", "/../", "/./", "%2e", "%2E", "%2f", "%5c",
          "\\", "%", "%2", "%32", "%61", "admin", "a", "%25", "%C3", ";", "+", "~", "x"]


@pytest.mark.parametrize("table", [
    "name: default",
    "merge_slashes: true",
    "escaped_slashes: unescape, merge_slashes: true",
])
def test_what_went_upstream_is_judged_alike(mesh, table):
    """Sent again, what the endpoint received takes the same way unchanged."""
    n, endpoint = mesh(table)
    random.seed(7)
    forwarded = 0
    for _ in range(400):
        path = "/" + "".join(random.choice(PIECES) for _ in range(random.randrange(8)))
        before = len(endpoint.requests)
        status, head, _ = get(n, path + random.choice(["", "?", "?a=/../b#c", "#f"]))
        if len(endpoint.requests) == before:
            assert status in (302, 400, 403), (path, status)
            continue
        target = endpoint.requests[-1]["target"]
        assert "#" not in target
        assert not target.startswith("/admin"), path
        if header(head, "X-Route") != "rest":
            continue
        forwarded += 1
        assert status == 200
        again = get(n, target)
        assert header(again[1], "X-Route") == "rest", (path, target)
        assert endpoint.requests[-1]["target"] == target, path
    assert forwarded > 100


def test_status_and_metrics_of_a_large_mesh(agent, nginx):
    rows = []
    for c in range(400):
        hosts = ", ".join(f"127.{1 + c // 200}.{c % 200}.{e + 1}:80" for e in range(50))
        rows.append(f"  cluster-{c}: {{endpoints: [{hosts}]}}")
    a = agent("clusters:\n" + "\n".join(rows) + "\n")
    n = nginx(http=SERVER, main=MAIN)
    a.ctl("wait")
    status = json.loads(get_body(n, "/status"))
    assert len(status["clusters"]) == 400
    assert sum(len(c["endpoints"]) for c in status["clusters"]) == 20000
    assert all(e["in"] for c in status["clusters"] for e in c["endpoints"])
    assert any(w["adopted"] for w in status["workers"])
    lines = get_body(n, "/metrics").decode().splitlines()
    names = [l.split()[2] for l in lines if l.startswith("# TYPE")]
    assert len(names) == len(set(names)) > 20
    assert sum(l.startswith("mesh_cluster_requests_total{") for l in lines) == 400


def test_if_and_limit_except_inherit_it(agent, nginx, endpoints):
    endpoint = endpoints.add("127.0.8.1")
    agent(MESH % (endpoint.at, ""))
    n = nginx(main=MAIN, http="""server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            if ($arg_x) { add_header X-If $mesh_route; }
            limit_except GET POST { allow 127.0.0.1; deny all; }
        }
    }""")
    status, headers, _ = n.get("/a/b?x=1")
    assert (status, headers["x-if"]) == (200, "exact")
    assert [n.get("/a/b", method=m)[0] for m in ("GET", "POST", "PUT")] == [200] * 3
    assert len(endpoint.requests) == 4


@pytest.mark.parametrize("location, text", [
    ("location /x { mesh_route; proxy_set_header Host x; }",
     '"proxy_set_header Host" has to stand before "mesh_route" in location "/x"'),
    ("location / { mesh_route; mesh_route; }", "is duplicate"),
    ("location / { mesh_route a b; }", "invalid number of arguments"),
    ("location / { mesh_route $a; }", "takes the name of a route table"),
    ("location / { mesh_route; proxy_pass http://a; }", "is duplicate"),
    ("mesh_route; location / { return 200; }", "duplicate location"),
])
def test_configuration_errors(nginx, location, text):
    n = nginx(start=False, main=MAIN, http="server { listen 127.0.0.1:{port}; %s }" % location)
    status, said = n.test()
    assert status != 0 and text in said


@pytest.mark.parametrize("directive", ["mesh_route", "mesh_status", "mesh_metrics"])
def test_needs_zone(nginx, directive):
    n = nginx(start=False, http="server { listen 127.0.0.1:{port}; location / { %s; } }" % directive)
    status, said = n.test()
    assert status != 0 and f'[emerg] "{directive}" needs "mesh_zone"' in re.sub(r" \d+#\d+:", "", said)


def test_settings_before_mesh_route_win(nginx):
    n = nginx(start=False, main=MAIN, http="""
        client_max_body_size 5m; proxy_buffering on; proxy_set_header X-Outer 1;
        server {
            listen 127.0.0.1:{port};
            location / {
                proxy_set_header Host x; proxy_http_version 1.1;
                proxy_read_timeout 3s; mesh_route; proxy_send_timeout 3s;
            }
        }""")
    assert n.test()[0] == 0
