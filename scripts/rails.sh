#!/usr/bin/env bash
# rails.sh: the tests against nodes that take long, on SQLite and PostgreSQL.
# This is what "make test-rails" runs. What it builds it keeps below
# ~/.cache/scrip-test/nodes, and "make test" runs these tests from then on.
#
# SCRIP_TEST_POSTGRES, when already set, is the URL of a server to use instead
# of starting one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source scripts/packages.sh
source scripts/postgres.sh
source scripts/nodes.sh

finish() {
	trap '' HUP INT TERM
	stop_child
	stop_postgres
	remove_scratch
}

prepare_go
scratch
trap finish EXIT
own_group
memory_scratch
if [[ -z ${SCRIP_TEST_POSTGRES:-} ]]; then
	say '==> [0 s] PostgreSQL'
	start_postgres || die 'the suite runs on both databases or not at all'
fi
export GOTMPDIR=$scrip_scratch TMPDIR=${scrip_memory:-$scrip_scratch}
stage 'nodes' nodes_get
stage 'tests against nodes' nodes_test
conclude
