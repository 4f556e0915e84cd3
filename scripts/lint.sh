#!/usr/bin/env bash
# lint.sh: the checks of the source, without tests.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source scripts/checks.sh

prepare_go
scratch
own_group
stage 'gofmt' check_format
stage 'go vet' check_vet
stage 'staticcheck' check_static
stage 'errorlint and exhaustive' check_errors
stage 'modules' check_modules
stage 'generated files' check_generated
conclude
