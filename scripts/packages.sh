# packages.sh: gets Debian packages that the tests need. Sourced, never run.
#
# As root, or with a sudo that asks nothing, they are installed. Otherwise they
# are unpacked into a private directory, which needs no rights at all; nothing
# outside that directory changes.
# shellcheck shell=bash

packages_root="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/scrip-test/debian"

# packages_privileged runs a command as root, or fails.
packages_privileged() {
	if ((EUID == 0)); then
		"$@"
	else
		sudo -n -- "$@"
	fi
}

packages_can_install() {
	((EUID == 0)) || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

packages_updated=''

# packages_apt runs apt-get with what it says kept for the case that it fails.
packages_apt() {
	local log=$scrip_scratch/apt.log
	if ! packages_privileged env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
		apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1; then
		say "    apt-get $* failed:" >&2
		tail -n 20 "$log" >&2
		return 1
	fi
}

# packages_install NAME...: installs packages on this machine.
packages_install() {
	if [[ -z $packages_updated ]]; then
		say '    apt-get update'
		packages_apt update || say '    trying with the lists that are there' >&2
		packages_updated=yes
	fi
	say "    apt-get install $*"
	packages_apt install -y --no-install-recommends "$@"
}

# packages_unpack NAME...: downloads packages, with whatever they need that is
# not installed, and unpacks them below packages_root. The archives are checked
# by apt against Debian's keys, as always.
packages_unpack() {
	local state=$packages_root/apt deb
	local options=(
		-qq
		-o Debug::NoLocking=1
		-o APT::Sandbox::User="$(id -un)"
		-o Dir::State::Lists="$state/lists"
		-o Dir::Cache="$state"
		-o Dir::Cache::Archives="$state/archives"
	)
	rm -rf "$state/archives" "$packages_root/complete.$1"
	mkdir -p "$state/lists/partial" "$state/archives/partial"
	say "    unpacking $* into $packages_root (no rights to install)"
	apt-get "${options[@]}" update </dev/null || return
	apt-get "${options[@]}" install -y --no-install-recommends --download-only "$@" </dev/null >/dev/null || return
	for deb in "$state"/archives/*.deb; do
		dpkg-deb -x "$deb" "$packages_root/files" || return
	done
	rm -rf "$state"
	touch "$packages_root/complete.$1"
}

# packages_use adds what was unpacked to the search paths.
packages_use() {
	local root=$packages_root/files triplet
	triplet="$(uname -m)-linux-gnu"
	[[ -d $root ]] || return 0
	export PATH="$PATH:$root/usr/bin"
	export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$root/usr/lib/$triplet:$root/lib/$triplet"
}

# need_compiler finds the C compiler that the race detector links with.
need_compiler() {
	local found
	found=$(command -v gcc || command -v clang || echo "${CC:-}")
	if [[ -n $found && $found != "$packages_root"/* ]]; then
		return 0
	fi
	command -v apt-get >/dev/null || {
		say 'error: the race detector needs a C compiler: install gcc' >&2
		return 1
	}
	if packages_can_install; then
		packages_install gcc libc6-dev
		return
	fi
	[[ -e $packages_root/complete.gcc ]] || packages_unpack gcc libc6-dev || return
	packages_use
	packages_borrow
	export CC="'$packages_root/files/usr/bin/gcc' '--sysroot=$packages_root/files'"
	say "    C compiler: $CC"
}

# packages_borrow lets the linker find, in the private directory, the shared
# libraries that the machine has and that were therefore not unpacked.
packages_borrow() {
	local triplet library
	triplet="$(uname -m)-linux-gnu"
	mkdir -p "$packages_root/files/lib/$triplet" "$packages_root/files/lib64"
	for library in /lib/"$triplet"/*.so.* /lib64/*.so.*; do
		[[ -e $packages_root/files$library ]] || ln -sf "$library" "$packages_root/files$library"
	done
}

# need_browser finds the Chromium that walks through the public pages, and exports
# SCRIP_TEST_BROWSER when it is in the private directory.
need_browser() {
	if command -v "${SCRIP_TEST_BROWSER:-chromium}" chromium-browser google-chrome >/dev/null; then
		return 0
	fi
	command -v apt-get >/dev/null || {
		say 'error: the tests of pages need Chromium: install it, or name it in SCRIP_TEST_BROWSER' >&2
		return 1
	}
	say '    Chromium is not installed: getting it'
	if packages_can_install; then
		packages_install chromium
		return
	fi
	[[ -e $packages_root/complete.chromium ]] || packages_unpack chromium || return
	packages_use
	# The program itself: the script in front of it looks for its settings below /etc.
	export SCRIP_TEST_BROWSER=$packages_root/files/usr/lib/chromium/chromium
	export FONTCONFIG_SYSROOT=$packages_root/files
}

# need_monero finds the node and the wallet of Monero that deposits are tested with.
need_monero() {
	if command -v monerod >/dev/null && command -v monero-wallet-rpc >/dev/null; then
		return 0
	fi
	command -v apt-get >/dev/null || {
		say 'error: deposits of Monero are tested with monerod and monero-wallet-rpc: install them' >&2
		return 1
	}
	say '    Monero is not installed: getting it'
	if packages_can_install; then
		packages_install monero
		return
	fi
	[[ -e $packages_root/complete.monero ]] || packages_unpack monero || return
	packages_use
}

# need_litesvm finds the runtime of Solana that deposits are tested with, in the exact
# versions of its lock file, none of whose scripts are run ("npm ci" would want the parts
# for every other system in that file, too). Node.js is there by then.
need_litesvm() {
	local source=internal/testkit/solnode target=${SCRIP_TEST_LITESVM:-${packages_root%/*}/litesvm}
	export SCRIP_TEST_LITESVM=$target
	if [[ -d $target/node_modules/litesvm ]] && cmp -s "$source/package-lock.json" "$target/package-lock.json"; then
		return 0
	fi
	say '    LiteSVM is not installed: getting it'
	if ! command -v npm >/dev/null; then
		if ! command -v apt-get >/dev/null || ! packages_can_install || ! packages_install npm; then
			say 'error: deposits of Solana are tested with LiteSVM, which npm installs: install npm' >&2
			return 1
		fi
	fi
	rm -rf "$target/node_modules" && mkdir -p "$target" || return
	cp "$source/package.json" "$source/package-lock.json" "$target/" || return
	if ! (cd "$target" && npm install --ignore-scripts --no-save --no-audit --no-fund --loglevel=error) </dev/null >"$scrip_scratch/npm.log" 2>&1; then
		say '    npm failed:' >&2
		tail -n 20 "$scrip_scratch/npm.log" >&2
		rm -rf "$target/node_modules"
		return 1
	fi
}

# need_interpreters finds what the clients' own tests run in, and what resellers sign
# with. They are installed or not there: Debian's Node.js looks for parts of itself below /usr.
need_interpreters() {
	local program missing=()
	for program in node python3 openssl curl; do
		command -v "$program" >/dev/null || missing+=("${program/#node/nodejs}")
	done
	((${#missing[@]} > 0)) || return 0
	if command -v apt-get >/dev/null && packages_can_install; then
		say "    not installed: ${missing[*]}: getting them"
		packages_install "${missing[@]}"
		return
	fi
	say "error: the tests of what clients do need ${missing[*]}: install them" >&2
	return 1
}

# need_anvil finds the node of Ethereum that tests start, and exports SCRIP_TEST_ANVIL. Where
# it is missing, npm gets the version that scripts/nodes/anvil pins, by its hash.
need_anvil() {
	local folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/scrip-test/anvil machine part
	[[ -z ${SCRIP_TEST_ANVIL:-} ]] || return 0
	machine=$(uname -m)
	folder+=/$(sha256sum scripts/nodes/anvil/package-lock.json | cut -c 1-16)
	case $machine in
	x86_64) machine=amd64 ;;
	aarch64) machine=arm64 ;;
	esac
	export SCRIP_TEST_ANVIL=$folder/node_modules/@foundry-rs/anvil-linux-$machine/bin/anvil
	[[ ! -x $SCRIP_TEST_ANVIL ]] || return 0
	command -v npm >/dev/null || packages_npm || return
	say '    anvil is not there: getting it'
	mkdir -p "${folder%/*}"
	part=$(mktemp -d "$folder.XXXXXX") || return
	cp scripts/nodes/anvil/package*.json "$part" || return
	if ! npm ci --prefix "$part" --ignore-scripts --no-audit --no-fund --silent </dev/null; then
		rm -rf "$part"
		say 'error: npm does not get anvil' >&2
		return 1
	fi
	mv -T "$part" "$folder" 2>/dev/null || rm -rf "$part" # somebody else was quicker
	[[ -x $SCRIP_TEST_ANVIL ]]
}

packages_npm() {
	if command -v apt-get >/dev/null && packages_can_install; then
		say '    npm is not installed: getting it'
		packages_install npm
		return
	fi
	say 'error: the tests with a node of Ethereum need npm: install it, or name an anvil 1.7.1 in SCRIP_TEST_ANVIL' >&2
	return 1
}
