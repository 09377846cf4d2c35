"""The Python examples of the threading guide, as written. What they take for granted is defined before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "testdata" / "threading"


def run(name: str, **given: Any) -> dict[str, Any]:
    file = FOLDER / f"{name}.py"
    names: dict[str, Any] = {"__name__": "__main__", **given}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec", dont_inherit=True), names)
    return names


def test_thread(capfd: pytest.CaptureFixture[str]) -> None:
    run("thread", arg1="one", arg2=2)
    assert capfd.readouterr().out in ("Got: ['one', 2]\n", "Got: ('one', 2)\n")


def test_executor() -> None:
    assert run("executor")["results"] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_calls_in_a_row() -> None:
    assert run("calls_in_a_row")["worker"]() == 3


def test_ten_threads() -> None:
    names = run("ten_threads")
    assert not any(thread.is_alive() for thread in names["threads"])
    assert names["worker"](21) == 42


def test_error(capfd: pytest.CaptureFixture[str]) -> None:
    run("error")
    out, err = capfd.readouterr()
    assert out.startswith("Erlang error: ") and "maybe_fail: 42" in out and out.count("\n") == 1
    assert err == ""


def test_there_is_a_test_for_each() -> None:
    tested = {name[len("test_") :] for name in globals() if name.startswith("test_")}
    assert {file.stem for file in FOLDER.glob("*.py")} <= tested
