# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets can be guessed. The master password of the database has rules of its own (rds_password).

No message tells anything of the value: neither a character of it nor its length.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

from .findings import Words

# What `django-admin startproject` writes into a new project, which is in its repository from the first commit on.
DJANGO_INSECURE = "django-insecure-"
FEWEST_CHARACTERS = 12
FEWEST_DIFFERENT = 5
# What is not weak up to here is not weak beyond.
LONGEST_JUDGED = 256
# Characters that do not follow from the one in front of them.
FEWEST_OF_CHANCE = 8
# What is too much to be tried out over a network, with a margin.
RECOMMENDED_BITS = 64

KEYBOARD = (
    "qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p"
)  # fmt: skip
NEIGHBOURS = {pair for row in KEYBOARD for one, other in pairwise(row) for pair in (one + other, other + one)}
ALPHABETS = (
    (re.compile(r"\d+"), 10),
    (re.compile("[0-9a-f]+|[0-9A-F]+"), 16),
    (re.compile("[a-z]+|[A-Z]+"), 26),
    (re.compile("[0-9a-z]+|[0-9A-Z]+"), 36),
    (re.compile("[0-9A-Za-z]+"), 62),
)
ALL_PRINTABLE = 94

MAKE_ONE = Words(
    "If it is yours to choose, make one: openssl rand -hex 32. Otherwise copy what its service issued.",
    "직접 정하는 값이면 새로 만드십시오: openssl rand -hex 32. 아니면 발급받은 값을 그대로 복사하십시오.",
)
MAKE_A_KEY = Words(
    "Make a new one: openssl rand -hex 32. Whoever is signed in then signs in once more.",
    "새로 만드십시오: openssl rand -hex 32. 로그인한 사용자는 한 번 다시 로그인합니다.",
)


def broken_rule(text: str) -> tuple[Words, Words] | None:
    """What is wrong with a secret, and what to do."""
    if text.lower().startswith(DJANGO_INSECURE):
        rule = Words(
            f"begins with {DJANGO_INSECURE}: startproject writes such a key into the source, so that all who read that "
            "know it",
            f"{DJANGO_INSECURE}로 시작합니다. startproject가 소스에 써 넣는 키이므로 소스를 본 사람은 모두 압니다",
        )
        return rule, MAKE_A_KEY
    if len(text) < FEWEST_CHARACTERS:
        rule = Words(
            f"must have {FEWEST_CHARACTERS} characters and more: shorter ones are guessed",
            f"{FEWEST_CHARACTERS}자 이상이어야 합니다. 더 짧으면 추측됩니다",
        )
        return rule, MAKE_ONE
    if len(set(text)) < FEWEST_DIFFERENT or of_chance(text) < FEWEST_OF_CHANCE:
        rule = Words(
            "repeats itself, or follows the alphabet or the keyboard: such values are guessed first",
            "같은 글자의 반복이거나 알파벳·숫자·키보드 순서입니다. 가장 먼저 추측됩니다",
        )
        return rule, MAKE_ONE
    return None


def is_rather_weak(text: str) -> bool:
    """Of a secret that breaks no rule: whether there are too few of its length and alphabet."""
    return _period(text[:LONGEST_JUDGED]) * math.log2(_alphabet(text)) < RECOMMENDED_BITS


RATHER_WEAK = Words(
    f"could be found by trying: made by chance, it should hold {RECOMMENDED_BITS} bits, such as 16 hexadecimal digits",
    f"무작위로 만든 {RECOMMENDED_BITS}비트(예: 16진수 16자) 이상이 좋습니다. 시도해 보면 찾을 수 있습니다",
)


def of_chance(text: str) -> int:
    """How many of its characters do not follow from those in front of them."""
    judged = text[:LONGEST_JUDGED]
    unit = judged[: _period(judged)]
    return 1 + sum(not _follows(one, other) for one, other in pairwise(unit))


def _follows(one: str, other: str) -> bool:
    return abs(ord(one) - ord(other)) <= 1 or (one + other).lower() in NEIGHBOURS


def _period(text: str) -> int:
    """After how many characters it begins again; all of them where it does not."""
    return next(length for length in range(1, len(text) + 1) if text[length:] == text[: len(text) - length])


def _alphabet(text: str) -> int:
    return next((size for pattern, size in ALPHABETS if pattern.fullmatch(text)), ALL_PRINTABLE)
