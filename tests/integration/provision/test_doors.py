# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public name: its certificate, its load balancer, and the doors that open and close.

One account, one story: each test finds what the one before left. What answers behind the load balancer is not here:
its API calls every target that runs healthy.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from localcloud import settings
from plugins.module_utils.plan.load_balancer import (
    DEFAULT_ATTRIBUTES,
    DEFAULT_GROUP_ATTRIBUTES,
    DELAY,
    changed_listener_attributes,
)
from tests import support
from tests.integration.conftest import PLAYBOOK, Account
from tests.integration.provision.drift import owners
from tests.integration.provision.test_provision import (
    changed_by,
    inbound,
    predicted_then_kept,
    unchanged,
)

NAME = "api.example.com"
ROLES = ("--tags", "certificate,load_balancer")
ALB, GROUP = "academy-alb", "academy-api"
LOGS = f"academy-alb-logs-{settings.ACCOUNT_ID}"
# What a killed run leaves.
BROKEN = ("-e", "deploy_break_lock=true")
KILL_SECONDS = 240


SECOND_API_HOST = "tests/integration/provision/second_api_host.yml"


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


def listener_extras(account: Account, listener: dict[str, Any]) -> dict[str, Any]:
    elbv2, arn = account.client("elbv2"), listener["ListenerArn"]
    told = elbv2.describe_listener_attributes(ListenerArn=arn)["Attributes"]
    attributes = {each["Key"]: each["Value"] for each in told}
    return {
        "certificates": elbv2.describe_listener_certificates(ListenerArn=arn)["Certificates"],
        "mutual TLS": listener.get("MutualAuthentication", {}).get("Mode", "off"),
        "attributes": changed_listener_attributes(attributes),
        "tags": tags(account, arn),
    }


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
                    **DEFAULT_ATTRIBUTES,
                    **attributes(account),
                },
                "tags": tags(account, found["LoadBalancerArn"]),
                "listeners": {
                    port: {
                        **{
                            key: listener.get(key)
                            for key in ("Protocol", "SslPolicy", "Certificates", "DefaultActions")
                        },
                        **listener_extras(account, listener),
                    }
                    for port, listener in listeners(account).items()
                },
                "rules": rules(account),
                "group": {key: value for key, value in group(account).items() if key != "LoadBalancerArns"},
                "group attributes": {**DEFAULT_GROUP_ATTRIBUTES, **group_attributes(account)},
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


def test_opening_is_refused_with_all_that_it_lacks(account: Account) -> None:
    before = account.writes()
    run = account.provision("doors-early", "--tags", "network", *named(stage="open")).expect(2)
    told = " ".join(run.output.split())
    lacking = ("needs an issued certificate", "needs a load balancer in 2 zones", "needs an API host that runs")
    assert [words for words in lacking if f"stage: open {words}" not in told] == []
    assert account.writes() == before


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


def killed(account: Account, moment: str, *arguments: str) -> None:
    """A run that ends inside of a task."""
    name = f"provision-doors-killed-{moment.partition(',')[0].replace(' ', '-')}"
    with support.background_playbook(*account.arguments(PLAYBOOK), *arguments, *BROKEN, name=name) as run:
        run.wait_for_line(support.task(moment), KILL_SECONDS)
        time.sleep(0.5)
        run.signal(signal.SIGKILL)
        assert run.finish().status == -signal.SIGKILL, f"{moment}: the run had ended before it was killed"


def test_killed_at_every_step_it_is_made_once(provisioned: Account) -> None:
    arguments = ("--tags", "network,certificate,load_balancer", *own_certificate(provisioned))
    for moment in (
        "Create or update the target group",
        "Create or update the load balancer and its listeners",
        "Set the attributes that the modules do not know",
        "Register the hosts that run, and deregister all others",
    ):
        killed(provisioned, moment, *arguments)
    run = provisioned.provision("doors", *arguments, *BROKEN).expect()
    # Its zone is elsewhere.
    dns_name = balancer(provisioned)["DNSName"]
    assert f"{NAME} must lead to the load balancer" in " ".join(run.output.split())
    assert f"{NAME} CNAME {dns_name}" in " ".join(run.output.split())
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


