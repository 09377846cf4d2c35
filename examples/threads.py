"""Eight threads, then a ThreadPoolExecutor, call functions of the other side: Go's or Erlang's, the script cannot tell.

    erlpy run --erl examples/functions.erl examples/threads.py
    go run ./examples/threads
"""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import erlang


def through():
    """This thread's worker, and who runs its functions: the worker's Erlang process, or Go itself."""
    stats = erlang.stats()
    return stats["worker"], stats["handler"] or "goroutine"


def line(*columns):
    print("{:<22}{:<18}{:<10}{:<9}{}".format(*map(str, columns)), flush=True)


def eight_threads():
    all_called = threading.Barrier(8)  # all eight are alive at once: each has a worker of its own
    rows = []

    def work(n):
        answer = erlang.call("double_it", n)
        rows.append((threading.current_thread().name, f"double_it({n})", answer, *through()))
        all_called.wait()

    threads = [threading.Thread(target=work, args=(n,), name=f"thread-{n}") for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for row in sorted(rows):
        line(*row)


def executor():
    used = Counter()

    def task(x):
        for _ in range(5):
            x = erlang.add_one(x)
        used[threading.current_thread().name, *through()] += 5
        return x

    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="pool") as pool:
        answers = list(pool.map(task, range(1000)))
    assert answers == [x + 5 for x in range(1000)]
    for (name, worker, handler), calls in sorted(used.items()):
        line(name, "add_one", f"x {calls}", worker, handler)


def sleepers():
    threads = [threading.Thread(target=erlang.call, args=("slow", 250)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def timed(title, work):
    print(f"\n{title}")
    start = time.perf_counter()
    work()
    print(f"{1000 * (time.perf_counter() - start):.1f} ms")


line("thread", "called", "answer", "worker", "handler")
timed("Eight threads, one call each:", eight_threads)
timed("ThreadPoolExecutor with four threads, 1000 tasks of five calls in a row:", executor)
timed("Eight threads, each waiting for a function that takes 250 ms:", sleepers)

try:
    erlang.call("maybe_fail", 42)
except RuntimeError as e:
    print(f"\nA function that fails: {type(e).__name__}: {e}")
