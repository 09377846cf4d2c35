"""Larger values, there and back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from time import perf_counter, perf_counter_ns
from typing import Any

from erlang import call
from measure import histogram


def _value(kind: str) -> Any:
    if kind == "list":
        return list(range(10_000))
    if kind == "str":
        return "x" * 1_000_000
    if kind == "dicts":
        return [{"id": i, "name": f"item {i}", "price": i / 2, "ok": True} for i in range(1000)]
    raise ValueError(kind)


def echo(kind: str, seconds: float) -> dict[str, Any]:
    """How long it takes to have a value back that is sent."""
    value = _value(kind)
    if call("echo", value) != value:
        raise AssertionError(f"{kind}: another value came back")
    return _timed(lambda: call("echo", value), seconds)


def node(kind: str, seconds: float) -> dict[str, Any]:
    """How much of that the node needs to read the value and to write it."""
    return {"latency": histogram(call("convert", _value(kind), int(seconds * 1000)))}


def pickled(kind: str, seconds: float) -> dict[str, Any]:
    """How long Python's own pickle takes to write the value and to read it."""
    value = _value(kind)
    return _timed(lambda: pickle.loads(pickle.dumps(value)), seconds)


def _timed(function: Callable[[], object], seconds: float) -> dict[str, Any]:
    samples = []
    end = perf_counter() + seconds
    while perf_counter() < end:
        before = perf_counter_ns()
        function()
        samples.append(perf_counter_ns() - before)
    return {"latency": histogram(samples)}


def payload(size: int, seconds: float) -> dict[str, Any]:
    """How often bytes of a size go there and back."""
    data = b"\xff" * size  # no text, which would come back as str
    if call("echo", data) != data:
        raise AssertionError(f"{size} bytes: others came back")
    calls = 0
    start = now = perf_counter()
    while now < start + seconds:
        call("echo", data)
        calls += 1
        now = perf_counter()
    return {"calls": [calls], "seconds": now - start}


def large(size: int) -> dict[str, Any]:
    """Sends bytes of a size once, and has a number back."""
    if call("size_of", b"\xff" * size) != size:
        raise AssertionError("another size came back")
    return {}
