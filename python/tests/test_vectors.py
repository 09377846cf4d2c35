"""The wire vectors of testdata/, made by a real term_to_binary."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import _erlang
import pytest
from secondopinion import Reader, differs, text_if_utf8

FILE = Path(__file__).resolve().parents[2] / "testdata" / "vectors.json"
VECTORS: list[dict[str, str]] = json.loads(FILE.read_text(encoding="utf-8"))

ENCODED = [
    pytest.param(bytes.fromhex(vector[key]), id=f"{vector['name']}{' (older form)' if key == 'hex1' else ''}")
    for vector in VECTORS
    for key in ("hex", "hex1")
    if vector.get(key)
]


@pytest.fixture
def deep() -> Iterator[None]:
    """The second opinion recurses; some vectors are 999 levels deep."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize("encoded", ENCODED)
def test_decode(encoded: bytes, deep: None) -> None:
    assert encoded[0] == 131
    assert not differs(_erlang.decode(encoded), Reader(encoded[1:]).term())


@pytest.mark.parametrize("encoded", ENCODED)
def test_encode(encoded: bytes, deep: None) -> None:
    value = _erlang.decode(encoded)
    again = Reader(_erlang.encode(value)[1:]).term()
    # {bytes, Bin} is what makes bytes of UTF-8 text; going out, bytes are a plain binary.
    assert not differs(text_if_utf8(value) if isinstance(value, bytes) else value, again)


@pytest.mark.parametrize("encoded", ENCODED)
def test_a_vector_cut_short_is_refused(encoded: bytes) -> None:
    for size in sorted({0, 1, 2, len(encoded) // 2, len(encoded) - 1}):
        if size < len(encoded):
            with pytest.raises(ValueError):
                _erlang.decode(encoded[:size])


@pytest.mark.parametrize("encoded", ENCODED)
def test_bytes_after_the_term_are_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError):
        _erlang.decode(encoded + b"\x00")


def test_the_second_opinion_can_disagree() -> None:
    assert differs([1, 2], [1, 3]) and differs(1, True) and differs({1: "a"}, {1: "b"}) and differs("a", b"a")
