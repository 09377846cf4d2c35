"""Calls for asyncio."""

from __future__ import annotations

import sys
from typing import Any, Optional

from . import _pending


async def async_call(name: str, /, *args: Any, timeout: Optional[float] = None) -> Any:
    """Calls a function without blocking the loop. Each call runs in a process, or goroutine, of its own.

    Cancelling the task kills the function.
    """
    # Importing it would be heavy at the start, and here as dear as the future. Whoever runs a loop has it.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        raise RuntimeError("no running event loop")
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    token = _pending.start(future, timeout, name, args)
    try:
        return await future
    except BaseException:
        # Cancelled, or thrown away. After a failure of the call itself both of these do nothing.
        _pending.stop(token)
        if not loop.is_closed():
            future.cancel()
        raise
