# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight as an operator runs it: everything wrong in one run, no traceback, and nothing written to AWS."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localcloud import demo, operator_user, settings
from tests import support
from tests.integration.conftest import Account
from tests.unit.wrong_inputs import batches

PASSWORD = "vault-password-of-a-test"
SUBJECT = re.compile(r"^\s*\[ERROR\] (.*?): ", re.MULTILINE)


def preflight(
    account: Account, name: str, *arguments: str, then: tuple[str, ...] = (), **variables: Any
) -> support.Run:
    return support.playbook(
        *account.arguments("playbooks/preflight.yml", *then), "-e", json.dumps(variables), *arguments,
        name=f"preflight-{name}",
    )  # fmt: skip


def test_what_is_right_passes_and_writes_nothing(account: Account) -> None:
    run = preflight(account, "right").expect()
    assert not any(run.changed().values())
    assert "[WARNING]" not in run.output
    assert account.calls()["iam.SimulatePrincipalPolicy"] > 0
    preflight(account, "right-check", "--check", "--diff").expect()
    assert account.writes() == {}


def test_an_address_that_nobody_lets_in_is_a_warning_and_no_answer_is_none(account: Account) -> None:
    with support.address_service("203.0.113.99") as url:
        run = preflight(account, "address", operator_address_url=url).expect()
        assert "[WARNING] operator_cidrs: AWS sees this machine as 203.0.113.99" in " ".join(run.output.split())
        assert "[주의] operator_cidrs: " in run.output
        run = preflight(account, "address-mine", operator_address_url=url, operator_cidrs=["203.0.113.99/32"]).expect()
        assert "[WARNING]" not in run.output
    run = preflight(account, "address-silent", operator_address_url=url).expect()
    assert "[WARNING]" not in run.output


def test_a_young_account_is_refused_before_the_first_create(account: Account) -> None:
    key = account.client("kms").create_key()["KeyMetadata"]["Arn"]
    account.client("ec2").modify_ebs_default_kms_key_id(KmsKeyId=key)
    account.become(plan="FREE", on_demand_vcpus=2)
    before = account.writes()
    try:
        output = said_by(preflight(account, "young").expect(2))
        assert account.writes() == before
        account.become(plan="PAID", on_demand_vcpus=8)
        warned = said_by(preflight(account, "young-quota").expect())
    finally:
        account.become(plan="PAID", on_demand_vcpus=640)
        account.client("ec2").reset_ebs_default_kms_key_id()
    for text in (
        "[ERROR] AWS account plan: the Free plan does not allow t4g.medium (academy-video-worker-1",
        "database_backup_retention_days 7",
        "[오류] AWS account plan: ",
        "[ERROR] EC2 vCPU quota L-1216C47A (on-demand): needed are",
        "[WARNING] EBS default encryption key: the volumes of academy-ai-worker-1, academy-api-1",
    ):
        assert text in output, text
    assert "[ERROR]" not in warned
    assert "[WARNING] EC2 vCPU quota" in warned


def test_subnets_without_a_way_out_are_named_before_a_host_is_made_there(account: Account) -> None:
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"][:2]]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in enumerate(zones)
    ]
    output = said_by(preflight(account, "closed", vpc_id=vpc).expect(2))
    assert "[ERROR] subnet_ids: hosts need a way out" in output
    assert all(f"{subnet} ({zone})" in output for subnet, zone in zip(subnets, zones, strict=True))


def test_its_question_about_the_account_is_the_only_one_of_a_run(account: Account) -> None:
    before, written = account.calls().get("sts.GetCallerIdentity", 0), account.writes()
    run = preflight(
        account, "once", "--check", "--tags", "preflight,queues", then=("playbooks/provision.yml",)
    ).expect()
    assert "academy-video-jobs" in run.output
    assert account.calls()["sts.GetCallerIdentity"] == before + 1
    assert account.writes() == written


