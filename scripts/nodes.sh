# nodes.sh: gets nodes of other chains' that take long to build, once for each version, and
# bitcoind. Sourced, never run. To add one that is built: a row in nodes_all, a function
# nodes_get_NAME that puts it where nodes_path says, and its version in a module below
# scripts/nodes.
# shellcheck shell=bash

nodes_root="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/scrip-test/nodes"

# Name, module below scripts/nodes, and what is tested with it in which packages.
nodes_all=(
	'lnd|github.com/lightningnetwork/lnd|payouts with lnd|./internal/cashout/payout ./internal/e2e'
)

# nodes_path NAME MODULE: where the node of the pinned version is, or will be.
nodes_path() {
	local version
	version=$(awk -v module="$2" '$1 == module {print $2; exit}' "scripts/nodes/$1/go.mod")
	printf '%s/%s-%s\n' "$nodes_root" "$1" "$version"
}

# nodes_missing NAME MODULE: whether the node is not built yet.
nodes_missing() { [[ ! -x $(nodes_path "$1" "$2") ]]; }

# nodes_any reports whether one is built.
nodes_any() {
	local name module what packages
	for row in "${nodes_all[@]}"; do
		IFS='|' read -r name module what packages <<<"$row"
		nodes_missing "$name" "$module" || return 0
	done
	return 1
}

# nodes_left_out says what "make test" does not test.
nodes_left_out() {
	local name module what packages
	for row in "${nodes_all[@]}"; do
		IFS='|' read -r name module what packages <<<"$row"
		! nodes_missing "$name" "$module" || say "==> left out: $what, until \"make test-rails\" has built it"
	done
	[[ -z $nodes_no_bitcoind ]] || say "==> left out: bitcoind ($nodes_no_bitcoind): deposits of Bitcoin were tested on btcd alone"
}

# nodes_test tests with every node that is built.
nodes_test() {
	local name module what packages
	for row in "${nodes_all[@]}"; do
		IFS='|' read -r name module what packages <<<"$row"
		! nodes_missing "$name" "$module" || continue
		# What go vet says is a stage of its own.
		# shellcheck disable=SC2086 # they are several
		SCRIP_TEST_RAILS=1 go test -vet=off -count=1 -timeout 15m -run Rails $packages || return
	done
}

# nodes_get builds every node that is not there.
nodes_get() {
	local name module what packages
	mkdir -p "$nodes_root"
	for row in "${nodes_all[@]}"; do
		IFS='|' read -r name module what packages <<<"$row"
		! nodes_missing "$name" "$module" || "nodes_get_$name" "$(nodes_path "$name" "$module")" || return
	done
}

nodes_get_lnd() {
	say '    building lnd: this takes minutes, once'
	(cd scripts/nodes/lnd && go build -trimpath -ldflags '-s -w' -tags 'signrpc walletrpc chainrpc invoicesrpc routerrpc' \
		-o "$1.new" github.com/lightningnetwork/lnd/cmd/lnd) && mv "$1.new" "$1"
}

nodes_no_bitcoind='' # why it is left out

# need_bitcoind finds the node that deposits of Bitcoin are tested with beside btcd, and
# exports SCRIP_TEST_BITCOIND. Where it is missing, it is unpacked from Debian's unstable
# suite (sid), the only one that has it, in whatever version that has on the day; remove it from
# nodes_root to have a newer one. It returns an error where it cannot be had.
need_bitcoind() {
	local kept=$nodes_root/bitcoind at
	[[ -z ${SCRIP_TEST_BITCOIND:-} ]] || return 0
	at=$(command -v bitcoind || echo "$kept/bitcoind")
	if ! "$at" -version >/dev/null 2>&1; then
		say '    bitcoind is not installed: getting it'
		at=$kept/bitcoind
		rm -rf "$kept"
		nodes_get_bitcoind "$kept" || return
	fi
	export SCRIP_TEST_BITCOIND=$at
	say "    $("$at" -version | head -n 1)"
}

