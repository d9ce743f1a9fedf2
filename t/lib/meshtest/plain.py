# SPDX-License-Identifier: Apache-2.0
"""A stock nginx that plays endpoints, for load: fast, and real."""

import os
import subprocess
from pathlib import Path

from .nginx import NGINX
from .process import free_port, stop, wait_for_port

CONF = """
daemon off;
{user}
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 10000000;
    keepalive_timeout 600s;
    client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
    uwsgi_temp_path {dir}; scgi_temp_path {dir};
    {servers}
}}
"""
SERVER = """server {{
    listen {at}; location / {{ add_header X-Endpoint {name};
    add_header X-Saw $http_x_mesh; return 200 "{name}\\n"; }} {extra} }}
"""


class Plain:
    """names -> listeners of their own, on 127.0.0.1 with free ports."""

    def __init__(self, directory, names, extra=""):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True)
        self.at = {name: f"127.0.0.1:{free_port()}" for name in names}
        servers = "".join(SERVER.format(at=at, name=name, extra=extra)
                          for name, at in self.at.items())
        (self.dir / "nginx.conf").write_text(CONF.format(
            dir=self.dir, servers=servers, user="user root;" if os.getuid() == 0 else ""))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [NGINX, "-p", str(self.dir), "-c", str(self.dir / "nginx.conf")],
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for at in self.at.values():
            wait_for_port("127.0.0.1", int(at.rpartition(":")[2]))
        return self

    def stop(self):
        if self.process is not None:
            stop(self.process)
            self.process = None

    close = stop