# --- a foreign hand -------------------------------------------------------------------------------------------------

Hand = Callable[[Account], Any]


def of_balancer(operation: str, **parameters: Any) -> Hand:
    return lambda account: getattr(account.client("elbv2"), operation)(
        LoadBalancerArn=balancer(account)["LoadBalancerArn"], **parameters
    )


def of_group(operation: str, **parameters: Any) -> Hand:
    return lambda account: getattr(account.client("elbv2"), operation)(
        TargetGroupArn=group(account)["TargetGroupArn"], **parameters
    )


def of_listener(port: int, **parameters: Any) -> Hand:
    return lambda account: account.client("elbv2").modify_listener(
        ListenerArn=listeners(account)[port]["ListenerArn"], **parameters
    )


def at_listener(port: int, operation: str, **parameters: Any) -> Hand:
    return lambda account: getattr(account.client("elbv2"), operation)(
        ListenerArn=listeners(account)[port]["ListenerArn"], **parameters
    )


def attribute(key: str, value: str) -> Hand:
    return of_balancer("modify_load_balancer_attributes", Attributes=[{"Key": key, "Value": value}])


def group_attribute(key: str, value: str) -> Hand:
    return of_group("modify_target_group_attributes", Attributes=[{"Key": key, "Value": value}])


def move(account: Account) -> None:
    """To zones of which one has no API host."""
    subnets = account.client("ec2").describe_subnets()["Subnets"]
    (api,) = account.instances("academy-api-1")
    others = [one["SubnetId"] for one in subnets if one["AvailabilityZone"] != api["Placement"]["AvailabilityZone"]]
    of_balancer("set_subnets", Subnets=others[:2])(account)


def let_others_in(account: Account) -> None:
    found = account.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])
    of_balancer("set_security_groups", SecurityGroups=[found["SecurityGroups"][0]["GroupId"]])(account)


FIXED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}]


def another(account: Account) -> str:
    """Of the same name, and somebody else's."""
    return imported(account, NAME)


def add_rule(account: Account) -> None:
    account.client("elbv2").create_rule(
        ListenerArn=listeners(account)[443]["ListenerArn"], Priority=1, Actions=FIXED,
        Conditions=[{"Field": "path-pattern", "Values": ["/api/*"]}],
    )  # fmt: skip


def add_target(account: Account) -> None:
    worker = account.instances("academy-messaging-worker-1")[0]["InstanceId"]
    of_group("register_targets", Targets=[{"Id": worker}])(account)


def remove_target(account: Account) -> None:
    api = account.instances("academy-api-1")[0]["InstanceId"]
    of_group("deregister_targets", Targets=[{"Id": api}])(account)


def tag(find: Callable[[Account], dict[str, Any]], word: str) -> Hand:
    return lambda account: account.client("elbv2").add_tags(
        ResourceArns=[find(account)[word]], Tags=[{"Key": "Owner", "Value": "others"}, {"Key": "Foreign", "Value": "x"}]
    )