# nodes_get_bitcoind FOLDER: puts it there with the libraries that it was built with, newer
# than this machine's. It needs no rights, and an apt of its own, which knows nothing but the
# unstable suite on the mirror that this machine uses.
nodes_get_bitcoind() {
	local state=$scrip_scratch/bitcoind part deb
	nodes_apt_sid "$state" || return
	nodes_no_bitcoind='the mirror does not give it'
	nodes_apt "$state" update || return
	nodes_apt "$state" install -y --no-install-recommends --download-only bitcoin-knots || return
	nodes_no_bitcoind='its packages cannot be unpacked'
	for deb in "$state"/archives/*.deb; do
		dpkg-deb -x "$deb" "$state/root" || return
	done
	mkdir -p "$nodes_root" && part=$(mktemp -d "$1.XXXXXX") || return
	if ! nodes_gather_bitcoind "$state/root" "$part" || ! "$part/bitcoind" -version >/dev/null; then
		rm -rf "$part"
		return 1
	fi
	mv -T "$part" "$1" 2>/dev/null || rm -rf "$part" # somebody else was quicker
	rm -rf "$state"
	nodes_no_bitcoind=''
}

# nodes_gather_bitcoind ROOT FOLDER: takes what it needs out of what was unpacked, with the
# command that speaks to it, and writes what starts them with their own loader and libraries.
nodes_gather_bitcoind() {
	local program=$1/usr/bin/bitcoind loader libraries
	loader=$(find "$1" -name 'ld-linux*.so.*' -print -quit)
	libraries=$(find "$1" -name libc.so.6 -print -quit)
	mkdir "$2/lib" && cp -L "$loader" "$2/lib/ld.so" && cp "$program" "${program%d}-cli" "$2/lib/" || return
	"$2/lib/ld.so" --inhibit-cache --library-path "${libraries%/*}" --list "$program" |
		awk -v root="$1/" '$2 == "=>" && index($3, root) == 1 {print $3}' | xargs -d '\n' cp -L -t "$2/lib" || return
	cat >"$2/bitcoind" <<-'END'
		#!/bin/sh
		lib=$(dirname "$0")/lib
		exec "$lib/ld.so" --inhibit-cache --library-path "$lib" "$lib/${0##*/}" "$@"
	END
	chmod +x "$2/bitcoind" && cp "$2/bitcoind" "$2/bitcoin-cli"
}

# nodes_apt_sid STATE: sets up an apt that writes and runs nothing of this machine's, and
# reads keys, proxies, passwords and whether dates count.
nodes_apt_sid() {
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror
	nodes_no_bitcoind='it comes from Debian alone'
	[[ -r $keys ]] && command -v apt-get dpkg-deb >/dev/null || return
	# shellcheck disable=SC2016 # apt replaces it
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' | awk '/\/debian\/?$/ && !found++')
	[[ -n $mirror ]] || return
	rm -rf "$1" && mkdir -p "$1/lists/partial" "$1/archives/partial" "$1/sources" || return
	: >"$1/status"
	printf '%s\n' 'Types: deb' "URIs: $mirror" 'Suites: sid' 'Components: main' "Signed-By: $keys" >"$1/sources/debian.sources"
	{
		apt-config dump | grep -E '^Acquire::(https?|ForceIPv[46]|Check-Date|Check-Valid-Until)\b'
		cat <<-END
			APT::Architectures { "$(dpkg --print-architecture)"; };
			APT::Sandbox::User "$(id -un)";
			Acquire::Languages "none";
			Acquire::http::Timeout "20";
			Acquire::https::Timeout "20";
			Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
			Dir::Cache "$1";
			Dir::Cache::Archives "$1/archives";
			Dir::Etc::main "/dev/null";
			Dir::Etc::parts "/dev/null";
			Dir::Etc::preferences "/dev/null";
			Dir::Etc::preferencesparts "/dev/null";
			Dir::Etc::sourcelist "/dev/null";
			Dir::Etc::sourceparts "$1/sources";
			Dir::Log "$1";
			Dir::State "$1";
			Dir::State::Lists "$1/lists";
			Dir::State::status "$1/status";
		END
	} >"$1/apt.conf"
}

# nodes_apt STATE ARGUMENT...: runs that apt, for two minutes at the most.
nodes_apt() {
	local state=$1
	shift
	if ! APT_CONFIG=$state/apt.conf LC_ALL=C.UTF-8 timeout --foreground 120 apt-get -q "$@" </dev/null >"$state/log" 2>&1; then
		say "    apt-get $* failed:"
		tail -n 5 "$state/log"
		return 1
	fi
}
