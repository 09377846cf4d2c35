#!/usr/bin/env bash
# Makes build/venv/TAG for every Python of tools/pythons.sh, with what the tests need. Made anew only when the
# interpreter or the requirements have changed.
set -euo pipefail
cd "$(dirname "$0")/.."

# make_venv TAG PYTHON REQUIREMENTS
make_venv() {
	local dir=build/venv/$1 python=$2 requirements=$3 stamp
	stamp=$({ "$python" -VV && readlink -f "$python" && cat python/tests/requirements*.txt; } | cksum)
	[ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ] || return 0
	echo "making $dir with $python"
	rm -rf "$dir"
	"$python" -m venv "$dir"
	"$dir/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
	echo "$stamp" >"$dir/stamp"
}

list=$(tools/pythons.sh)
[ -n "$list" ] || { echo "no CPython 3.9 or later with a shared library was found" >&2 && exit 1; }
mkdir -p build/venv
newest=
while read -r tag python; do
	make_venv "$tag" "$python" python/tests/requirements.txt
	newest=$python
done < <(sort -V <<<"$list")

# The linters run in one interpreter.
if [ "${1:-}" = lint ]; then
	make_venv lint "$newest" python/tests/requirements-lint.txt
fi
