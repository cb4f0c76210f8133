# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A team's .env: every way in which editors, shells and people break it, by line, and never a value."""

from __future__ import annotations

import codecs
import hashlib
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils import placeholders
from plugins.module_utils.environment_file import names_told
from plugins.module_utils.environment_lint import (
    decode,
    lint,
    merged_vault,
    plain_settings,
    quoted,
    vault_values,
)
from plugins.module_utils.findings import Finding, errors
from tests.unit.module_utils import chance

TABLE: dict[str, dict[str, Any]] = {
    "SECRET_KEY": {"secret": True, "variable": "vault_secret_key"},
    "DB_USER": {"type": "username", "variable": "database_master_username"},
    "DB_PASSWORD": {"type": "password", "secret": True, "variable": "vault_database_password"},
    "DB_NAME": {"variable": "database_name"},
    "DB_HOST": {"source": "aws"},
    "R2_ENDPOINT": {"type": "url", "variable": "application_r2_endpoint"},
    "DEBUG": {"choices": ["false"]},
    "VIDEO_SQS_QUEUE_NAME": {"type": "queue", "variable": "queues_jobs"},
    "EXTRA": {"required": False},
}
GOOD = """# The team's
SECRET_KEY=u8Kq2vTnXw5Lr9Zc.4Bm7Hd1J
DB_USER=academy_user
DB_PASSWORD=AcaDmY.x~y-z_12
DB_NAME=academy

R2_ENDPOINT=https://acc.r2.example.com
DEBUG=false
VIDEO_SQS_QUEUE_NAME=academy-video-jobs
"""


def found(data: bytes | str) -> set[tuple[str, str]]:
    """(rule, where) of the errors."""
    _, findings = lint(data.encode() if isinstance(data, str) else data, TABLE)
    return {(finding.id, finding.subject) for finding in errors(findings)}


def subjects(findings: list[Finding]) -> set[str]:
    """How the lines are named of which something is said."""
    return {finding.subject for finding in findings if finding.subject.startswith("line")}


def test_a_good_file_has_no_problem() -> None:
    values, findings = lint(GOOD.encode(), TABLE)
    assert findings == []
    assert values["DB_PASSWORD"] == "AcaDmY.x~y-z_12"


