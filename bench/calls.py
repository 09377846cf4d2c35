"""Calls of `double_it`, one after the other on each of some threads."""

from __future__ import annotations

import threading
from time import perf_counter, perf_counter_ns, sleep
from typing import Any

from erlang import call
from measure import histogram, together

# Its bytes, and those of its double, are as many as the floor's.
NUMBER = 21000


def _once() -> None:
    call("double_it", NUMBER)


def _lead(threads: int) -> float:
    """For connections and caches, and for all threads to be under way."""
    return 0.02 + threads / 2000


def rate(threads: int, seconds: float) -> dict[str, Any]:
    """How many calls each thread makes, with nothing between them."""
    # The clock is looked at now and then; by many threads after each call, so that all stop together.
    chunk = range(max(1, 64 // threads))

    def count(_number: int, _start: float, end: float) -> int:
        calls = 0
        while perf_counter() < end:
            for _ in chunk:
                call("double_it", NUMBER)
            calls += len(chunk)
        return calls

    counts, took = together(threads, seconds, _lead(threads), _once, count)
    return {"calls": counts, "seconds": took}


def latency(threads: int, seconds: float) -> dict[str, Any]:
    """How long each call takes, seen by the thread that makes it. The two looks at the clock are in it: some 0.1 us."""

    def time(_number: int, _start: float, end: float) -> list[int]:
        stop = int(end * 1e9)
        samples = []
        after = 0
        while after < stop:
            before = perf_counter_ns()
            call("double_it", NUMBER)
            after = perf_counter_ns()
            samples.append(after - before)
        return samples

    samples, _took = together(threads, seconds, _lead(threads), _once, time)
    return {"latency": histogram(ns for of_thread in samples for ns in of_thread)}


def paced(threads: int, per_second: float, seconds: float) -> dict[str, Any]:
    """So many calls a second by all threads together, each at its time."""
    interval = threads / per_second

    def time(number: int, start: float, end: float) -> list[int]:
        samples = []
        due = start + interval * number / threads
        while due < end:
            sleep(max(0.0, due - perf_counter()))
            before = perf_counter_ns()
            call("double_it", NUMBER)
            samples.append(perf_counter_ns() - before)
            due += interval
        return samples

    samples, took = together(threads, seconds, 0.0, _once, time)
    return {
        "calls": [len(of_thread) for of_thread in samples],
        "seconds": took,
        "latency": histogram(ns for of_thread in samples for ns in of_thread),
    }


def hold(threads: int, bound: bool) -> dict[str, Any]:
    """Leaves so many threads waiting for the end of the program; they have called once before, if they are to be bound."""
    ready = threading.Barrier(threads + 1)

    def work() -> None:
        if bound:
            call("double_it", NUMBER)
        ready.wait()
        threading.Event().wait()

    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()
    ready.wait()
    return {}
