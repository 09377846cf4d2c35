"""Conversions run Python code, and with it calls, changes of dicts and collections."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import erlang
import pytest
from command import finished
from fakenode import CALL, OK, Start
from fates import key

HERE = __name__


class Acts:
    """An integer whose conversion does something."""

    def __init__(self, value: int, act: Callable[[], Any]) -> None:
        self.value, self.act = value, act

    def __index__(self) -> int:
        self.act()
        return self.value


class Tolist:
    """Looks like an array of numpy's."""

    def __init__(self, value: Any, act: Callable[[], Any]) -> None:
        self.value, self.act = value, act

    def tolist(self) -> Any:
        self.act()
        return self.value


def every_kind() -> None:
    """Makes calls of every kind, to their end."""
    assert erlang.call("double_it", 1) == 2
    assert erlang.call("double_it", 1, timeout=60) == 2
    assert erlang.call("echo", "x") == "x"
    erlang.cast("double_it", 1)
    assert erlang.submit("double_it", 100).result(20) == 200
    assert list(erlang.map("double_it", range(3))) == [0, 2, 4]
    erlang.submit("sleep", 10).cancel()


def left_half_way() -> None:
    """Leaves a map to the garbage collector."""
    results = erlang.map("double_it", [1, 2, 3, 4])
    assert next(results) == 2
    cycle: list[Any] = [results]
    cycle.append(cycle)


def collects() -> None:
    left_half_way()
    gc.collect()


