# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make machine-test`: the embedded cloud on cgroup v2, in a virtual machine that is made for it and ended with it."""
