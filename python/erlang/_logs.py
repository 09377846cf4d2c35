"""Python's logging, handed to the node. Who logs never waits for that: a thread of its own does the sending."""

from __future__ import annotations

import logging
import os
import threading
from queue import SimpleQueue
from typing import Optional, Union

import _erlang

from . import _threads
from ._errors import Error, sendable

# Lines that may wait to be sent. Beyond it they are dropped, and counted.
LIMIT = 10_000

_Line = tuple[int, str, str, str]


class NodeHandler(logging.Handler):
    """A handler like any other: beside those that the program installs, and replacing none."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: SimpleQueue[Union[_Line, None]] = SimpleQueue()
        self._sender: Optional[threading.Thread] = None
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Called with the handler's lock held."""
        try:
            text = sendable(self.format(record))
        except Exception:
            self.handleError(record)
            return
        if self._lines.qsize() >= LIMIT:
            self._dropped += 1
            return
        if self._dropped:
            self._put(logging.WARNING, "erlang", "", f"{self._dropped} messages were dropped")
            self._dropped = 0
        self._put(record.levelno, record.name, record.threadName or "", text)

    def _put(self, level: int, logger: str, thread: str, text: str) -> None:
        self._lines.put((level, sendable(logger), sendable(thread), text))

    def start(self) -> None:
        if self._sender is None:
            self._sender = _threads.start("erlang-logging", self._send)

    def _send(self) -> None:
        while True:
            line = self._lines.get()
            if line is None:
                return
            try:
                _erlang.notify("log", *line)
            except Error:
                pass  # nobody hears it, and to log that would be to begin again

    def stop(self) -> None:
        """Waits, but not for long, until all has been sent."""
        sender, self._sender = self._sender, None
        if sender is not None:
            self._lines.put(None)
            sender.join(1.0)

    def forked(self) -> None:
        self._lines, self._sender = SimpleQueue(), None


_handler = NodeHandler()
# The root logger's level before we lowered it, and what to.
_found: Optional[int] = None
_set = logging.NOTSET

os.register_at_fork(after_in_child=_handler.forked)


def configure(level: int, form: Optional[str] = None) -> None:
    """Sends what is logged from that level on, in that format. Called again, it changes both."""
    global _found, _set
    root = logging.getLogger()
    _handler.setFormatter(None if form is None else logging.Formatter(form))
    _handler.setLevel(level)
    _handler.start()
    if _handler not in root.handlers:
        root.addHandler(_handler)
    if _found is None or root.level != _set:
        _found = root.level  # by default, or as the program has chosen since
    # Loggers without a level of their own go by the root's.
    _set = min(_found, level)
    root.setLevel(_set)


def stop() -> None:
    """Leaves everything as it was before `configure`."""
    global _found
    root = logging.getLogger()
    root.removeHandler(_handler)
    if _found is not None and root.level == _set:
        root.setLevel(_found)
    _found = None
    _handler.stop()
