# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules of a kind have in common."""

from __future__ import annotations


class ModuleDocFragment:
    # Modules that only look.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return the same information.
    support: full
  diff_mode:
    description: Has nothing to compare, because it changes nothing.
    support: none
  idempotent:
    description: Changes nothing, however often it runs.
    support: full
"""

    # Modules that change only what differs; each says by itself what it can show of that.
    WRITES = r"""
options: {}
attributes:
  check_mode:
    description: Says what would change, and changes nothing.
    support: full
  idempotent:
    description: Run again, it changes nothing.
    support: full
"""

    # Modules that are action plugins: nothing of them runs on a host.
    CONTROL_NODE = r"""
options: {}
attributes:
  action:
    description: Runs in the process that Ansible makes for its task on the control node, whatever host the task is for.
    support: full
  async:
    description: Has no process that could be left alone.
    support: none
"""
