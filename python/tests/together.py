"""Helpers for tests with many threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import erlang

T = TypeVar("T")

# What is there before any test: this main thread's worker, those of threads that serve the program's own calls.
erlang.call("double_it", 0)
BOUND: int = erlang.stats()["bound"]
IN_FLIGHT: int = erlang.stats()["in_flight"]


def in_threads(count: int, work: Callable[[int], T]) -> list[T]:
    """Runs work(0), work(1), ... each in a thread of its own, all started at the same moment; raises what one raised."""
    start = threading.Barrier(count)
    results: list[Any] = [None] * count
    failures: list[BaseException] = []

    def run(i: int) -> None:
        try:
            start.wait()
            results[i] = work(i)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def eventually(condition: Callable[[], Any], what: str, seconds: float = 10) -> None:
    """Waits until the condition holds. For what the operating system does a moment after `join` returns."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}; {erlang.stats()}"
        time.sleep(0.001)


def alive() -> int:
    """Workers that exist, whether a thread has them or not."""
    stats = erlang.stats()
    return int(stats["idle"] + stats["bound"])


def settled() -> None:
    """Waits until the threads that ended have given their workers back."""
    eventually(lambda: erlang.stats()["bound"] == BOUND, f"{BOUND} workers bound")
