# SPDX-License-Identifier: Apache-2.0
"""Requests as bytes: plain ones that the meshes' routes wait for, and hostile
ones."""

import random

import meshes

PIECES = [b"/", b"/", b"//", b"/.", b"/..", b"/../", b"/./", b"/...", b".", b"..", b";", b";x=/../a", b"%2e",
          b"%2E%2e", b"%252e", b"%2f", b"%2F", b"%5c", b"%5C", b"\\", b"%", b"%2", b"%zz", b"%%32f", b"%41", b"%7E",
          b"a", b"A", b"b", b"/a", b"/b", b"/api", b"x", b"1", b"%00", b"%c0%ae", b"%ff", b"\xc3\xa9", b"\xff",
          b"%u002e", b"+", b"~", b"_", b"@", b":", b"&", b"=", b"!", b"*", b"'", b"\"", b"|", b"^", b"{", b"<",
          b"`", b"%C3%A9", b"%0d%0a", b"%20", b"%09", b"a" * 300]
RARE = [b" ", b"\t", b"\x01", b"\x7f", b"\x00", b"#", b"#x?y"]
QUERIES = [b"?q=1", b"?q=one", b"?page=5&q=jason", b"?Q=1", b"?a-b=z&q", b"?q", b"?q=", b"?", b"??", b"?q=1&q=5",
           b"?q=%31", b"?q=/../a", b"?page=-3;q=1", b"?&&q=1", b"?=1", b"?q=1#f", b"?q==a", b"?\xff", b"?q=a+b",
           b"?page=a%2Cb&user=1", b"?%71=1"]
HOSTS = [b"shop.local", b"shop.local", b"www.shop.local", b"a.shop.local", b"x.a.shop.local", b"b.shop.local",
         b"shop.example", b"shop.", b"api.local", b"api.x.local", b"other.local", b"one-x.local",
         b"-x.local", b"shop-1.local", b"shop-x.local", b"shop-", b"10.0.0.1",
         b"nowhere", b"SHOP.LOCAL", b"A.shop.Local", b"shop.local:80", b"shop.local:8080", b"api.local:65535",
         b"a.shop.local:443", b"10.0.0.1:80"]
ODD_HOSTS = [b"", b"shop.local.", b"shop.local:", b"shop.local:x", b"shop.local:99999", b"[::1]", b"[::1]:80",
             b"[::1", b"shop_local", b"a b", b"user@shop.local", b"shop.local/a", b"shop.local?", b"shop.local\\",
             b"shop%2elocal", b"\xff.local", b"shop.local,api.local", b".", b".local", b"-", b"shop..local",
             b"shop.local:80:80", b"shop.local:080", b"*.shop.local", b"a" * 300 + b".local"]
METHODS = [m.encode() for m in meshes.METHODS]
ODD_METHODS = [b"get", b"Get", b"TRACE", b"CONNECT", b"PURGE", b"M-SEARCH", b"FOO", b"PROPFIND", b"G@T", b"_", b"X" * 40]
ODD_LINES = [b"x-a:", b"x-a: ", b"x-a:\t1\t", b"x-a:  1", b"X-A: 1", b"x-a: 1,2", b"x-a: a\tb", b"x-a: \xff",
             b"x-a: \xc3\xa9", b"x-a: 1\x01", b"x-a: 1\x00", b"x-a : 1", b"x a: 1", b": 1", b"x-a", b" x-a: 1",
             b"x-a: 1\r\n 2", b"x_a: 1", b"x.a: 1", b"x-a: " + b"v" * 5000, b"(x): 1", b"x-a: \"1\""]
HOP = [b"Connection: x-a", b"Connection: close", b"Connection: keep-alive", b"Keep-Alive: 5", b"TE: trailers", b"TE: gzip",
       b"Proxy-Connection: close", b"Trailer: x-a", b"Upgrade: websocket", b"Expect: 100-continue", b"Via: 1.1 x",
       b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: h", b"Forwarded: for=1.2.3.4",
       b"x-envoy-original-path: /admin", b"X-Real-IP: 1.2.3.4", b"x-request-id: 1"]
COOKIES = [b"sid=1", b"sid=one; user=jason", b"user=\"az\"", b"a=1; sid=5", b"sid=1; sid=one", b"sid =1", b";a=1;",
           b"a=", b"a", b"sid=1;user=a", b"sid=x=y", b"sid=\"1", b" sid=1", b"sid=1,user=a"]
