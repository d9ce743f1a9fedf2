# SPDX-License-Identifier: Apache-2.0
"""Random meshes, written twice: as our file and as Envoy's configuration.

A mesh is a dict: `options` of its route table, `hosts`.  A host has `name`,
`domains`, `routes` and header operations, a route a `match`, exactly one of
`route` (a list of cluster, weight, operations), `redirect`, `respond`, and
more operations.  They are our YAML's words, so that ours() has little to do
and envoy() says what each of them means there.
"""

PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/A", "/a/b/c", "/api", "/api/v1", "/api/v1/items", "/b//c",
         "/x%2Fy", "/x%20y", "/files/", "/~u", "/a;p=1", "/a:b@c"]
REGEXES = ["/[a-c]+", "/a(/.*)?", "/.*b", "/v[0-9]+/items/[^/]+", "(?i)/api/.*", "/(a|api)/(b|v1).*",
           "/.{1,6}", "/[^/]*", "/a/?b?", ".*"]
VALUE_REGEXES = ["[0-9]+", "a.*", ".*z", "(?i)jason", "one|two", ".*"]
DOMAINS = ["shop.local", "*.shop.local", "a.shop.local", "*.a.shop.local", "shop.*", "api.local",
           "api.*", "*.local", "*-x.local", "shop-*", "10.0.0.1", "b.shop.local", "*"]
HEADERS = ["x-a", "x-b", "end-user", "x_under", "user-agent", "accept"]
VALUES = ["1", "5", "-3", "one", "One", "jason", "a", "az", "two words", "a,b", "1,2", "x=y", "z"]
QUERY = ["q", "page", "Q", "a-b"]
COOKIES = ["sid", "user", "a"]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
CLUSTERS = ["c0", "c1", "c2"]
OPS_REQUEST = ["x-a", "x-new", "x-more", "end-user", "x_under", "x-b", "user-agent"]
OPS_RESPONSE = ["x-up", "x-two", "x-fresh", "x-more", "cache-control"]
ROUTE_HEADER = "x-route"
PICK = "x-pick"          # tells Envoy which of a split's clusters ours took


# --- generation ----------------------------------------------------------------

def value_match(rnd, missing):
    """`missing`: may also say what becomes of a header that is not there."""
    kind = rnd.choice(["text", "exact", "prefix", "suffix", "contains", "regex", "present", "range"])
    if kind == "text":
        return rnd.choice(VALUES)
    if kind == "present":
        return {"present": rnd.random() < 0.6}
    text = rnd.choice(VALUES)
    if kind in ("prefix", "suffix", "contains"):
        text = rnd.choice([text, text[:1], text[-1:]])
    m = {"regex": {"regex": rnd.choice(VALUE_REGEXES)},
         "range": {"range": {"start": rnd.choice([-5, 0, 1]), "end": rnd.choice([2, 5, 10])}},
         }.get(kind, {kind: text})
    if kind not in ("regex", "range") and rnd.random() < 0.3:
        m["ignore_case"] = True
    if rnd.random() < 0.25:
        m["invert"] = True
    if missing and rnd.random() < 0.15:
        m["treat_missing_as_empty"] = True
    return m


def text_match(rnd, present):
    """Where Envoy knows neither ranges nor, in parameters, inversion."""
    while True:
        m = value_match(rnd, False)
        if isinstance(m, dict):
            m.pop("invert", None)
            if "range" in m or ("present" in m and (not present or not m["present"])):
                continue
        return m


def path_match(rnd):
    kind = rnd.choice(["text", "prefix", "exact", "separated_prefix", "regex", "prefix", "exact"])
    if kind == "regex":
        return {"regex": rnd.choice(REGEXES)}
    path = rnd.choice(PATHS)
    if kind == "text":
        return path
    if kind == "separated_prefix":
        path = path.rstrip("/") or "/a"
    m = {kind: path}
    if rnd.random() < 0.2:
        m["ignore_case"] = True
    return m


