"""Damaged terms: the decoder in C refuses them with ValueError, or makes something that goes back. ERLPY_FUZZ_SECONDS makes it longer."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import _erlang

FILE = Path(__file__).resolve().parents[2] / "testdata" / "vectors.json"


def damaged(seeds: list[bytes], chance: random.Random) -> bytes:
    term = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 4)):
        term[chance.randrange(len(term))] = chance.choice((0, 1, 255, chance.randrange(256), chance.randrange(97, 120)))
    if chance.random() < 0.3:
        del term[chance.randrange(len(term)) :]
    return bytes(term)


def test_damaged_terms() -> None:
    seeds = [bytes.fromhex(v["hex"]) for v in json.loads(FILE.read_text(encoding="utf-8"))]
    seeds = [s for s in seeds if len(s) < 3000]
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    end = time.monotonic() + float(os.environ.get("ERLPY_FUZZ_SECONDS", "1"))
    refused = taken = 0
    while time.monotonic() < end:
        term = damaged(seeds, chance)
        try:
            value = _erlang.decode(term)
        except ValueError:
            refused += 1
            continue
        taken += 1
        again = _erlang.encode(value)
        assert _erlang.encode(_erlang.decode(again)) == again, (seed, term.hex())
    assert refused and taken, (seed, refused, taken)
