"""Reads the external term format once more, in plain Python, so that the shim's reading can be held against it."""

from __future__ import annotations

import struct
from typing import Any

NAMED = {"true": True, "false": False, "none": None, "nil": None, "undefined": None}
# Bytes that follow the node's name in a pid, port or reference; of a reference also four for each word.
AFTER_NODE = {88: 12, 103: 9, 89: 8, 102: 5, 120: 12, 90: 4, 114: 1, 101: 5}


class Raw(bytes):
    """A term that has no Python type: its bytes."""


class Reader:
    """Reads one term after another; `at` is where it stands."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        assert len(part) == size
        self.at += size
        return part

    def number(self, form: str) -> Any:
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def term(self) -> Any:
        start = self.at
        tag = self.number("B")
        if tag in (97, 98):
            return self.number("B" if tag == 97 else "i")
        if tag in (110, 111):
            size = self.number("B" if tag == 110 else "I")
            negative = self.number("B")
            value = int.from_bytes(self.take(size), "little")
            return -value if negative else value
        if tag in (70, 99):
            return self.number("d") if tag == 70 else float(self.take(31).rstrip(b"\0"))
        if tag in (100, 115, 118, 119):
            self.at = start
            name = self.atom()
            return NAMED.get(name, name)
        if tag == 109:
            return text_if_utf8(self.take(self.number("I")))
        if tag in (104, 105):
            return self.tuple(self.number("B" if tag == 104 else "I"))
        if tag == 106:
            return []
        if tag == 107:
            return list(self.take(self.number("H")))
        if tag == 108:
            items = [self.term() for _ in range(self.number("I"))]
            proper = self.data[self.at] == 106
            self.term()
            return items if proper else self.raw(start)
        if tag == 116:
            return self.map(start, self.number("I"))
        return self.opaque(tag, start)

    def tuple(self, size: int) -> Any:
        start = self.at
        items = tuple([self.term() for _ in range(size)])  # not a generator: each would be a C call deeper
        if size == 2 and items[0] == "bytes" and self.data[start] in (100, 115, 118, 119):
            second = items[1]
            if isinstance(second, (str, bytes)):
                return second.encode() if isinstance(second, str) else second
        return items

    def map(self, start: int, size: int) -> Any:
        pairs = [(self.term(), self.term()) for _ in range(size)]
        try:
            found = dict(pairs)
        except TypeError:
            return self.raw(start)
        return found if len(found) == size else self.raw(start)

    def opaque(self, tag: int, start: int) -> Raw:
        if tag == 77:
            self.take(self.number("I") + 1)
        elif tag == 112:
            self.take(self.number("I") - 4)
        elif tag == 113:
            for _ in range(3):
                self.term()
        else:
            words = self.number("H") if tag in (90, 114) else 0
            self.atom()
            self.take(AFTER_NODE[tag] + 4 * words)
        return self.raw(start)

    def raw(self, start: int) -> Raw:
        return Raw(self.data[start : self.at])

    def atom(self) -> str:
        tag = self.number("B")
        name = self.take(self.number("B" if tag in (115, 119) else "H"))
        return name.decode("utf-8" if tag in (118, 119) else "latin-1")


def text_if_utf8(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def differs(one: Any, two: Any) -> bool:
    """Whether a value of the shim's is another than one read here. Without recursion, which depth would end."""
    rest = [(one, two)]
    while rest:
        a, b = rest.pop()
        if isinstance(b, Raw):
            if getattr(a, "_etf", None) != b:
                return True
        elif type(a) is not type(b):
            return True
        elif isinstance(a, (list, tuple)):
            if len(a) != len(b):
                return True
            rest.extend(zip(a, b))
        elif isinstance(a, dict):
            # A raw key equals no opaque one: those maps are compared in their order.
            if len(a) != len(b):
                return True
            rest.extend(zip(a.items(), b.items()))
        elif a != b and a == a:
            return True
    return False