SERVER_HEADER = "routing.http.response.server.enabled"
# What others do, and how the plan tells it.
HANDS: dict[str, tuple[Hand, str]] = {
    "zones": (move, "load balancer academy-alb: subnets: "),
    "groups": (let_others_in, 'load balancer academy-alb: security_groups: ["sg-'),
    "addresses": (
        of_balancer("set_ip_address_type", IpAddressType="dualstack"),
        "load balancer academy-alb: ip_address_type: dualstack -> ipv4",
    ),
    "tags": (tag(balancer, "LoadBalancerArn"), "load balancer academy-alb: tags: Owner others -> demo"),
    **{
        key: (attribute(key, value), f"load balancer academy-alb: {key}: {value} -> {wanted}")
        for key, value, wanted in (
            ("deletion_protection.enabled", "false", "true"),
            ("client_keep_alive.seconds", "60", "3600"),
            ("idle_timeout.timeout_seconds", "4000", "60"),
            ("routing.http.desync_mitigation_mode", "monitor", "defensive"),
            ("routing.http.drop_invalid_header_fields.enabled", "false", "true"),
            ("routing.http.preserve_host_header.enabled", "true", "false"),
            ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "true", "false"),
            ("routing.http.xff_client_port.enabled", "true", "false"),
            ("routing.http.xff_header_processing.mode", "preserve", "append"),
            ("routing.http2.enabled", "false", "true"),
            ("waf.fail_open.enabled", "true", "false"),
            ("zonal_shift.config.enabled", "true", "false"),
        )
    },
    "TLS policy": (
        of_listener(443, SslPolicy="ELBSecurityPolicy-2016-08"),
        "load balancer academy-alb: listener 443: ssl_policy ELBSecurityPolicy-2016-08 -> ",
    ),
    # Told in the line of the listener, as the next one is.
    "certificate": (
        lambda account: of_listener(443, Certificates=[{"CertificateArn": another(account)}])(account),
        "",
    ),
    "rule": (add_rule, ""),
    "redirect": (
        of_listener(80, DefaultActions=FIXED),
        "load balancer academy-alb: listener 80: action ",
    ),
    "listener": (
        of_balancer("create_listener", Protocol="HTTP", Port=8080, DefaultActions=FIXED),
        "load balancer academy-alb: listener 8080: ",
    ),
    "mutual TLS": (
        of_listener(443, MutualAuthentication={"Mode": "passthrough"}),
        "listener 443 of academy-alb: mutual_authentication: passthrough -> off",
    ),
    "more certificates": (
        lambda account: at_listener(
            443, "add_listener_certificates", Certificates=[{"CertificateArn": imported(account, "www.example.org")}]
        )(account),
        'listener 443 of academy-alb: more_certificates: ["arn:aws:acm:',
    ),
    "listener attributes": (
        at_listener(80, "modify_listener_attributes", Attributes=[{"Key": SERVER_HEADER, "Value": "false"}]),
        f"listener 80 of academy-alb: attributes: {SERVER_HEADER} false -> none",
    ),
    "listener tags": (
        tag(lambda account: listeners(account)[443], "ListenerArn"),
        "listener 443 of academy-alb: tags: Owner others -> demo",
    ),
    "health path": (
        of_group("modify_target_group", HealthCheckPath="/"),
        "target group academy-api: health_check_path: / -> /health",
    ),
    "health codes": (
        of_group("modify_target_group", Matcher={"HttpCode": "200-499"}),
        "target group academy-api: matcher: 200-499 -> 200",
    ),
    "health interval": (
        of_group("modify_target_group", HealthCheckIntervalSeconds=300),
        "target group academy-api: health_check_interval_seconds: 300 -> 10",
    ),
    "health timeout": (
        of_group("modify_target_group", HealthCheckTimeoutSeconds=60),
        "target group academy-api: health_check_timeout_seconds: 60 -> 5",
    ),
    "healthy": (
        of_group("modify_target_group", HealthyThresholdCount=10),
        "target group academy-api: healthy_threshold_count: 10 -> 2",
    ),
    "unhealthy": (
        of_group("modify_target_group", UnhealthyThresholdCount=10),
        "target group academy-api: unhealthy_threshold_count: 10 -> 3",
    ),
    **{
        key: (group_attribute(key, value), f"target group academy-api: {key}: {value} -> {wanted}")
        for key, value, wanted in (
            (DELAY, "300", "30"),
            ("load_balancing.algorithm.type", "least_outstanding_requests", "round_robin"),
            ("load_balancing.cross_zone.enabled", "false", "use_load_balancer_configuration"),
            ("slow_start.duration_seconds", "900", "0"),
            ("stickiness.enabled", "true", "false"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "2", "1"),
        )
    },
    "group tags": (tag(group, "TargetGroupArn"), "target group academy-api: tags: Owner others -> demo"),
    "foreign target": (add_target, "target i-"),
    "lost target": (remove_target, "target academy-api-1: registered: none -> i-"),
}


