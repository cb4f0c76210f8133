# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load balancer decides: its proxy's text and orders, and what becomes of its targets."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from localcloud import certificates, engine, machine
from localcloud.balancer.config import (
    PLACES,
    Files,
    Server,
    Use,
    condition_lines,
    configuration,
    contents,
    error_page,
    location,
    orders,
    pattern,
    placed,
    quoted,
    tls_options,
)
from localcloud.balancer.load_balancers import dns_name, interface_description, probe_host
from localcloud.balancer.state import (
    Action,
    Balancer,
    Certificate,
    Condition,
    Fixed,
    Forward,
    Group,
    Listener,
    Redirect,
    Rule,
)
from localcloud.balancer.targets import (
    CHECKING,
    DRAINING,
    HEALTHY,
    NOT_IN_USE,
    OTHER_ZONE,
    REGISTERING,
    STOPPED,
    UNCHECKED,
    Checked,
    Checks,
    Health,
    Situation,
    State,
    Target,
    Verdict,
    health,
    matches,
    next_look,
    registered,
    uses,
)

ARN = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:loadbalancer/app/academy/50dc6c495c0c9188"
GROUP_ARN = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/academy-api/73e2d6bc24d8a067"
OTHER_ARN = GROUP_ARN.replace("api", "other")
FIRST, SECOND = IPv4Address("172.31.5.4"), IPv4Address("172.31.20.4")


# --- pieces of text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glob", "expression"),
    [
        ("/health", "^/health$"),
        ("/img/*", "^/img/.*$"),
        ("*.example.com", r"^.*\.example\.com$"),
        ("/v?/a+b", r"^/v./a\+b$"),
    ],
)
def test_a_pattern_becomes_an_expression(glob: str, expression: str) -> None:
    assert pattern(glob) == expression


def test_a_word_means_nothing_in_quotes() -> None:
    assert quoted('a "b" $c #d') == "'a \"b\" $c #d'"
    assert quoted("it's") == "'it'\\''s'"


@pytest.mark.parametrize(
    ("redirect", "query", "expected"),
    [
        (
            Redirect(301, protocol="HTTPS", port="443"),
            True,
            "https://%[var(txn.host)]:443/%[path,bytes(1)]?%[query]",
        ),
        (Redirect(301, protocol="HTTPS", port="443"), False, "https://%[var(txn.host)]:443/%[path,bytes(1)]"),
        (Redirect(302, host="www.#{host}"), False, "http://www.%[var(txn.host)]:80/%[path,bytes(1)]"),
        (Redirect(302, path="/100%/#{path}", query=""), True, "http://%[var(txn.host)]:80/100%%/%[path,bytes(1)]"),
        (Redirect(302, query="from=#{port}&#{query}"), True, "http://%[var(txn.host)]:80/%[path,bytes(1)]?from=80&%[query]"),
    ],
)  # fmt: skip
def test_a_redirect_keeps_what_it_does_not_name(redirect: Redirect, query: bool, expected: str) -> None:
    assert location(redirect, "HTTP", 80, query=query) == expected


@pytest.mark.parametrize(
    ("condition", "lines"),
    [
        (Condition("path-pattern", ("/a*", "/b")), ["acl n path -m reg '^/a.*$'", "acl n path -m reg '^/b$'"]),
        (Condition("host-header", ("*.b.c",)), [r"acl n var(txn.host) -i -m reg '^.*\.b\.c$'"]),
        (Condition("http-header", ("x*",), "User-Agent"), ["acl n req.fhdr(User-Agent) -i -m reg '^x.*$'"]),
        (Condition("http-request-method", ("GET", "HEAD")), ["acl n method 'GET'", "acl n method 'HEAD'"]),
        (Condition("source-ip", ("192.0.2.0/24",)), ["acl n src '192.0.2.0/24'"]),
        (Condition("query-string", pairs=(("v", "1*"),)), ["acl n url_param(v) -i -m reg '^1.*$'"]),
        (Condition("query-string", pairs=(("", "x"),)), ["acl n query -i -m reg '(^|[&=])x($|[&=])'"]),
    ],
)
def test_a_condition_becomes_a_test(condition: Condition, lines: list[str]) -> None:
    assert list(condition_lines(condition, "n")) == lines


