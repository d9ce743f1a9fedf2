# SPDX-License-Identifier: Apache-2.0
"""Options, fixtures, C unit tests as items, and the list of tests that may
not be skipped."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from meshtest.agent import Agent
from meshtest.endpoint import Endpoints
from meshtest.nginx import Nginx
from meshtest.process import BUILD, SANITIZER_TEXT, TOP, environment


def pytest_addoption(parser):
    parser.addoption("--variants", default="release",
                     help="build variants to test, by comma")
    parser.addoption("--ci", action="store_true",
                     help="run the tests marked ci as well")
    parser.addoption("--brief", action="store_true",
                     help="leave out the tests marked slow")


def variants(config):
    return config.getoption("--variants").split(",")


def pytest_generate_tests(metafunc):
    if "variant" in metafunc.fixturenames:
        metafunc.parametrize("variant", variants(metafunc.config), scope="session")


# --- C unit tests -----------------------------------------------------------

SLOW = "\n/* slow */\n"


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".c" and file_path.name.startswith("test_") \
            and "unit" in file_path.parts:
        return UnitFile.from_parent(parent, path=file_path)
    return None


class UnitFile(pytest.File):
    """Marked as slow by the comment SLOW."""

    def collect(self):
        slow = SLOW in self.path.read_text()
        for variant in variants(self.config):
            item = UnitItem.from_parent(self, name=f"{self.path.stem}[{variant}]",
                                        variant=variant)
            if slow:
                item.add_marker(pytest.mark.slow)
            yield item


class UnitItem(pytest.Item):
    def __init__(self, *, variant, **kwargs):
        super().__init__(**kwargs)
        self.variant = variant

    def runtest(self):
        relative = self.path.relative_to(TOP / "t" / "unit").with_suffix("")
        program = BUILD / self.variant / "unit" / relative
        with tempfile.TemporaryDirectory(prefix="mesh-unit-") as directory:
            done = subprocess.run(
                [str(program)], capture_output=True, text=True, timeout=300,
                cwd=directory, env=environment(self.variant), errors="replace",
            )
        text = done.stdout + done.stderr
        assert not any(s in text for s in SANITIZER_TEXT), text[-6000:]
        assert done.returncode == 0, text[-6000:]

    def repr_failure(self, excinfo):
        return str(excinfo.value)

    def reportinfo(self):
        return self.path, 0, self.name


# --- skips ------------------------------------------------------------------

def required():
    lines = (TOP / "t" / "required.txt").read_text().splitlines()
    return [l.strip() for l in lines if l.strip() and not l.startswith("#")]


def pytest_collection_modifyitems(config, items):
    if config.getoption("--brief"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]
    if not config.getoption("--ci"):
        for item in items:
            if item.get_closest_marker("ci"):
                item.add_marker(pytest.mark.skip(reason="./dev test --all runs it"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and item.config.getoption("--ci") \
            and any(r in item.nodeid for r in required()):
        report.outcome = "failed"
        report.longrepr = f"a required test was skipped: {report.longrepr}"


def pytest_sessionfinish(session):
    """A required test that is not there at all is a failure too."""
    if not session.config.getoption("--ci") or session.config.getoption("keyword"):
        return
    ids = [item.nodeid for item in getattr(session, "items", ())]
    for name in required():
        if not any(name in i for i in ids):
            print(f"\nrequired test is missing: {name}")
            session.exitstatus = 1


# --- fixtures ---------------------------------------------------------------

@pytest.fixture
def zone():
    """A zone directory on tmpfs where there is one."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory = tempfile.mkdtemp(prefix="mesh-zone-", dir=base)
    yield Path(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def endpoints():
    made = Endpoints()
    yield made
    made.close()


class Started:
    """Makes objects, remembers them, and ends them in reverse order."""

    def __init__(self):
        self.all = []

    def add(self, thing):
        self.all.append(thing)
        return thing

    def finish(self, failed):
        errors = []
        for thing in reversed(self.all):
            try:
                if not failed and not errors:
                    thing.stop()
            except AssertionError as e:
                errors.append(e)
            finally:
                thing.close()
        if errors:
            raise errors[0]


@pytest.fixture
def started(request, zone):
    """The zone outlives them: an agent whose zone is removed makes it anew."""
    box = Started()
    yield box
    report = getattr(request.node, "call_failed", False)
    box.finish(failed=report)


@pytest.hookimpl(tryfirst=True)
def pytest_exception_interact(node, call, report):
    node.call_failed = True


@pytest.fixture
def agent(started, variant, zone, tmp_path):
    """agent(text) starts mesh-agent on that YAML."""
    def make(text, **kwargs):
        return started.add(Agent(tmp_path / "agent", variant, zone, text, **kwargs)).start()
    return make


@pytest.fixture
def nginx(started, variant, zone, tmp_path):
    """nginx(http=...) starts nginx with our modules; start=False only makes it."""
    count = [0]

    def make(start=True, **kwargs):
        count[0] += 1
        n = started.add(Nginx(tmp_path / f"nginx{count[0]}", variant, zone, **kwargs))
        return n.start() if start else n
    return make
