# lib.sh: what the scripts here share. Sourced, never run.
# Needs bash 4.4 or newer, and changes into the root of the checkout.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

scrip_begin=$SECONDS
scrip_child=''
scrip_scratch=''
scrip_memory=''
scrip_failed=()

say() { printf '%s\n' "$*"; }

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# prepare_go checks the toolchain and sets what makes runs alike on all machines.
prepare_go() {
	command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
	command -v go >/dev/null || die 'the go command is not on PATH: install Go 1.26 or newer (https://go.dev/dl/)'
	if [[ -z ${HOME:-} ]]; then
		HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
		export HOME=${HOME:-/tmp}
	fi
	# A checkout owned by somebody else has no readable version control state,
	# and the tests do not need one.
	# What ships is built without paths, and tests run that too: nothing is compiled twice.
	export GOFLAGS="${GOFLAGS:-} -buildvcs=false -trimpath"
	# What ships is built without cgo, so that is what is tested.
	export CGO_ENABLED=0
}

# scratch makes the run's own temporary directory, which goes when it ends.
scratch() {
	scrip_scratch=$(mktemp -d "${TMPDIR:-/tmp}/scrip.XXXXXX")
	trap remove_scratch EXIT
}

# memory_scratch makes a directory in memory for what tests write, where there is plenty
# and programs may run from it: tests kill Scrip, not the machine, and need not wait for
# the disk. Without one, scrip_memory stays empty.
memory_scratch() {
	local enough=$((8 * 1024 * 1024)) room free
	room=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || return 0
	free=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null) || return 0
	((${room:-0} > enough && ${free:-0} > enough)) || return 0
	scrip_memory=$(mktemp -d /dev/shm/scrip.XXXXXX) || return 0
	printf '#!/bin/sh\n' >"$scrip_memory/try"
	chmod +x "$scrip_memory/try"
	"$scrip_memory/try" 2>/dev/null && return 0
	rm -rf "$scrip_memory"
	scrip_memory=''
}

remove_scratch() {
	[[ -z $scrip_memory ]] || rm -rf "$scrip_memory"
	[[ -n $scrip_scratch ]] || return 0
	chmod -R u+w "$scrip_scratch" 2>/dev/null || true
	rm -rf "$scrip_scratch"
}

# own_group makes every background job a process group, so that a stage can be
# stopped with everything it started.
own_group() {
	set -m
	trap 'interrupted 129' HUP
	trap 'interrupted 130' INT
	trap 'interrupted 143' TERM
}

interrupted() {
	trap '' HUP INT TERM
	say "interrupted: stopping" >&2
	stop_child
	exit "$1"
}

# stop_child ends the running stage: politely, then after five seconds for good.
stop_child() {
	[[ -n $scrip_child ]] || return 0
	kill -TERM -- "-$scrip_child" 2>/dev/null || true
	for _ in {1..50}; do
		kill -0 -- "-$scrip_child" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL -- "-$scrip_child" 2>/dev/null || true
	wait "$scrip_child" 2>/dev/null || true
	scrip_child=''
}

# stage NAME COMMAND...: runs one stage and notes whether it failed. A failed
# stage does not keep the next ones from running: one run shows everything.
stage() {
	local name=$1 began=$SECONDS status=0
	shift
	say "==> [$((SECONDS - scrip_begin)) s] $name"
	"$@" </dev/null &
	scrip_child=$!
	wait "$scrip_child" || status=$?
	# Nothing that a stage started may outlive it.
	kill -KILL -- "-$scrip_child" 2>/dev/null || true
	scrip_child=''
	if ((status != 0)); then
		scrip_failed+=("$name")
		say "==> [$((SECONDS - scrip_begin)) s] $name: FAILED after $((SECONDS - began)) s (status $status)"
	fi
}

# conclude prints the verdict of all stages and returns it.
conclude() {
	if ((${#scrip_failed[@]} > 0)); then
		local list
		printf -v list '%s; ' "${scrip_failed[@]}"
		say "==> [$((SECONDS - scrip_begin)) s] FAILED: ${list%; }"
		return 1
	fi
	say "==> [$((SECONDS - scrip_begin)) s] all stages passed"
}
