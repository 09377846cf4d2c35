"""What the workloads measure with: histograms of latencies, and threads that start together."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

# Nanoseconds, and how often.
Histogram = list[tuple[int, int]]


def histogram(nanoseconds: Iterable[int]) -> Histogram:
    """How often each latency was seen, in steps of less than 1 %."""
    return sorted(Counter(map(_step, nanoseconds)).items())


def _step(ns: int) -> int:
    """The middle of the step: all that share their eight highest bits."""
    shift = max(0, ns.bit_length() - 8)
    return (ns >> shift << shift) + (1 << shift >> 1)


def together(
    threads: int, seconds: float, lead: float, warm: Callable[[], object], body: Callable[[int, float, float], T]
) -> tuple[list[T], float]:
    """Runs body(number, start, end) on so many threads at once; each is to return at `end`.

    All have run warm() before, over and over while the last of them came out of the barrier, for which `lead` seconds are left. Returns
    what they returned, and the seconds from the start to the end of the last.
    """
    start = 0.0

    def begin() -> None:
        nonlocal start
        start = perf_counter() + lead

    barrier = threading.Barrier(threads, begin)
    results: dict[int, T] = {}
    ends: list[float] = []
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            warm()
            barrier.wait()
            while perf_counter() < start:
                warm()
            results[number] = body(number, start, start + seconds)
            ends.append(perf_counter())
        except BaseException as exc:
            errors.append(exc)
            barrier.abort()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    return [results[number] for number in range(threads)], max(ends) - start
