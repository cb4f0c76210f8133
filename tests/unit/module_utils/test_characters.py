# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters that nobody typed are found wherever they stand, and what people write for people is left alone."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.characters import described, foreign_in, is_foreign, is_prose

EVERY = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
FOREIGN = [character for character in EVERY if is_foreign(character)]
HANGUL = st.text(alphabet=st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1)


@pytest.mark.parametrize(
    "character", "\u00a0\u3000\u200b\u2060\ufeff\u00ad\u202e\u3164\U000e0041“”‘’„«»–—−０９ＡｚΑ＠％：٣①ﬁ…"
)
def test_samples(character: str) -> None:
    # A Greek letter is one, unless it stands among Latin ones.
    assert foreign_in(f"a{character}b") == [described(character)]


def test_no_character_of_ascii_and_no_syllable_is_one() -> None:
    assert not any(character.isascii() or 0xAC00 <= ord(character) <= 0xD7A3 for character in FOREIGN)


def test_all_formats_blanks_quotes_dashes_and_digits_are() -> None:
    categories = {"Cf", "Zs", "Pi", "Pf", "Pd", "Nd"}
    missed = {c for c in EVERY if unicodedata.category(c) in categories and not c.isascii()} - {*FOREIGN}
    assert missed == set()


@given(st.sampled_from(FOREIGN), st.text(alphabet="aZ09_./+=-", min_size=1), st.text(alphabet="aZ09_./+=-"))
def test_each_is_found_wherever_it_stands(character: str, before: str, behind: str) -> None:
    assert described(character) in foreign_in(before + character + behind)


@given(HANGUL, st.text(alphabet="abc 09.,!?-/"))
def test_korean_is_not(hangul: str, rest: str) -> None:
    assert foreign_in(hangul + rest) == []
    assert is_prose(hangul + rest)


@pytest.mark.parametrize("text", ["❤️", "👨‍👩‍👧 학원", "می‌خواهم"])
def test_what_holds_a_character_together_is_none(text: str) -> None:
    assert foreign_in(text) == []
