# SPDX-License-Identifier: Apache-2.0
"""What the tests of the upstream side share: one cluster behind one nginx."""

import re
import socket
import threading

MAIN = "mesh_zone {zone};"
HTTP = """
    upstream u { mesh reviews; }
    upstream missing { mesh nowhere; }
    upstream subset { mesh reviews/none; }
    server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            add_header X-Attempts $mesh_attempts always;
            add_header X-Flags $mesh_flags always;
            add_header X-Tried $upstream_addr always;
            add_header X-Statuses $upstream_status always;
        }
        location /direct {
            proxy_pass http://u;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            add_header X-Tried $upstream_addr always;
        }
        location /socket {
            proxy_pass http://u;
            proxy_http_version 1.1;
            proxy_set_header Connection upgrade;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $host;
        }
        location /missing { proxy_pass http://missing; }
        location /subset { proxy_pass http://subset; }
        location = /metrics { mesh_metrics; }
        location = /status { mesh_status; }
    }
"""


def start_both(nginx, locations, http="", **kwargs):
    """The same locations for clients of HTTP/1.1, and at .two of HTTP/2."""
    servers = "".join(f"server {{ listen 127.0.0.1:{at}; {locations} }}\n"
                      for at in ("{port}", "{two} http2"))
    return nginx(http=http + servers, main=MAIN, ports=("two",), **kwargs)


def mesh(endpoints, cluster="", route=""):
    rows = "\n".join(f"      - '{e.at}'" for e in endpoints)
    return f"""
clusters:
  reviews:
    endpoints:
{rows}
    panic_threshold: 0
{cluster}
hosts:
  - domains: ["*"]
    routes:
      - match: {{path: {{prefix: /}}}}
        route: reviews
{route}
"""


def retries(attempts=2, on="[gateway-error, reset, connect-failure]", more=""):
    return f"        retries: {{attempts: {attempts}, on: {on}{more}}}\n"


def metric(n, name, cluster="reviews"):
    text = n.get("/metrics")[2].decode()
    found = re.findall(rf'^{name}\{{cluster="{cluster}"[^}}]*\}} (\d+)$', text, re.M)
    assert found, (name, text[:3000])
    return sum(int(x) for x in found)


def pair(endpoints, count=2):
    return [endpoints.add(address=f"127.0.1.{i + 1}", name=f"e{i + 1}") for i in range(count)]


class Raw:
    """Puts a talker of its own in an endpoint's place: serve(connection).
    `options`: of its listening socket."""

    def __init__(self, e, serve, options=()):
        e.kill()
        self.serve = serve
        self.s = socket.socket()
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for option in options:
            self.s.setsockopt(*option)
        self.s.bind((e.address, e.port))
        self.s.listen(1024)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(c,), daemon=True).start()

    def _one(self, c):
        with c:
            self.serve(c)

    def stop(self):
        if self.s.fileno() >= 0:
            self.s.shutdown(socket.SHUT_RDWR)
            self.s.close()
        self.thread.join(5)

    close = stop


class Deaf:
    """An address whose SYNs are dropped: of a listener that accepts nobody,
    whose queue is full."""

    def __init__(self, address, port):
        self.s = socket.socket()
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind((address, port))
        self.s.listen(0)
        self.queued = []
        while True:
            c = socket.socket()
            c.settimeout(1)     # who is heard at all is at once
            self.queued.append(c)
            try:
                c.connect((address, port))
            except TimeoutError:
                return

    def stop(self):
        for s in (*self.queued, self.s):
            s.close()

    close = stop