def test_whatever_others_change_is_told_and_repaired_in_one_run(provisioned: Account) -> None:
    wanted, name = look(provisioned), own_certificate(provisioned)
    for change, (hand, _) in HANDS.items():
        before = look(provisioned)
        hand(provisioned)
        assert look(provisioned) != before, change
    report = provisioned.plan("doors-drift", "--limit", "localhost", *name, status=2)
    lines = [
        line.removeprefix("~ ")
        for entry in report["differences"]
        if entry["role"] == "load_balancer"
        for line in entry["lines"]
    ]
    begins = [begin for _, begin in HANDS.values() if begin]
    assert [begin for begin in begins if sum(line.startswith(begin) for line in lines) != 1] == []
    assert [line for line in lines if not any(map(line.startswith, begins))] == []
    before = provisioned.writes()
    assert changed_by(provisioned.provision("doors-drift-check", "--check", *ROLES, *name)) == {"localhost"}
    assert provisioned.writes() == before
    assert changed_by(provisioned.provision("doors-repair", *ROLES, *name)) == {"localhost"}
    assert look(provisioned) == wanted
    before = provisioned.writes()
    assert unchanged(provisioned.provision("doors-repaired", *ROLES, *name).expect().changed())
    assert provisioned.writes() == before


# For each role: other values for what it exposes, and what AWS then says.
PARAMETERS: dict[str, tuple[dict[str, Any], Callable[[Account], Any], Any]] = {
    "load_balancer": (
        {
            "load_balancer_ssl_policy": "ELBSecurityPolicy-TLS13-1-3-2021-06",
            "load_balancer_health_path": "/healthz",
            "load_balancer_deregistration_delay_seconds": 60,
            "load_balancer_idle_timeout_seconds": 120,
            "load_balancer_deletion_protection": False,
            "load_balancer_access_logs_days": 30,
        },
        lambda account: (
            listeners(account)[443]["SslPolicy"],
            group(account)["HealthCheckPath"],
            group_attributes(account)["deregistration_delay.timeout_seconds"],
            *(attributes(account)[key] for key in ("idle_timeout.timeout_seconds", "deletion_protection.enabled")),
            attributes(account).get("access_logs.s3.bucket"),
        ),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", "/healthz", "60", "120", "false", LOGS),
    ),
}


@pytest.mark.parametrize("role", PARAMETERS)
def test_other_values_are_predicted_and_then_kept(provisioned: Account, role: str) -> None:
    values, see, wanted = PARAMETERS[role]
    assert see(provisioned) != wanted
    own = {"public_name": NAME, "certificate_arn": certificate(provisioned), "owner": "others"}
    predicted_then_kept(provisioned, f"doors-{role}", (role,), {**own, **values})
    assert see(provisioned) == wanted
    assert "others" in owners([{"Key": key, "Value": value} for key, value in
                               tags(provisioned, balancer(provisioned)["LoadBalancerArn"]).items()])  # fmt: skip


