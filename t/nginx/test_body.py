# SPDX-License-Identifier: Apache-2.0
"""Bodies that are still being read when their endpoint dies."""

import hashlib
import http.client
import random
import socket
import struct
import types
import threading

import pytest

from meshtest import http2
from meshtest.process import wait_for
from meshtest.upstream import Raw, mesh, metric, pair, retries, start_both

LOCATIONS = """
    location / { mesh_route; }
    location = /metrics { mesh_metrics; }
"""


@pytest.fixture
def start(agent, nginx):
    def make(text, locations=LOCATIONS, **kwargs):
        agent(text)
        return start_both(nginx, locations, **kwargs)
    return make


class Upload:
    """A request over HTTP/1.1 whose body is sent piece by piece: of `length`
    bytes, or chunked."""

    def __init__(self, port, length=None, method="PUT"):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.length = length
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        self.s.sendall(f"{method} / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode())

    def send(self, data):
        if self.length is None and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.s.sendall(data)

    def answer(self):
        """Its status; the body is over."""
        if self.length is None:
            self.s.sendall(b"0\r\n\r\n")
        r = http.client.HTTPResponse(self.s)
        r.begin()
        r.read()
        self.s.close()
        return r.status


CLIENTS = {
    "length": lambda n, size, **kw: Upload(n.port, size, **kw),
    "chunked": lambda n, size, **kw: Upload(n.port, **kw),
    "h2-length": lambda n, size, **kw: http2.Upload(n.two, size, **kw),
    "h2": lambda n, size, **kw: http2.Upload(n.two, **kw),
}


class Dying:
    """Reads `size` bytes of a body, says so with .got, and waits for .die;
    then the connection is reset, or ends in order."""

    def __init__(self, size, reset=True):
        self.size = size
        self.reset = reset
        self.got = threading.Event()
        self.die = threading.Event()
        self.connections = 0

    def __call__(self, c):
        self.connections += 1
        c.settimeout(20)
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += c.recv(1)
        head, body = data, b""
        chunked = b"chunked" in head
        while len(unframed(body) if chunked else body) < self.size:
            body += c.recv(65536)
        self.got.set()
        self.die.wait(20)
        self.end(c, head, body)

    def end(self, c, head, body):
        if self.reset:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def unframed(data):
    """The bytes of the chunks so far, the last one perhaps a part."""
    body = b""
    while b"\r\n" in data:
        size, _, data = data.partition(b"\r\n")
        size = int(size, 16)
        body += data[:size]
        data = data[size + 2:]
    return body


def logged(n, count=1):
    """(endpoint, flags, attempts) of the last upload."""
    def lines():
        found = [x.split() for x in n.access() if '"PUT ' in x or '"POST ' in x]
        return found if len(found) >= count else None

    return tuple(wait_for(lines, "the log")[-1][5:8])


def blob(size, seed=1):
    return random.Random(seed).randbytes(size)


def whole(e, body):
    """The endpoint got it whole, and once."""
    assert [(r["body_len"], r["body_sha"]) for r in e.requests] == \
        [(len(body), hashlib.sha256(body).hexdigest() if body else None)]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("first, rest", [(0, 100), (1, 1), (5000, 3), (60000, 5000),
                                         (20000, 400000)])
def test_it_goes_on_at_the_next_endpoint(start, started, endpoints, client, reset, first, rest):
    e = pair(endpoints)
    n = start(mesh(e))
    body = blob(first + rest)
    for i in (1, 2):                                # one begins at each
        dying = Dying(first, reset)
        raw = started.add(Raw(e[0], dying))
        e[1].requests.clear()
        u = CLIENTS[client](n, len(body))
        u.send(body[:first])
        wait_for(lambda: dying.got.is_set() or e[1].connections, "the first part at an endpoint")
        dying.die.set()
        raw.stop()
        if reset or len(body) > 65536:
            # Before nginx notices, it may read more than it can keep.
            wait_for(lambda: e[1].connections, "the next attempt")
        u.send(body[first:])
        assert u.answer() == 200
        assert logged(n, i) == (e[1].at, "-", "2" if dying.connections else "1")
        whole(e[1], body)
    assert metric(n, "mesh_cluster_retries_total") == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_it_goes_on_more_than_once(start, started, endpoints, client):
    """Two die with it, one does not listen, the last one gets it; what comes
    after the first death is in the copy, too."""
    e = pair(endpoints, 4)
    n = start(mesh(e, route=retries(attempts=5)))
    body = blob(200000)
    dying = [Dying(10000), Dying(50000)]
    # The next request begins at e1: e2 is next, then e3.
    for x, d in zip(e, dying):
        started.add(Raw(x, d))
    e[2].kill()
    u = CLIENTS[client](n, len(body))
    sent = 0
    for d in dying:
        u.send(body[sent:d.size])
        sent = d.size
        assert d.got.wait(10)
        d.die.set()
    wait_for(lambda: e[3].connections, "the last attempt")
    u.send(body[sent:])
    assert u.answer() == 200
    assert logged(n) == (e[3].at, "-", "4")
    whole(e[3], body)


SMALL = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304), (socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)]


