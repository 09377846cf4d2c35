"""The Python side of `erlpy bench`: does what the driver asks for, a line of JSON each, until it closes standard input."""

from __future__ import annotations

import importlib
import json
import sys
import traceback

# Imported when first asked for, so that what is not measured takes no memory.
WHERE = {
    "rate": "calls",
    "latency": "calls",
    "paced": "calls",
    "hold": "calls",
    "echo": "terms",
    "node": "terms",
    "pickled": "terms",
    "payload": "terms",
    "large": "terms",
    "mapped": "flights",
    "gathered": "flights",
    "loop": "flights",
    "submitted": "flights",
    "go": "inline",
}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        name = request.pop("do")
        try:
            answer = {"ok": getattr(importlib.import_module(WHERE[name]), name)(**request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


main()
