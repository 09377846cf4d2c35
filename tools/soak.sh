#!/usr/bin/env bash
# Runs the tests of many threads against a node, over and over, for so many seconds: tools/soak.sh 600
set -euo pipefail
cd "$(dirname "$0")/.."
end=$((SECONDS + ${1:-600}))
rounds=0
while [ $SECONDS -lt $end ]; do
	for venv in build/venv/[0-9]*; do
		ERLPY_PEER=beam build/erlpy run --python "$venv" --erl erlang/test/py_peer.erl python/tests/run.py -q \
			python/tests/test_threads.py python/tests/test_workers.py python/tests/test_thread_kinds.py
		rounds=$((rounds + 1))
	done
done
echo "soak: $rounds rounds passed"
