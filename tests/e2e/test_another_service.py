# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fifth service on the story's cloud, from data alone: brought up, a job done, its host stopped by itself."""

from __future__ import annotations

import json
from pathlib import Path

from localcloud import demo
from plugins.module_utils.tree import IGNORED, digest_of, read_entries
from tests import another_service as another
from tests import support
from tests.e2e.test_story import job_row
from tests.leaks import SECRETS_DIR

JOB = "thumbnail-1"


def test_a_fifth_service_is_brought_up_does_a_job_and_stops_its_host(tmp_path: Path) -> None:
    product = another.copy(tmp_path)
    # The other images are there under the release of the demo.
    release = digest_of(read_entries(str(support.ROOT / "examples/academy"), IGNORED))
    another.add(product)
    run = support.playbook(
        "site.yml", "--inventory", str(product / "inventories/local"), "--limit", f"localhost,{another.SERVICE}",
        "--extra-vars", json.dumps({"release": release, "local_secrets_dir": str(SECRETS_DIR)}),
        name="another-service",
    ).expect()  # fmt: skip
    assert run.changed()[another.HOST] > 0
    host = support.instance(another.HOST)
    assert host["instance_type"] == "t4g.micro"
    sqs = demo.client("sqs")
    url = sqs.get_queue_url(QueueName=another.QUEUE)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"id": JOB, "to": "010-0000-0000", "text": "thumbnail"}))
    # By the worker that is still up, or by the one that the starter starts.
    support.wait_until(lambda: job_row(JOB).get("state") == "done", "the fifth service has done its job", 180)
    assert job_row(JOB)["worker_id"] == another.HOST
    support.wait_until(
        lambda: support.states([another.HOST]) == {another.HOST: "stopped"}, "its host has stopped itself", 180
    )
