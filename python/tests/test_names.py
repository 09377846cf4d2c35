"""erlang.NAME and `from erlang import NAME`: only a registry's "no" is an AttributeError; a failed look-up says why it failed."""

from __future__ import annotations

import copy
import doctest
import inspect
import textwrap
from pathlib import Path
from unittest import mock

import erlang
import pytest
from command import erlpy, finished
from fakenode import CALL, ERROR, OK, FakeNode

LOOK_UPS = {
    "attribute": "erlang.double_it",
    "import": "exec('from erlang import double_it')",
    "hasattr": "hasattr(erlang, 'double_it')",
    "getattr": "getattr(erlang, 'double_it', None)",
}
SCRIPT = """
import erlang
{before}
for look_up in {look_ups}:
    try:
        print(look_up, eval(look_up))
    except Exception as e:
        print(type(e).__module__, type(e).__name__, e)
"""


def script(folder: Path, look_ups: list[str], before: str = "") -> str:
    file = folder / "script.py"
    file.write_text(SCRIPT.format(look_ups=look_ups, before=textwrap.dedent(before)), encoding="utf-8")
    return str(file)


@pytest.mark.beam
def test_nobody_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "nobody")
    status, out, err = finished(erlpy("--beam", path, script(tmp_path, list(LOOK_UPS.values()))))
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == len(LOOK_UPS)
    for line in lines:
        assert line.startswith("erlang Disconnected ") and path in line


@pytest.mark.beam
def test_no_descriptor_is_left(node: FakeNode, tmp_path: Path) -> None:
    before = """
        import resource
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
        """
    status, out, err = finished(erlpy("--beam", node.path, script(tmp_path, list(LOOK_UPS.values()), before)))
    assert (status, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [["erlang", "Disconnected"]] * len(LOOK_UPS)
    assert out.count("too many open files") == len(LOOK_UPS)


@pytest.mark.beam
def test_a_node_that_refuses(node: FakeNode, tmp_path: Path) -> None:
    run = erlpy("--beam", node.path, script(tmp_path, [LOOK_UPS["import"]]))
    peer = node.accept()
    peer.read()
    peer.write(ERROR, 0, (erlang.Atom("refused"), "too many workers"))
    status, out, _ = finished(run)
    assert status == 0 and out.startswith("erlang Error ") and "too many workers" in out


@pytest.mark.beam
def test_a_node_that_goes_while_it_is_asked(node: FakeNode, tmp_path: Path) -> None:
    run = erlpy("--beam", node.path, script(tmp_path, [LOOK_UPS["hasattr"]]))
    peer = node.welcomed()
    assert peer.read() == (CALL, 1, ("registered", ["double_it"]))
    peer.close()
    status, out, _ = finished(run)
    assert status == 0 and out.startswith("erlang Disconnected ")


@pytest.mark.beam
def test_a_nodes_no(node: FakeNode, tmp_path: Path) -> None:
    """Of the two names asked for by `import`, one has a leading underscore: the node never hears of it."""
    look_ups = [LOOK_UPS["hasattr"], "hasattr(erlang, '__wrapped__')", "getattr(erlang, '_private', 7)", LOOK_UPS["import"]]
    run = erlpy("--beam", node.path, script(tmp_path, look_ups))
    peer = node.welcomed()
    assert peer.read() == (CALL, 1, ("registered", ["double_it"]))
    peer.write(OK, 1, False)
    for number in (2, 3):  # the import machinery asks twice
        assert peer.read() == (CALL, number, ("registered", ["double_it"]))
        peer.write(OK, number, False)
    status, out, err = finished(run)
    assert (status, err) == (0, "")
    assert [line.split()[-1] for line in out.splitlines()[:3]] == ["False", "False", "7"]
    assert out.splitlines()[3].startswith("builtins ImportError cannot import name 'double_it'")


def test_tools_that_probe_a_module_ask_no_node() -> None:
    with mock.patch("_erlang.registered", side_effect=AssertionError("asked")):
        assert inspect.unwrap(erlang) is erlang  # type: ignore[arg-type]
        assert inspect.getmodule(erlang) is erlang and inspect.getdoc(erlang)
        assert not inspect.isabstract(erlang) and not callable(erlang)
        assert doctest.DocTestFinder().find(erlang, "erlang")
        with pytest.raises(TypeError):
            copy.deepcopy(erlang)
        for name in ("__wrapped__", "__file__", "__path__", "__all__", "_ipython_display_", "_pytestfixturefunction", "__array__"):
            getattr(erlang, name, None)
