"""Holds python/_erlang.pyi against the built-in module itself, which is there only inside the host."""

import sys

from mypy import stubtest

# What mypy starts for itself must not take this for its own command line.
sys.argv = ["stubtest", "_erlang", "--mypy-config-file", "tools/stubtest.ini"]
sys.exit(stubtest.main())
