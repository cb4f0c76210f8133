# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the load balancer needs: zones, listeners, targets, attributes and the record that leads to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import botocore.session
import pytest

from plugins.module_utils.plan import Change, applied
from plugins.module_utils.plan.load_balancer import (
    DEFAULT_ATTRIBUTES,
    HEALTH_CHECK,
    ROLE,
    decide,
    reads,
    wanted_attributes,
    wanted_subnets,
)

NAME, ARN = "api.example.com", "arn:aws:acm:ap-northeast-2:123456789012:certificate/1"
INPUTS: dict[str, Any] = {
    "public_name": NAME,
    "certificate_arn": "",
    "load_balancer_name": "academy-alb",
    "load_balancer_target_group_name": "academy-api",
    "load_balancer_security_group": "academy-alb-sg",
    "load_balancer_hosts": ["academy-api-1", "academy-api-2"],
    "load_balancer_ssl_policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "load_balancer_health_path": "/health",
    "load_balancer_deregistration_delay_seconds": 30,
    "load_balancer_idle_timeout_seconds": 60,
    "load_balancer_deletion_protection": True,
    "load_balancer_replace_records": [],
    "load_balancer_access_logs_days": 0,
    "load_balancer_access_logs_bucket": "academy-alb-logs-123456789012",
    "aws_account_id": "123456789012",
    "api_port": 8000,
    "aws_region": "ap-northeast-2",
    "deployment_name": "academy",
    "deployment_tags": {"Project": "academy"},
}
TAGS = {"Project": "academy", "Role": "load_balancer"}
SUBNETS = [
    {"subnet_id": f"subnet-{zone}{n}", "vpc_id": "vpc-1", "zone": zone} for zone in ("a", "b", "c") for n in (1, 2)
]
CERTIFICATE: dict[str, Any] = {
    "certificate_arn": ARN,
    "domain_name": NAME,
    "subject_alternative_names": [NAME],
    "status": "ISSUED",
    "expires_in_days": 300,
    "tags": {"Project": "academy"},
}
GROUP_ARN = "arn:aws:elasticloadbalancing:ap-northeast-2:123456789012:targetgroup/academy-api/1"
DNS = "academy-alb-1.ap-northeast-2.elb.amazonaws.com"
EXTRAS: dict[str, Any] = {"MoreCertificates": [], "Attributes": {}, "Tags": TAGS}
LISTENERS: list[dict[str, Any]] = [
    {
        **EXTRAS,
        "Port": 443,
        "Protocol": "HTTPS",
        "SslPolicy": INPUTS["load_balancer_ssl_policy"],
        "Certificates": [{"CertificateArn": ARN}],
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": GROUP_ARN}],
        "Rules": [],
    },
    {
        **EXTRAS,
        "Port": 80,
        "Protocol": "HTTP",
        "DefaultActions": [
            {
                "Type": "redirect",
                "RedirectConfig": {
                    "Protocol": "HTTPS",
                    "Port": "443",
                    "Host": "#{host}",
                    "Path": "/#{path}",
                    "Query": "#{query}",
                    "StatusCode": "HTTP_301",
                },
            }
        ],
        "Rules": [],
    },
]
BALANCER: dict[str, Any] = {
    "load_balancer_arn": "arn:alb",
    "dns_name": DNS,
    "type": "application",
    "scheme": "internet-facing",
    "vpc_id": "vpc-1",
    "availability_zones": [{"zone_name": "a", "subnet_id": "subnet-a1"}, {"zone_name": "b", "subnet_id": "subnet-b1"}],
    "security_groups": ["sg-1"],
    "ip_address_type": "ipv4",
    "attributes": wanted_attributes(INPUTS),
    "listeners": LISTENERS,
    "tags": {**TAGS, "aws:cloudformation:stack-name": "theirs"},
}
GROUP: dict[str, Any] = {
    **HEALTH_CHECK,
    "target_group_arn": GROUP_ARN,
    "protocol": "HTTP",
    "target_type": "instance",
    "vpc_id": "vpc-1",
    "port": 8000,
    "health_check_path": "/health",
    "matcher": {"http_code": "200"},
    "attributes": {
        "deregistration_delay.timeout_seconds": "30",
        "stickiness.enabled": "false",
        "load_balancing.algorithm.type": "round_robin",
        "slow_start.duration_seconds": "0",
    },
    "targets": [{"id": "i-1", "port": 8000, "state": "healthy", "reason": "", "description": ""}],
    "tags": TAGS,
}