# What does not contradict one another is wrong in one run, which says all of it.
@pytest.mark.parametrize(
    ("name", "variables", "said"),
    [
        (
            "many",
            {
                "operator_cidrs": ["0.0.0.0/0", "::/0"],
                "release": "abc1234",
                "instance_public_key_file": "~/nowhere/id.pub",
                "images_definitions": [{"name": "academy-api", "dockerfile": "nowhere/Dockerfile"}],
                "database_backup_retention_days": 1,
                "database_allocated_storage_gib": 100,
                "logs_retention_days": 10,
                "database_password": "pass@word/1",
                "owner": "CHANGE-ME",
                "queues_receive_wait_seconds": 60,
                "instance_type": "t4g.nonesuch",
                "transcode_volume_size_gib": 50,
                "application_variables": {"A": {"services": ["web"]}, "B": "x", "C": {"services": [{"api": None}]}},
            },
            [
                *("operator_cidrs: ", "the whole world", "운영자에게만"),
                *("instance_public_key_file: ", "found no file ~/nowhere/id.pub"),
                *("images_source_dir: ", "found no nowhere/Dockerfile"),
                "database_backup_retention_days: must be 7 to 35",
                "database_max_allocated_storage_gib: must be at least 10 % above",
                "logs_retention_days: must be one of 7, 14",
                "database_password: must not contain /",
                "owner: must be filled in",
                "queues_receive_wait_seconds: SQS allows 0 to 20",
                *("instance_type: ", "offered in no zone of this region"),
                *("transcode_volume_size_gib: ", "100 GiB or more"),
                *(f"application_variables.{text}" for text in ("A: services are", "B: must be", "C: services are")),
            ],
        ),
        (
            "machines",
            {
                "aws_account_id": "000000000000",
                "release": "0" * 40,
                "instance_type": "t4g.small",
                "video_worker_memory_mib": 4096,
                "worker_heartbeat": False,
                "application_api_base_url": "http://52.78.10.20:8000",
                "video_worker_environment": {"VIDEO_WORKER_ID": "academy-video-worker-10"},
            },
            [
                *("aws_account_id: ", "123456789012 (arn:aws:"),
                f"must be at the commit that the release names ({'0' * 40})",
                *("instance_type: ", "needs at least 4096 MiB"),
                "(video_worker_memory_mib 4096) and 400 MiB for the system",
                *("API_BASE_URL ", "a public address", "VIDEO_WORKER_ID: two workers may not share it"),
            ],
        ),
        ("region", {"aws_region": "us-east-1"}, ["aws_region: must be ap-northeast-2", "aws_expected_region"]),
        (
            "opening",
            {"stage": "open", "public_name": "api.example.com"},
            [
                "stage: open needs an issued certificate for api.example.com, found no certificate",
                "stage: open needs a load balancer in 2 zones",
                "stage: open needs an API host that runs",
                "open에는 실행 중이고 등록된 API 호스트가 필요합니다",
            ],
        ),
        (
            "network",
            {"vpc_id": "vpc-00000000"},
            ["vpc_id: ", "has no subnet in this region", "이 리전에 서브넷이 없습니다"],
        ),
        (
            "undefined",
            {"database_password": "{{ vault_nowhere }}", "aws_account_id": "{{ vault_account }}"},
            ["vault_nowhere: database_password cannot be resolved", "vault_account: aws_account_id cannot be resolved"],
        ),
        (
            "types",
            {"queues_jobs": ["a"], "api_port": "http", "operator_cidrs": {}, "aws_region": "{{ vault_region }}"},
            ["queues_jobs: ", "api_port: ", "vault_region: aws_module_defaults cannot be resolved"],
        ),
        (
            "images",
            {"preflight_images": True, "release": "abc1234", "database_backup_retention_days": 1, "owner": "a&b"},
            [
                "release: ECR must have academy-api:abc1234",
                "database_backup_retention_days: must be 7 to 35",
                "owner: ",
            ],
        ),
    ],
)
def test_what_is_wrong_is_said(account: Account, name: str, variables: dict[str, Any], said: list[str]) -> None:
    before = account.writes()
    run = preflight(account, name, **variables).expect(2)
    output = " ".join(run.output.split())
    assert [text for text in said if text not in output] == []
    assert "Traceback" not in run.output
    assert re.search(r"\[오류\] .*[가-힣]", run.output)
    assert "pass@word" not in run.output
    assert account.writes() == before