@pytest.mark.parametrize(
    ("data", "rule", "where"),
    [
        (codecs.BOM_UTF16_LE + GOOD.encode("utf-16-le"), "utf16", "the file"),
        (codecs.BOM_UTF16_BE + GOOD.encode("utf-16-be"), "utf16", "the file"),
        (GOOD.encode("utf-16-le"), "utf16", "the file"),
        (codecs.BOM_UTF8 + GOOD.encode(), "byte_order_mark", "line 1"),
        (GOOD.replace("\n", "\r\n").encode(), "carriage_return", "line 1"),
        (GOOD.replace("# The team's", "# 팀").encode("cp949"), "not_utf8", "line 1"),
        ((GOOD + "EXTRA=").encode() + b"\xff\xfe", "not_utf8", "line 10"),
    ],
)
def test_files_of_windows(data: bytes, rule: str, where: str) -> None:
    """What is wrong with the whole is said alone: the rest is still read as it was meant."""
    assert found(data) == {(rule, where)}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('EXTRA="value"', "quotes"), ("EXTRA='value'", "quotes"), ("export EXTRA=value", "export"),
        ("  export EXTRA=value", "export"),
        ('$env:EXTRA="value"', "powershell"), ("$Env:EXTRA = 'value'", "powershell"), ("set EXTRA=value", "batch"),
        ("EXTRA", "no_equals"), ("EXTRA: value", "no_equals"), (" EXTRA=value", "leading_blank"),
        ("\tEXTRA=value", "leading_blank"),
        ("EXTRA =value", "blank_before_equals"), ("EXTRA= value", "environment_value"), ("EXTRA=value ",
        "environment_value"),
        ("EXTRA=a$HOME", "environment_value"), ("EXTRA=${HOME}", "environment_value"), ("EXTRA=a`b",
        "environment_value"),
        ("EXTRA=a\\nb", "environment_value"), ('EXTRA=a"b', "environment_value"), ("EXTRA=a #b", "environment_value"),
        ("EXTRA=#b", "environment_value"), ("EXTRA=a\tb\x07", "environment_value"), ("1EXTRA=value", "name"),
        ("EX-TRA=value", "name"),
        ("EX TRA=value", "name"), ("=value", "name"), ("변수=값", "name"), ("UNKNOWN=value", "unknown"),
        ("  # comment", "comment"),
        ("EXTRA=CHANGE-ME", "placeholder"), ("EXTRA=changeme", "placeholder"), ("EXTRA=<account-id>", "placeholder"),
        ("EXTRA=your-key", "placeholder"), ("EXTRA=academy-db.xxxxx.rds", "placeholder"), ("EXTRA=...",
        "placeholder"),
        ("EXTRA=TODO", "placeholder"), ("EXTRA={{ value }}", "template"),
        ("EXTRA={#b", "template"), ("DEBUG=false", "duplicate"),
    ],
)  # fmt: skip
def test_lines(line: str, rule: str) -> None:
    assert rule in {name for name, where in found(f"{GOOD}{line}\n") if where.startswith("line 10")}


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("SECRET_KEY", "", "environment_value"),
        ("DB_USER", "admin", "username_reserved_by_rds"),
        ("DB_PASSWORD", "sh", "password_length"),
        ("DB_PASSWORD", "", "password_length"),
        ("DB_PASSWORD", "academy_user.A1", "password_contains_username"),
        ("DB_PASSWORD", "a@b-cdefgA1", "password_refused_by_rds"),
        ("R2_ENDPOINT", "acc.r2.example.com", "environment_rule"),
        ("DEBUG", "true", "environment_rule"),
        ("VIDEO_SQS_QUEUE_NAME", "https://sqs/1/q", "environment_rule"),
        ("DB_NAME", "", "environment_missing"),
    ],
)
def test_values(name: str, value: str, rule: str) -> None:
    text = "\n".join(f"{name}={value}" if line.startswith(f"{name}=") else line for line in GOOD.split("\n"))
    line = 1 + next(index for index, each in enumerate(text.split("\n")) if each.startswith(f"{name}="))
    assert (rule, f"line {line}: {name}") in found(text)


@pytest.mark.parametrize("name", ["SECRET_KEY", "DB_PASSWORD", "DB_USER", "DB_NAME", "EXTRA", "UN_KNOWN"])
@pytest.mark.parametrize("character", "\x0b\x0c\x1c\x1d\x1e\x85\x9b\u2028\u2029")
def test_what_some_reader_takes_for_the_end_of_a_line_is_named_and_no_part_of_its_value(
    name: str, character: str
) -> None:
    """To all readers of such files it is one line, and so it is to us: nothing of it passes for a name."""
    rest = [line for line in GOOD.split("\n") if not line.startswith(f"{name}=")]
    text = "\n".join([f"{name}=q7W-first{character}Q7W_SECOND=q7W{character}Q7W_THIRD", *rest])
    values, findings = lint(text.encode(), TABLE)
    assert values[name] == f"q7W-first{character}Q7W_SECOND=q7W{character}Q7W_THIRD"
    [told] = [finding for finding in errors(findings) if "U+" in finding.text_en]
    assert told.subject == f"line 1: {name}"
    for language in (told.text_en, told.text_ko):
        assert f"(U+{ord(character):04X})" in language
    assert all("q7w" not in (finding.text_en + finding.text_ko).lower() for finding in findings)


@pytest.mark.parametrize("line", ["\u2028", "\x85", "\x0c", "\u2028Q7W_NAME=x", "Q7W_NAME\u2028=x", "Q7W\u2028NAME=x"])
def test_no_line_is_empty_for_what_only_looks_so(line: str) -> None:
    assert {where.partition(":")[0] for _, where in found(f"{GOOD}{line}\n")} == {"line 10"}