def host(number: int = 1, state: str = "running", project: str = "academy") -> dict[str, Any]:
    return {
        "instance_id": f"i-{number}",
        "state": {"name": state},
        "placement": {"availability_zone": "abc"[number - 1]},
        "tags": {"Name": f"academy-api-{number}", "Project": project},
    }


def state(**found: Any) -> dict[str, Any]:
    return deepcopy(
        {
            "network": {"vpc_id": "vpc-1", "subnets": SUBNETS},
            "security_groups": {"academy-alb-sg": {"group_id": "sg-1"}},
            "load_balancers": {"academy-alb": BALANCER},
            "target_groups": {"academy-api": GROUP},
            "certificates": {NAME: [CERTIFICATE]},
            "hosted_zones": {},
            "instances": [host()],
            **found,
        }
    )


def changes(found: dict[str, Any], **inputs: Any) -> list[Change]:
    plan = decide({**INPUTS, **inputs}, found)
    assert [finding.text_en for finding in plan.refusals] == []
    return [*plan.changes]


def fields(found: dict[str, Any], **inputs: Any) -> dict[str, list[str]]:
    return {change.resource: [one.field for one in change.differences] for change in changes(found, **inputs)}


def test_without_a_name_nothing_is_read_and_nothing_decided() -> None:
    assert reads({**INPUTS, "public_name": ""}) == {}
    assert decide({**INPUTS, "public_name": ""}, {}).changes == ()


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert changes(state()) == []


def test_attributes_that_aws_does_not_tell_are_as_aws_has_them() -> None:
    told = {key: value for key, value in BALANCER["attributes"].items() if DEFAULT_ATTRIBUTES.get(key) != value}
    assert changes(state(load_balancers={"academy-alb": {**BALANCER, "attributes": told}})) == []


def test_on_an_empty_account_all_of_it_is_made() -> None:
    found = state(load_balancers={}, target_groups={})
    items = applied(changes(found), ROLE.applies)
    assert {name: len(of) for name, of in items.items()} == {
        "buckets": 0, "target_groups": 1, "load_balancers": 1, "listeners": 2, "attributes": 2, "targets": 1,
        "records": 0,
    }  # fmt: skip
    balancer, group = items["load_balancers"][0], items["target_groups"][0]
    assert (balancer["name"], balancer["subnets"], balancer["security_groups"]) == (
        "academy-alb", ["subnet-a1", "subnet-b1"], ["sg-1"],
    )  # fmt: skip
    # None of a listener that is yet to be made: amazon.aws 10 fails.
    assert [listener.get("Rules") for listener in balancer["listeners"]] == [None, None]
    assert (group["port"], group["vpc_id"], group["health_check_path"]) == (8000, "vpc-1", "/health")
    assert items["targets"][0] == {
        "name": "target academy-api-1", "group": "academy-api", "register": ["i-1"], "port": 8000, "reason": "missing",
    }  # fmt: skip


def listener(number: int, **change: Any) -> dict[str, Any]:
    listeners = deepcopy(LISTENERS)
    listeners[number] |= change
    return {"listeners": listeners}


def attribute(name: str, value: str) -> dict[str, Any]:
    return {"attributes": {**BALANCER["attributes"], name: value}}


OTHER_GROUP = [{"Type": "forward", "TargetGroupArn": GROUP_ARN.replace("academy-api", "theirs")}]
FIXED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}]
RULE = {"Priority": "1", "IsDefault": False, "Conditions": [{"Field": "path-pattern", "Values": ["/x"]}], "Actions": []}


