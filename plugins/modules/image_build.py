#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_build
version_added: 0.1.0
short_description: Build an image of one platform with BuildKit
description:
  - Runs C(docker build) of the client on this machine, with the engine's own BuildKit and without provenance.
  - Works with every client that has BuildKit, built in (before 23) or as the plugin buildx. For those that have the
    plugin there is M(community.docker.docker_image_build), which does not work without.
  - The engine's cache decides what has to be built. The module has changed something when the tag names another image
    than before.
  - Fails when the image is not of the wanted platform, and says what to do when a build fails.
author:
  - academy.deploy contributors (@academy)
options:
  name:
    description: Name of the image.
    type: str
    required: true
  tag:
    description: Its tag.
    type: str
    required: true
  path:
    description: The directory that is the build context.
    type: path
    required: true
  dockerfile:
    description: Path of the Dockerfile below O(path).
    type: str
    required: true
  platform:
    description: The platform, as Docker names it.
    type: str
    required: true
  args:
    description: Build arguments. No place for secrets, because the image's history and the list of processes show them.
    type: dict
    default: {}
  docker_host:
    description: Address of the engine. One behind C(ssh://) is reached by this machine's C(ssh).
    type: str
    required: true
  docker_cli:
    description: Docker's client on this machine, by name or path.
    type: str
    required: true
extends_documentation_fragment:
  - academy.deploy.attributes.writes
attributes:
  check_mode:
    description: What a build would make is known after it.
    support: none
  diff_mode:
    description: Has nothing to show beside the image's id.
    support: none
"""

EXAMPLES = r"""
- name: Build the API for Graviton hosts
  academy.deploy.image_build:
    name: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/academy-api
    tag: 4f1c2d9
    path: /home/operator/academy
    dockerfile: docker/api/Dockerfile
    platform: linux/arm64
    docker_host: ssh://builder
    docker_cli: docker
"""

RETURN = r"""
id:
  description: The image's id.
  returned: success
  type: str
  sample: sha256:29466853eadb34de3a12138686d36e4d407842d29f5ffe654c0734a7bc742a04
platform:
  description: The image's platform.
  returned: success
  type: str
  sample: linux/arm64
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.image_build import (
    ENVIRONMENT,
    INSPECT,
    Image,
    build_arguments,
    build_failure,
    docker_command,
    parse_image,
    platform_failure,
    reference,
)


def read_image(module: AnsibleModule) -> Image | None:
    command = docker_command(module.params, "image", "inspect", "--format", INSPECT, reference(module.params))
    status, output, _errors = module.run_command(command)
    return None if status else parse_image(output)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "tag": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "dockerfile": {"type": "str", "required": True},
            "platform": {"type": "str", "required": True},
            "args": {"type": "dict", "default": {}},
            "docker_host": {"type": "str", "required": True},
            "docker_cli": {"type": "str", "required": True},
        },
    )
    before = read_image(module)
    command = docker_command(module.params, *build_arguments(module.params))
    status, output, errors = module.run_command(command, environ_update=dict(ENVIRONMENT))
    image = None if status else read_image(module)
    if image is None:
        module.fail_json(msg=build_failure(module.params, output + errors))
    else:
        failure = platform_failure(module.params, image)
        if failure:
            module.fail_json(msg=failure)
        module.exit_json(changed=image != before, id=image.id, platform=image.platform)


if __name__ == "__main__":
    main()
