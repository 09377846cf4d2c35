"""Runs the command erlpy, for what a test cannot do to the program that it runs in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ERLPY = os.environ.get("ERLPY_BIN", str(ROOT / "build" / "erlpy"))


def erlpy(*args: str) -> subprocess.Popen[str]:
    """Starts `erlpy run` with this same Python. The caller waits for it."""
    return start("run", *args)


def start(command: str, *args: str) -> subprocess.Popen[str]:
    """Starts a command of erlpy's with this same Python."""
    return subprocess.Popen(
        [ERLPY, command, "--python", sys.executable, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str, str]:
    """Exit status, output, errors. A process that does not end is killed, and fails the test."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, err


def asleep(thread: int) -> bool:
    """Whether that thread sleeps, a process's main one if it is the number of a process. While it looks for an answer it runs."""
    return Path(f"/proc/{thread}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "S"
