"""Runs pytest inside the host: `erlpy run python/tests/run.py [pytest arguments]`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
STDERR = os.dup(2)  # for the watchdog of conftest.py: descriptor 2 itself will be captured


def main(args: list[str]) -> int:
    # Options stand in pytest.ini beside this file; without a path of its own, a run takes the whole folder.
    if not any(Path(arg.split("::")[0]).exists() for arg in args):
        args = [*args, str(HERE)]
    return int(pytest.main(["-c", str(HERE / "pytest.ini"), *args]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