def match(rnd):
    m = {"path": path_match(rnd)}
    if rnd.random() < 0.2:
        m["methods"] = rnd.sample(METHODS, rnd.choice([1, 1, 2, 3]))
    if rnd.random() < 0.25:
        m["headers"] = {h: value_match(rnd, True) for h in rnd.sample(HEADERS, rnd.choice([1, 1, 2]))}
    if rnd.random() < 0.05:
        m.setdefault("headers", {})[":authority"] = {"suffix": ".local", "ignore_case": True}
    if rnd.random() < 0.03:
        m.setdefault("headers", {})[":method"] = {"prefix": "P", "invert": rnd.random() < 0.5}
    if rnd.random() < 0.03:
        m.setdefault("headers", {})[":scheme"] = {"exact": rnd.choice(["http", "https"])}
    if rnd.random() < 0.05:
        m.setdefault("headers", {})[":path"] = {"contains": rnd.choice(["?", "a", "%2F", "//"])}
    if rnd.random() < 0.12:
        m["query"] = {rnd.choice(QUERY): text_match(rnd, True)}
    if rnd.random() < 0.12:
        m["cookies"] = {rnd.choice(COOKIES): text_match(rnd, False)}
        if rnd.random() < 0.3:
            only = next(iter(m["cookies"]))
            text = m["cookies"][only]
            m["cookies"][only] = {**(text if isinstance(text, dict) else {"exact": text}), "invert": True}
    if rnd.random() < 0.05:
        m["grpc"] = True
    if rnd.random() < 0.06:
        m["percentage"] = rnd.choice([0, 100])
    return m


def operations(rnd, names, often):
    ops = {}
    if rnd.random() < often:
        ops["remove"] = rnd.sample(names, rnd.choice([1, 2]))
    if rnd.random() < often:
        ops["set"] = {n: rnd.choice(VALUES) for n in rnd.sample(names, rnd.choice([1, 2]))}
    if rnd.random() < often:
        ops["add"] = {n: rnd.choice(VALUES) for n in rnd.sample(names, rnd.choice([1, 2]))}
    return ops


def both_operations(rnd, often):
    both = {"request_headers": operations(rnd, OPS_REQUEST, often),
            "response_headers": operations(rnd, OPS_RESPONSE, often)}
    return {k: v for k, v in both.items() if v}


def redirect(rnd):
    r = {}
    for key, values in (("scheme", ["https", "http"]), ("host", ["new.local", "new.local:81"]),
                        ("port", [80, 443, 8443])):
        if rnd.random() < 0.4:
            r[key] = rnd.choice(values)
    if r.get("host") == "new.local:81":
        r.pop("port", None)
    kind = rnd.choice(["path", "prefix_rewrite", None])
    if kind:
        r[kind] = rnd.choice(["/new", "/new/", "/"] + (["/p?x=1"] if kind == "path" else []))
    if not r:
        r["scheme"] = "https"
    if rnd.random() < 0.5:
        r["status"] = rnd.choice([301, 302, 303, 307, 308])
    if rnd.random() < 0.3:
        r["strip_query"] = True
    return r


def split(rnd):
    entries = []
    for name in rnd.sample(CLUSTERS, rnd.choice([2, 3])):
        entries.append({"cluster": name, "weight": rnd.choice([0, 1, 3, 10]), **both_operations(rnd, 0.25)})
        if rnd.random() < 0.2:
            entries[-1]["rewrite"] = {"host": rnd.choice(["own.local", "own.local:81"])}
    entries[0]["weight"] = 7
    return entries


def route(rnd, name):
    r = {"name": name, "match": match(rnd)}
    kind = rnd.random()
    if kind < 0.14:
        r["redirect"] = redirect(rnd)
    elif kind < 0.22:
        r["respond"] = {"status": rnd.choice([200, 204, 403, 404, 418, 503]), "body": rnd.choice(["", "no\n"])}
        if r["respond"]["status"] == 204:
            r["respond"]["body"] = ""
    else:
        r["route"] = split(rnd) if kind < 0.4 else [
            {"cluster": "none" if rnd.random() < 0.03 else rnd.choice(CLUSTERS), "weight": 1}]
        if rnd.random() < 0.25:
            r["rewrite"] = {"prefix": rnd.choice(["/", "/new", "/new/", "/n%2Fw"])}
        if rnd.random() < 0.15:
            r.setdefault("rewrite", {})["host"] = rnd.choice(["in.local", "in.local:8080"])
    r.update(both_operations(rnd, 0.2))
    return r