class Slow(Dying):
    """Takes the rest of `total` bytes as well, once .die is set, and answers."""

    def __init__(self, total):
        super().__init__(0)
        self.total = total
        self.body = None

    def end(self, c, head, body):
        chunked = b"chunked" in head
        while (len(unframed(body)) < self.total or not body.endswith(b"\r\n0\r\n\r\n")) \
                if chunked else len(body) < self.total:
            body += c.recv(65536)
        self.body = unframed(body) if chunked else body
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("client", CLIENTS)
def test_what_an_endpoint_did_not_take_comes_again(start, started, endpoints, client):
    """It stops reading: nginx has bytes on its hands when it dies.  The next
    one is slow: the copy is made larger while the smaller one is on its way."""
    e = pair(endpoints)
    n = start(mesh(e), locations=LOCATIONS.replace(
        "mesh_route;", "client_body_buffer_size 10000; mesh_route;"))
    body = blob(90000)
    dying, slow = Dying(0), Slow(len(body))
    started.add(Raw(e[0], dying, SMALL))
    started.add(Raw(e[1], slow, SMALL))
    u = CLIENTS[client](n, len(body))
    sent = 0
    for x, more in ((dying, 32000), (slow, 60000)):
        assert x.got.wait(10)
        u.send(body[sent:more])
        sent = more
        # Nobody can tell when nginx is stuck; it has read that when these are answered.
        for _ in range(50):
            n.get("/metrics")
        x.die.set()
    u.send(body[sent:])
    assert u.answer() == 200
    assert slow.body == body


