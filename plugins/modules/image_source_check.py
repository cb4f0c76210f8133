#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_source_check
version_added: 0.1.0
short_description: Require a source tree that has its Dockerfiles and is the one that the release names
description:
  - Where git keeps the directory and the release names a commit, that commit must be checked out and unchanged below
    the directory. What git ignores, caches, C(.env) files and C(wheels) do not count.
  - A release that is no name of git's may mean any tree, unless it has the form of a whole commit.
  - Says everything that is wrong, in English and in Korean, and fails. Changes nothing.
author:
  - academy.deploy contributors (@academy)
options:
  path:
    description: The source tree.
    type: path
    required: true
  release:
    description: The release that is built from it.
    type: str
    required: true
  dockerfiles:
    description: Paths of its Dockerfiles below O(path).
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - academy.deploy.attributes.info
"""

EXAMPLES = r"""
- name: Require the source of the release
  academy.deploy.image_source_check:
    path: ../academy
    release: "{{ release }}"
    dockerfiles: [docker/api/Dockerfile]
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.findings import report
from ..module_utils.image_source import missing_files, read_work_tree, source_findings, work_tree_findings


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "dockerfiles": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path, release = module.params["path"], module.params["release"]
    findings = source_findings(path, missing_files(path, module.params["dockerfiles"]))
    findings = findings or work_tree_findings(path, release, read_work_tree(path, release))
    if findings:
        module.fail_json(msg="\n".join(report(findings)))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
