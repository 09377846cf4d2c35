"""Makes the package `erlang` importable from the sources that the program carries, and hands its hooks to `_erlang`.

Run once, after the interpreter is up and the built-in module `_erlang` stands in `sys.modules`.
"""

from __future__ import annotations

import atexit
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import Optional

# Code compiled from memory is named so. It must not end in '>', or linecache would not ask the loader for the text.
PREFIX = "<erlpy>/"


class Importer(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads modules whose sources are in a dict, by their names: `erlang`, `erlang._types`."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if fullname not in self._sources:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname, self, origin=self._file(fullname), is_package=self.is_package(fullname)
        )
        spec.has_location = True  # gives the module a __file__, which tools print
        return spec

    def is_package(self, fullname: str) -> bool:
        return any(name.startswith(fullname + ".") for name in self._sources)

    def get_source(self, fullname: str) -> str:
        try:
            return self._sources[fullname]
        except KeyError:
            raise ImportError(f"no source for {fullname}", name=fullname) from None

    def get_code(self, fullname: str) -> CodeType:
        code = compile(self.get_source(fullname), self._file(fullname), "exec", dont_inherit=True)
        assert isinstance(code, CodeType)
        return code

    def _file(self, fullname: str) -> str:
        base = PREFIX + fullname.replace(".", "/")
        return base + ("/__init__.py" if self.is_package(fullname) else ".py")


def boot(sources: dict[str, str]) -> None:
    """Makes `import erlang` work, from sources by module name, and installs the hooks of the built-in half."""
    # First on the path: an unrelated package of the same name in site-packages must not take its place.
    sys.meta_path.insert(0, Importer(sources))

    import _erlang
    from erlang import _errors, _serve, _types

    # Registered before anybody else's, and so run after them: an atexit callback of the script's may still call.
    atexit.register(_serve.end)

    _erlang.install(
        (_types.Atom, _types.Pid, _types.Ref, _types.Term),
        _types.wrap,
        _types.convert,
        _errors.failure,
        _serve.dispatch,
        _serve.describe,
        _serve.tick,
    )
