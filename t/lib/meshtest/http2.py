# SPDX-License-Identifier: Apache-2.0
"""Endpoints that speak HTTP/2 without TLS, and a client that does."""

import os
import struct
import subprocess
from pathlib import Path

from .nginx import NGINX
from .process import free_port, stop, wait_for_port

CONF = """
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log debug;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
    uwsgi_temp_path {dir}; scgi_temp_path {dir};
    client_max_body_size 0;
    underscores_in_headers on;
    {servers}
}}
"""
SERVER = """
    server {{
        listen {at} http2;
        location / {{
            proxy_pass http://{to};
            proxy_set_header Host $http_host;
            proxy_set_header X-Spoken $server_protocol;
        }}
    }}
"""


class Fronts:
    """Puts a stock nginx that speaks nothing but HTTP/2 before each endpoint;
    .at has their addresses in the same order."""

    def __init__(self, directory, endpoints):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True)
        self.at = [f"{e.address}:{free_port(e.address)}" for e in endpoints]
        servers = "".join(SERVER.format(at=at, to=e.at)
                          for at, e in zip(self.at, endpoints))
        (self.dir / "nginx.conf").write_text(CONF.format(
            dir=self.dir, servers=servers, user="user root;" if os.getuid() == 0 else ""))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [NGINX, "-p", str(self.dir), "-c", str(self.dir / "nginx.conf")],
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for at in self.at:
            address, _, port = at.rpartition(":")
            wait_for_port(address, int(port))
        return self

    def received(self):
        """Every header field that came in, as (name, value)."""
        text = (self.dir / "error.log").read_text(errors="replace")
        found = [line.partition('http2 header: "')[2] for line in text.splitlines()
                 if 'http2 header: "' in line]
        return [tuple(f.rstrip('"').rsplit(": ", 1)) for f in found]

    def stop(self):
        if self.process is not None:
            stop(self.process)
            self.process = None

    close = stop


def curl(port, path="/", *args, version="--http2-prior-knowledge"):
    """(status, headers, body) of one request."""
    done = subprocess.run(
        ["curl", "-s", "-i", version, "--max-time", "20", *args,
         f"http://127.0.0.1:{port}{path}"],
        capture_output=True, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v for k, v in (l.split(": ", 1) for l in lines)}
    return int(first.split()[1]), headers, body


# --- frames -----------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4
ACK = 1


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def serve_both(c, seen):
    """Serves a connection in what its first bytes speak, with empty answers
    of 200; appends "1" or "2" a request to seen."""
    data = b""

    def need(n):
        nonlocal data
        while len(data) < n:
            more = c.recv(65536)
            if not more:
                raise EOFError
            data += more

    def take(n):
        nonlocal data
        need(n)
        taken, data = data[:n], data[n:]
        return taken

    try:
        need(4)
        while data[:4] != PREFACE[:4]:
            need(data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else len(data) + 1)
            if b"\r\n\r\n" in data:
                data = data.partition(b"\r\n\r\n")[2]
                seen.append("1")
                c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        take(len(PREFACE))
        c.sendall(frame(SETTINGS))
        asked, settled = [], False
        while True:
            head = take(9)
            size = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            take(size)
            if kind == SETTINGS:
                settled = settled or flags & ACK
                if not flags & ACK:
                    c.sendall(frame(SETTINGS, ACK))
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                seen.append("2")
                asked.append(stream)
            # Answered earlier, a client that still has to acknowledge the
            # settings may close the connection.
            while settled and asked:
                c.sendall(frame(HEADERS, END_STREAM | END_HEADERS, asked.pop(0), b"\x88"))
    except (EOFError, OSError):
        pass