def test_access_logs_have_a_bucket_that_no_other_hand_opens(provisioned: Account) -> None:
    own = {"public_name": NAME, "certificate_arn": certificate(provisioned), "load_balancer_access_logs_days": 30}
    arguments = (*ROLES, "-e", json.dumps(own))
    # Also what the parameters before have changed.
    provisioned.provision("doors-logs", *arguments).expect()
    s3 = provisioned.client("s3")

    def kept() -> Any:
        policy = json.loads(s3.get_bucket_policy(Bucket=LOGS)["Policy"])
        (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=LOGS)["Rules"]
        block = s3.get_public_access_block(Bucket=LOGS)["PublicAccessBlockConfiguration"]
        return policy, rule["Expiration"], block, s3.get_bucket_tagging(Bucket=LOGS)["TagSet"]

    wanted = kept()
    ((statement,), expiration) = wanted[0]["Statement"], wanted[1]
    assert statement["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == (
        "s3:PutObject",
        f"arn:aws:s3:::{LOGS}/AWSLogs/{settings.ACCOUNT_ID}/*",
    )
    assert (expiration, set(wanted[2].values())) == ({"Days": 30}, {True})
    everybody = {**wanted[0], "Statement": [{**statement, "Principal": "*"}]}
    s3.put_bucket_policy(Bucket=LOGS, Policy=json.dumps(everybody))
    s3.delete_public_access_block(Bucket=LOGS)
    s3.delete_bucket_lifecycle(Bucket=LOGS)
    s3.put_bucket_tagging(Bucket=LOGS, Tagging={"TagSet": [{"Key": "Project", "Value": "academy"}]})
    report = provisioned.plan("doors-logs", "--limit", "localhost", "-e", json.dumps(own), status=2)
    (entry,) = [one for one in report["differences"] if one["resource"] == f"bucket {LOGS}"]
    fields = {difference["field"] for difference in entry["differences"]}
    assert fields == {"policy", "public_access_block", "lifecycle", "tags"}
    assert changed_by(provisioned.provision("doors-logs-repaired", *arguments)) == {"localhost"}
    assert kept() == wanted
    assert unchanged(provisioned.provision("doors-logs-again", *arguments).expect().changed())


# --- opening and closing --------------------------------------------------------------------------------------------


def test_nobody_is_let_in_before_the_api_has_its_settings(provisioned: Account) -> None:
    own = {"certificate_arn": certificate(provisioned)}
    arguments = ("--tags", "network", *named(stage="open", **own))
    before = provisioned.writes()
    # What comes before the hosts, alone, whose network_step is prepare.
    run = support.playbook(*provisioned.arguments(PLAYBOOK), *arguments, name="provision-doors-prepared").expect()
    assert unchanged(run.changed())
    assert provisioned.writes() == before


def test_opening_lets_everybody_in_by_https_and_nobody_to_the_api(provisioned: Account) -> None:
    own = {"certificate_arn": certificate(provisioned)}
    arguments = ("--tags", "network,load_balancer", *named(stage="open", **own))
    assert changed_by(provisioned.provision("doors-open", *arguments)) == {"localhost"}
    world = {(port, everybody) for port in (80, 443) for everybody in ("0.0.0.0/0", "::/0")}
    assert inbound(provisioned, "academy-alb-sg") == world
    assert inbound(provisioned, "academy-api-sg") == {(22, "172.31.0.1/32"), (8000, "academy-alb-sg")}
    before = provisioned.writes()
    assert unchanged(provisioned.provision("doors-open-again", *arguments).expect().changed())
    assert provisioned.writes() == before


def test_a_host_that_stops_is_no_target_and_closes_no_door(provisioned: Account) -> None:
    own = {"certificate_arn": certificate(provisioned)}
    arguments = ("--tags", "network,load_balancer", *named(stage="open", **own))
    api = provisioned.instances("academy-api-1")[0]["InstanceId"]
    provisioned.client("ec2").stop_instances(InstanceIds=[api])
    assert changed_by(provisioned.provision("doors-stopped", *arguments)) == {"localhost"}
    assert targets(provisioned) == {}
    provisioned.client("ec2").start_instances(InstanceIds=[api])
    assert changed_by(provisioned.provision("doors-started", *arguments)) == {"localhost"}
    assert targets(provisioned) == {api: "healthy"}
    provisioned.client("ec2").terminate_instances(InstanceIds=[api])
    replace = ("--tags", "instance,load_balancer", *named(stage="open", **own))
    assert "localhost" in changed_by(provisioned.provision("doors-replaced", *replace))
    (new,) = [host for host in provisioned.instances("academy-api-1") if host["State"]["Name"] == "running"]
    assert targets(provisioned) == {new["InstanceId"]: "healthy"} != {api: "healthy"}