@pytest.mark.parametrize(
    ("policy", "lowest", "highest", "old", "new"),
    [
        ("ELBSecurityPolicy-2016-08", "TLSv1.0", "TLSv1.2", True, False),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", "TLSv1.2", "TLSv1.3", True, True),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", "TLSv1.3", "TLSv1.3", False, True),
    ],
)
def test_a_policy_is_what_its_name_says(policy: str, lowest: str, highest: str, old: bool, new: bool) -> None:
    options = tls_options(policy)
    assert f"ssl-min-ver {lowest} ssl-max-ver {highest}" in options
    assert (" ciphers " in options, " ciphersuites " in options) == (old, new)


def test_an_error_is_told_in_awss_words() -> None:
    assert error_page(503).startswith("HTTP/1.1 502 Bad Gateway\r\nServer: awselb/2.0\r\n")
    head, _, body = error_page(504).partition("\r\n\r\n")
    assert f"Content-Length: {len(body)}" in head


@pytest.mark.parametrize(("scheme", "prefix"), [("internet-facing", "academy-"), ("internal", "internal-academy-")])
def test_each_load_balancer_has_a_name_of_its_own(scheme: str, prefix: str) -> None:
    first, second = (dns_name("Academy", arn, scheme, "ap-northeast-2") for arn in (ARN, f"{ARN}0"))
    assert first != second
    assert first.startswith(prefix)
    assert first.endswith(".ap-northeast-2.elb.amazonaws.com")
    assert interface_description(ARN) == "ELB app/academy/50dc6c495c0c9188"


@pytest.mark.parametrize(
    ("port", "protocol", "host"),
    [(80, "HTTP", "172.31.5.4"), (8000, "HTTP", "172.31.5.4:8000"), (443, "HTTPS", "172.31.5.4")],
)
def test_a_probe_names_the_targets_address(port: int, protocol: str, host: str) -> None:
    assert probe_host(str(FIRST), port, protocol) == host


# --- servers in their places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ({}, ["b", "a"], {"a": 0, "b": 1}),
        ({"b": 0}, ["a", "b"], {"a": 1, "b": 0}),
        ({"a": 0, "b": 1}, ["b", "c"], {"b": 1, "c": 0}),
        ({"a": 3}, [], {}),
    ],
)
def test_whoever_has_a_place_keeps_it(before: dict[str, int], wanted: list[str], after: dict[str, int]) -> None:
    assert placed(before, wanted) == after


def test_nobody_shares_a_place() -> None:
    assert len(placed({}, map(str, range(PLACES + 3)))) == PLACES


def server(place: int, use: Use = Use.READY, address: IPv4Address = FIRST) -> Server:
    return Server(place, address, 8000, use)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([server(0)], [server(0)], []),
        ([], [server(0)], ["set server G/target0 addr 172.31.5.4 port 8000", "set server G/target0 state ready"]),
        ([server(0)], [server(0, Use.DRAIN)], ["set server G/target0 state drain"]),
        ([server(0)], [server(0, Use.OFF)], ["set server G/target0 state maint"]),
        ([server(0)], [], ["set server G/target0 state maint", "shutdown sessions server G/target0"]),
        (
            [server(0)],
            [server(0, address=SECOND)],
            ["set server G/target0 addr 172.31.20.4 port 8000", "set server G/target0 state ready"],
        ),
    ],
)
def test_servers_change_by_orders(before: list[Server], after: list[Server], said: list[str]) -> None:
    name = "targetgroup_academy-api_73e2d6bc24d8a067"
    assert orders(GROUP_ARN, before, after) == [line.replace("G/", f"{name}/") for line in said]


# --- all of it ----------------------------------------------------------------------------------------------------

