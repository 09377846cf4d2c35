"""A node that follows PROTOCOL.md, in a few lines, for what a real one never does: being slow, refusing, vanishing."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import _erlang
import erlang

HELLO, CALL, OK, ERROR, CAST, CANCEL, BYE, CALLS = 1, 2, 3, 4, 5, 6, 7, 8
HANDLER = _erlang.decode(b"\x83Xw\x01n\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x00")


class FakeNode:
    """Listens on a socket of its own; `accept` gives one conversation."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "s")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(64)
        self.socket.settimeout(20)
        self.conversations: list[Conversation] = []

    def accept(self) -> Conversation:
        self.conversations.append(Conversation(self.socket.accept()[0]))
        return self.conversations[-1]

    def welcomed(self, max_frame: int = 64 << 20) -> Conversation:
        """The next conversation, with its hellos exchanged."""
        conversation = self.accept()
        conversation.read()
        conversation.welcome(max_frame)
        return conversation

    def __enter__(self) -> FakeNode:
        return self

    def __exit__(self, *_: object) -> None:
        for conversation in self.conversations:
            conversation.close()
        self.socket.close()


class Conversation:
    """One connection, frame by frame."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(20)

    def read(self) -> tuple[int, int, Any]:
        length, kind, number = struct.unpack(">IBI", self._exactly(9))
        payload = self._exactly(length - 5)
        return kind, number, _erlang.decode(payload) if payload else None

    def write(self, kind: int, number: int, term: Any) -> None:
        payload = _erlang.encode(term)
        self.connection.sendall(struct.pack(">IBI", 5 + len(payload), kind, number) + payload)

    def welcome(self, max_frame: int = 64 << 20) -> None:
        """Answers the hello that has been read."""
        info = {erlang.Atom("max_frame"): max_frame}
        self.write(HELLO, 0, (erlang.Atom("erlpy"), 1, HANDLER, info))

    def answer(self, number: int, argument: Any) -> None:
        """Answers call number, which is f(argument), with the argument."""
        assert self.read() == (CALL, number, ("f", [argument]))
        self.write(OK, number, argument)

    def call(self, target: str, *args: Any, number: int = 1) -> None:
        """Asks Python for something; the answer is read like any frame."""
        self.write(CALL, number, (erlang.Atom(target), list(args)))

    def ask(self, target: str, *args: Any, number: int = 1) -> Any:
        """The answer to a call during which nothing else arrives."""
        self.call(target, *args, number=number)
        kind, answered, term = self.read()
        assert (kind, answered) == (OK, number), term
        return term

    def close(self) -> None:
        self.connection.close()

    def _exactly(self, size: int) -> bytes:
        data = bytearray(size)
        have = 0
        while have < size:
            part = self.connection.recv_into(memoryview(data)[have:])
            if not part:
                raise EOFError
            have += part
        return bytes(data)


# What the fixture start is: called with a script's text, and where its looks for an answer should be few, or many, with `poll`.
Start = Callable[..., tuple[Popen[str], Conversation]]
