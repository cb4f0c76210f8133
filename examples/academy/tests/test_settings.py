# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings modules read the environment once, when they are imported; so each case gets a process of its own."""

import json
import subprocess
import sys

import pytest

from tests.environment import COMPLETE

SHOW = """
import json
from django.conf import settings
names = ["DEBUG", "ALLOWED_HOSTS", "SECURE_SSL_REDIRECT", "SECURE_PROXY_SSL_HEADER", "MIDDLEWARE", "DATABASES"]
print(json.dumps({name: getattr(settings, name) for name in names}))
"""
# With a default, or needed by nobody but the settings that name them.
OPTIONAL = {"DJANGO_SETTINGS_MODULE", "RELEASE", "DEBUG", "DB_PORT", "DB_CONN_MAX_AGE", "DB_SSLMODE"}


def run(module: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    variables = environment | {"DJANGO_SETTINGS_MODULE": f"apps.api.config.settings.{module}"}
    return subprocess.run([sys.executable, "-c", SHOW], env=variables, capture_output=True, text=True, check=False)


def test_production() -> None:
    settings = json.loads(run("prod", COMPLETE).stdout)
    assert settings["DEBUG"] is False
    assert settings["ALLOWED_HOSTS"] == ["*"]
    assert settings["SECURE_SSL_REDIRECT"] is False
    assert settings["SECURE_PROXY_SSL_HEADER"] is None
    assert settings["MIDDLEWARE"][0] == "apps.api.health.HealthMiddleware"
    assert settings["DATABASES"]["default"]["OPTIONS"]["sslmode"] == "require"


def test_behind_https_only_its_own_name_answers() -> None:
    settings = json.loads(run("prod", COMPLETE | {"API_BASE_URL": "https://api.example.com"}).stdout)
    assert settings["ALLOWED_HOSTS"] == ["api.example.com"]
    assert settings["SECURE_SSL_REDIRECT"] is True
    assert settings["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


def test_workers_have_no_http() -> None:
    settings = json.loads(run("worker", COMPLETE).stdout)
    assert settings["MIDDLEWARE"] == []
    assert settings["ALLOWED_HOSTS"] == []


@pytest.mark.parametrize("module", ["prod", "worker"])
def test_an_empty_environment_is_refused_with_every_name(module: str) -> None:
    refused = run(module, {})
    assert refused.returncode != 0
    named = refused.stderr.splitlines()[-1].partition("missing: ")[2].split(", ")
    assert named == sorted(set(COMPLETE) - OPTIONAL)
