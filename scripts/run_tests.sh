#!/usr/bin/env bash
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# All tests, in two lanes: the whole story on one embedded cloud, in order, and another cloud that is killed and killed again;
# beside them everything fast, then the AWS roles on control planes of their own, which have no hosts and share nothing with the
# cloud. The first lane is the longer one, so the other one gives way to it.
set -euo pipefail
# Each lane is a process group of its own, so that it can be ended with all that it has started.
set -m

# Its exit status says only whether the cloud is ready.
state=$(python -m localcloud status --json || true)
if ! grep -q '"state": "down"' <<<"$state"; then
  echo "An embedded cloud is up or starting. The tests start their own and remove it: run 'make down' first." >&2
  exit 1
fi

# What a killed one left would otherwise count as the machine's own.
python -m localcloud down

mkdir -p build/test-logs
beside_log=build/test-logs/beside.log
scripts/give_way.sh bash -euc '
  scripts/run_check.sh
  pytest --exitfirst --verbose --durations=20 tests/integration
' >"$beside_log" 2>&1 </dev/null &
beside=$!

pytest --exitfirst --verbose --durations=0 \
  tests/e2e/test_story.py tests/e2e/test_hands.py tests/e2e/test_security_groups.py tests/e2e/test_deploy.py \
  tests/e2e/test_workers.py tests/e2e/test_update.py tests/e2e/test_reach.py tests/e2e/test_engine.py tests/e2e/test_arm64.py \
  tests/e2e/test_policies.py tests/e2e/test_operator.py tests/e2e/test_another_service.py tests/molecule \
  tests/e2e/test_down.py tests/e2e/test_production.py </dev/null &
story=$!

# As Ctrl-C would, and by force if it does not listen.
end() {
  kill -INT -- "-$1" 2>/dev/null || return 0
  for _ in {1..60}; do
    sleep 1
    kill -0 -- "-$1" 2>/dev/null || return 0
  done
  kill -KILL -- "-$1" 2>/dev/null || true
}

# Whatever happens, nothing of it stays. After a successful run this finds nothing to do.
finish() {
  end "$beside"
  end "$story"
  python -m localcloud down
}
trap finish EXIT
trap 'exit 130' INT TERM

failed=0
# Whoever fails first ends the other, so that a mistake in form is told after minutes.
wait -n || failed=1
if [ "$failed" = 0 ]; then
  wait -n || failed=1
fi
cat "$beside_log"
exit "$failed"