def test_what_is_missing_is_missing_unless_the_inventory_has_it() -> None:
    assert found("") == {("missing", name) for name in TABLE if name not in {"DB_HOST", "EXTRA"}}
    _, findings = lint(b"", TABLE, current=dict.fromkeys(TABLE))
    assert findings == []


def test_what_the_deployment_gives_itself_is_not_judged() -> None:
    _, findings = lint(f"{GOOD}DB_HOST=<rds>\n".encode(), TABLE)
    assert [(finding.id, finding.severity) for finding in findings] == [("given", "warning")]


def test_the_guides_example_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(GOOD) == set()
    sha256 = hashlib.sha256(b"AcaDmY.x~y-z_12").hexdigest()
    monkeypatch.setattr(placeholders, "PUBLISHED_PASSWORD_SHA256", sha256)
    assert found(GOOD) == {("placeholder", "line 4: DB_PASSWORD")}


@given(st.integers(min_value=0, max_value=10), st.sampled_from("\u200b\u00a0\ufeff\u2060\u00ad\u3164"))
def test_a_name_with_what_nobody_sees_is_still_the_name(place: int, character: str) -> None:
    name = "SECRET_KEY"[:place] + character + "SECRET_KEY"[place:]
    rest = [line for line in GOOD.splitlines() if not line.startswith("SECRET_KEY")]
    text = "\n".join([*rest, f"{name}=u8Kq2vTnXw5Lr9Zc.4Bm7Hd1J"])
    expected = "byte_order_mark" if (place, character) == (0, "\ufeff") else "foreign_character"
    assert {rule for rule, _ in found(text)} == {expected}
    told = [finding.text_en for finding in lint(text.encode(), TABLE)[1] if finding.id == "foreign_character"]
    assert all(f"U+{ord(character):04X}" in each for each in told)


MIXED = (GOOD.encode(), "EXTRA=value\r\n".encode("utf-16-le"))


@pytest.mark.parametrize(
    ("data", "rule", "where"),
    [
        (GOOD.encode("utf-16-be"), "utf16", "the file"),
        (GOOD.replace("\n", "\r\n").encode("utf-16-be"), "utf16", "the file"),
        (b"".join(MIXED), "mixed_encodings", "line 10"),
        (GOOD.encode() + "EXTRA=value\n".encode("utf-16-be"), "mixed_encodings", "line 10"),
        ((GOOD + "\ufeffEXTRA=value\n").encode(), "byte_order_mark", "line 10"),
        (GOOD.replace("\n", "\r").encode(), "carriage_return", "line 1"),
        ((GOOD + "EXTRA=한글\n").encode() + "# 팀\n".encode("cp949"), "not_utf8", "line 11"),
        (
            "".join(line.replace("=", " = ") + "\n" for line in GOOD.splitlines()).encode(),
            "blank_before_equals",
            "line 2: SECRET_KEY",
        ),
        (
            "".join("export " * ("=" in line) + line + "\n" for line in GOOD.splitlines()).encode(),
            "export",
            "line 2: SECRET_KEY",
        ),
        (GOOD.replace("SECRET_KEY", "DJANGO_SECRET_KEY").encode(), "renamed", "line 2: DJANGO_SECRET_KEY"),
        (GOOD.replace("DB_NAME", "POSTGRES_DB").encode(), "renamed", "line 5: POSTGRES_DB"),
        (GOOD.replace("SECRET_KEY=", "SECRET_KEY=\u200b").encode(), "foreign_character", "line 2: SECRET_KEY"),
        (GOOD.replace("DB_PASSWORD=", "DB_PASSWORD=“").encode(), "foreign_character", "line 4: DB_PASSWORD"),
        (
            GOOD.replace("DB_PASSWORD=AcaDmY.x~y-z_12", "DB_PASSWORD=YourSecurePassword123").encode(),
            "placeholder",
            "line 4: DB_PASSWORD",
        ),
    ],
)
def test_one_cause_is_told_once(data: bytes, rule: str, where: str) -> None:
    assert found(data) == {(rule, where)}


