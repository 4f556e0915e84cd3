# Scrip's chores. "make help" lists them; the work is in scripts/.
# Debian without make: apt-get install make, or run scripts/test.sh directly.

.DEFAULT_GOAL := help
.PHONY: help build test test-quick test-rails lint fuzz bench bench-sql model-check generate clean

FUZZTIME ?= 10s
BENCH ?= .
BENCHTIME ?= 1s

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/scrip: one static binary
	CGO_ENABLED=0 go build -trimpath -o bin/scrip ./cmd/scrip

test: ## Run every check and test on SQLite and PostgreSQL (starts its own server)
	@scripts/test.sh

test-quick: ## Run the tests on SQLite alone, the short way
	@scripts/test.sh --quick

test-rails: ## Run the tests against nodes that take minutes to build, once (lnd)
	@scripts/rails.sh

lint: ## Run gofmt, go vet, staticcheck, errorlint, exhaustive and the checks of the modules
	@scripts/lint.sh

fuzz: ## Run every fuzz target for FUZZTIME each (10s)
	@FUZZTIME='$(FUZZTIME)' scripts/fuzz.sh

bench: ## Run the benchmarks that match BENCH, BENCHTIME each (1s)
	go test -run '^$$' -bench '$(BENCH)' -benchtime '$(BENCHTIME)' -benchmem ./...

bench-sql: ## Measure redemptions beside transfers in SQL, on one PostgreSQL in one run
	@scripts/bench-sql.sh

model-check: ## Train the fraud models in the program again and compare (minutes)
	go run ./cmd/scrip fraud train --check

generate: ## Write generated files anew
	go generate ./...

clean: ## Remove what was built
	rm -rf bin
