#!/usr/bin/env bash
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The tests that take minutes: the whole story on one embedded cloud, in order, another that is killed and killed again, and
# beside them the AWS roles on control planes of their own, which have no hosts and share nothing with the cloud. These come
# second, and last as long: they fill what the others leave of the processors while they wait for hosts.
set -euo pipefail

# Its exit status says only whether the cloud is ready.
state=$(python -m localcloud status --json || true)
if ! grep -q '"state": "down"' <<<"$state"; then
  echo "An embedded cloud is up or starting. The tests start their own and remove it: run 'make down' first." >&2
  exit 1
fi

# What a killed one left would otherwise count as the machine's own.
python -m localcloud down

mkdir -p build/test-logs
integration_log=build/test-logs/integration.log
nice -n 10 pytest --exitfirst --verbose --durations=20 tests/integration >"$integration_log" 2>&1 &
integration=$!

# Whatever happens, nothing of it stays. After a successful run this finds nothing to do.
finish() {
  kill "$integration" 2>/dev/null || true
  python -m localcloud down
}
trap finish EXIT

failed=0
pytest --exitfirst --verbose --durations=0 \
  tests/e2e/test_story.py tests/e2e/test_deploy.py tests/e2e/test_workers.py tests/e2e/test_policies.py \
  tests/molecule tests/e2e/test_down.py tests/e2e/test_interruption.py || failed=1
wait "$integration" || failed=1
cat "$integration_log"
exit "$failed"
