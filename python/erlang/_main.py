"""Runs a script as the program's main module, the way `python3 script.py` does."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from importlib.machinery import SourceFileLoader
from typing import Any

from ._serve import run_exit_functions, without_own


def execute(path: str, argv: list[str]) -> None:
    """Runs the script in `__main__`, with `sys.argv` and `sys.path` set for it. Raises what it raises."""
    file = os.path.abspath(path)
    with open(file, "rb") as script:
        source = script.read()
    sys.argv = [path, *argv]
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.dirname(os.path.realpath(file)))
    main = sys.modules["__main__"]
    main.__file__ = file
    main.__loader__ = SourceFileLoader("__main__", file)
    names: dict[str, Any] = vars(main)
    names["__cached__"] = None
    exec(compile(source, file, "exec", dont_inherit=True), names)


def run_script(path: str, argv: list[str]) -> int:
    """Runs the script to its end, its threads and exit functions included, and returns the exit status that `python3` would."""
    status = _status(path, argv)
    # Py_FinalizeEx would do both too, but by then nobody answers any more, and what runs here may still call.
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are not daemons
    except KeyboardInterrupt:
        status = 130
    run_exit_functions()
    return status


def _status(path: str, argv: list[str]) -> int:
    if os.path.isdir(path) or not os.path.exists(path):
        what = "is a directory" if os.path.isdir(path) else "no such file"
        print(f"erlpy: can't open {path!r}: {what}", file=sys.stderr)
        return 2
    try:
        execute(path, argv)
    except SystemExit as exc:
        return _exit_status(exc.code)
    except BaseException as exc:
        _report(exc)
        return 130 if isinstance(exc, KeyboardInterrupt) else 1
    return 0


def _exit_status(code: Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    _flush(sys.stdout)
    print(code, file=sys.stderr)
    return 1


def _report(exc: BaseException) -> None:
    exc.__traceback__ = without_own(exc.__traceback__)
    kind, tb = type(exc), exc.__traceback__
    sys.last_type, sys.last_value, sys.last_traceback = kind, exc, tb
    _flush(sys.stdout)
    try:
        sys.excepthook(kind, exc, tb)
    except BaseException as second:
        print("Error in sys.excepthook:", file=sys.stderr)
        traceback.print_exception(type(second), second, without_own(second.__traceback__))
        print("\nOriginal exception was:", file=sys.stderr)
        traceback.print_exception(kind, exc, tb)


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (AttributeError, OSError, ValueError):
        pass  # closed, or gone: finalisation reports it
