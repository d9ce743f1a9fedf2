# SPDX-License-Identifier: Apache-2.0
"""Requests as bytes: an endpoint that records strictly what came, and
clients that send what no library would."""

import asyncio
import re
import struct
import threading

from .process import free_port

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/1\.1")
# No folding, nothing before the colon, no control characters.
HEADER_LINE = re.compile(rb"([^\x00-\x20\x7f:]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
CHUNK_SIZE = re.compile(rb"[0-9a-f]{1,8}\r\n")


class Ambiguous(Exception):
    """Bytes that two endpoints could read in two ways."""


class Seen:
    """A request at its endpoint."""

    def __init__(self, head):
        lines = head[:-4].split(b"\r\n")
        first = REQUEST_LINE.fullmatch(lines[0])
        rows = [HEADER_LINE.fullmatch(line) for line in lines[1:]]
        if not first or not all(rows):
            raise Ambiguous(head)
        self.method, self.target = first.groups()
        self.headers = [(m[1], m[2].rstrip(b" \t")) for m in rows]
        self.body = b""

    def values(self, name):
        return [v for k, v in self.headers if k.lower() == name]

    def framing(self):
        """("length", n), or ("chunked", 0)."""
        length, coding = self.values(b"content-length"), self.values(b"transfer-encoding")
        if len(self.values(b"host")) != 1 or len(length) + len(coding) > 1:
            raise Ambiguous(self.headers)
        if coding:
            if coding != [b"chunked"]:
                raise Ambiguous(self.headers)
            return "chunked", 0
        if length and not re.fullmatch(rb"[0-9]{1,12}", length[0]):
            raise Ambiguous(self.headers)
        return "length", int(length[0]) if length else 0


class Recorder:
    """An endpoint that answers 200 to all it can read in one way only."""

    def __init__(self, address="127.0.0.1"):
        self.address, self.port = address, free_port(address)
        self.at = f"{address}:{self.port}"
        self.requests = []
        self.ambiguous = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, address, self.port))

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _serve(self, reader, writer):
        try:
            while True:
                head = await self._head(reader)
                if not head:
                    return
                seen = Seen(head)
                seen.body = await self._body(reader, *seen.framing())
                self.requests.append(seen)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except Ambiguous as e:
            self.ambiguous.append(e)
        except (OSError, asyncio.IncompleteReadError):
            pass        # of a client that left in its body, as a rule
        finally:
            writer.close()

    async def _head(self, reader):
        """Empty: the connection ended where a request would begin."""
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as e:
            if e.partial:
                raise Ambiguous(e.partial) from None
            return b""
        except asyncio.LimitOverrunError:
            raise Ambiguous("a head without an end") from None

    async def _body(self, reader, kind, length):
        if kind == "length":
            return await reader.readexactly(length)
        body = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            if not CHUNK_SIZE.fullmatch(line):
                raise Ambiguous(line)
            size = int(line, 16)
            chunk = await reader.readexactly(size + 2)
            if chunk[-2:] != b"\r\n":
                raise Ambiguous(chunk)
            body += chunk[:-2]
            if size == 0:
                return body

    def stop(self):
        async def end():
            self._server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        if self._thread.is_alive():
            self._run(end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    close = stop


async def talk(port, data):
    """Sends bytes and reads until nginx closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(-1), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


# --- HTTP/2 (RFC 9113) and HPACK (RFC 7541), as little as sending takes -------

HEADERS, DATA, SETTINGS, GOAWAY = 1, 0, 4, 7
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def hpack_string(text):
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, more = len(text) - 127, b""
    while rest > 127:
        more, rest = more + bytes([rest & 127 | 128]), rest >> 7
    return b"\x7f" + more + bytes([rest]) + text


def h2_request(fields, body=None):
    """A connection with one request: literal fields, no table, no Huffman."""
    block = b"".join(b"\0" + hpack_string(k) + hpack_string(v) for k, v in fields)
    flags = END_HEADERS | (END_STREAM if body is None else 0)
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
    data += frame(HEADERS, flags, 1, block)
    if body is not None:
        data += frame(DATA, END_STREAM, 1, body)
    return data + frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0))
