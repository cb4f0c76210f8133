# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: how fast the playbooks are, as ratios to peers measured in the same run. Never part of a test."""
