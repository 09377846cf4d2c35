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


def go(seconds: float) -> dict[str, Any]:
    """How long a call takes in each way, with its part of the loop around: in turn, some ms each, since a machine may change its speed sooner than a
    round is over. None is told of what this program does not have.
    """
    ways = {"name": _by_name, "bound": _bound, "nothing": _nothing()}
    runs = {way: run for way, run in ways.items() if run is not None}
    for run in runs.values():
        run()
    took = dict.fromkeys(runs, 0.0)
    turns = 0
    end = perf_counter() + seconds
    while perf_counter() < end:
        for way, run in runs.items():
            start = perf_counter()
            run()
            took[way] += perf_counter() - start
        turns += 1
    return {"took": {way: total / (turns * len(NUMBERS)) for way, total in took.items()}}
