"""What all tests share. One body of tests runs against two peers: Go functions, or Erlang functions on a node."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator

import pytest

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


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """Ends the run, with every thread's stack, when one test hangs."""
    faulthandler.dump_traceback_later(TEST_SECONDS, exit=True, file=STDERR)
    yield
    faulthandler.cancel_dump_traceback_later()
