"""The Python in the documents runs, as it stands there.

A block whose first line names a file is run by the page's shell commands instead: see tools/run_docs_test.go.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Behind the language: nothing, the one peer that the block is for, or the name of a file.
BLOCK = re.compile(r"^```python *([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks() -> list[Any]:
    found = []
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for n, (info, text) in enumerate(BLOCK.findall(file.read_text(encoding="utf-8")), 1):
            if "." not in info:
                marks = [getattr(pytest.mark, info)] if info else []
                found.append(pytest.param(text, id=f"{file.name}-{n}", marks=marks))
    return found


@pytest.mark.parametrize("text", blocks())
def test_block(text: str) -> None:
    exec(compile(text, "<document>", "exec", dont_inherit=True), {"__name__": "__main__"})


def test_there_are_blocks() -> None:
    assert len(blocks()) >= 15
