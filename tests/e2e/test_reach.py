# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the story's cloud: while no API host can be reached, no worker runs ahead of the database."""

from __future__ import annotations

import secrets

from localcloud import demo
from tests import support
from tests.e2e.test_deploy import instance_id, tags
from tests.e2e.test_story import API_HOST, MESSAGING_CONTAINER, MESSAGING_HOST

# A generous bound, and still less than one host's boot time and a minute on top.
BOUND_SECONDS = 240
RELEASE = f"reach-{secrets.token_hex(4)}"


def test_no_worker_gets_a_release_that_the_api_could_not_migrate_to() -> None:
    old = tags(MESSAGING_HOST)["Release"]
    name_once_more(MESSAGING_CONTAINER, old, RELEASE)
    assert support.on_host(instance_id(MESSAGING_HOST), "chmod", "0755", "/root/.docker").returncode == 0
    with support.dropped_ssh(instance_id(API_HOST)):
        run = support.playbook(
            "playbooks/configure.yml",
            "--extra-vars",
            f"release={RELEASE}",
            name="reach-api",
            timeout_seconds=BOUND_SECONDS,
        )
    run.expect(2)
    assert tags(MESSAGING_HOST)["Release"] == old
    assert f"{MESSAGING_HOST} is left with release {old}" in support.words(run.output)
    # What no release changes is repaired all the same.
    configured = run.output[run.output.index("Configure what all services of a host need") :]
    assert f"changed: [{MESSAGING_HOST}]" in configured


def name_once_more(repository: str, old: str, new: str) -> None:
    """Let an image be that of another release too."""
    ecr = demo.client("ecr")
    (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": old}])["images"]
    ecr.put_image(repositoryName=repository, imageManifest=image["imageManifest"], imageTag=new)
