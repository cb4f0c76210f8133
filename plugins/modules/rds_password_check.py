#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_password_check
version_added: 0.1.0
short_description: Say everything that is wrong with a master user name and password for RDS PostgreSQL
description:
  - Judges them by what RDS for PostgreSQL takes, by what C(docker run --env-file), community.docker, python-dotenv,
    compose and shells make of them, and by how easily they are guessed. Calls nobody.
  - Reports all violations at once, each with its rule, and fails when there is one.
  - Never tells the password, nor its length, nor one of its characters, at whatever verbosity.
  - Stricter than RDS and the guide in C($), C(\), the backtick and a leading C(#), because readers of env files
    disagree on them.
author:
  - academy.deploy contributors (@academy)
options:
  master_username:
    description: The master user name.
    type: str
    required: true
  master_password:
    description: The master password.
    type: str
    required: true
extends_documentation_fragment:
  - academy.deploy.attributes.info
"""

EXAMPLES = r"""
- name: Judge the password before anything is created
  academy.deploy.rds_password_check:
    master_username: "{{ database_master_username }}"
    master_password: "{{ database_password }}"

- name: Only look
  academy.deploy.rds_password_check:
    master_username: academy_user
    master_password: "{{ vault_database_password }}"
  register: password
  failed_when: false
"""

RETURN = r"""
violations:
  description: The rules that are broken. The module fails when there is one.
  returned: always
  type: list
  elements: dict
  contains: &finding
    rule:
      description: Name of the rule.
      type: str
      sample: password_refused_by_rds
    subject:
      description: The option that breaks it.
      type: str
      sample: master_password
    message:
      description: What the rule is and what to do.
      type: str
      sample: "must not contain / ' \" or @: RDS refuses them (the ' its console and the guide)"
cautions:
  description: >-
    What works and is not wise. Each is shown as a warning of Ansible too, which keeps the name C(warnings) for itself.
  returned: always
  type: list
  elements: dict
  contains: *finding
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.academy.deploy.plugins.module_utils.rds_password import Finding, check


def _line(finding: Finding) -> str:
    return f"{finding.subject}: {finding.message} ({finding.rule})"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "master_username": {"type": "str", "required": True},
            "master_password": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    username = module.params["master_username"]
    findings = check(username, module.params["master_password"])
    # Ansible masks a secret wherever it stands, also in a sentence of ours: a mask in a known sentence would tell it.
    # So nothing of it is handed over, and nothing is left to mask.
    module.params["master_password"] = "not shown"
    module.no_log_values.clear()
    for caution in findings.cautions:
        module.warn(_line(caution))
    result = {
        "violations": [finding._asdict() for finding in findings.violations],
        "cautions": [finding._asdict() for finding in findings.cautions],
    }
    if findings.violations:
        module.fail_json(msg="\n".join(map(_line, findings.violations)), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
