#!/usr/bin/env bash
# Builds and tests this commit on releases of Debian, in roots of its own: tools/matrix.sh [ROOT...]
#   bare-bookworm, bare-trixie  make and git only: make demo, and make ready for the tests, install
#                               the rest
#   trixie, forky               the tools are there: tools/matrix_root.sh
# Roots stay in $ERLPY_ROOTS. One is made anew when the inputs of its stamp have changed, the text
# of base() among them.
set -euo pipefail
cd "$(dirname "$0")/.."
roots=${ERLPY_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/erlpy-roots}
mirror=${ERLPY_MIRROR:-http://deb.debian.org/debian}
include=make,git

if [ "$(id -u)" -ne 0 ]; then
	echo "make matrix needs root, for debootstrap and chroot" >&2
	exit 1
fi
mkdir -p "$roots"
exec 9>"$roots/lock"
flock 9 # two runs would change the same roots

# base SUITE: makes the pristine root of a release. Other roots are copies of it; nothing runs in it.
base() {
	local suite=$1 dir=$roots/$1 script=/usr/share/debootstrap/scripts/$1 stamp
	stamp="$suite $mirror $include $(declare -f base | cksum)"
	[ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ] || return 0
	[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid # a release newer than this debootstrap
	echo "making $dir, for a few minutes"
	rm -rf "$dir" "$dir.work" "$dir.new"
	if ! debootstrap --variant=minbase --include="$include" "$suite" "$dir.new" "$mirror" "$script" >"$dir.log" 2>&1; then
		tail -n 20 "$dir.log" >&2
		return 1
	fi
	# The root reaches the network as this machine does: names, and certificates of its own.
	cp /etc/resolv.conf /etc/hosts "$dir.new/etc"
	mkdir -p "$dir.new/usr/local/share/ca-certificates"
	find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$dir.new/usr/local/share/ca-certificates" {} +
	echo 'Acquire::Check-Valid-Until "false";' >"$dir.new/etc/apt/apt.conf.d/late" # a mirror may be some weeks late
	echo "$stamp" >"$dir.new/stamp"
	mv "$dir.new" "$dir"
}

# clone DIR: this commit, with build/ as an earlier run left it.
clone() {
	[ -d "$1" ] || git init -q "$1"
	git -C "$1" fetch -q --update-shallow "file://$PWD" HEAD
	git -C "$1" checkout -q -f --detach FETCH_HEAD
	git -C "$1" clean -q -fd
}

# inside DIR COMMAND...: runs it in the root's clone. Mounts and processes end with the namespace.
inside() {
	local dir=$1 keep=() name
	shift
	for name in TERM http_proxy https_proxy no_proxy GOPROXY PIP_INDEX_URL; do
		[ -z "${!name:-}" ] || keep+=("$name=${!name}")
	done
	# shellcheck disable=SC2016 # the inner shell expands
	env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${keep[@]}" \
		unshare --mount --pid --fork --kill-child sh -ec '
			dir=$1 && shift
			mount -t proc proc "$dir/proc"
			mount --rbind /dev "$dir/dev"
			exec chroot "$dir" sh -ec "cd /erlpy && exec \"\$@\"" sh "$@"' sh "$dir" "$@" 9>&- </dev/null
}

bare() {
	local dir=$roots/$1.bare
	base "$1"
	rm -rf "$dir"
	cp -a "$roots/$1" "$dir"
	clone "$dir/erlpy"
	inside "$dir" make demo
	inside "$dir" make ready
	rm -rf "$dir"
}

working() {
	local dir=$roots/$1.work
	base "$1"
	if [ ! -d "$dir" ]; then
		rm -rf "$dir.new"
		cp -a "$roots/$1" "$dir.new"
		mv "$dir.new" "$dir"
	fi
	clone "$dir/erlpy"
	inside "$dir" tools/matrix_root.sh
}

[ $# -gt 0 ] || set -- bare-bookworm bare-trixie trixie forky
for name in "$@"; do
	echo "== root $name"
	began=$SECONDS
	case $name in
	bare-*) bare "${name#bare-}" ;;
	*) working "$name" ;;
	esac
	echo "root $name: passed in $((SECONDS - began)) s"
done
