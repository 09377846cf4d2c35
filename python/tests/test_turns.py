"""Threads whose calls are quick make them in turns, of which there are as many as pairs of cores."""

from __future__ import annotations

import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import erlang
import pytest
from command import asleep, finished
from fakenode import CALL, OK, FakeNode, Start
from together import eventually

pytestmark = pytest.mark.beam


def test_a_busy_thread_does_not_keep_another_waiting() -> None:
    """Counted in calls that the busy ones make meanwhile, not in time. Some thousand, if they never give way."""
    made = 0
    done = False

    def busy() -> None:
        nonlocal made
        while not done:
            erlang.call("echo", 1)
            made += 1

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    waits = []
    for _ in range(51):
        time.sleep(0.001)  # which loses its turn
        before = made
        erlang.call("echo", 2)
        waits.append(made - before)
    done = True
    for thread in threads:
        thread.join()
    worst = sorted(waits)[-10:]
    assert statistics.mean(worst) < 1500, worst


# The scripts make each call after the first in a turn; the main thread has the only one.


def test_a_thread_between_calls_keeps_no_other_waiting(start: Start, node: FakeNode) -> None:
    run, peer = start("""
        erlang.call('f', 1)
        def other():
            print(erlang.call('f', 2), erlang.call('f', 3))
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        print(erlang.call('f', 4))
        """)
    peer.answer(2, 1)
    other = node.welcomed()
    other.answer(1, 2)
    other.answer(2, 3)
    peer.answer(3, 4)
    assert finished(run) == (0, "2 3\n4\n", "")


def test_a_turn_between_calls_is_had_without_sleep(start: Start, node: FakeNode) -> None:
    run, peer = start("""
        from resource import RUSAGE_THREAD, getrusage
        erlang.call('f', 1)
        def other():
            erlang.call('f', 2)
            before = getrusage(RUSAGE_THREAD).ru_nvcsw
            erlang.call('f', 3)
            print(getrusage(RUSAGE_THREAD).ru_nvcsw - before)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        """, poll=2_000_000)
    peer.answer(2, 1)
    other = node.welcomed()
    other.answer(1, 2)
    other.answer(2, 3)
    assert finished(run) == (0, "0\n", "")


def test_who_waits_gets_the_turn_of_who_calls_no_more(start: Start, node: FakeNode) -> None:
    run, peer = start("""
        ended = threading.Barrier(3)
        def other(i):
            erlang.call('f', i)
            if i > 1:
                threading.Thread(target=other, args=(i - 1,)).start()
            print(threading.get_native_id(), flush=True)
            erlang.call('f', i)
            ended.wait()
        threading.Thread(target=other, args=(2,)).start()
        erlang.call('f', 0)
        ended.wait()
        """, poll=2_000_000)
    assert run.stdout is not None
    assert peer.read() == (CALL, 2, ("f", [0]))
    others = []
    for i in (2, 1):
        others.append(node.welcomed())
        others[-1].answer(1, i)
        thread = int(run.stdout.readline())
        eventually(partial(asleep, thread), "the thread waits for its turn")
    peer.write(OK, 2, 0)
    others[0].answer(2, 2)
    others[1].answer(2, 1)
    assert finished(run) == (0, "", "")


def test_a_thread_whose_answer_is_late_keeps_no_other_waiting(start: Start, node: FakeNode) -> None:
    run, peer = start("""
        def other():
            print(erlang.call('f', 2), erlang.call('f', 3), flush=True)
        threading.Thread(target=other).start()
        print(erlang.call('f', 1))
        """)
    assert peer.read() == (CALL, 2, ("f", [1]))
    other = node.welcomed()
    other.answer(1, 2)
    other.answer(2, 3)
    assert run.stdout is not None
    assert run.stdout.readline() == "2 3\n"
    peer.write(OK, 2, 1)
    assert finished(run) == (0, "1\n", "")


def test_a_thread_that_runs_python_within_a_call_keeps_no_other_waiting(start: Start, node: FakeNode) -> None:
    run, peer = start("""
        ended = threading.Event()
        def nested():
            return ended.wait(60)
        def other():
            erlang.call('f', 2), erlang.call('f', 3)
            ended.set()
        threading.Thread(target=other).start()
        print(erlang.call('f', 1))
        """)
    assert peer.read() == (CALL, 2, ("f", [1]))
    peer.call("call", None, "__main__", "nested", [], {})
    other = node.welcomed()
    other.answer(1, 2)
    other.answer(2, 3)
    assert peer.read() == (OK, 1, True)
    peer.write(OK, 2, "done")
    assert finished(run) == (0, "done\n", "")


def test_threads_that_end(start: Start, node: FakeNode) -> None:
    """With a turn. It is the next one's, whatever has become of the memory."""
    run, peer = start("""
        def work(i):
            assert [erlang.call('f', i) for i in (1, 2)] == [1, 2]
        for i in range(20):
            thread = threading.Thread(target=work, args=(i,))
            thread.start()
            thread.join()
        print(erlang.call('f', 1))
        """)
    other = node.welcomed()
    for i in range(20):
        other.answer(2 * i + 1, 1)
        other.answer(2 * i + 2, 2)
    peer.answer(2, 1)
    assert finished(run) == (0, "1\n", "")


def test_a_call_with_a_timeout_waits_no_longer_for_a_turn(start: Start, node: FakeNode) -> None:
    """It goes out while the main thread, in its turn, still looks for its answer, for a second or so."""
    run, peer = start("""
        def other():
            print(erlang.call('f', 2))
            try:
                erlang.call('f', 3, timeout=0.02)
            except erlang.Timeout as e:
                print(type(e).__name__)
        thread = threading.Thread(target=other)
        thread.start()
        print(erlang.call('f', 1))
        thread.join()
        """, poll=2_000_000)
    assert peer.read() == (CALL, 2, ("f", [1]))
    other = node.welcomed()
    other.answer(1, 2)
    assert other.read() == (CALL, 2, ("f", [3]))
    assert not asleep(run.pid)
    peer.write(OK, 2, 1)
    status, out, err = finished(run)
    assert (status, sorted(out.split()), err) == (0, ["1", "2", "Timeout"], "")


def test_a_thread_may_run_where_it_might_before() -> None:
    """After late answers it goes on on another core. Each of these takes longer than the looks for it."""

    def work() -> tuple[set[int], set[int]]:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        before = os.sched_getaffinity(0)
        for _ in range(100):
            erlang.call("nested", 900)
        return before, os.sched_getaffinity(0)

    with ThreadPoolExecutor() as pool:
        before, after = pool.submit(work).result()
    assert after == before
