# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment file is read alike by every reader, and nothing that is shown of it is a value."""

from __future__ import annotations

import hashlib
import json
import re
import string
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.environment_file import (
    NAME,
    Change,
    EnvironmentFileError,
    compare,
    describe,
    environment,
    names_told,
    parse,
    redact,
    render,
    sha256,
    still_open,
    value_problems,
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
        ("a\0b", "line break, control"),
        ("a\u2028b", "line break, control character or noncharacter (U+2028)"),
        ("a\ufffeb", "line break, control character or noncharacter (U+FFFE)"),
        ("a\u2029b\x85c", "line break, control character or noncharacter (U+2029, U+0085)"),
        ("a\x0bb", "(U+000B)"),
        ("a\x9bb", "(U+009B)"),
        ("a\u2028", "(U+2028)"),
        ("\x85a", "(U+0085)"),
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


# Values with what some reader takes for the end of a line.
breaking = st.text(
    alphabet=st.sampled_from("\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029= #'\"abz09가") | st.characters(codec="utf-8"),
    max_size=40,
)
plain = st.text(alphabet=string.ascii_letters + string.digits + " #=/:@!%.,~가", max_size=20)


@given(st.dictionaries(st.from_regex(NAME, fullmatch=True), plain))
def test_what_is_accepted_is_read_back_as_it_was(settings: dict[str, str]) -> None:
    try:
        values = environment(settings, {})
    except EnvironmentFileError:
        return
    assert parse(render(values)) == values == settings


@settings(max_examples=400)
@given(st.dictionaries(st.from_regex(NAME, fullmatch=True), breaking | st.text()))
def test_whatever_is_accepted_is_read_back_as_it_was(values: dict[str, str]) -> None:
    try:
        accepted = environment(values, {})
    except EnvironmentFileError:
        return
    assert parse(render(accepted)) == accepted == values
    assert render(accepted).splitlines() == [f"{name}={value}" for name, value in accepted.items()]


@given(breaking)
def test_no_part_of_a_refused_value_is_said(value: str) -> None:
    problems = value_problems(f"q7W{value}q7W{value}\u2028q7W", secret=True)
    said = "; ".join(problem.text for problem in problems)
    assert "U+2028" in said
    assert "q7W" not in said
    assert said.isascii()
    assert not any("q7W" in problem.rule.ko + problem.remedy.ko for problem in problems)


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(["DB_NAME", "DEBUG", "R2_SECRET_KEY", "SECRET_KEY"]), breaking, min_size=1))
def test_no_part_of_a_value_is_shown_of_a_file_that_holds_it(values: dict[str, str]) -> None:
    """Neither of one that we would refuse to write."""
    text = render({name: value.replace("\n", "") for name, value in values.items()})
    for known in (None, list(values), ["OTHER"]):
        names, _, untold = describe(text, known=known).partition("(")
        head, *shown = names.removesuffix("\n").split("\n")
        assert head == f"sha256 {sha256(text)}"
        assert set(shown) <= values.keys()
        assert re.fullmatch(r"(\d line\(s\) whose beginning is not shown\)\n)?", untold)


@settings(max_examples=400)
@given(st.lists(st.text(alphabet="aB9_+/= '\"#\r\u2028\x85", max_size=20), min_size=1, max_size=6), st.booleans())
def test_no_line_of_a_secret_in_several_lines_is_shown(parts: list[str], quoted: bool) -> None:
    secret = "\n".join(f"q7W{part}" for part in parts)
    text = f"DB_NAME=a\nSECRET_KEY={chr(39) * quoted}{secret}{chr(39) * quoted}\nDEBUG=false\n"
    shown = describe(text, known=["SECRET_KEY", "DEBUG"])
    assert "q7W" not in shown
    assert shown.split("\n")[1:4] == ["DB_NAME", "DEBUG", "SECRET_KEY"]