def test_a_second_api_host_is_a_target_for_as_long_as_the_inventory_names_it(provisioned: Account) -> None:
    own = named(stage="open", certificate_arn=certificate(provisioned))
    (first,) = targets(provisioned)
    added = ("-i", SECOND_API_HOST, "--tags", "instance,load_balancer", *own)
    assert "localhost" in changed_by(provisioned.provision("doors-second", *added))
    (host,) = provisioned.instances("academy-api-2")
    assert targets(provisioned) == dict.fromkeys((first, host["InstanceId"]), "healthy")
    zones = {zone["ZoneName"] for zone in balancer(provisioned)["AvailabilityZones"]}
    assert host["Placement"]["AvailabilityZone"] in zones
    # It still runs, and its line is gone.
    removed = ("--tags", "load_balancer", *own)
    assert changed_by(provisioned.provision("doors-second-gone", *removed)) == {"localhost"}
    assert targets(provisioned) == {first: "healthy"}
    provisioned.client("ec2").terminate_instances(InstanceIds=[host["InstanceId"]])


def test_back_to_test_the_operators_alone_are_let_in(provisioned: Account) -> None:
    arguments = ("--tags", "network", *own_certificate(provisioned))
    assert changed_by(provisioned.provision("doors-close", *arguments)) == {"localhost"}
    test_before_opening_operators_alone_reach_it(provisioned)


# --- a certificate that is requested --------------------------------------------------------------------------------


def test_a_requested_certificate_is_waited_for_without_failing(provisioned: Account) -> None:
    served = listeners(provisioned)[443]["Certificates"]
    killed(provisioned, "request | Request the certificate, or update its tags", *ROLES, *named())
    run = provisioned.provision("doors-request", *ROLES, *named(), *BROKEN).expect()
    summaries = provisioned.client("acm").list_certificates(CertificateStatuses=["PENDING_VALIDATION"])
    assert [one["DomainName"] for one in summaries["CertificateSummaryList"]] == [NAME]
    told = " ".join(run.output.split())
    assert f"Create where {NAME} is administered" in told
    assert "acm-validations.aws" in told
    # What is there goes on as it is.
    assert listeners(provisioned)[443]["Certificates"] == served
    before = provisioned.writes()
    again = provisioned.provision("doors-pending", *ROLES, *named()).expect()
    assert unchanged(again.changed())
    assert provisioned.writes() == before
    refused = provisioned.provision("doors-unready", "--tags", "network", *named(stage="open")).expect(2)
    assert "found PENDING_VALIDATION" in " ".join(refused.output.split())


def test_where_the_zone_is_ours_the_records_are_made_and_kept(provisioned: Account) -> None:
    route53 = provisioned.client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="doors")["HostedZone"]["Id"]
    run = provisioned.provision("doors-issued", *ROLES, *named())
    assert changed_by(run) == {"localhost"}

    def records() -> dict[str, tuple[str, str]]:
        found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return {
            one["Type"]: (one["Name"].rstrip("."), one.get("AliasTarget", {}).get("DNSName", "").rstrip("."))
            for one in found
            if one["Type"] in ("A", "CNAME")
        }

    made = records()
    assert made["A"] == (NAME, balancer(provisioned)["DNSName"])
    assert made["CNAME"][0].endswith(f".{NAME}")
    acm = provisioned.client("acm")
    (arn,) = [each["CertificateArn"] for each in listeners(provisioned)[443]["Certificates"]]
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainName"] == NAME
    found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    (lost,) = [record for record in found if record["Type"] == "CNAME"]
    # An alias that is deleted moto does not create again.
    changes = [{"Action": "DELETE", "ResourceRecordSet": lost}]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    theirs = [{"Key": "Foreign", "Value": "x"}, {"Key": "Owner", "Value": "others"}]
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=theirs)
    assert changed_by(provisioned.provision("doors-records", *ROLES, *named())) == {"localhost"}
    assert records() == made
    kept = {tag["Key"]: tag["Value"] for tag in acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]}
    assert (kept["Owner"], "Foreign" in kept) == ("demo", False)
    before = provisioned.writes()
    assert unchanged(provisioned.provision("doors-kept", *ROLES, *named()).expect().changed())
    assert provisioned.writes() == before


