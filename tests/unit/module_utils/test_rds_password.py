# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule of user names and passwords, and the promise behind them: no reader of env files changes what passes."""

from __future__ import annotations

import io
import re
import string
from hashlib import sha256
from pathlib import Path

import pytest
from ansible_collections.community.docker.plugins.module_utils._api.utils.utils import parse_env_file
from dotenv import dotenv_values
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plugins.module_utils import placeholders, rds_password
from plugins.module_utils.environment_file import value_problems
from plugins.module_utils.rds_password import RESERVED_BY_POSTGRESQL, RESERVED_BY_RDS, check

GOOD_NAME = "academy_user"
GOOD = "AcaDmY.x~y-z_12"
PRINTABLE = string.ascii_letters + string.digits + string.punctuation

USERNAMES = {
    "username_length": ["", "a" * 17],
    "username_characters": ["a-b", "a b", "한글", "a.b", "a\n"],
    "username_first_letter": ["1st", "_a", "-a"],
    "username_reserved_by_rds": ["admin", "ADMIN", "rdsadmin", "rdsrepladmin"],
    "username_reserved_by_postgresql": ["user", "Table", "all", "select", "pg_user", "PG_x", "public", "NONE"],
}
PASSWORDS = {
    "password_length": ["Aa1.xyz", "Ab3." + "x" * 125, ""],
    "password_printable_ascii": ["AcaDmY x~y-z_12", "AcaDmY.x~y-z_1é", "AcaDmY.x~y-z_12\n", "비밀번호비밀번호Aa1"],
    "password_refused_by_rds": [f"AcaDmY{character}x~y-z_12" for character in "/'\"@"],
    "password_read_differently": [f"AcaDmY{character}x~y-z_12" for character in "$\\`"],
    "password_template": ["AcaDmY{{x~y-z_12", "AcaDmY{%x~y-z_12", "AcaDmY{#x~y-z_12"],
    "password_leading_hash": ["#caDmY.x~y-z_12"],
    "password_placeholder": ["YourSecurePassword123", "P@ssw0rd-2024", "팀_공유_비밀번호로_변경", "<DB_PASSWORD>"],
    "password_contains_username": ["x1.academy_user.Y", "ACADEMY_USER.x~y-1"],
    "password_few_classes": ["abcdefghijkl", "abcdefgh1234", "ABCDEFGH!.~_"],
    "password_few_different": ["Aa1.Aa1.Aa1.", "Aaaaaaaaaaaa1111"],
}
CAUTIONS = {
    "password_short": ["Aa1.xyzw", "Aa1.xyzwvut"],
    "password_special_in_shells": ["AcaDmY#x~y-z_12", "AcaDmY%x~y-z_12", "AcaDmY!x~y-z_12"],
}


def rules(username: str, password: str) -> set[tuple[str, str]]:
    return {(finding.rule, finding.subject) for finding in check(username, password).violations}


@pytest.mark.parametrize(("rule", "name"), [(rule, name) for rule, names in USERNAMES.items() for name in names])
def test_user_names(rule: str, name: str) -> None:
    assert (rule, "master_username") in rules(name, GOOD)


@pytest.mark.parametrize(("rule", "password"), [(rule, each) for rule, found in PASSWORDS.items() for each in found])
def test_passwords(rule: str, password: str) -> None:
    assert (rule, "master_password") in rules(GOOD_NAME, password)


@pytest.mark.parametrize(("rule", "password"), [(rule, each) for rule, found in CAUTIONS.items() for each in found])
def test_cautions(rule: str, password: str) -> None:
    findings = check(GOOD_NAME, password)
    assert findings.violations == []
    assert [finding.rule for finding in findings.cautions] == [rule]


@pytest.mark.parametrize("name", ["admin97", "academy_user", "postgres", "a", "a" * 16, "users", "A_1"])
def test_names_that_pass(name: str) -> None:
    assert rules(name, GOOD) == set()


@pytest.mark.parametrize("password", [GOOD, "a" * 16 + "bcde", "Abcdefg1", "Ab3." + "xyz" * 41, "a~b_c.d-e+f=g*h(i)j1"])
def test_passwords_that_pass(password: str) -> None:
    assert rules(GOOD_NAME, password) == set()


def test_every_rule_has_a_row() -> None:
    # The published password is known by its hash alone and has a test of its own.
    named = {*USERNAMES, *PASSWORDS, *CAUTIONS, "password_published"}
    source = Path(rds_password.__file__).read_text(encoding="utf-8")
    assert set(re.findall(r'^        "((?:username|password)_\w+)",$', source, re.MULTILINE)) == named


