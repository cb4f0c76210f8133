#!/usr/bin/env bash
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Check the form of everything. ansible-lint takes longest, so the others run beside it.
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Form needs no hosts: the default inventory asks the embedded cloud, and its absence would hide playbooks from the linter.
ANSIBLE_INVENTORY=inventories/guide/hosts.yml ansible-lint >"$log" 2>&1 &
ansible_lint=$!

failed=0
yamllint --strict . || failed=1
ruff check . || failed=1
ruff format --check . || failed=1
mypy || failed=1
(cd examples/academy && mypy) || failed=1
wait "$ansible_lint" || failed=1
cat "$log"
exit "$failed"
