"""What the other side may know and do about this process's memory."""

from __future__ import annotations

import gc
import sys
from typing import Any


def memory() -> dict[str, Any]:
    """The figures of the garbage collector, and of tracemalloc where it runs."""
    stats: dict[str, Any] = {
        "gc_stats": gc.get_stats(),
        "gc_count": gc.get_count(),
        "gc_threshold": gc.get_threshold(),
    }
    tracemalloc = sys.modules.get("tracemalloc")
    if tracemalloc is not None and tracemalloc.is_tracing():
        stats["traced_memory_current"], stats["traced_memory_peak"] = tracemalloc.get_traced_memory()
    return stats


def collect(generation: int = 2) -> int:
    return gc.collect(generation)