@pytest.fixture(params=[every_kind, collects])
def act(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    was = gc.isenabled()
    gc.disable()
    yield request.param
    if was:
        gc.enable()


def test_a_timeout_stays_the_calls_own(act: Callable[[], None]) -> None:
    with pytest.raises(erlang.Timeout, match=r"0\.2"):
        erlang.call("hang", Tolist(key(), act), timeout=0.2)


def test_a_call_without_a_timeout_gets_none() -> None:
    assert erlang.call("sleep", Acts(300, lambda: erlang.call("double_it", 1, timeout=0.2))) == 300


def test_futures_get_their_own_answers(act: Callable[[], None]) -> None:
    inner: list[Any] = []

    def also() -> None:
        inner.append(erlang.submit("double_it", 50))
        act()

    first = erlang.submit("sleep", 200)
    second = erlang.submit("double_it", Acts(5, also))
    third = erlang.submit("double_it", Tolist(7, also), timeout=60)
    assert [f.result(20) for f in (first, second, third, *inner)] == [200, 10, 14, 100, 100]


def test_a_future_keeps_its_timeout(act: Callable[[], None]) -> None:
    with pytest.raises(erlang.Timeout):
        erlang.submit("hang", Tolist(key(), act), timeout=0.2).result(20)
    # And none is left to the next one.
    assert erlang.submit("sleep", Acts(300, lambda: erlang.submit("double_it", 1, timeout=0.2).result(20))).result(20) == 300


def test_maps_within_maps(act: Callable[[], None]) -> None:
    assert list(erlang.map("double_it", [Acts(n, act) for n in range(5)], window=2)) == [0, 2, 4, 6, 8]

    def items() -> Iterator[int]:
        for n in range(5):
            act()
            yield n

    assert list(erlang.map("double_it", items(), window=2)) == [0, 2, 4, 6, 8]


def test_casts_and_table(act: Callable[[], None]) -> None:
    name = key()
    erlang.cast("note", name, Acts(1, act))
    erlang.cast("note", name, Acts(2, act))
    erlang.state_set(name, {"x": Acts(3, act)})
    assert erlang.state_get(name) == {"x": 3}
    erlang.state_delete(name)
    while erlang.call("noted", name) != [1, 2]:
        pass


def test_a_destructor_that_calls_while_objects_are_made() -> None:
    """The collector runs at an allocation, up to Python 3.11; later, when code runs."""
    ran: list[int] = []
    here = threading.get_ident()

    class Node:
        pass

    def garbage(_: Any = None) -> None:
        # Not on the completion thread, which lives on: it would keep a worker.
        if threading.get_ident() == here:
            ran.append(erlang.call("double_it", len(ran)))
        if len(ran) < 50:
            node: Any = Node()
            node.me = node
            watched.append(weakref.ref(node, garbage))

    watched: list[Any] = []
    old = gc.get_threshold()
    garbage()
    value = [[n, {"k": (n, [n])}] for n in range(100)]
    gc.set_threshold(5)
    try:
        for _ in range(20):
            assert erlang.call("echo", value) == value
            assert erlang.submit("echo", value).result(20) == value
            assert list(erlang.map("echo", [value, value])) == [value, value]
    finally:
        gc.set_threshold(*old)
    assert ran == [2 * n for n in range(len(ran))]


def replies_while_described() -> None:
    """Fails with an exception whose text makes a nested call."""

    class Talks(Exception):
        def __str__(self) -> str:
            return str(erlang.call("call_python", "builtins", "str", ["all is well"]))

    raise Talks


def test_a_failure_stays_a_failure_whatever_its_text_calls() -> None:
    with pytest.raises(erlang.CallError, match="all is well"):
        erlang.call("call_python", HERE, "replies_while_described", [])


@pytest.mark.beam
def test_the_timeout_of_a_call_with_nested_ones_is_named(start: Start) -> None:
    """Nested calls of other timeouts, or none, stand in the same thread's state meanwhile."""
    run, node = start("""
        try:
            erlang.call('f', 1, timeout=0.4)
        except erlang.Timeout as e:
            print(e)
        """)
    assert node.read() == (CALL, 2, ("f", [1]))
    node.call("eval", None, "__import__('erlang').call('f', 2)", {})
    node.answer(3, 2)
    assert node.read() == (OK, 1, 2)
    status, out, err = finished(run)
    assert (status, err) == (0, "")
    assert out == "no answer within 0.4 s\n"


# Dicts that change.


def changing(change: Callable[[dict[Any, Any]], Any], make: Callable[..., Any] = dict) -> tuple[Any, dict[Any, Any]]:
    """A dict changed by the conversion of its second value, and its pairs before."""
    d = make()
    d.update({"a": 1, "x": Acts(5, lambda: change(d)), "c": 3})
    return d, {"a": 1, "x": 5, "c": 3}


def swaps(d: dict[Any, Any]) -> None:
    d.pop("a", None)
    d["zz"] = "extra"


def grows(d: dict[Any, Any]) -> None:
    d.update({n: [n] for n in range(100)})


def replaces(d: dict[Any, Any]) -> None:
    d["c"] = object()


CHANGES: list[Callable[[dict[Any, Any]], Any]] = [swaps, grows, replaces, dict.clear, dict.popitem]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("make", [dict, OrderedDict, type("Own", (dict,), {})])
def test_a_dict_that_changes_goes_as_it_was(change: Callable[[dict[Any, Any]], Any], make: Callable[..., Any]) -> None:
    waiting = erlang.submit("sleep", 200)
    d, pairs = changing(change, make)
    assert erlang.call("echo", d) == pairs
    d, pairs = changing(change, make)
    assert erlang.call("args", [d, 1], {"d": 2}) == [[pairs, 1], {"d": 2}]
    d, pairs = changing(change, make)
    assert list(erlang.map("echo", [1, d, 3])) == [1, pairs, 3]
    d, pairs = changing(change, make)
    assert erlang.submit("echo", d).result(20) == pairs
    d, pairs = changing(change, make)
    erlang.state_set("changing", d)
    assert erlang.state_get("changing") == pairs
    erlang.state_delete("changing")
    assert waiting.result(20) == 200


@pytest.mark.parametrize("change", CHANGES)
def test_dicts_around_one_that_changes_them(change: Callable[[dict[Any, Any]], Any]) -> None:
    outer: dict[Any, Any] = {}
    middle: dict[Any, Any] = {}
    inner = {1: 1, 2: Acts(2, lambda: (change(outer), change(middle))), 3: 3}
    middle.update({"a": [inner], "b": 2, "c": "c"})
    outer.update({"a": 0, "m": (middle, 1), (1, 2): "key", "c": {"d": {}}})
    assert erlang.call("echo", outer) == {
        "a": 0,
        "m": ({"a": [{1: 1, 2: 2, 3: 3}], "b": 2, "c": "c"}, 1),
        (1, 2): "key",
        "c": {"d": {}},
    }


class Key:
    """A key whose conversion does something."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def __index__(self) -> int:
        self.act()
        return 7


@pytest.mark.parametrize("change", CHANGES)
def test_a_key_that_changes_its_dict(change: Callable[[dict[Any, Any]], Any]) -> None:
    d: dict[Any, Any] = {"a": 1, Key(lambda: change(d)): [2], "c": 3}
    assert erlang.call("echo", d) == {"a": 1, 7: [2], "c": 3}


@pytest.mark.parametrize("value", [2**100, -(2**70), "é" * 20_000, bytearray(b"\xff"), memoryview(b"\xff" * 20_000)], ids=lambda v: type(v).__name__)
def test_a_collection_that_changes_a_dict(value: Any) -> None:
    """Up to Python 3.11 one comes at an allocation; these values make some."""
    d: dict[Any, Any] = {}

    class Node:
        pass

    def change(_: Any) -> None:
        d.clear()
        d.update({n: n for n in range(50)})

    old = gc.get_threshold()
    for threshold in range(1, 30):
        d.clear()
        d.update({"a": 1, "x": value, "y": value, "c": 3})
        node: Any = Node()
        node.me = node
        watched = weakref.ref(node, change)
        del node
        gc.set_threshold(threshold)
        try:
            back = erlang.call("echo", d)
        finally:
            gc.set_threshold(*old)
        assert set(back) in ({"a", "x", "y", "c"}, set(range(50)))
        del watched


def test_a_dict_that_a_destructor_changes() -> None:
    """Its converted value is the dict itself, and dies with the conversion."""

    class Owner:
        def __init__(self) -> None:
            self.pairs = {"a": 1, "b": [2], "c": 3}

        def tolist(self) -> dict[str, Any]:
            items.clear()
            return self.pairs

        def __del__(self) -> None:
            swaps(self.pairs)

    items: list[Any] = []
    items.append(Owner())
    assert erlang.call("echo", items) == [{"a": 1, "b": [2], "c": 3}]


def test_other_threads_change_a_dict() -> None:
    """While the conversion runs code of Python, other threads do."""
    d: dict[Any, Any] = {n: n for n in range(100)}
    stop = threading.Event()

    def churn() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            d[n % 300] = n
            d.pop((n + 150) % 300, None)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(200):
            back = erlang.call("echo", {"d": [d, Acts(1, lambda: None)], "e": OrderedDict(d), "f": d})
            assert set(back) == {"d", "e", "f"}
    finally:
        stop.set()
        thread.join()


def test_what_a_kept_dict_cannot_send_is_named() -> None:
    d: dict[Any, Any] = {"a": Acts(1, lambda: d.clear()), "b": {"c": [set()]}}
    with pytest.raises(TypeError, match=r"args\[0\]\['b'\]\['c'\]\[0\]: set has no Erlang term"):
        erlang.call("echo", d)
    d.update({"a": Acts(1, lambda: d.clear()), "b": "\ud800"})
    with pytest.raises(TypeError, match=r"args\[0\]\['b'\]: str with a lone surrogate"):
        erlang.call("echo", d)


def test_kept_pairs_are_let_go_of() -> None:
    marks = [f"mark {n}" for n in range(4)]
    d: dict[Any, Any] = {}

    def fill() -> None:
        d.clear()
        d.update({marks[0]: Acts(1, lambda: None), marks[1]: marks[2], "last": {marks[2]: [marks[3]]}})

    fill()
    before = [sys.getrefcount(mark) for mark in marks]
    for _ in range(10):
        erlang.call("echo", d)
        fill()
        d["bad"] = set()
        with pytest.raises(TypeError):
            erlang.call("echo", [d])
        fill()
    assert [sys.getrefcount(mark) for mark in marks] == before


def test_a_list_that_changes_keeps_its_frame_whole() -> None:
    items: list[Any] = []
    items[:] = [1, Acts(2, lambda: items.__delitem__(slice(2, None))), 3, 4]
    assert erlang.call("args", items, "next") == [[1, 2], "next"]
    items[:] = [Acts(1, lambda: items.append(9)), 2]
    assert erlang.call("args", items, "next") == [[1, 2, 9], "next"]


def test_a_buffer_that_changes_goes_as_it_was() -> None:
    buffer = bytearray(b"\xff" * 40_000)
    assert erlang.call("args", buffer, Acts(1, buffer.clear)) == [b"\xff" * 40_000, 1]
    buffer = bytearray(b"\xff" * 40_000)

    def overwrite() -> None:
        buffer[:] = b"\xfe" * len(buffer)

    assert erlang.call("args", memoryview(buffer), Acts(1, overwrite)) == [b"\xff" * 40_000, 1]
