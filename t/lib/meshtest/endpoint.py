# SPDX-License-Identifier: Apache-2.0
"""HTTP endpoints for tests: each answers with JSON about what it was sent.

One thread serves any number of listening addresses.  How a listener behaves
is set by the test, at any time, through Endpoint's fields:

    status    answer with this status (default 200)
    fail_next answer this many requests with `status`, then 200 (None: always)
    delay     seconds before the answer
    hold      no answer as long as it is true
    reset     close without an answer after this many bytes of the request
              head are read ("rst" semantics with SO_LINGER 0)
    idle      close an idle connection after this many seconds
    body      bytes of the answer's body instead of the JSON
    redirects the next answers: (status, location or None), or None for one
              of the above
"""

import asyncio
import base64
import hashlib
import json
import socket
import struct
import threading

from .process import free_port


class Endpoint:
    def __init__(self, servers, address, port, name):
        self._servers = servers
        self.address = address
        self.port = port
        self.name = name or f"{address}:{port}"
        self.reset_behaviour()
        self.requests = []
        self.connections = 0
        self._listener = None
        self._writers = set()

    def reset_behaviour(self):
        self.status = 200
        self.fail_next = None
        self.delay = 0.0
        self.hold = False
        self.reset = False
        self.idle = None
        self.body = None
        self.headers = {}
        self.redirects = []

    @property
    def at(self):
        return f"{self.address}:{self.port}"

    def start(self):
        self._servers.call(self._start())
        return self

    def kill(self):
        """Stops listening and resets every connection, as kill -9 does."""
        self._servers.call(self._kill())

    async def _start(self):
        # With the protocol named, asyncio sets TCP_NODELAY on what it accepts.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.address, self.port))
        sock.listen(1024)
        self._listener = await asyncio.start_server(self._serve, sock=sock)

    async def _kill(self):
        if self._listener:
            self._listener.close()
            self._listener = None
        for writer in list(self._writers):
            abort(writer)

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader, writer):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self.idle)
        if self.reset:
            abort(writer)
            return False
        lines = head.decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ", 2)
        headers = [tuple(x.strip() for x in l.split(":", 1)) for l in lines[1:] if l]
        lower = {k.lower(): v for k, v in headers}
        if lower.get("upgrade", "").lower() == "websocket":
            await self._websocket(reader, writer, lower)
            return False
        body = await read_body(reader, lower)
        seen = {
            "endpoint": self.name, "method": method, "target": target,
            "version": version, "headers": headers, "body_len": len(body),
            "body_sha": hashlib.sha256(body).hexdigest() if body else None,
        }
        self.requests.append(seen)
        if self.delay:
            await asyncio.sleep(self.delay)
        while self.hold:
            await asyncio.sleep(0.01)
        status = self.status
        if self.fail_next is not None:
            status = self.status if self.fail_next > 0 else 200
            self.fail_next -= 1
        data = self.body if self.body is not None else json.dumps(seen).encode()
        extra = "".join(f"{k}: {v}\r\n" for k, v in self.headers.items())
        redirect = self.redirects.pop(0) if self.redirects else None
        if redirect:
            status, location = redirect
            extra += f"Location: {location}\r\n" if location is not None else ""
        keep = lower.get("connection", "").lower() != "close"
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n"
            f"X-Endpoint: {self.name}\r\n{extra}"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()
        )
        if method != "HEAD":
            writer.write(data)
        await writer.drain()
        return keep

    async def _websocket(self, reader, writer, headers):
        """RFC 6455, enough to echo: every frame goes back unmasked."""
        key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nX-Endpoint: {self.name}\r\n\r\n".encode()
        )
        while True:
            first, second = await reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", await reader.readexactly(8))
            mask = await reader.readexactly(4) if second & 0x80 else b"\0\0\0\0"
            data = await reader.readexactly(length)
            data = bytes(b ^ mask[i & 3] for i, b in enumerate(data))
            size = bytes([length]) if length < 126 else b"\x7e" + struct.pack(">H", length)
            writer.write(bytes([first]) + size + data)
            await writer.drain()
            if first & 0x0F == 8:
                return


async def read_body(reader, headers):
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return b""
    body = b""
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        body += await reader.readexactly(size)
        await reader.readline()
        if size == 0:
            return body


def abort(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Endpoints:
    """The thread that serves; made once per test."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._all = []

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def add(self, address="127.0.0.1", name=None, port=None, start=True):
        endpoint = Endpoint(self, address, port or free_port(address), name)
        self._all.append(endpoint)
        return endpoint.start() if start else endpoint

    def close(self):
        for endpoint in self._all:
            endpoint.kill()

        async def drain():
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.call(drain())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