@given(
    st.sampled_from(["utf-16-le", "utf-16-be"]), st.booleans(), st.lists(st.sampled_from("abcXYZ019가나"), max_size=40)
)
def test_a_file_of_powershell_is_known_with_and_without_its_mark(encoding: str, mark: bool, value: list[str]) -> None:
    text = f"EXTRA={''.join(value)}\n"
    read, findings = decode(("\ufeff" * mark + text).encode(encoding))
    assert [finding.id for finding in findings] == ["utf16"]
    assert read == text


@given(st.text(alphabet="abcXYZ019=_", min_size=1, max_size=30), st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_what_powershell_appended_is_read(value: str, encoding: str) -> None:
    read, findings = decode(GOOD.encode() + f"EXTRA={value}\n".encode(encoding))
    assert [finding.id for finding in findings] == ["mixed_encodings"]
    assert read == f"{GOOD}EXTRA={value}\n"


def test_a_setting_that_is_deployed_as_another_is_warned_of() -> None:
    table = {**TABLE, "DB_CONN_MAX_AGE": {"type": "integer"}}
    current = {"DB_CONN_MAX_AGE": 60, "VIDEO_SQS_QUEUE_NAME": "other-jobs", "DEBUG": "false", "DB_NAME": "other"}
    _, findings = lint(f"{GOOD}DB_CONN_MAX_AGE=0\n".encode(), table, current)
    assert [(finding.id, finding.severity, finding.subject) for finding in findings] == [
        ("not_deployed", "warning", "line 9: VIDEO_SQS_QUEUE_NAME"),
        ("not_deployed", "warning", "line 10: DB_CONN_MAX_AGE"),
    ]
    assert "is deployed as 60" in findings[1].text_en
    assert "60(으)로 배포됩니다" in findings[1].text_ko
    assert (
        lint(f"{GOOD}DB_CONN_MAX_AGE=60\n".encode(), table, {**current, "VIDEO_SQS_QUEUE_NAME": "academy-video-jobs"})[
            1
        ]
        == []
    )


def test_a_key_of_django_may_hold_a_dollar() -> None:
    key = "k)w&r2z!q#c$9v@h3^j=p5(x+t8m*n_b4d6f1g0s7"
    values, findings = lint(GOOD.replace("u8Kq2vTnXw5Lr9Zc.4Bm7Hd1J", key).encode(), TABLE)
    assert [(finding.id, finding.severity) for finding in findings] == [("dollar", "warning")]
    assert "openssl rand -hex 32" in findings[0].text_en
    assert values["SECRET_KEY"] == key
    for reference in ("$HAKWON_ROTATED", "${HAKWON_ROTATED}", f"a${{B}}{key}"):
        assert {rule for rule, _ in found(GOOD.replace("u8Kq2vTnXw5Lr9Zc.4Bm7Hd1J", reference))} == {
            "environment_value"
        }


@settings(max_examples=300)
@given(
    chance.secrets(),
    st.sampled_from(["SECRET_KEY", "OTHER_TOKEN"]),
)
def test_what_a_generator_made_is_imported(secret: str, name: str) -> None:
    table = {**TABLE, "OTHER_TOKEN": {"secret": True, "required": False, "variable": "vault_other"}}
    rest = [line for line in GOOD.splitlines() if not line.startswith(f"{name}=")]
    values, findings = lint("\n".join([*rest, f"{name}={secret}"]).encode(), table)
    assert [finding.id for finding in findings if finding.id != "dollar"] == []
    assert values[name] == secret


def test_findings_stand_in_the_order_of_the_lines() -> None:
    _, findings = lint(b"B\nEXTRA='a'\nA\n", TABLE, current=dict.fromkeys(TABLE))
    assert [finding.subject for finding in findings] == ["line 1", "line 2: EXTRA", "line 3"]


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_no_file_breaks_it(data: bytes) -> None:
    _, findings = lint(data, TABLE)
    assert all(finding.text_en and finding.text_ko for finding in findings)


@settings(max_examples=400)
@given(
    st.sampled_from(sorted(TABLE)),
    st.text(min_size=6, max_size=60) | st.text(alphabet="aB9_= \t\r\n\"'#", min_size=6, max_size=60),
    st.sampled_from(["", '"', "'"]),
)
def test_no_value_is_told(name: str, value: str, quote: str) -> None:
    """Of none of its lines: a key is often written in several."""
    marked = f"q7W{value}9zK".replace("\n", "\nq7W")
    _, findings = lint(f"{name}={quote}{marked}{quote}\n".encode("utf-8", "surrogatepass"), TABLE)
    assert all("q7W" not in finding.text_en + finding.text_ko for finding in findings)


@pytest.mark.parametrize(
    "line",
    ["MIIE_B64=", " MIIE_B64=", "MIIE_B64 =x", "export MIIE_B64=x", "$env:MIIE_B64=x", "set MIIE_B64=x", "EXTRA='x'"],
)
def test_within_a_quote_that_is_not_closed_nothing_is_told_but_lines(line: str) -> None:
    _, findings = lint(f'SECRET_KEY="-----BEGIN\nabc\n{line}\n-----END"\nA_B=1\nEXTRA="\n'.encode(), TABLE)
    assert subjects(findings) == {"line 1: SECRET_KEY", "line 2", "line 3", "line 4", "line 5", "line 6: EXTRA"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A_B=1\nUNKNOWN=1\nEXTRA='x'\n", {"line 1: A_B", "line 2: UNKNOWN", "line 3: EXTRA"}),
        ("A_B=1\r\nQJXZ_WY=\r\nQJXZWY==\r\n", {"line 1", "line 1: A_B", "line 2", "line 3"}),
        ("A_B=1\nrest\nC_D=1\nEXTRA='x'\n", {"line 1: A_B", "line 2", "line 3", "line 4: EXTRA"}),
        ("A_B=1\n  # rest\nC_D=1\nEXTRA='x'\n", {"line 1: A_B", "line 2", "line 3", "line 4: EXTRA"}),
        (" A_B=1\nC_D=1\n EXTRA=x\n", {"line 1", "line 2", "line 3: EXTRA"}),
        ("export A_B=1\nset C_D=1\n", {"line 1: A_B", "line 2: C_D"}),
        ("export A_B\nC_D=1\nEXTRA\n", {"line 1", "line 2", "line 3: EXTRA"}),
    ],
)
def test_behind_a_broken_line_only_known_names_are_told(text: str, told: set[str]) -> None:
    _, findings = lint(text.encode(), TABLE)
    assert subjects(findings) == told


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["EXTRA=", "DEBUG", "A_B=", "C_D=1", "EF=", ""]),
            st.text(alphabet="Q7=_'\"\\ \t\r#", max_size=8),
        )
    )
)
def test_no_name_is_told_that_a_diff_would_hide(written: list[tuple[str, str]]) -> None:
    text = "".join(f"{begin}{rest}\n" for begin, rest in written)
    _, findings = lint(text.encode(), TABLE)
    told = {subject.partition(": ")[2] for subject in subjects(findings)} - {""}
    # Only the lint reads a name with blanks around it as it was meant.
    assert told <= {*names_told(text, TABLE), *TABLE}


