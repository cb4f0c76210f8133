#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: idle_stop_check
version_added: 0.1.0
short_description: Judge whether a worker host will stop itself, and watch it happen
description:
  - Reads what decides whether a host stops itself when there is nothing to do, and judges each of it with its evidence.
    What cannot be told is V(unknown), and unknown is never a pass.
  - What its role may do is asked of IAM's simulation, which knows inline and attached policies, permissions boundaries
    and service control policies, and nothing of what a queue's own policy says. Where the caller may not ask, it is
    V(unknown).
  - With O(watch=true) it then follows the hosts and the queues until they have stopped, and tells when what happened.
    That a step does not come is an answer (C(ok) of RV(watched)), not an error.
  - Changes nothing, and takes no message from any queue. Runs on the control node.
  - Needs the permissions C(ec2:DescribeInstances), C(ec2:DescribeInstanceAttribute), C(ec2:DescribeVolumes),
    C(ec2:DescribeSpotInstanceRequests), C(iam:GetInstanceProfile), C(iam:SimulatePrincipalPolicy) of the host's role,
    C(sqs:GetQueueUrl), C(sqs:GetQueueAttributes) and C(sqs:ListQueueTags).
author:
  - academy.deploy contributors (@academy)
options:
  instance_id:
    description:
      - The instance to judge.
    type: str
    required: true
  queue_names:
    description:
      - The queues from which the host's worker takes its jobs.
    type: list
    elements: str
    required: true
  threshold:
    description:
      - After how many empty polls the worker is to stop its host.
    type: int
    default: 5
  container_name:
    description:
      - The worker's container.
    type: str
    required: true
  host:
    description:
      - What M(academy.deploy.host_state_info) told of the host, asked as in the example for the heartbeats of all
        containers that may have one, each in a directory named after its container.
      - Without it, or where it tells nothing of the container, what depends on the host's containers is V(unknown).
    type: dict
  watch:
    description:
      - Follow the hosts until all of them have stopped. Check mode does so too, because it only reads.
    type: bool
    default: false
  watch_job:
    description:
      - Follow one job from the queue through one of the hosts; a step is then one of C(starting), C(running), C(taken),
        C(processed) and C(stopped). Put the job onto the empty queue right before, while all the hosts are stopped.
      - Otherwise C(stopped) is the only step.
    type: bool
    default: false
  watch_instance_ids:
    description:
      - The hosts to follow, when any of several may take the job.
      - By default O(instance_id) alone.
    type: list
    elements: str
  watch_since:
    description:
      - The time from which seconds are counted, in ISO 8601 with a time zone.
      - By default the beginning of the watch.
    type: str
  timeout_seconds:
    description:
      - How long each step may take after the one before.
    type: int
    default: 900
  step_timeouts_seconds:
    description:
      - Other limits for single steps, by their names.
    type: dict
    default: {}
  settle_seconds:
    description:
      - How long the queues must look empty before the job counts as processed, unless the host has stopped. SQS tells
        approximate numbers, which are right after a minute.
    type: int
    default: 60
  poll_seconds:
    description:
      - The pause between two readings.
    type: float
    default: 5
seealso:
  - module: academy.deploy.sqs_message
  - module: academy.deploy.aws_state_info
  - module: academy.deploy.host_state_info
extends_documentation_fragment:
  - academy.deploy.attributes.info
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Judge a video worker without its host
  academy.deploy.idle_stop_check:
    instance_id: i-0123456789abcdef0
    container_name: academy-video-worker
    queue_names: [academy-video-jobs]
  register: judged
  failed_when: judged.verdict == 'fail'

- name: Read the host
  academy.deploy.host_state_info:
    containers: true
    variables: [EC2_IDLE_STOP_THRESHOLD]
    units: [academy-watchdog.timer]
    paths: [/run/academy/academy-video-worker/heartbeat.json]
  delegate_to: academy-video-worker-1
  become: true
  register: state

- name: Judge the host and wait until it has stopped itself, for at most a quarter of an hour
  academy.deploy.idle_stop_check:
    instance_id: i-0123456789abcdef0
    container_name: academy-video-worker
    queue_names: [academy-video-jobs]
    host: "{{ state }}"
    watch: true
    timeout_seconds: 900
  register: stop
  failed_when: not stop.watched.ok
