#!/usr/bin/env bash
# Installs what is missing, from Debian's packages, and says so first: tools/install.sh demo|test|lint
# What is there already, from whatever source, is left alone.
set -euo pipefail

packages=()

# need PACKAGE COMMAND...: the package is wanted when the command fails.
need() {
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || packages+=("$package")
}

# Where OTP's applications are, each in a directory of its own.
otp_lib() {
	erl -noinput -boot no_dot_erlang -eval 'io:put_chars(code:lib_dir()), halt().' 2>/dev/null
}

# shellcheck disable=SC2317 # called by name, from need
shared_libpython() {
	python3 -c 'import os, sys, sysconfig
v = sysconfig.get_config_var
names = [os.path.join(str(v("LIBDIR")), str(v("INSTSONAME"))),
         os.path.join(str(v("LIBDIR")), str(v("MULTIARCH")), str(v("INSTSONAME")))]
sys.exit(not any(os.path.exists(n) for n in names))'
}

system_python() { # the version of Debian's own, such as 3.11, whichever python3 comes first on the PATH
	/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null ||
		apt-cache depends python3 | sed -n 's/.*Depends: python\(3\.[0-9]*\)$/\1/p' | head -1
}

python_packages() {
	local version
	if [ "$1" = demo ]; then
		need python3 command -v python3
	else
		need python3 test -x /usr/bin/python3 # the matrix has Debian's own in it
		need python3-venv /usr/bin/python3 -c 'import ensurepip, venv'
	fi
	version=$(system_python)
	if [ -z "$version" ]; then
		return 0 # told by the second look, once python3 is there
	elif [ "$1" = demo ]; then
		need "libpython$version" shared_libpython
	else
		need "libpython$version" compgen -G "/usr/lib/*/libpython$version.so.1.0"
	fi
}

want() {
	need gcc command -v cc
	need libc6-dev test -e /usr/include/stdio.h
	need erlang-base command -v erl
	python_packages "$1"
	[ "$1" != demo ] || return 0
	need rebar3 command -v rebar3
	need elixir command -v mix
	local lib application
	lib=$(otp_lib) || lib=none
	need erlang-dev compgen -G "$lib/eunit-*/include/eunit.hrl"
	for application in common_test dialyzer tools eunit parsetools crypto syntax_tools; do
		need "erlang-${application//_/-}" compgen -G "$lib/$application-*/ebin/$application.app"
	done
	[ "$1" != lint ] || need shellcheck command -v shellcheck
	[ "$1" != lint ] || need libpython3-dev compgen -G "/usr/include/python3*/Python.h" # the prototypes are checked against it
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

what=${1:?demo, test or lint}
if ! command -v go >/dev/null; then
	echo "Go is missing. go.mod names the version; https://go.dev/doc/install tells how to install it." >&2
	exit 1
fi
install_missing() {
	echo "Missing for 'make $what': ${packages[*]}"
	if ! command -v apt-get >/dev/null; then
		echo "These are Debian's names for them; install them by your system's own means." >&2
		exit 1
	fi
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		echo "Run as root: apt-get update && apt-get install -y --no-install-recommends ${packages[*]}" >&2
		exit 1
	fi
	echo "Installing them with apt-get (apt-get update first)."
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get update -q
	as_root apt-get install -y -q --no-install-recommends "${packages[@]}"
}

# A second look may find what only the first round of packages could tell; a third one must find nothing.
for round in 1 2 3; do
	packages=()
	want "$what"
	[ ${#packages[@]} -gt 0 ] || exit 0
	[ $round -eq 3 ] || install_missing
done
echo "Still missing after the installation: ${packages[*]}" >&2
exit 1
