# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings come from environment variables; all that is wrong with them is said at once."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

BOOLEANS = {"true": True, "false": False}


class Environment:
    """Read variables and remember every problem until `finish`. Values are never repeated: some of them are secrets."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._missing: list[str] = []
        self._malformed: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Return the variable; an empty one counts as missing."""
        value = self._variables.get(name) or default
        if value is None:
            self._missing.append(name)
            return ""
        return value

    def integer(self, name: str, default: int) -> int:
        text = self.text(name, str(default))
        if not text.isdecimal():
            self._malformed.append(f"{name} must be a whole number")
            return default
        return int(text)

    def boolean(self, name: str, default: bool) -> bool:
        text = self.text(name, str(default).lower())
        if text.lower() not in BOOLEANS:
            self._malformed.append(f"{name} must be true or false")
            return default
        return BOOLEANS[text.lower()]

    def url(self, name: str) -> SplitResult:
        text = self.text(name)
        url = urlsplit(text)
        if text and (url.scheme not in {"http", "https"} or not url.hostname):
            self._malformed.append(f"{name} must be a URL like https://api.example.com")
        return url

    def finish(self) -> None:
        """Refuse to start while anything is missing or malformed."""
        problems = list(self._malformed)
        if self._missing:
            problems.insert(0, f"missing: {', '.join(sorted(self._missing))}")
        if problems:
            raise ImproperlyConfigured(f"The environment is not complete; {'; '.join(problems)}")
