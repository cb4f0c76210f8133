# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a deployment may be opened, and that everything it lacks is told at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.findings import Finding
from plugins.module_utils.opening import (
    explain,
    failure_told,
    health_answer,
    health_trial,
    opening_findings,
    opening_reads,
    stage_findings,
)
from tests.support import ROOT

NAME, ARN = "api.example.com", "arn:aws:acm:ap-northeast-2:123456789012:certificate/1"
INPUTS: dict[str, Any] = {
    "stage": "open",
    "public_name": NAME,
    "certificate_arn": "",
    "load_balancer_name": "academy-alb",
    "load_balancer_target_group_name": "academy-api",
    "network_security_group_names": {"alb": "academy-alb-sg"},
    "deployment_tags": {"Project": "academy"},
}
CERTIFICATE = {
    "certificate_arn": ARN,
    "domain_name": NAME,
    "subject_alternative_names": [NAME],
    "status": "ISSUED",
    "tags": {"Project": "academy"},
}
BALANCER = {
    "availability_zones": [{"zone_name": "a"}, {"zone_name": "b"}],
    "listeners": [{"Port": 443, "Certificates": [{"CertificateArn": ARN}]}],
}
WORLD = {"from_port": 443, "ip_ranges": [{"cidr_ip": "0.0.0.0/0"}]}


def target(state: str = "healthy", reason: str = "", description: str = "") -> dict[str, Any]:
    return {"id": "i-1", "port": 8000, "state": state, "reason": reason, "description": description}


def state(targets: list[dict[str, Any]] | None = None, **found: Any) -> dict[str, Any]:
    return {
        "security_groups": {"academy-alb-sg": {"ip_permissions": []}},
        "certificates": {NAME: [CERTIFICATE]},
        "load_balancers": {"academy-alb": BALANCER},
        "target_groups": {"academy-api": {"targets": [target()] if targets is None else targets}},
        **found,
    }


def findings(found: dict[str, Any], **inputs: Any) -> list[Finding]:
    return opening_findings({**INPUTS, **inputs}, found)


def test_what_is_ready_is_opened() -> None:
    assert findings(state()) == []


def test_nothing_is_asked_before() -> None:
    for inputs in ({"stage": "test"}, {"public_name": ""}):
        assert opening_reads({**INPUTS, **inputs}) == {}
        assert findings({}, **inputs) == []


def test_without_a_name_there_is_no_opening() -> None:
    assert [finding.subject for finding in stage_findings("open", "")] == ["stage"]
    assert stage_findings("open", NAME) == stage_findings("test", "") == []


def test_everything_that_is_lacking_is_told_at_once() -> None:
    found = state(certificates={}, load_balancers={}, target_groups={})
    assert [finding.id for finding in findings(found)] == [
        "opening_certificate",
        "opening_load_balancer",
        "opening_host",
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"certificates": {NAME: [{**CERTIFICATE, "status": "PENDING_VALIDATION"}]}}, "found PENDING_VALIDATION"),
        ({"certificates": {NAME: [{**CERTIFICATE, "tags": {}}]}}, "found no certificate"),
        ({"load_balancers": {"academy-alb": {**BALANCER, "listeners": []}}}, "does not listen at 443"),
        ({"load_balancers": {"academy-alb": {**BALANCER, "availability_zones": [{"zone_name": "a"}]}}}, "in 1 zone"),
        ({"targets": []}, "an API host that runs"),
        ({"targets": [target("draining")]}, "an API host that runs"),
    ],
)
def test_what_is_lacking_is_told(found: dict[str, Any], words: str) -> None:
    (finding,) = findings(state(**found))
    assert words in finding.text_en


@pytest.mark.parametrize(
    ("certificates", "stays_open"),
    [
        ([CERTIFICATE], True),
        # Its successor is waited for.
        (
            [
                {**CERTIFICATE, "status": "EXPIRED"},
                {**CERTIFICATE, "certificate_arn": f"{ARN}2", "status": "PENDING_VALIDATION"},
            ],
            True,
        ),
        ([{**CERTIFICATE, "certificate_arn": f"{ARN}2", "status": "PENDING_VALIDATION"}], False),
        # What is shown is another name's.
        ([{**CERTIFICATE, "subject_alternative_names": [], "domain_name": "other.example.com"}], False),
    ],
)
def test_who_is_open_is_asked_anew_only_where_no_certificate_of_the_name_is_shown(
    certificates: list[dict[str, Any]], stays_open: bool
) -> None:
    found = state(
        [], certificates={NAME: certificates}, security_groups={"academy-alb-sg": {"ip_permissions": [WORLD]}}
    )
    assert (findings(found) == []) == stays_open


CODES = "Health checks failed with these codes: [{}]"


