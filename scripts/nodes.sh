# nodes.sh: gets nodes of other chains' that take long to build, once for each version.
# Sourced, never run. To add one: a row in nodes_all, a function nodes_get_NAME that
# puts it where nodes_path says, and its version in a module below scripts/nodes.
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

# nodes_left_out says what "make test" does not test.
nodes_left_out() {
	local name module what packages
	for row in "${nodes_all[@]}"; do
		IFS='|' read -r name module what packages <<<"$row"
		say "==> left out: $what (make test-rails)"
	done
}

# nodes_get builds every node that is not there.
nodes_get() {
	local name module what packages path
	mkdir -p "$nodes_root"
	for row in "${nodes_all[@]}"; do
		IFS='|' read -r name module what packages <<<"$row"
		path=$(nodes_path "$name" "$module")
		[[ -x $path ]] || "nodes_get_$name" "$path" || return
	done
}

nodes_get_lnd() {
	say '    building lnd: this takes minutes, once'
	(cd scripts/nodes/lnd && go build -trimpath -ldflags '-s -w' -tags 'signrpc walletrpc chainrpc invoicesrpc routerrpc' \
		-o "$1.new" github.com/lightningnetwork/lnd/cmd/lnd) && mv "$1.new" "$1"
}
