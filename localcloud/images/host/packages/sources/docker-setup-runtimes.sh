#!/bin/sh
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Nested containers belong below the host's own control group, so that the memory of its instance type covers them too.
# With the machine's cgroup v1 namespace the engine would otherwise put them beside the host.
set -eu
mkdir -p /run/docker
parent=$(sed -n 's/^[0-9]*:memory://p' /proc/1/cgroup)
: > /run/docker/runtimes.env
if [ -n "$parent" ]; then
    parent=${parent%/init.scope}
    echo "DOCKER_ADD_RUNTIMES=--cgroup-parent=${parent%/}/docker" > /run/docker/runtimes.env
fi
