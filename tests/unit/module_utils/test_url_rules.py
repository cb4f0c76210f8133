# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and buckets that no client or no store takes, and those that mean something else on another host."""

from __future__ import annotations

import string
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.application_environment import value_findings
from plugins.module_utils.url_rules import LABEL, bucket_broken

LABELS = st.from_regex(LABEL, fullmatch=True).filter(lambda label: not label.isdigit() and "xn--" not in label.lower())
HOSTS = (
    st.lists(LABELS, min_size=2, max_size=4)
    .map(".".join)
    .filter(
        lambda name: (
            len(name) < 200 and name[-1].isalpha() and not name.lower().endswith((".localhost", ".localdomain"))
        )
    )
)


def found(kind: str, text: str, **row: Any) -> list[str]:
    return [finding.text_en for finding in value_findings("NAME", {"type": kind, **row}, text)]


@pytest.mark.parametrize(
    "text",
    [
        "https://https://media.example.com", "https://http://media.example.com", "https://https//media.example.com",
        "https://media.example .com", "https://me dia.example.com", "<https://media.example.com>",
        "https://media.example.com\\a", "https://user:Q7Wzz@media.example.com", "https://user@media.example.com",
        "https://media..example.com", "https://.example.com", "https://-a.example.com", "https://a_b.example.com",
        "https://미디어.example.com", "https://1.2.3.256", "https://0x7f.1", "https://2130706433", "https://a:0",
        "https://a:99999", "https://a.example.com:", "https://", "https:/a", "ftp://a", "a.example.com",
        "//a.example.com",
        "https://media.example.com?token=Q7Wzz", "https://media.example.com/#a", "https://localhost", "http://127.0.0.1:9000",
        "http://0.0.0.0", "http://[::1]", "http://169.254.169.254", "http://a.localhost:3000", "http://[::ffff:127.0.0.1]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["url", "endpoint", "api_url"])
def test_addresses_that_are_none(kind: str, text: str) -> None:
    told = found(kind, text)
    assert len(told) == 1
    assert "Q7W" not in told[0]


@given(HOSTS, st.sampled_from(["", ":8000", ":443"]), st.sampled_from(["", "/"]))
def test_hosts_pass(host: str, port: str, end: str) -> None:
    for kind in ("url", "endpoint", "api_url"):
        assert found(kind, f"https://{host}{port}{end}") == []


@given(st.text(alphabet=string.printable + "한０\u00a0", max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    for kind in ("url", "endpoint", "api_url", "bucket"):
        found(kind, text)
        found(kind, f"https://{text}")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("https://7f3a9c.r2.cloudflarestorage.com", True),
        ("https://7f3a9c.eu.r2.cloudflarestorage.com/", True),
        ("https://s3.ap-northeast-2.amazonaws.com", True),
        ("https://7f3a9c.r2.cloudflarestorage.com/academy-video", False),
        ("https://academy-video.7f3a9c.r2.cloudflarestorage.com", False),
        ("https://academy-video.7f3a9c.eu.r2.cloudflarestorage.com", False),
    ],
)
def test_an_endpoint_has_no_bucket(text: str, right: bool) -> None:
    assert (found("endpoint", text) == []) is right
    assert found("url", text) == []


@given(st.integers(min_value=0, max_value=2**32 - 1).map(IPv4Address))
def test_the_api_is_called_by_an_address_of_the_network_or_by_a_name(address: IPv4Address) -> None:
    shared = address in IPv4Network("100.64.0.0/10")
    own = any(address in IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")) or shared
    assert (found("api_url", f"http://{address}:8000") == []) is own


@pytest.mark.parametrize(
    "name",
    [
        "ec2-52-78-10-20.ap-northeast-2.compute.amazonaws.com",
        "EC2-52-78-10-20.compute-1.amazonaws.com",
        "localhost",
        "host.docker.internal",
    ],
)
@pytest.mark.parametrize("stage", ["test", "open"])
def test_names_that_change_or_mean_the_machine_itself(name: str, stage: str) -> None:
    assert found("api_url", f"https://{name}", stage=stage)


@pytest.mark.parametrize(
    "name", ["ip-172-31-5-4.ap-northeast-2.compute.internal", "api.example.com", "not-created-yet"]
)
def test_names_that_stay(name: str) -> None:
    assert found("api_url", f"http://{name}:8000", stage="test") == []


@pytest.mark.parametrize(
    "text",
    [
        "a..b",
        "192.168.5.4",
        "a.-b",
        "a-.b",
        "-ab",
        "ab-",
        "ab",
        "A-B",
        "a_b",
        "a" * 64,
        "xn--abc",
        "a-s3alias",
        "버킷이름",
        "",
    ],
)
def test_buckets_that_are_none(text: str) -> None:
    assert len([*bucket_broken(text)]) == 1


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{1,40}[a-z0-9]", fullmatch=True).filter(lambda name: "--" not in name))
def test_buckets_pass(name: str) -> None:
    if not name.startswith("amzn-s3-demo-") and not name.startswith("sthree-") and not name.endswith("-s3alias"):
        assert [*bucket_broken(name)] == []
