# SPDX-License-Identifier: Apache-2.0
"""What the endpoint received, judged again, gives the same verdict.

Every route stamps its name into a request header.  So a request that comes
to the endpoint without exactly one stamp was never judged, and one that is
judged otherwise by what the endpoint sees was judged by something else.

MESH_SEED chooses other requests, MESH_SOAK more of them.
"""

import asyncio
import collections
import itertools
import os
import random
import subprocess

import pytest

from meshtest.agent import Agent
from meshtest.process import BUILD, SANITIZER_TEXT, environment, free_port
from meshtest.wire import Recorder, h2_request, talk

SEED = int(os.environ.get("MESH_SEED", "7"))
COUNT = int(3000 * float(os.environ.get("MESH_SOAK", "1")))
AT_ONCE = 200

TABLES = {
    f"t{i}": {"normalize_path": n, "merge_slashes": m, "escaped_slashes": e, "ignore_port": p}
    for i, (n, m, e, p) in enumerate(itertools.product(
        ("true", "false"), ("false", "true"),
        ("keep", "reject", "redirect", "unescape"), ("true", "false")))
}

# name, match, action ({}: to the cluster)
ROUTES = """
admin   path: {prefix: /admin}                                         respond: 403
exact   path: {exact: /a/b}
slashes path: {prefix: /x//}
escaped path: {prefix: "/a%2Fb"}
dots    path: {prefix: /x/..}
empty   path: {prefix: /h}, headers: {x-m: {exact: ""}}
listed  path: {prefix: /h}, headers: {x-m: {exact: "1,2"}}
spaced  path: {prefix: /h}, headers: {x-m: {contains: ", "}}
folded  path: {prefix: /H, ignore_case: true}, headers: {x-m: {suffix: E, ignore_case: true}}
range   path: {prefix: /h}, headers: {x-m: {range: {start: 2, end: 3}}}
cookie  path: {prefix: /h}, cookies: {a: {exact: "1"}}
query   path: {prefix: /h}, query: {a: {prefix: /}}
whole   path: {prefix: /h}, headers: {":path": {suffix: "?"}}
under   path: {prefix: /h}, headers: {x_under: {present: true}}
hosted  path: {prefix: /h}, headers: {host: {exact: shop.local}}
lacking path: {prefix: /h}, headers: {x-m: {present: false}, X-N: one}
dotted  path: {prefix: /h}, headers: {x.dot: {present: true}}
post    path: {prefix: /m}, methods: [POST]
others  path: {prefix: /m}, methods: [PUT, DELETE, OPTIONS]
segment path: {separated_prefix: /x}
inverse path: {prefix: /}, headers: {":authority": {suffix: ".local", invert: true}, x-n: {present: false}}
empties path: {prefix: /}, headers: {x-n: {exact: "", treat_missing_as_empty: true}, x_m: {present: true}}
rest    path: {prefix: /}
"""
HOSTS = {"shop": '[shop.local, "*.shop.local"]', "port": '["port.local:8080"]',
         "v6": '["[::1]"]', "any": '["*"]'}