@pytest.mark.parametrize(
    ("balancer", "field", "loop"),
    [
        ({"availability_zones": [{"zone_name": "a", "subnet_id": "subnet-a1"}]}, "subnets", "load_balancers"),
        ({"security_groups": ["sg-9"]}, "security_groups", "load_balancers"),
        ({"ip_address_type": "dualstack"}, "ip_address_type", "load_balancers"),
        ({"tags": {**TAGS, "Foreign": "x"}}, "tags", "load_balancers"),
        (listener(0, SslPolicy="ELBSecurityPolicy-2016-08"), "listener 443", "load_balancers"),
        (listener(0, Certificates=[{"CertificateArn": f"{ARN}9"}]), "listener 443", "load_balancers"),
        (listener(0, DefaultActions=OTHER_GROUP), "listener 443", "load_balancers"),
        (listener(0, DefaultActions=FIXED), "listener 443", "load_balancers"),
        (listener(0, Rules=[RULE]), "listener 443", "load_balancers"),
        (listener(1, DefaultActions=LISTENERS[0]["DefaultActions"]), "listener 80", "load_balancers"),
        (listener(1, Port=8080), "listener 80", "load_balancers"),
        (attribute("idle_timeout.timeout_seconds", "4000"), "idle_timeout.timeout_seconds", "attributes"),
        (attribute("deletion_protection.enabled", "false"), "deletion_protection.enabled", "attributes"),
    ],
)  # fmt: skip
def test_a_foreign_hand_at_the_load_balancer_is_named_and_repaired(
    balancer: dict[str, Any], field: str, loop: str
) -> None:
    change = changes(state(load_balancers={"academy-alb": {**BALANCER, **balancer}}))[0]
    assert field in [one.field for one in change.differences]
    assert set(change.apply) == {loop}
    if loop == "load_balancers" and "listeners" not in balancer:
        # Given for listeners that are there, an empty list takes others' rules away.
        assert [one["Rules"] for one in change.apply[loop]["listeners"]] == [[], []]


TLS_HEADER = "routing.http.request.x_amzn_tls_version.header_name"


