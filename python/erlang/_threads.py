"""Threads of our own: all daemons, since none of them ends by itself, and none may keep the program alive."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

_own: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def start(name: str, target: Callable[..., Any], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, name=name, daemon=True)
    thread.start()
    _own.add(thread)  # which can be joined from now on
    return thread


def join(seconds: float) -> None:
    """Waits for all of them, but no longer than that altogether."""
    deadline = time.monotonic() + seconds
    for thread in list(_own):
        thread.join(max(0.0, deadline - time.monotonic()))