@pytest.mark.parametrize(
    ("text", "known", "told"),
    [
        ("lower=1\nB=\n", None, ["lower", "B"]),
        ("lower=1\nDEBUG=true\nOLD_ONE=1\nMIIEfoo=\nABCDEF==\n", [], ["DEBUG", "OLD_ONE"]),
        ("A_KEY=1\r\nB_KEY='1'\nC_KEY=./a\nD_KEY=가\n", [], ["A_KEY", "B_KEY", "C_KEY", "D_KEY"]),
        ("A_KEY=1\nQJXZWY==\r\nQJXZ_WY=\nQJXZ_WZ==\n", [], ["A_KEY"]),
        ("lower=1\n", ["lower"], ["lower"]),
        ("A_KEY=one\ntwo\nB_KEY=\nC_KEY=1\n", ["C_KEY"], ["A_KEY", "C_KEY"]),
        ("A_KEY='one\nB_KEY=\nthree'\nC_KEY=1\n", ["C_KEY"], ["A_KEY", "C_KEY"]),
        ("A_KEY='one\nB_KEY=\nthree'=\nC_KEY=1\n", ["B_KEY", "C_KEY"], ["A_KEY", "C_KEY"]),
        ("A_KEY=one\ntwo\nB_KEY='\nC_KEY=1\n", ["C_KEY"], ["A_KEY", "C_KEY"]),
        ("# A_KEY=\n\nB_KEY=1\n", [], ["B_KEY"]),
        ("\u2028A_KEY=1\nB_KEY=1\n", ["B_KEY"], ["B_KEY"]),
    ],
)
def test_names_that_are_told(text: str, known: list[str] | None, told: list[str]) -> None:
    assert names_told(text, known) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        # Known names and others are told behind it.
        ("one", ["KNOWN", "B_KEY"]),
        (" 'it is' \r", ["KNOWN", "B_KEY"]),
        # A shell may read on: others are not.
        ("it's", ["KNOWN"]),
        ('foo"bar', ["KNOWN"]),
        ("'one' 'two", ["KNOWN"]),
        ("'one' # it's", ["KNOWN"]),
        ("'\"'", ["KNOWN"]),
        ('"""one', ["KNOWN"]),
        ("$(cat", ["KNOWN"]),
        ("C:\\dir", ["KNOWN"]),
        # The value goes on: none is.
        ("'one", []),
        ("`one", []),
        ('"one \\"', []),
        ('"one \\\\"', []),
        ("'one\\'", []),
        ("one\\", []),
        ("one\\\r", []),
        ("'one'\\", []),
    ],
)
def test_names_behind_a_value_that_may_go_on(value: str, told: list[str]) -> None:
    assert names_told(f"A_KEY={value}\nKNOWN=1\nB_KEY=1\n", ["A_KEY", "KNOWN"]) == ["A_KEY", *told]


@pytest.mark.parametrize(
    ("opened", "text", "still"),
    [
        ("", "", ""),
        ("", "it's", ""),
        ("", '"', '"'),
        ('"', "it's \\\"", '"'),
        ('"', '\\" two"', ""),
        ("'", "' \\", "\\"),
        ("\\", "two \\", "\\"),
        ("\\", "'two", "'"),
        ("\\", "two'", ""),
    ],
)
def test_what_keeps_a_value_open(opened: str, text: str, still: str) -> None:
    assert still_open(opened, text) == still


