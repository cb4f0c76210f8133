# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from localcloud.demo import environment


def test_nothing_leads_to_a_real_account() -> None:
    assert environment({"AWS_PROFILE": "work", "HOME": "/root"}) == {"HOME": "/root", "LC_ALL": "C.UTF-8"}


def test_a_locale_that_the_machine_may_miss_is_replaced() -> None:
    assert environment({"LC_ALL": "ko_KR.UTF-8"})["LC_ALL"] == "C.UTF-8"


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("excepted", "expected"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"no_proxy": "example.com"}, "example.com,127.0.0.1,localhost"),
        ({"NO_PROXY": "example.com"}, "example.com,127.0.0.1,localhost"),
    ],
)
def test_no_proxy_stands_before_this_machine(name: str, excepted: dict[str, str], expected: str) -> None:
    found = environment({name: "http://proxy:3128", **excepted})
    assert found["no_proxy"] == found["NO_PROXY"] == expected


def test_without_a_proxy_its_exceptions_stay_as_they_are() -> None:
    assert environment({"no_proxy": "example.com"})["no_proxy"] == "example.com"
