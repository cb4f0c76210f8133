# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's machine: AWS's own names, the public addresses of its hosts, and no way to anywhere else.

These need a cloud, whatever else is on it, and bring it up where there is none.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud import demo, settings
from localcloud.operator_user import Keys
from tests import support

NAME = "operator-machine-test"
UNASSIGNED = "203.0.113.200"
# What must not come along, and would lead a tool elsewhere if it did.
TRAPS = {
    "ANSIBLE_CONFIG": "/nowhere",
    "AWS_ENDPOINT_URL": settings.API_URL,
    "AWS_PROFILE": "somebody",
    "AWS_SESSION_TOKEN": "x",
    "DOCKER_HOST": "unix:///nowhere",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=10")
EVERY_SERVICE = f"""
import boto3, json
sqs, storage, iam = (boto3.client(service) for service in ("sqs", "s3", "iam"))
everywhere = boto3.client("sts", endpoint_url="https://sts.amazonaws.com")
url = sqs.create_queue(QueueName="{NAME}")["QueueUrl"]
sqs.send_message(QueueUrl=url, MessageBody="hello")
storage.put_object(Bucket="{NAME}", Key="a", Body=b"in s3")
r2 = boto3.client("s3", endpoint_url="https://0123abcd.r2.cloudflarestorage.com", region_name="auto")
r2.put_object(Bucket="{NAME}", Key="b", Body=b"in r2")
print(json.dumps({{
    "account": boto3.client("sts").get_caller_identity()["Account"],
    "account by the global name": everywhere.get_caller_identity()["Account"],
    "instances": len(boto3.client("ec2").describe_instances()["Reservations"]) > 0,
    "policy": iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")["Policy"]["PolicyName"],
    "queue": url,
    "message": sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]["Body"],
    "in s3": storage.get_object(Bucket="{NAME}", Key="a")["Body"].read().decode(),
    "in r2": r2.get_object(Bucket="{NAME}", Key="b")["Body"].read().decode(),
    "presigned": [client.generate_presigned_url("get_object", Params={{"Bucket": "{NAME}", "Key": key}})
                  for client, key in ((storage, "a"), (r2, "b"))],
}}))
"""
CONNECT = """
import json, socket, sys, time
found = {}
for place in sys.argv[1:]:
    address, port = place.split(":")
    started = time.monotonic()
    try:
        socket.create_connection((address, int(port)), timeout=8).close()
        answer = "open"
    except TimeoutError:
        answer = "no answer"
    except OSError as error:
        answer = error.strerror
    found[place] = [answer, time.monotonic() - started]
print(json.dumps(found))
"""
RESOLVE = """
import json, socket, sys, time
found = {}
for name in sys.argv[1:]:
    started = time.monotonic()
    try:
        answer = socket.gethostbyname(name)
    except socket.gaierror as error:
        answer = None
    found[name] = [answer, time.monotonic() - started]
print(json.dumps(found))
"""


def operator(*command: str, text: str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command on the operator's machine, from an environment full of traps."""
    return subprocess.run(
        [sys.executable, "-m", "localcloud", "operator", "--", *command],
        cwd=support.ROOT, env={**os.environ, **TRAPS}, input=text, capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip


def said(*command: str, text: str | None = None) -> str:
    """What a command there prints; it must succeed."""
    done = operator(*command, text=text)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def python(program: str, *arguments: str) -> Any:
    """What a program there answers in JSON."""
    return json.loads(said(sys.executable, "-c", program, *arguments))


@pytest.fixture(scope="module", autouse=True)
def cloud(machine_before: dict[str, list[str]]) -> None:
    support.run(sys.executable, "-m", "localcloud", "up", name="up-for-operator").expect()


@pytest.fixture(scope="module")
def instance_id(cloud: None) -> Iterator[str]:
    """A host whose SSH is open to the operator."""
    ec2 = demo.client("ec2")
    public_key = settings.OPERATOR_KEY.with_suffix(".pub").read_bytes()
    ec2.import_key_pair(KeyName=NAME, PublicKeyMaterial=public_key)
    group = ec2.create_security_group(GroupName=NAME, Description="SSH from the operator")["GroupId"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{**ssh, "IpRanges": [{"CidrIp": f"{settings.OPERATOR_ADDRESS}/32"}]}]
    )
    image = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]
    launched = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType="t4g.micro",
        MinCount=1,
        MaxCount=1,
        KeyName=NAME,
        SecurityGroupIds=[group],
    )["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[launched], WaiterConfig=support.HOST_WAITER)
    yield launched
    ec2.terminate_instances(InstanceIds=[launched])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[launched], WaiterConfig=support.HOST_WAITER)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_key_pair(KeyName=NAME)