@pytest.mark.parametrize(
    ("change", "field", "reset"),
    [
        ({"MoreCertificates": [f"{ARN}9"]}, "more_certificates", {}),
        ({"MutualAuthentication": {"Mode": "verify", "TrustStoreArn": "arn:theirs"}}, "mutual_authentication", {}),
        ({"Tags": {**TAGS, "Foreign": "x"}}, "tags", {}),
        ({"Attributes": {TLS_HEADER: "X-Theirs"}}, "attributes", {TLS_HEADER: "X-Amzn-Tls-Version"}),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_a_foreign_hand_at_a_listener_is_named_and_repaired(
    number: int, change: dict[str, Any], field: str, reset: dict[str, str]
) -> None:
    found = state(load_balancers={"academy-alb": {**BALANCER, **listener(number, **change)}})
    (told,) = changes(found)
    port = LISTENERS[number]["Port"]
    assert (told.resource, [one.field for one in told.differences]) == (f"listener {port} of academy-alb", [field])
    wanted = {"balancer": "academy-alb", "port": port, "attributes": reset, "tags": TAGS}
    assert told.apply == {"listeners": wanted}


def test_a_listener_that_tells_what_aws_has_by_itself_is_left_alone() -> None:
    """Of a header's name nothing, or its own; and nothing where none is added to an answer."""
    told = {
        TLS_HEADER: "x-amzn-tls-version",
        "routing.http.request.x_amzn_tls_cipher_suite.header_name": "",
        "routing.http.response.server.enabled": "true",
        "routing.http.response.x_frame_options.header_value": "",
        "tcp.idle_timeout.seconds": "350",
    }
    mode = {"MutualAuthentication": {"Mode": "off"}}
    assert changes(state(load_balancers={"academy-alb": {**BALANCER, **listener(0, Attributes=told, **mode)}})) == []


# --- everything that botocore knows of --------------------------------------------------------------------------------

MODEL: Any = botocore.session.get_session().get_service_model("elbv2")
# AWS's own to say, or the name by which a thing is found.
IDENTITY = "what AWS calls it"
OTHER_KIND = "no application load balancer has it"

# Member → another value, as aws_state tells it; or why nobody needs to know.
BALANCER_MEMBERS: dict[str, dict[str, Any] | str] = {
    **dict.fromkeys(
        ("LoadBalancerArn", "DNSName", "CanonicalHostedZoneId", "CreatedTime", "LoadBalancerName"), IDENTITY
    ),
    "State": "AWS's own, which site.yml waits for",
    "Scheme": {"scheme": "internal"},
    "VpcId": {"vpc_id": "vpc-9"},
    "Type": {"type": "network"},
    "AvailabilityZones": {"availability_zones": [{"zone_name": "c", "subnet_id": "subnet-c1"}]},
    "SecurityGroups": {"security_groups": ["sg-9"]},
    "IpAddressType": {"ip_address_type": "dualstack"},
    "IpamPools": "of which pool its public addresses are: whoever keeps the account's addresses decides",
    "CustomerOwnedIpv4Pool": "of an Outpost, where no load balancer of ours is",
    "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": OTHER_KIND,
    "EnablePrefixForIpv6SourceNat": OTHER_KIND,
}
LISTENER_MEMBERS: dict[str, dict[str, Any] | str] = {
    **dict.fromkeys(("ListenerArn", "LoadBalancerArn"), IDENTITY),
    "Port": {"Port": 8443},
    "Protocol": {"Protocol": "HTTP"},
    "Certificates": {"Certificates": [{"CertificateArn": f"{ARN}9"}]},
    "SslPolicy": {"SslPolicy": "ELBSecurityPolicy-2016-08"},
    "DefaultActions": {"DefaultActions": []},
    "AlpnPolicy": OTHER_KIND,
    "MutualAuthentication": {"MutualAuthentication": {"Mode": "passthrough"}},
}
GROUP_MEMBERS: dict[str, dict[str, Any] | str] = {
    **dict.fromkeys(("TargetGroupArn", "TargetGroupName"), IDENTITY),
    "Protocol": {"protocol": "HTTPS"},
    "Port": "what a target gets that is registered without one, and ours have one",
    "VpcId": {"vpc_id": "vpc-9"},
    "HealthCheckProtocol": {"health_check_protocol": "HTTPS"},
    "HealthCheckPort": {"health_check_port": "9000"},
    "HealthCheckEnabled": {"health_check_enabled": False},
    "HealthCheckIntervalSeconds": {"health_check_interval_seconds": 300},
    "HealthCheckTimeoutSeconds": {"health_check_timeout_seconds": 9},
    "HealthyThresholdCount": {"healthy_threshold_count": 9},
    "UnhealthyThresholdCount": {"unhealthy_threshold_count": 9},
    "HealthCheckPath": {"health_check_path": "/"},
    "Matcher": {"matcher": {"http_code": "200-499"}},
    "LoadBalancerArns": "what listeners say, each of which is judged",
    "TargetType": {"target_type": "ip"},
    "ProtocolVersion": {"protocol_version": "GRPC"},
    "IpAddressType": {"ip_address_type": "ipv6"},
    "TargetControlPort": "set when a group is made and never after, and of no use without an agent on the hosts",
}
OFF = "of no use while what it belongs to is off, which is judged"
ATTRIBUTES: dict[str, str] = {
    "access_logs.s3.bucket": OFF,
    "connection_logs.s3.bucket": OFF,
    "connection_logs.s3.prefix": OFF,
    "health_check_logs.s3.bucket": OFF,
    "health_check_logs.s3.prefix": OFF,
    "stickiness.type": OFF,
    "stickiness.app_cookie.cookie_name": OFF,
    "stickiness.app_cookie.duration_seconds": OFF,
    "stickiness.lb_cookie.duration_seconds": OFF,
    "ipv6.deny_all_igw_traffic": "of IPv6, which ip_address_type leaves out",
    "lambda.multi_value_headers.enabled": "of groups of functions, which target_type leaves out",
}
# Of a load balancer it is true and cannot be changed; of a target group it is judged.
UNCHANGEABLE = ("LoadBalancerAttribute", "load_balancing.cross_zone.enabled")
# What somebody can call, and no member or attribute tells.
OPERATIONS: dict[str, str] = {
    "ModifyCapacityReservation": "capacity for an event, which whoever pays for it decides",
    "ModifyIpPools": "IpamPools",
    "ModifyTrustStore": "of mutual TLS, which is off",
    "AddTrustStoreRevocations": "of mutual TLS, which is off",
}
JUDGED = {
    "AddListenerCertificates", "AddTags", "ModifyListener", "ModifyListenerAttributes", "ModifyLoadBalancerAttributes",
    "ModifyRule", "ModifyTargetGroup", "ModifyTargetGroupAttributes", "SetIpAddressType", "SetRulePriorities",
    "SetSecurityGroups", "SetSubnets",
}  # fmt: skip


def is_told(**found: Any) -> bool:
    """Whether somebody hears of it: as a change, or because AWS cannot take it back."""
    plan = decide(INPUTS, state(**found))
    return bool(plan.changes or plan.refusals)


def balancer_with(change: dict[str, Any]) -> dict[str, Any]:
    return {"load_balancers": {"academy-alb": {**BALANCER, **change}}}


def group_with(change: dict[str, Any]) -> dict[str, Any]:
    return {"target_groups": {"academy-api": {**GROUP, **change}}}


@pytest.mark.parametrize(
    ("shape", "members", "place"),
    [
        ("LoadBalancer", BALANCER_MEMBERS, balancer_with),
        ("Listener", LISTENER_MEMBERS, lambda change: balancer_with(listener(0, **change))),
        ("TargetGroup", GROUP_MEMBERS, group_with),
    ],
)
def test_of_every_property_there_is_a_change_is_told_or_a_reason_known(
    shape: str, members: dict[str, dict[str, Any] | str], place: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    assert set(MODEL.shape_for(shape).members) == set(members)
    untold = [name for name, change in members.items() if isinstance(change, dict) and not is_told(**place(change))]
    assert untold == []


def documented(shape: str) -> list[str]:
    """The attributes of application load balancers by botocore's documentation."""
    text = re.sub("<[^>]+>", "\n", MODEL.shape_for(shape).members["Key"].documentation)
    ours, skipped = [], False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("The following attribute"):
            skipped = "Application" not in line and "all load balancers" not in line
        elif re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", line) and not skipped:
            ours.append(line)
    return ours


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ("LoadBalancerAttribute", lambda found: balancer_with({"attributes": {**BALANCER["attributes"], **found}})),
        ("ListenerAttribute", lambda found: balancer_with(listener(0, Attributes=found))),
        ("TargetGroupAttribute", lambda found: group_with({"attributes": {**GROUP["attributes"], **found}})),
    ],
)
def test_of_every_attribute_there_is_a_change_is_told_or_a_reason_known(
    shape: str, place: Callable[[dict[str, str]], dict[str, Any]]
) -> None:
    named = documented(shape)
    assert len(named) > 10
    left = {*ATTRIBUTES, *(key for of, key in [UNCHANGEABLE] if of == shape)}
    assert [key for key in named if is_told(**place({key: "theirs"})) == (key in left)] == []


def test_of_everything_that_somebody_can_call_a_change_is_told_or_a_reason_known() -> None:
    calls = {name for name in MODEL.operation_names if name.startswith(("Add", "Modify", "Set"))}
    assert calls == {*JUDGED, *OPERATIONS}


@pytest.mark.parametrize(
    ("group", "field", "loop"),
    [
        ({"health_check_path": "/"}, "health_check_path", "target_groups"),
        ({"matcher": {"http_code": "200-499"}}, "matcher", "target_groups"),
        ({"health_check_interval_seconds": 300}, "health_check_interval_seconds", "target_groups"),
        ({"unhealthy_threshold_count": 10}, "unhealthy_threshold_count", "target_groups"),
        ({"tags": {"Project": "academy"}}, "tags", "target_groups"),
        ({"attributes": {**GROUP["attributes"], "stickiness.enabled": "true"}}, "stickiness.enabled", "attributes"),
        (
            {"attributes": {**GROUP["attributes"], "deregistration_delay.timeout_seconds": "300"}},
            "deregistration_delay.timeout_seconds",
            "attributes",
        ),
    ],
)
def test_a_foreign_hand_at_the_target_group_is_named_and_repaired(group: dict[str, Any], field: str, loop: str) -> None:
    (change,) = changes(state(target_groups={"academy-api": {**GROUP, **group}}))
    assert [one.field for one in change.differences] == [field]
    assert set(change.apply) == {loop}


def target(number: int, port: int = 8000, health: str = "healthy") -> dict[str, Any]:
    return {"id": f"i-{number}", "port": port, "state": health, "reason": "", "description": ""}


@pytest.mark.parametrize(
    ("hosts", "targets", "registered", "deregistered"),
    [
        ([host()], [target(1)], [], []),
        # Added, stopped, replaced, and back before it was drained.
        ([host(), host(2)], [target(1)], ["i-2"], []),
        ([host(state="stopped")], [target(1, health="unused")], [], ["i-1"]),
        ([host(3) | {"tags": {"Name": "academy-api-1", "Project": "academy"}}], [target(1)], ["i-3"], ["i-1"]),
        ([host()], [target(1, health="draining")], ["i-1"], []),
        ([], [target(1, health="draining")], [], []),
        # Unhealthy is no reason: it may be well again.
        ([host()], [target(1, health="unhealthy")], [], []),
        # Another's, under our name or not.
        ([host(project="other")], [target(1)], [], ["i-1"]),
        ([host()], [target(1), target(9)], [], ["i-9"]),
        # Another port.
        ([host()], [target(1, 9000)], ["i-1"], ["i-1"]),
        ([host(state="pending")], [], [], []),
    ],
)
def test_hosts_that_run_are_targets_and_nobody_else(
    hosts: list[Any], targets: list[Any], registered: list[str], deregistered: list[str]
) -> None:
    found = state(instances=hosts, target_groups={"academy-api": {**GROUP, "targets": targets}})
    items = applied(changes(found), ROLE.applies)["targets"]
    assert [one for item in items for one in item.get("register", [])] == registered
    assert [one for item in items for one in item.get("deregister", [])] == deregistered


@pytest.mark.parametrize(
    ("used", "now", "wanted"),
    [
        (["a"], [], ["subnet-a1", "subnet-b1"]),
        ([], [], ["subnet-a1", "subnet-b1"]),
        (["c"], [], ["subnet-a1", "subnet-c1"]),
        (["a", "b", "c"], [], ["subnet-a1", "subnet-b1", "subnet-c1"]),
        # Where it is it stays, as long as it reaches the targets.
        (["c"], ["subnet-b2", "subnet-c2"], ["subnet-b2", "subnet-c2"]),
        (["a"], ["subnet-b2", "subnet-c2"], ["subnet-a1", "subnet-b2"]),
        (["a"], ["subnet-x"], ["subnet-a1", "subnet-b1"]),
    ],
)
def test_it_is_in_two_zones_and_in_those_of_its_targets(used: list[str], now: list[str], wanted: list[str]) -> None:
    assert wanted_subnets(SUBNETS, used, now) == wanted


def zone(*records: dict[str, Any]) -> dict[str, Any]:
    return {
        NAME: {"id": "Z1", "name": "example.com", "records": [{"values": [], "alias": "", **one} for one in records]}
    }


OTHER_ALB = "academy-alb-9.ap-northeast-2.elb.amazonaws.com"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([], True),
        ([{"name": NAME, "type": "A", "alias": DNS}], False),
        ([{"name": NAME, "type": "A", "alias": f"dualstack.{DNS}"}], False),
        ([{"name": NAME, "type": "CNAME", "values": [DNS]}], False),
        # Of a load balancer of the same name, which is gone.
        ([{"name": NAME, "type": "A", "alias": OTHER_ALB}], True),
        ([{"name": NAME, "type": "A", "alias": f"dualstack.{OTHER_ALB}"}], True),
        ([{"name": "www.example.com", "type": "A", "values": ["203.0.113.9"]}], True),
    ],
)
def test_the_name_leads_to_it_where_the_zone_is_ours(records: list[dict[str, Any]], wanted: bool) -> None:
    items = applied(changes(state(hosted_zones=zone(*records))), ROLE.applies)["records"]
    assert bool(items) == wanted


