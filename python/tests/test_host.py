"""A host, and what a node asks of it: streams, logging, memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _erlang
import erlang
import pytest
from fakehost import FakeHost
from fakenode import CALL, CAST, ERROR, OK, Conversation

pytestmark = pytest.mark.beam

REF = _erlang.decode(b"\x83Z\x00\x01w\x01n\x00\x00\x00\x00\x00\x00\x00\x07")
SPACE = _erlang.decode(b"\x83Xw\x01n\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FakeHost]:
    with FakeHost(tmp_path) as host:
        yield host


@pytest.fixture
def context(host: FakeHost) -> Conversation:
    return host.context("c")


def items(context: Conversation, cancel_after: int = 10**9) -> tuple[list[Any], int, Any]:
    """The items of a stream that has been started, and the frame that ends it."""
    found: list[Any] = []
    while True:
        kind, number, term = context.read()
        if kind != CALL:
            assert number == 1
            return found, kind, term
        assert term[0] == "stream_item" and term[1][0] == REF
        found.append(term[1][1])
        context.write(OK, number, erlang.Atom("cancel" if len(found) >= cancel_after else "ok"))


def test_calls(context: Conversation) -> None:
    assert context.ask("call", None, "math", "sqrt", [16], {}) == 4.0
    assert context.ask("eval", None, "x * 2", {"x": 4}) == 8


def test_stops_when_asked(host: FakeHost, context: Conversation) -> None:
    assert context.ask("eval", None, "1", {}) == 1
    assert host.stop() == (0, "", "")


def test_stream(context: Conversation) -> None:
    context.call("stream", None, REF, "builtins", "range", [3], {})
    assert items(context) == ([0, 1, 2], OK, None)
    context.call("stream", None, REF, "builtins", "sorted", [[2, 1]], {"reverse": True})
    assert items(context) == ([2, 1], OK, None)


def test_stream_eval(context: Conversation) -> None:
    context.call("stream_eval", None, REF, "(x * n for n in range(3))", {"x": 5})
    assert items(context) == ([0, 5, 10], OK, None)
    context.call("stream_eval", None, REF, "{}", {})
    assert items(context) == ([], OK, None)


def test_a_stream_that_fails(context: Conversation) -> None:
    context.call("stream_eval", None, REF, "(6 // n for n in (2, 1, 0))", {})
    found, kind, term = items(context)
    assert (found, kind, term[:2]) == ([3, 6], ERROR, ("python", "ZeroDivisionError"))
    context.call("stream_eval", None, REF, "7", {})
    found, kind, term = items(context)
    assert (found, kind, term[:2]) == ([], ERROR, ("python", "TypeError"))
    context.call("stream_eval", None, REF, "iter([1, {2}])", {})
    found, kind, term = items(context)
    assert (found, kind, term[:2]) == ([1], ERROR, ("python", "TypeError")) and "set has no Erlang term" in term[2]


def test_a_cancelled_stream_is_closed(context: Conversation) -> None:
    code = """
closed = []
def numbers():
    try:
        n = 0
        while True:
            yield n
            n += 1
    finally:
        closed.append(n)
kept = numbers()
"""
    assert context.ask("exec", SPACE, code) is None
    context.call("stream_eval", SPACE, REF, "kept", {})
    assert items(context, cancel_after=3) == ([0, 1, 2], OK, None)
    assert context.ask("eval", SPACE, "closed", {}) == [2]


def test_only_generators_are_closed(context: Conversation, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("a\nb\n")
    assert context.ask("exec", SPACE, f"file = open({str(tmp_path / 'lines')!r})") is None
    context.call("stream_eval", SPACE, REF, "file", {})
    assert items(context) == (["a\n", "b\n"], OK, None)
    assert context.ask("eval", SPACE, "(file.closed, file.close())", {}) == (False, None)


def test_memory(host: FakeHost, context: Conversation) -> None:
    for channel in (host.control, context):
        stats = channel.ask("memory")
        assert set(stats) == {"gc_stats", "gc_count", "gc_threshold"}
        assert len(stats["gc_stats"]) == len(stats["gc_count"]) == len(stats["gc_threshold"]) == 3
    assert context.ask("eval", None, "__import__('tracemalloc').start()", {}) is None
    stats = context.ask("memory")
    assert 0 < stats["traced_memory_current"] <= stats["traced_memory_peak"]


def test_gc(context: Conversation) -> None:
    code = "import gc\ngc.disable()\ngc.collect()\nfor _ in range(10):\n    x = []\n    x.append(x)\ndel x"
    assert context.ask("exec", SPACE, code) is None
    assert context.ask("gc") >= 10
    assert context.ask("gc", 0) >= 0


def logged(thread: Conversation) -> tuple[int, str, str, str]:
    kind, _, (target, line) = thread.read()
    assert (kind, target) == (CAST, "log")
    level, logger, name, text = line
    return level, logger, name, text


def test_logging(host: FakeHost, context: Conversation) -> None:
    assert host.control.ask("logging", logging.INFO) is None
    code = """
