#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One replica of a service of the demo shop: a real HTTP server.

usage: shop.py SERVICE VERSION ADDRESS PORT
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>nginx-mesh demo shop</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
.bar { display: flex; height: 2.2rem; border-radius: .4rem; overflow: hidden }
.bar div { transition: width .3s; color: #fff; padding: .3rem .5rem;
           overflow: hidden; white-space: nowrap; font-size: .9rem }
.v1 { background: #2563a8 } .v2 { background: #11724c } .v3 { background: #a3432b }
.none { background: #777 }
table { border-collapse: collapse; width: 100%; margin-top: 1rem }
td, th { text-align: left; padding: .2rem .6rem .2rem 0 }
label { user-select: none }
</style>
<h1>Demo shop</h1>
<p>This page was served by <b>__ME__</b>. It asks for <code>/reviews</code>
five times a second; the bar shows who answered the last 100.</p>
<p><label><input type="checkbox" id="jason"> be the user <b>jason</b>
(header <code>end-user: jason</code>)</label></p>
<div class="bar" id="bar" role="img" aria-label="share of versions"></div>
<table><thead><tr><th>endpoint<th>version<th>answers of the last 100</thead>
<tbody id="rows"></tbody></table>
<p id="failed">0 failed requests</p>
<script>
let last = [], failed = 0;
async function ask() {
  const headers = document.getElementById("jason").checked ? {"end-user": "jason"} : {};
  try {
    const r = await fetch("/reviews", {headers, cache: "no-store"});
    if (!r.ok) throw new Error(r.status);
    last.push(await r.json());
  } catch (e) { failed++; }
  last = last.slice(-100);
  show();
}
function show() {
  const versions = {}, who = {};
  for (const a of last) {
    versions[a.version] = (versions[a.version] || 0) + 1;
    const k = a.endpoint + " " + a.version;
    who[k] = (who[k] || 0) + 1;
  }
  const bar = document.getElementById("bar");
  bar.replaceChildren(...Object.keys(versions).sort().map(v => {
    const d = document.createElement("div");
    d.className = v; d.style.width = 100 * versions[v] / last.length + "%";
    d.textContent = v + " " + Math.round(100 * versions[v] / last.length) + " %";
    return d;
  }));
  document.getElementById("rows").replaceChildren(...Object.keys(who).sort().map(k => {
    const tr = document.createElement("tr");
    for (const t of [...k.split(" "), who[k]]) {
      const td = document.createElement("td"); td.textContent = t; tr.append(td);
    }
    return tr;
  }));
  document.getElementById("failed").textContent = failed + " failed requests";
}
setInterval(ask, 200);
</script>
"""


def main():
    service, version, address, port = sys.argv[1:5]
    me = {"service": service, "version": version, "endpoint": f"{address}:{port}", "pid": os.getpid()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if service == "web":
                body = PAGE.replace("__ME__", f"{service} {version} at {address}").encode()
                kind = "text/html; charset=utf-8"
            else:
                body = (json.dumps({**me, "path": self.path}) + "\n").encode()
                kind = "application/json"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer((address, int(port)), Handler)
    server.daemon_threads = True
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