def described(instance_id: str) -> Any:
    return demo.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def test_keys_region_and_bundle_are_all_that_boto3_needs(instance_id: str) -> None:
    # The owner's keys: these names are none that the operator's policies know.
    owner = (
        f"AWS_ACCESS_KEY_ID={settings.OPERATOR_ACCESS_KEY}",
        f"AWS_SECRET_ACCESS_KEY={settings.OPERATOR_SECRET_KEY}",
    )
    found = json.loads(said("env", *owner, sys.executable, "-c", EVERY_SERVICE))
    presigned = found.pop("presigned")
    assert found == {
        "account": settings.ACCOUNT_ID,
        "account by the global name": settings.ACCOUNT_ID,
        "instances": True,
        "policy": "ReadOnlyAccess",
        "queue": f"https://sqs.ap-northeast-2.amazonaws.com/{settings.ACCOUNT_ID}/{NAME}",
        "message": "hello",
        "in s3": "in s3",
        "in r2": "in r2",
    }
    # By programs that know nothing of AWS, and trust whom the machine trusts.
    assert [said("curl", "--silent", "--fail", url) for url in presigned] == ["in s3", "in r2"]


def test_the_environment_and_the_home_are_an_operators_own() -> None:
    variables = dict(line.split("=", 1) for line in said("env", "--null").split("\0") if line)
    keys = Keys.read()
    assert keys.access_key != settings.OPERATOR_ACCESS_KEY
    assert {name: value for name, value in variables.items() if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_REGION": settings.REGION,
        "AWS_DEFAULT_REGION": settings.REGION,
        "AWS_CA_BUNDLE": str(settings.TRUSTED_BUNDLE),
    }
    assert not (TRAPS.keys() - {name for name in TRAPS if name.startswith("AWS_")}) & variables.keys()
    assert variables["PATH"] == os.environ["PATH"]
    assert variables["HOME"] == "/run/academy-operator"
    assert said("getent", "passwd", "0").split(":")[5] == variables["HOME"]
    assert said("sh", "-c", "ls -A ~; cat ~/.ssh/id_ed25519.pub").splitlines()[0] == ".ssh"
    assert operator("test", "-e", f"{settings.STATE_DIR}/ca.key").returncode == 1
    assert operator("sh", "-c", "exit 7").returncode == 7


def test_ssh_reaches_the_host_by_its_public_address_and_name(instance_id: str) -> None:
    host = described(instance_id)
    address, name = host["PublicIpAddress"], host["PublicDnsName"]
    connection = said(*SSH, f"ec2-user@{address}", "echo $SSH_CONNECTION").split()
    assert connection == [str(settings.OPERATOR_ADDRESS), connection[1], host["PrivateIpAddress"], "22"]
    assert said(*SSH, f"ec2-user@{name}", "hostname").strip() == host["PrivateDnsName"]


def test_names_are_what_they_are_outside_the_vpc(instance_id: str) -> None:
    host = described(instance_id)
    names = {
        host["PublicDnsName"]: host["PublicIpAddress"],
        settings.REGISTRY_HOST: str(settings.RESOLVER),
        "checkip.amazonaws.com": str(settings.RESOLVER),
        "0123abcd.r2.cloudflarestorage.com": str(settings.RESOLVER),
        host["PrivateDnsName"]: None,
        f"ec2-{UNASSIGNED.replace('.', '-')}.{settings.PUBLIC_DOMAIN}": None,
        "example.org": None,
    }
    found = python(RESOLVE, *names)
    assert {name: answer for name, (answer, _) in found.items()} == names
    assert max(seconds for _, seconds in found.values()) < 2


