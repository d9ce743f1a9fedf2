# SPDX-License-Identifier: Apache-2.0
"""What lives long outlives any number of generations: WebSockets, downloads,
gRPC and TCP streams; worker pids constant, memory flat.

MESH_SOAK multiplies the updates.
"""

import asyncio
import os
import queue
import socket
import statistics

import pytest
import websockets

from meshtest.plain import Plain

grpc = pytest.importorskip("grpc")
from meshtest.calls import Server  # noqa: E402: needs grpc

UPDATES = int(2000 * float(os.environ.get("MESH_SOAK", "1")))
SOCKETS, TUNNELS, DOWNLOADS, CALLS = 500, 50, 50, 10
SIZE = 8 << 20      # of a download: more than all buffers on its way
MAIN = "mesh_zone {zone};"
HTTP = """
    server { listen 127.0.0.1:{port}; location / { mesh_route; } }
    server { listen 127.0.0.1:{h2} http2; location / { mesh_route; } }
"""
STREAM = """
    upstream ws { mesh ws; }
    server { listen 127.0.0.1:{tcp}; proxy_pass ws; }
"""


def mesh(k, ws, big, calls):
    return f"""
clusters:
  ws: {{endpoints: ["{ws.at}"]}}
  big: {{endpoints: ["{big.at['big']}"]}}
  calls: {{endpoints: ["{calls.at}"], protocol: grpc}}
  churn-{k % 7}: {{endpoints: ["127.0.0.1:{2000 + k % 50}"]}}
hosts:
  - domains: ["*"]
    routes:
      - {{match: {{path: {{prefix: /ws}}}}, route: ws, timeout: 0}}
      - {{match: {{path: {{prefix: /big}}}}, route: big, timeout: 0}}
      - {{match: {{path: {{prefix: /test.}}}}, route: calls, timeout: 0}}
      - {{name: "r{k}", route: ws}}
"""


async def echo(sock, text):
    await sock.send(text)
    assert await asyncio.wait_for(sock.recv(), 20) == text


class Download:
    """Takes a little now and then, and the rest at the end."""

    @classmethod
    async def begin(cls, port):
        self = cls()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.connect(("127.0.0.1", port))
        self.reader, self.writer = await asyncio.open_connection(sock=sock, limit=65536)
        self.writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head and b"Content-Length: %d" % SIZE in head, head
        self.got = 0
        return self

    async def some(self, size=1024):
        self.got += len(await asyncio.wait_for(self.reader.readexactly(size), 20))

    async def rest(self):
        while data := await asyncio.wait_for(self.reader.read(1 << 20), 20):
            self.got += len(data)
        self.writer.close()
        assert self.got == SIZE


class Call:
    """A bidirectional gRPC stream."""

    def __init__(self, channel):
        self.sent = queue.Queue()
        self.answers = channel.stream_stream("/test.Routed/Chat")(iter(self.sent.get, None))

    async def echo(self, text):
        self.sent.put(text.encode())
        assert await asyncio.to_thread(next, self.answers) == b"calls:" + text.encode()

    async def end(self):
        self.sent.put(None)
        assert await asyncio.to_thread(list, self.answers) == []


async def opened(n, channel):
    """[(check, end)] of each kind of connection."""
    socks = [await websockets.connect(f"ws://127.0.0.1:{port}/ws", max_queue=4)
             for port, count in ((n.port, SOCKETS), (n.tcp, TUNNELS)) for _ in range(count)]
    downloads = [await Download.begin(n.port) for _ in range(DOWNLOADS)]
    calls = [Call(channel) for _ in range(CALLS)]

    async def check(some):
        for sock in socks[some]:
            await echo(sock, "socket")
        for download in downloads[some]:
            await download.some()
        for call in calls:
            await call.echo("call")

    async def end():
        for sock in socks:
            await sock.close()
        for download in downloads:
            await download.rest()
        for call in calls:
            await call.end()

    return check, end


def resident_kb(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def is_flat(what, samples):
    """+-2 % or a few pages between the medians of the last quarter of the
    updates and of the quarter before: the agent's file is compacted in each,
    and only by chance a sample meets the copy being made."""
    quarter = len(samples) // 4
    before, last = (round(statistics.median(s)) for s in
                    (samples[-2 * quarter:-quarter], samples[-quarter:]))
    print(f"{what}: {before} kB, then {last} kB ({100 * (last - before) / before:+.2f} %)")
    return abs(last - before) <= max(0.02 * before, 256)


@pytest.mark.slow
def test_long_lived_connections_survive_updates(
        agent, nginx, endpoints, started, tmp_path, variant):
    ws = endpoints.add(name="ws")
    (tmp_path / "big").write_bytes(b"x" * SIZE)
    big = started.add(Plain(tmp_path / "plain", ["big"],
                            extra=f"location /big {{ root {tmp_path}; }}")).start()
    calls = Server("calls", "127.0.2.9", threads=CALLS + 2)
    text = lambda k: mesh(k, ws, big, calls)
    a = agent(text(0), extra="debounce: 0ms\ncapacity: 1M")
    n = nginx(http=HTTP, main=MAIN, stream=STREAM, ports=("h2", "tcp"), workers=2)
    channel = grpc.insecure_channel(f"127.0.0.1:{n.h2}", [("grpc.use_local_subchannel_pool", 1)])
    pids = n.workers()
    memory = {f"worker {pid}": (pid, []) for pid in pids}
    if variant != "asan":       # its quarantine keeps freed memory on purpose
        memory["agent"] = (a.process.pid, [])

    def word():
        return (a.zone / "mesh.ctl").read_bytes()

    async def update(k):
        before = word()
        a.write(text(k))
        while word() == before:
            await asyncio.sleep(0.001)

    async def run():
        check, end = await opened(n, channel)
        await check(slice(None))
        for k in range(1, UPDATES + 1):
            await update(k)
            if k % 100 == 0:
                await check(slice(k // 100 % 10, None, 10))
            if k % 25 == 0:
                for pid, samples in memory.values():
                    samples.append(resident_kb(pid))
        await check(slice(None))
        await end()

    try:
        asyncio.run(run())
    finally:
        channel.close()
        calls.stop()
    # A compaction that ends while an update is awaited looks like it.
    status = a.wait_applied(int(0.98 * UPDATES) + 1)
    print(f"generation {status['generation']}, compactions {status['agent']['compactions']}")
    assert n.workers() == pids
    assert status["generation"] > 0.98 * UPDATES
    assert all([is_flat(what, samples) for what, (_, samples) in memory.items()]), memory
