# SPDX-License-Identifier: Apache-2.0
"""The configurations that the benchmark compares: the same two endpoints,
one worker, keep-alive on both sides, no access log."""

NGINX_HEAD = """
{load}
daemon off;
{user}
worker_processes {workers};
{affinity}
master_process {master};
error_log {dir}/error.log warn;
pid {dir}/nginx.pid;
{main}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {dir}/tmp; proxy_temp_path {dir}/tmp;
    fastcgi_temp_path {dir}/tmp; uwsgi_temp_path {dir}/tmp;
    scgi_temp_path {dir}/tmp;
    {http}
}}
"""

STOCK = """
    upstream u {{ {servers} keepalive 64; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://u;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
"""

MESH = """
    server {{
        listen 127.0.0.1:{port};
        location / {{ mesh_route; }}
    }}
"""

# Routes, a weighted split, outlier detection, retries, counters: all on.
MESH_YAML = """
clusters:
  c:
    endpoints: [{endpoints}]
    keepalive: {{max_idle: 64}}
    outlier_detection: {{consecutive_5xx: 5, consecutive_gateway_failure: 5, max_ejection_percent: 50}}
  d:
    endpoints: [{endpoints}]
    keepalive: {{max_idle: 64}}
    outlier_detection: {{consecutive_5xx: 5, consecutive_gateway_failure: 5, max_ejection_percent: 50}}
hosts:
  - domains: [shop.local, "*.shop.local"]
    routes:
      - {{name: jason, match: {{path: {{prefix: /bench}}, headers: {{end-user: jason}}}}, route: d}}
      - {{name: admin, match: {{path: {{prefix: /admin/}}}}, route: d}}
      - {{name: cart, match: {{path: {{exact: /cart}}}}, route: d}}
      - name: bench
        match: {{path: {{prefix: /bench}}}}
        route: [{{cluster: c, weight: 90}}, {{cluster: d, weight: 10}}]
        retries: {{attempts: 2, on: [connect-failure, reset, gateway-error]}}
        timeout: 15s
  - domains: ["*"]
    routes: [{{route: c}}]
"""

HAPROXY = """
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
    option redispatch
    retries 2
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    balance roundrobin
    option forwardfor
{servers}
"""

ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          normalize_path: true
          route_config:
            virtual_hosts:
            - name: shop
              domains: ["shop.local", "*.shop.local"]
              routes:
              - match: {{prefix: /bench, headers: [{{name: end-user, string_match: {{exact: jason}}}}]}}
                route: {{cluster: d}}
              - match: {{prefix: /admin/}}
                route: {{cluster: d}}
              - match: {{path: /cart}}
                route: {{cluster: d}}
              - match: {{prefix: /bench}}
                route:
                  weighted_clusters: {{clusters: [{{name: c, weight: 90}}, {{name: d, weight: 10}}]}}
                  timeout: 15s
                  retry_policy: {{retry_on: "connect-failure,reset,gateway-error", num_retries: 2}}
            - name: any
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: c}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters: [{c}, {d}]
"""

ENVOY_CLUSTER = """{{name: {name}, type: STATIC, connect_timeout: 5s, lb_policy: ROUND_ROBIN,
    outlier_detection: {{consecutive_5xx: 5, consecutive_gateway_failure: 5, max_ejection_percent: 50}},
    load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}}}"""

ENVOY_ENDPOINT = "{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}"
