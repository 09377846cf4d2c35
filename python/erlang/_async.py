"""Calls for asyncio."""

from __future__ import annotations

from typing import Any, Optional

from . import _pending


async def async_call(name: str, /, *args: Any, timeout: Optional[float] = None) -> Any:
    """Calls a function without blocking the loop. Each call runs in a process, or goroutine, of its own.

    Cancelling the task kills the function.
    """
    from asyncio import get_running_loop  # a heavy import, and here it has been done

    loop = get_running_loop()
    future = loop.create_future()
    token = _pending.start(future, loop, timeout, name, args)
    try:
        return await future
    except BaseException:
        # Cancelled, or thrown away. After a failure of the call itself both of these do nothing.
        _pending.stop(token)
        if not loop.is_closed():
            future.cancel()
        raise
