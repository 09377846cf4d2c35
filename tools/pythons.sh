#!/usr/bin/env bash
# Prints every CPython 3.9+ with a shared library that this machine has, one a line: TAG PATH. Those of pyenv have their
# version as tag, Debian's are debian-3.11 and so on. What is left out is told on standard error, with the reason.
# With CI=true, one that the matrix must have and that is not there is a failure.
set -euo pipefail

required="3.9 3.10 3.11 3.12 3.13"

# shellcheck disable=SC2016
probe='import sys, os, sysconfig
v = sysconfig.get_config_var
name = "%d.%d.%d" % sys.version_info[:3] + getattr(sys, "abiflags", "")
if sys.implementation.name != "cpython" or sys.version_info < (3, 9):
    sys.exit("Python %s is not CPython 3.9 or later" % name)
dirs = [v("LIBDIR"), os.path.join(str(v("LIBDIR")), str(v("MULTIARCH"))), os.path.join(sys.base_prefix, "lib")]
if not any(d and os.path.exists(os.path.join(d, str(v("INSTSONAME")))) for d in dirs) or not str(v("INSTSONAME")).split(".so")[1:]:
    sys.exit("Python %s is built without a shared library" % name)
print(name)'

pyenv_root() {
	if [ -n "${PYENV_ROOT:-}" ]; then
		echo "$PYENV_ROOT"
	elif command -v pyenv >/dev/null; then
		pyenv root
	else
		echo "$HOME/.pyenv"
	fi
}

seen=" "
minors=" "

# found KIND PATH: prints the line of one interpreter, unless it is one we have had under another name.
found() {
	local kind=$1 python=$2 real version tag
	[ -x "$python" ] || return 0
	real=$(readlink -f "$python")
	case $seen in *" $real "*) return 0 ;; esac
	seen="$seen$real "
	if ! version=$("$python" -I -c "$probe" 2>&1); then
		echo "left out: $python: ${version##*$'\n'}" >&2
		return 0
	fi
	case $kind in
	pyenv) tag=$version && minors="$minors${version%.*} " ;;
	debian) tag=debian-${version%.*} && minors="$minors$tag " ;;
	*) tag=path-$version ;;
	esac
	echo "$tag $python"
}

for python in "$(pyenv_root)"/versions/*/bin/python3; do
	found pyenv "$python"
done
for python in /usr/bin/python3 /usr/bin/python3.*; do
	case $python in *[0-9]) found debian "$python" ;; esac
done
if python=$(command -v python3) && case $python in */shims/*) false ;; esac then
	found path "$python"
fi

if [ "${CI:-}" = true ]; then
	for minor in $required "debian-3.11"; do
		case $minors in
		*" $minor "*) ;;
		*) echo "the matrix needs $minor, which was not found: pyenv install $minor (built with --enable-shared), or for Debian's apt-get install python3 libpython3.11" >&2 && exit 1 ;;
		esac
	done
fi
