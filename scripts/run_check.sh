#!/usr/bin/env bash
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything that is fast: form and unit tests, side by side on two cores.
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
scripts/run_lint.sh >"$log" 2>&1 &
lint=$!

failed=0
pytest tests/unit || failed=1
(cd examples/academy && pytest) || failed=1
wait "$lint" || failed=1
cat "$log"
exit "$failed"
