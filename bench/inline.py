"""Calls of a Go function in the same process, and of a C method that does nothing but release the GIL."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Optional

import _erlang
import erlang

NUMBERS = range(1000, 11000)


def _by_name() -> None:
    call = erlang.call
    for i in NUMBERS:
        call("double_it", i)


def _bound() -> None:
    double_it = erlang.double_it
    for i in NUMBERS:
        double_it(i)


def _nothing() -> Optional[Callable[[], None]]:
    nothing = getattr(_erlang, "nothing", None)
    if nothing is None:
        return None

    def run() -> None:
        for _ in NUMBERS:
            nothing()

    return run


def go(what: str, seconds: float) -> dict[str, Any]:
    """Calls on one thread, and the loop around them. None are made of what this program does not have."""
    run = {"name": _by_name, "bound": _bound, "nothing": _nothing()}[what]
    if run is None:
        return {"calls": [0], "seconds": 0.0}
    run()
    calls = 0
    start = now = perf_counter()
    while now < start + seconds:
        run()
        calls += len(NUMBERS)
        now = perf_counter()
    return {"calls": [calls], "seconds": now - start}