import logging, threading
log = logging.getLogger('app.part')
log.debug('not this')
log.info('one %s', 1)
threading.Thread(target=log.warning, args=('two',), name='helper').start()
"""
    assert context.ask("exec", SPACE, code) is None
    thread = host.thread()
    assert logged(thread) == (20, "app.part", "erlang-context", "one 1")
    assert logged(thread) == (30, "app.part", "helper", "two")
    fails = "try:\n    1 / 0\nexcept Exception:\n    log.exception('three \\udc80')"
    assert context.ask("exec", SPACE, fails) is None
    level, _, _, text = logged(thread)
    assert level == 40 and text.startswith("three \\udc80\nTraceback") and text.endswith("division by zero")


def test_the_level_of_logging_changes(host: FakeHost, context: Conversation) -> None:
    for level in (logging.ERROR, logging.DEBUG, logging.WARNING):
        assert host.control.ask("logging", level) is None
    log = "import logging\nlogging.{}('{}')"
    for name in ("info", "warning"):
        assert context.ask("exec", SPACE, log.format(name, name)) is None
    thread = host.thread()
    assert logged(thread)[3] == "warning"
    assert host.control.ask("logging", logging.DEBUG) is None
    assert context.ask("exec", SPACE, log.format("debug", "debug")) is None
    assert logged(thread)[3] == "debug"


def test_who_logs_never_waits(host: FakeHost, context: Conversation) -> None:
    """The thread that sends has no connection yet, since nobody says hello to it."""
    assert host.control.ask("logging", logging.INFO) is None
    assert context.ask("exec", SPACE, "import logging\nfor n in range(20_000):\n    logging.info('line %d', n)") is None
    thread = host.thread()
    lines = [logged(thread)[3] for _ in range(9_990)]
    assert lines == [f"line {n}" for n in range(9_990)]
    assert context.ask("exec", SPACE, "logging.info('last')") is None
    while True:
        text = logged(thread)[3]
        if text.endswith("messages were dropped"):
            break
        assert text.startswith("line ")
    assert 9_000 <= int(text.split()[0]) <= 10_000
    assert logged(thread)[3] == "last"


def test_handlers_of_the_program_stay(host: FakeHost, context: Conversation) -> None:
    before = "import logging\nseen = []\nclass H(logging.Handler):\n    emit = lambda self, r: seen.append(r.getMessage())"
    assert context.ask("exec", SPACE, before + "\nlogging.getLogger().addHandler(H())") is None
    assert host.control.ask("logging", logging.WARNING) is None
    assert context.ask("exec", SPACE, "logging.error('both')") is None
    assert logged(host.thread())[3] == "both"
    assert context.ask("eval", SPACE, "seen", {}) == ["both"]


def test_what_is_logged_last_arrives(host: FakeHost, context: Conversation) -> None:
    assert host.control.ask("logging", logging.INFO) is None
    assert context.ask("exec", SPACE, "import logging\nlogging.info('first')") is None
    thread = host.thread()
    assert logged(thread)[3] == "first"
    code = "import atexit, logging\natexit.register(lambda: logging.info('at the end'))"
    assert context.ask("exec", SPACE, code) is None
    assert host.stop()[0] == 0
    assert logged(thread)[3] == "at the end"