def test_a_caa_record_that_forbids_the_certificate_is_told(provisioned: Account) -> None:
    route53, name = provisioned.client("route53"), "www.example.com"
    (zone,) = [each["Id"] for each in route53.list_hosted_zones()["HostedZones"]]
    theirs = {"Name": name, "Type": "CAA", "TTL": 60, "ResourceRecords": [{"Value": '0 issue "others.example"'}]}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": theirs}]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    run = provisioned.provision("doors-failed", "--tags", "certificate", *named(public_name=name)).expect(2)
    told = " ".join(run.output.split())
    assert "FAILED: a CAA record of the domain allows no certificate of Amazon: add one with amazon.com" in told
    assert "aws acm delete-certificate --certificate-arn arn:aws:acm:" in told


def test_a_certificate_that_is_not_renewed_is_told_and_one_that_has_expired_replaced(provisioned: Account) -> None:
    acm, route53 = provisioned.client("acm"), provisioned.client("route53")
    (old,) = served(provisioned)
    (zone,) = [each["Id"] for each in route53.list_hosted_zones()["HostedZones"]]
    (option,) = acm.describe_certificate(CertificateArn=old)["Certificate"]["DomainValidationOptions"]
    found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    (lost,) = [one for one in found if one["Name"] == option["ResourceRecord"]["Name"]]

    def change(action: str) -> None:
        changes = [{"Action": action, "ResourceRecordSet": lost}]
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    change("DELETE")
    provisioned.grow_old(old, 30)
    run = provisioned.provision("doors-unrenewed", "--check", "--tags", "certificate", *named()).expect()
    told = " ".join(run.output.split())
    assert "its renewal is PENDING_VALIDATION, because ACM does not see" in told
    assert "Create the record again." in told
    # By hand: moto says of what was deleted twice that it is there.
    change("UPSERT")
    provisioned.grow_old(old, -1)
    assert changed_by(provisioned.provision("doors-expired", *ROLES, *named())) == {"localhost"}
    (successor,) = served(provisioned)
    assert successor != old
    statuses = [acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] for arn in (old, successor)]
    # The old one serves nobody, and is left.
    assert statuses == ["EXPIRED", "ISSUED"]
    assert acm.describe_certificate(CertificateArn=old)["Certificate"]["InUseBy"] == []


def served(account: Account) -> list[str]:
    return [each["CertificateArn"] for each in listeners(account)[443]["Certificates"]]


def test_a_name_that_leads_elsewhere_is_moved_only_by_consent(provisioned: Account) -> None:
    route53 = provisioned.client("route53")
    (zone,) = [each["Id"] for each in route53.list_hosted_zones()["HostedZones"]]
    theirs = {"Name": NAME, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "203.0.113.9"}]}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": theirs}]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    before = provisioned.writes()
    run = provisioned.provision("doors-theirs", *ROLES, *named()).expect(2)
    assert f'{{"load_balancer_replace_records": ["{NAME}"]}}' in " ".join(run.output.split())
    assert provisioned.writes() == before
    moved = provisioned.provision("doors-moved", *ROLES, *named(load_balancer_replace_records=[NAME]))
    assert changed_by(moved) == {"localhost"}
