"""A table that all threads share, and the other side too. Keys and values are any terms."""

from __future__ import annotations

from typing import Any

import _erlang


def state_get(key: Any, /) -> Any:
    """The value, or None."""
    return _erlang.operation("state_get", key)


def state_set(key: Any, value: Any, /) -> None:
    _erlang.operation("state_set", key, value)


def state_delete(key: Any, /) -> None:
    """Without an error when there is no such key."""
    _erlang.operation("state_delete", key)


def state_keys() -> list[Any]:
    keys: list[Any] = _erlang.operation("state_keys")
    return keys


def state_clear() -> None:
    _erlang.operation("state_clear")


def state_incr(key: Any, amount: int = 1, /) -> int:
    """Adds to an integer, which is 0 to begin with, in one step. Returns the new value."""
    value: int = _erlang.operation("state_incr", key, amount)
    return value


def state_decr(key: Any, amount: int = 1, /) -> int:
    value: int = _erlang.operation("state_decr", key, amount)
    return value
