"""Threads that call without a pause let others go first now and then."""

from __future__ import annotations

import statistics
import threading
import time

import erlang
import pytest


@pytest.mark.beam
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
        time.sleep(0.001)  # which gives its turn up
        before = made
        erlang.call("echo", 2)
        waits.append(made - before)
    done = True
    for thread in threads:
        thread.join()
    worst = sorted(waits)[-10:]
    assert statistics.mean(worst) < 1500, worst
