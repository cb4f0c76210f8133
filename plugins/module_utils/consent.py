# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody consented to, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ConsentError(ValueError):
    """A consent that names nothing."""


def consented_names(consent: Any, variable: str) -> list[str]:
    """The names in a consent, each whole. `-e variable=name` brings text, of which a part must not pass for a name."""
    names = consent.split(",") if isinstance(consent, str) else consent
    if isinstance(names, Sequence) and all(isinstance(name, str) for name in names):
        return [name for name in map(str.strip, names) if name]
    raise ConsentError(
        f"{variable}: must be a list of names, or one name as text, found {consent!r}. "
        f'Give them so: -e \'{{"{variable}": ["<name>"]}}\'.'
    )
