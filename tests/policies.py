# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real policies, and what each kind of host, and the starter, must be able to do and must not, written out by hand.

The same rows are judged by the evaluator alone, called against the control plane, and called on the whole cloud.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud import demo, settings
from localcloud.grants import EXERCISE_MARK
from plugins.module_utils.plan.identity import wanted_roles
from plugins.module_utils.services import kinds_of_hosts
from tests import support

KINDS = ("api", "messaging-worker", "video-worker", "ai-worker")
DEPLOYMENT = "academy"
QUEUES_OF = {
    "messaging-worker": ("academy-messaging-jobs",),
    "video-worker": ("academy-video-jobs",),
    "ai-worker": ("academy-ai-jobs-lite", "academy-ai-jobs-basic", "academy-ai-jobs-premium"),
}
QUEUES = tuple(queue for queues in QUEUES_OF.values() for queue in queues)
CONTAINER_OF = {kind: f"academy-{kind}" for kind in KINDS} | {"ai-worker": "academy-ai-worker-cpu"}
STOPS_ITSELF = ("video-worker", "ai-worker")
STARTER = "starter"
STARTER_QUEUES = tuple(queue for kind in STOPS_ITSELF for queue in QUEUES_OF[kind])
STARTER_LOG_GROUP = f"/{DEPLOYMENT}/{STARTER}"
HOLD_TAG = {"Key": "HoldUntil", "Value": "2026-01-31T09:30:00Z"}
NO_DIGEST = f"sha256:{0:064}"
# Of the operator's statements and actions those that need a whole cloud: images are built, pushed and looked for there
# alone. The story uses them.
USED_BY_THE_STORY = {
    ("SeeWhatHasNoName", "ecr:GetAuthorizationToken"),
    ("SeeRepositories", "ecr:GetDownloadUrlForLayer"),
    ("PushImages", "ecr:BatchCheckLayerAvailability"),
    ("PushImages", "ecr:InitiateLayerUpload"),
    ("PushImages", "ecr:UploadLayerPart"),
    ("PushImages", "ecr:CompleteLayerUpload"),
    ("PushImages", "ecr:PutImage"),
}
DENIED_CODES = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
METADATA_SCRIPT = """
set -eu
base=http://169.254.169.254/latest
credentials=$base/meta-data/iam/security-credentials
token=$(curl --silent --fail --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
ask() { curl --silent --fail --header "X-aws-ec2-metadata-token: $token" "$1"; }
ask "$credentials/$(ask $credentials/)"
"""


@dataclass(frozen=True)
class Policy:
    """One role and the policy that the identity role gives it."""

    role: str
    name: str
    document: dict[str, Any]


@dataclass(frozen=True)
class Use:
    """One call, as boto3 takes it."""

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        named = (value for key, value in self.parameters.items() if key.endswith(("Name", "Url", "Ids")))
        return f"{self.service}:{self.operation} {' '.join(map(str, named))}".strip()


@dataclass(frozen=True)
class Credentials:
    """A role's temporary keys, or a user's, which have no token."""

    access_key: str
    secret_key: str
    token: str | None = None

    @classmethod
    def read(cls, document: str) -> Credentials:
        """From what the metadata service answers."""
        content = json.loads(document)
        return cls(content["AccessKeyId"], content["SecretAccessKey"], content["Token"])


def credentials_of(instance_id: str) -> Credentials:
    """What a host gets of its metadata service, asked for inside of it."""
    done = support.on_host(instance_id, "sh", "-c", METADATA_SCRIPT)
    assert done.returncode == 0, done.stderr
    return Credentials.read(done.stdout)


def host_policies() -> dict[str, Policy]:
    """The policies of each kind of host."""
    return {kind: policy for kind, policy in all_policies().items() if kind != STARTER}


def starter_policy() -> Policy:
    return all_policies()[STARTER]


