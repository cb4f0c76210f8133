#!/usr/bin/env bash
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything that is fast: form and unit tests, side by side on two cores. Those of the application mostly wait.
set -euo pipefail

logs=$(mktemp --directory)
trap 'rm -rf "$logs"' EXIT
scripts/run_lint.sh >"$logs/lint" 2>&1 &
lint=$!
(cd examples/academy && pytest) >"$logs/application" 2>&1 &
application=$!

failed=0
pytest tests/unit || failed=1
wait "$application" || failed=1
wait "$lint" || failed=1
cat "$logs/application" "$logs/lint"
exit "$failed"
