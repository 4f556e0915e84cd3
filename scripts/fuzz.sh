#!/usr/bin/env bash
# fuzz.sh: runs every fuzz target there is, one after the other, each for a
# bounded time.
#
#	scripts/fuzz.sh            run all, FUZZTIME each (default 10s; 200x counts inputs)
#	scripts/fuzz.sh -l         list them: package, space, target
#	scripts/fuzz.sh PATTERN    run those whose package or name matches
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# targets prints "./package Target" for every fuzz target of the module.
targets() {
	find . \( -name .git -o -name node_modules -o -name testdata -o -path ./scripts/tools \) -prune -o -name '*_test.go' -print |
		LC_ALL=C sort | while IFS= read -r file; do
		sed -nE "s|^func (Fuzz[A-Za-z0-9_]*)\(.*|$(dirname "$file") \1|p" "$file"
	done
}

if [[ ${1:-} == -l ]]; then
	targets
	exit
fi

# fuzz PACKAGE TARGET...: links the package's tests once and runs the targets.
fuzz() {
	local package=$1 target cache
	shift
	cache="$(go env GOCACHE)/fuzz/$(go list "$package")"
	go test -c -fuzz . -o "$scrip_scratch/fuzz.test" "$package"
	cd "$package" # a failing input goes to testdata/fuzz there
	for target in "$@"; do
		say "    $target"
		"$scrip_scratch/fuzz.test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "${FUZZTIME:-10s}" \
			-test.fuzzcachedir "$cache" -test.timeout 0
	done
}

prepare_go
scratch
own_group
found=$(targets | grep -E -- "${1:-.}") || die "no fuzz target matches ${1:-anything}"
while read -r package; do
	mapfile -t names < <(sed -nE "s|^$package ||p" <<<"$found")
	stage "$package" fuzz "$package" "${names[@]}"
done < <(cut -d' ' -f1 <<<"$found" | LC_ALL=C sort -u)
conclude
