# SPDX-License-Identifier: Apache-2.0
"""conf/schema is what the decoder's tables say, and agrees with the decoder:
what the schema refuses the decoder refuses, so what the decoder accepts the
schema accepts.  What only the decoder refuses is the list below."""

import copy
import json
import os
import random
import re
import subprocess

import jsonschema
import pytest

from meshtest.process import BUILD, TOP, binary, environment

SEED = int(os.environ.get("MESH_SEED", "20261126"))
MESHES = 60 * int(os.environ.get("MESH_SOAK", "1"))
MUTANTS = 40  # of each mesh

# What no schema says, by the decoder's own words.
ONLY_DECODER = {
    # rules between values
    "a duration's bounds": r"expected a duration ",
    "whole seconds": r"expected whole seconds",
    "a maximum below its minimum": r"at least (minimum_ring_size|base_ejection_time)",
    "a sum of weights": r"only weights of 0|weights above 4294967295",
    "a range with nothing in it": r"a range that no number is in",
    "dns without a name": r"dns without a name among the endpoints",
    "an address twice": r"each address once",
    "a header twice": r"each header once, in any case",
    "longer in any case": r"at most 1024 bytes with ignore_case",
    "attributes in all": r"attributes of at most 4096 bytes in all",
    "more than 16 hash policies": r"at most 16 hash policies",
    "more than 8 mirrors": r"more than 8 mirrors",
    "more than 256 headers": r"more than 256 headers",
    "a subset of the cluster": r"a subset of this cluster",
    "keys of a selector": r"found key .* twice|of the same keys as another|a fallback to (key |all of the keys)",
    "labels of a subset": r"labels of a subset as key=value",
    "priorities with a gap": r"an endpoint of priority \d+, expected one of priority",
    "a locality again": r"a locality again",
    "no other host": r"append_x_forwarded_host and no other host",
    "an empty value of a plain text": r"keep_empty_value of a plain text",
    # what is inside of a text
    "a prime number": r"a prime number",
    "a regular expression": r"a regular expression of RE2",
    "a template of paths": r"a template of paths: ",
    "a template's variables": r"a path with variables of the template|where match\.path is a template",
    "groups of a regular expression": r"groups up to \\|a digit or another \\",
    "a hash_key beside its label": r"both hash_key and a label hash_key",
    "an address": r"expected an address such as|a port from 1 to 65535 after"
                  r"|a name after srv:|absolute path after unix:|at most 107 bytes",
    "a range of addresses": r"expected an address or a range of them|only zeroes behind the prefix",
    "a domain's port": r"a domain without a port",
    "a header of the connection": r"that is not the connection's own|does not frame the body"
                                  r"|rewrite\.host for the host",
    "a substitution": r"text with variables such as",
    "bytes, of which characters have several": r"at most \d+ bytes",
    # numbers as they are written, of which JSON has several ways
    "1.0 and 1e2": r"a whole number",
    "decimals": r"a percentage from 0 to 100 such as|a number from 0 to 10|a number above 0",
}


def words(*args, text=None, variant="release"):
    done = subprocess.run([str(BUILD / variant / "tools/mesh_texts"), *map(str, args)], input=text,
                          capture_output=True, text=True, timeout=120,
                          env=environment(variant))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def judge(documents, what="judge"):
    text = "".join(json.dumps(d) + "\n" for d in documents)
    lines = words(what, text=text)
    assert len(lines) == len(documents)
    return [line.split("\t") for line in lines]


def schema(name):
    return json.loads((TOP / f"conf/schema/{name}.schema.json").read_text())


