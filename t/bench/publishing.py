# SPDX-License-Identifier: Apache-2.0
"""What a snapshot and a publishing cost, at 2,000 clusters x 50 endpoints.

The time of a change is from the moment the agent is told (a line on its
socket, a renamed file) to the first answer that was decided by it.
"""

import http.client
import json
import socket
import time

import proxies

CLUSTERS, ENDPOINTS = 2000, 50


def address(cluster, endpoint, port=9080):
    n = cluster * ENDPOINTS + endpoint
    return f"127.{1 + n // 65025}.{n // 255 % 255}.{1 + n % 255}:{port}"


def cluster(i, endpoints, port=9080):
    return {"endpoints": [{"address": address(i, e, port), "labels": {"version": f"v{e % 3}"}}
                          for e in range(endpoints)]}


def mesh(stamp, endpoints=ENDPOINTS, at="127.0.0.1:1"):
    """`stamp` is the live route's name: an answer shows which mesh made it."""
    clusters = {f"service-{i}.ns-{i % 20}.svc.cluster.local": cluster(i, endpoints)
                for i in range(CLUSTERS - 1)}
    clusters["live"] = {"endpoints": [at]}
    return {"clusters": clusters, "hosts": [{"domains": ["*"], "routes": [
        {"name": stamp, "match": {"path": {"prefix": "/"}},
         "respond": {"status": 200, "body": stamp}}]}]}


def yaml_text(m):
    """The same mesh as a person would write it."""
    out = ["clusters:"]
    for name, c in m["clusters"].items():
        out.append(f"  {name}:\n    endpoints:")
        for e in c["endpoints"]:
            if isinstance(e, str):
                out.append(f"      - {e}")
            else:
                out.append(f"      - {{address: '{e['address']}', labels: {{version: "
                           f"{e['labels']['version']}}}}}")
    out.append("hosts: " + json.dumps(m["hosts"]))
    return "\n".join(out) + "\n"


class Socket:
    """The agent's socket: a request line, its body, an answer line."""

    def __init__(self, zone):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(str(zone / "agent.sock"))
        self.file = self.s.makefile("rb")

    def apply(self, body, form="json", part="bench"):
        line = {"command": "apply", "part": part, "format": form, "length": len(body)}
        self.s.sendall(json.dumps(line).encode() + b"\n" + body)
        answer = json.loads(self.file.readline())
        assert answer["ok"], answer
        return answer


class Client:
    """Asks on one connection until an answer shows the stamp."""

    def __init__(self, port):
        self.c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def until(self, stamp):
        stamp = stamp.encode()
        while True:
            self.c.request("GET", "/", headers={"Host": "bench"})
            if self.c.getresponse().read() == stamp:
                return time.perf_counter()


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def used(p):
    return json.loads(p.agent.ctl("status", "-o", "json").stdout)["snapshot"]["bytes"]


def sizes(directory, zones):
    """Bytes per object, from two meshes that differ in one number."""
    out = []
    for n in (1, ENDPOINTS):
        p = proxies.Mesh(f"size-{n}", directory, [], zones / f"size-{n}",
                         more=lambda _, n=n: yaml_text(mesh("s", n)))
        p.agent.start()
        out.append(used(p))
        p.agent.stop()
    each = (out[1] - out[0]) / (CLUSTERS * (ENDPOINTS - 1))
    return {"snapshot_bytes": out[1],
            "snapshot_bytes_per_endpoint": round(each, 1),
            "snapshot_bytes_per_cluster": round(out[0] / CLUSTERS - each, 1)}


def measure(directory, zones, samples):
    result = sizes(directory, zones)
    p = proxies.Mesh("publish", directory, [], zones / "publish", more=lambda _: "clusters: {}\n")
    p.start()
    try:
        control, client = Socket(p.zone), Client(p.port)
        control.apply(json.dumps(mesh("start")).encode())
        client.until("start")

        before = used(p)
        one = {"upsert": {"clusters": {"service-7.ns-7.svc.cluster.local": cluster(7, 50)}}}
        one["upsert"]["clusters"]["service-7.ns-7.svc.cluster.local"]["endpoints"][20]["weight"] = 2
        control.apply(json.dumps(one).encode() + b"\n", "lines")
        result["append_bytes_one_endpoint"] = used(p) - before

        delta = []
        for i in range(samples):
            change = {"upsert": {"hosts": mesh(f"d{i}")["hosts"] if i == 0 else [
                {"domains": ["*"], "routes": [{"name": f"d{i}", "match": {"path": {"prefix": "/"}},
                 "respond": {"status": 200, "body": f"d{i}"}}]}]}}
            line = json.dumps(change).encode() + b"\n"
            began = time.perf_counter()
            control.apply(line, "lines")
            delta.append((client.until(f"d{i}") - began) * 1000)
        full = {"json": [], "yaml": []}
        for i in range(max(10, samples // 8)):
            for form, text in (("json", json.dumps), ("yaml", yaml_text)):
                body = text(mesh(f"{form}{i}")).encode()
                began = time.perf_counter()
                control.apply(body, form)
                full[form].append((client.until(f"{form}{i}") - began) * 1000)
    finally:
        p.stop()
    result["publish_p50_ms_delta"] = round(percentile(delta, 50), 2)
    result["publish_p99_ms_delta"] = round(percentile(delta, 99), 2)
    result["publish_p99_ms_full"] = round(percentile(full["json"], 99), 1)
    result["publish_p99_ms_full_yaml"] = round(percentile(full["yaml"], 99), 1)
    return result
