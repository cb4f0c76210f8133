#!/usr/bin/env bash
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: scripts/give_way.sh COMMAND [ARGUMENT…]
#
# Runs a command with what others leave of the processors. `nice` does not do that: Ansible gives each of its workers a session of
# its own, and the kernel shares the processors among sessions alike (sched_autogroup_enabled). A control group holds them together.
# Where none can be made the command runs all the same.
set -euo pipefail

# A quarter of what others have by default, in the kernel's old interface or in its new one.
if [ -e /sys/fs/cgroup/cpu/cgroup.procs ]; then
  group=/sys/fs/cgroup/cpu/academy-tests weight=cpu.shares value=256
else
  group=/sys/fs/cgroup/academy-tests weight=cpu.weight value=25
fi
# Whoever is the last one there.
trap 'rmdir "$group" 2>/dev/null || true' EXIT
status=0
(
  if [ -e "${group%/*}/cgroup.procs" ]; then
    { mkdir --parents "$group" && echo "$value" >"$group/$weight" && echo "$BASHPID" >"$group/cgroup.procs"; } 2>/dev/null || true
  fi
  exec "$@"
) || status=$?
exit "$status"
