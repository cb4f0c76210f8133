# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment file is read alike by every reader, and nothing that is shown of it is a value."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.environment_file import (
    NAME,
    Change,
    EnvironmentFileError,
    compare,
    describe,
    environment,
    parse,
    redact,
    render,
    sha256,
    wanted_paths,
)

SECRET = "canary-5f0e1a1c7d3c"


def test_scalars_become_what_the_application_reads() -> None:
    settings = {"DEBUG": False, "DB_PORT": 5432, "RATE": 0.5, "EMPTY": "", "NAME": "아카데미"}
    assert environment(settings, {"SECRET_KEY": SECRET}) == {
        "DB_PORT": "5432",
        "DEBUG": "false",
        "EMPTY": "",
        "NAME": "아카데미",
        "RATE": "0.5",
        "SECRET_KEY": SECRET,
    }


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "must be a string"),
        (["a"], "must be a string"),
        ({"a": 1}, "must be a string"),
        ('a"b', 'contains "'),
        ("a'b", "contains '"),
        ("a\\b", "contains \\"),
        ("a${HOME}", "contains $"),
        ("`id`", "contains `"),
        ("$'", "contains $ '"),
        (" a", "starts or ends with a blank"),
        ("a\t", "starts or ends with a blank"),
        ("#a", "contains a #"),
        ("a #b", "contains a #"),
        ("a\nb", "line break"),
        ("a\r", "starts or ends with a blank"),
        ("a\rb", "line break"),
        ("a\0b", "line break or control"),
        ("a\ud800", "is not UTF-8"),
    ],
)
def test_values_that_readers_understand_differently_are_refused(value: object, says: str) -> None:
    with pytest.raises(EnvironmentFileError) as caught:
        environment({"SETTING": value}, {})
    assert str(caught.value).startswith("SETTING: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("value", ["a#b", "a=b", "a b", "postgres://u:p@h:5432/d?sslmode=require", "100%", "!~*.,-_"])
def test_plain_values_are_allowed(value: str) -> None:
    assert environment({"SETTING": value}, {}) == {"SETTING": value}


def test_everything_wrong_is_said_at_once_and_no_value_is_shown() -> None:
    with pytest.raises(EnvironmentFileError) as caught:
        environment({"1BAD": "x", "TWICE": "x", "A": f"{SECRET} "}, {"TWICE": SECRET, "B": "", "C": f'{SECRET}"'})
    said = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in said] == ["1BAD", "TWICE", "A", "B", "C"]
    assert "empty secret" in said[3]
    assert SECRET not in str(caught.value)


plain = st.text(alphabet=string.ascii_letters + string.digits + " #=/:@!%.,~가", max_size=20)


@given(st.dictionaries(st.from_regex(NAME, fullmatch=True), plain))
def test_what_is_accepted_is_read_back_as_it_was(settings: dict[str, str]) -> None:
    try:
        values = environment(settings, {})
    except EnvironmentFileError:
        return
    assert parse(render(values)) == values == settings


def test_a_file_that_somebody_else_wrote() -> None:
    assert parse("# comment\n\nA=1\nB\nC=a=b\n") == {"A": "1", "B": "", "C": "a=b"}


def test_comparison_by_name() -> None:
    before, after = {"A": "1", "B": "2", "C": "3"}, {"B": "2", "C": "4", "D": "5"}
    assert compare(before, after) == Change(added=("D",), removed=("A",), changed=("C",))


def test_description_shows_names_and_one_hash() -> None:
    text = f"A=1\nSECRET_KEY={SECRET}\n"
    shown = describe(text, {"SECRET_KEY": "  (changed)"})
    assert shown == f"sha256 {hashlib.sha256(text.encode()).hexdigest()}\nA\nSECRET_KEY  (changed)\n"


def test_hash_of_a_file_that_is_no_text() -> None:
    assert sha256(b"\xff\n".decode("utf-8", "surrogateescape")) == hashlib.sha256(b"\xff\n").hexdigest()


def test_redaction() -> None:
    secrets = {"SHORT": "true", "PART": "canary", "WHOLE": SECRET, "NUMBER": 123456789, "LIST": ["x"]}
    text = f"key {SECRET}, canary, true, 123456789"
    assert redact(text, secrets) == "key [WHOLE], [PART], true, [NUMBER]"


def test_a_directory_is_kept_only_when_asked_for() -> None:
    file = {"path": "/etc/academy/api.env", "kind": "file", "mode": "0600", "content": "A=1\n"}
    directory = {"path": "/etc/academy", "kind": "directory", "mode": "0700"}
    assert wanted_paths("/etc/academy/api.env", "A=1\n", None) == [file]
    assert wanted_paths("/etc/academy/api.env", "A=1\n", "0700") == [directory, file]