@pytest.mark.parametrize(
    ("record", "consent", "words"),
    [
        ({"type": "A", "values": ["203.0.113.9"]}, [], 'load_balancer_replace_records": ["api.example.com"]'),
        ({"type": "A", "values": ["203.0.113.9"]}, ["www.example.com"], "leads somebody elsewhere"),
        ({"type": "A", "values": ["203.0.113.9"]}, [NAME], ""),
        ({"type": "CNAME", "values": ["theirs.example.net."]}, [NAME], "Remove it in the hosted zone"),
        ({"type": "AAAA", "values": ["2001:db8::1"]}, [NAME], "Remove it in the hosted zone"),
        # Of load balancers of ours, and no record of A can take their place.
        ({"type": "CNAME", "values": [f"{OTHER_ALB}."]}, [NAME], "Remove it in the hosted zone"),
        ({"type": "AAAA", "alias": DNS}, [NAME], "Remove it in the hosted zone"),
        ({"type": "CNAME", "values": [f"{DNS}."]}, [], ""),
    ],
)
def test_a_name_that_serves_somebody_is_moved_only_by_consent(
    record: dict[str, Any], consent: list[str], words: str
) -> None:
    found = state(hosted_zones=zone({"name": NAME, **record}))
    refused = decide({**INPUTS, "load_balancer_replace_records": consent}, found).refusals
    assert any(words in finding.text_en for finding in refused) if words else not refused


