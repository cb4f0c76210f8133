#!/bin/sh
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Switch off this host's swap and no other: the kernel has one table for all hosts, which "swapoff --all" would empty.
set -eu
findmnt --fstab --noheadings --types swap --output SOURCE | xargs --no-run-if-empty swapoff
