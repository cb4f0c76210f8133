# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be guessed is refused, what a generator made is not, and neither is ever told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.application_environment import judged_findings
from plugins.module_utils.findings import errors
from plugins.module_utils.placeholders import is_unfilled_secret, is_unfilled_setting
from plugins.module_utils.secret_rules import broken_rule, is_rather_weak
from tests.unit.module_utils import chance

SECRET = {"secret": True, "variable": "vault_secret_key"}
PLACEHOLDERS = [
    "your_secret_key", "YourSecurePassword123", "<ACCESS_KEY>", "changeme", "replace-with-a-long-random-token",
    "dummy", "xxx", "***", "SECRET_KEY", "secret_key", "enter-your-token-here", "ENTER_KEY_HERE",
    "enteryourkeyhere", "put_your_key_here", "insert-secret-here", "P@ssw0rd!", "Password123!",
    "change-this-in-production", "please-change-me", "mysecretkey", "supersecretkey", "dummy-token",
    "test-secret-key", "sk-xxxxxxxxxxxxxxxxxxxx", "AKIAXXXXXXXXXXXXXXXX", "abcd******", "••••••", "TODO", "none",
    "[secret-key]", "{token}", "__SECRET_KEY__", "%SECRET_KEY%", "generate-with-openssl-rand",
    "ReplaceThisWithYourSecret", "your-32-char-hex-key-here", "SecretPassword1!", "Admin1234!", "not-a-real-secret",
    "to-be-filled-in", "foo-bar-baz", "여기에_시크릿키를_넣어주세요",
    "팀_공유_비밀번호로_변경", "발급받은_액세스키", "본인이_정한_토큰", "시크릿키입력",
    "랜덤문자열", "실제값으로",
]  # fmt: skip
WEAK = [
    "1234", "django-insecure-7kwr2zqc9vh3jp5xt8mnb4d6f1g0sayeuio5l", "abababababababab", "1234567890123456",
    "abcdefghijklmnopqrstuvwxyz", "0123456789abcdef", "1q2w3e4r5t6y7u8i", "abc123abc123abc123", "Hk9Hk9Hk9Hk9Hk9",
    "Hk9Zq2vT", "qazwsxedcrfvtgb", "abababababab1",
]  # fmt: skip


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_what_stands_for_a_secret(text: str) -> None:
    assert is_unfilled_secret(text, "SECRET_KEY")
    findings = judged_findings("SECRET_KEY", SECRET, text)
    assert errors(findings)
    # Rules say some of these words themselves.
    assert all(finding.found == "" for finding in findings)


@pytest.mark.parametrize("text", WEAK)
def test_what_is_guessed(text: str) -> None:
    assert broken_rule(text)
    (finding,) = errors(judged_findings("SECRET_KEY", SECRET, text))
    assert finding.id == "secret_guessed"
    assert "openssl rand -hex 32" in finding.text_en
    assert "openssl rand -hex 32" in finding.text_ko


@settings(max_examples=500)
@given(chance.secrets(), st.sampled_from(["SECRET_KEY", "INTERNAL_WORKER_TOKEN", "R2_ACCESS_KEY"]))
def test_what_was_made_by_chance_passes(secret: str, name: str) -> None:
    assert judged_findings(name, SECRET, secret) == []


@pytest.mark.parametrize(
    "text",
    ["correct-horse-battery-staple", "Lantern-River_4821", "sk_live_51Hn8Qz2LmX0vRt7", "secret_9fQz71LmXk02PqRs"],
)
def test_what_somebody_chose_passes(text: str) -> None:
    assert not is_unfilled_secret(text, "SECRET_KEY")
    assert broken_rule(text) is None


def test_a_long_one_is_judged_in_no_time() -> None:
    assert errors(judged_findings("SECRET_KEY", SECRET, chance.drawn(chance.HEX, 500_000, 1))) == []


def test_a_short_one_is_warned_of() -> None:
    assert is_rather_weak("5d2f7a90c1e3")
    (finding,) = judged_findings("SECRET_KEY", SECRET, "5d2f7a90c1e3")
    assert (finding.id, finding.severity) == ("secret_weak", "warning")


@given(chance.secrets(), st.integers(min_value=1, max_value=19), st.sampled_from("\u200b\u00a0”９ａ–"))
def test_what_was_copied_from_a_chat_is_told_by_its_character(secret: str, place: int, character: str) -> None:
    (finding,) = judged_findings("SECRET_KEY", SECRET, secret[:place] + character + secret[place:])
    assert (finding.id, finding.severity) == ("foreign_character", "error")
    assert f"U+{ord(character):04X}" in finding.text_en
    assert secret[:place] not in finding.text_en or place < 4


@pytest.mark.parametrize("text", ["academy", "*", "/", "none", "8888", "exchange-it", "https://yourstudy.kr"])
def test_settings_that_are_filled_in(text: str) -> None:
    assert not is_unfilled_setting(text, "NAME")


@pytest.mark.parametrize("text", ["학원에 오신 것을 환영합니다", "본인 인증 – “확인” 10％", "Don’t panic – it’s fine"])
def test_text_for_people_is_not_refused(text: str) -> None:
    assert errors(judged_findings("BANNER", {"required": False}, text)) == []


@pytest.mark.parametrize(
    "text", ["“academy”", "academy\u200b", "학원\u200b", "ａcademy", "replace-with-name", "<name>"]
)
def test_other_settings_are(text: str) -> None:
    assert errors(judged_findings("BANNER", {"required": False}, text))
