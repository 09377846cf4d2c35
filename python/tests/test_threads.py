"""Many threads at once: each gets its own answers, and nobody waits for another."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import erlang
import pytest
from together import IN_FLIGHT, eventually, in_threads


def test_64_threads_1000_calls_each() -> None:
    def work(i: int) -> None:
        for n in range(1000):
            x = i * 1_000_000 + n
            assert erlang.call("double_it", x) == 2 * x

    in_threads(64, work)


def test_64_threads_with_answers_of_their_own_shape() -> None:
    def work(i: int) -> None:
        for n in range(50):
            mine = [i, n, "x" * (i * 37 % 5000), {"thread": i}]
            assert erlang.call("echo", mine) == mine

    in_threads(64, work)


def test_64_threads_with_random_sleeps() -> None:
    def work(i: int) -> None:
        for n in range(20):
            assert erlang.call("sleep_random", 5, i * 1000 + n) == i * 1000 + n

    in_threads(64, work)


def five_calls_in_a_row(x: int) -> int:
    for _ in range(5):
        x = erlang.call("add_one", x)
    return x


@pytest.mark.parametrize("workers", [1, 4, 16])
def test_executor_tasks_with_five_calls_in_a_row(workers: int) -> None:
    with ThreadPoolExecutor(max_workers=workers) as executor:
        assert list(executor.map(five_calls_in_a_row, range(200))) == [x + 5 for x in range(200)]


def test_executor_tasks_that_mix_sleeps_and_calls() -> None:
    def task(x: int) -> int:
        erlang.call("sleep_random", 3, x)
        return five_calls_in_a_row(x)

    with ThreadPoolExecutor(max_workers=16) as executor:
        futures = [executor.submit(task, x) for x in random.sample(range(1000), 100)]
        assert sorted(f.result() for f in futures) == sorted(f.result() for f in reversed(futures))
        assert all(isinstance(f.result(), int) for f in futures)


def test_others_compute_and_call_while_one_waits() -> None:
    entered, done = threading.Event(), threading.Event()
    results = []

    def waits() -> None:
        erlang.call("double_it", 1)  # connected: what is measured is the wait alone
        entered.set()
        results.append(erlang.call("sleep", 1000))
        done.set()

    waiting = threading.Thread(target=waits)
    waiting.start()
    entered.wait()
    total = sum(n * n for n in range(200_000))
    assert not done.is_set(), "the computation had to wait for the call"
    answers = in_threads(2, lambda i: erlang.call("double_it", i))
    assert not done.is_set(), "the second thread's call had to wait for the first's"
    assert total == 2666646666700000 and answers == [0, 2]
    waiting.join()
    assert results == [1000]


def test_sleeping_calls_run_side_by_side() -> None:
    """All of them are under way at the same time."""
    threads = [threading.Thread(target=erlang.call, args=("sleep", 1000)) for _ in range(40)]
    for thread in threads:
        thread.start()
    eventually(lambda: erlang.stats()["in_flight"] == IN_FLIGHT + 40, "40 calls in flight")
    for thread in threads:
        thread.join()
    assert erlang.stats()["in_flight"] == IN_FLIGHT


def test_a_failing_thread_leaves_the_others_alone() -> None:
    def work(i: int) -> None:
        for n in range(100):
            if i % 2:
                with pytest.raises(erlang.CallError):
                    erlang.call("maybe_fail", 42)
            else:
                assert erlang.call("double_it", n) == 2 * n

    in_threads(16, work)
