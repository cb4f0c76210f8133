# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values nobody has filled in yet: of an inventory by our own mark, of others by what guides print there.

What is printed there is made of words: that it is to be replaced, what belongs there, whose it is, or the name of the
variable. What was made by chance is not, however it is cut into words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

PLACEHOLDER = "CHANGE-ME"
# Ansible shows all variables once more in this one.
ALL_VARIABLES = "vars"

# The example that the guide prints, which whoever reads it knows.
PUBLISHED_PASSWORD_SHA256 = "effad6146725ff6e36194bb27abf92340dfb06bd6c6c59475f6aa0a9db80c846"

# Says of itself, anywhere in a value, that something else belongs there.
ASKS_TO_BE_REPLACED = re.compile(
    r"""
    (?<![a-z])(?:change|replace)[-_ ]?(?:me|this|it|later|before|with|by|in[-_ ])
    | (?<![a-z])(?:enter|insert|put|paste|type|add|place|write)[-_ ][\w -]{0,60}here(?![a-z]) | goes[-_ ]?here
    | (?:enter|insert|put|paste)(?:your|the|my|key|secret|token|password|value)\w{0,60}here(?![a-z])
    | placeholder | (?<![a-z])fix[-_ ]?me(?![a-z]) | (?<![a-z])fill[-_ ]?(?:me|this|in)(?![a-z]) | \byour[-_ ]
    | to[-_ ]be[-_ ](?:set|filled|replaced|changed|added|done|defined|generated)
    | (?<![a-z])(?:generate|create|make)[-_ ](?:a|one|it|your|with|by|using)[-_ ]
    """,
    re.VERBOSE | re.IGNORECASE,
)
# The same among words alone.
ADDRESSES_THE_READER = re.compile("(?<![a-z])your|dummy|example|sample|todo", re.IGNORECASE)
# The same in Korean, which joins its words. The second names what belongs there.
ASKS_IN_KOREAN = re.compile(
    "여기|입력|넣으|넣어|넣기|변경|교체|바꾸|바꿔|대체|발급|본인|당신|귀하|각자|임의|예시|예제|샘플|작성|채우|채워|기입|설정하|설정할|"
    "추후|나중|미정|더미|복사|붙여"
)
KOREAN_NOUN = re.compile("비밀번호|패스워드|비번|암호|비밀|시크릿|토큰|액세스|엑세스|인증|키|값|문자열|랜덤|무작위")
# One of these alone, where a value belongs.
STANDS_FOR_NOTHING = re.compile(
    r"todo|tbd|fixme|n/?a|none|null|nil|undefined|unset|empty|blank|example|sample|dummy|fake|placeholder|password|secret|"
    r"redacted|masked|hidden|removed|…|(?P<same>.)(?P=same){2,}|[^\w]+",
    re.IGNORECASE,
)
SETTING_STANDS_FOR_NOTHING = re.compile(
    r"todo|tbd|fixme|example|sample|dummy|placeholder|password|secret|…|\.{3,}|\*{3,}|x{3,}", re.IGNORECASE
)
# A whole value, or what stands in one that was not made by chance.
BRACKETED = re.compile(r"<[^<>]*>")
# What remains where somebody covered a value.
MASK = re.compile(
    r"x{6,}|(?<![A-Za-z0-9])x{4,}(?![A-Za-z0-9])|\*{5,}|\*{4,}$|^\*{4,}|\.{4,}|[•●…█]|_{6,}", re.IGNORECASE
)
MASK_IN_A_SETTING = re.compile(rf"{MASK.pattern}|x{{4,}}", re.IGNORECASE)

