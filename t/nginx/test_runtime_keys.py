# SPDX-License-Identifier: Apache-2.0
"""Percentages whose values are the runtime's: changed live, one key at a
time, by whoever may apply."""

import collections
import json

from meshtest.process import wait_for

HTTP = """
    server {
        listen 127.0.0.1:{port};
        location / {
            mesh_route;
            add_header X-Route $mesh_route always;
        }
    }
"""


def mesh(endpoints, runtime=""):
    one, two = endpoints
    return f"""
clusters:
  one: {{endpoints: ['{one.at}']}}
  two: {{endpoints: ['{two.at}']}}
hosts:
  - domains: ["*"]
    routes:
      - name: canary
        match: {{percentage: {{value: 10, runtime_key: cart.v2}}}}
        route: two
      - name: rest
        route: one
        mirror: {{cluster: two, percentage: {{value: 0, runtime_key: copies}}}}
{runtime}
"""


def routes(n, count=100):
    return collections.Counter(n.get("/")[1]["x-route"] for _ in range(count))


def change(a, *lines, check=True):
    text = "\n".join(json.dumps(x) for x in lines)
    return a.ctl("apply", "-f", "-", "--wait", stdin=text, check=check)


def test_a_key_is_changed_live(agent, nginx, endpoints):
    e = [endpoints.add(name=x) for x in ("one", "two")]
    a = agent(mesh(e))
    n = nginx(http=HTTP, main="mesh_zone {zone};", workers=2)
    assert routes(n) == {"canary": 10, "rest": 90}
    before = a.status()["generation"]

    # Alone, and nothing else: it is a resource of its own.
    change(a, {"upsert": {"runtime": {"cart.v2": 25}}})
    assert routes(n) == {"canary": 25, "rest": 75}
    assert a.status()["generation"] == before + 1
    said = a.ctl("diff", str(before), check=False).stdout.splitlines()
    assert "+ runtime.cart.v2: 25" in said, said
    assert [x for x in said if x.endswith("percentage.value: 10 -> 25")], said
    assert 'runtime key "cart.v2"' in a.ctl("status", "resources").stdout
    told = a.ctl("explain", "GET", "http://h/", "--ticket", "0.0.0").stdout
    assert "25 % (runtime key cart.v2, default 10 %)" in told
    assert "percentage 25 % (runtime key cart.v2, default 10 %)" in a.ctl("routes").stdout

    change(a, {"upsert": {"runtime": {"cart.v2": 0, "copies": "100%"}}})
    e[1].requests.clear()
    assert routes(n) == {"rest": 100}
    wait_for(lambda: len(e[1].requests) == 100, "a copy of each")
    # Asked, but not done.
    told = a.ctl("explain", "GET", "http://h/", "--random", "7", "--runtime", "cart.v2=8").stdout
    assert "matches: random value 7 of 100 is in 8 %" in told
    assert routes(n, 20) == {"rest": 20}

    a.ctl("rollback", str(before + 1), "--wait")
    assert routes(n) == {"canary": 25, "rest": 75}
    change(a, {"remove": {"runtime": ["cart.v2", "copies"]}})
    assert routes(n) == {"canary": 10, "rest": 90}


def test_keys_outlive_the_agent(agent, nginx, endpoints):
    e = [endpoints.add(name=x) for x in ("one", "two")]
    a = agent(mesh(e, "runtime: {copies: 0}"))
    n = nginx(http=HTTP, main="mesh_zone {zone};")
    change(a, {"upsert": {"runtime": {"cart.v2": 40}}})
    a.stop()
    a.start()
    wait_for(lambda: routes(n) == {"canary": 40, "rest": 60}, "the value again")


def test_two_parts_must_agree(agent, nginx, endpoints):
    """Refused with both places, and what is in force stays."""
    e = [endpoints.add(name=x) for x in ("one", "two")]
    a = agent(mesh(e, "runtime: {cart.v2: 50}"))
    n = nginx(http=HTTP, main="mesh_zone {zone};")
    done = change(a, {"upsert": {"runtime": {"cart.v2": 60}}}, check=False)
    assert done.returncode == 1
    assert 'runtime key "cart.v2": found another value, expected the same as at ' in done.stderr
    change(a, {"upsert": {"runtime": {"cart.v2": 50}}})
    done = change(a, {"upsert": {"runtime": {"cart.v2": 101}}}, check=False)
    assert done.returncode == 1
    assert "found 101, expected a percentage from 0 to 100" in done.stderr
    assert routes(n) == {"canary": 50, "rest": 50}