"""

RETURN = r"""
verdict:
  description: The worst of all checks, V(pass), V(fail) or V(unknown).
  returned: always
  type: str
  sample: pass
checks:
  description:
    - Each judgement, with its C(id), its C(status) as in RV(verdict), the C(evidence), and the C(remedy) where it is no
      pass.
  returned: always
  type: list
  elements: dict
  sample: [{id: metadata_service, status: pass, evidence: "endpoint enabled, tokens required, hop limit 2", remedy: ""}]
problems:
  description: Each check that failed, as a sentence with what to do.
  returned: always
  type: list
  elements: str
instance_state:
  description: The state of the instance when it was judged.
  returned: always
  type: str
  sample: stopped
watched:
  description:
    - What was seen to happen. C(ok) says whether every step came in time, C(reason) why not, C(hosts) names those that
      were seen to run, and C(steps) are those that came, each with C(name), C(at) (ISO 8601) and C(seconds).
  returned: when O(watch=true)
  type: dict
timeline:
  description: >-
    Every change of a host's state and of the queues' numbers, with C(at) (ISO 8601), C(seconds) and C(event).
  returned: when O(watch=true)
  type: list
  elements: dict
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.aws_calls import ReadError, ask
from ansible_collections.academy.deploy.plugins.module_utils.aws_state import (
    NO_ENTITY,
    THREADS,
    read_instances,
    read_queue,
)
from ansible_collections.academy.deploy.plugins.module_utils.idle_stop import (
    NO_ROLE,
    UNKNOWN,
    Observation,
    Question,
    Role,
    judge,
    problems,
    questions,
    read_host,
    verdict,
)
from ansible_collections.academy.deploy.plugins.module_utils.idle_timeline import (
    JOB_STEPS,
    STOP_STEPS,
    Limits,
    Sample,
    Timeline,
    follow,
    parse_iso,
    watched,
)
from ansible_collections.academy.deploy.plugins.module_utils.simulation import IMPLICIT_DENY, Decision
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

with contextlib.suppress(ImportError):  # AnsibleAWSModule says what is missing.
    from botocore.exceptions import BotoCoreError, ClientError

