# SPDX-License-Identifier: Apache-2.0
"""An Envoy that has hosts in its own words, to be asked beside ours."""

import json
import subprocess
import sysconfig
from pathlib import Path

from .process import free_port, stop, wait_for_port

BINARY = Path(sysconfig.get_paths()["purelib"]) / "envoy/_bin/envoy"
TYPE = "type.googleapis.com/envoy.extensions.filters"


def socket_address(at):
    address, _, port = at.rpartition(":")
    return {"socket_address": {"address": address, "port_value": int(port)}}


def cluster(name, endpoints):
    return {"name": name, "type": "STATIC", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": socket_address(at)}} for at in endpoints]}]}}


def bootstrap(port, hosts, clusters):
    http = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "http_filters": [
            {"name": "envoy.filters.http.cors",
             "typed_config": {"@type": f"{TYPE}.http.cors.v3.Cors"}},
            {"name": "envoy.filters.http.router",
             "typed_config": {"@type": f"{TYPE}.http.router.v3.Router",
                              "suppress_envoy_headers": True}}],
        "route_config": {"virtual_hosts": hosts},
    }
    return {"static_resources": {
        "listeners": [{
            "address": socket_address(f"127.0.0.1:{port}"),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": http}]}]}],
        "clusters": [cluster(name, at) for name, at in clusters.items()]}}


class Envoy:
    """`clusters`: name to addresses of endpoints; a context."""

    def __init__(self, directory, hosts, clusters):
        directory.mkdir(parents=True)
        self.port = free_port()
        self.conf = directory / "envoy.json"
        self.conf.write_text(json.dumps(bootstrap(self.port, hosts, clusters)))
        self.log = directory / "envoy.log"

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "-c", self.conf, "--concurrency", "1", "-l", "warn",
                 "--disable-hot-restart"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_for_port("127.0.0.1", self.port, timeout=60)
        except AssertionError:
            stop(self.process)
            raise AssertionError(self.log.read_text()[-3000:]) from None
        return self

    def __exit__(self, *failure):
        stop(self.process, timeout=20)
