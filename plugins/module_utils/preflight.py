# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is wrong with a deployment's inputs, before anything is changed.

The rules are those by which the roles refuse; here they are asked all at once. A rule is asked where all that it judges
is there and of its type: what is not has a finding of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from .application_environment import JUDGED_AS_INPUTS, gets, judged_findings, own_findings, table_findings
from .ecr import EcrError, validate_tag
from .findings import NOT_SHOWN, Finding, Words, of_hosts
from .instances import JUDGED_BY_AWS, launch_findings, memory_findings
from .name_rules import (
    account_findings,
    deployment_name_findings,
    platform_findings,
    tag_findings,
)
from .network import KOREAN
from .placeholders import unfilled
from .plan import Rule
from .plan.queues import LONGEST_WAIT_SECONDS
from .plan.roles import ROLES
from .role_inputs import judge_inputs, range_findings, unresolved_findings
from .services import kinds_of_hosts, on_host, rows

Options = Mapping[str, Mapping[str, Any]]
Values = Mapping[str, Any]

# How AWS is called.
CONNECTION = "aws_module_defaults"
KIND = "instance_kind"
# What the rules here judge beyond the inputs of roles.
CONTROL_OPTIONS: Options = {
    "aws_expected_region": {"type": "str", "required": True},
    "aws_account_id": {"type": "str", "required": True},
    CONNECTION: {"type": "dict"},
    "aws_region": {"type": "str", "required": True},
    "deployment_name": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "image_platform": {"type": "str", "required": True},
    "operator_address_url": {"type": "str"},
    "owner": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "services": {"type": "dict", "required": True},
    "stage": {"type": "str", "required": True, "choices": ["test", "open"]},
    "worker_wait_seconds": {"type": "int", "required": True},
}

# <deployment_name>-<kind>-role has 64 characters at most.
KIND_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_KIND = 34
# What EC2 takes as a key pair.
PUBLIC_KEY = re.compile(r"(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/]{60}")


@dataclass(frozen=True)
class Subject:
    """The control node or a host: its variables, as far as they can be resolved, and why others cannot."""

    values: Values
    options: Options
    unresolved: Mapping[str, str] = field(default_factory=dict)
    groups: Sequence[str] = ()


@dataclass(frozen=True)
class Judged:
    values: Values
    findings: list[Finding]


def placeholder_findings(names: Iterable[str]) -> list[Finding]:
    return [
        Finding(
            "placeholder",
            name,
            "CHANGE-ME",
            Words("must be filled in", "값을 채워야 합니다"),
            Words(
                "Name a release on the command line: -e release=<git-sha>."
                if name == "release"
                else "Set it in the inventory's group_vars/all.",
                "명령줄에서 릴리스를 지정하십시오: -e release=<git-sha>."
                if name == "release"
                else "인벤토리의 group_vars/all에 설정하십시오.",
            ),
        )
        for name in names
    ]


def judge_subject(subject: Subject) -> Judged:
    """Inputs of roles by their argument specs. What could not be resolved is no missing input as well."""
    options = {name: spec for name, spec in subject.options.items() if name not in subject.unresolved}
    values, findings = judge_inputs(subject.values, options)
    return Judged(values, [*unresolved_findings(subject.unresolved), *findings])


def _release_findings(release: str) -> list[Finding]:
    try:
        validate_tag(release)
    except EcrError as error:
        return [
            Finding(
                "release",
                "release",
                f"'{release}'",
                Words(str(error).partition(";")[0], "이미지 태그로 쓸 수 없는 값입니다('latest' 포함)"),
                Words("Name a commit: -e release=<git-sha>.", "커밋을 지정하십시오: -e release=<git-sha>."),
            )
        ]
    return []


# What no role decides by itself.
CONTROL_RULES = (
    Rule(account_findings, ("aws_account_id", "aws_region", "aws_expected_region")),
    Rule(deployment_name_findings, ("deployment_name",)),
    *(Rule(partial(tag_findings, name), (name,)) for name in ("environment_name", "owner")),
    Rule(_release_findings, ("release",)),
    Rule(platform_findings, ("image_platform",)),
    Rule(
        lambda seconds: range_findings("worker_wait_seconds", seconds, 1, LONGEST_WAIT_SECONDS),
        ("worker_wait_seconds",),
    ),
)


def role_findings(values: Values, *, of_host: bool) -> list[Finding]:
    """What the rules of the roles that decide for hosts, or of all others, have against the inputs."""
    return [finding for role in ROLES.values() if role.judges_hosts == of_host for finding in role.findings(values)]


