#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ecr_authorization_info
version_added: 0.1.0
short_description: Get a login to an ECR registry
description:
  - Returns user name and password with which Docker can pull from and push to the registry for twelve hours.
  - The result is a secret. Give the task C(no_log=true), and every task that uses the result.
  - Hosts do not need it. They have the credential helper, which gets a login of its own whenever Docker asks.
  - Needs the permission C(ecr:GetAuthorizationToken).
author:
  - academy.deploy contributors (@academy)
seealso:
  - module: academy.deploy.ecr_image_info
  - module: community.docker.docker_login
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Get a login to the registry
  academy.deploy.ecr_authorization_info:
  register: registry_login
  no_log: true

- name: Log in
  community.docker.docker_login:
    registry_url: "{{ registry_login.registry }}"
    username: "{{ registry_login.username }}"
    password: "{{ registry_login.password }}"
  no_log: true
"""

RETURN = r"""
username:
  description: The user name.
  returned: success
  type: str
  sample: AWS
password:
  description: The password. A secret.
  returned: success
  type: str
  sample: VALUE_SPECIFIED_IN_NO_LOG_PARAMETER
registry:
  description: The host name of the registry.
  returned: success
  type: str
  sample: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com
expires_at:
  description: When the login ends, in ISO 8601.
  returned: success
  type: str
  sample: "2026-01-31T21:30:00+00:00"
"""

import contextlib

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

from ..module_utils.ecr import EcrError, login_advice, parse_authorization

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing.
    from botocore.exceptions import BotoCoreError, ClientError


def main() -> None:
    module = AnsibleAWSModule(argument_spec={}, supports_check_mode=True)
    client = module.client("ecr", retry_decorator=AWSRetry.jittered_backoff())
    try:
        data = client.get_authorization_token(aws_retry=True)["authorizationData"][0]
        login = parse_authorization(data["authorizationToken"], data["proxyEndpoint"])
    except EcrError as error:
        module.fail_json(msg=f"Cannot use the login that ECR returned: {error}")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Cannot get a login to the registry{login_advice(str(error))}")
    module.exit_json(
        changed=False,
        username=login.username,
        password=login.password,
        registry=login.registry,
        expires_at=data["expiresAt"].isoformat(),
    )


if __name__ == "__main__":
    main()
