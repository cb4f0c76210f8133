# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service gets which variable: what the application demands, and nothing that another one's work needs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.application_environment import (
    ROW_KEYS,
    ServiceEnvironmentError,
    checked_environment,
    gets,
    is_required,
    own_findings,
    service_environment,
    table_findings,
    value_findings,
)
from plugins.module_utils.services import rows
from tests import support
from tests.unit.inputs import collected
from tests.unit.rows import ROWS, row

APPLICATION = support.ROOT / "examples/academy/apps"
TEXT = re.compile(r'environment\.(?:text|url)\("(\w+)"\)')
READ = re.compile(r'environment\.\w+\(\s*"(\w+)"')
MODULES = {"messaging_worker": "messaging", "video_worker": "video", "ai_worker": "ai"}
OWN: dict[str, dict[str, Any]] = {
    "api": {"DJANGO_SETTINGS_MODULE": "apps.api.config.settings.prod"},
    "messaging_worker": {"MESSAGING_WORKER_ID": "academy-messaging-worker-1"},
    "video_worker": {"VIDEO_WORKER_ID": "academy-video-worker-1", "EC2_IDLE_STOP_THRESHOLD": 5},
    "ai_worker": {"AI_WORKER_ID_CPU": "academy-ai-worker-1", "EC2_IDLE_STOP_THRESHOLD": 5},
}
WORKER = {"DJANGO_SETTINGS_MODULE": "apps.api.config.settings.worker", "WORKER_WAIT_SECONDS": 20}
ROW: dict[str, Any] = {"value": "x"}
SERVICES = rows({**ROWS, "new": row(receives_from=["jobs"], environment={"NEW_WORKER_ID": "h-new"})})
GUIDE = [*ROWS]


def table() -> dict[str, dict[str, Any]]:
    _, _, rows, values = collected()
    return {name: {**row, "value": values[name]} if name in values else row for name, row in rows.items()} | {
        name: {**rows[name], "value": f"secret-of-{name}"} for name in rows if rows[name].get("secret")
    }


def own(service: str) -> dict[str, Any]:
    return OWN[service] if service == "api" else {**WORKER, **OWN[service]}


@pytest.mark.parametrize("service", GUIDE)
def test_a_service_gets_what_the_application_demands(service: str) -> None:
    source = (APPLICATION / "api/config/settings/base.py").read_text(encoding="utf-8")
    demanded = set(TEXT.findall(source))
    if service in MODULES:
        demanded |= set(TEXT.findall((APPLICATION / f"workers/{MODULES[service]}.py").read_text(encoding="utf-8")))
    assert {name for name in demanded if not gets(table()[name], service, SERVICES)} == set()
    assert all(is_required(table()[name]) for name in demanded)
    settings, secrets, findings = service_environment(
        table(), service, f"academy-{service}-1".replace("_", "-"), own(service), SERVICES
    )
    assert findings == []
    # The database's address is looked up by the role that runs the container.
    assert demanded - {*settings, *secrets} == {"DB_HOST"}


def test_everything_that_the_application_reads_is_declared() -> None:
    files = [APPLICATION / "api/config/settings/base.py", *(APPLICATION / "workers").glob("*.py")]
    read = {name for file in files for name in READ.findall(file.read_text(encoding="utf-8"))}
    # Baked into the image.
    assert read - {"RELEASE"} <= set(table())


def test_nobody_gets_what_is_another_ones() -> None:
    names = {service: {*service_environment(table(), service, "", own(service), SERVICES)[0]} for service in GUIDE}
    assert {name for name in names["api"] if "WORKER" in name} == set()
    for name, services in {
        "EC2_IDLE_STOP_THRESHOLD": {"video_worker", "ai_worker"},
        "VIDEO_WORKER_ID": {"video_worker"},
        "AI_WORKER_ID_CPU": {"ai_worker"},
        "MESSAGING_WORKER_ID": {"messaging_worker"},
    }.items():
        assert {service for service in GUIDE if name in names[service]} == services
        assert {service for service in GUIDE if gets(table()[name], service, SERVICES)} == services


