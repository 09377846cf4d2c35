"""The Python in the documents runs, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks() -> list[Any]:
    found = []
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for n, match in enumerate(BLOCK.finditer(file.read_text(encoding="utf-8")), 1):
            found.append(pytest.param(match[1], id=f"{file.name}-{n}"))
    return found


@pytest.mark.parametrize("text", blocks())
def test_block(text: str) -> None:
    exec(compile(text, "<document>", "exec", dont_inherit=True), {"__name__": "__main__"})


def test_there_are_blocks() -> None:
    assert len(blocks()) >= 5
