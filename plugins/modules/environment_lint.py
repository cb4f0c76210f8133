#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: environment_lint
short_description: Say everything that is wrong with a team's own .env, and put its secrets into the vault
description:
  - Reads the file on the control node and compares it with C(application_variables), the table of the application's
    variables.
  - Names what editors and shells of Windows do to such a file (CR LF, byte order mark, UTF-16), what readers of it
    disagree on (quotes, blanks, C(export), duplicates, interpolation), what the table misses or does not know, rules
    that a value breaks, placeholders and examples of guides. All of it at once, with line numbers, in English and in
    Korean.
  - Fails when there is an error. No value is ever told, but those of plain settings (RV(settings)).
  - With O(vault_path) the secrets go into that file, encrypted with the operator's vault password. Plain text is never
    written.
version_added: 0.1.0
extends_documentation_fragment:
  - academy.deploy.attributes.writes
author:
  - academy.deploy contributors (@academy)
attributes:
  diff_mode:
    description: Shows names, never values.
    support: full
options:
  path:
    description: The file, on the control node.
    type: path
    required: true
  vault_path:
    description:
      - File that keeps the secrets. It is made with mode 0600 when there is none. An existing one must be encrypted.
      - When it is left out, nothing is written.
    type: path
  overwrite:
    description: Names in that file whose values may be replaced. Any other that differs is refused.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Lint the team's file
  academy.deploy.environment_lint:
    path: .env

- name: Put its secrets into the vault
  academy.deploy.environment_lint:
    path: .env
    vault_path: inventories/live/group_vars/all/vault.yml
"""

RETURN = r"""
findings:
  description: All that was found, as M(academy.deploy.preflight) tells it. Each C(subject) begins with the line.
  returned: always
  type: list
  elements: dict
report:
  description: The findings as lines for people, errors first, each in both languages.
  returned: always
  type: list
  elements: str
settings:
  description:
    - Variables of the inventory that the file gives another value than the inventory does. None is a secret.
    - Empty where anything is wrong with the file.
  returned: always
  type: dict
names_changed:
  description: Names in O(vault_path) that are new or have another value.
  returned: always
  type: list
  elements: str
"""
