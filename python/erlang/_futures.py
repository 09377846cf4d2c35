"""Many calls in flight from one thread, without asyncio."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from typing import Any, Optional

import _erlang

from . import _pending
from ._errors import TypeError, ValueError, failure


class _Call(Future[Any]):
    """The future of a call. It stays pending, and so can be cancelled, until the call has ended."""

    _done_callbacks: list[Callable[[Future[Any]], object]]

    def __init__(self) -> None:
        super().__init__()
        self._token = _erlang.token()

    def get_loop(self) -> None:
        """Where it is resolved, as asyncio's futures say it: in no loop."""

    def cancel(self) -> bool:
        """Kills the call. False when it has ended already."""
        try:
            return super().cancel()
        finally:
            if self.cancelled():
                _pending.stop(self._token)
                self._tell()

    def settle(self, ok: bool, value: Any) -> None:
        """Ends it, unless it has ended, and does what is left to be done after that. May be begun again when an exception cuts it short."""
        if not self.done():
            try:
                if ok:
                    self.set_result(value)
                elif _pending.cancelled(ok, value):
                    self.cancel()
                else:
                    self.set_exception(failure(value))
            except InvalidStateError:
                pass  # cancelled in this moment
        self._tell()

    def _tell(self) -> None:
        """Tells callbacks, and those in concurrent.futures.wait, of an end that they have not heard of."""
        if self._done_callbacks:
            self._invoke_callbacks()
        if self._state == "CANCELLED":
            with self._condition:
                if self._state == "CANCELLED":
                    self.set_running_or_notify_cancel()

    def _invoke_callbacks(self) -> None:
        # In place of the base class's, which loses the other callbacks when one raises
        # KeyboardInterrupt, and when an exception comes in between.
        while self._done_callbacks:
            try:
                _erlang.call_first(self._done_callbacks, self)
            except Exception:
                logging.getLogger("concurrent.futures").exception("exception calling callback for %r", self)
            except BaseException as exc:
                if not _pending.is_reaper():
                    raise
                _pending.report(exc)


def submit(name: str, /, *args: Any, timeout: Optional[float] = None) -> Future[Any]:
    """Starts a call, in a process of its own, and returns the future of its result. `cancel()` kills it.

    Waits while the calls under way are at the bound `max_submitted_bytes`.
    """
    future = _Call()
    try:
        _pending.submit(future._token, future, timeout, name, args)
        return future
    except BaseException:
        # Ctrl-C may come when the call has begun: nobody has its future.
        _pending.stop(future._token)
        raise


def map(name: str, iterable: Iterable[Any], window: int = 256) -> Generator[Any, None, None]:
    """Calls the function for each item, `window` calls at a time, and gives the results in order.

    Whatever fails is raised where its result would have been. Closing the generator stops what is in flight. At the bound
    `max_submitted_bytes` fewer calls than `window` are in flight, but one at least.
    """
    if not isinstance(window, int):
        raise TypeError(f"window is an int, not {type(window).__name__}")
    if window < 1:
        raise ValueError(f"window is at least 1, not {window}")
    if not hasattr(iterable, "__iter__") and not hasattr(iterable, "__getitem__"):
        raise TypeError(f"map takes an iterable, with the argument of a call in each item, not {type(iterable).__name__}")
    return _mapped(name, iter(iterable), min(window, sys.maxsize))


def _mapped(name: str, items: Iterator[Any], window: int) -> Generator[Any, None, None]:
    calls = _erlang.map_begin(name, items, window)
    try:
        while (result := _erlang.map_next(calls)) is not calls:
            yield result
    finally:
        _erlang.map_end(calls)
