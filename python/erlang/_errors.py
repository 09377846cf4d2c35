"""What a call can raise, and how a failure that came over the channel becomes one of these."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

# Text and exceptions meet the user as `erlang.CallError`, whichever module defines them.
_PUBLIC = "erlang"


class Error(RuntimeError):
    """The base of everything that a call raises."""

    __module__ = _PUBLIC


class NotRegistered(Error):
    """No function has this name."""

    __module__ = _PUBLIC

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"Function {self.name!r} not registered"


class CallError(Error):
    """The function failed.

    `str(e)` is one line such as `error: badarith`. `error_class` is `error`, `exit` or `throw`; `reason` the term that
    the function failed with; `stacktrace` where, as text.
    """

    __module__ = _PUBLIC

    def __init__(
        self, text: str, error_class: str = "error", reason: Any = None, stacktrace: Sequence[str] = ()
    ) -> None:
        super().__init__(text)
        self.error_class = error_class
        self.reason = reason
        self.stacktrace = list(stacktrace)


class Timeout(Error, TimeoutError):
    """The time given to a call ran out."""

    __module__ = _PUBLIC


class Disconnected(Error, ConnectionError):
    """Who should have answered is gone, or nobody is attached. The next call connects anew."""

    __module__ = _PUBLIC


class ProcessError(Error):
    """A message was sent to a process that does not live."""

    __module__ = _PUBLIC


class TypeError(Error, builtins.TypeError):
    """A value that no term exists for. Also an `Error`, so that `except RuntimeError` is enough for all of a call."""

    __module__ = _PUBLIC


class ValueError(Error, builtins.ValueError):
    """A value over a limit, or that the other side cannot decode."""

    __module__ = _PUBLIC


class Interrupted(KeyboardInterrupt):
    """Raised in Python code that the other side has called and does not want any more.

    As with Ctrl-C, `except Exception` lets it pass.
    """

    __module__ = _PUBLIC

    def __str__(self) -> str:
        return super().__str__() or "interrupted by the caller"


class SuspensionRequired(BaseException):
    """Never raised. Code written for other hosts names it in an `except` clause."""

    __module__ = _PUBLIC


def text_of(value: Any) -> str:
    """Text as it came over the channel. A binary that is not UTF-8 arrives as bytes; a message must not fail for that."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def sendable(text: str) -> str:
    """Text that has a term: lone surrogates, as in undecodable file names, have no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def failure(payload: Any) -> Error:
    """The exception for a payload of PROTOCOL.md, section 5. Never raises: what it does not know becomes an `Error`."""
    if isinstance(payload, tuple) and payload:
        kind, rest = payload[0], payload[1:]
        if kind == "raised" and len(rest) == 4:
            error_class, reason, text, stack = rest
            lines = [text_of(line) for line in stack] if isinstance(stack, list) else []
            return CallError(text_of(text), text_of(error_class), reason, lines)
        if len(rest) == 1 and kind in _KINDS:
            return _KINDS[kind](text_of(rest[0]))
    return Error(f"the other side reported a failure of an unknown kind: {payload!r}")


_KINDS: dict[str, type[Error]] = {
    "not_registered": NotRegistered,
    "limit": ValueError,
    "bad_term": ValueError,
    "type": TypeError,
    "disconnected": Disconnected,
    "process": ProcessError,
    "timeout": Timeout,
    "cancelled": Error,
    "refused": Error,
}
