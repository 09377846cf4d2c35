#!/usr/bin/env bash
# Runs the Python tests in build/erlpy-asan: all of them in the oldest and in the newest Python, then damaged terms for a minute.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t venvs < <(printf '%s\n' build/venv/[0-9]* | sort -V)

# tests VENV [PYTEST ARGUMENTS]
tests() {
	echo "== $1"
	# Python never frees all of its memory; and objects are to be seen one by one, not in Python's own arenas.
	ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc ERLPY_PEER=beam \
		build/erlpy-asan run --python "$1" --erl erlang/test/py_peer.erl python/tests/run.py -q "${@:2}"
}

for venv in "${venvs[0]}" "${venvs[-1]}"; do
	tests "$venv"
	ERLPY_FUZZ_SECONDS=${ERLPY_FUZZ_SECONDS:-60} tests "$venv" python/tests/test_fuzz.py
done