def pattern(validator, pattern, instance, schema):
    """As ECMA's: Python's $ is before a line's end at the end of a text, too."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def validator(name):
    return jsonschema.validators.extend(
        jsonschema.Draft202012Validator, {"pattern": pattern})(schema(name))


def compare(documents, check, what="judge"):
    """Counts (both accept, both refuse, only the decoder refuses)."""
    counts = [0, 0, 0]
    for document, (verdict, *errors) in zip(documents, judge(documents, what)):
        right = check.is_valid(document)
        if verdict == "ok":
            assert right, (document, [e.message for e in check.iter_errors(document)])
            counts[0] += 1
        elif not right:
            counts[1] += 1
        else:
            counts[2] += 1
            known = [any(re.search(p, e) for p in ONLY_DECODER.values()) for e in errors]
            assert any(known), (document, errors)
    return counts


# --- the files ----------------------------------------------------------------

@pytest.mark.parametrize("name", ["mesh", "agent"])
def test_schema_is_that_of_the_tables(name, variant):
    done = subprocess.run([binary(variant, "meshctl"), "schema", name],
                          capture_output=True, text=True, env=environment(variant))
    path = f"conf/schema/{name}.schema.json"
    assert done.stdout == (TOP / path).read_text(), \
        f"meshctl schema {name} > {path} makes it anew"


@pytest.mark.parametrize("name", ["mesh", "agent"])
def test_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(schema(name))


def test_other_schemas_are_refused(variant):
    done = subprocess.run([binary(variant, "meshctl"), "schema", "nginx"],
                          capture_output=True, text=True, env=environment(variant))
    assert (done.returncode, done.stdout) == (2, "")
    assert "mesh and agent" in done.stderr


def fields(node, path=""):
    """(path, property) of every object of a schema."""
    if isinstance(node, dict):
        for name, property in node.get("properties", {}).items():
            yield f"{path}.{name}", property
        for key, value in node.items():
            yield from fields(value, f"{path}/{key}")
    elif isinstance(node, list):
        for value in node:
            yield from fields(value, path)


@pytest.mark.parametrize("name", ["mesh", "agent"])
def test_each_field_is_described(name):
    """In conditions of rules, properties are named once more."""
    seen = 0
    for path, property in fields(schema(name)):
        if "/then" not in path:
            assert "description" in property, path
            assert "\n" not in property["description"], path
            seen += 1
    assert seen >= (13 if name == "agent" else 100)


def test_what_is_not_supported_yet_is_not_there():
    text = (TOP / "docs/yaml.md").read_text()
    later = text[text.index("## Not supported yet"):]
    names = set(re.findall(r"`([a-z_0-9]+)`", later.split("- cluster:")[0].split("- file:")[1]))
    assert "listeners" in names
    assert not names & set(schema("mesh")["properties"])


# --- agreement ----------------------------------------------------------------

def examples():
    """YAML of meshes in the documentation and in conf."""
    for path in sorted(TOP.glob("conf/**/*.yaml")) + sorted(TOP.glob("docs/*.md")) + \
            [TOP / "README.md"]:
        text = path.read_text()
        if path.suffix == ".yaml":
            yield path.name, text
            continue
        for block in re.findall(r"```yaml\n(.*?)```", text, re.S):
            yield path.name, block


def test_examples_are_right(tmp_path):
    checks = {"mesh": validator("mesh"), "agent": validator("agent")}
    seen = {"mesh": 0, "agent": 0}
    for i, (name, text) in enumerate(examples()):
        path = tmp_path / f"{i}.yaml"
        path.write_text(text)
        document = json.loads(words("tree", path)[0])
        kind = "agent" if {"zone", "sources", "state"} & set(document) else "mesh"
        errors = [e.message for e in checks[kind].iter_errors(document)]
        assert not errors, (name, errors)
        seen[kind] += 1
    assert seen["mesh"] >= 4 and seen["agent"] >= 2


@pytest.mark.slow
def test_random_meshes_are_right():
    documents = [json.loads(line) for line in words("random", SEED, 10 * MESHES)]
    counts = compare(documents, validator("mesh"))
    assert counts == [len(documents), 0, 0]


def places(node, out=None):
    """(container, key) of every value."""
    out = [] if out is None else out
    items = node.items() if isinstance(node, dict) else \
        enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        out.append((node, key))
        places(value, out)
    return out


VALUES = [None, True, False, 0, 1, -1, 2, 5, 99, 100, 101, 256, 399, 404, 600, 65535, 65536,
          2 ** 24, 2 ** 24 + 1, 2 ** 32 - 1, 2 ** 32, 2 ** 63, 0.5, 10.25, 100.5, "", " ", "x", "X",
          "a b", "/", "/a", "/a/", "/a?b", "/a#b", "//", "a/b", "a/b/c", "a/", "*", "*.a", "a.*", "a..b", "*.a.*",
          "10.0.0.0/8", "10.0.0.1/8", "::/0", "127.0.0.1:80", "127.0.0.1:0", "[::1]:80", "host:80",
          "host:", "unix:/x", "unix:x", "unix:/", "srv:_a.b", "srv:", "0", "0s", "5", "5s", "0.5ms", "1.5s", "-1s", "1d",
          "25d", "600h", "00", "50%", "101%", "0.5%", "12.12345%", "%", "true", "ä", "\t", "\n", "a\nb", "\x7f",
          "host", "Connection", ":path", "content-length", "%REQ(X)%", "(", "a+", "x" * 300, "ä" * 200,
          "x" * 1100, "ring_hash", "maglev", "round_robin", "peak_ewma", "original_dst", "http3", "64K", "9G", "1m", "61s", "25h",
          "5xx", "reset", "cancelled", "retriable-4xx", [], {}, ["x"], {"x": "y"}, [[]], [None]]

NAMES = ["x", "", "a/b", "host", ":method", ":status", "name", "weight", "timeout", "lb", "choices",
         "table_size", "endpoints", "endpoint_set", "tls", "route", "redirect", "respond", "rewrite",
         "retries", "exact", "prefix", "regex", "present", "ignore_case", "treat_missing_as_empty",
         "locality", "zone", "path", "ttl", "dns", "slow_start", "cluster", "invert", "mirror"]


def mutate(document, others, dice):
    """One change: a value, a name, something less or more."""
    container, key = dice.choice(places(document))
    what = dice.randrange(6)
    if what == 0:
        container[key] = copy.deepcopy(dice.choice(VALUES))
    elif what == 1:
        del container[key]
    elif what == 2 and isinstance(container, dict):
        container[dice.choice(NAMES)] = container[key]
    elif what == 3 and isinstance(container, dict):
        container[dice.choice(NAMES)] = copy.deepcopy(dice.choice(VALUES))
    elif what == 4:
        # Something that is right elsewhere.
        other, its = dice.choice(places(dice.choice(others)))
        if isinstance(container, dict) and isinstance(other, dict):
            container[its] = copy.deepcopy(other[its])
        else:
            container[key] = copy.deepcopy(other[its])
    elif isinstance(container, list):
        container.extend(copy.deepcopy(container) * dice.choice([1, 70]))
    else:
        container[key] = [container[key]]
    return document


def mutants(documents, each, seed):
    dice = random.Random(seed)
    for document in documents:
        for _ in range(each):
            yield mutate(copy.deepcopy(document), documents, dice)


@pytest.mark.slow
def test_mutants_of_meshes():
    documents = [json.loads(line) for line in words("random", SEED + 1, MESHES)]
    made = list(mutants(documents, MUTANTS, SEED))
    both, refused, decoder = compare(made, validator("mesh"))
    # Nothing is proved by mutants that are all alike.
    assert both > len(made) / 20
    assert refused > len(made) / 3
    assert decoder < refused / 4


AGENT = {"zone": "/run/z", "state": "/var/lib/z", "capacity": "64M",
         "sources": [{"file": "a.yaml"}, {"directory": "/d"}],
         "socket": {"path": "/run/s", "group": "ops"},
         "log": {"level": "debug", "format": "json"},
         "debounce": {"quiet": "5ms", "bound": "1s"},
         "dns": {"servers": ["127.0.0.1", "[::1]:53"], "min_ttl": "5s", "max_ttl": "1h",
                 "timeout": "2s"}}

AGENT_ONLY_DECODER = r"a size from 1M to 8G|a duration from|an address such as 127\.0\.0\.1:53" \
                     r"|an absolute path|a path|at most 107 bytes|a group's name"


def test_mutants_of_agent_yaml():
    check = validator("agent")
    made = [AGENT, dict(AGENT, debounce="0ms", capacity=2 ** 27), {}]
    made += list(mutants(made[:2], 400, SEED))
    made += list(mutants([mutate(copy.deepcopy(AGENT), [AGENT], random.Random(i))
                          for i in range(100)], 4, SEED + 1))
    counts = [0, 0, 0]
    for document, (verdict, *errors) in zip(made, judge(made, "agent")):
        right = check.is_valid(document)
        if verdict == "ok":
            assert right, (document, [e.message for e in check.iter_errors(document)])
        elif right:
            assert any(re.search(AGENT_ONLY_DECODER, e) for e in errors), (document, errors)
        counts[0 if right and verdict == "ok" else 2 if right else 1] += 1
    assert min(counts[:2]) > 10, counts