@pytest.mark.parametrize(
    ("reason", "description", "words"),
    [
        ("Target.ResponseCodeMismatch", CODES.format(400), "ALLOWED_HOSTS"),
        ("Target.ResponseCodeMismatch", CODES.format(301), "SECURE_SSL_REDIRECT"),
        ("Target.ResponseCodeMismatch", CODES.format(302), "SECURE_SSL_REDIRECT"),
        ("Target.ResponseCodeMismatch", CODES.format(404), "no /health"),
        ("Target.ResponseCodeMismatch", CODES.format(502), "nobody behind it"),
        ("Target.ResponseCodeMismatch", CODES.format(503), "database"),
        ("Target.ResponseCodeMismatch", CODES.format(418), "answers 418"),
        ("Target.FailedHealthChecks", "Health checks failed", "nothing listens"),
        ("Target.Timeout", "Request timed out", "too late"),
        ("Elb.InitialHealthChecking", "Initial health checks in progress", "in a minute"),
        ("Elb.RegistrationInProgress", "Target registration is in progress", "in a minute"),
        ("Target.NotInUse", "Target group is not configured", "Target.NotInUse: Target group is not configured"),
    ],
)
def test_what_the_load_balancer_saw_is_told_apart(reason: str, description: str, words: str) -> None:
    (finding,) = findings(state([target("unhealthy", reason, description)]))
    assert words in finding.text_en
    assert finding.text_ko != finding.text_en


def test_one_healthy_host_is_enough() -> None:
    assert findings(state([target(), target("unhealthy", "Target.Timeout")])) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "ALLOWED_HOSTS"),
        (301, "SECURE_SSL_REDIRECT"),
        (502, "nobody behind it"),
        (503, "database"),
        (-1, "listens"),
    ],
)
def test_a_message_tells_what_an_answer_means_in_both_languages(status: int, words: str) -> None:
    english, korean = health_answer(status).strip().split("\n")
    assert words in english
    assert english != korean


def test_200_needs_no_explanation() -> None:
    assert explain(200) is None
    assert health_answer(200) == ""


def test_who_has_opened_is_not_closed_by_a_host_that_fails() -> None:
    opened: dict[str, Any] = {"security_groups": {"academy-alb-sg": {"ip_permissions": [WORLD]}}}
    assert findings(state([target("unhealthy", "Target.Timeout")], **opened)) == []
    # But another name is another opening.
    assert findings(state(**opened, certificates={"b.example.com": []}), public_name="b.example.com") != []


# --- the trial before a container takes over --------------------------------------------------------------------------

DJANGO = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, MIDDLEWARE=[
    "django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"], **{options})
urlpatterns = [path({path!r}, lambda request: HttpResponse(status={status}))]
execute_from_command_line(sys.argv)
"""
HOST = "172.31.0.10"
PLACE = ("academy-db", "ap-northeast-2")


@pytest.mark.parametrize(
    ("options", "path", "status", "words"),
    [
        ({"ALLOWED_HOSTS": [HOST]}, "health", 200, ""),
        ({"ALLOWED_HOSTS": [NAME]}, "health", 200, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": ["*"], "SECURE_SSL_REDIRECT": True}, "health", 200, "SECURE_SSL_REDIRECT"),
        ({"ALLOWED_HOSTS": ["*"]}, "elsewhere", 200, "has no /health"),
        ({"ALLOWED_HOSTS": ["*"]}, "health", 503, "its database does not answer"),
    ],
)
def test_a_trial_asks_django_as_a_load_balancer_will(
    tmp_path: Path, options: dict[str, Any], path: str, status: int, words: str
) -> None:
    program = DJANGO.format(options=options, path=path, status=status)
    (tmp_path / "manage.py").write_text(program, encoding="utf-8")
    _, *arguments = health_trial("/health", HOST)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (not words)
    last = (done.stderr.splitlines() or [""])[-1]
    assert words in failure_told([last], *PLACE)
    assert bool(failure_told([last], *PLACE)) == bool(words)


@pytest.mark.parametrize("has_linter", [True, False])
def test_migrations_are_linted_where_the_application_has_the_linter(tmp_path: Path, has_linter: bool) -> None:
    commands = tmp_path / "linter" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "lintmigrations.py").touch()
    options = {"INSTALLED_APPS": ["linter"] if has_linter else []}
    (tmp_path / "manage.py").write_text(DJANGO.format(options=options, path="health", status=200), encoding="utf-8")
    (run,) = yaml.safe_load((ROOT / "roles" / "api" / "tasks" / "main.yml").read_text(encoding="utf-8"))
    linted, migrated = run["vars"]["container_preparations"]
    # Of the migrations that are not applied yet.
    assert (linted["only_warns"], migrated["name"]) == (True, "migrate the database")
    assert linted["apply"][2:4] == ["lintmigrations", "--unapplied-migrations"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *linted["check"][1:]], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == has_linter


def test_what_else_a_command_says_is_not_explained() -> None:
    assert failure_told(["django.db.utils.OperationalError: connection refused"], *PLACE) == ""
    assert failure_told([], *PLACE) == ""


@pytest.mark.parametrize(
    "line",
    [
        'connection to server at "db.local", port 5432 failed: FATAL:  password authentication failed for user '
        '"academy_user"',
        'asyncpg.exceptions.InvalidPasswordError: password authentication failed for user "academy_user"',
    ],
)
def test_a_refused_password_is_explained_wherever_it_stands(line: str) -> None:
    told = failure_told(["Traceback (most recent call last):", line, "The above exception was …", ""], *PLACE)
    english, korean = told.removesuffix("\n").split("\n")
    for text in (english, korean):
        assert "academy_user" in text
        assert "vault_database_password" in text
        assert "modify-db-instance --region ap-northeast-2 --db-instance-identifier academy-db" in text
    assert "RDS takes database_password when academy-db is created" in english
