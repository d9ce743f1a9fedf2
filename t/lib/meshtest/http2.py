# SPDX-License-Identifier: Apache-2.0
"""Endpoints that speak HTTP/2 without TLS, and clients that do."""

import os
import socket
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
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, END_HEADERS = 1, 4
ACK = 1


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def frames(s):
    """(type, flags, stream, payload) of each that comes behind the preface."""
    data = b""
    while True:
        more = s.recv(65536)
        if not more:
            return
        data += more
        if data.startswith(PREFACE):
            data = data[len(PREFACE):]
        while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
            length = int.from_bytes(data[:3], "big")
            head, payload, data = data[:9], data[9:9 + length], data[9 + length:]
            yield head[3], head[4], int.from_bytes(head[5:], "big"), payload


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


class Upload:
    """A request whose body is sent piece by piece, of `length` bytes or of a
    length that is not said."""

    def __init__(self, port, length=None, method="PUT"):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.data = b""
        self.windows = {0: 65535, 1: 65535}
        self.first = 65535                      # of a stream, by its SETTINGS
        self.left = length
        self.status = None
        head = [b"\x86\x84", text(0x02, method), text(0x01, "a")]
        if length is not None:
            head.append(text(0x0f, str(length), b"\x0d"))
        self.s.sendall(PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, b"".join(head)))

    def _read(self):
        """One frame."""
        def take(n):
            while len(self.data) < n:
                more = self.s.recv(65536)
                assert more, "the connection has ended"
                self.data += more
            taken, self.data = self.data[:n], self.data[n:]
            return taken

        head = take(9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = take(int.from_bytes(head[:3], "big"))
        if kind == WINDOW_UPDATE:
            self.windows[stream] += int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, at)
                if name == 4:
                    self.windows[1] += value - self.first
                    self.first = value
            self.s.sendall(frame(SETTINGS, ACK))
        elif kind == HEADERS:
            # nginx writes the status first: indexed, or as three digits.
            known = {0x88: 200, 0x8c: 400, 0x8d: 404, 0x8e: 500}
            self.status = known.get(payload[0]) or int(payload[2:5])
        return kind, flags

    def send(self, data, flags=0):
        while data or flags:
            size = min(len(data), 16384, *self.windows.values())
            if data and size <= 0:
                self._read()
                continue
            self.s.sendall(frame(DATA, flags if size == len(data) else 0, 1, data[:size]))
            data = data[size:]
            if self.left is not None:
                self.left -= size
            for stream in self.windows:
                self.windows[stream] -= size
            if not data:
                return

    def answer(self):
        """Its status; the body is over, if all of it was sent."""
        if self.status is None and not self.left:
            self.send(b"", END_STREAM)
        while True:
            kind, flags = self._read()
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                self.s.close()
                return self.status


def text(prefix, value, more=b""):
    """A header field by the number of its name, not indexed, not packed."""
    return bytes([prefix]) + more + bytes([len(value)]) + value.encode()


class Frames:
    """An endpoint of HTTP/2 by the frames that it sends to what it reads."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.seen = []

    def __call__(self, s):
        self.talker = s
        s.settimeout(20)
        for kind, flags, stream, payload in frames(s):
            self.seen.append((kind, flags, stream, payload))
            if flags & END_STREAM and kind <= HEADERS and self.replies:
                try:
                    s.sendall(self.replies.pop(0)(stream))
                except OSError:
                    return
