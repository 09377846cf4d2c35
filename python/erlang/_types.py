"""Terms that Python has no type for, and Python values that become terms by a detour.

The built-in half finds the encoded term of an opaque value in its slot `_etf`: external term format without the
version byte.
"""

from __future__ import annotations

import operator
from typing import Any, NoReturn, final

from ._describe import atom_name, describe


class _Opaque:
    """A term kept as the bytes it came in: equal when they are, and sent back exactly so."""

    __slots__ = ("_etf",)
    _etf: bytes

    def __init__(self, *_: object) -> None:
        raise TypeError(f"erlang.{type(self).__name__} values come from Erlang and cannot be made here")

    def __eq__(self, other: object) -> bool:
        return self._etf == other._etf if type(other) is type(self) and isinstance(other, _Opaque) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._etf))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"erlang.{type(self).__name__} values do not change")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __str__(self) -> str:
        return describe(self._etf)

    def __repr__(self) -> str:
        return f"<erlang.{type(self).__name__} {describe(self._etf)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._etf)

    def __copy__(self) -> _Opaque:
        return self

    def __deepcopy__(self, _: object) -> _Opaque:
        return self


def _restore(cls: type[Any], etf: bytes) -> Any:
    value = object.__new__(cls)
    object.__setattr__(value, "_etf", etf)
    return value


@final
class Pid(_Opaque):
    """An Erlang process."""

    __slots__ = ()
    __module__ = "erlang"


@final
class Ref(_Opaque):
    """An Erlang reference."""

    __slots__ = ()
    __module__ = "erlang"


@final
class Term(_Opaque):
    """A term of a type that Python lacks: a fun, a port, a bitstring, an improper list, a map with unhashable keys."""

    __slots__ = ()
    __module__ = "erlang"


@final
class Atom(_Opaque):
    """An atom to send. One that comes back is a `str`."""

    __slots__ = ()
    __module__ = "erlang"

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of an atom is a str, not {type(name).__name__}")
        if len(name) > 255:
            raise ValueError(f"an atom has at most 255 characters, not {len(name)}")
        text = name.encode()
        head = b"w" + bytes([len(text)]) if len(text) < 256 else b"v" + len(text).to_bytes(2, "big")
        object.__setattr__(self, "_etf", head + text)

    @property
    def name(self) -> str:
        return atom_name(self._etf)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"erlang.Atom({self.name!r})"


def atom(name: str) -> Atom:
    """The atom of that name."""
    return Atom(name)


_WRAPPED: tuple[type[_Opaque], ...] = (Pid, Ref, Term)


def wrap(kind: int, etf: bytes) -> Any:
    """Makes the opaque value of a term that came in: kind 0 is a pid, 1 a reference, 2 any other."""
    return _restore(_WRAPPED[kind], etf)


# Numbers with a __float__ that would change their value without a word, or that only refuses.
_EXACT = {
    ("builtins", "complex"),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("numpy", "longdouble"),
    ("numpy", "float128"),
}
_PLAIN = (bool, int, float, str, bytes, list, tuple, dict, type(None))


def convert(value: Any) -> Any:
    """A plain value in place of one whose type has no term of its own: a numpy scalar or array, a number-like object.

    Raises TypeError for what would lose its meaning on the way.
    """
    cls = type(value)
    if not any((base.__module__, base.__name__) in _EXACT for base in cls.__mro__):
        plain = _plain(value, cls)
        # Not isinstance: whatever else comes back would be sent here again, and perhaps for ever.
        if type(plain) in _PLAIN:
            return plain
    raise TypeError(f"{cls.__name__} has no Erlang term")


def _plain(value: Any, cls: type[Any]) -> Any:
    if callable(getattr(cls, "tolist", None)):
        # numpy gives the bare number of nanoseconds for some of its dates.
        return value if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m") else value.tolist()
    if hasattr(cls, "__index__"):
        return operator.index(value)
    if hasattr(cls, "__float__"):
        return float(value)
    return value
