# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When two policies mean the same."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.policies import as_text

ONE: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": ["a:x", "a:y"]}
POLICY: dict[str, Any] = {"Version": "2012-10-17", "Statement": [ONE]}


@pytest.mark.parametrize(
    "other",
    [
        {"Statement": ONE, "Version": "2012-10-17"},
        {**POLICY, "Statement": [{**ONE, "Action": ["a:y", "a:x"]}]},
        {**POLICY, "Statement": [{**ONE, "Principal": {"Service": ["ec2.amazonaws.com"]}}]},
    ],
    ids=["no list around the statement", "other order", "a list around the service"],
)
def test_the_same(other: dict[str, Any]) -> None:
    assert as_text(other) == as_text(POLICY)


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Deny"},
        {"Action": ["a:x"]},
        {"Action": ["a:x", "a:y", "a:z"]},
        {"Principal": {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}},
        {"Principal": {"AWS": "ec2.amazonaws.com"}},
        {"Condition": {"Bool": {"a": "true"}}},
    ],
)
def test_not_the_same(change: dict[str, Any]) -> None:
    assert as_text({**POLICY, "Statement": [{**ONE, **change}]}) != as_text(POLICY)


def test_a_number_is_no_text() -> None:
    assert as_text({"countNumber": 14}) != as_text({"countNumber": 15})
    assert as_text(None) != as_text({})
