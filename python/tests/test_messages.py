"""Messages: casts, sends, names, and values that stay what they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import _erlang
import erlang
import pytest
from together import eventually, in_threads

_keys = itertools.count()


@pytest.fixture
def pages() -> str:
    return f"notes-{next(_keys)}"


def test_cast(pages: str) -> None:
    erlang.cast("note", pages, [1, "two"])
    eventually(lambda: erlang.call("noted", pages) == [[1, "two"]], "the cast has arrived")


def test_casts_of_one_thread_arrive_in_order(pages: str) -> None:
    def work(i: int) -> None:
        for n in range(100):
            erlang.cast("note", f"{pages}-{i}", n)

    in_threads(4, work)
    for i in range(4):
        eventually(lambda: len(erlang.call("noted", f"{pages}-{i}")) == 100, "all casts have arrived")
        assert erlang.call("noted", f"{pages}-{i}") == list(range(100))


def test_a_cast_and_then_a_call(pages: str) -> None:
    erlang.cast("note", pages, 1)
    assert erlang.call("double_it", 4) == 8
    eventually(lambda: erlang.call("noted", pages) == [1], "the cast has arrived")


def test_a_cast_that_fails_is_nobodys() -> None:
    erlang.cast("maybe_fail", 42)
    assert erlang.call("double_it", 4) == 8


def test_a_cast_of_what_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match=r"args\[0\]: set has no Erlang term"):
        erlang.cast("note", {1})
    with pytest.raises(TypeError, match="name"):
        erlang.cast(1)  # type: ignore[arg-type]


@pytest.mark.go
def test_without_a_node() -> None:
    pid = _erlang.decode(b"\x83Xw\x01n\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x00")
    with pytest.raises(erlang.Disconnected):
        erlang.send(pid, "hello")
    assert erlang.whereis("init") is None


@pytest.fixture
def mailbox() -> Iterator[erlang.Pid]:
    pid = erlang.call("mailbox")
    yield pid
    erlang.call("close_mailbox", pid)


@pytest.mark.beam
def test_send(mailbox: erlang.Pid) -> None:
    erlang.send(mailbox, {"x": [1, 2.5, None]})
    assert erlang.call("mail", mailbox) == [{"x": [1, 2.5, None]}]


@pytest.mark.beam
def test_messages_of_one_sender_arrive_in_order(mailbox: erlang.Pid) -> None:
    def work(i: int) -> None:
        for n in range(100):
            erlang.send(mailbox, (i, n))

    in_threads(8, work)
    mail = erlang.call("mail", mailbox)
    assert len(mail) == 800
    for i in range(8):
        assert [n for sender, n in mail if sender == i] == list(range(100))


@pytest.mark.beam
def test_send_to_a_name() -> None:
    pid = erlang.call("mailbox", "python_mailbox")
    try:
        assert erlang.whereis("python_mailbox") == pid == erlang.whereis(erlang.atom("python_mailbox"))
        erlang.send("python_mailbox", 1)
        erlang.send(erlang.atom("python_mailbox"), 2)
        assert erlang.call("mail", pid) == [1, 2]
    finally:
        erlang.call("close_mailbox", pid)
    assert erlang.whereis("python_mailbox") is None


@pytest.mark.beam
def test_whereis() -> None:
    assert isinstance(erlang.whereis("init"), erlang.Pid)
    assert erlang.whereis("no process has this name") is None
    with pytest.raises(TypeError, match="name of a process"):
        erlang.whereis(7)  # type: ignore[arg-type]


@pytest.mark.beam
def test_a_dead_process() -> None:
    pid = erlang.call("mailbox")
    erlang.call("close_mailbox", pid)
    with pytest.raises(erlang.ProcessError):
        erlang.send(pid, "anybody?")
    with pytest.raises(erlang.ProcessError, match="nobody_is_called_so"):
        erlang.send("nobody_is_called_so", 1)
    assert erlang.call("double_it", 1) == 2


def test_who_cannot_get_a_message() -> None:
    with pytest.raises(TypeError, match="a message goes to a Pid or a registered name, not to int"):
        erlang.send(7, "x")  # type: ignore[arg-type]


@pytest.mark.beam
def test_what_cannot_be_sent(mailbox: erlang.Pid) -> None:
    with pytest.raises(TypeError, match="set has no Erlang term"):
        erlang.send(mailbox, {1})


@pytest.mark.beam
def test_a_handler_survives_messages() -> None:
    """What comes to a handler and is no part of the protocol is logged, and no more."""
    handler = erlang.self()
    assert handler is not None
    for message in ("stray", ("system", 1), 7):
        erlang.send(handler, message)
    assert erlang.call("double_it", 1) == 2
    assert erlang.self() == handler


def test_atoms() -> None:
    assert erlang.call("echo", erlang.atom("ok")) == "ok" == erlang.call("echo", erlang._atom("ok"))


@pytest.mark.beam
def test_pids_stay_the_same() -> None:
    remote = erlang.call("remote_pid")
    assert str(remote) == "other@hosts.93.3"
    for pid in (remote, erlang.self()):
        assert isinstance(pid, erlang.Pid)
        assert erlang.call("echo", [pid, {"it": pid}]) == [pid, {"it": pid}]
        assert _erlang.encode(erlang.call("echo", pid)) == _erlang.encode(pid)


@pytest.mark.beam
def test_a_pid_in_a_message(mailbox: erlang.Pid) -> None:
    erlang.send(mailbox, (erlang.self(), mailbox))
    assert erlang.call("mail", mailbox) == [(erlang.self(), mailbox)]
