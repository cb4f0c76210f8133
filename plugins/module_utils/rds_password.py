# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a master user name and password of RDS for PostgreSQL, and with the way they travel.

A password goes to RDS, into an env file that four readers understand differently, and sometimes through a shell.
No message says anything of the value itself: neither a character of it nor its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .placeholders import is_published, is_unfilled_secret

USERNAME_LENGTHS = range(1, 17)
PASSWORD_LENGTHS = range(8, 129)
PASSWORD_RECOMMENDED_LENGTH = 12
PASSWORD_LONG_LENGTH = 20
# A shorter user name is inside by chance.
TELLING_USERNAME_LENGTH = 4
FEWEST_CLASSES = 3
FEWEST_DIFFERENT = 5

# RDS refuses these (facts 1.1 to 1.3); the quote mark ' is refused by its console and by the guide.
REFUSED_BY_RDS = frozenset("/'\"@")
# Readers of env files expand, unescape or keep these, each in its own way (facts 6.5 to 6.8).
READ_DIFFERENTLY = frozenset("$\\`")
# Ansible resolves such a variable before anybody sees it.
TEMPLATE = re.compile(r"\{[{%#]")
# Harmless in a file, not in a shell that somebody pastes them into.
SPECIAL_IN_SHELLS = frozenset("#%!")

