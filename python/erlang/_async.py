"""Calls for asyncio."""

from __future__ import annotations

import sys
from typing import Any, Optional

import _erlang

from . import _pending


async def async_call(name: str, /, *args: Any, timeout: Optional[float] = None) -> Any:
    """Calls a function without blocking the loop. Each call runs in a process, or goroutine, of its own.

    Cancelling the task kills the function. At the bound `max_submitted_bytes` the task waits, and the loop goes on.
    """
    # Importing it would be heavy at the start, and here as dear as the future. Whoever runs a loop has it.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        raise RuntimeError("no running event loop")
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    token = _erlang.token()
    try:
        while not _pending.offer(token, future, timeout, name, args):
            await future
            future = loop.create_future()
        return await future
    except BaseException:
        # Cancelled, or thrown away. After a failure of the call itself both of these do nothing.
        _pending.stop(token)
        if not loop.is_closed():
            future.cancel()
        raise