TYPES = [b"application/grpc", b"application/grpc+proto", b"application/grpc-web", b"APPLICATION/GRPC", b"text/plain"]


class Request:
    """`port`: of a mesh; `data`: the bytes, without x-id."""

    def __init__(self, mesh, method, target, lines, body=b"", version=b"HTTP/1.1"):
        self.mesh, self.method, self.target, self.lines, self.body = mesh, method, target, lines, body
        self.version = version

    def data(self, number, more=()):
        lines = [b"x-id: %d" % number, *more, *self.lines]
        return b"%s %s %s\r\n" % (self.method, self.target, self.version) + \
            b"".join(line + b"\r\n" for line in lines) + b"\r\n" + self.body

    def values(self, name):
        """Of a header, as sent: of lines that are well-formed."""
        pairs = (line.split(b":", 1) for line in self.lines if b":" in line)
        return [v.strip(b" \t") for k, v in pairs if k.lower() == name]

    def __repr__(self):
        return f"[{self.mesh}] {self.data(0)!r}"


def path(rnd, hostile):
    text = rnd.choice(meshes.PATHS).encode()
    for _ in range(rnd.choice([0, 0, 1, 2] if not hostile else [1, 1, 2, 3, 5])):
        if not hostile:
            text += rnd.choice([b"/", b"a", b"/b", b"/1", b"x"])
            continue
        at = len(text) if rnd.random() < 0.7 else rnd.randrange(1, len(text) + 1)
        text = text[:at] + rnd.choice(RARE if rnd.random() < 0.02 else PIECES) + text[at:]
    if rnd.random() < 0.1:
        text = text.swapcase()
    if hostile and rnd.random() < 0.01:
        text += b"/" + b"y" * rnd.choice([2000, 7000])
    return text


def target(rnd, hostile):
    text = path(rnd, hostile and rnd.random() < 0.75)
    if rnd.random() < 0.3:
        text += rnd.choice(QUERIES)
    if not hostile:
        return text
    kind = rnd.random()
    if kind < 0.02:
        return rnd.choice([b"*", b"a", b"?q", b"#", b"//", b"://", b"/" * 3000, b"//evil.local/a", b""])
    if kind < 0.1:
        scheme = rnd.choice([b"http", b"http", b"http", b"HTTP", b"https", b"ws", b"h", b""])
        return scheme + b"://" + host(rnd, True) + (text if rnd.random() < 0.9 else b"")
    return text


def host(rnd, hostile):
    return rnd.choice(ODD_HOSTS if hostile and rnd.random() < 0.06 else HOSTS)


def value(rnd):
    return rnd.choice(meshes.VALUES).encode()


def lines(rnd, hostile):
    found = []
    for _ in range(rnd.choice([0, 0, 1, 1, 2, 3])):
        found.append(rnd.choice(meshes.HEADERS + ["x-new", "x-more", "X-A", "End-User"]).encode() + b": " + value(rnd))
    if rnd.random() < 0.2:
        found.append(rnd.choice([b"Cookie: ", b"cookie:"]) + rnd.choice(COOKIES))
        if hostile and rnd.random() < 0.1:
            found.append(b"Cookie: " + rnd.choice(COOKIES))
    if rnd.random() < 0.08:
        found.append(b"Content-Type: " + rnd.choice(TYPES))
    if hostile and rnd.random() < 0.12:
        found.append(rnd.choice(ODD_LINES))
    if hostile and rnd.random() < 0.08:
        found.append(rnd.choice(HOP))
    kind = rnd.random()
    name = rnd.choice([b"Host", b"host", b"HOST"])
    if not hostile or kind > 0.03:
        found.append(name + b": " + host(rnd, hostile))
    elif kind > 0.02:
        found += [b"Host: shop.local", b"Host: " + host(rnd, False)]
    rnd.shuffle(found)
    return found


def request(rnd, mesh):
    hostile = rnd.random() < 0.5
    method = rnd.choice(ODD_METHODS if hostile and rnd.random() < 0.04 else METHODS)
    r = Request(mesh, method, target(rnd, hostile), lines(rnd, hostile))
    if method in (b"POST", b"PUT", b"PATCH") and rnd.random() < 0.6:
        r.body = rnd.choice([b"", b"abc", b"x" * 2000])
        r.lines.append(b"Content-Length: %d" % len(r.body))
    if hostile and rnd.random() < 0.01:
        r.version = rnd.choice([b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1"])
    return r


def requests(seed, names, count):
    rnd = random.Random(seed)
    return [request(rnd, rnd.choice(names)) for _ in range(count)]
