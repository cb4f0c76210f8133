# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The production inventory, filled in by the README's own commands; only the environment says who calls AWS.

No host comes up here: what needs hosts is proven on the whole embedded cloud.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from localcloud import settings
from localcloud.wire import is_write
from tests import readme
from tests.desk import FILLED_IN, INVENTORY, SECRETS, Desk
from tests.integration.provision.conftest import PLAYBOOK, Account

HOSTS = 5
# A dry run on an empty account cannot ask these; whatever else the first run needs, it asks: network, types, image.
OF_WHAT_THE_RUN_MADE = {
    "ec2.DescribeInstanceAttribute", "ec2.DescribeInstanceStatus", "ec2.DescribeTags", "ec2.DescribeVolumes",
    "ecr.GetLifecyclePolicy", "ecr.GetRepositoryPolicy", "events.ListTargetsByRule", "iam.ListAttachedRolePolicies",
    "iam.ListRolePolicies", "lambda.GetFunctionConfiguration", "lambda.GetFunctionEventInvokeConfig",
    "lambda.GetPolicy", "logs.ListTagsLogGroup", "rds.ListTagsForResource", "sns.ListSubscriptionsByTopic",
    "sns.ListTagsForResource", "sns.ListTopics", "sqs.GetQueueAttributes", "sqs.ListQueueTags",
}  # fmt: skip


@pytest.fixture(scope="module")
def desk(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    directory = tmp_path_factory.mktemp("operator")
    desk = Desk(
        directory,
        {
            "HOME": str(directory),
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LC_ALL": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": settings.OPERATOR_ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": settings.OPERATOR_SECRET_KEY,
            "AWS_ENDPOINT_URL": account.url,
        },
    )
    desk.set_up()
    (directory / ".ssh").mkdir()
    (directory / ".ssh" / "id_ed25519.pub").write_bytes(settings.OPERATOR_KEY.with_suffix(".pub").read_bytes())
    return desk


def reads(account: Account) -> set[str]:
    return {name for name in account.calls() if not is_write(name.partition(".")[2])}


def test_the_readmes_way_to_a_real_account_ends_with_a_dry_run_that_writes_nothing(
    desk: Desk, account: Account
) -> None:
    # Those of the Korean one are the same, as a unit test sees.
    *_, activate, copy = readme.blocks(readme.section(readme.ENGLISH, "On a real account"))[:4]
    following = readme.blocks(readme.section(readme.ENGLISH, "On a real account"))[4:]
    real_run = following.pop()
    assert activate == ". .venv/bin/activate"
    assert real_run == f"ansible-playbook site.yml -i {INVENTORY} -e release=$RELEASE"
    assert following[-1] == f"{real_run} --check --diff"
    desk.shell("production-copy", copy).expect()
    first = desk.shell("production-first-look", f"ansible-playbook playbooks/preflight.yml -i {INVENTORY}/hosts.yml")
    assert [name for name in ("aws_account_id", "owner") if f"{name}: must be filled in" not in first.output] == []
    desk.fill_in(FILLED_IN)
    desk.write_environment_file()
    run = desk.shell("production-readme", *following).expect()
    assert account.writes() == {}
    assert "ssm.GetParameter" in account.calls()
    vault = (desk.inventory / "group_vars" / "all" / "vault.yml").read_text(encoding="utf-8")
    assert vault.startswith("$ANSIBLE_VAULT")
    assert [name for name, value in SECRETS.items() if value in run.output] == []


def test_provisioning_asks_nothing_first_that_the_dry_run_did_not_ask(desk: Desk, account: Account) -> None:
    before = reads(account)
    provision = f"ansible-playbook {PLAYBOOK} -i {INVENTORY}"
    vault = "export ANSIBLE_VAULT_PASSWORD_FILE=~/.academy-vault-password RELEASE=$(git -C ../academy rev-parse HEAD)"
    desk.shell("production-provision", vault, f"{provision} -e release=$RELEASE").expect()
    assert len(account.instances()) == HOSTS
    assert reads(account) - before == OF_WHAT_THE_RUN_MADE
    again = desk.shell("production-again", vault, f"{provision} -e release=$RELEASE").expect()
    assert len(again.changed()) == HOSTS + 1
    assert set(again.changed().values()) == {0}