@pytest.mark.parametrize("name", batches())
def test_every_wrong_input_of_many_is_said_at_once(account: Account, name: str) -> None:
    before = account.writes()
    given = batches()[name]
    run = preflight(account, name, **given).expect(2)
    subjects = set(SUBJECT.findall(run.output))
    assert [variable for variable in given if not any(variable in subject for subject in subjects)] == []
    assert len(given) > 30
    assert "Traceback" not in run.output
    assert account.writes() == before


def test_aws_that_does_not_answer_is_a_finding_beside_the_others(account: Account) -> None:
    run = preflight(
        account, "credentials", aws_access_key="UNKNOWNKEY0000000001",
        aws_secret_key="a-key-that-nobody-knows-at-all",
        aws_endpoint_url="http://127.0.0.1:9", database_backup_retention_days=1,
    ).expect(2)  # fmt: skip
    output = " ".join(run.output.split())
    assert "AWS credentials: AWS must answer in ap-northeast-2" in output
    assert "database_backup_retention_days" in output
    assert "Traceback" not in run.output


def test_a_real_account_without_credentials_is_a_finding_in_both_languages() -> None:
    nobody = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    run = support.playbook(
        "-i", "inventories/production/hosts.yml", "playbooks/preflight.yml", "-e", "aws_account_id=123456789012",
        name="preflight-nobody", environment={**nobody, "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"},
    ).expect(2)  # fmt: skip
    output = " ".join(run.output.split())
    for text in (
        "[ERROR] AWS credentials: AWS must answer in ap-northeast-2",
        "[오류] AWS credentials: 운영자의 자격 증명으로",
        "owner: must be filled in",
        "vault_database_password: database_password cannot be resolved",
    ):
        assert text in output
    assert "Traceback" not in run.output


def test_nothing_is_called_where_it_is_not_wanted(account: Account) -> None:
    preflight(account, "offline", aws_endpoint_url="http://127.0.0.1:9", preflight_aws=False).expect()


# --- the operator's permissions -------------------------------------------------------------------------------------


