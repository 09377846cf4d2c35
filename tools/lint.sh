#!/usr/bin/env bash
# All linters, or those with a word in their name: tools/lint.sh [WORD]
# Each runs even when one before it has found something; the exit status tells.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
word=${1:-}
failed=()

check() {
	local name=$1
	shift
	[[ $name == *"$word"* ]] || return 0
	echo "== $name"
	("$@") || failed+=("$name")
}

formatted() {
	local files
	files=$(find . -name '*.go' -not -path './build/*' -not -path './_build/*' -exec gofmt -l {} +)
	[ -z "$files" ] || { echo "not as gofmt has it: $files" && false; }
}

mypy() {
	MYPYPATH=python build/venv/lint/bin/mypy --strict --python-version 3.9 --cache-dir build/mypy \
		python/erlang python/boot.py python/_erlang.pyi &&
		MYPYPATH=python:python/tests build/venv/lint/bin/mypy --strict --cache-dir build/mypy python/tests tools
}

elixir_formatted() {
	mix format --check-formatted mix.exs && (cd examples/elixir && mix format --check-formatted)
}

# Warnings are errors here, and never in a user's build, whose compiler may be newer than ours.
erlang_warnings() {
	export ERL_COMPILER_OPTIONS=warnings_as_errors
	tools/application.sh build/lint/erlang_python && mkdir -p build/lint/tests &&
		erlc -pa build/lint/erlang_python/ebin -o build/lint/tests erlang/test/*.erl examples/*.erl bench/*.erl
}

c_warnings() {
	local file bad=
	for file in internal/cpython/*.c; do
		gcc -std=c11 -O2 -fvisibility=hidden -Wall -Wextra -Wno-unused-parameter -Werror -c -o /dev/null "$file" || bad=yes
	done
	[ -z "$bad" ]
}

elixir_warnings() {
	cd examples/elixir && mix compile --force --warnings-as-errors
}

check "erlc warnings" erlang_warnings
check "gcc warnings" c_warnings
check "mix warnings" elixir_warnings
check gofmt formatted
check vet go vet ./...
check staticcheck go run "honnef.co/go/tools/cmd/staticcheck@${STATICCHECK:-}" ./...
check mypy mypy
check stubtest env MYPYPATH=python build/erlpy run --python build/venv/lint tools/stubtest.py
check prototypes tools/check_slots.sh build/venv/[0-9d]*/bin/python
check xref rebar3 xref
check dialyzer rebar3 dialyzer
check "mix format" elixir_formatted
check shellcheck shellcheck tools/*.sh .ci/run

if [ ${#failed[@]} -gt 0 ]; then
	echo "lint failed: ${failed[*]}"
	exit 1
fi
echo "lint: all clean${word:+, of $word}"
