"""Pids, references and what Python has no type for: kept exactly, and sent back exactly."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import _erlang
import erlang
import pytest

# <nonode@nohost.85.2>, a reference, a port, an improper list: as term_to_binary writes them.
PID = b"\x83Xw\x0dnonode@nohost\x00\x00\x00\x55\x00\x00\x00\x02\x00\x00\x00\x00"
REF = b"\x83Z\x00\x03w\x0dnonode@nohost\x00\x00\x00\x00\x00\x01\x02\x03\x00\x00\x00\x04\x00\x00\x00\x05"
PORT = b"\x83Yw\x0dnonode@nohost\x00\x00\x00\x07\x00\x00\x00\x00"
IMPROPER = b"\x83l\x00\x00\x00\x01a\x01a\x02"


@pytest.mark.parametrize(
    ("encoded", "kind", "text"),
    [
        (PID, erlang.Pid, "nonode@nohost.85.2"),
        (REF, erlang.Ref, "nonode@nohost.66051.4.5"),
        (PORT, erlang.Term, "port"),
        (IMPROPER, erlang.Term, "improper list"),
    ],
)
def test_opaque_values(encoded: bytes, kind: type[Any], text: str) -> None:
    one, two = _erlang.decode(encoded), _erlang.decode(encoded)
    assert type(one) is kind
    assert str(one) == text and repr(one) == f"<erlang.{kind.__name__} {text}>"
    assert one == two and hash(one) == hash(two) and one != _erlang.decode(PID[:-1] + b"\x01")
    assert _erlang.encode(one) == encoded
    if encoded is PORT:
        one = erlang.call("echo", one)  # OTP 27 writes it in another form
    assert erlang.call("echo", one) == one
    assert erlang.call("echo", [{"key": (one,)}]) == [{"key": (one,)}]
    assert erlang.call("echo", {one: 1}) == {one: 1}


@pytest.mark.parametrize("encoded", [PID, REF, PORT])
def test_opaque_values_can_be_copied_and_pickled(encoded: bytes) -> None:
    value = _erlang.decode(encoded)
    assert copy.deepcopy([value])[0] is value
    assert pickle.loads(pickle.dumps(value)) == value


def test_opaque_values_do_not_change_and_are_not_made_here() -> None:
    pid = _erlang.decode(PID)
    with pytest.raises(AttributeError, match="do not change"):
        pid._etf = b""
    with pytest.raises(AttributeError):
        pid.other = 1
    for kind in (erlang.Pid, erlang.Ref, erlang.Term):
        with pytest.raises(TypeError, match="come from Erlang"):
            kind()


@pytest.mark.parametrize("name", ["ok", "", "two words", "žluťoučký", "\U0001f600" * 255])
def test_atoms(name: str) -> None:
    atom = erlang.Atom(name)
    assert atom.name == str(atom) == name
    assert atom == erlang.atom(name) and hash(atom) == hash(erlang.atom(name))
    assert atom != erlang.Atom("another") and atom != name
    assert repr(erlang.Atom("ok")) == "erlang.Atom('ok')"
    assert _erlang.decode(_erlang.encode(atom)) == name


def test_what_is_no_atom() -> None:
    with pytest.raises(ValueError, match="at most 255 characters, not 256"):
        erlang.Atom("a" * 256)
    with pytest.raises(TypeError, match="a str, not bytes"):
        erlang.Atom(b"ok")  # type: ignore[arg-type]


@pytest.mark.beam
@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("whoami", "Pid"),
        ("make_ref_", "Ref"),
        ("make_fun", "Term"),
        ("make_port", "Term"),
        ("make_improper", "Term"),
        ("make_bits", "Term"),
    ],
)
def test_from_a_node_and_back(function: str, kind: str) -> None:
    value = erlang.call(function)
    assert type(value).__name__ == kind
    assert erlang.call("echo", value) == value
    assert erlang.call("args", value, [value]) == [value, [value]]
