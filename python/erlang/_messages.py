"""Messages to Erlang processes."""

from __future__ import annotations

from typing import Any, Optional, Union

import _erlang

from ._errors import TypeError
from ._types import Atom, Pid


def send(to: Union[Pid, Atom, str], term: Any, /) -> None:
    """Sends a message to a process, by its Pid or its registered name. Messages of one thread arrive in their order."""
    if not isinstance(to, (Pid, Atom, str)):
        raise TypeError(f"a message goes to a Pid or a registered name, not to {type(to).__name__}")
    _erlang.operation("send", to, term)


def whereis(name: Union[Atom, str, bytes], /) -> Optional[Pid]:
    """The process registered under the name."""
    if not isinstance(name, (Atom, str, bytes)):
        raise TypeError(f"the name of a process is a str, not {type(name).__name__}")
    pid: Optional[Pid] = _erlang.operation("whereis", name)
    return pid