PEM = b"".join(certificates.sign(certificates.create_authority(), ["www.academy.example"]))
EVERY_ACTION: tuple[Action, ...] = (
    Redirect(301, protocol="HTTPS", port="443"),
    Fixed(404, "application/json", '{"say": "it\'s gone"}'),
    Forward(((GROUP_ARN, 1),)),
    Forward(((GROUP_ARN, 9), (OTHER_ARN, 1))),
    Forward(((GROUP_ARN, 0),)),
)
EVERY_CONDITION = (
    Condition("path-pattern", ("/a b/*", "/c'd")),
    Condition("host-header", ("*.academy.example",)),
    Condition("http-header", ("*bot*",), "User-Agent"),
    Condition("http-request-method", ("GET",)),
    Condition("source-ip", ("192.0.2.0/24",)),
    Condition("query-string", pairs=(("version", "v1"), ("", "*x*"))),
)
RULES = (
    *(Rule(action, (condition,)) for action in EVERY_ACTION for condition in EVERY_CONDITION),
    Rule(EVERY_ACTION[2]),
)
# In the tests' own namespace: any address of this machine will do.
HERE = IPv4Address("127.0.0.1")


def whole(policy: str, **changes: object) -> Balancer:
    listeners = (Listener(80, RULES), Listener(443, RULES, policy, (Certificate(PEM),)))
    groups = (Group(GROUP_ARN, "HTTP", stickiness_seconds=60), Group(OTHER_ARN, "HTTPS", "least_outstanding_requests"))
    return replace(Balancer(ARN, (HERE,), listeners, groups), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "changes"),
    [
        ("ELBSecurityPolicy-2016-08", {}),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", {"drop_invalid_headers": True, "http2": False}),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", {"forwarded_for": "remove", "idle_timeout": 4000}),
        ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", {"forwarded_for": "preserve", "client_port": True}),
    ],
)
def test_haproxy_understands_every_listener_there_may_be(
    tmp_path: Path, policy: str, changes: dict[str, object]
) -> None:
    engine.install_packages(engine.missing_packages({"haproxy": machine.PROGRAMS["haproxy"]}), print)
    balancer, files = whole(policy, **changes), Files(tmp_path)
    for file, content in contents([balancer], files).items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    servers = {GROUP_ARN: [server(3), server(0, Use.DRAIN, SECOND)]}
    written = tmp_path / "haproxy.cfg"
    written.write_text(configuration([balancer], servers, files, tmp_path / "socket"))
    done = subprocess.run(["haproxy", "-c", "-q", "-f", str(written)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_listener_without_certificate_waits_for_one(tmp_path: Path) -> None:
    balancer = replace(
        whole("ELBSecurityPolicy-2016-08"), listeners=(Listener(443, RULES, "ELBSecurityPolicy-2016-08"),)
    )
    assert "frontend" not in configuration([balancer], {}, Files(tmp_path), tmp_path / "socket")


# --- what probes find ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "status", "expected"),
    [("200", 200, True), ("200", 301, False), ("200,302", 302, True), ("200-299", 204, True), ("200-299", 300, False)],
)
def test_a_matcher(codes: str, status: int, expected: bool) -> None:
    assert matches(codes, status) is expected


GOOD, BAD, LATE, SILENT = Verdict(200), Verdict(400), Verdict(timed_out=True), Verdict()
MISMATCH = Health(State.UNHEALTHY, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [400]")
TIMEOUT = Health(State.UNHEALTHY, "Target.Timeout", "Request timed out")
FAILED = Health(State.UNHEALTHY, "Target.FailedHealthChecks", "Health checks failed")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], REGISTERING),
        ([GOOD], HEALTHY),
        ([BAD], CHECKING),
        ([BAD, GOOD], HEALTHY),
        ([BAD, BAD], MISMATCH),
        ([BAD, LATE], TIMEOUT),
        ([GOOD, SILENT], HEALTHY),
        ([GOOD, SILENT, SILENT], FAILED),
        ([BAD, BAD, GOOD, GOOD], MISMATCH),
        ([BAD, BAD, GOOD, GOOD, GOOD], HEALTHY),
        ([BAD, BAD, GOOD, GOOD, LATE, GOOD, GOOD], TIMEOUT),
        ([BAD, BAD, GOOD, GOOD, GOOD, BAD, GOOD, BAD], HEALTHY),
    ],
)
def test_one_success_is_enough_at_first_and_never_again(verdicts: list[Verdict], expected: Health) -> None:
    checks, checked = Checks(healthy_threshold=3, unhealthy_threshold=2), Checked()
    for verdict in verdicts:
        checked = checked.after(checks, verdict)
    assert checked.health == expected


# --- a target's life ----------------------------------------------------------------------------------------------

