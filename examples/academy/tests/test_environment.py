# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.api.config.environment import Environment


def test_everything_missing_is_named_at_once() -> None:
    environment = Environment({"DB_NAME": "academy", "SECRET_KEY": ""})
    for name in ("SECRET_KEY", "DB_NAME", "DB_HOST"):
        environment.text(name)
    with pytest.raises(ImproperlyConfigured, match=r"missing: DB_HOST, SECRET_KEY$"):
        environment.finish()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("false", False), ("False", False)],
)
def test_boolean(text: str, expected: bool) -> None:
    assert Environment({"DEBUG": text}).boolean("DEBUG", default=not expected) is expected


def test_defaults() -> None:
    environment = Environment({})
    assert environment.integer("DB_PORT", 5432) == 5432
    assert environment.boolean("DEBUG", default=False) is False
    assert environment.text("DB_SSLMODE", "require") == "require"
    environment.finish()


@pytest.mark.parametrize("text", ["api.example.com", "ftp://api.example.com", "https://"])
def test_a_url_needs_scheme_and_host(text: str) -> None:
    environment = Environment({"API_BASE_URL": text})
    environment.url("API_BASE_URL")
    with pytest.raises(ImproperlyConfigured, match="API_BASE_URL must be a URL"):
        environment.finish()


def test_what_is_malformed_is_named_but_not_repeated() -> None:
    environment = Environment({"DB_PORT": "hunter2", "DEBUG": "swordfish"})
    environment.integer("DB_PORT", 5432)
    environment.boolean("DEBUG", default=False)
    with pytest.raises(ImproperlyConfigured) as refused:
        environment.finish()
    message = str(refused.value)
    assert "DB_PORT must be a whole number" in message
    assert "DEBUG must be true or false" in message
    assert "hunter2" not in message
    assert "swordfish" not in message
