# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the story, on its cloud: what a hand has taken away is missed, and comes back by doing what is said."""

from __future__ import annotations

import re

from localcloud import demo
from tests import support
from tests.e2e.test_story import (
    MESSAGING_CONTAINER,
    MESSAGING_HOST,
    VIDEO_CONTAINER,
    VIDEO_HOST,
    awake,
    stop,
    video_worker_runs,
)

PLACE = "/mnt/transcode"
DEVICE = "/dev/sdf"
CONFIGURE, PROVISION = "playbooks/configure.yml", "playbooks/provision.yml"


def test_a_detached_disk_is_attached_again_by_following_what_is_said() -> None:
    """Each message leads to the next step, and the last one gives the command with the host's own volume in it."""
    ec2 = demo.client("ec2")
    with awake(VIDEO_HOST) as hosts:
        host = hosts[VIDEO_HOST]
        support.wait_until(lambda: video_worker_runs(host), "the worker runs")
        # As a hand would, without a word to the playbooks.
        away = f"echo kept > {PLACE}/kept; docker stop --time 1 {VIDEO_CONTAINER}; umount {PLACE}"
        assert support.on_host(host, "bash", "-euc", away).returncode == 0
        wanted = {"attachment.instance-id": host, "attachment.device": DEVICE}
        (volume,) = ec2.describe_volumes(Filters=[{"Name": name, "Values": [value]} for name, value in wanted.items()])[
            "Volumes"
        ]
        ec2.detach_volume(VolumeId=volume["VolumeId"])
        one = (CONFIGURE, f"--limit={VIDEO_HOST}", "--tags=transcode_volume")
        first = support.words(support.playbook(*one, name="disk-detached").expect(2).output)
        assert f"AWS knows this host with 0 volumes at {DEVICE}" in first
        assert f"{PROVISION} --tags instance" in first
        instance = (PROVISION, "--tags=instance")
        second = support.words(support.playbook(*instance, name="disk-named").expect(2).output)
        command = re.search(r"aws ec2 attach-volume --volume-id (\S+) --instance-id (\S+) --device ([a-z/]+)", second)
        assert command is not None
        assert command.groups() == (volume["VolumeId"], host, DEVICE)
        ec2.attach_volume(**dict(zip(("VolumeId", "InstanceId", "Device"), command.groups(), strict=True)))
        assert set(support.playbook(*instance, name="disk-attached").expect().changed().values()) == {0}
        support.playbook(CONFIGURE, f"--limit={VIDEO_HOST}", name="disk-mounted").expect()
    # The run has ended the hold like every other one that it finds, so the worker may have stopped its host by now.
    with awake(VIDEO_HOST):
        support.wait_until(lambda: video_worker_runs(host), "the worker runs on its disk")
        assert support.on_host(host, "docker", "exec", VIDEO_CONTAINER, "cat", "/tmp/kept").stdout == "kept\n"
        stop(host)


def test_a_deleted_log_group_is_missed_created_and_written_to_again() -> None:
    logs, group = demo.client("logs"), f"/academy/{MESSAGING_CONTAINER}"
    logs.delete_log_group(logGroupName=group)
    one = (CONFIGURE, f"--limit={MESSAGING_HOST}", "--tags=messaging_worker")
    missed = support.words(support.playbook(*one, name="log-group-missed").expect(2).output)
    assert f"CloudWatch has no log group {group}, so what {MESSAGING_CONTAINER} logs is lost" in missed
    assert f"{PROVISION} --tags logs" in missed
    assert not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    support.playbook(PROVISION, "--tags=logs", name="log-group-created").expect()
    assert support.playbook(*one, name="log-group-written").expect().changed()[MESSAGING_HOST] == 1
    support.wait_until(lambda: bool(logs.filter_log_events(logGroupName=group)["events"]), f"a line in {group}", 30)
    assert support.playbook(*one, name="log-group-again").expect().changed()[MESSAGING_HOST] == 0
