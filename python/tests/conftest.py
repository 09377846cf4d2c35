"""What all tests share. One body of tests runs against two peers: Go functions, or Erlang functions on a node."""

from __future__ import annotations

import faulthandler
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from command import erlpy
from fakenode import Conversation, FakeNode, Start

PEER = os.environ.get("ERLPY_PEER", "")
TEST_SECONDS = 120
# Standard error as it was before pytest began to capture it; see run.py.
STDERR: int = getattr(sys.modules["__main__"], "STDERR", 2)


def pytest_configure(config: pytest.Config) -> None:
    if PEER not in ("go", "beam"):
        raise pytest.UsageError("ERLPY_PEER must say who answers: 'go' or 'beam'")


def pytest_report_header() -> str:
    return f"erlpy: peer {PEER}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests of the other peer. Deselected, not skipped: here they have no meaning."""
    other = "beam" if PEER == "go" else "go"
    out = [item for item in items if item.get_closest_marker(other)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if not item.get_closest_marker(other)]


@pytest.fixture
def peer() -> str:
    return PEER


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FakeNode]:
    with FakeNode(tmp_path) as node:
        yield node


@pytest.fixture
def start(node: FakeNode, tmp_path: Path) -> Iterator[Start]:
    """Starts a script, whose first call is f(0), and answers that. So many looks take some 100 ms, and the script finds two cores at most, so that
    one thread has its turn at a time."""
    runs = []

    def started(text: str, poll: int = 200_000) -> tuple[Popen[str], Conversation]:
        file = tmp_path / "script.py"
        file.write_text("import erlang, threading\nassert erlang.call('f', 0) == 0\n" + textwrap.dedent(text), encoding="utf-8")
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(cores)[:2])
        try:
            run = erlpy("--poll", str(poll), "--beam", node.path, str(file))
        finally:
            os.sched_setaffinity(0, cores)
        runs.append(run)
        peer = node.welcomed(max_frame=1000)
        peer.answer(1, 0)
        return run, peer

    yield started
    for run in runs:
        run.kill()
        run.communicate()


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """Ends the run, with every thread's stack, when one test hangs."""
    faulthandler.dump_traceback_later(TEST_SECONDS, exit=True, file=STDERR)
    yield
    faulthandler.cancel_dump_traceback_later()