def control_findings(values: Values) -> list[Finding]:
    own = [finding for rule in CONTROL_RULES for finding in rule.findings(values)]
    return [*own, *role_findings(values, of_host=False)]


def kind_findings(kind: str, kinds: Collection[str] | None) -> list[Finding]:
    """Only a kind whose hosts run a service has a role; none are given where the services are unknown."""
    if not (KIND_NAME.fullmatch(kind) and len(kind) <= LONGEST_KIND):
        return [
            Finding(
                "instance_kind_name",
                KIND,
                f"'{kind}'",
                Words(
                    "becomes a part of a role's name, so it must be lower-case letters, digits and single hyphens, "
                    f"{LONGEST_KIND} characters at most",
                    f"역할 이름의 일부이므로 영문 소문자, 숫자, 하이픈(연속 불가) {LONGEST_KIND}자 이하여야 합니다",
                ),
                Words("Leave it as the guide's group_vars have it.", "가이드의 group_vars 값을 그대로 두십시오."),
            )
        ]
    if kinds is None or kind in kinds:
        return []
    return [
        Finding(
            "instance_kind",
            "instance_kind",
            f"'{kind}'",
            Words(
                f"must be the kind of a host that runs a service: {', '.join(kinds)}",
                f"서비스를 실행하는 호스트의 종류({', '.join(kinds)}) 중 하나여야 합니다",
            ),
            Words(
                "Correct it, or put the host into the group of a service in hosts.yml.",
                "고치거나 hosts.yml에서 호스트를 서비스의 그룹에 넣으십시오.",
            ),
        )
    ]


