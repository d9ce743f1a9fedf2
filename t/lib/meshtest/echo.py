# SPDX-License-Identifier: Apache-2.0
"""Many raw requests at once, and endpoints that keep what came, in one loop.

Each request carries `x-id`, by which its sender finds it at the endpoint."""

import asyncio
import re

from .process import free_port

ID = re.compile(rb"\r\nx-id:[ \t]*([0-9]+)", re.I)
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.I)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.I)


class Message:
    """A request or a response: first line, headers, body."""

    def __init__(self, head, body=b""):
        self.first, *lines = head.split(b"\r\n")
        pairs = [line.partition(b":") for line in lines if line]
        self.headers = [(k.lower(), v.strip(b" \t")) for k, _, v in pairs]
        self.body = body

    def values(self, name):
        return [v for k, v in self.headers if k == name]

    def value(self, name):
        return next(iter(self.values(name)), None)

    @property
    def method(self):
        return self.first.split(b" ")[0]

    @property
    def target(self):
        return self.first.split(b" ")[1]

    @property
    def status(self):
        return int(self.first.split(b" ")[1])


def end_of_chunks(data):
    """(body, where the last chunk ends), or None: more must come."""
    body, at = b"", 0
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(data[at:line].split(b";")[0], 16)
        if len(data) < line + 2 + size + 2:
            return None
        body += data[line + 2:line + 2 + size]
        at = line + 2 + size + 2
        if size == 0:
            return body, at


def take(data, bodiless=lambda head: False):
    """(Message, rest), or None: more must come."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, rest = data[:end + 2], data[end + 4:]
    if bodiless(head):
        return Message(head), rest
    if CHUNKED.search(head):
        found = end_of_chunks(rest)
        return found and (Message(head, found[0]), rest[found[1]:])
    length = LENGTH.search(head)
    n = int(length[1]) if length else 0
    return (Message(head, rest[:n]), rest[n:]) if len(rest) >= n else None


class Echo:
    """Endpoints by name, each on an address of its own: `seen` is (name of the
    endpoint, request) by id.  `answer(request)`: headers of the answer."""

    def __init__(self, names, answer=lambda request: b""):
        self.at = {n: f"127.0.1.{i + 1}:{free_port(f'127.0.1.{i + 1}')}" for i, n in enumerate(names)}
        self.answer = answer
        self.seen, self.strange = {}, []

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.servers = []
        for name, at in self.at.items():
            host, _, port = at.rpartition(":")
            self.servers.append(await loop.create_server(lambda n=name: Connection(self, n), host, int(port)))
        return self

    async def __aexit__(self, *_):
        for s in self.servers:
            s.close()

    def keep(self, name, request):
        found = request.value(b"x-id")
        if found is None or found in self.seen:
            self.strange.append((name, request))
        else:
            self.seen[found] = (name, request)


class Connection(asyncio.Protocol):
    def __init__(self, echo, name):
        self.echo, self.name, self.data = echo, name, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        while found := take(self.data):
            request, self.data = found
            self.echo.keep(self.name, request)
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx-endpoint: " + self.name.encode() + b"\r\n" +
                self.echo.answer(request) + b"\r\n")


class Client(asyncio.Protocol):
    def __init__(self, data):
        self.out, self.data = data, b""
        self.head = data.lstrip(b"\r\n").startswith(b"HEAD ")
        self.answer = asyncio.get_running_loop().create_future()

    def bodiless(self, head):
        return self.head or head[9:10] == b"1" or head[9:12] in (b"204", b"304")

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.out)

    def data_received(self, data):
        self.data += data
        while not self.answer.done() and (found := take(self.data, self.bodiless)):
            answer, self.data = found
            if answer.status >= 200:
                self.answer.set_result(answer)
                self.transport.close()

    def connection_lost(self, exc):
        if not self.answer.done():
            self.answer.set_result(None)


async def ask(port, data, timeout=60):
    """The answer, or None: the connection was closed without one."""
    transport, client = await asyncio.get_running_loop().create_connection(
        lambda: Client(data), "127.0.0.1", port)
    try:
        return await asyncio.wait_for(client.answer, timeout)
    except asyncio.TimeoutError:
        raise AssertionError(f"no answer to {data!r}, only {client.data!r}") from None
    finally:
        transport.abort()


async def ask_all(todo, at_once=64):
    """[(port, bytes)] to [Message or None], in order."""
    answers, rest = [None] * len(todo), iter(enumerate(todo))

    async def worker():
        for i, (port, data) in rest:
            answers[i] = await ask(port, data)

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return answers