CLASSES = tuple(map(re.compile, ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]")))

# Kept by RDS for itself (facts 1.5), and the words that PostgreSQL 16 does not take as a name (its documentation,
# appendix C; catcode R and T of pg_get_keywords()).
# What it keeps for itself among the names of roles alone (CREATE ROLE refuses them).
RESERVED_ROLES = frozenset({"none", "public"})
RESERVED_BY_RDS = frozenset({"admin", "rdsadmin", "rdsrepladmin"})
_RESERVED_WORDS = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
concurrently constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning
right select session_user similar some symmetric system_user table tablesample then to trailing true union unique user
using variadic verbose when where window with
"""
RESERVED_BY_POSTGRESQL = frozenset(_RESERVED_WORDS.split())


class Finding(NamedTuple):
    """One broken rule."""

    rule: str
    subject: str  # master_username or master_password
    message: str


@dataclass(frozen=True)
class Findings:
    """Violations must be fixed; cautions are somebody's choice."""

    violations: list[Finding]
    cautions: list[Finding]


# The rules once more, for the report that is read in Korean.
KOREAN = {
    "username_length": "1~16자여야 합니다",
    "username_characters": "영문자, 숫자, 밑줄만 쓸 수 있습니다",
    "username_first_letter": "문자로 시작해야 합니다",
    "username_reserved_by_rds": "RDS가 예약한 이름입니다",
    "username_reserved_by_postgresql": "PostgreSQL 예약어이거나 pg_로 시작합니다",
    "password_length": "8~128자여야 합니다",
    "password_printable_ascii": "공백 없는 인쇄 가능 ASCII여야 합니다",
    "password_refused_by_rds": "/ ' \" @ 는 RDS가 거부하므로 쓸 수 없습니다",
    "password_read_differently": "$, \\, 백틱(`)은 env 파일을 읽는 프로그램과 셸마다 다르게 바꾸므로 쓸 수 없습니다",
    "password_template": "{{, {%, {# 은 Ansible이 템플릿으로 읽으므로 쓸 수 없습니다",
    "password_leading_hash": "#로 시작하면 env 파일에서 주석으로 읽힙니다",
    "password_published": "가이드에 인쇄된 예시 비밀번호이므로 누구나 알고 있습니다",
    "password_placeholder": "자리 표시자이거나 누구나 먼저 시도하는 단어로 된 비밀번호입니다",
    "password_contains_username": "마스터 사용자 이름을 포함할 수 없습니다",
    "password_few_classes": "소문자, 대문자, 숫자, 기호 중 3종류를 섞거나 20자 이상이어야 합니다",
    "password_few_different": "서로 다른 글자가 5개 이상이어야 합니다",
    "password_short": "가이드 권장대로 12자 이상이 좋습니다",
    "password_special_in_shells": "#, %, ! 는 셸이나 퍼센트 인코딩이 바꿀 수 있습니다. 영문, 숫자, ._~- 가 안전합니다",
}


def check(username: str, password: str) -> Findings:
    """Everything that is wrong, at once."""
    return Findings(
        [
            *_broken("master_username", _username_rules(username)),
            *_broken("master_password", _rules(username, password)),
        ],
        _broken("master_password", _cautions(password)),
    )


Rules = Iterable[tuple[str, bool, str]]


def _broken(subject: str, rules: Rules) -> list[Finding]:
    return [Finding(rule, subject, message) for rule, holds, message in rules if not holds]


def _username_rules(username: str) -> Rules:
    """Facts 1.5; botocore rds CreateDBInstanceMessage.MasterUsername."""
    name = username.lower()
    yield (
        "username_length",
        len(username) in USERNAME_LENGTHS,
        f"must have {USERNAME_LENGTHS[0]} to {USERNAME_LENGTHS[-1]} characters; shorten it, or give one",
    )
    yield (
        "username_characters",
        re.fullmatch("[A-Za-z0-9_]*", username) is not None,
        "must be made of letters, digits and underscores; take out everything else",
    )
    yield (
        "username_first_letter",
        not username or re.match("[A-Za-z]", username) is not None,
        "must begin with a letter",
    )
    yield (
        "username_reserved_by_rds",
        name not in RESERVED_BY_RDS,
        "is a name that RDS keeps for itself; choose another, such as academy_user",
    )
    yield (
        "username_reserved_by_postgresql",
        name not in RESERVED_BY_POSTGRESQL | RESERVED_ROLES and not name.startswith("pg_"),
        "is a reserved word of PostgreSQL, or begins with pg_; choose another, such as academy_user",
    )


def _rules(username: str, password: str) -> Rules:
    classes = sum(1 for pattern in CLASSES if pattern.search(password))
    yield (
        "password_length",
        len(password) in PASSWORD_LENGTHS,
        f"must have {PASSWORD_LENGTHS[0]} to {PASSWORD_LENGTHS[-1]} characters",
    )
    yield (
        "password_printable_ascii",
        all("!" <= character <= "~" for character in password),
        "must be printable ASCII without spaces: RDS takes no other, and no line break survives an env file",
    )
    yield (
        "password_refused_by_rds",
        not REFUSED_BY_RDS & set(password),
        "must not contain / ' \" or @: RDS refuses them (the ' its console and the guide)",
    )
    yield (
        "password_read_differently",
        not READ_DIFFERENTLY & set(password),
        "must not contain $, \\ or a backtick: readers of env files and shells change them, each in its own way",
    )
    yield (
        "password_template",
        TEMPLATE.search(password) is None,
        "must not contain {{, {% or {#: Ansible takes the rest for a template",
    )
    yield (
        "password_leading_hash",
        not password.startswith("#"),
        "must not begin with #: readers of env files take the rest for a comment",
    )
    yield (
        "password_published",
        not is_published(password),
        "is the example that the guide prints, which everybody knows; choose one of your own",
    )
    yield (
        "password_placeholder",
        is_published(password) or not is_unfilled_secret(password),
        "is a placeholder, or made of words that everybody tries first; choose one of your own",
    )
    yield (
        "password_contains_username",
        len(username) < TELLING_USERNAME_LENGTH or username.lower() not in password.lower(),
        "must not contain the user name; choose one of your own",
    )
    yield (
        "password_few_classes",
        classes >= FEWEST_CLASSES or len(password) >= PASSWORD_LONG_LENGTH,
        f"must mix {FEWEST_CLASSES} of lower case, upper case, digits and other characters, or have "
        f"{PASSWORD_LONG_LENGTH} characters and more",
    )
    yield (
        "password_few_different",
        len(set(password)) >= FEWEST_DIFFERENT,
        f"must have {FEWEST_DIFFERENT} different characters and more",
    )


def _cautions(password: str) -> Rules:
    yield (
        "password_short",
        len(password) >= PASSWORD_RECOMMENDED_LENGTH,
        f"should have {PASSWORD_RECOMMENDED_LENGTH} characters and more, as the guide says",
    )
    yield (
        "password_special_in_shells",
        not SPECIAL_IN_SHELLS & set(password),
        "contains #, % or !, which a shell or a percent-encoding changes when it is pasted somewhere; "
        "letters, digits and ._~- are safe everywhere",
    )