def own_settings(hosts: Mapping[str, Subject]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """What the rows give the services of each host, of themselves and as workers."""
    own: dict[str, dict[str, Mapping[str, Any]]] = {}
    for host, subject in hosts.items():
        services, shared = subject.values.get("services"), subject.values.get("worker_environment")
        found = on_host(services, subject.groups) if isinstance(services, Mapping) else {}
        own[host] = {
            service: {**(shared if row.receives_from and isinstance(shared, Mapping) else {}), **row.environment}
            for service, row in found.items()
        }
    return own


def environment_findings(
    table: Mapping[str, Any],
    services: Mapping[str, Any],
    values: Values,
    unresolved: Mapping[str, str],
    own: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> list[Finding]:
    """The application's values that some service here gets. What are inputs of roles too is judged as such.

    `own` is what services are given beside the table, by host and service: of all that have a host.
    """
    malformed = table_findings(table, services)
    if malformed:
        return malformed
    known = rows(services)
    elsewhere = {name for name, row in table.items() if row.get("type") in JUDGED_AS_INPUTS}
    findings = unresolved_findings({name: why for name, why in unresolved.items() if name not in elsewhere})
    for name, row in table.items():
        # What nobody has filled in is told by its variable.
        judged = name in elsewhere or name not in values or unfilled({name: values[name]})
        # What AWS gives may not be there yet. A load balancer's name is what somebody chose.
        chosen = row.get("type") == "api_url" and row.get("stage") == "open"
        pending = row.get("source") == "aws" and values.get(name) == "" and not chosen
        if not judged and not pending and any(gets(row, service, known) for given in own.values() for service in given):
            findings += judged_findings(name, row, values[name])
    return findings + own_findings(table, own, known)


def aws_findings(state: Mapping[str, Any], account_id: str, hosts: Iterable[Values]) -> list[Finding]:
    """What AWS's answer (aws_state.observe's) has against it."""
    findings = []
    caller = state.get("caller")
    if caller and caller["account"] != account_id:
        findings.append(
            Finding(
                "account",
                "aws_account_id",
                f"{caller['account']} ({caller['arn']})",
                Words(
                    f"the credentials in use must belong to account {account_id}",
                    f"사용 중인 자격 증명이 계정 {account_id}의 것이어야 합니다",
                ),
                Words(
                    "Use the other account's credentials, or the inventory that belongs to this one.",
                    "그 계정의 자격 증명을 쓰거나, 이 계정의 인벤토리를 쓰십시오.",
                ),
            )
        )
    for host in hosts:
        findings += [
            *(launch_findings(host, state) if "network" in state else []),
            *(memory_findings(host, state) if "instance_types" in state else []),
        ]
    return findings


def network_findings(message: str) -> list[Finding]:
    """The network's own refusal, which names its variable first."""
    variable, _, rest = message.partition(": ")
    return [
        Finding(
            "network",
            variable,
            NOT_SHOWN,
            Words(rest.rstrip("."), next(korean for begin, korean in KOREAN.items() if rest.startswith(begin))),
            Words("See vpc_id and subnet_ids.", "vpc_id와 subnet_ids를 확인하십시오."),
        )
    ]


def unreachable_findings(message: str, region: str) -> list[Finding]:
    """AWS did not answer as it should: no credentials, wrong ones, no permission, or no way there."""
    return [
        Finding(
            "aws",
            "AWS credentials",
            message,
            Words(
                f"AWS must answer in {region}, with the operator's own credentials",
                f"운영자의 자격 증명으로 {region}의 AWS가 응답해야 합니다",
            ),
            Words(
                "Set them up (aws configure: values alone, no $env:; or AWS_PROFILE); see aws sts get-caller-identity.",
                "aws configure(값만, $env: 없이)나 AWS_PROFILE로 설정하고 aws sts get-caller-identity로 보십시오.",
            ),
        )
    ]


def image_findings(images: Mapping[str, Mapping[str, Any] | None], release: str, platform: str) -> list[Finding]:
    """Images of the release by repository; None where ECR has none."""
    findings = []
    build = Words("Build and push it: playbooks/images.yml.", "빌드하고 푸시하십시오: playbooks/images.yml.")
    for repository, image in images.items():
        if image is None:
            rule = Words(f"ECR must have {repository}:{release}", f"ECR에 {repository}:{release}가 있어야 합니다")
            findings.append(Finding("image", "release", "no such image", rule, build))
        elif platform not in image["platforms"]:
            rule = Words(
                f"{repository}:{release} must be built for {platform} (image_platform)",
                f"{repository}:{release}는 {platform}(image_platform)용이어야 합니다",
            )
            findings.append(Finding("image_platform", "release", ", ".join(image["platforms"]), rule, build))
    return findings


def public_key_findings(path: str, text: str | None) -> list[Finding]:
    """What a new key pair is made of; no text where there is no such file."""
    if text is None:
        words = Words("must name a file on this machine", "이 컴퓨터에 있는 파일이어야 합니다")
        found = f"no file {path}"
    elif not PUBLIC_KEY.match(text):
        words = Words(
            "must be an RSA or ED25519 public key as OpenSSH writes it",
            "OpenSSH 형식의 RSA 또는 ED25519 공개 키여야 합니다",
        )
        found = f"something else in {path}"
    else:
        return []
    remedy = Words(
        "Name the .pub file, or make one: ssh-keygen -t ed25519.",
        ".pub 파일을 쓰거나 ssh-keygen -t ed25519로 만드십시오.",
    )
    return [Finding("public_key", "instance_public_key_file", found, words, remedy)]


def once(findings: Iterable[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))


def groups_of(hosts: Mapping[str, Subject]) -> dict[str, list[str]]:
    """The groups of the inventory, as far as these hosts are in them."""
    groups: dict[str, list[str]] = {}
    for host, subject in hosts.items():
        for group in subject.groups:
            groups.setdefault(group, []).append(host)
    return groups


def judge(
    control: Subject, hosts: Mapping[str, Subject], placeholders: Iterable[str]
) -> tuple[list[Finding], Values, list[Values]]:
    """All that needs no AWS: findings, the control node's values, and those of hosts for the rules that need it."""
    judged = judge_subject(replace(control, options={**control.options, **CONTROL_OPTIONS}))
    values = judged.values
    by_host: dict[str, list[Finding]] = {}
    complete: list[Values] = []
    judged_hosts = {host: judge_subject(subject) for host, subject in hosts.items()}
    inventory = {
        "groups": groups_of(hosts),
        "kinds": {host: found.values[KIND] for host, found in judged_hosts.items() if KIND in found.values},
    }
    kinds = kinds_of_hosts(values["services"], **inventory) if "services" in values else None
    for host, found in judged_hosts.items():
        subject = hosts[host]
        own = {**found.values, "inventory_hostname": host, "group_names": subject.groups}
        by_host[host] = [*found.findings, *role_findings(own, of_host=True)]
        if KIND in own:
            by_host[host] += kind_findings(own[KIND], kinds)
        if all(name in own for name in JUDGED_BY_AWS):
            complete.append(own)
    left_open = set(placeholders)
    findings = [
        *placeholder_findings(sorted(left_open)),
        *judged.findings,
        *control_findings({**{name: value for name, value in values.items() if name not in left_open}, **inventory}),
        *of_hosts(by_host),
    ]
    return once(findings), values, complete
