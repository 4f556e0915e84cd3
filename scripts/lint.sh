#!/usr/bin/env bash
# lint.sh: the checks of the source, without tests.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source scripts/checks.sh

prepare_go
scratch
own_group
check_source
conclude
