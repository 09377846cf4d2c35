"""Calls of the peer's `hang`, which only ends by being killed, and can tell."""

from __future__ import annotations

import itertools

import erlang
from together import eventually

_keys = itertools.count()


def key() -> str:
    """A name for one call of hang."""
    return f"hang-{next(_keys)}"


def hangs(name: str) -> None:
    eventually(lambda: erlang.call("fate", name) == "running", f"{name} is running")


def killed(name: str) -> None:
    eventually(lambda: erlang.call("fate", name) == "ended", f"{name} has been killed")