Client = Any
NUMBERS = {
    "visible": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


def read_role(iam: Client, profile_arn: str | None) -> Role:
    """The profile's role; NO_ROLE where there is none."""
    name = (profile_arn or "").rpartition("/")[2]
    answer = ask(iam, "get_instance_profile", NO_ENTITY, InstanceProfileName=name) if name else None
    roles = answer["InstanceProfile"]["Roles"] if answer else []
    return Role(roles[0]["Arn"], roles[0]["RoleId"]) if roles else NO_ROLE


def decide(iam: Client, role: Role, question: Question) -> list[Decision]:
    """What IAM says; what it does not answer is unknown."""
    try:
        decisions: list[Decision] = (
            question.answered(IMPLICIT_DENY, "the instance has no profile with a role")
            if role == NO_ROLE
            else question.ask(iam, role.arn)
        )
    except ReadError as error:
        decisions = question.answered(UNKNOWN, f"{error.action}: {error.cause}")
    return decisions


def observe(module: AnsibleAWSModule) -> Observation:
    """Everything that is judged, in one pass."""
    asked = module.params
    ec2, iam, sqs = map(module.client, ("ec2", "iam", "sqs"))
    found = read_instances(ec2, {"instance-id": asked["instance_id"]})
    if not found:
        module.fail_json(
            msg=f"instance_id: there must be an instance {asked['instance_id']} in {module.region}, found none. "
            "Take the id from AWS: aws ec2 describe-instances."
        )
    instance, now = found[0], datetime.now(UTC)
    role = read_role(iam, (instance.get("iam_instance_profile") or {}).get("arn"))
    queues = {name: read_queue(sqs, name) for name in asked["queue_names"]}
    to_ask = questions(instance, queues, module.region, role, now)
    with ThreadPoolExecutor(THREADS) as pool:
        decisions = dict(zip(to_ask, pool.map(partial(decide, iam, role), to_ask), strict=True))
    return Observation(
        now=now,
        instance=instance,
        region=module.region,
        decisions=decisions,
        queues=queues,
        threshold=asked["threshold"],
        host=read_host(asked["host"], asked["container_name"]),
    )


def dead_letter_urls(sqs: Client, queues: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    names = {
        queue["redrive_policy"]["deadLetterTargetArn"].rpartition(":")[2]
        for queue in queues.values()
        if queue and queue["redrive_policy"]
    }
    return [sqs.get_queue_url(aws_retry=True, QueueName=name)["QueueUrl"] for name in sorted(names)]


def count(sqs: Client, url: str) -> dict[str, int]:
    answer = sqs.get_queue_attributes(aws_retry=True, QueueUrl=url, AttributeNames=list(NUMBERS.values()))
    return {name: int(answer["Attributes"].get(attribute, 0)) for name, attribute in NUMBERS.items()}


def name_of(instance: Mapping[str, Any]) -> str:
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return str(tags.get("Name", instance["InstanceId"]))


def read_sample(ec2: Client, sqs: Client, ids: Sequence[str], urls: Sequence[str], dead: Sequence[str]) -> Sample:
    at = time.time()
    reservations = ec2.describe_instances(aws_retry=True, InstanceIds=list(ids))["Reservations"]
    instances = [instance for reservation in reservations for instance in reservation["Instances"]]
    numbers = [count(sqs, url) for url in urls]
    return Sample(
        at=at,
        states={name_of(instance): instance["State"]["Name"] for instance in instances},
        dead=sum(count(sqs, url)["visible"] for url in dead),
        **{name: sum(one[name] for one in numbers) for name in NUMBERS},
    )


def watch(module: AnsibleAWSModule, seen: Observation, since: float) -> Timeline:
    """Read again and again until the timeline is over; each limit ends it."""
    asked = module.params
    retry = AWSRetry.jittered_backoff()
    ec2, sqs = (module.client(service, retry_decorator=retry) for service in ("ec2", "sqs"))
    ids = asked["watch_instance_ids"] or [asked["instance_id"]]
    urls = [queue["url"] for queue in seen.queues.values() if queue]
    dead = dead_letter_urls(sqs, seen.queues)
    steps = JOB_STEPS if asked["watch_job"] else STOP_STEPS
    limits = Limits(
        asked["timeout_seconds"],
        asked["settle_seconds"],
        {step: float(limit) for step, limit in asked["step_timeouts_seconds"].items()},
    )
    samples = [read_sample(ec2, sqs, ids, urls, dead)]
    while not (timeline := follow(samples, steps, limits, since)).over:
        time.sleep(asked["poll_seconds"])
        samples.append(read_sample(ec2, sqs, ids, urls, dead))
    return timeline


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "instance_id": {"type": "str", "required": True},
            "queue_names": {"type": "list", "elements": "str", "required": True},
            "threshold": {"type": "int", "default": 5},
            "container_name": {"type": "str", "required": True},
            "host": {"type": "dict"},
            "watch": {"type": "bool", "default": False},
            "watch_job": {"type": "bool", "default": False},
            "watch_instance_ids": {"type": "list", "elements": "str"},
            "watch_since": {"type": "str"},
            "timeout_seconds": {"type": "int", "default": 900},
            "step_timeouts_seconds": {"type": "dict", "default": {}},
            "settle_seconds": {"type": "int", "default": 60},
            "poll_seconds": {"type": "float", "default": 5.0},
        },
        supports_check_mode=True,
    )
    asked = module.params
    if unknown := sorted(set(asked["step_timeouts_seconds"]) - set(JOB_STEPS)):
        module.fail_json(
            msg=f"step_timeouts_seconds: a step is one of {', '.join(JOB_STEPS)}, found {', '.join(unknown)}. "
            "Rename it."
        )
    try:
        since = parse_iso(asked["watch_since"]) if asked["watch_since"] else time.time()
    except ValueError as error:
        module.fail_json(msg=f"watch_since: must be a time such as 2026-11-24T15:00:00Z: {error}")
    try:
        seen = observe(module)
        checks = judge(seen)
        result: dict[str, Any] = {
            "verdict": verdict(checks),
            "checks": [asdict(check) for check in checks],
            "problems": problems(checks),
            "instance_state": seen.instance["state"]["name"],
        }
        if asked["watch"]:
            told = watched(watch(module, seen, since), since)
            result |= {"timeline": told.pop("timeline"), "watched": told}
    except ReadError as error:
        module.fail_json_aws(error.cause, msg=f"Cannot judge {asked['instance_id']} ({error.action})")
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=f"Cannot judge or watch {asked['instance_id']}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
