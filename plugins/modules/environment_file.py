#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: environment_file
short_description: Write an environment file without ever showing a value
description:
  - Writes C(NAME=value) lines, owned by root with mode 0600.
  - No value appears in the result, in C(--diff), at any verbosity or in the host's journal. Changed names and a
    hash of the whole file are shown instead. Of a file that somebody else wrote, names are shown as far as they are
    asked for here or look like one; the other lines, which may be the rest of a secret, are counted.
  - Values that readers of such files understand differently are refused, all of them at once.
version_added: 0.1.0
extends_documentation_fragment:
  - academy.deploy.attributes.writes
author:
  - academy.deploy contributors (@academy)
attributes:
  diff_mode:
    description: Shows names and a hash.
    support: full
options:
  path:
    description: Absolute path of the file, whose directory exists.
    type: path
    required: true
  settings:
    description: Names and values that are no secrets.
    type: dict
    default: {}
  secrets:
    description: Names and values that are secrets. An empty one is refused.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Write the environment of the API
  academy.deploy.environment_file:
    path: /etc/academy/academy-api.env
    settings:
      DB_PORT: 5432
    secrets:
      DB_PASSWORD: "{{ database_password }}"
"""

RETURN = r"""
sha256:
  description: Hash of the whole file.
  type: str
  returned: success
  sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
names_changed:
  description: Names that are new, gone or have another value.
  type: list
  elements: str
  returned: success
  sample: [DB_PASSWORD]
"""
