# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names a consent holds, however it was given, and that every consent is read so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from plugins.module_utils.consent import ConsentError, consented_names
from plugins.module_utils.plan import database, queues, teardown
from plugins.module_utils.plan import instance as instances
from tests.unit.module_utils.plan.test_plan_database import CURRENT
from tests.unit.module_utils.plan.test_plan_database import INPUTS as DATABASE
from tests.unit.module_utils.plan.test_plan_instance import INPUTS as INSTANCE
from tests.unit.module_utils.plan.test_plan_instance import instance


@pytest.mark.parametrize(
    ("consent", "names"),
    [
        ([], []),
        ("", []),
        (" , ", []),
        (["jobs"], ["jobs"]),
        (("jobs", "jobs-dlq"), ["jobs", "jobs-dlq"]),
        # What the argument specs make of text.
        (["jobs", " jobs-dlq", ""], ["jobs", "jobs-dlq"]),
        ("jobs", ["jobs"]),
        ("jobs, jobs-dlq", ["jobs", "jobs-dlq"]),
    ],
)
def test_names(consent: Any, names: list[str]) -> None:
    assert consented_names(consent, "teardown_purge_queues") == names


@pytest.mark.parametrize("consent", [None, True, 5, {"jobs": True}, ["jobs", 5], [["jobs"]], b"jobs"])
def test_anything_else_is_refused_by_the_name_of_its_variable(consent: Any) -> None:
    with pytest.raises(ConsentError, match=r'^teardown_purge_queues: must be a list of names.*"teardown_purge_queues"'):
        consented_names(consent, "teardown_purge_queues")


def queue_is_purged(consent: Any) -> bool:
    return not teardown.queue_findings([{"name": "academy-db", "messages": 1}], consent)


def retention_is_shortened(consent: Any) -> bool:
    now = {"attributes": {"MessageRetentionPeriod": "86400", "ApproximateNumberOfMessages": "1"}}
    wanted = {"name": "academy-db", "retention_seconds": 3600}
    return not queues.retention_findings(wanted, now, {"queues_allow_shorter_retention": consent})


def type_is_changed(consent: Any) -> bool:
    found = [instance(instance_type="c7g.large")]
    host = {**INSTANCE, "inventory_hostname": "academy-db", "instance_allow_type_change": consent}
    return not instances.instance_findings(host, found)


def class_becomes_smaller(consent: Any) -> bool:
    inputs = {**DATABASE, "database_allow_smaller_class": consent}
    return not database.refusals(inputs, {**CURRENT, "db_instance_class": "db.t4g.large"})


def backups_become_shorter(consent: Any) -> bool:
    inputs = {**DATABASE, "database_allow_shorter_backups": consent}
    return bool(database.wanted_instance(inputs, {"backup_retention_period": 14})["backup_retention_days"] == 7)


@pytest.mark.parametrize(
    "allows",
    [queue_is_purged, retention_is_shortened, type_is_changed, class_becomes_smaller, backups_become_shorter],
)
def test_every_consent_is_to_whole_names(allows: Callable[[Any], bool]) -> None:
    assert all(allows(consent) for consent in (["academy-db"], "academy-db", "other,academy-db"))
    assert not any(allows(consent) for consent in ([], ["academy-db-2"], "academy-db-2", "my-academy-db,other"))
    with pytest.raises(ConsentError):
        allows(True)