RUNNING = Situation(str(FIRST), running=True, zone_enabled=True)
WELL = Checked(HEALTHY)


@pytest.mark.parametrize(
    ("target", "situation", "checks", "in_use", "expected"),
    [
        (Target("i-1", 8000), RUNNING, Checks(), True, REGISTERING),
        (Target("i-1", 8000, WELL), RUNNING, Checks(), True, HEALTHY),
        (Target("i-1", 8000, WELL), RUNNING, Checks(), False, NOT_IN_USE),
        (Target("i-1", 8000, WELL), replace(RUNNING, running=False), Checks(), True, STOPPED),
        (Target("i-1", 8000, WELL), replace(RUNNING, zone_enabled=False), Checks(), True, OTHER_ZONE),
        (Target("i-1", 8000), RUNNING, Checks(enabled=False), True, UNCHECKED),
        (Target("i-1", 8000, WELL, left_at=1.0), replace(RUNNING, running=False), Checks(), False, DRAINING),
    ],
)
def test_a_targets_health(target: Target, situation: Situation, checks: Checks, in_use: bool, expected: Health) -> None:
    assert health(target, situation, checks, in_use=in_use) == expected


def test_targets_come_drain_and_are_gone() -> None:
    targets = registered((), [("i-1", 8000), ("i-2", 8000)], now=10.0, delay=300.0)
    assert [(one.id, one.due, one.left_at) for one in targets] == [("i-1", 10.0, None), ("i-2", 10.0, None)]
    targets = tuple(replace(one, checked=WELL) for one in targets)
    targets = registered(targets, [("i-2", 8000)], now=20.0, delay=300.0)
    assert [(one.id, one.left_at) for one in targets] == [("i-1", 20.0), ("i-2", None)]
    assert registered(targets, [("i-2", 8000)], now=319.0, delay=300.0) == targets
    again = registered(targets, [("i-1", 8000), ("i-2", 8000)], now=30.0, delay=300.0)
    assert [(one.id, one.left_at, one.checked.health) for one in again] == [
        ("i-1", None, REGISTERING), ("i-2", None, HEALTHY)
    ]  # fmt: skip
    assert [one.id for one in registered(targets, [("i-2", 8000)], now=320.0, delay=300.0)] == ["i-2"]
    assert registered(targets, [], now=320.0, delay=0.0) == ()


def living(name: str, one: Health, left_at: float | None = None) -> tuple[Target, Health]:
    return Target(name, 80, Checked(one if left_at is None else HEALTHY), left_at=left_at), one


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ({"a": HEALTHY, "b": MISMATCH, "c": REGISTERING}, {"a": Use.READY, "b": Use.DRAIN, "c": Use.DRAIN}),
        ({"a": TIMEOUT, "b": MISMATCH, "c": STOPPED}, {"a": Use.READY, "b": Use.READY, "c": Use.OFF}),
        ({"a": REGISTERING, "b": MISMATCH}, {"a": Use.READY, "b": Use.READY}),
        ({"a": UNCHECKED, "b": OTHER_ZONE}, {"a": Use.READY, "b": Use.OFF}),
    ],
)
def test_who_is_sent_to(targets: dict[str, Health], expected: dict[str, Use]) -> None:
    assert uses({name: living(name, one) for name, one in targets.items()}, 100.0, 15.0) == expected


@pytest.mark.parametrize(("left_at", "expected"), [(90.0, Use.READY), (80.0, Use.DRAIN)])
def test_who_leaves_is_sent_to_a_little_longer(left_at: float, expected: Use) -> None:
    targets = {"a": living("a", DRAINING, left_at), "b": living("b", HEALTHY)}
    assert uses(targets, 100.0, 15.0) == {"a": expected, "b": Use.READY}


def test_time_alone_changes_something() -> None:
    assert next_look([], 0.0, 300.0, 15.0) is None
    assert next_look([Target("i-1", 80, due=30.0), Target("i-2", 80, due=20.0)], 10.0, 300.0, 15.0) == 20.0
    leaving = Target("i-1", 80, left_at=10.0)
    assert [next_look([leaving], now, 300.0, 15.0) for now in (10.0, 25.0, 310.0)] == [25.0, 310.0, None]
