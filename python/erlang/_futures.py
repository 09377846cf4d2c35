"""Many calls in flight from one thread, without asyncio."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Optional

from . import _pending
from ._errors import TypeError, ValueError


class _Call(Future[Any]):
    """The future of a call. It stays pending, and so can be cancelled, until the call has ended."""

    _token = 0

    def cancel(self) -> bool:
        """Kills the call. False when it has ended already."""
        if not super().cancel():
            return False
        if _pending.stop(self._token):
            self.set_running_or_notify_cancel()  # for those in concurrent.futures.wait
        return True


def submit(name: str, /, *args: Any, timeout: Optional[float] = None) -> Future[Any]:
    """Starts a call, in a process of its own, and returns the future of its result. `cancel()` kills it."""
    future = _Call()
    future._token = _pending.start(future, None, timeout, name, args)
    return future


def map(name: str, iterable: Iterable[Any], window: int = 256) -> Generator[Any, None, None]:
    """Calls the function for each item, `window` calls at a time, and gives the results in order.

    Whatever fails is raised where its result would have been. Closing the generator stops what is in flight.
    """
    if not isinstance(window, int):
        raise TypeError(f"window is an int, not {type(window).__name__}")
    if window < 1:
        raise ValueError(f"window is at least 1, not {window}")
    return _mapped(name, iter(iterable), window)


def _mapped(name: str, items: Iterator[Any], window: int) -> Generator[Any, None, None]:
    flying: deque[Future[Any]] = deque()
    try:
        for future in _started(name, items):
            flying.append(future)
            if len(flying) == window:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
    finally:
        for future in flying:
            future.cancel()


def _started(name: str, items: Iterator[Any]) -> Iterator[Future[Any]]:
    """A call for each item. An item that cannot be had, or not be sent, gives a future that has failed."""
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except Exception as exc:
            yield _failed(exc)
            return
        try:
            future = submit(name, item)
        except Exception as exc:
            future = _failed(exc)
        yield future


def _failed(exc: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(exc)
    return future