def test_secrets_and_settings_are_apart() -> None:
    settings, secrets = checked_environment(table(), "api", "academy-api-1", own("api"), SERVICES)
    assert set(secrets) == {"SECRET_KEY", "DB_PASSWORD", "INTERNAL_WORKER_TOKEN", "R2_ACCESS_KEY", "R2_SECRET_KEY"}
    assert not settings.keys() & secrets.keys()


def test_a_worker_gets_what_all_workers_get_and_what_its_own_row_names() -> None:
    given = {**WORKER, "NEW_WORKER_ID": "h-new"}
    settings, _ = checked_environment(table(), "new", "h", given, SERVICES)
    assert settings.items() >= given.items()
    for name, value in {"NEW_WORKER_ID": "a$b", "OTHER_WORKER_ID": "x", "VIDEO_WORKER_ID": "h"}.items():
        with pytest.raises(ServiceEnvironmentError, match=name):
            checked_environment(table(), "new", "h", {**given, name: value}, SERVICES)
    assert [service for service in SERVICES if not gets({"services": ["workers"]}, service, SERVICES)] == ["api"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VIDEO_WORKER_TMP_DIR", "VIDEO_WORKER_TEMP_DIR"),
        ("VIDEO_WORKER_IDS", "VIDEO_WORKER_ID"),
        ("VIDEO_VISIBILTY_SECOND", "VIDEO_VISIBILITY_SECONDS"),
        ("DB_HOSTS", "DB_HOST"),
        # Names that are the service's own, also where another service has one like them.
        ("THUMBNAIL_WORKER_ID", ""),
        ("AI_VISIBILITY_SECOND", ""),
        ("R2_AUDIO_BUCKET", ""),
        ("VIDEO_WORKER_TEMP_DIR", ""),
    ],
)
def test_a_name_that_a_row_misspells_is_told_from_one_that_it_declares(name: str, meant: str) -> None:
    services = rows({**ROWS, "video_worker": {**ROWS["video_worker"], "environment": {name: "/tmp"}}})
    given = {**own("video_worker"), name: "/tmp"}
    found = service_environment(table(), "video_worker", "academy-video-worker-1", given, services)[2]
    asked = own_findings(table(), {"academy-video-worker-1": {"video_worker": given}}, services)
    for findings in (found, asked):
        assert [finding.subject for finding in findings] == (
            [f"services.video_worker.environment.{name}"] if meant else []
        )
        assert all(f"Write {meant};" in finding.remedy.en and meant in finding.text_ko for finding in findings)


class Trap(dict[str, Any]):
    """A row whose value must not be looked at."""

    def __getitem__(self, key: str) -> Any:
        assert key != "value"
        return super().__getitem__(key)


def test_a_value_that_a_service_does_not_get_is_not_looked_at() -> None:
    table = {"A": ROW, "B": Trap(services=["ai_worker"], value="secret", secret=True, variable="vault_b")}
    assert checked_environment(table, "api", "h", {}, SERVICES) == ({"A": "x"}, {})
    with pytest.raises(AssertionError):
        checked_environment(table, "ai_worker", "h", {}, SERVICES)