@cache
def all_policies() -> dict[str, Policy]:
    """The policies as the identity role writes them from the local inventory."""
    names = ("services", "starter_log_group", "deployment_name", "deployment_tags", "aws_region", "aws_account_id")
    kinds = "kinds=dict(groups.instances | zip(groups.instances | map('extract', hostvars, 'instance_kind')))"
    shown = f"dict({', '.join(f'{name}={name}' for name in names)}, groups=groups, {kinds})"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible"), "academy-api-1", "-i", "inventories/local/hosts.yml",
            "--one-line", "-m", "ansible.builtin.debug", "-a", f"msg={{{{ {shown} | to_json }}}}",
        ],
        cwd=support.ROOT,
        env=demo.environment(os.environ),
        check=True,
        capture_output=True,
        text=True,
    )  # fmt: skip
    inputs = json.loads(json.loads(done.stdout.partition("=>")[2])["msg"])
    roles = wanted_roles(inputs)
    of_hosts = kinds_of_hosts(inputs["services"], inputs["groups"], inputs["kinds"])
    return {
        kind: Policy(role.name, role.policy, role.document)
        for kind, role in zip([*of_hosts, STARTER], roles, strict=True)
    }


def queue_url(name: str) -> str:
    return f"https://sqs.{settings.REGION}.{settings.AWS_DOMAIN}/{settings.ACCOUNT_ID}/{name}"


# --- what a kind of host does -------------------------------------------------------------------------------------


def allowed(kind: str, itself: str) -> list[Use]:
    """Every call that a host of this kind makes in its work; itself is its instance."""
    container = CONTAINER_OF[kind]
    uses = [Use("ecr", "GetAuthorizationToken"), *_pull(container), *_write_logs(_group(container))]
    if kind == "api":
        uses += [use for queue in QUEUES for use in (_send(queue), *_find(queue))]
    for queue in QUEUES_OF.get(kind, ()):
        uses += [*_find(queue), *_work_on(queue)]
    if kind in STOPS_ITSELF:
        uses += [Use("ec2", "DescribeInstances"), stop(itself)]
    return uses


def denied(kind: str, itself: str, neighbour: str) -> list[Use]:
    """Calls that a host of this kind must not make; neighbour is another instance of the same kind."""
    own_queues = QUEUES_OF.get(kind, ())
    other = next(container for container in CONTAINER_OF.values() if container != CONTAINER_OF[kind])
    uses = [
        *_pull(other),
        *_write_logs(_group(other)),
        Use("ecr", "PutImage", {"repositoryName": CONTAINER_OF[kind], "imageManifest": "{}"}),
        Use("ecr", "DescribeRepositories"),
        Use("logs", "CreateLogGroup", {"logGroupName": "/academy/new"}),
        Use("logs", "DeleteLogStream", {"logGroupName": _group(CONTAINER_OF[kind]), "logStreamName": "exercise"}),
        Use("logs", "GetLogEvents", {"logGroupName": _group(CONTAINER_OF[kind]), "logStreamName": "exercise"}),
        Use("sqs", "ListQueues"),
        Use("sqs", "PurgeQueue", {"QueueUrl": queue_url(QUEUES[0])}),
        Use("sqs", "CreateQueue", {"QueueName": "academy-new"}),
        Use("ec2", "TerminateInstances", {"InstanceIds": [itself]}),
        start(itself),
        untag(itself, HOLD_TAG),
        Use("ec2", "DescribeVpcs"),
        Use("iam", "ListRoles"),
        Use("s3", "ListBuckets"),
        stop(neighbour),
        stop(itself, neighbour),
        stop(neighbour, itself),
    ]
    for queue in QUEUES:
        if queue not in own_queues:
            uses += _work_on(queue)
        if kind != "api":
            uses += [_send(queue), *(() if queue in own_queues else _find(queue))]
        uses += [_receive(f"{queue}-dlq")]
    if kind not in STOPS_ITSELF:
        uses += [stop(itself), Use("ec2", "DescribeInstances")]
    return uses


def stop(*instances: str) -> Use:
    return Use("ec2", "StopInstances", {"InstanceIds": list(instances)})


def start(*instances: str) -> Use:
    return Use("ec2", "StartInstances", {"InstanceIds": list(instances)})


def untag(resource: str, *tags: Mapping[str, str]) -> Use:
    """Without tags, EC2 removes all that there are."""
    return Use("ec2", "DeleteTags", {"Resources": [resource], **({"Tags": list(tags)} if tags else {})})


def starter_allowed(*workers: str) -> list[Use]:
    """Every call that the starter makes in its work; of each kind that stops itself one instance."""
    return [
        *(use for queue in STARTER_QUEUES for use in _find(queue)),
        Use("ec2", "DescribeInstances"),
        *map(start, workers),
        *(untag(worker, HOLD_TAG) for worker in workers),
        *_write_logs(STARTER_LOG_GROUP),
    ]