# Of these words alone no secret is made.
_VOCABULARY = """
a access account actual admin aes and any api app application asdf asdfgh at auth aws bar base baz bearer bucket
change changeit changeme char characters chars client cloudflare code correcthorsebatterystaple credential credentials
database db default demo dev development django dragon dummy enter env example fake foo for from fromenv generate
generated goes guest hello here hex hidden hunter2 id iloveyou in insecure insert internal is it jwt key keys least
letmein live local localhost long master me mine minimum minio minioadmin monkey must my myself name new not of or our
own pass passphrase passwd password paste please postgres prod production put pw qwerty random real redis replace root
s3 safe sample secret secrets secure service set should sign signing some something staging string strong super team
temp temporary test testing text the this tmp to todo token use user username value very welcome with worker world
write your yours
"""
VOCABULARY = frozenset(_VOCABULARY.split())
SHORTEST_OF_A_WORD = 3
# As people write a letter to please a rule.
LEET = str.maketrans("013457@$!", "oleastasi")
# Fewer characters beside such words are no secret either: a year, a number, a name.
FEWEST_OF_CHANCE = 8
FEWEST_OF_WORDS = 5

TOKENS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")
VOWEL = re.compile("[aeiouy]", re.IGNORECASE)
MOST_DIGITS_BESIDE_WORDS = 6


def unfilled(variables: Mapping[str, object]) -> list[str]:
    """The names of the variables with a placeholder somewhere in their value, as it is written."""
    return sorted(name for name, value in variables.items() if name != ALL_VARIABLES and _contains(value))


def filled(variables: Mapping[str, object]) -> set[str]:
    """The names of the variables that somebody gave a value."""
    return {name for name, value in variables.items() if value is not None and value != ""} - {*unfilled(variables)}


def _contains(value: object) -> bool:
    if isinstance(value, str):
        return PLACEHOLDER in value
    # Nothing else that looks like them: Ansible's own, such as hostvars, would resolve every template in them.
    if isinstance(value, dict):
        return any(_contains(item) for item in value.values())
    return isinstance(value, list) and any(_contains(item) for item in value)


def is_published(text: str) -> bool:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() == PUBLISHED_PASSWORD_SHA256


def is_unfilled_secret(text: str, name: str = "") -> bool:
    """Whether somebody wrote what belongs there instead of a secret; `name` is the variable's."""
    return bool(
        STANDS_FOR_NOTHING.fullmatch(text)
        or BRACKETED.fullmatch(text)
        or MASK.search(text)
        or is_published(text)
        or ASKS_IN_KOREAN.search(text)
        or KOREAN_NOUN.search(text)
        or ((ASKS_TO_BE_REPLACED.search(text) or ADDRESSES_THE_READER.search(text)) and _is_of_words(text))
        or any(_is_of_known_words(spelling, name) for spelling in (text, text.translate(LEET)))
    )


def is_unfilled_setting(text: str, name: str = "") -> bool:
    """The same of what is no secret, where words are what is written."""
    return bool(
        SETTING_STANDS_FOR_NOTHING.fullmatch(text)
        or BRACKETED.search(text)
        or MASK_IN_A_SETTING.search(text)
        or is_published(text)
        or ASKS_TO_BE_REPLACED.search(text)
        or ASKS_IN_KOREAN.search(text)
        or (name and text == name)
    )


def _is_of_words(text: str) -> bool:
    """Whether it can be read aloud: what was made by chance has single letters, digits and consonants everywhere."""
    tokens = TOKENS.findall(text)
    letters = [token for token in tokens if not token.isdigit()]
    spoken = [token for token in letters if len(token) > 1 and VOWEL.search(token)]
    digits = sum(len(token) for token in tokens if token.isdigit())
    return digits <= MOST_DIGITS_BESIDE_WORDS and 2 * len(letters) <= 3 * len(spoken)


def _is_of_known_words(text: str, name: str) -> bool:
    words = VOCABULARY | {word.lower() for word in name.split("_")}
    known = sorted((word for word in words if len(word) >= SHORTEST_OF_A_WORD), key=len, reverse=True)
    # Shorter ones only where they are cut off from the rest.
    short = "|".join(sorted(map(re.escape, words - set(known) - {""})))
    pattern = rf"{'|'.join(map(re.escape, known))}|(?<![A-Za-z0-9])(?:{short})(?![A-Za-z0-9])"
    rest = re.sub(pattern, "", text, flags=re.IGNORECASE)
    beside = len(re.sub(r"[\W_]", "", rest))
    of_words = len(text) - len(rest)
    if not of_words:
        return False
    return beside == 0 or (beside < FEWEST_OF_CHANCE and of_words >= FEWEST_OF_WORDS and of_words >= beside)
