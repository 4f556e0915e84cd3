#!/usr/bin/env bash
# test.sh: the whole suite, on SQLite and PostgreSQL. This is what "make test"
# runs. It needs Go, git and bash; it gets PostgreSQL, Chromium, Monero, bitcoind, Node.js, npm,
# Python and a C compiler from Debian where they are missing, and anvil and LiteSVM from npm. It
# leaves no process and no temporary file.
#
#	scripts/test.sh            everything
#	scripts/test.sh --quick    the tests alone, short, SQLite only
#
# SCRIP_TEST_POSTGRES, when already set, is the URL of a server to use instead
# of starting one. FUZZTIME, when set, is what each fuzz target gets besides: their
# seeds and what they found before are tests in any case.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source scripts/packages.sh
source scripts/postgres.sh
source scripts/checks.sh
source scripts/nodes.sh

# Folders whose packages are watched for races, where their tests start goroutines: others
# would only pay for the race detector. It makes SQLite in pure Go several times slower, so
# what stands above the two engines is watched on PostgreSQL alone. The server is not among
# them: it would have the whole program built again, and what meets in it is below it.
race_engines=(
	./internal/core/...
	./internal/platform/storage/...
)
race_above=(
	./internal/platform/...
	./internal/ledger/...
	./internal/audit/...
	./internal/webhook/...
	./internal/account/...
	./internal/ping/...
	./internal/fraud/office/...
	./internal/fraud/judge/...
	./internal/api/wire/...
)

finish() {
	trap '' HUP INT TERM
	stop_child
	stop_postgres
	remove_scratch
}

# What go vet says is a stage of its own. The two packages that take longest begin first, and
# as they mostly wait for others, one package more is tested at a time than there are processors.
test_all() { go test -vet=off -count=1 -timeout 15m -p $(($(nproc) + 1)) ./internal/server ./internal/e2e ./...; }

test_quick() {
	unset SCRIP_TEST_POSTGRES
	go test -short -timeout 10m ./...
}

test_race() {
	local engines above failed=0
	need_compiler
	# A dump is read and written by one goroutine.
	mapfile -t engines < <(meeting "${race_engines[@]}" | grep -v /storage/dump)
	mapfile -t above < <(meeting "${race_above[@]}" | grep -v /platform/storage)
	race "${engines[@]}" || failed=1
	SCRIP_TEST_ENGINE=postgres race "${above[@]}" || failed=1
	return $failed
}

# meeting PACKAGE...: those in whose folders goroutines are started.
meeting() {
	go list -f '{{.Dir}} {{.ImportPath}}' "$@" | while read -r folder package; do
		grep -qE '^[[:space:]]*go [a-zA-Z]|\.Go\(|\.Parallel\(|RunParallel' "$folder"/*.go && say "$package"
	done
}

# checkptr, which -race brings along, has nothing to do with races, and takes half of what
# SQLite in pure Go does; another quarter is what it does with its own memory, each connection
# by itself.
race() {
	CGO_ENABLED=1 go test -vet=off -race -short -count=1 -timeout 15m \
		-gcflags=all=-d=checkptr=0 -gcflags='modernc.org/...=-d=checkptr=0 -race=false' "$@"
}

full() {
	# Whatever a stage leaves in the temporary directory goes with it.
	memory_scratch
	if [[ -z ${SCRIP_TEST_POSTGRES:-} ]]; then
		say '==> [0 s] PostgreSQL'
		start_postgres || die 'the suite runs on both databases or not at all'
	fi
	need_browser || die 'the public pages are tested in a real browser or not at all'
	need_monero || die 'deposits are tested with a real wallet or not at all'
	need_interpreters || die 'the clients are tested in their own languages or not at all'
	need_anvil || die 'deposits on Ethereum are tested on a real node or not at all'
	need_litesvm || die 'deposits are tested with the real runtime of Solana or not at all'
	need_bitcoind || say "    left out: bitcoind ($nodes_no_bitcoind): deposits of Bitcoin are tested on btcd alone"
	export GOTMPDIR=$scrip_scratch TMPDIR=${scrip_memory:-$scrip_scratch}
	check_source
	stage 'tests with the race detector' test_race
	if [[ -n ${FUZZTIME:-} ]]; then
		stage 'fuzz targets' scripts/fuzz.sh
	fi
	stage 'tests on SQLite and PostgreSQL' test_all
	if nodes_any; then
		stage 'tests against nodes that are built' nodes_test
	fi
	nodes_left_out
}

prepare_go
scratch
trap finish EXIT
own_group
case ${1:-} in
'') full ;;
--quick)
	stage 'go vet' check_vet
	stage 'tests on SQLite' test_quick
	;;
*) die "unknown argument $1 (the only one is --quick)" ;;
esac
conclude
