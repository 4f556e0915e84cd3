# checks.sh: the checks of the source that need no database. Sourced, never run.
# shellcheck shell=bash

# check_source runs all of them, each as a stage.
check_source() {
	stage 'gofmt' check_format
	stage 'go vet, staticcheck, errorlint and exhaustive' check_all
	stage 'modules' check_modules
	stage 'generated files' check_generated
}

# check_format fails when gofmt would change a file.
check_format() {
	local unformatted
	unformatted=$(find . \( -name .git -o -name node_modules -o -name testdata \) -prune -o -name '*.go' -print0 | xargs -0 gofmt -l)
	if [[ -n $unformatted ]]; then
		say 'gofmt would change:' "$unformatted" >&2
		return 1
	fi
}

check_vet() { go vet ./...; }

# check_all runs what go vet does, and the checks that scripts/tools pins, in one reading.
check_all() {
	(cd scripts/tools && go build -o "$scrip_scratch/vet" ./vet)
	go vet -vettool="$scrip_scratch/vet" ./...
}

# check_modules fails when a dependency was altered, or go.mod says too much or
# too little.
check_modules() {
	go mod verify
	go mod tidy -diff
}

# check_generated fails when a template was changed and its code was not written anew.
check_generated() {
	local copy=$scrip_scratch/generated template code stale=''
	(cd scripts/tools && go build -o "$scrip_scratch/templ" github.com/a-h/templ/cmd/templ)
	while IFS= read -r template; do
		code=${template%.templ}_templ.go
		rm -rf "$copy"
		mkdir -p "$copy"
		cp "$template" "$copy/"
		if ! (cd "$copy" && "$scrip_scratch/templ" generate -path .) >"$scrip_scratch/templ.log" 2>&1; then
			cat "$scrip_scratch/templ.log" >&2
			return 1
		fi
		cmp -s "$copy/$(basename "$code")" "$code" || stale+=" $code"
	done < <(find internal -name '*.templ')
	if [[ -n $stale ]]; then
		say "not what its template says:$stale (run: make generate)" >&2
		return 1
	fi
}
