"""A host process, run by a node that is a test."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from command import finished, start
from fakenode import BYE, HELLO, OK, Conversation, FakeNode


class FakeHost:
    """`erlpy host` with its control channel, and as many contexts as are asked for."""

    def __init__(self, folder: Path) -> None:
        self.node = FakeNode(folder)
        self.process: subprocess.Popen[str] = start("host", "--beam", self.node.path, "--token", "h")
        self.control = self.node.accept()
        kind, _, hello = self.control.read()
        assert (kind, hello[:3]) == (HELLO, ("erlpy", 1, ("host", "h")))
        self.control.welcome()

    def context(self, token: str) -> Conversation:
        self.control.call("start_context", token)
        context = self.node.accept()
        kind, _, hello = context.read()
        assert (kind, hello[:3]) == (HELLO, ("erlpy", 1, ("context", token)))
        context.welcome()
        assert self.control.read() == (OK, 1, None)
        return context

    def thread(self) -> Conversation:
        """The next thread of the host that connects for calls of its own."""
        thread = self.node.accept()
        kind, _, hello = thread.read()
        assert (kind, hello[:3]) == (HELLO, ("erlpy", 1, "thread"))
        thread.welcome()
        return thread

    def stop(self) -> tuple[int, str, str]:
        self.control.write(BYE, 0, [])
        return finished(self.process, seconds=20)

    def __enter__(self) -> FakeHost:
        return self

    def __exit__(self, *_: Any) -> None:
        self.node.__exit__()
        self.process.kill()
        self.process.communicate()
