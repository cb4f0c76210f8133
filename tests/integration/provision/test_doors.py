# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public name: its certificate, its load balancer, and the doors that open and close.

One account, one story: each test finds what the one before left. What answers behind the load balancer is not here:
its API calls every target that runs healthy.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.provision.conftest import Account
from tests.integration.provision.test_provision import (
    changed_by,
    inbound,
    unchanged,
)

NAME = "api.example.com"
ROLES = ("--tags", "certificate,load_balancer")
ALB, GROUP = "academy-alb", "academy-api"
TAGS = [{"Key": "Project", "Value": "academy"}]


def named(**values: Any) -> tuple[str, ...]:
    """A run with a public name."""
    return ("-e", json.dumps({"public_name": NAME, **values}))


WILDCARD = f"*.{NAME.partition('.')[2]}"


def self_signed(name: str) -> dict[str, bytes]:
    """What Certificate Manager imports."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return {
        "Certificate": made.public_bytes(pem),
        "PrivateKey": key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain),
    }


def imported(account: Account, name: str) -> str:
    return str(account.client("acm").import_certificate(**self_signed(name))["CertificateArn"])


def certificate(account: Account) -> str:
    """One that somebody has already."""
    found = account.client("acm").list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})
    known = [one["CertificateArn"] for one in found["CertificateSummaryList"] if one["DomainName"] == WILDCARD]
    return str(known[0]) if known else imported(account, WILDCARD)


def own_certificate(account: Account) -> tuple[str, ...]:
    return named(certificate_arn=certificate(account))


def balancer(account: Account) -> dict[str, Any]:
    (found,) = account.client("elbv2").describe_load_balancers(Names=[ALB])["LoadBalancers"]
    return dict(found)


def group(account: Account) -> dict[str, Any]:
    (found,) = account.client("elbv2").describe_target_groups(Names=[GROUP])["TargetGroups"]
    return dict(found)


def listeners(account: Account) -> dict[int, dict[str, Any]]:
    found = account.client("elbv2").describe_listeners(LoadBalancerArn=balancer(account)["LoadBalancerArn"])
    return {listener["Port"]: listener for listener in found["Listeners"]}


def attributes(account: Account) -> dict[str, str]:
    found = account.client("elbv2").describe_load_balancer_attributes(
        LoadBalancerArn=balancer(account)["LoadBalancerArn"]
    )
    return {each["Key"]: each["Value"] for each in found["Attributes"]}


def group_attributes(account: Account) -> dict[str, str]:
    found = account.client("elbv2").describe_target_group_attributes(TargetGroupArn=group(account)["TargetGroupArn"])
    return {each["Key"]: str(each["Value"]) for each in found["Attributes"]}


def targets(account: Account) -> dict[str, str]:
    found = account.client("elbv2").describe_target_health(TargetGroupArn=group(account)["TargetGroupArn"])
    return {each["Target"]["Id"]: each["TargetHealth"]["State"] for each in found["TargetHealthDescriptions"]}


def tags(account: Account, arn: str) -> dict[str, str]:
    (found,) = account.client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return {tag["Key"]: tag["Value"] for tag in found["Tags"]}


def rules(account: Account) -> list[str]:
    elbv2, arn = account.client("elbv2"), listeners(account)[443]["ListenerArn"]
    return [rule["RuleArn"] for rule in elbv2.describe_rules(ListenerArn=arn)["Rules"] if not rule["IsDefault"]]


def look(account: Account) -> Any:
    """All that the role keeps, without what AWS numbers anew."""
    found = balancer(account)
    kept = ("SecurityGroups", "IpAddressType", "AvailabilityZones", "Scheme")
    return json.loads(
        json.dumps(
            {
                "balancer": {key: found[key] for key in kept},
                "attributes": {
                    # What AWS has where it says nothing.
                    "routing.http2.enabled": "true",
                    **attributes(account),
                },
                "tags": tags(account, found["LoadBalancerArn"]),
                "listeners": {
                    port: {
                        key: listener.get(key) for key in ("Protocol", "SslPolicy", "Certificates", "DefaultActions")
                    }
                    for port, listener in listeners(account).items()
                },
                "rules": rules(account),
                "group": {key: value for key, value in group(account).items() if key != "LoadBalancerArns"},
                "group attributes": group_attributes(account),
                "group tags": tags(account, group(account)["TargetGroupArn"]),
                "targets": targets(account),
            },
            sort_keys=True,
            default=str,
        )
    )


# --- a certificate that somebody has --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provisioned(account: Account) -> Account:
    """A deployment that nobody but operators reaches."""
    account.provision("closed", "--tags", "network,identity,registry,logs,instance").expect()
    return account


def test_check_mode_on_an_empty_account_predicts_and_writes_nothing(account: Account) -> None:
    arguments = (*ROLES, *own_certificate(account))
    before = account.writes()
    assert changed_by(account.provision("doors-check", "--check", "--diff", *arguments)) == {"localhost"}
    assert account.writes() == before


def test_without_a_name_nothing_is_asked_and_nothing_made(provisioned: Account) -> None:
    before = provisioned.calls()
    assert unchanged(provisioned.provision("doors-nameless", *ROLES).expect().changed())
    assert {call for call in provisioned.calls() if call.startswith(("acm", "elbv2", "route53"))} == {
        call for call in before if call.startswith(("acm", "elbv2", "route53"))
    }


def test_it_is_made_once(provisioned: Account) -> None:
    arguments = ("--tags", "network,certificate,load_balancer", *own_certificate(provisioned))
    assert changed_by(provisioned.provision("doors", *arguments)) == {"localhost"}
    before = provisioned.writes()
    assert unchanged(provisioned.provision("doors-again", *arguments).expect().changed())
    assert provisioned.writes() == before


def test_it_is_as_the_guide_and_the_facts_want_it(provisioned: Account) -> None:
    found, heard = balancer(provisioned), listeners(provisioned)
    zones = {zone["ZoneName"] for zone in found["AvailabilityZones"]}
    (api,) = provisioned.instances("academy-api-1")
    assert (found["Scheme"], len(zones), api["Placement"]["AvailabilityZone"] in zones) == ("internet-facing", 2, True)
    assert heard.keys() == {80, 443}
    assert heard[443]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert [each["CertificateArn"] for each in heard[443]["Certificates"]] == [certificate(provisioned)]
    redirect = heard[80]["DefaultActions"][0]["RedirectConfig"]
    assert {redirect[key] for key in ("Protocol", "Port", "StatusCode")} == {"HTTPS", "443", "HTTP_301"}
    assert (redirect["Path"], redirect["Query"]) == ("/#{path}", "#{query}")
    assert attributes(provisioned).items() >= {
        ("deletion_protection.enabled", "true"),
        ("idle_timeout.timeout_seconds", "60"),
        ("routing.http.drop_invalid_header_fields.enabled", "true"),
    }
    made = group(provisioned)
    assert (made["Protocol"], made["Port"], made["HealthCheckPath"]) == ("HTTP", 8000, "/health")
    assert made["Matcher"] == {"HttpCode": "200"}
    assert group_attributes(provisioned)["deregistration_delay.timeout_seconds"] == "30"
    assert targets(provisioned) == {api["InstanceId"]: "healthy"}


def test_before_opening_operators_alone_reach_it(provisioned: Account) -> None:
    assert inbound(provisioned, "academy-alb-sg") == {(443, "172.31.0.1/32"), (80, "172.31.0.1/32")}
    assert inbound(provisioned, "academy-api-sg") == {
        (22, "172.31.0.1/32"),
        (8000, "172.31.0.1/32"),
        (8000, "academy-worker-sg"),
        (8000, "academy-alb-sg"),
    }