def mesh(rnd, name, options):
    domains = rnd.sample(DOMAINS[:-1], len(DOMAINS) - 1)
    hosts = []
    while domains and len(hosts) < 5:
        some = [domains.pop() for _ in range(min(len(domains), rnd.choice([1, 1, 2, 3])))]
        host = {"name": f"h{len(hosts)}", "domains": some, **both_operations(rnd, 0.15)}
        host["routes"] = [route(rnd, f"{name}.{host['name']}.{i}") for i in range(rnd.randrange(3, 14))]
        hosts.append(host)
    hosts[-1]["domains"].append("*")
    for host in hosts:
        if rnd.random() < 0.7:
            host["routes"].append({"name": f"{name}.{host['name']}.rest", "match": {},
                                   "route": [{"cluster": "c0", "weight": 1}]})
    return {"name": name, "options": options, "hosts": hosts}


# --- as our file -----------------------------------------------------------------

def with_stamp(ops, name, stamp):
    """The route's name in both directions, by the last of the operations that
    the route itself has."""
    ops = {k: dict(v) for k, v in ops.items()}
    for direction in stamp:
        ops.setdefault(direction, {})
        ops[direction]["set"] = {**ops[direction].get("set", {}), ROUTE_HEADER: name}
    return ops


def operations_of(thing):
    return {k: thing[k] for k in ("request_headers", "response_headers") if k in thing}


def stamped(r):
    directions = ["response_headers"] + (["request_headers"] if "route" in r else [])
    return with_stamp(operations_of(r), r["name"], directions)


def ours(m):
    hosts = []
    for host in m["hosts"]:
        routes = [{**r, **stamped(r)} for r in host["routes"]]
        for r in routes:
            if "route" not in r:
                r.pop("request_headers", None)
        hosts.append({**host, "routes": routes})
    return {"route_table": {"name": m["name"], **m["options"]}, "hosts": hosts}


def our_clusters(at):
    """`at`: name to "address:port"; the cluster "none" has no endpoints."""
    return {"clusters": {**{n: {"endpoints": [a]} for n, a in at.items()}, "none": {"endpoints": []}}}


# --- as Envoy's configuration ------------------------------------------------------

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
SLASHES = {"keep": "KEEP_UNCHANGED", "reject": "REJECT_REQUEST", "redirect": "UNESCAPE_AND_REDIRECT",
           "unescape": "UNESCAPE_AND_FORWARD"}
CODES = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT",
         308: "PERMANENT_REDIRECT"}


def envoy_text(m):
    if isinstance(m, str):
        return {"exact": m}
    out = {"safe_regex": {"regex": v} if k == "regex" else v for k, v in m.items() if k == "regex"}
    out.update({k: v for k, v in m.items() if k in ("exact", "prefix", "suffix", "contains", "ignore_case")})
    return out


def envoy_value(m):
    """The fields of a HeaderMatcher beside its name."""
    if isinstance(m, str):
        return {"string_match": {"exact": m}}
    out = {}
    if "present" in m:
        out["present_match"] = m["present"]
    elif "range" in m:
        out["range_match"] = m["range"]
    else:
        out["string_match"] = envoy_text(m)
    if m.get("invert"):
        out["invert_match"] = True
    if m.get("treat_missing_as_empty"):
        out["treat_missing_header_as_empty"] = True
    return out


def envoy_parameter(name, m):
    if isinstance(m, dict) and "present" in m:
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": envoy_text(m)}


