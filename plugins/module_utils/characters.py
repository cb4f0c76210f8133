# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters that nobody sees, or that everybody takes for another one: what a chat, a word processor, an input method
or a web page puts into a value that is copied from it.

They are found by Unicode's own properties and not by a list of samples; only what no property tells is listed.
"""

from __future__ import annotations

import re
import unicodedata

# Shown as nothing although their category says otherwise (Unicode's Default_Ignorable_Code_Point), and a blank pattern.
UNSEEN_ALTHOUGH_NO_FORMAT = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
# What parts of one emoji, and letters of some scripts, are held together by.
JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
# Opening and closing quotes and dashes of all scripts.
LOOKS_LIKE_BY_CATEGORY = {"Pi": '"', "Pf": '"', "Pd": "-"}
# What neither a category nor a compatibility decomposition tells.
LOOKS_LIKE = {
    **dict.fromkeys("\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02bd\u02c8\u00b4\u02ca\u02cb\u055a\ua78c", "'"),
    **dict.fromkeys("\u201e\u2033\u2036\u02ba\u3003\u301d\u301e\u301f", '"'),
    **dict.fromkeys("\u2212\u02d7\u2043\u2796", "-"),
    **dict.fromkeys("\u2044\u2215\u29f8", "/"),
    **dict.fromkeys("\u2236\u02d0\ua789\u0589\u05c3", ":"),
    **dict.fromkeys("\u2217\u204e\u066d", "*"),
    **dict.fromkeys("\u2223\u01c0\u05c0", "|"),
    "\u223c": "~",
    "\u02c6": "^",
    "\u3002": ".",
    "\u3001": ",",
}
# Letters of Cyrillic and Greek, drawn as these of the Latin alphabet are.
LATIN_LETTERS = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХаеіјорсухѕԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧονα",  # noqa: RUF001
        "ABESIJKMHOPCTYXaeijopcyxsdqwhABEZHIKMNOPTYXova",
        strict=True,
    )
)
WORD = re.compile(r"[^\W_]+")
LATIN = re.compile("[A-Za-z]")


def is_invisible(character: str) -> bool:
    """Whether nothing is drawn for it, or only a blank that is not the one of the keyboard."""
    category = unicodedata.category(character)
    return (
        category == "Cf"
        or (category == "Zs" and character != " ")
        or character in UNSEEN_ALTHOUGH_NO_FORMAT
        or any(ord(character) in selectors for selectors in VARIATION_SELECTORS)
    )


def imitated(character: str) -> str:
    """The ASCII that it is taken for; nothing where it is that itself, or like none."""
    if character.isascii():
        return ""
    category = unicodedata.category(character)
    if character in LOOKS_LIKE:
        return LOOKS_LIKE[character]
    if category in LOOKS_LIKE_BY_CATEGORY:
        return LOOKS_LIKE_BY_CATEGORY[category]
    if category == "Nd":
        return str(unicodedata.decimal(character))
    plain = unicodedata.normalize("NFKC", character)
    return plain if plain.isascii() else ""


def is_foreign(character: str) -> bool:
    return is_invisible(character) or bool(imitated(character))


def foreign_in(text: str) -> list[str]:
    """Each of them once, in their order: U+200B ZERO WIDTH SPACE."""
    found = [character for index, character in enumerate(text) if is_foreign(character) and not _joins(text, index)]
    latin = "".join(word for word in WORD.findall(text) if LATIN.search(word))
    mixed = [character for character in latin if character in LATIN_LETTERS]
    return list(dict.fromkeys(map(described, [*found, *mixed])))


def invisible_in(text: str) -> list[str]:
    return [character for index, character in enumerate(text) if is_invisible(character) and not _joins(text, index)]


def described(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def is_prose(text: str) -> bool:
    """Whether it is written for people to read: several words, or letters of another alphabet."""
    return " " in text.strip() or any(
        character.isalpha() and not character.isascii() and not imitated(character) for character in text
    )


def is_wrapped(text: str) -> bool:
    """Whether it stands between two characters that are taken for quotes."""
    return len(text) > 1 and all(imitated(character) in ("'", '"') for character in (text[0], text[-1]))


def _joins(text: str, index: int) -> bool:
    """Whether it holds a character together with what follows, which is how emoji and some scripts are written."""
    return index > 0 and text[index] in JOINERS and not text[index - 1].isascii()