def starter_denied(worker: str, others: Mapping[str, str]) -> list[Use]:
    """Calls that it must not make; others are instances of kinds that do not stop themselves, and of other projects."""
    return [
        stop(worker),
        Use("ec2", "TerminateInstances", {"InstanceIds": [worker]}),
        Use("ec2", "RebootInstances", {"InstanceIds": [worker]}),
        *(start(other) for other in others.values()),
        *(start(worker, other) for other in others.values()),
        untag(others["other project"], HOLD_TAG),
        untag(worker),
        untag(worker, HOLD_TAG, {"Key": "Project"}),
        untag(worker, {"Key": "Role"}),
        untag("vol-00000000000000000", HOLD_TAG),
        Use("ec2", "CreateTags", {"Resources": [worker], "Tags": [HOLD_TAG]}),
        *(use for queue in STARTER_QUEUES for use in (*_work_on(queue), _send(queue))),
        *(use for queue in QUEUES if queue not in STARTER_QUEUES for use in _find(queue)),
        *(use for container in CONTAINER_OF.values() for use in _write_logs(_group(container))),
        Use("logs", "CreateLogGroup", {"logGroupName": STARTER_LOG_GROUP}),
        Use("ecr", "GetAuthorizationToken"),
        Use("lambda", "ListFunctions"),
        Use("iam", "ListRoles"),
    ]


def _pull(repository: str) -> list[Use]:
    return [
        Use("ecr", "BatchGetImage", {"repositoryName": repository, "imageIds": [{"imageDigest": NO_DIGEST}]}),
        Use("ecr", "GetDownloadUrlForLayer", {"repositoryName": repository, "layerDigest": NO_DIGEST}),
    ]


def _group(container: str) -> str:
    return f"/academy/{container}"


def _write_logs(group: str) -> list[Use]:
    stream = {"logGroupName": group, "logStreamName": "exercise"}
    event = {"timestamp": int(time.time() * 1000), "message": "exercise"}
    return [Use("logs", "CreateLogStream", stream), Use("logs", "PutLogEvents", {**stream, "logEvents": [event]})]


def _find(queue: str) -> list[Use]:
    return [
        Use("sqs", "GetQueueUrl", {"QueueName": queue}),
        Use("sqs", "GetQueueAttributes", {"QueueUrl": queue_url(queue), "AttributeNames": ["QueueArn"]}),
    ]


def _send(queue: str) -> Use:
    # Delayed as long as can be, so that no worker finds it before the test removes it.
    return Use("sqs", "SendMessage", {"QueueUrl": queue_url(queue), "MessageBody": "exercise", "DelaySeconds": 900})


def _receive(queue: str) -> Use:
    # A message that somebody else sent stays visible.
    return Use("sqs", "ReceiveMessage", {"QueueUrl": queue_url(queue), "VisibilityTimeout": 0, "WaitTimeSeconds": 0})


def _work_on(queue: str) -> list[Use]:
    handle = {"QueueUrl": queue_url(queue), "ReceiptHandle": "exercise"}
    return [
        _receive(queue),
        Use("sqs", "ChangeMessageVisibility", {**handle, "VisibilityTimeout": 60}),
        Use("sqs", "DeleteMessage", handle),
    ]


# --- doing it -----------------------------------------------------------------------------------------------------


def host_client(service: str, credentials: Credentials, url: str) -> Any:
    """A client as a host's own would be, except that it says that it only exercises."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=settings.REGION,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
        config=Config(proxies={}, retries={"total_max_attempts": 1}, user_agent_extra=EXERCISE_MARK),
    )


class Host:
    """A host's role, or a user, at work: real calls, signed with the keys of that."""

    def __init__(self, credentials: Credentials, url: str) -> None:
        self._client = cache(lambda service: host_client(service, credentials, url))

    def error(self, use: Use) -> tuple[str, str]:
        """Code and message of AWS's refusal; two empty strings where the call succeeded."""
        client = self._client(use.service)
        operations = {operation: method for method, operation in client.meta.method_to_api_mapping.items()}
        try:
            getattr(client, operations[use.operation])(**use.parameters)
        except ClientError as error:
            return error.response["Error"]["Code"], error.response["Error"]["Message"]
        return "", ""

    def is_denied(self, use: Use) -> bool:
        """Whether IAM refused; what the service itself finds wrong with a call that IAM allowed is no denial."""
        code, message = self.error(use)
        assert code not in {"InternalFailure", "NotImplemented"}, f"{use}: {code}: {message}"
        return code in DENIED_CODES
