# SPDX-License-Identifier: Apache-2.0
"""An Envoy bootstrap compiled into a zone and served by nginx, with no agent:
what nginx does is what `meshctl explain --resources` says of the file."""

import http.client
import json
import subprocess

from meshtest.process import binary

SERVER = """
    server {
        listen 127.0.0.1:{port};
        location / { mesh_route ingress; add_header X-Route $mesh_route always; }
    }
"""

BOOTSTRAP = """
static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: 80}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          normalize_path: true
          merge_slashes: true
          route_config:
            name: ingress
            virtual_hosts:
            - name: shop
              domains: ["shop.local", "*.shop.local"]
              routes:
              - match:
                  path_separated_prefix: /api
                  headers: [{name: x-beta, present_match: true}]
                route:
                  cluster: shop
                  prefix_rewrite: /beta
                  host_rewrite_literal: beta.local
                request_headers_to_add: [{header: {key: x-added, value: "100%%%%"}}]
              - match: {safe_regex: {regex: "/v[0-9]+/.*"}}
                route:
                  weighted_clusters: {clusters: [{name: shop, weight: 1}]}
                  retry_policy: {retry_on: "5xx,retriable-status-codes", retriable_status_codes: [409]}
                name: versions
              - match: {prefix: /old}
                redirect: {prefix_rewrite: /new, response_code: PERMANENT_REDIRECT}
              - match: {prefix: /}
                direct_response: {status: 403, body: {inline_string: "no"}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: shop
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: shop
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]
"""

REQUESTS = [
    ("shop.local", "/api/x?q", {"X-Beta": ""}), ("shop.local", "/api", {"X-Beta": "1"}),
    ("shop.local", "/apix", {"X-Beta": "1"}), ("a.shop.local:80", "/v1/a", {}),
    ("SHOP.local", "//v12//b/../c", {}), ("shop.local", "/old/1?q", {}),
    ("shop.local", "/vx/", {}), ("other.local", "/v1/a", {}),
]


def run(*args, code=(0,)):
    done = subprocess.run([binary("release", "meshctl"), *map(str, args)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode in code, done.stdout + done.stderr
    return done.stdout


def ask(port, host, path, headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.putrequest("GET", path, skip_host=True)
    for name, value in {"Host": host, **headers}.items():
        c.putheader(name, value)
    c.endheaders()
    r = c.getresponse()
    body = r.read()
    c.close()
    return r, body


def test_a_bootstrap_is_served_as_it_is_explained(nginx, zone, endpoints, tmp_path):
    seen = endpoints.add()
    path = tmp_path / "envoy.yaml"
    path.write_text(BOOTSTRAP % (seen.address, seen.port))
    assert "generation  1" in run("compile", path, "--into", zone)
    n = nginx(http=SERVER, main="mesh_zone {zone};")
    for host, target, headers in REQUESTS:
        r, body = ask(n.port, host, target, headers)
        args = [w for k, v in headers.items() for w in ("-H", f"{k}: {v}")]
        said = json.loads(run("-o", "json", "explain", "GET", target, "-H", f"host: {host}",
                              *args, "--resources", path, code=(0, 1)))
        if said["result"] == "routed":
            assert r.status == 200, (target, said)
            assert r.getheader("X-Route") == said["route"]
            assert said["endpoint"] == seen.at
            assert json.loads(body)["target"].split("?")[0] == said["path"]
        elif said["result"] in ("redirect", "direct response"):
            assert r.status == said["status"]
            assert r.getheader("X-Route") == said["route"]
            assert (r.getheader("Location") or "") == said["location"]
        else:
            assert (r.status, said["result"]) == (404, "no virtual host")
    first = dict(seen.requests[0]["headers"])
    assert first["x-added"] == "100%"
    assert first["Host"] == "beta.local"
    assert len(seen.requests) == 3                  # a port is part of the name, as in Envoy