@pytest.mark.parametrize(
    ("service", "given", "words"),
    [
        ("api", {"DJANGO_SETTINGS_MODULE": "x", "VIDEO_WORKER_ID": "v"}, ["VIDEO_WORKER_ID", "does not get it"]),
        ("api", {"DJANGO_SETTINGS_MODULE": "x", "NEW": "v"}, ["NEW", "does not get it"]),
        ("api", {}, ["DJANGO_SETTINGS_MODULE", "demands it"]),
        ("video_worker", {**WORKER, "VIDEO_WORKER_ID": "same-for-us"}, ["VIDEO_WORKER_ID", "host's name"]),
        ("video_worker", {**WORKER, "VIDEO_WORKER_ID": "h0"}, ["VIDEO_WORKER_ID", "host's name"]),
        ("video_worker", {**WORKER, "VIDEO_WORKER_ID": "h", "WORKER_WAIT_SECONDS": 21}, ["WORKER_WAIT_SECONDS", "20"]),
        ("video_worker", {**WORKER, "VIDEO_WORKER_ID": "h", "EC2_IDLE_STOP_THRESHOLD": 0}, ["THRESHOLD", "1 or more"]),
    ],
)
def test_refusals(service: str, given: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ServiceEnvironmentError) as error:
        checked_environment(table(), service, "h", given, SERVICES)
    assert all(word in str(error.value) for word in words)
    assert "secret-of" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "stage", "rule"),
    [
        ("http://172.31.5.4:8000", "test", ""),
        ("http://not-created-yet:8000", "test", ""),
        ("https://api.example.com", "open", ""),
        ("http://52.78.10.20:8000", "test", "public address"),
        ("http://[2406:da12::1]:8000", "test", "public address"),
        ("http://172.31.5.4:8000", "open", "load balancer's name"),
        ("https://172.31.5.4", "open", "load balancer's name"),
        ("http://api.example.com", "open", "load balancer's name"),
        ("api.example.com:8000", "test", "URL"),
        ("http://", "test", "URL"),
        ("http://a:99999", "test", "URL"),
    ],
)
def test_the_apis_address_outlives_a_stop(url: str, stage: str, rule: str) -> None:
    row = {**table()["API_BASE_URL"], "stage": stage}
    found = [finding.rule.en for finding in value_findings("API_BASE_URL", row, url)]
    assert len(found) == bool(rule)
    assert all(rule in text for text in found)


@pytest.mark.parametrize(
    "broken",
    [
        None, [], "x", {}, {"A": "x"}, {"A": {}}, {"A": {"value": "x", "unknown": 1}},
        {"A": {"value": "x", "services": []}},
        {"A": {"value": "x", "services": ["web"]}}, {"A": {"value": "x", "services": "api"}},
        {"A": {"value": "x", "source": "me"}}, {"A": {"value": "x", "type": "email"}},
        {"A": {"value": "x", "secret": True}},
        {"A": {"value": "x", "services": [{"api": None}]}}, {"A": {"value": "x", "services": [["api"]]}},
        {"A": {"value": "x", "source": ["aws"]}}, {"A": {"value": "x", "type": {"text": None}}},
        {"A": {"value": "5", "type": "integer", "minimum": "1"}},
        {"A": {"value": "5", "type": "integer", "maximum": True}}, {"A": {"value": "5", "minimum": [1]}},
        {"A": {"value": "x", "choices": 5}}, {"A": {"value": "x", "choices": "x"}},
        {"A": {"value": "x", "choices": []}}, {"A": {"value": "x", "choices": [["x"]]}},
        {"A": {"value": "x", "required": "no"}}, {"A": {"value": "x", "per_host": 1}},
        {"A": {"value": "x", "secret": "yes", "variable": "vault_a"}}, {"A": {"value": "x", "variable": ["a"]}},
        {"A": {"value": "x", "stage": {}}}, {5: {"value": "x"}}, {"A-B": {"value": "x"}}, {"A": {"value": "x", 5: 1}},
    ],
)  # fmt: skip
def test_a_table_that_is_wrong(broken: Any) -> None:
    findings = table_findings(broken, SERVICES)
    assert findings
    assert all(finding.subject.startswith("application_variables") and finding.text_ko for finding in findings)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["api", "inventory", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=250)
@given(st.dictionaries(st.sampled_from(["A", "B"]), st.dictionaries(st.sampled_from(sorted(ROW_KEYS)), ANYTHING)))
def test_no_table_breaks_the_judgement(table: dict[str, dict[str, Any]]) -> None:
    if not table_findings(table, SERVICES):
        assert service_environment(table, "api", "h", {}, SERVICES)


def test_the_table_of_the_guide_is_right() -> None:
    assert table_findings(table(), SERVICES) == []
