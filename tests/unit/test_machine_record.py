# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/machine-test.json keeps of the last run on cgroup v2 is told as it is, and is of today's hosts."""

from __future__ import annotations

import pytest

from tests.machine import inside, record


@pytest.mark.parametrize("language", record.PAGES)
def test_the_page_tells_the_record(language: str) -> None:
    page = record.PAGES[language].read_text(encoding="utf-8")
    assert page == record.render(record.read(), language), "run `python -m tests.machine.record`"


def test_the_record_is_of_todays_hosts() -> None:
    kept, today = record.read()["covered"], record.covered()
    changed = sorted(name for name in kept.keys() | today.keys() if kept.get(name) != today.get(name))
    assert changed == [], f"{changed}: changed since {record.RECORD.name} was made; run `make machine-test` again"


def test_every_step_is_there_and_none_has_failed() -> None:
    steps = {step["name"]: step["result"] for step in record.read()["steps"]}
    assert list(steps) == list(record.STEPS) == list(inside.STEPS)
    # Some may not have been reached: then the page says so.
    assert record.FAILED not in steps.values()
    assert steps["boot"] == record.PASSED