@settings(max_examples=400)
@given(
    st.from_regex(r"\A[A-Z]([A-Z0-9_]{0,14}[A-Z0-9])?\Z").filter(lambda line: line not in TABLE),
    st.sampled_from(["=", "=="]),
    st.text(alphabet=" \t\r\x0b\u2028\u200b\ufeff'\"`\\,;)]}>#=", max_size=4),
    st.sampled_from(["", "'", '"']),
)
def test_the_padded_end_of_a_key_is_no_name(line: str, padding: str, behind: str, quote: str) -> None:
    text = f"SECRET_KEY={quote}one\n{line}{padding}{behind}\nEXTRA='\n"
    assert set(names_told(text, TABLE)) <= {"SECRET_KEY", "EXTRA"}
    _, findings = lint(text.encode(), TABLE)
    assert subjects(findings) <= {"line 1", "line 1: SECRET_KEY", "line 2", "line 3", "line 3: EXTRA"}


@settings(max_examples=400)
@given(
    st.sampled_from(["'", '"', "`", '"""', 'a"', "it's ", "'a' 'b", "$(", '"\\"', "a\\\n", "'\\'"]),
    st.lists(st.text(alphabet="AB9_+/= '\"`$\\#\r\u2028", max_size=12), min_size=1, max_size=5),
)
def test_no_name_is_made_of_a_value_that_may_go_on(begin: str, parts: list[str]) -> None:
    text = "\n".join([f"SECRET_KEY={begin}", *(f"Q7W_{part}" for part in parts), "EXTRA='"])
    assert set(names_told(text, TABLE)) <= {"SECRET_KEY", "EXTRA"}
    _, findings = lint(text.encode(), TABLE)
    assert all("Q7W" not in finding.subject + finding.text_en + finding.text_ko for finding in findings)