def somebody(account: Account, name: str, policies: dict[str, Any]) -> dict[str, Any]:
    """A user with these policies, as variables of a run."""
    iam = account.client("iam")
    iam.create_user(UserName=name)
    for policy, document in policies.items():
        made = iam.create_policy(PolicyName=f"{name}-{policy}", PolicyDocument=json.dumps(document))
        iam.attach_user_policy(UserName=name, PolicyArn=made["Policy"]["Arn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"aws_access_key": key["AccessKeyId"], "aws_secret_key": key["SecretAccessKey"]}


def said_by(run: support.Run) -> str:
    return " ".join(run.output.split())


def test_what_an_operator_lacks_is_said_with_the_document_that_grants_it(account: Account) -> None:
    granted = dict(operator_user.documents())
    granted["operator-policy-services"] = {
        **granted["operator-policy-services"],
        "Statement": [
            statement
            for statement in granted["operator-policy-services"]["Statement"]
            if statement["Sid"] not in {"KeepRoles", "KeepQueues"}
        ],
    }
    before = account.writes()
    keys = somebody(account, "without-two", granted)
    made = account.writes()
    output = said_by(preflight(account, "lacking", **keys).expect(2))
    assert before != made == account.writes()
    for text in (
        "2 finding(s) must be fixed first",
        "[ERROR] AWS permissions: arn:aws:iam::123456789012:user/without-two must be allowed what the run needs",
        "iam:PutRolePolicy",
        "on arn:aws:iam::123456789012:role/academy-*-role. ",
        "Attach docs/operator-policy-services.json (statement KeepRoles)",
        "sqs:SetQueueAttributes",
        "on arn:aws:sqs:ap-northeast-2:123456789012:academy-*. ",
        "Attach docs/operator-policy-services.json (statement KeepQueues)",
        "[오류] AWS permissions: arn:aws:iam::123456789012:user/without-two에게",
    ):
        assert text in output, text


def test_who_removes_nothing_is_only_told_so(account: Account) -> None:
    granted = {name: found for name, found in operator_user.documents().items() if not name.endswith("teardown")}
    output = said_by(preflight(account, "no-teardown", **somebody(account, "no-teardown", granted)).expect())
    assert "[WARNING] AWS permissions: " in output
    assert "[ERROR]" not in output
    assert "docs/operator-policy-teardown.json (statement EndHosts)" in output


@pytest.mark.parametrize("who", ["owner", "may not ask"])
def test_of_whom_iam_does_not_tell_is_a_warning(account: Account, who: str) -> None:
    if who == "owner":
        keys: dict[str, Any] = {
            "aws_access_key": settings.OPERATOR_ACCESS_KEY,
            "aws_secret_key": settings.OPERATOR_SECRET_KEY,
        }
    else:
        sees = {"Effect": "Allow", "Action": ["ec2:Describe*", "ssm:GetParameter"], "Resource": "*"}
        keys = somebody(account, "mute", {"sees": {"Version": "2012-10-17", "Statement": [sees]}})
    output = said_by(preflight(account, f"unknown-{who[:3]}", **keys).expect())
    assert output.count("[WARNING] AWS permissions: cannot tell whether") == 1
    assert "[ERROR]" not in output


def test_a_refusal_later_names_the_document_too(account: Account) -> None:
    # With what the deploy lock needs, which comes before.
    granted = {"Effect": "Allow", "Action": ["sqs:GetQueueUrl", "ssm:*Parameter*"], "Resource": "*"}
    keys = somebody(account, "blind", {"one": {"Version": "2012-10-17", "Statement": [granted]}})
    run = account.provision("blind", "--tags", "identity", "-e", json.dumps(keys)).expect(2)
    assert (
        "The operator lacks iam:GetRole on arn:aws:iam::123456789012:role/academy-api-role: "
        "docs/operator-policy-read.json grants it."
    ) in said_by(run)


# --- a team's own .env ----------------------------------------------------------------------------------------------

GOOD = {
    "SECRET_KEY": "u8Kq2vTnXw5Lr9Zc.4Bm7Hd1J",
    "DB_PASSWORD": "AcaDmY.x~y-z_12",
    "INTERNAL_WORKER_TOKEN": "Wk3tQ9mZp7Vx2Lb8Rd5Hf1Nc6Js4Ga0Y",
    "R2_ACCESS_KEY": "5d2f7a90c1e34b68a7f05cb9e8d1723a",
    "R2_SECRET_KEY": "9c41e7b6a05f2d83c7e94a1b60f8d253",
    "R2_ENDPOINT": "https://acc.r2.example.com",
    "R2_PUBLIC_BASE_URL": "https://media.example.com",
}


class Desk:
    """An operator's files, and the playbook that judges them."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / ".env"
        self.vault = directory / "vault.yml"
        self.password = directory / "vault-password"
        self.password.write_text(PASSWORD, encoding="utf-8")

    def write(self, values: dict[str, str]) -> None:
        self.file.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")

    def env(self, *arguments: str) -> support.Run:
        return support.playbook(
            "-i", "inventories/production/hosts.yml", "playbooks/env.yml",
            "-e", f"env_file={self.file}", "-e", f"env_vault_file={self.vault}",
            "--vault-password-file", str(self.password), "--diff", "-vvv", *arguments,
            name=f"env-{self.file.parent.name}",
        )  # fmt: skip

    def imported(self) -> str:
        """The vault as ansible-vault itself shows it."""
        command = Path(sys.executable).with_name("ansible-vault")
        return subprocess.run(
            [command, "view", "--vault-password-file", self.password, self.vault],
            cwd=support.ROOT, env=demo.environment({}), capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_broken_file_is_judged_by_line_and_nothing_is_imported(desk: Desk) -> None:
    desk.file.write_bytes(b'export SECRET_KEY="q7W$zz"\r\nDB_PASSWORD=q7W@zz\r\nNONE\n')
    # What the vault has an empty value for, it has not.
    run = desk.env("-e", "env_import=true", "-e", "vault_internal_worker_token=").expect(2)
    for text in (
        "INTERNAL_WORKER_TOKEN: is missing",
        "line 1: SECRET_KEY: stands in quotes",
        "line 1: ends in CR LF",
        "line 2: DB_PASSWORD: ",
        "line 3: has no =",
    ):
        assert text in run.output
    assert "q7W" not in run.output
    assert "Traceback" not in run.output
    assert not desk.vault.exists()


def test_a_line_of_a_secret_is_no_setting(desk: Desk) -> None:
    desk.file.write_text('SECRET_KEY="-----BEGIN\nDB_NAME=q7Wzz\n-----END"\n', encoding="utf-8")
    run = desk.env().expect(2)
    assert "line 1: SECRET_KEY: " in run.output
    assert "q7W" not in run.output


def test_secrets_go_into_the_vault_and_nowhere_else(desk: Desk) -> None:
    desk.write(GOOD)
    assert desk.env("-e", "env_import=true", "--check").expect().changed() == {"localhost": 1}
    assert not desk.vault.exists()
    run = desk.env("-e", "env_import=true").expect()
    assert run.changed() == {"localhost": 1}
    assert desk.vault.stat().st_mode & 0o777 == 0o600
    assert desk.vault.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256")
    secrets = {name: value for name, value in GOOD.items() if "R2_E" not in name and "R2_P" not in name}
    assert all(value in desk.imported() for value in secrets.values())
    assert not any(value in run.output for value in secrets.values())
    assert "application_r2_endpoint: https://acc.r2.example.com" in run.output
    assert desk.env("-e", "env_import=true").expect().changed() == {"localhost": 0}


def test_what_the_vault_holds_is_replaced_with_consent_alone(desk: Desk) -> None:
    desk.write(GOOD)
    desk.env("-e", "env_import=true").expect()
    before = desk.vault.read_bytes()
    desk.write({**GOOD, "SECRET_KEY": "Zt6mP1xQ8vKe4RbW9nLs"})
    run = desk.env("-e", "env_import=true").expect(2)
    assert "vault_secret_key differ from what the vault holds" in " ".join(run.output.split())
    assert desk.vault.read_bytes() == before
    desk.env("-e", "env_import=true", "-e", "env_overwrite=vault_secret_key").expect()
    assert "Zt6mP1xQ8vKe4RbW9nLs" in desk.imported()
    assert GOOD["DB_PASSWORD"] in desk.imported()


def test_a_vault_that_cannot_be_opened_or_is_plain_is_left_alone(desk: Desk) -> None:
    desk.write(GOOD)
    desk.vault.write_text("vault_secret_key: plain\n", encoding="utf-8")
    assert "is not encrypted" in desk.env("-e", "env_import=true").expect(2).output
    assert desk.vault.read_text(encoding="utf-8") == "vault_secret_key: plain\n"
    desk.vault.unlink()
    desk.env("-e", "env_import=true").expect()
    before = desk.vault.read_bytes()
    desk.password.write_text("another", encoding="utf-8")
    assert "vault password" in desk.env("-e", "env_import=true").expect(2).output
    assert desk.vault.read_bytes() == before
