"""erlang.submit: futures, many in flight from one thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import struct
import textwrap
import threading
from pathlib import Path
from typing import Any

import erlang
import pytest
from command import erlpy, finished
from fakenode import CALL, OK, FakeNode
from fates import hangs, key, killed
from together import in_threads


def test_a_call() -> None:
    future = erlang.submit("double_it", 21)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(60) == 42
    assert future.done() and not future.cancelled()


def test_many_in_flight_from_one_thread() -> None:
    futures = [erlang.submit("sleep_random", 20, i) for i in range(2000)]
    assert [future.result(60) for future in futures] == list(range(2000))


def test_from_many_threads() -> None:
    def work(i: int) -> None:
        futures = [erlang.submit("double_it", i * 1000 + n) for n in range(200)]
        assert [f.result(60) for f in futures] == [2 * (i * 1000 + n) for n in range(200)]

    in_threads(8, work)


def test_errors_come_to_the_call_that_caused_them() -> None:
    numbers = [42 if i % 2 else i for i in range(100)]
    futures = [erlang.submit("maybe_fail" if n == 42 else "echo", n) for n in numbers]
    for number, future in zip(numbers, futures):
        if number == 42:
            with pytest.raises(erlang.CallError, match="maybe_fail: 42"):
                future.result(60)
        else:
            assert future.result(60) == number
    with pytest.raises(erlang.NotRegistered):
        erlang.submit("nope").result(60)


def test_what_cannot_be_sent_raises_at_once() -> None:
    with pytest.raises(TypeError, match=r"args\[1\]: set has no Erlang term"):
        erlang.submit("echo", 1, {1})
    with pytest.raises(TypeError, match="timeout"):
        erlang.submit("echo", 1, timeout="soon")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name"):
        erlang.submit(1)  # type: ignore[arg-type]


def test_timeout() -> None:
    name = key()
    future = erlang.submit("hang", name, timeout=0.5)
    with pytest.raises(erlang.Timeout):
        future.result(60)
    killed(name)


def test_cancel_kills() -> None:
    name = key()
    future = erlang.submit("hang", name)
    hangs(name)
    assert future.cancel() and future.cancel()
    assert future.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(60)
    killed(name)


def test_who_waits_hears_of_a_cancellation() -> None:
    name = key()
    future = erlang.submit("hang", name)
    hangs(name)
    waiting = threading.Thread(target=concurrent.futures.wait, args=([future],))
    waiting.start()
    assert future.cancel()
    waiting.join(60)
    assert not waiting.is_alive()


def test_what_has_ended_cannot_be_cancelled() -> None:
    future = erlang.submit("double_it", 1)
    assert future.result(60) == 2
    assert not future.cancel()
    assert future.result() == 2


def test_cancelled_at_about_the_time_of_its_end() -> None:
    """Either it was cancelled or it has its result, and never anything between."""
    for n in range(300):
        future = erlang.submit("double_it", n)
        if n % 2:
            erlang.call("echo", n)
        if future.cancel():
            with pytest.raises(concurrent.futures.CancelledError):
                future.result(60)
        else:
            assert future.result(60) == 2 * n


def test_as_completed_and_callbacks() -> None:
    seen: list[Any] = []
    futures = [erlang.submit("double_it", n) for n in range(50)]
    for future in futures:
        future.add_done_callback(lambda f: seen.append(f.result()))
    assert sorted(f.result() for f in concurrent.futures.as_completed(futures, 60)) == [2 * n for n in range(50)]
    assert sorted(seen) == [2 * n for n in range(50)]


def test_a_callback_that_raises_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_type))

    def callback(_: Any) -> None:
        raise KeyboardInterrupt

    future = erlang.submit("sleep", 20)
    future.add_done_callback(callback)
    assert future.result(60) == 20
    assert erlang.submit("double_it", 5).result(60) == 10
    assert raised == [KeyboardInterrupt]


def test_a_callback_may_call() -> None:
    answers: list[Any] = []
    done = threading.Event()

    def callback(future: Any) -> None:
        answers.append(erlang.submit("double_it", future.result()))
        done.set()

    erlang.submit("double_it", 1).add_done_callback(callback)
    assert done.wait(60)
    assert answers[0].result(60) == 4


def test_under_asyncio() -> None:
    name = key()

    async def main() -> None:
        assert await asyncio.wrap_future(erlang.submit("double_it", 3)) == 6
        waiting = asyncio.wrap_future(erlang.submit("hang", name))
        while await asyncio.wrap_future(erlang.submit("fate", name)) != "running":
            pass
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(asyncio.wait_for(main(), 60))
    killed(name)


@pytest.mark.beam
def test_a_dead_channel_fails_what_is_on_it_and_is_replaced() -> None:
    waiting = [erlang.submit("sleep", 60_000) for _ in range(20)]
    killer = erlang.submit("kill_channel")
    for future in [*waiting, killer]:
        with pytest.raises(erlang.Disconnected):
            future.result(60)
    assert erlang.submit("double_it", 21).result(60) == 42


@pytest.mark.beam
def test_a_dead_channel_under_asyncio() -> None:
    async def main() -> list[object]:
        calls = [erlang.async_call("sleep", 60_000) for _ in range(20)]
        return await asyncio.gather(*calls, erlang.async_call("kill_channel"), return_exceptions=True)

    assert {type(outcome) for outcome in asyncio.run(main())} == {erlang.Disconnected}


@pytest.mark.beam
def test_a_result_that_is_malformed(node: FakeNode, tmp_path: Path) -> None:
    """It fails its own call only."""
    file = tmp_path / "script.py"
    file.write_text(
        textwrap.dedent("""
            import erlang
            for future in [erlang.submit('f', n) for n in range(3)]:
                try:
                    print(future.result(60))
                except ValueError as e:
                    print(type(e).__module__, 'malformed' in str(e))
        """),
        encoding="utf-8",
    )
    run = erlpy("--beam", node.path, str(file))
    peer = node.accept()
    assert peer.read()[2][2] == "async"
    peer.welcome()
    calls = [peer.read() for _ in range(3)]
    assert [(kind, term) for kind, _, term in calls] == [(CALL, ("f", [n])) for n in range(3)]
    malformed = b"\x83h\x02a\x01"  # a tuple of which the second half is missing
    for (_, number, _), payload in zip(calls, (b"\x83a\x07", malformed, b"\x83a\x09")):
        peer.connection.sendall(struct.pack(">IBI", 5 + len(payload), OK, number) + payload)
    assert finished(run) == (0, "7\nerlang True\n9\n", "")