@settings(max_examples=400)
@given(
    st.dictionaries(
        # What is given is not judged, and a value of several lines is none.
        st.sampled_from([name for name, row in TABLE.items() if row.get("source") is None]),
        st.text(alphabet=st.characters(codec="ascii", exclude_characters="\n"), max_size=30),
    )
)
def test_what_passes_is_read_as_it_stands(values: dict[str, str]) -> None:
    data = "".join(f"{name}={value}\n" for name, value in values.items()).encode()
    meant, findings = lint(data, TABLE, current=dict.fromkeys(TABLE))
    if not errors(findings):
        assert meant == values


def test_decoding_goes_on() -> None:
    assert decode(codecs.BOM_UTF8 + "A=한글".encode())[0] == "A=한글"
    assert decode("A=한글".encode("cp949"))[0] == "A=한글"


def test_what_goes_where() -> None:
    values, _ = lint(GOOD.encode(), TABLE)
    assert vault_values(values, TABLE) == {
        "vault_secret_key": "u8Kq2vTnXw5Lr9Zc.4Bm7Hd1J",
        "vault_database_password": "AcaDmY.x~y-z_12",
    }
    current = {"DB_NAME": "academy", "DB_USER": "other"}
    assert plain_settings(values, TABLE, current) == {
        "database_master_username": "academy_user",
        "application_r2_endpoint": "https://acc.r2.example.com",
    }


VAULT = "---\n# ours\nvault_a: 'one'\nvault_b: # to be filled in\nother: |\n  two\n  lines\nvault_c: three\n"


def merge(wanted: dict[str, str], overwrite: list[str]) -> tuple[Any, list[str], list[str]]:
    text, names, refused = merged_vault(VAULT, yaml.safe_load(VAULT), wanted, overwrite)
    assert "# ours" in text
    return yaml.safe_load(text), names, refused


def test_the_vault_gets_what_is_new_and_keeps_the_rest() -> None:
    before = yaml.safe_load(VAULT)
    wanted = {"vault_a": "one", "vault_b": "b's: #1", "vault_d": "\\1 'd' {x}"}
    assert merge(wanted, []) == ({**before, **wanted}, ["vault_b", "vault_d"], [])


def test_the_vault_is_not_overwritten_without_consent() -> None:
    before = yaml.safe_load(VAULT)
    assert merge({"vault_a": "1", "vault_c": "3", "vault_d": "4"}, ["vault_a"]) == (before, [], ["vault_c"])
    after = {**before, "vault_a": "1", "vault_c": "3"}
    assert merge({"vault_a": "1", "vault_c": "3"}, ["vault_a", "vault_c"]) == (after, ["vault_a", "vault_c"], [])


@settings(max_examples=500)
@given(
    # What passes the lint, and what YAML takes at all.
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cn"]), max_size=60)
)
def test_yaml_reads_a_secret_as_it_was(value: str) -> None:
    assert yaml.safe_load(f"a: {quoted(value)}") == {"a": value}
    text, _, _ = merged_vault("a: 'x'\nb: 1\n", {"a": "x", "b": 1}, {"a": value}, ["a"])
    assert yaml.safe_load(text) == {"a": value, "b": 1}
