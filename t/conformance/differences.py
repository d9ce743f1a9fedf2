# SPDX-License-Identifier: Apache-2.0
"""Where nginx with mesh_route and Envoy 1.40 may differ, each as narrowly as
it can be said.  docs/envoy-differences.md has the same rows for people.

An Answer says which requests the two may answer differently, and how.  A
Spelling makes one of two spellings of the same thing: it changes what both of
them made of a request, and is an explanation if they are the same then.  Each
has a request that shows it, which must differ: what differs no longer leaves
this list.
"""

import copy
import re
import urllib.parse

import traffic

STRAY = re.compile(rb"%(?![0-9A-Fa-f]{2})")
HIGH = re.compile(rb"[\x80-\xff]")
KNOWN_METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"}
JOINED = (b"accept", b"user-agent", b"cache-control", b"via")


class Row:
    def __init__(self, name, example, act):
        self.name, self.example, self.act = name, example, act


class Answer(Row):
    """act(request, options, ours, theirs): may they differ so?"""


class Spelling(Row):
    """act(result): changes it."""


def get(target, *lines, method=b"GET", mesh="plain", version=b"HTTP/1.1", host=b"Host: nowhere", body=b""):
    return lambda: traffic.Request(mesh, method, target, [host] * bool(host) + list(lines), body, version)


