#!/usr/bin/env bash
# Runs the example twice: against Go functions in its own process, and against Erlang functions on a node.
set -euo pipefail
cd "$(dirname "$0")/.."

# The first Python here that can be embedded.
for python in "${VIRTUAL_ENV:-}" python3 /usr/bin/python3; do
	[ -n "$python" ] || continue
	if build/erlpy doctor --python "$python" | grep -q '^libpython *ok'; then
		break
	fi
done

show() {
	echo
	echo "\$ $*"
	"$@"
}

echo "=== Go functions, one process"
show go run ./examples/threads -python "$python"
echo
echo "=== Erlang functions, on a node of their own"
show build/erlpy run --python "$python" --erl examples/functions.erl examples/threads.py
