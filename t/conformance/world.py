# SPDX-License-Identifier: Apache-2.0
"""The same meshes in both proxies, in front of the same endpoints."""

import itertools
import json
import random

import meshes

from meshtest.agent import Agent
from meshtest.process import free_port

# More of what most people have: the defaults.
OPTIONS = [{"normalize_path": n, "merge_slashes": m, "escaped_slashes": e, "ignore_port": p}
           for n, m, e, p in [(True, False, "keep", True)] * 3 + list(itertools.product(
               (True, False), (True, False), ("keep", "reject", "redirect", "unescape"), (True,)))]
OPTIONS[1] = {**OPTIONS[0], "ignore_port": False}


def make(seed):
    rnd = random.Random(seed)
    return [meshes.mesh(rnd, f"m{i}", o) for i, o in enumerate(OPTIONS)]


def start_agent(started, directory, variant, zone, clusters, made):
    """A part of clusters, and one for each mesh."""
    a = started.add(Agent(directory, variant, zone, json.dumps(clusters)))
    (a.dir / "parts").mkdir()
    for m in made:
        (a.dir / "parts" / f"{m['name']}.json").write_text(json.dumps(meshes.ours(m)))
    a.conf.write_text(a.conf.read_text() + "  - directory: parts\n")
    a.start()
    assert "refused" not in a.log(), a.log()
    return a


SAID = ("generation", "route", "cluster", "subset", "endpoint", "ticket", "hash")


def start_nginx(nginx, made):
    """A port for each mesh, by its name; answers tell what was decided."""
    told = "".join(f"add_header x-mesh-{v} $mesh_{v} always; " for v in SAID)
    servers = "".join(f"server {{ listen 127.0.0.1:{{{m['name']}}}; ignore_invalid_headers off; "
                      f"location / {{ mesh_route {m['name']}; {told}}} }}\n" for m in made)
    return nginx(main="mesh_zone {zone};", ports=[m["name"] for m in made], level="warn",
                 http=servers + """
        server { listen 127.0.0.1:{port}; }
        large_client_header_buffers 8 16k; lingering_timeout 200ms;""")


def ports_of(made):
    return {m["name"]: free_port() for m in made}


def routes_by_name(made):
    return {r["name"]: r for m in made for h in m["hosts"] for r in h["routes"]}


def pick_of(route, cluster):
    """The random value with which Envoy's split takes that cluster."""
    before = 0
    for e in route["route"]:
        if e["cluster"] == cluster and e["weight"]:
            return before
        before += e["weight"]
    raise AssertionError(f"{cluster} has no share of {route['name']}")