def test_it_waits_for_the_certificate_and_changes_nothing() -> None:
    for certificates in ([], [{**CERTIFICATE, "status": "PENDING_VALIDATION"}], [{**CERTIFICATE, "tags": {}}]):
        plan = decide(INPUTS, state(certificates={NAME: certificates}, load_balancers={}, target_groups={}))
        assert (plan.changes, plan.refusals, len(plan.unsettled)) == ((), (), 1)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"load_balancers": {"academy-alb": {**BALANCER, "scheme": "internal"}}}, "scheme internet-facing"),
        ({"load_balancers": {"academy-alb": {**BALANCER, "vpc_id": "vpc-9"}}}, "aws elbv2 delete-load-balancer"),
        ({"target_groups": {"academy-api": {**GROUP, "protocol": "HTTPS"}}}, "aws elbv2 delete-target-group"),
        ({"load_balancers": {"academy-alb": {**BALANCER, "tags": {}}}}, "somebody else's"),
        ({"certificates": {NAME: [{**CERTIFICATE, "status": "FAILED", "failure_reason": "CAA_ERROR"}]}}, "CAA record"),
    ],
)
def test_what_cannot_be_changed_or_is_not_ours_is_refused(found: dict[str, Any], words: str) -> None:
    plan = decide(INPUTS, state(**found))
    assert plan.changes == ()
    assert any(words in finding.text_en for finding in plan.refusals)


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({}, False),
        ({"tags": {"Project": "another"}}, True),
        ({"targets": [{"id": "i-1", "port": 8000, "state": "healthy"}]}, True),
        ({"load_balancer_arns": ["arn:theirs"]}, True),
    ],
)
def test_a_target_group_that_was_not_finished_is_and_one_that_somebody_uses_is_theirs(
    more: dict[str, Any], refused: bool
) -> None:
    begun = {**GROUP, "tags": {}, "targets": [], "load_balancer_arns": [], **more}
    plan = decide(INPUTS, state(target_groups={"academy-api": begun}, load_balancers={}))
    assert bool(plan.refusals) == refused
    assert refused or any("target_groups" in change.apply for change in plan.changes)


