"""The wire vectors of testdata/, made by a real term_to_binary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import _erlang
import pytest

FILE = Path(__file__).resolve().parents[2] / "testdata" / "vectors.json"
VECTORS: list[dict[str, str]] = json.loads(FILE.read_text(encoding="utf-8"))

# What has one Python value, but more than one term: a string is written as a list, undefined as none, ...
ENCODED = [(v["name"], bytes.fromhex(v[key])) for v in VECTORS for key in ("hex", "hex1") if v.get(key)]


@pytest.mark.parametrize("encoded", [e for _, e in ENCODED], ids=[n for n, _ in ENCODED])
def test_a_vector_survives_the_way_through_python(encoded: bytes) -> None:
    value = _erlang.decode(encoded)
    again = _erlang.decode(_erlang.encode(value))
    assert same(again, value)


@pytest.mark.parametrize("encoded", [e for _, e in ENCODED], ids=[n for n, _ in ENCODED])
def test_a_vector_cut_short_is_refused(encoded: bytes) -> None:
    for size in {0, 1, 2, len(encoded) // 2, len(encoded) - 1}:
        with pytest.raises(ValueError):
            _erlang.decode(encoded[:size])


@pytest.mark.parametrize("encoded", [e for _, e in ENCODED], ids=[n for n, _ in ENCODED])
def test_bytes_after_the_term_are_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError):
        _erlang.decode(encoded + b"\x00")


def same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and one != one:
        return isinstance(two, float) and two != two
    return type(one) is type(two) and bool(one == two)