def path_of(request):
    """As sent; of an absolute target what is behind its authority."""
    target = re.sub(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", b"", request.target)
    return re.split(rb"[?#]", target)[0]


def refused(result, *statuses):
    """By the proxy itself: no route's answer.  Envoy says so to gRPC clients
    in a header."""
    told = result.answer and result.answer.value(b"grpc-status") is not None
    return (told or result.status in statuses and result.route is None) \
        and result.endpoint is None


def join(result):
    for headers in (result.sent, result.headers):
        for name in JOINED:
            if headers and name in headers:
                headers[name] = [b",".join(v.replace(b", ", b",") for v in headers[name])]


def upper_escapes(text):
    return re.sub(rb"%[0-9a-fA-F]{2}", lambda m: m[0].upper(), text)


def in_path(text, change):
    path, mark, query = text.partition(b"?")
    return change(path) + mark + query


def in_targets(change):
    def act(result):
        if result.target:
            result.target = in_path(result.target, change)
        if result.location:
            result.location = in_path(result.location, change)
    return act


def escape(path):
    return re.sub(rb"[\"<>^`{|}]", lambda m: b"%%%02X" % m[0][0], path)


def is_grpc(request):
    types = request.values(b"content-type")
    return bool(types) and re.match(rb"application/grpc(\+|$)", types[0])


def grpc_status(q, o, a, b):
    """A local answer: whatever its status, but for the status the same."""
    told = b.answer and b.answer.value(b"grpc-status") is not None
    return is_grpc(q) and b.status == 200 and told and b.endpoint is None and a.endpoint is None \
        and a.route == b.route and not set(a.differs(b)) - {"status", "text", "location"}


def authority(request):
    """Of an absolute target, or of the first Host."""
    found = re.match(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)", request.target)
    return found[1] if found else (request.values(b"host") or [b""])[0]


def is_plain(host):
    found = re.fullmatch(rb"(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?(?::([0-9]+))?", host)
    return found and int(found[1] or 0) < 65536


def scheme(request):
    found = re.match(rb"([A-Za-z]*)://", request.target)
    return found and found[1].lower()


def bad_lines(request):
    """Header lines with a name that is none, with control characters, folded."""
    return [line for line in request.lines
            if not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*", line)]


def normalized(path, options):
    """Escaped slashes as they are meant to be read, dot segments removed."""
    if options["escaped_slashes"] in ("unescape", "redirect"):
        path = re.sub(rb"(?i)%2f", b"/", re.sub(rb"(?i)%5c", rb"\\", path))
    if not options["normalize_path"]:
        return path
    path = re.sub(rb"(?i)%2e", b".", path.replace(b"\\", b"/"))
    out = []
    for segment in path.split(b"/")[1:]:
        if segment == b"..":
            del out[-1:]
        elif segment != b".":
            out.append(segment)
    last = b"/" if re.search(rb"/\.{1,2}$", path) else b""
    return b"".join(b"/" + x for x in out) + last


def only_slashes(q, o, a, b):
    return o["merge_slashes"] and re.fullmatch(rb"//+", normalized(path_of(q), o))


def rises(q, o, a, b):
    """Above the root, as nginx reads: it decodes and merges first."""
    depth = 0
    for segment in re.split(rb"/+", urllib.parse.unquote_to_bytes(path_of(q)))[1:]:
        depth += {b"..": -1, b".": 0, b"": 0}.get(segment, 1)
        if depth < 0:
            return refused(a, 400)
    return False


def unescaping_redirect(q, o, a, b):
    """Ours is absolute, and is no route's."""
    if o["escaped_slashes"] != "redirect" or a.status != 307 or b.status != 307 or a.route is not None:
        return False
    return a.location.partition(b"://")[2].partition(b"/")[2] == b.location[1:]


def escapes_matter(q, o, a, b):
    """Another route, because of how a path is spelt."""
    return o["normalize_path"] and re.search(rb"%([0-9A-F]?[a-f]|[a-f][0-9A-F])|[\"<>^`{|}]", path_of(q)) \
        and "route" in a.differs(b)


def options_of(request):
    """Headers that Connection names: they are of this hop."""
    return {n.strip().lower() for v in request.values(b"connection") for n in v.split(b",")} - {b"close", b"keep-alive"}


def without(*names):
    def act(result):
        for name in names:
            if result.sent:
                result.sent.pop(name, None)
    return act


# What the examples meet: the same routes, with options of their own.
EXAMPLES = [
    {"name": name, "options": {"normalize_path": True, "merge_slashes": False, "escaped_slashes": "keep",
                               "ignore_port": True, **options},
     "hosts": [
         {"name": "shop", "domains": ["shop.local"], "routes": [
             {"name": f"{name}.shop", "match": {}, "route": [{"cluster": "c1", "weight": 1}]}]},
         {"name": "any", "domains": ["*"], "routes": [
             {"name": f"{name}.refused", "match": {"path": {"exact": "/refused"}},
              "respond": {"status": 403, "body": ""}},
             {"name": f"{name}.accept", "match": {"path": {"exact": "/accept"}, "headers": {"accept": "a"}},
              "route": [{"cluster": "c2", "weight": 1}]},
             {"name": f"{name}.short", "match": {"path": {"regex": "/short%2F"}},
              "route": [{"cluster": "c2", "weight": 1}]},
             {"name": f"{name}.rest", "match": {}, "route": [{"cluster": "c0", "weight": 1}]}]}]}
    for name, options in (("plain", {}), ("merging", {"merge_slashes": True}),
                          ("redirecting", {"escaped_slashes": "redirect"}), ("raw", {"normalize_path": False}))]

ROWS = [
    Spelling("joined headers", get(b"/", b"accept: a", b"accept: b"), join),
    Spelling("case of escapes", get(b"/%3b"), in_targets(upper_escapes)),
    Spelling("characters of no URI", get(b"/a{\"b\"}"), in_targets(escape)),
    Spelling("Proxy-Connection", get(b"/", b"Proxy-Connection: close"), without(b"proxy-connection")),
    Answer("stray percent", get(b"/a%zz"),
           lambda q, o, a, b: STRAY.search(path_of(q)) and refused(a, 400)),
    Answer("NUL in a path", get(b"/a%00", mesh="raw"),
           lambda q, o, a, b: not o["normalize_path"] and re.search(rb"%00", path_of(q)) and refused(a, 400)),
    Answer("bytes above 127", get(b"/a\xff"),
           lambda q, o, a, b: HIGH.search(q.target) and refused(b, 400)),
    Answer("fragment", get(b"/a#b"), lambda q, o, a, b: b"#" in q.target and refused(b, 400)),
    Answer("status of gRPC errors", get(b"/refused", b"content-type: application/grpc"), grpc_status),
    Answer("other schemes", get(b"ws://nowhere/"),
           lambda q, o, a, b: scheme(q) not in (None, b"http", b"https") and refused(b, 400)),
    Answer("https without TLS", get(b"https://nowhere/"),
           lambda q, o, a, b: scheme(q) == b"https" and refused(b, 403)),
    Answer("unknown methods", get(b"/", method=b"FOO"),
           lambda q, o, a, b: q.method not in KNOWN_METHODS and (refused(b, 400) or refused(a, 400, 405))),
    Answer("TRACE and CONNECT", get(b"/", method=b"TRACE"),
           lambda q, o, a, b: q.method in (b"TRACE", b"CONNECT") and refused(a, 405, 400)),
    Answer("versions", get(b"/", version=b"HTTP/2.0"),
           lambda q, o, a, b: q.version not in (b"HTTP/1.1", b"HTTP/1.0") and (
               refused(a, 400, 505) or refused(b, 400, 505) or not a.answer)),
    Answer("two Host headers", get(b"/", b"Host: elsewhere"),
           lambda q, o, a, b: len(q.values(b"host")) > 1 and refused(a, 400)),
    Answer("port that is no number", get(b"/", host=b"Host: shop.local:x"),
           lambda q, o, a, b: re.search(rb":[^\]]*[^0-9\]][^\]]*$", authority(q))),
    Answer("strange hosts", get(b"/", host=b"Host: a..b"),
           lambda q, o, a, b: not all(map(is_plain, [authority(q), *q.values(b"host")]))
           and (refused(a, 400) or refused(b, 400))),
    Answer("malformed header lines", get(b"/", b"x-a: 1\x01"),
           lambda q, o, a, b: bad_lines(q) and (refused(a, 400) or refused(b, 400))),
    Answer("joined headers as routes see them", get(b"/accept", b"accept: a", b"accept: b"),
           lambda q, o, a, b: any(len(q.values(n)) > 1 for n in JOINED) and "route" in a.differs(b)),
    Answer("only slashes", get(b"//", mesh="merging"), only_slashes),
    Answer("above the root", get(b"/a/../.."), rises),
    Answer("redirects that unescape", get(b"/a%2Fb", mesh="redirecting"), unescaping_redirect),
    Answer("escapes as routes see them", get(b"/short%2f"), escapes_matter),
    Answer("dot segments with parameters", get(b"/a/..;x/b"),
           lambda q, o, a, b: o["normalize_path"] and re.search(rb"[/\\]\.{1,2};", path_of(q))),
    Answer("headers that Connection names", get(b"/", b"Connection: x-a", b"x-a: 1"),
           lambda q, o, a, b: any(q.values(n) for n in options_of(q))),
    Answer("blanks in the request line", get(b"/a\t"),
           lambda q, o, a, b: re.search(rb"[\x00-\x20\x7f]", q.target) and (refused(a, 400) or refused(b, 400))),
    Answer("OPTIONS *", get(b"*", method=b"OPTIONS"),
           lambda q, o, a, b: q.target == b"*" and refused(a, 400)),
    Answer("query right behind an authority", get(b"http://nowhere?a"),
           lambda q, o, a, b: re.match(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*\?", q.target)),
    Answer("absolute target without Host", get(b"http://nowhere/", host=b""),
           lambda q, o, a, b: scheme(q) and not q.values(b"host") and refused(a, 400)),
]


def find(request, options, ours, theirs):
    """The rows that explain what differs, or none."""
    used = []
    ours, theirs = copy.deepcopy(ours), copy.deepcopy(theirs)
    for row in ROWS:
        if isinstance(row, Spelling) and ours.differs(theirs):
            before = ours.differs(theirs), repr(ours), repr(theirs)
            row.act(ours), row.act(theirs)
            if before != (ours.differs(theirs), repr(ours), repr(theirs)):
                used.append(row)
    if not ours.differs(theirs):
        return used
    for row in ROWS:
        if isinstance(row, Answer) and row.act(request, options, ours, theirs):
            return used + [row]
    return []
