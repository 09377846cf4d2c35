"""Short text for an encoded term, for people: `nonode@nohost.85.0` for a pid, the kind for what is opaque."""

from __future__ import annotations

_KINDS = {
    70: "float",
    77: "bitstring",
    89: "port",
    102: "port",
    108: "improper list",
    112: "fun",
    113: "fun",
    116: "map",
    117: "fun",
    120: "port",
    121: "local",
}


def describe(etf: bytes) -> str:
    """Never raises: bytes that do not parse are named by their tag alone."""
    try:
        return _numbers(etf)
    except (IndexError, UnicodeDecodeError):
        return _kind(etf)


def atom_name(etf: bytes) -> str:
    """The name of the atom that `etf` begins with."""
    return _atom(etf, 0)[0]


def _numbers(etf: bytes) -> str:
    tag = etf[0]
    if tag in (88, 103):  # pid: node, id, serial, creation
        node, at = _atom(etf, 1)
        return f"{node}.{_u32(etf, at)}.{_u32(etf, at + 4)}"
    if tag in (90, 114):  # reference: number of words, node, creation, words
        node, at = _atom(etf, 3)
        at += 4 if tag == 90 else 1
        words = [_u32(etf, at + 4 * i) for i in range(int.from_bytes(etf[1:3], "big"))]
        return ".".join([node, *map(str, words)])
    return _kind(etf)


def _kind(etf: bytes) -> str:
    return _KINDS.get(etf[0], f"tag {etf[0]}") if etf else "empty"


def _atom(etf: bytes, at: int) -> tuple[str, int]:
    tag = etf[at]
    if tag in (115, 119):  # one byte of length
        start, length = at + 2, etf[at + 1]
    elif tag in (100, 118):  # two
        start, length = at + 3, int.from_bytes(etf[at + 1 : at + 3], "big")
    else:
        raise IndexError(tag)
    text = etf[start : start + length].decode("utf-8" if tag in (118, 119) else "latin-1")
    return text, start + length


def _u32(etf: bytes, at: int) -> int:
    if at + 4 > len(etf):
        raise IndexError(at)
    return int.from_bytes(etf[at : at + 4], "big")
