#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: function_archive
version_added: 0.1.0
short_description: Pack a source tree as the code of a Lambda function
description:
  - Writes a ZIP file whose bytes depend on names, contents and the permission to run alone, so that the same tree has
    the same C(CodeSha256) whoever packs it, and wherever. Other modules for archives write times and owners into them.
  - Caches of Python and other files that only one machine has are left out.
extends_documentation_fragment:
  - academy.deploy.attributes.writes
author:
  - academy.deploy contributors (@academy)
options:
  src:
    description:
      - The directory that holds the function's packages.
    type: path
    required: true
  dest:
    description:
      - The ZIP file.
    type: path
    required: true
attributes:
  diff_mode:
    description: A ZIP file cannot be read.
    support: none
seealso:
  - module: amazon.aws.lambda
"""

EXAMPLES = r"""
- name: Pack the function
  academy.deploy.function_archive:
    src: "{{ role_path }}/files"
    dest: "{{ directory.path }}/function.zip"
"""

RETURN = r"""
code_sha256:
  description: What Lambda will call C(CodeSha256).
  returned: always
  type: str
  sample: 2jmj7l5rSw0yVb/vlWAYkK/YBwk6Y0lQ6xOHLh2Jq8U=
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.academy.deploy.plugins.module_utils.archive import ArchiveError, archive_of, code_sha256
from ansible_collections.academy.deploy.plugins.module_utils.tree import read_entries


def main() -> None:
    module = AnsibleModule(
        argument_spec={"src": {"type": "path", "required": True}, "dest": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    src, dest = module.params["src"], Path(module.params["dest"])
    if not Path(src).is_dir():
        module.fail_json(msg=f"src: must be a directory, and {src} is none. Name the one that holds the function.")
    try:
        archive = archive_of(read_entries(src))
        changed = not dest.exists() or dest.read_bytes() != archive
        if changed and not module.check_mode:
            dest.write_bytes(archive)
    except (ArchiveError, OSError) as error:
        module.fail_json(msg=f"Cannot pack {src} as {dest}: {error}")
    module.exit_json(changed=changed, code_sha256=code_sha256(archive))


if __name__ == "__main__":
    main()
