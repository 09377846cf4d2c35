#!/usr/bin/env bash
# Runs in a root of tools/matrix.sh. Its compilers warn of nothing; projects of rebar3 and of Mix
# get by without that rule, and work in both directions; the Python tests pass against the node.
set -euo pipefail
cd "$(dirname "$0")/.."
export LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive

# Debian's default comes with make ready; its next release has a newer one beside it.
for python in python3.14 python3.15; do
	if [ ! -e "/usr/bin/$python" ] && apt-cache show "$python" >/dev/null 2>&1; then
		apt-get update -q
		apt-get install -y -q --no-install-recommends "$python" "$python-venv" "lib$python"
	fi
done
make ready
tools/lint.sh warnings
CI=true go test -v -run 'TestHost|TestDependency' ./tools
for venv in build/venv/debian-*; do
	echo "== Python tests against the node, $venv"
	ERLPY_PEER=beam build/erlpy run --python "$venv" --erl erlang/test/py_peer.erl python/tests/run.py -q
done
