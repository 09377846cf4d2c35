"""Any thread that can run Python can call."""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import multiprocessing.pool
import queue
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import erlang
import pytest
from together import settled

Call = Callable[[], Any]

C_THREAD = r"""
#include <pthread.h>
typedef struct _object PyObject;
int PyGILState_Ensure(void);
void PyGILState_Release(int);
PyObject *PyObject_CallObject(PyObject *, PyObject *);
void Py_DecRef(PyObject *);
void PyErr_Print(void);

static void *body(void *callable) {
    int state = PyGILState_Ensure();
    PyObject *result = PyObject_CallObject(callable, 0);
    if (result) Py_DecRef(result); else PyErr_Print();
    PyGILState_Release(state);
    return 0;
}

int in_c_thread(PyObject *callable) {
    pthread_t thread;
    int error = pthread_create(&thread, 0, body, callable);
    return error ? error : pthread_join(thread, 0);
}
"""


def on_threading_thread(call: Call, _: Path) -> Any:
    out: queue.SimpleQueue[Any] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: out.put(call()))
    thread.start()
    thread.join()
    return out.get(timeout=10)


def on_executor(call: Call, _: Path) -> Any:
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(call).result()


def on_bare_thread(call: Call, _: Path) -> Any:
    out: queue.SimpleQueue[Any] = queue.SimpleQueue()
    _thread.start_new_thread(lambda: out.put(call()), ())
    return out.get(timeout=10)


def on_asyncio_thread(call: Call, _: Path) -> Any:
    async def main() -> Any:
        return await asyncio.to_thread(call)

    return asyncio.run(main())


def on_thread_pool(call: Call, _: Path) -> Any:
    with multiprocessing.pool.ThreadPool(1) as pool:
        result = pool.apply(call)
        pool.close()
        pool.join()
    return result


def on_c_thread(call: Call, folder: Path) -> Any:
    source, library = folder / "thread.c", folder / "thread.so"
    source.write_text(C_THREAD)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-pthread"], check=True)
    in_c_thread = ctypes.CDLL(str(library)).in_c_thread  # a CDLL, which lets the GIL go: the new thread needs it
    in_c_thread.argtypes = [ctypes.py_object]
    out: queue.SimpleQueue[Any] = queue.SimpleQueue()
    assert in_c_thread(lambda: out.put(call())) == 0
    return out.get(timeout=10)


KINDS = [on_threading_thread, on_executor, on_bare_thread, on_asyncio_thread, on_thread_pool, on_c_thread]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_thread(kind: Callable[[Call, Path], Any], tmp_path: Path) -> None:
    erlang.call("double_it", 0)
    settled()
    main = erlang.stats()["worker"]

    def call() -> tuple[object, object, object]:
        values = [erlang.call("double_it", n) for n in range(10)]
        try:
            erlang.call("maybe_fail", 42)
            failed = False
        except RuntimeError:
            failed = True
        return values, failed, erlang.stats()["worker"]

    values, failed, worker = kind(call, tmp_path)
    assert values == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18] and failed
    assert worker is not None and worker != main
    settled()


def test_the_main_thread() -> None:
    assert threading.current_thread() is threading.main_thread()
    assert erlang.call("double_it", 21) == 42