def test_lines_that_are_not_told_are_counted() -> None:
    text = "A_KEY=one\ntwo\nthree\n"
    assert describe(text, known=[]) == f"sha256 {sha256(text)}\nA_KEY\n(2 line(s) whose beginning is not shown)\n"


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


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("<abcdefghij>", {"A": "abcdef", "B": "efghij"}, "<[A][B]>"),
        ("<abcdefghij>", {"B": "abcdef", "A": "efghij"}, "<[B][A]>"),
        ("<abcdefghijkl>", {"A": "abcdefgh", "B": "efghij", "C": "ijklmn", "D": "defghi"}, "<[A][D][B]kl>"),
        ("<abcabcabcabc>", {"A": "abcabc"}, "<[A]>"),
        ("<abcdefabcdef>", {"A": "abcdef"}, "<[A][A]>"),
        ("<abcdef>", {"A": "abcdef", "B": "abcdef"}, "<[A]>"),
        # A name is none of the text's, whatever it is.
        ("<abcdefgh>", {"SECRET": "abcdef", "A": "SECRET"}, "<[SECRET]gh>"),
        ("", {"A": "abcdef"}, ""),
    ],
)
def test_redaction_of_secrets_that_overlap(text: str, secrets: dict[str, str], shown: str) -> None:
    assert redact(text, secrets) == shown


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from(["a", "b", "aba", "ababab"]), max_size=8).map("".join),
    st.lists(st.sampled_from(["ababab", "bababa", "abaaba", "abababa", "babababb"]), max_size=3),
)
def test_redaction_leaves_exactly_what_stands_in_no_secret(text: str, secrets: list[str]) -> None:
    hidden = {
        place
        for secret in secrets
        for start in range(len(text))
        if text.startswith(secret, start)
        for place in range(start, start + len(secret))
    }
    shown = redact(text, {str(number): secret for number, secret in enumerate(secrets)})
    left = "".join(character for place, character in enumerate(text) if place not in hidden)
    assert re.sub(r"\[\d\]", "", shown) == left


LINES = "first-half\u2028second-half\x85third"


@pytest.mark.parametrize(
    "printed",
    [
        LINES,
        *LINES.splitlines()[:2],
        "\n".join(LINES.splitlines()),
        json.dumps(LINES),
        json.dumps(LINES, ensure_ascii=False),
        json.dumps("\n".join(LINES.splitlines())),
        repr(LINES),
        ascii(LINES),
        repr(LINES.encode()),
        yaml.safe_dump(LINES),
        yaml.safe_dump(LINES, allow_unicode=True, width=1000),
        quote(LINES),
    ],
)
def test_redaction_of_a_secret_that_was_cut_or_escaped(printed: str) -> None:
    shown = redact(f"it is {printed}.", {"KEY": LINES})
    assert shown.startswith("it is ")
    assert "[KEY]" in shown
    assert "half" not in shown
    assert "third" not in shown


@pytest.mark.parametrize("secret", ["비밀번호-비밀", "a+b/c=d?e f", "<a&b>'\"\\", "\ud800abcdef"])
def test_redaction_of_what_is_escaped(secret: str) -> None:
    encoded = secret.encode("utf-8", "surrogatepass")
    escaped = [
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        ascii(secret),
        repr(encoded)[1:],
    ]
    quoted = [quote(encoded), quote(encoded, safe=""), quote_plus(encoded)]
    assert [redact(printed[1:-1], {"KEY": secret}) for printed in escaped] == ["[KEY]"] * 5
    assert [redact(printed, {"KEY": secret}) for printed in quoted] == ["[KEY]"] * 3


@pytest.mark.parametrize(
    "printed",
    [
        r"p/a&b<c>\"é' \u2028z",
        r"p/a\u0026b\u003cc\u003e\"é' \u2028z",
        r"p\/a&b<c>\"\u00e9' \u2028z",
        r"p/a&b<c>\"\u00E9' \u2028z",
        "p/a&amp;b&lt;c&gt;\"é' \u2028z",
        "p/a&amp;b&lt;c&gt;&quot;é&#x27; \u2028z",
        "p/a&amp;b&lt;c&gt;&quot;é&#39; \u2028z",
        "p%2fa%26b%3cc%3e%22%c3%a9%27%20%e2%80%a8z",
    ],
)
def test_redaction_of_what_other_programs_escape(printed: str) -> None:
    assert redact(printed, {"KEY": "p/a&b<c>\"é' \u2028z"}) == "[KEY]"


@given(breaking.filter(lambda value: len(value) >= 6))
def test_redaction_leaves_no_secret_as_it_was(secret: str) -> None:
    assert redact(f"<{secret}>", {"KEY": secret}) == "<[KEY]>"
