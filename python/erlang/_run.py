"""Runs what the other side asks for, in the namespace of the process that asks."""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import AsyncIterable, Generator, Iterable
from typing import Any, Optional, Union

import _erlang

from ._types import Pid, Ref

# What exec defined, by the process that ran it. Dropped when that process ends.
_spaces: dict[Pid, dict[str, Any]] = {}


def call(space: Optional[Pid], module: str, function: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return _look_up(space, module, function)(*args, **kwargs)


def eval_(space: Optional[Pid], code: str, names: dict[str, Any]) -> Any:
    scope = _namespace(space)
    if names:
        # One dict, not globals and locals: a comprehension or a lambda in the expression sees only globals.
        scope = {**scope, **names}
    return eval(compile(code.strip(), "<eval>", "eval", dont_inherit=True), scope)


def exec_(space: Optional[Pid], code: str) -> None:
    # Compiled first: text that does not compile leaves no namespace behind.
    compiled = compile(code, "<exec>", "exec", dont_inherit=True)
    exec(compiled, _namespace(space, keep=True))


def stream(
    space: Optional[Pid], ref: Ref, module: str, function: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    _send_items(ref, call(space, module, function, args, kwargs))


def stream_eval(space: Optional[Pid], ref: Ref, code: str, names: dict[str, Any]) -> None:
    _send_items(ref, eval_(space, code, names))


def _send_items(ref: Ref, items: Union[Iterable[Any], AsyncIterable[Any]]) -> None:
    if isinstance(items, AsyncIterable):
        import asyncio

        asyncio.run(_send_async_items(ref, items))
        return
    iterator = iter(items)
    try:
        for item in iterator:
            if not _wanted(ref, item):
                break
    finally:
        # Its own clean-up runs now, and not whenever it is collected. What else has a close(), as a file, is not ours to close.
        if isinstance(iterator, Generator):
            iterator.close()


async def _send_async_items(ref: Ref, items: AsyncIterable[Any]) -> None:
    async for item in items:
        # Blocks the loop, which is this stream's alone. Its end closes what is left of a generator.
        if not _wanted(ref, item):
            break


def _wanted(ref: Ref, item: Any) -> bool:
    """Sends an item. False when nobody wants another."""
    return bool(_erlang.operation("stream_item", ref, item) != "cancel")


def script(path: str, argv: list[str]) -> None:
    from ._main import execute

    try:
        execute(path, argv)
    except SystemExit as exc:
        if exc.code not in (None, 0):
            raise


def drop(space: Optional[Pid]) -> None:
    if space is not None:
        _spaces.pop(space, None)


def _namespace(space: Optional[Pid], keep: bool = False) -> dict[str, Any]:
    if space is None:
        return vars(sys.modules["__main__"])
    # Code written for erlang_python does not import `erlang` in a namespace of the node's.
    fresh = {"__name__": "__main__", "__builtins__": builtins, "erlang": sys.modules["erlang"]}
    # Only exec keeps one: the node knows who ran exec, and tells us when that process is gone.
    return _spaces.setdefault(space, fresh) if keep else _spaces.get(space, fresh)


def _look_up(space: Optional[Pid], module: str, function: str) -> Any:
    first, *rest = function.split(".")
    if module == "__main__":
        names = _namespace(space)
        if first not in names:
            raise AttributeError(f"module '__main__' has no attribute {first!r}")
        value = names[first]
    else:
        value = getattr(importlib.import_module(module), first)
    for name in rest:
        value = getattr(value, name)
    return value