def test_without_its_security_group_it_is_not_made_but_in_check_mode() -> None:
    plan = decide(INPUTS, state(security_groups={}, load_balancers={}, target_groups={}))
    assert [finding.subject for finding in plan.missing] == ["load_balancer_security_group"]
    assert plan.changes


def test_numbers_are_those_that_aws_takes() -> None:
    def subjects(**inputs: Any) -> list[str]:
        return [finding.subject for finding in ROLE.findings({**INPUTS, **inputs})]

    assert subjects() == []
    for name, wrong in (
        ("load_balancer_idle_timeout_seconds", (0, 4001)),
        ("load_balancer_deregistration_delay_seconds", (-1, 3601)),
        ("public_name", ("https://api.example.com", "API.example.com", "localhost", "*.example.com", f"{'a' * 64}.kr")),
        ("certificate_arn", (ARN.replace("northeast-2", "northeast-1"), "certificate/1")),
    ):
        for value in wrong:
            assert subjects(**{name: value}) == [name], value


def test_a_bucket_for_access_logs_is_made_where_they_are_wanted_and_never_another_s() -> None:
    inputs = {**INPUTS, "load_balancer_access_logs_days": 30}
    bucket = INPUTS["load_balancer_access_logs_bucket"]
    assert "bucket_names" not in ROLE.reads(INPUTS)
    assert ROLE.reads(inputs)["bucket_names"] == [bucket]
    made, changed = decide(inputs, {**state(), "buckets": {}}).changes
    assert (made.resource, made.verb, set(made.apply)) == (f"bucket {bucket}", "create", {"buckets"})
    assert changed.apply["attributes"]["values"] == {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": bucket}
    theirs: dict[str, Any] = {"policy": {}, "public_access_block": {}, "lifecycle": [], "tags": {}}
    (refused,) = decide(inputs, {**state(), "buckets": {bucket: theirs}}).refusals
    assert (refused.id, refused.subject) == ("load_balancer_foreign", "load_balancer_access_logs_bucket")
