# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that AWS would refuse, found before anything is created."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from .findings import Finding, Words

# ECR wants lower case, a target group's name has 32 characters ("-api" of ours among them), a role's 64.
# SSM keeps what begins with "aws" or "ssm" to itself.
DEPLOYMENT_NAME = re.compile(r"(?!aws|ssm)[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_DEPLOYMENT_NAME = 24
SECURITY_GROUP_NAME = re.compile(r"[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}")
SUBNET_GROUP_NAME = re.compile(r"[a-z0-9][a-z0-9 ._-]{0,254}")
ACCOUNT_ID = re.compile(r"\d{12}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
PLATFORM = re.compile(r"linux/(arm64|amd64)")

# What IAM, RDS, Logs and Lambda take in a tag's value besides letters, digits and blanks (their API models).
TAG_SYMBOLS = "_.:/=+-@"
LONGEST_TAG_VALUE = 256
TAG_CATEGORIES = "LNZ"

_RENAME = Words("Rename it.", "이름을 바꾸십시오.")


def deployment_name_findings(name: str) -> list[Finding]:
    if DEPLOYMENT_NAME.fullmatch(name) and len(name) <= LONGEST_DEPLOYMENT_NAME:
        return []
    return [
        Finding(
            "deployment_name",
            "deployment_name",
            f"'{name}'",
            Words(
                "every name begins with it, so it must be lower-case letters, digits and single hyphens, beginning "
                f"with a letter and not with aws or ssm, {LONGEST_DEPLOYMENT_NAME} characters at most",
                "모든 이름이 이것으로 시작하므로 영문 소문자, 숫자, 하이픈(연속 불가)이고 문자(aws, ssm 제외)로 "
                f"시작하며 {LONGEST_DEPLOYMENT_NAME}자 이하여야 합니다",
            ),
            Words("Choose another, such as academy.", "academy처럼 다른 이름을 고르십시오."),
        )
    ]


def tag_findings(variable: str, value: str) -> list[Finding]:
    """Of a variable whose value everything carries as a tag."""
    taken = all(letter in TAG_SYMBOLS or unicodedata.category(letter)[0] in TAG_CATEGORIES for letter in value)
    if taken and value.strip() and len(value) <= LONGEST_TAG_VALUE and not value.startswith(("aws:", "rds:")):
        return []
    return [
        Finding(
            "tag_value",
            variable,
            f"'{value}'",
            Words(
                f"becomes a tag, so it must be 1 to {LONGEST_TAG_VALUE} letters, digits, blanks and {TAG_SYMBOLS}, and "
                "must not begin with aws: or rds:",
                f"태그 값이므로 문자, 숫자, 공백, {TAG_SYMBOLS} 1~{LONGEST_TAG_VALUE}자이고 aws: 나 rds: 로 시작하지 "
                "않아야 합니다",
            ),
            Words("Choose another, such as a name or an e-mail address.", "이름이나 이메일 주소처럼 쓰십시오."),
        )
    ]


def security_group_name_findings(names: Mapping[str, str]) -> list[Finding]:
    findings = [
        Finding(
            "security_group_name",
            f"network_security_group_names.{key}",
            f"'{name}'",
            Words(
                "must be 1 to 255 ASCII characters and must not begin with sg-",
                "ASCII 1~255자이고 sg-로 시작하지 않아야 합니다",
            ),
            _RENAME,
        )
        for key, name in names.items()
        if not SECURITY_GROUP_NAME.fullmatch(name) or name.lower().startswith("sg-")
    ]
    if len(set(names.values())) < len(names):
        findings.append(
            Finding(
                "security_group_shared",
                "network_security_group_names",
                ", ".join(names.values()),
                Words("each group needs a name of its own", "보안 그룹마다 이름이 달라야 합니다"),
                _RENAME,
            )
        )
    return findings


def subnet_group_name_findings(name: str) -> list[Finding]:
    if SUBNET_GROUP_NAME.fullmatch(name) and name != "default":
        return []
    return [
        Finding(
            "database_subnet_group_name",
            "database_subnet_group_name",
            f"'{name}'",
            Words(
                "must be 1 to 255 lower-case letters, digits, dots, hyphens, underscores and blanks, and not 'default'",
                "영문 소문자, 숫자, 점, 하이픈, 밑줄, 공백 1~255자이고 'default'가 아니어야 합니다",
            ),
            _RENAME,
        )
    ]


def region_broken(region: str) -> Iterator[tuple[Words, Words]]:
    """What is wrong with a region's name, and what to do."""
    if REGION.fullmatch(region):
        return
    if REGION.fullmatch(region[:-1]) and region[-1:].islower():
        yield (
            Words("must be a region, and is one of its availability zones", "리전이어야 하는데 가용 영역입니다"),
            Words(f"Leave the last letter out: {region[:-1]}.", f"마지막 글자를 빼십시오: {region[:-1]}."),
        )
    else:
        yield (
            Words("must be a region's name", "리전 이름이어야 합니다"),
            Words("Write it as AWS does, such as ap-northeast-2.", "ap-northeast-2처럼 쓰십시오."),
        )


def account_findings(account_id: str, region: str, expected_region: str) -> list[Finding]:
    findings = []
    if not ACCOUNT_ID.fullmatch(account_id):
        findings.append(
            Finding(
                "aws_account_id",
                "aws_account_id",
                f"'{account_id}'",
                Words("must be twelve digits", "12자리 숫자여야 합니다"),
                Words(
                    'Write it in quotes, "123456789012" (aws sts get-caller-identity shows it).',
                    '"123456789012"처럼 따옴표로 쓰십시오(aws sts get-caller-identity).',
                ),
            )
        )
    if not REGION.fullmatch(region) or region != expected_region:
        findings.append(
            Finding(
                "aws_region",
                "aws_region",
                f"'{region}'",
                Words(
                    f"must be {expected_region} (aws_expected_region; guide §1 says ap-northeast-2)",
                    f"{expected_region}이어야 합니다(aws_expected_region, 가이드 §1: ap-northeast-2)",
                ),
                Words(
                    "If another region is meant, set aws_expected_region to it too, and aws_ec2.yml.",
                    "다른 리전이 맞다면 aws_expected_region과 aws_ec2.yml도 같게 하십시오.",
                ),
            )
        )
    return findings


def platform_findings(platform: str) -> list[Finding]:
    if PLATFORM.fullmatch(platform):
        return []
    return [
        Finding(
            "image_platform",
            "image_platform",
            f"'{platform}'",
            Words("must be linux/arm64 or linux/amd64", "linux/arm64 또는 linux/amd64여야 합니다"),
            Words("t4g hosts are linux/arm64.", "t4g 호스트는 linux/arm64입니다."),
        )
    ]
