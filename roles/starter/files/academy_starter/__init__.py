# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts stopped workers when there is something to do; never stops anything."""