def envoy_match(m):
    path = m.get("path", "/")
    if isinstance(path, str):
        path = {"prefix": path}
    names = {"prefix": "prefix", "exact": "path", "separated_prefix": "path_separated_prefix"}
    out = {names[k]: v for k, v in path.items() if k in names}
    if "regex" in path:
        out["safe_regex"] = {"regex": path["regex"]}
    if path.get("ignore_case"):
        out["case_sensitive"] = False
    headers = [{"name": k, **envoy_value(v)} for k, v in m.get("headers", {}).items()]
    if "methods" in m:
        headers.append({"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(m["methods"])}}})
    out["headers"] = headers
    out["query_parameters"] = [envoy_parameter(k, v) for k, v in m.get("query", {}).items()]
    out["cookies"] = [{"name": k, "string_match": envoy_text(v),
                       "invert_match": isinstance(v, dict) and v.get("invert", False)}
                      for k, v in m.get("cookies", {}).items()]
    if m.get("grpc"):
        out["grpc"] = {}
    if "percentage" in m:
        out["runtime_fraction"] = {"default_value": {
            "numerator": round(m["percentage"] * 10000), "denominator": "MILLION"}}
    return {k: v for k, v in out.items() if v not in ([], None)}


def envoy_operations(ops):
    out = {}
    for direction, o in ops.items():
        prefix = direction.replace("_headers", "_headers_to_")
        rows = [(k, v, "OVERWRITE_IF_EXISTS_OR_ADD") for k, v in o.get("set", {}).items()]
        rows += [(k, v, "APPEND_IF_EXISTS_OR_ADD") for k, v in o.get("add", {}).items()]
        if rows:
            out[prefix + "add"] = [{"header": {"key": k, "value": v}, "append_action": a} for k, v, a in rows]
        if "remove" in o:
            out[prefix + "remove"] = o["remove"]
    return out


def envoy_action(r):
    entries = r["route"]
    if len(entries) == 1 and not operations_of(entries[0]):
        action = {"cluster": entries[0]["cluster"]}
    else:
        action = {"weighted_clusters": {"header_name": PICK, "clusters": [
            {"name": e["cluster"], "weight": e["weight"], **envoy_operations(operations_of(e)),
             **({"host_rewrite_literal": e["rewrite"]["host"]} if "rewrite" in e else {})}
            for e in entries]}}
    rewrite = r.get("rewrite", {})
    if "prefix" in rewrite:
        action["prefix_rewrite"] = rewrite["prefix"]
    if "host" in rewrite:
        action["host_rewrite_literal"] = rewrite["host"]
    return {"route": action}


def envoy_redirect(r):
    names = {"scheme": "scheme_redirect", "host": "host_redirect", "port": "port_redirect",
             "path": "path_redirect", "prefix_rewrite": "prefix_rewrite", "strip_query": "strip_query"}
    out = {names[k]: v for k, v in r.items() if k in names}
    if "status" in r:
        out["response_code"] = CODES[r["status"]]
    return {"redirect": out}


def envoy_route(r):
    out = {"name": r["name"], "match": envoy_match(r["match"]), **envoy_operations(stamped(r))}
    if "route" in r:
        return {**out, **envoy_action(r)}
    if "redirect" in r:
        return {**out, **envoy_redirect(r["redirect"])}
    body = r["respond"]["body"]
    return {**out, "direct_response": {"status": r["respond"]["status"],
                                       **({"body": {"inline_string": body}} if body else {})}}


def envoy_listener(m, port):
    o = m["options"]
    routes = {
        "name": m["name"], "ignore_port_in_host_matching": o.get("ignore_port", True),
        "virtual_hosts": [{"name": h["name"], "domains": h["domains"], **envoy_operations(operations_of(h)),
                           "routes": [envoy_route(r) for r in h["routes"]]} for h in m["hosts"]]}
    manager = {
        "@type": HCM, "stat_prefix": m["name"], "route_config": routes,
        "normalize_path": o.get("normalize_path", True), "merge_slashes": o.get("merge_slashes", False),
        "path_with_escaped_slashes_action": SLASHES[o.get("escaped_slashes", "keep")],
        "generate_request_id": False, "skip_xff_append": True, "use_remote_address": True,
        "http_protocol_options": {"accept_http_10": True},
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": ROUTER, "suppress_envoy_headers": True}}]}
    return {"name": m["name"],
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager",
                                            "typed_config": manager}]}]}


def envoy_cluster(name, at=(), **more):
    rows = [{"endpoint": {"address": {"socket_address": {
        "address": a.rpartition(":")[0], "port_value": int(a.rpartition(":")[2])}}}} for a in at]
    return {"name": name, "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": rows}] if rows else []},
            **more}


def envoy(meshes, ports, at):
    return {"static_resources": {
        "listeners": [envoy_listener(m, ports[m["name"]]) for m in meshes],
        "clusters": [envoy_cluster(n, [a]) for n, a in at.items()] + [envoy_cluster("none")]}}
