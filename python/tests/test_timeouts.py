"""timeout=: raised on time, the function killed, and nothing of it left for the next call."""

from __future__ import annotations

import threading
import time
from typing import Any

import erlang
import pytest
from fates import killed, key
from together import in_threads, settled


def test_on_time() -> None:
    late = []
    for _ in range(5):  # the best of five, as elsewhere
        start = time.monotonic()
        with pytest.raises(erlang.Timeout):
            erlang.call("hang", key(), timeout=0.1)
        late.append(time.monotonic() - start - 0.1)
        assert late[-1] >= 0
    assert min(late) < 0.02


def test_what_is_raised() -> None:
    with pytest.raises(TimeoutError) as info:
        erlang.call("hang", key(), timeout=0.01)
    assert type(info.value) is erlang.Timeout
    assert "0.01" in str(info.value)


def test_the_function_is_killed() -> None:
    name = key()
    with pytest.raises(erlang.Timeout):
        # Long enough for the function to begin.
        erlang.call("hang", name, timeout=0.5)
    killed(name)


def test_a_call_that_is_in_time() -> None:
    assert erlang.call("double_it", 4, timeout=60) == 8
    assert erlang.call("double_it", 4, timeout=None) == 8
    assert erlang.call("double_it", 4, timeout=1e12) == 8
    with pytest.raises(erlang.CallError):
        erlang.call("maybe_fail", 42, timeout=60)
    with pytest.raises(erlang.NotRegistered):
        erlang.call("nope", timeout=60)


def test_attributes_take_a_timeout_too() -> None:
    assert erlang.double_it(4, timeout=60) == 8
    with pytest.raises(erlang.Timeout):
        erlang.hang(key(), timeout=0.01)


@pytest.mark.parametrize("timeout", [0, -1, 1e-12])
def test_no_time_at_all(timeout: float) -> None:
    with pytest.raises(erlang.Timeout):
        erlang.call("hang", key(), timeout=timeout)


@pytest.mark.parametrize("timeout", ["1", [], object()])
def test_what_is_no_time(timeout: Any) -> None:
    with pytest.raises(TypeError, match="timeout"):
        erlang.call("double_it", 1, timeout=timeout)


def test_not_a_number() -> None:
    with pytest.raises(ValueError, match="timeout"):
        erlang.call("double_it", 1, timeout=float("nan"))


def test_other_keywords_are_refused() -> None:
    with pytest.raises(TypeError, match="patience"):
        erlang.call("double_it", 1, patience=3)  # type: ignore[call-arg]


def test_a_late_reply_is_nobodys() -> None:
    """Replies that come at about the time that the caller gives up never answer the call after it."""
    for n in range(150):
        try:
            assert erlang.call("sleep_random", 4, -n, timeout=0.002) == -n
        except erlang.Timeout:
            pass
        assert erlang.call("echo", n) == n


def test_in_many_threads() -> None:
    def work(i: int) -> int:
        timeouts = 0
        for n in range(20):
            try:
                assert erlang.call("sleep_random", 10, n, timeout=0.005) == n
            except erlang.Timeout:
                timeouts += 1
            assert erlang.call("double_it", i * 100 + n) == 2 * (i * 100 + n)
        return timeouts

    assert sum(in_threads(16, work)) > 0
    settled()


def test_the_next_call_works_at_once() -> None:
    took = []
    for _ in range(5):
        with pytest.raises(erlang.Timeout):
            erlang.call("hang", key(), timeout=0.01)
        start = time.monotonic()
        assert erlang.call("double_it", 1) == 2
        took.append(time.monotonic() - start)
    assert min(took) < 0.05


def test_workers_do_not_pile_up() -> None:
    before = erlang.stats()

    def work(_: int) -> None:
        with pytest.raises(erlang.Timeout):
            erlang.call("hang", key(), timeout=0.01)

    for _ in range(20):
        thread = threading.Thread(target=work, args=(0,))
        thread.start()
        thread.join()
    settled()
    after = erlang.stats()
    assert after["in_flight"] == before["in_flight"]
    assert after["idle"] <= before["idle"] + 1
