# SPDX-License-Identifier: Apache-2.0
"""A load of keep-alive GETs that looks at every answer."""

import asyncio
import threading
import time


class Load(threading.Thread):
    """`check(status, headers, body)` returns None, or what is wrong.

    A connection that is closed between two answers is opened anew, as every
    HTTP client does (nginx closes keep-alive connections at a reload); one
    that is closed inside an exchange is an error.
    """

    def __init__(self, port, check, path="/", host="shop.local", connections=8,
                 headers="", pause=0.0):
        super().__init__(daemon=True)
        self.port = port
        self.check = check
        self.request = (f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").encode()
        self.connections = connections
        self.pause = pause
        self.answers = 0
        self.reconnects = 0
        self.errors = []
        self.cut = []       # X-Pid of the last answer on each closed connection
        self.slowest = 0.0
        self._ended = threading.Event()

    def run(self):
        asyncio.run(self._run())

    async def _run(self):
        await asyncio.gather(*(self._client() for _ in range(self.connections)))

    async def _client(self):
        reader = writer = None
        fresh, worker = True, None
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    fresh, worker = True, None
                writer.write(self.request)
                answer = await asyncio.wait_for(self._answer(reader), 20)
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
                closed_idle = not fresh and getattr(e, "partial", b"") == b"" \
                    and not isinstance(e, asyncio.TimeoutError)
                if closed_idle:
                    self.reconnects += 1
                else:
                    self.errors.append(repr(e))
                self.cut.append(worker)
                if writer is not None:
                    writer.close()
                reader = writer = None
                continue
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.answers += 1
            fresh, worker = False, answer[1].get("x-pid")
            wrong = self.check(*answer)
            if wrong:
                self.errors.append(wrong)
            if answer[1].get("connection") == "close":
                writer.close()
                reader = writer = None
            if self.pause:
                await asyncio.sleep(self.pause)
        if writer is not None:
            writer.close()

    async def _answer(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:]:
            if line:
                name, value = line.split(":", 1)
                headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = int(await reader.readline(), 16)
                body += (await reader.readexactly(size + 2))[:-2]
                if size == 0:
                    break
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    def stop(self):
        """Ends the load; what was seen is in the fields."""
        self._ended.set()
        self.join(30)
        assert not self.is_alive(), "the load did not end"

    close = stop
