# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that are answered without a database; what needs one is shown on the running deployment."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client, override_settings

from tests.environment import COMPLETE

TOKEN = f"Bearer {COMPLETE['INTERNAL_WORKER_TOKEN']}"


def test_health_says_that_the_database_is_away() -> None:
    response = Client().get("/health")
    assert response.status_code == 503
    assert response.json() == {"status": "unhealthy", "database": "unavailable", "release": "1a2b3c4"}


@override_settings(ALLOWED_HOSTS=["api.example.com"], SECURE_SSL_REDIRECT=True)
def test_a_load_balancer_asks_by_address_and_without_tls() -> None:
    assert Client().get("/health", headers={"Host": "172.31.7.9"}).status_code == 503
    assert Client().get("/api/lectures", headers={"Host": "172.31.7.9"}).status_code == 400
    assert Client().get("/api/lectures", headers={"Host": "api.example.com"}).status_code == 301


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", TOKEN.lower(), TOKEN.partition(" ")[2]])
def test_writing_needs_the_token(authorization: str) -> None:
    response = Client().post(
        "/api/lectures", '{"title": "x"}', "application/json", headers={"Authorization": authorization}
    )
    assert response.status_code == 401
    assert COMPLETE["INTERNAL_WORKER_TOKEN"] not in response.text


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("nonsense", "the body is not JSON"),
        ("[]", "the body must be a JSON object of texts"),
        ('{"title": 7}', "the body must be a JSON object of texts"),
        ('{"title": "x", "id": "7"}', "unknown: id; known: title, video_key"),
        ("{}", {"title": ["This field cannot be blank."]}),
        (f'{{"title": "{"x" * 201}"}}', {"title": ["Ensure this value has at most 200 characters (it has 201)."]}),
    ],
)
def test_what_is_no_lecture_is_refused(body: str, error: object) -> None:
    response = Client().post("/api/lectures", body, "application/json", headers={"Authorization": TOKEN})
    assert response.status_code == 400
    assert response.json() == {"error": error}


@pytest.mark.filterwarnings("ignore:Got an error checking a consistent migration history")
def test_the_migrations_say_what_the_models_say() -> None:
    call_command("makemigrations", "--check", "--dry-run", stdout=StringIO())