@pytest.mark.parametrize("client", CLIENTS)
def test_a_status_before_the_end_of_the_body(start, started, endpoints, client):
    e = pair(endpoints)
    n = start(mesh(e, route=retries(on="[gateway-error]")))
    body = blob(90000)

    class Refusing(Dying):
        def end(self, c, head, body):
            c.sendall(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
            c.recv(65536)

    refusing = Refusing(30000)
    started.add(Raw(e[0], refusing))
    u = CLIENTS[client](n, len(body))
    u.send(body[:30000])
    assert refusing.got.wait(10)
    refusing.die.set()
    wait_for(lambda: e[1].connections, "the second endpoint")
    u.send(body[30000:])
    assert u.answer() == 200
    whole(e[1], body)


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_a_try_that_takes_too_long(start, started, endpoints, client):
    e = pair(endpoints)
    n = start(mesh(e, route=retries(on="[reset]", more=", per_try_timeout: 2s")))
    body = blob(1000)
    dying = Dying(500)
    started.add(Raw(e[0], dying))
    u = CLIENTS[client](n, len(body))
    u.send(body[:500])
    wait_for(lambda: e[1].connections, "the second endpoint")
    u.send(body[500:])
    assert u.answer() == 200
    whole(e[1], body)
    dying.die.set()


@pytest.mark.parametrize("client", CLIENTS)
def test_unsafe_methods_if_the_route_says_so(start, started, endpoints, client):
    e = pair(endpoints)
    n = start(mesh(e, route=retries(more=", retry_unsafe: true")))
    body = blob(1000)
    dying = Dying(500)
    started.add(Raw(e[0], dying))
    u = CLIENTS[client](n, len(body), method="POST")
    u.send(body[:500])
    assert dying.got.wait(10)
    dying.die.set()
    u.send(body[500:])
    assert u.answer() == 200
    whole(e[1], body)


@pytest.mark.parametrize("method, first", [("POST", 10), ("PUT", 70000)])
@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_not_repeated(start, started, endpoints, client, method, first):
    """An unsafe method; more than is kept."""
    e = pair(endpoints)
    n = start(mesh(e, route=retries()))
    dying = Dying(first)
    started.add(Raw(e[0], dying))
    u = CLIENTS[client](n, first + 5, method=method)
    u.send(blob(first))
    assert dying.got.wait(10)
    dying.die.set()
    assert u.answer() == 502
    assert logged(n) == (e[0].at, "UC", "1")
    assert e[1].connections == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_is_left(start, started, endpoints, client):
    e = pair(endpoints)
    n = start(mesh(e, route=retries(attempts=3)))
    dying = Dying(500)
    started.add(Raw(e[0], dying))
    e[1].kill()
    for _ in range(2):
        dying.got.clear()
        u = CLIENTS[client](n, 100000)
        u.send(blob(500))
        assert dying.got.wait(10)
        dying.die.set()
        assert u.answer() == 502
    assert metric(n, "mesh_cluster_attempts_in_flight") == 0


@pytest.fixture
def full():
    """An address where connections are not accepted and not refused."""
    s = socket.socket()
    s.bind(("127.0.1.2", 0))
    s.listen(0)
    fill = [socket.socket() for _ in range(4)]
    for f in fill:
        f.setblocking(False)
        f.connect_ex(s.getsockname())
    yield types.SimpleNamespace(at="%s:%d" % s.getsockname())
    for f in fill + [s]:
        f.close()


def test_a_client_that_leaves_meanwhile(start, started, endpoints, full):
    """While nginx waits for the second endpoint to accept."""
    e = pair(endpoints, 1)
    n = start(mesh([e[0], full]))
    dying = Dying(500)
    started.add(Raw(e[0], dying))
    u = Upload(n.port, 1000)
    u.send(blob(500))
    assert dying.got.wait(10)
    dying.die.set()
    wait_for(lambda: "is retried" in n.log(), "the second attempt")
    u.send(blob(100))
    u.s.close()
    wait_for(lambda: any(line.startswith("499 ") for line in n.access()), "its log line")


@pytest.mark.slow
@pytest.mark.parametrize("client", ["length", "chunked"])
def test_a_client_is_not_blamed_for_the_time_meanwhile(start, started, endpoints, full, client):
    """Connecting takes longer than a client may be silent.  (With HTTP/2, nginx
    blames it in first attempts as well.)"""
    e = pair(endpoints, 3)
    n = start(mesh([e[0], full, e[2]], cluster="    connect_timeout: 4s\n",
                   route=retries(attempts=3)),
              locations=LOCATIONS.replace("mesh_route;", "client_body_timeout 2s; mesh_route;"))
    body = blob(1000)
    dying = Dying(500)
    started.add(Raw(e[0], dying))
    u = CLIENTS[client](n, len(body))
    u.send(body[:500])
    assert dying.got.wait(10)
    dying.die.set()
    wait_for(lambda: "is retried" in n.log(), "the second attempt")
    u.send(body[500:])
    assert u.answer() == 200
    whole(e[2], body)


def test_many_at_once(start, started, endpoints):
    """Endpoints that die at random moments: every answer is for a whole body."""
    e = pair(endpoints, 4)
    n = start(mesh(e, route=retries(attempts=8)), workers=2)
    chance = random.Random(7)
    lock = threading.Lock()

    def fickle(c):
        with lock:
            left = chance.randrange(1, 90000)
        c.settimeout(0.05)
        try:
            while left > 0:
                data = c.recv(min(8192, left))
                left -= len(data) or left
        except TimeoutError:
            pass                                # it had all of the request
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    for x in e[:2]:
        started.add(Raw(x, fickle))
    wrong = []

    def client(i):
        mine = random.Random(i)
        for k in range(12):
            body = mine.randbytes(mine.choice([1, 300, 20000, 62000]))
            u = CLIENTS[mine.choice(list(CLIENTS))](n, len(body))
            at = 0
            while at < len(body):
                step = mine.randrange(1, 20000)
                u.send(body[at:at + step])
                at += step
            status = u.answer()
            if status != 200:
                wrong.append((i, k, len(body), status))
            with lock:
                expected.append(hashlib.sha256(body).hexdigest())

    expected = []
    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []
    assert sorted(r["body_sha"] for x in e[2:] for r in x.requests) == sorted(expected)
    assert metric(n, "mesh_cluster_retries_total") > 0
