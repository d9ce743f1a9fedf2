# SPDX-License-Identifier: Apache-2.0
"""The demo (conf/demo/run.py), as far as the clean root does not see it."""

import importlib.util
import socket
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "conf/demo/run.py"


def test_a_second_demo_leaves_the_first_alone(tmp_path):
    spec = importlib.util.spec_from_file_location("demo_run", RUN)
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    run.DEMO = tmp_path / "demo"
    run.DEMO.mkdir()
    (run.DEMO / "mesh.yaml").write_text("edited")

    with socket.socket() as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = run.SERVICES[-1][2]
        if not run.answers(address, run.PORT):
            first.bind((address, run.PORT))
            first.listen()
        with pytest.raises(SystemExit, match="is another demo running"):
            run.Demo()

    assert (run.DEMO / "mesh.yaml").read_text() == "edited"
