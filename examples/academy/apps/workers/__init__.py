# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers: each takes jobs from its queues, one at a time, and stops its host when there are none for a while."""
