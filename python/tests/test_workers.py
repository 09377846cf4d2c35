"""The life of a worker: made on a thread's first call, released at its end, taken by the next thread."""

from __future__ import annotations

import threading

import erlang
import pytest
from together import BOUND, alive, eventually, in_threads, settled


@pytest.fixture(autouse=True)
def quiet() -> None:
    """All that threads of other tests had is back in the pool."""
    settled()


def test_a_thread_that_never_calls_has_no_worker() -> None:
    before = alive()
    bound = []

    def work(_: int) -> None:
        assert erlang.stats()["worker"] is None
        assert erlang.stats()["handler"] is None
        bound.append(erlang.stats()["bound"])

    in_threads(20, work)
    assert set(bound) == {BOUND}
    assert alive() == before


def test_the_first_call_binds_a_worker() -> None:
    def work(_: int) -> tuple[object, object, int]:
        before = erlang.stats()["worker"]
        erlang.call("double_it", 1)
        return before, erlang.stats()["worker"], erlang.stats()["bound"]

    [(before, after, bound)] = in_threads(1, work)
    assert before is None and isinstance(after, int) and bound == BOUND + 1


def test_1000_threads_in_turn_leave_one_worker() -> None:
    workers, handlers = set(), set()
    count = alive()

    def work(i: int) -> None:
        assert erlang.call("double_it", i) == 2 * i
        workers.add(erlang.stats()["worker"])
        handlers.add(erlang.call("whoami"))

    for i in range(1000):
        thread = threading.Thread(target=work, args=(i,))
        thread.start()
        thread.join()
    assert len(workers) == 1
    assert len(handlers) == 1
    assert alive() <= max(count, BOUND + 1)


def test_50_at_once_then_50_at_once_have_the_same_handlers() -> None:
    count = alive()

    def batch() -> tuple[set[object], set[object]]:
        together = threading.Barrier(50)

        def work(_: int) -> tuple[object, object]:
            who = erlang.call("whoami")
            together.wait()  # all 50 hold a worker now
            return erlang.stats()["worker"], who

        pairs = in_threads(50, work)
        settled()
        return {worker for worker, _ in pairs}, {who for _, who in pairs}

    first, second = batch(), batch()
    assert len(first[0]) == 50
    assert first == second
    assert alive() <= max(count, BOUND + 50)


def test_workers_are_given_back_when_threads_end_by_an_exception() -> None:
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:

        def work() -> None:
            erlang.call("double_it", 1)
            raise SystemError("on purpose")

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.excepthook = hook
    settled()


def test_a_call_in_a_destructor_of_a_thread_local() -> None:
    """It runs while its thread ends: the call must still work, and the worker must still come back."""
    answers = []

    class Last:
        def __del__(self) -> None:
            answers.append(erlang.call("double_it", 4))

    local = threading.local()

    def work(_: int) -> None:
        local.last = Last()
        erlang.call("double_it", 1)

    in_threads(8, work)
    settled()
    assert answers == [8] * 8


def test_most_workers_of_a_burst_end_after_a_while(peer: str) -> None:
    """A few are kept. So are their handlers; the others' are gone."""
    together = threading.Barrier(200)

    def work(_: int) -> object:
        who = erlang.call("whoami")
        together.wait()
        return who

    handlers = in_threads(200, work)
    settled()
    assert erlang.stats()["idle"] >= 200 - BOUND
    eventually(lambda: erlang.stats()["idle"] <= 16, "16 workers idle", 60)
    if peer == "beam":
        eventually(lambda: erlang.call("living", handlers) <= 16, "the handlers of 16 workers alive", 60)
