# SPDX-License-Identifier: Apache-2.0
"""A stock nginx with our modules, in a directory of its own."""

import http.client
import os
import re
import signal
import subprocess
from pathlib import Path

from .process import (
    BUILD, SANITIZER_TEXT, environment, free_port, stop, wait_for,
    wait_for_port,
)

NGINX = os.environ.get("MESH_NGINX", "/usr/sbin/nginx")
MODULES = ("ngx_mesh_core_module.so", "ngx_http_mesh_module.so")
STREAM = ("/usr/lib/nginx/modules/ngx_stream_module.so", "ngx_stream_mesh_module.so")

HEAD = """
{load}
daemon off;
{user}
worker_processes {workers};
error_log {dir}/error.log {level};
pid {dir}/nginx.pid;
worker_shutdown_timeout 10s;
events {{ worker_connections 4096; }}
"""

HTTP = """
http {{
    client_body_temp_path {dir}/tmp; proxy_temp_path {dir}/tmp;
    fastcgi_temp_path {dir}/tmp; uwsgi_temp_path {dir}/tmp;
    scgi_temp_path {dir}/tmp;
    log_format mesh '$status $request_time $mesh_generation $mesh_route '
                    '$mesh_cluster $mesh_endpoint $mesh_flags $mesh_attempts '
                    '$mesh_ticket "$request"';
    access_log {dir}/access.log mesh;
    underscores_in_headers on;
    keepalive_requests 1000000;
    {http}
}}
"""


class Nginx:
    """`http`, `main` and `stream` are configuration text; in it, {port} is a
    free port (also .port), {zone} the zone, {dir} nginx's own directory.
    `user`: the workers'; `modules`: where ours are, instead of the build."""

    def __init__(self, directory, variant, zone, http="", main="", stream="",
                 workers=1, level="info", ports=(), user="root", modules=None):
        self.dir = Path(directory)
        self.variant = variant
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "tmp").mkdir(exist_ok=True)
        self.port = free_port()
        self.names = {"port": self.port, "zone": zone, "dir": self.dir}
        self.names.update({p: free_port() for p in ports})
        modules = modules or BUILD / variant / "modules"
        load = [f"load_module {modules}/{m};" for m in MODULES]
        if stream:
            load += [f"load_module {STREAM[0]};", f"load_module {modules}/{STREAM[1]};"]
        text = HEAD.format(
            load="\n".join(load), workers=workers, dir=self.dir, level=level,
            user=f"user {user};" if os.getuid() == 0 else "",
        )
        text += self._fill(main)
        if http:
            text += HTTP.format(dir=self.dir, http=self._fill(http))
        if stream:
            text += "stream {\n" + self._fill(stream) + "\n}\n"
        self.conf = self.dir / "nginx.conf"
        self.conf.write_text(text)
        self.process = None
        self.count = workers

    def _fill(self, text):
        for name, value in self.names.items():
            text = text.replace("{%s}" % name, str(value))
        return text

    def __getattr__(self, name):
        try:
            return self.__dict__["names"][name]
        except KeyError:
            raise AttributeError(name) from None

    def _command(self, *args):
        return [NGINX, "-p", str(self.dir), "-c", str(self.conf), *args]

    def environment(self):
        return environment(self.variant, preload=True)

    def test(self):
        """nginx -t: (status, text)."""
        done = subprocess.run(
            self._command("-t"), capture_output=True, text=True,
            env=self.environment(), timeout=30,
        )
        return done.returncode, done.stderr

    def start(self, wait=True):
        self.stderr = open(self.dir / "stderr.log", "ab")
        self.process = subprocess.Popen(
            self._command(), stderr=self.stderr, stdout=self.stderr,
            stdin=subprocess.DEVNULL, env=self.environment(),
        )
        if wait:
            # The master listens before it forks.
            wait_for_port("127.0.0.1", self.port)
            wait_for(lambda: "master_process off" in self.conf.read_text()
                     or len(self.workers()) >= self.count, "its workers")
        return self

    def send(self, sig):
        self.process.send_signal(sig)

    def reload(self):
        before = set(self.workers())
        self.send(signal.SIGHUP)
        wait_for(lambda: set(self.workers()) - before, "new workers")

    def workers(self):
        """Pids of the master's children."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(x) for x in Path(children).read_text().split()]

    def log(self):
        return (self.dir / "error.log").read_text(errors="replace")

    def access(self):
        return (self.dir / "access.log").read_text(errors="replace").splitlines()

    def logged(self, count):
        """The access log with `count` lines: each is written after its answer."""
        wait_for(lambda: len(self.access()) >= count, f"{count} lines in the access log")
        return self.access()

    def get(self, path="/", host="shop.local", headers=None, method="GET",
            body=None, port=None, timeout=20):
        """One request on a connection of its own: (status, headers, body)."""
        c = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            c.request(method, path, body=body, headers={"Host": host, **(headers or {})})
            r = c.getresponse()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
        finally:
            c.close()

    def stop(self, sig=signal.SIGQUIT, allow=()):
        """Ends it and checks what it leaves.  `allow`: regular expressions of
        alert lines that this test provoked."""
        if self.process is None:
            return
        status = stop(self.process, sig, timeout=20)
        self.process = None
        self.stderr.close()
        text = self.log() + (self.dir / "stderr.log").read_text(errors="replace")
        for line in text.splitlines():
            if any(re.search(a, line) for a in allow):
                continue
            assert "[alert]" not in line and "[emerg]" not in line, line
            assert not any(s in line for s in SANITIZER_TEXT), text[-6000:]
            assert "open socket #" not in line, line
        assert status == 0, f"nginx ended with {status}: {text[-2000:]}"

    def close(self):
        """For a failed test: ends it without further checks."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                for pid in self.workers():
                    os.kill(pid, signal.SIGKILL)
                self.process.kill()
                self.process.wait()
