# SPDX-License-Identifier: Apache-2.0
"""The configurations of conf/, as they are but for the places of a machine."""

import os
import re

from .nginx import Nginx, STREAM
from .process import BUILD, TOP


class Shipped(Nginx):
    """conf/NAME/nginx.conf; `ports` are those of its `listen` lines, by name.

    Modules, zone, logs and temporary files are the test's, ports are free
    ones; nothing else is changed.
    """

    def __init__(self, directory, variant, zone, name, port, **ports):
        super().__init__(directory, variant, zone, ports=ports)
        text = (TOP / "conf" / name / "nginx.conf").read_text()
        modules = BUILD / variant / "modules"
        for old, new in {
            "modules/ngx_stream_module.so": STREAM[0],
            r"modules/ngx_(\w*mesh\w*).so": rf"{modules}/ngx_\1.so",
            "/run/nginx-mesh": str(zone),
            "/var/lib/nginx-mesh": f"{self.dir}/state",
            "/var/log/nginx": str(self.dir),
            r"(listen )(127.0.0.1:)?%d\b" % port: rf"\g<1>127.0.0.1:{self.port}",
            r"(?<=\nhttp {\n)": "".join(
                f"    {kind}_temp_path {self.dir}/tmp;\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
            "user www-data;": "user root;" if os.getuid() == 0 else "",
        }.items():
            text, n = re.subn(old, new, text)
            assert n or "stream" in old or "lib" in old, f"conf/{name} has no {old}"
        for which, at in ports.items():
            text, n = re.subn(rf"(listen 127.0.0.1:){at}\b", rf"\g<1>{self.names[which]}", text)
            assert n == 1, f"conf/{name} does not listen on {at}"
        workers = "worker_processes auto;"
        assert workers in text
        self.conf.write_text(text.replace(workers, "worker_processes 2;"))
        self.count = 2

    def _command(self, *args):
        return super()._command("-g", f"daemon off; pid {self.dir}/nginx.pid;", *args)


def mesh_of(name, addresses):
    """conf/NAME/mesh.yaml with these addresses in place of its own."""
    text = (TOP / "conf" / name / "mesh.yaml").read_text()
    found = set(re.findall(r"127\.0\.0\.1:\d+", text))
    assert found == set(addresses), f"conf/{name}/mesh.yaml has {sorted(found)}"
    return re.sub(r"127\.0\.0\.1:\d+", lambda m: addresses[m.group()], text)
