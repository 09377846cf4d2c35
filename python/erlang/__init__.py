"""Calls functions that live in Erlang/OTP or in Go, from any Python thread.

    import erlang

    erlang.call('double_it', 21)               # by name
    erlang.double_it(21)                       # the same
    await erlang.async_call('double_it', 21)   # under asyncio
    erlang.submit('double_it', 21).result()    # a future: many calls in flight from one thread

A call blocks its own thread alone: the GIL is released until the answer is there. Each thread has a connection and an
Erlang process of its own, made on its first call and passed on to another thread when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _erlang
from _erlang import call, cast, self, stats

from ._async import async_call
from ._errors import (
    CallError,
    Disconnected,
    Error,
    Interrupted,
    NotRegistered,
    ProcessError,
    SuspensionRequired,
    Timeout,
)
from ._futures import map, submit
from ._messages import send, whereis
from ._state import state_clear, state_decr, state_delete, state_get, state_incr, state_keys, state_set
from ._types import Atom, Pid, Ref, Term, atom

__all__ = [
    "Atom",
    "CallError",
    "Disconnected",
    "Error",
    "Interrupted",
    "NotRegistered",
    "Pid",
    "ProcessError",
    "Ref",
    "SuspensionRequired",
    "Term",
    "Timeout",
    "async_call",
    "atom",
    "call",
    "cast",
    "map",
    "self",
    "send",
    "state_clear",
    "state_decr",
    "state_delete",
    "state_get",
    "state_incr",
    "state_keys",
    "state_set",
    "stats",
    "submit",
    "whereis",
]

_atom = atom  # by this name in code written for erlang_python

# The callables of names that were asked for. A name is looked up in the registry each time all the same, so that
# hasattr tells what is registered now.
_bound: dict[str, Callable[..., Any]] = {}


def __getattr__(name: str) -> Callable[..., Any]:
    # Only a registry's "no" is an AttributeError. A look-up that fails raises its reason, as a call
    # would: Disconnected, say. The import machinery, inspect, doctest, copy and pytest probe every
    # module for names such as __wrapped__ and _pytestfixturefunction: a leading underscore never
    # reaches the node.
    if name.startswith("_") or not _erlang.registered(name):
        raise AttributeError(f"module 'erlang' has no attribute {name!r}, and no function of that name is registered")
    function = _bound.get(name)
    if function is None:
        function = _bound.setdefault(name, _erlang.bound(name))
    return function


def __dir__() -> list[str]:
    return __all__