def table(name, options):
    """Every second one is of an endpoint that speaks HTTP/2."""
    cluster = ("one", "two")[int(name[1:]) // 2 % 2]
    text = "route_table: {name: %s, %s}\nhosts:\n" % (
        name, ", ".join(f"{k}: {v}" for k, v in options.items()))
    for host, domains in HOSTS.items():
        if options["ignore_port"] == "true":
            domains = domains.replace(":8080", "")
        text += f"  - name: {host}\n    domains: {domains}\n    routes:\n"
        for line in ROUTES.strip().splitlines():
            route, match = line.split(None, 1)
            match, _, answer = match.partition("respond:")
            full = f"{name}.{host}.{route}"
            text += f"      - {{name: {full}, match: {{{match.strip()}}}, "
            text += f"respond: {answer}}}\n" if answer else \
                f"route: {cluster}, request_headers: {{set: {{x-verdict: {full}}}}}}}\n"
    return text


@pytest.fixture
def mesh(started, variant, zone, tmp_path, nginx):
    """nginx with a port a table, for HTTP/1.1 and for HTTP/2, on a recorder."""
    recorder, two = started.add(Recorder()), free_port()
    a = started.add(Agent(tmp_path / "agent", variant, zone,
                          f'clusters:\n  one: {{endpoints: ["{recorder.at}"]}}\n'
                          f'  two: {{endpoints: ["127.0.0.1:{two}"], protocol: http2}}\n'))
    (a.dir / "parts").mkdir()
    for name, options in TABLES.items():
        (a.dir / "parts" / f"{name}.yaml").write_text(table(name, options))
    a.conf.write_text(a.conf.read_text() + "  - directory: parts\n")
    a.start()
    servers = "".join(f"""
        server {{ listen 127.0.0.1:{{{t}}}; listen 127.0.0.1:{{{t}h2}} http2;
                  ignore_invalid_headers {"on" if int(t[1:]) % 3 else "off"};
                  location / {{ mesh_route {t}; }} }}""" for t in TABLES)
    n = nginx(main="mesh_zone {zone};", ports=[f"{t}{v}" for t in TABLES for v in ("", "h2")],
              http=servers + f"""
        server {{ listen 127.0.0.1:{{port}}; }}
        server {{ listen 127.0.0.1:{two} http2; keepalive_timeout 60s; ignore_invalid_headers off;
                  location / {{ proxy_pass http://{recorder.at}; proxy_http_version 1.1;
                                proxy_set_header Connection "";
                                proxy_set_header Host $http_host; }} }}
        client_header_timeout 600ms; client_body_timeout 600ms; keepalive_timeout 100ms;
        lingering_timeout 100ms; large_client_header_buffers 8 16k;""")
    return n, recorder


# --- requests ------------------------------------------------------------------

PIECES = [b"/", b"/", b"/", b"//", b"/.", b"/..", b"/../", b"/./", b".", b"..", b";", b";a=/../b",
          b"%2e", b"%2E%2e", b"%252e", b"%2f", b"%2F", b"%5c", b"\\", b"%", b"%2", b"%32", b"%%32f",
          b"%61dmin", b"admin", b"admin", b"/admin", b"a/b", b"/a", b"/a/b", b"/x", b"/h", b"/h",
          b"/m", b"x", b"%00", b"%c0%ae", b"%c0%af", b"%e0%80%af", b"\xc0\xae", b"\xff", b"%u002e",
          b"+", b"~", b"_", b"%7E", b"%41", b"@", b":", b"&", b"=", b"!", b"*", b"\"", b"|", b"^",
          b"{", b"A", b"%C3%A9", b"%0d%0a", b"%20", b"%09"]
RAW_PIECES = [b" ", b"\t", b"\x01", b"\x7f", b"\x00", b"\r"]
TAILS = [b"", b"", b"", b"?", b"?a=/../b", b"?a=1&a=/", b"?b&a=%2f", b"?a#b", b"#f", b"#/../admin", b"??", b"?%00", b"?/admin"]
AUTHORITIES = [b"shop.local", b"shop.local", b"SHOP.local", b"a.Shop.LOCAL", b"shop.local:8080",
               b"shop.local:", b"shop.local.", b"shop.local.:80", b"port.local:8080", b"port.local",
               b"port.local:08080", b"[::1]", b"[::1]:80", b"[0:0::1]", b"127.0.0.1", b"evil.local",
               b"shop.local:99999999", b"shop.local:8080:80"]
BAD_AUTHORITIES = [b"", b" ", b"shop.local,evil.local", b"shop.local evil.local", b"user@shop.local",
                   b"shop.local/admin", b"shop.local\\", b"shop.local#x", b"shop.local?x", b".",
                   b"[::1", b"shop%2elocal", b"shop.local\x00", b"\xffshop.local", b"a/../shop.local"]
METHODS = [b"GET", b"GET", b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"PURGE"]
BAD_METHODS = [b"get", b"M-SEARCH", b"TRACE", b"CONNECT", b"GE T", b"G\x00ET"]
NAMES = [b"x-m", b"X-M", b"x-m", b"X-n", b"x-N", b"x_under", b"X_Under", b"x_m", b"x.dot", b"X-Verdict",
         b"x_verdict", b"Host_", b"X-Forwarded-For", b"Via", b"TE", b"Cookie", b"cookie", b"Accept"]
COOKIES = [b"a=1", b"b=2; a=1", b"b=2;\ta=1", b"a=\"1\"", b"a=2; a=1", b"a =1", b";a=1;", b"\ta=1"]
VALUES = [b"1", b"2", b"1,2", b"", b"one", b" one", b"one\t", b"\tone ", b"1, 2", b"\xff", b"a:b"]
HOP = [b"Connection: x-m", b"Connection: close, x-n", b"Connection: upgrade\r\nUpgrade: h2c\r\n"
       b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", b"Upgrade: websocket", b"Keep-Alive: 5",
       b"Proxy-Connection: x-verdict", b"Trailer: x-m", b"Expect: 100-continue", b"Expect: x"]
HIDDEN = b"GET /admin HTTP/1.1\r\nHost: shop.local\r\nX-Hidden: 1\r\n\r\n"


STEMS = [b"/h", b"/h", b"/m", b"/a/b", b"/x//", b"/x/..", b"/a%2Fb", b"/a%2fb", b"/", b"/admin"]


def target(rnd):
    if rnd.random() < 0.02:
        return rnd.choice([b"*", b"", b"admin", b"?a", b"#", b"//", b"://", b"/" * 5000])
    path = rnd.choice(STEMS) + b"".join(rnd.choice(PIECES) for _ in range(
        rnd.choice([0, 0, 0, 1, 1, 2, 3, 4, 5])))
    if rnd.random() < 0.02:
        at = rnd.randrange(len(path))
        path = path[:at] + rnd.choice(RAW_PIECES) + path[at:]
    return path + rnd.choice(TAILS)


def authority(rnd):
    return rnd.choice(BAD_AUTHORITIES if rnd.random() < 0.05 else AUTHORITIES)


def absolute(rnd, origin):
    """Most often of the scheme http, and with what follows left out at times."""
    scheme = rnd.choice([b"http", b"http", b"HTTP", b"https", b"ws", b"h"])
    return scheme + b"://" + authority(rnd) + (origin if rnd.random() < 0.9 else origin[1:])


def method(rnd):
    return rnd.choice(BAD_METHODS if rnd.random() < 0.03 else METHODS)


def hosts(rnd):
    """Lines: one as a rule, or none, two alike, two that differ."""
    name = rnd.choice([b"Host", b"host", b"HOST"])
    first = name + b": " + authority(rnd)
    kind = rnd.random()
    if kind < 0.93:
        return [first]
    return rnd.choice([[], [first, first], [first, b"Host: " + authority(rnd)]])


def fields(rnd):
    lines = [b"X-Id: %d" % rnd.randrange(1 << 60)] + [rnd.choice(NAMES) + b":" + rnd.choice([b"", b" ", b"\t"]) + rnd.choice(VALUES)
             for _ in range(rnd.randrange(5))]
    if rnd.random() < 0.15:
        lines.append(rnd.choice(HOP))
    if rnd.random() < 0.2:
        lines.append(b"Cookie: " + rnd.choice(COOKIES))
    return lines


def chunked(rnd, body):
    size = b"%x" % len(body)
    size = rnd.choice([size, size, size.upper(), b"0" + size, size + b";a=b", size + b" ", b"0x" + size,
                       b"+" + size, b"\n" + size, b"fffffffffffffff" + size])
    end = rnd.choice([b"\r\n", b"\r\n", b"\n", b"\r", b""])
    return size + end + body + end + rnd.choice(
        [b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX-M: 1\r\n\r\n", b"0\n\n", b"00\r\n\r\n", b""])


LENGTH, CODING = b"Content-Length: %d", b"Transfer-Encoding: chunked"


def misframed(rnd, body):
    """What a body's end is, said badly or twice: [(lines, body)]."""
    length, parts = LENGTH % len(body), chunked(rnd, body)
    return [
        ([length, CODING], parts), ([CODING, length], parts), ([CODING, b"Content-Length: 3"], parts),
        ([b"Content-Length: 0", CODING], body), ([CODING, CODING], parts),
        ([length, length], body), ([length, b"Content-Length: 0"], body),
        ([b"Content-Length: +3"], b"abc"), ([b"Content-Length: 3, 3"], b"abc"),
        ([b"Content-Length: -1"], body), ([b"Content-Length: 0x3"], b"abc"),
        ([b"Content-Length: 3 0"], b"abc"), ([b"Content-Length:"], body),
        ([b"Content-Length: 18446744073709551616"], body), ([b"Content-Length : 3"], b"abc"),
        ([b"Content_Length: 3"], body), ([b"Transfer_Encoding: chunked"], parts),
        ([b"Transfer-Encoding : chunked"], parts), ([b"Transfer-Encoding: chunked, identity"], parts),
        ([b"Transfer-Encoding: identity, chunked"], parts), ([b"Transfer-Encoding: Chunked"], parts),
        ([b"Transfer-Encoding: xchunked", length], body), ([b"Transfer-Encoding: identity", length], body),
        ([b"Transfer-Encoding:\tchunked"], parts), ([b"Transfer-Encoding: \x0bchunked"], parts),
        ([b"Transfer-Encoding:\r\n chunked", length], parts), ([b" Transfer-Encoding: chunked"], parts),
        ([b"X: y\rTransfer-Encoding: chunked"], parts), ([b"X: y\nTransfer-Encoding: chunked"], parts),
    ]


def framed(rnd):
    """(lines, body)"""
    body = rnd.choice([b"", b"abc", b"x" * 3000, HIDDEN])
    kind = rnd.random()
    if kind < 0.6:
        return [], b""
    if kind < 0.8:
        return [LENGTH % len(body)], body
    if kind < 0.87:
        return [CODING], chunked(rnd, body)
    return rnd.choice(misframed(rnd, body))


# In a head, what two readers may read in two ways.
BENT = [
    b" x-m: 1", b"\tx-m: 1", b"x-m : 1", b"x-m\t: 1", b"x-m", b": 1", b"x m: 1", b"x-m: 1\x00",
    b"x-m: 1\rx-n: one", b"x-m: 1\nx-n: one", b"x-m: 1\n\nGET /admin HTTP/1.1", b"x-m\x00: 1",
    b"x-m: 1\r", b"\r", b"\n", b"\x0bx-m: 1", b"x-m\xff: 1", b"Host : evil.local", b" Host: evil.local",
    b"Host\x00: evil.local", b"x-m:\r\n 1", b"x-m: 1\r\n\t,2", b"(x): 1", b"x-m: " + b"a" * 9000]


def http1(rnd):
    origin = target(rnd)
    first = method(rnd) + b" " + (absolute(rnd, origin) if rnd.random() < 0.15 else origin)
    version = b"HTTP/1.1" if rnd.random() < 0.98 else rnd.choice(
        [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 x", b""])
    framing, body = framed(rnd)
    lines = hosts(rnd) + fields(rnd) + framing
    rnd.shuffle(lines)
    lines.insert(0, rnd.choice([b""] * 9 + [b"\r\n", b"\n"]) + first + b" " + version)
    if rnd.random() < 0.15:
        lines.insert(rnd.randrange(1, len(lines) + 1), rnd.choice(BENT))
    end = b"\n" if rnd.random() < 0.03 else b"\r\n"
    data = end.join(lines) + end + end + body
    return data + (HIDDEN.replace(b"/admin", b"/m") if rnd.random() < 0.1 else b"")


def http1_each(rnd):
    """Every bent line at every place, every bad framing with and without a
    request behind it."""
    first, rest = b"POST /h HTTP/1.1", [b"Host: shop.local", b"X-N: one"]
    for line, at in itertools.product(BENT, range(4)):
        lines = [first, *rest]
        lines.insert(at, line)
        yield b"\r\n".join(lines) + b"\r\n\r\n"
    for body, more in itertools.product([b"", b"abc", HIDDEN], [b"", HIDDEN.replace(b"/admin", b"/m")]):
        for lines, data in misframed(rnd, body):
            yield b"\r\n".join([first, *rest, *lines]) + b"\r\n\r\n" + data + more


def http2(rnd):
    rows = [(b":method", method(rnd)), (b":scheme", rnd.choice([b"http"] * 20 + [b"x y", b""])),
            (b":path", target(rnd) if rnd.random() < 0.95 else absolute(rnd, target(rnd)))]
    if rnd.random() < 0.9:
        rows.append((b":authority", authority(rnd)))
    rnd.shuffle(rows)
    if rnd.random() < 0.1:
        rows.append(rnd.choice([(b":path", b"/admin"), (b":method", b"GET"), (b":authority", b"evil.local"),
                                (b":protocol", b"websocket"), (b":x", b"y")]))
    rest = [tuple(x.strip(b" \t") if i else x for i, x in enumerate(line.split(b":", 1)))
            for line in fields(rnd) + (hosts(rnd) if rnd.random() < 0.15 else []) if b"\r" not in line]
    if rnd.random() < 0.9:
        rest = [(k.lower(), v) for k, v in rest]
    body = None
    if rnd.random() < 0.3:
        body = rnd.choice([b"", b"abc", HIDDEN])
        rest += rnd.choice([[]] * 8 + [[(b"content-length", b"%d" % len(body))]] * 4 + [[(b"content-length", b"1")],
                            [(b"transfer-encoding", b"chunked")], [(b"content-length", b"x")]])
    if rnd.random() < 0.1:
        rest.append(rnd.choice([(b"x-m", b"1\r\nx-n: one"), (b"x-m", b"1\n"), (b"x-m: 1\r\nx-n", b"one"),
                                (b"x-m\n", b"1"), (b"x-m", b"1\x00"), (b"", b"1"), (b"x m", b"1"),
                                (b"connection", b"upgrade"), (b"upgrade", b"h2c"), (b":path", b"/admin"),
                                (b"te", b"trailers")]))
    return h2_request(rows + rest, body)


# --- the property ---------------------------------------------------------------

def send_all(rnd, n):
    async def worker(todo):
        for port, data in todo:
            answer = await talk(port, data)
            statuses[answer[9:12] if answer.startswith(b"HTTP/1.1 ") else b"h2"] += 1

            sent.append(data)

    def port(version):
        return n.names[rnd.choice(list(TABLES)) + version]

    async def run():
        todo = itertools.chain(
            ((port(""), data) for data in http1_each(rnd)),
            ((port(v), http2(rnd) if v else http1(rnd))
             for v in (rnd.choice(["", "", "h2"]) for _ in range(COUNT))))
        await asyncio.gather(*(worker(todo) for _ in range(AT_ONCE)))

    statuses, sent = collections.Counter(), []
    asyncio.run(run())
    return statuses, sent


def judge(variant, zone, requests):
    """By explain's code: [(verdict, path)]."""
    text = b""
    for seen, stamp in requests:
        # An HTTP/1.0 request without Host gets the cluster's name for one.
        rows = b"".join(k + b": " + v + b"\n" for k, v in seen.headers if k.lower() != b"x-verdict"
                        and (k.lower(), v) not in ((b"host", b"one"), (b"host", b"two")))
        text += stamp.split(b".")[0] + b"\n" + seen.method + b" " + seen.target + b"\n" + rows + b"\n"
    done = subprocess.run([str(BUILD / variant / "tools/judge"), str(zone)], input=text,
                          capture_output=True, env=environment(variant), timeout=120)
    assert not any(s.encode() in done.stderr for s in SANITIZER_TEXT), done.stderr
    assert done.returncode == 0, done.stderr
    return [tuple(line.split(b" ", 1)) for line in done.stdout.splitlines()]


def test_what_the_endpoint_received_is_judged_alike(mesh, variant, zone):
    n, recorder = mesh
    statuses, sent = send_all(random.Random(SEED), n)
    assert recorder.ambiguous == []
    stamped = []
    for seen in recorder.requests:
        stamp = seen.values(b"x-verdict")
        assert len(stamp) == 1, (seen.method, seen.target, seen.headers)
        stamped.append((seen, stamp[0]))
    verdicts = judge(variant, zone, stamped)
    assert len(verdicts) == len(stamped)
    for (seen, stamp), (verdict, path) in zip(stamped, verdicts):
        if verdict != stamp or path != seen.target.partition(b"?")[0]:
            ids = seen.values(b"x-id")
            pytest.fail(f"judged {stamp} for {[d for d in sent if all(i in d for i in ids)][:3]}, "
                        f"but {verdict} with path {path} for what the endpoint received: "
                        f"{seen.method} {seen.target} {seen.headers}")
    routes = collections.Counter(s.split(b".", 1)[1].decode() for _, s in stamped)
    print(f"{len(sent)} sent with seed {SEED}, {len(stamped)} came through, by {len(routes)} routes; "
          f"{dict(statuses)}")
    assert len(stamped) > COUNT / 5
    assert {r.split(".")[1] for r in routes} >= {
        line.split()[0] for line in ROUTES.strip().splitlines()} - {"admin", "dots"}