def test_the_published_password_is_known_by_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("password_published", "master_password") not in rules(GOOD_NAME, GOOD)
    monkeypatch.setattr(placeholders, "PUBLISHED_PASSWORD_SHA256", sha256(GOOD.encode()).hexdigest())
    assert rules(GOOD_NAME, GOOD) == {("password_published", "master_password")}


def test_all_violations_are_said_at_once() -> None:
    found = {rule for rule, _ in rules("1-admin-and-longer-than-16", "#aB/$ ")}
    assert found == {
        "username_length",
        "username_characters",
        "username_first_letter",
        "password_length",
        "password_printable_ascii",
        "password_refused_by_rds",
        "password_read_differently",
        "password_leading_hash",
    }


def test_reserved_words_are_lower_case_and_apart() -> None:
    assert all(word == word.lower() for word in RESERVED_BY_POSTGRESQL | RESERVED_BY_RDS)
    assert not RESERVED_BY_POSTGRESQL & RESERVED_BY_RDS


@given(st.text(max_size=20), st.text(max_size=140))
def test_no_message_depends_on_the_value(username: str, password: str) -> None:
    known = {
        finding.rule: finding.message
        for name, word in (
            ("", ""),
            ("1-x" * 9, "#a/$ é"),
            ("admin", GOOD_NAME),
            ("user", "Aa1#"),
            (GOOD_NAME, GOOD_NAME),
        )
        for finding in (*check(name, word).violations, *check(name, word).cautions)
    }
    findings = check(username, password)
    for finding in (*findings.violations, *findings.cautions):
        assert known.get(finding.rule, finding.message) == finding.message


# --- readers of env files: the two written in Python are themselves, the two written in Go are told here ------------


def docker_run(line: str) -> str | None:
    """docker run --env-file (docker/cli pkg/kvfile; facts 6.5): taken as it is, after blanks in front of the line."""
    line = line.removeprefix("\ufeff").lstrip()
    return None if line.startswith("#") else line.partition("=")[2]


def substitute(value: str) -> str | None:
    """compose-go's template: $$ is a $, $NAME and ${NAME...} are variables, any other $ is an error."""
    if re.search(r"(?<!\$)(?:\$\$)*\$(?![\w{$])", value):
        return None
    return re.sub(r"\$(?:(\$)|\{[^}]*\}?|\w+)", lambda found: "$" if found[1] else "", value)


def compose(line: str) -> str | None:
    """compose-go dotenv (parser.go extractVarValue; facts 6.8): quotes off, escapes and variables in, comments cut."""
    value = line.partition("=")[2].lstrip()
    if value[:1] == "'":
        return value[1:].partition("'")[0]
    if value[:1] == '"':
        return substitute(re.sub(r"\\(.)", r"\1", value[1:].partition('"')[0]))
    return substitute(value.partition(" #")[0].rstrip())


def read_by_all(password: str, directory: Path) -> set[str | None]:
    file = directory / "password.env"
    file.write_text(f"DB_PASSWORD={password}\n", encoding="utf-8")
    return {
        docker_run(f"DB_PASSWORD={password}"),
        compose(f"DB_PASSWORD={password}"),
        parse_env_file(str(file))["DB_PASSWORD"],
        dotenv_values(stream=io.StringIO(file.read_text(encoding="utf-8")))["DB_PASSWORD"],
    }


@settings(max_examples=400)
@given(st.text(alphabet=PRINTABLE, min_size=8, max_size=128))
def test_no_reader_changes_a_password_that_passes(tmp_path_factory: pytest.TempPathFactory, password: str) -> None:
    assume(not check(GOOD_NAME, password).violations)
    assert read_by_all(password, tmp_path_factory.getbasetemp()) == {password}
    assert value_problems(password, secret=True) == []


@pytest.mark.parametrize(
    "password",
    [
        "a$HOME-bcdef1A",
        "a$$b-cdefg1A",
        "'quoted-aA1'",
        '"quoted-aA1"',
        "blank #comment-aA1",
        "${A:-b}-cdefgA1",
        " aA1-bcdefg",
    ],
)
def test_the_readers_do_disagree(password: str, tmp_path: Path) -> None:
    """Otherwise the promise above would be worth nothing."""
    assert read_by_all(password, tmp_path) != {password}
    assert check(GOOD_NAME, password).violations