def test_what_is_not_there_fails_at_once(instance_id: str) -> None:
    host = described(instance_id)
    private, public = host["PrivateIpAddress"], host["PublicIpAddress"]
    places = {
        f"{public}:22": "open",
        f"{settings.RESOLVER}:{settings.FRONT_PORT}": "open",
        f"{private}:22": "Network is unreachable",
        f"{settings.BUILDER_ADDRESS}:2375": "Network is unreachable",
        f"{settings.GATEWAY}:22": "Network is unreachable",
        "8.8.8.8:53": "Network is unreachable",
        f"{UNASSIGNED}:22": "No route to host",
        f"{settings.RESOLVER}:22": "No route to host",
        f"{settings.OPERATOR_GATEWAY}:{settings.API_PORT}": "No route to host",
        f"{settings.API_HOST}:{settings.API_PORT}": "Connection refused",
    }
    found = python(CONNECT, *places)
    assert {place: answer for place, (answer, _) in found.items()} == places
    assert max(seconds for _, seconds in found.values()) < 2
    assert said("ip", "-4", "route", "show", "default") == ""
    assert said("ip", "-6", "address", "show") == ""


def test_the_hosts_do_not_reach_the_operator(instance_id: str) -> None:
    command = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{settings.OPERATOR_ADDRESS}/22'"
    done = support.on_host(instance_id, "sh", "-c", command)
    assert done.returncode == 1, done
    assert "No route to host" in done.stderr


def test_the_ordinary_engine_pushes_to_the_registrys_own_name(tmp_path: Path) -> None:
    image = f"{settings.REGISTRY_HOST}/{NAME}:1"
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    demo.client("ecr").create_repository(repositoryName=NAME)
    token = demo.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    said("docker", "login", "--username=AWS", "--password-stdin", settings.REGISTRY_HOST, text=password)
    said("env", "DOCKER_BUILDKIT=0", "docker", "build", "--quiet", f"--tag={image}", str(tmp_path))
    said("docker", "push", "--quiet", image)
    images = demo.client("ecr").list_images(repositoryName=NAME)["imageIds"]
    assert [found["imageTag"] for found in images] == ["1"]
    demo.client("ecr").delete_repository(repositoryName=NAME, force=True)


def test_two_commands_at_a_time_and_what_one_mounts_is_its_own(machine_before: dict[str, list[str]]) -> None:
    mounts = support.machine()["mounts"]
    command = [sys.executable, "-m", "localcloud", "operator", "--", "sh", "-c", "echo in; read -r go; echo out"]
    pair = [
        subprocess.Popen(command, cwd=support.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in pair:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
    during = support.machine()
    assert [process.communicate("go\n")[0] for process in pair] == ["out\n", "out\n"]
    assert during["mounts"] == mounts
    assert (during["resolver"], during["hosts"]) == (machine_before["resolver"], machine_before["hosts"])


def test_a_stop_takes_the_address_and_a_start_brings_another(instance_id: str) -> None:
    ec2 = demo.client("ec2")
    before = described(instance_id)["PublicIpAddress"]
    ec2.stop_instances(InstanceIds=[instance_id])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance_id], WaiterConfig=support.HOST_WAITER)
    [(answer, seconds)] = python(CONNECT, f"{before}:22").values()
    assert (answer, seconds < 2) == ("No route to host", True)
    ec2.start_instances(InstanceIds=[instance_id])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id], WaiterConfig=support.HOST_WAITER)
    after = described(instance_id)["PublicIpAddress"]
    assert after != before
    assert python(CONNECT, f"{after}:22")[f"{after}:22"][0] == "open"
