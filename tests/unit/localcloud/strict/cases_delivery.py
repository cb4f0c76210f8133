# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers, certificates, schedules, alarms, functions and topics."""

from __future__ import annotations

import itertools
import json
from typing import Any

from localcloud import certificates
from tests.unit.localcloud.strict.world import REGION, Case, World

AUTHORITY = certificates.create_authority()


def named(world: World, prefix: str = "", suffix: str = "") -> None:
    world.load_balancer(Name=f"{prefix}{world.name()}{suffix}")


def same_name(world: World, zone: str, **changes: str) -> None:
    name = world.name()
    world.load_balancer(Name=name)
    world.load_balancer(Name=name, Subnets=[world.subnet("a"), world.subnet(zone)], **changes)


def log_into(world: World, writer: str) -> None:
    """Access logs into a bucket whose policy lets this service write."""
    bucket, s3 = world.name(), world.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    allowed = {"Effect": "Allow", "Principal": {"Service": writer}, "Action": "s3:PutObject"}
    statement = {**allowed, "Resource": f"arn:aws:s3:::{bucket}/AWSLogs/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    attributes = {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": bucket}
    world.elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=world.load_balancer(),
        Attributes=[{"Key": key, "Value": value} for key, value in attributes.items()],
    )


def set_groups(world: World, group: str) -> None:
    world.elbv2.set_security_groups(LoadBalancerArn=world.load_balancer(), SecurityGroups=[group])


def set_subnets(world: World, *subnets: str) -> None:
    world.elbv2.set_subnets(LoadBalancerArn=world.load_balancer(), Subnets=subnets)


def attribute(world: World, load_balancer: str, name: str, value: str) -> None:
    attributes = [{"Key": name, "Value": value}]
    world.elbv2.modify_load_balancer_attributes(LoadBalancerArn=load_balancer, Attributes=attributes)


def delete(world: World, *, protected: str) -> None:
    load_balancer = world.load_balancer()
    attribute(world, load_balancer, "deletion_protection.enabled", protected)
    world.elbv2.delete_load_balancer(LoadBalancerArn=load_balancer)


def modify_group(world: World, **changes: int) -> None:
    group = world.target_group(HealthCheckIntervalSeconds=10, HealthCheckTimeoutSeconds=5)
    world.elbv2.modify_target_group(TargetGroupArn=group, **changes)


def redirect(world: World, **config: str) -> None:
    world.listener(DefaultActions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", **config}}])


def shared(world: World, *, between: int) -> None:
    group, ports = world.target_group(), itertools.count(80)
    load_balancers = [world.load_balancer() for _ in range(between)] * 2
    for load_balancer in load_balancers:
        actions = [{"Type": "forward", "TargetGroupArn": group}]
        world.listener(LoadBalancerArn=load_balancer, Port=next(ports), DefaultActions=actions)


def delete_certificate(world: World, *, used: bool) -> None:
    certificate = world.certificate()
    if used:
        world.secure_listener(certificate)
    world.client("acm").delete_certificate(CertificateArn=certificate)


def several(world: World, number: int) -> list[dict[str, str]]:
    return [{"CertificateArn": world.certificate()} for _ in range(number)]


def request(world: World, name: str = "www.example.com", **changes: Any) -> None:
    world.client("acm").request_certificate(DomainName=name, ValidationMethod="DNS", **changes)


def import_certificate(world: World, *, key: int = 0, **changes: Any) -> None:
    made = [certificates.sign(AUTHORITY, ["www.example.com"]) for _ in range(2)]
    world.client("acm").import_certificate(Certificate=made[0].certificate, PrivateKey=made[key].key, **changes)


def alias(world: World, **changes: str) -> dict[str, Any]:
    """A record set that is an alias of a new load balancer."""
    found = world.elbv2.describe_load_balancers(LoadBalancerArns=[world.load_balancer()])["LoadBalancers"][0]
    target = {"DNSName": found["DNSName"], "HostedZoneId": found["CanonicalHostedZoneId"], **changes}
    return {"Name": f"a.{world.zone_name}", "Type": "A", "AliasTarget": {**target, "EvaluateTargetHealth": False}}


def records(world: World, kind: str, value: str, name: str = "", **changes: Any) -> dict[str, Any]:
    """A record set of the zone, or of a name in it."""
    record_set = {"Name": f"{name}{world.zone_name}", "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
    return {name: value for name, value in {**record_set, **changes}.items() if value is not None}


def change(world: World, *changed: tuple[str, dict[str, Any]], zone: str | None = None) -> None:
    """Change records of a zone, which is a new one unless it is given, one after the other."""
    zone = zone or world.hosted_zone()
    for action, record_set in changed:
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record_set}]}
        world.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def delete_ns(world: World, name: str) -> None:
    zone = world.hosted_zone()
    listed = world.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    (servers,) = (one for one in listed if one["Type"] == "NS")
    change(world, ("UPSERT", {**servers, "Name": f"{name}{world.zone_name}"}), zone=zone)
    change(world, ("DELETE", {**servers, "Name": f"{name}{world.zone_name}"}), zone=zone)


def statements(world: World, *names: str) -> None:
    function = world.function()
    for name in names:
        world.permission(function, name)


def role_arn(world: World, service: str) -> str:
    return f"arn:aws:iam::123456789012:role/{world.role(trust=world.trust(Principal={'Service': service}))}"


def parameter(world: World, name: str, value: str = "x") -> None:
    world.client("ssm").put_parameter(Name=name, Value=value, Type="String")


def publish(world: World, message: str) -> None:
    world.client("sns").publish(TopicArn=world.topic(), Message=message)


def schedule_case(bad: str, good: str) -> Case:
    return Case(
        "events-schedule",
        "ValidationException",
        lambda w: w.rule(ScheduleExpression=bad),
        lambda w: w.rule(ScheduleExpression=good),
    )


BALANCERS = [
    Case(
        "elbv2-name-length",
        "ValidationError",
        lambda w: w.load_balancer(Name=w.name().ljust(33, "x")),
        lambda w: w.load_balancer(Name=w.name().ljust(32, "x")),
    ),
    Case(
        "elbv2-name-characters",
        "ValidationError",
        lambda w: named(w, suffix="_a"),
        lambda w: named(w, suffix="-A"),
    ),
    Case(
        "elbv2-name-hyphens",
        "ValidationError",
        lambda w: named(w, suffix="-"),
        named,
    ),
    Case(
        "elbv2-name-internal",
        "ValidationError",
        lambda w: named(w, prefix="internal-"),
        lambda w: named(w, prefix="internal"),
    ),
    Case(
        "elbv2-two-zones",
        "ValidationError",
        lambda w: w.load_balancer(Subnets=[w.subnet("a")]),
        lambda w: w.load_balancer(Subnets=[w.subnet("a")], Type="network"),
    ),
    Case(
        "elbv2-two-zones",
        "ValidationError",
        lambda w: set_subnets(w, w.subnet("a")),
        lambda w: set_subnets(w, w.subnet("a"), w.subnet("c")),
        moto="InvalidConfigurationRequest",
    ),
    Case(
        "elbv2-one-subnet-per-zone",
        "InvalidConfigurationRequest",
        lambda w: w.load_balancer(Subnets=[w.subnet("a"), w.new_subnet(), w.subnet("b")]),
        lambda w: w.load_balancer(Subnets=[w.subnet("a"), w.subnet("b"), w.subnet("c")]),
    ),
    Case(
        "elbv2-duplicate-name",
        "DuplicateLoadBalancerName",
        lambda w: same_name(w, "c"),
        lambda w: same_name(w, "b"),
    ),
    Case(
        "elbv2-duplicate-name",
        "DuplicateLoadBalancerName",
        lambda w: same_name(w, "b", Scheme="internal"),
        lambda w: same_name(w, "b", Scheme="internet-facing"),
    ),
    Case(
        "elbv2-security-group-vpc",
        "InvalidConfigurationRequest",
        lambda w: w.load_balancer(SecurityGroups=[w.other_group]),
        lambda w: w.load_balancer(SecurityGroups=[w.group()]),
    ),
    Case(
        "elbv2-security-group-vpc",
        "InvalidConfigurationRequest",
        lambda w: set_groups(w, w.other_group),
        lambda w: set_groups(w, w.group()),
    ),
    Case(
        "elbv2-deletion-protection",
        "OperationNotPermitted",
        lambda w: delete(w, protected="true"),
        lambda w: delete(w, protected="false"),
    ),
    Case(
        "elbv2-access-logs",
        "InvalidConfigurationRequest",
        lambda w: log_into(w, "delivery.logs.amazonaws.com"),
        lambda w: log_into(w, "logdelivery.elasticloadbalancing.amazonaws.com"),
    ),
    Case(
        "elbv2-idle-timeout",
        "ValidationError",
        lambda w: attribute(w, w.load_balancer(), "idle_timeout.timeout_seconds", "4001"),
        lambda w: attribute(w, w.load_balancer(), "idle_timeout.timeout_seconds", "4000"),
    ),
    Case(
        "elbv2-health-check-path",
        "ValidationError",
        lambda w: w.target_group(HealthCheckPath="health"),
        lambda w: w.target_group(HealthCheckPath="/health"),
    ),
    Case(
        "elbv2-health-check-timeout",
        "ValidationError",
        lambda w: modify_group(w, HealthCheckTimeoutSeconds=10),
        lambda w: modify_group(w, HealthCheckTimeoutSeconds=9),
    ),
    Case(
        "elbv2-matcher",
        "ValidationError",
        lambda w: w.target_group(Matcher={"HttpCode": "200-500"}),
        lambda w: w.target_group(Matcher={"HttpCode": "200-499"}),
    ),
    Case(
        "elbv2-target-id",
        "ValidationError",
        lambda w: w.register("192.0.2.1"),
        lambda w: w.register(w.run()),
    ),
    Case(
        "elbv2-target-exists",
        "InvalidTarget",
        lambda w: w.register("i-00000000000000000"),
        lambda w: w.register(w.run()),
    ),
    Case(
        "elbv2-target-vpc",
        "InvalidTarget",
        lambda w: w.register(w.run(SubnetId=w.other_subnet)),
        lambda w: w.register(w.run()),
    ),
    Case(
        "elbv2-listener-certificate",
        "ValidationError",
        lambda w: w.listener(Protocol="HTTPS", Port=443),
        lambda w: w.secure_listener(w.certificate()),
    ),
    Case(
        "elbv2-certificate-pending",
        "UnsupportedCertificate",
        lambda w: w.secure_listener(w.certificate(issued=False)),
        lambda w: w.secure_listener(w.certificate()),
    ),
    Case(
        "elbv2-security-policy",
        "SSLPolicyNotFound",
        lambda w: w.secure_listener(w.certificate(), SslPolicy="ELBSecurityPolicy-None"),
        lambda w: w.secure_listener(w.certificate(), SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06"),
    ),
    Case(
        "elbv2-redirect-loop",
        "InvalidLoadBalancerAction",
        lambda w: redirect(w, Port="80"),
        lambda w: redirect(w, Port="443", Protocol="HTTPS"),
    ),
    Case(
        "elbv2-target-group-shared",
        "TargetGroupAssociationLimit",
        lambda w: shared(w, between=2),
        lambda w: shared(w, between=1),
    ),
    Case(
        "elbv2-one-certificate",
        "TooManyCertificates",
        lambda w: w.listener(Protocol="HTTPS", Port=443, Certificates=several(w, 2)),
        lambda w: w.listener(Protocol="HTTPS", Port=443, Certificates=several(w, 1)),
    ),
    Case(
        "acm-certificate-in-use",
        "ResourceInUseException",
        lambda w: delete_certificate(w, used=True),
        lambda w: delete_certificate(w, used=False),
    ),
    Case(
        "acm-name-length",
        "ValidationException",
        lambda w: request(w, f"{'a' * 53}.example.com"),
        lambda w: request(w, f"{'a' * 52}.example.com"),
        moto="InternalFailure",
    ),
    Case(
        "acm-names",
        "LimitExceededException",
        lambda w: request(w, SubjectAlternativeNames=[f"{number}.example.com" for number in range(10)]),
        lambda w: request(w, SubjectAlternativeNames=[f"{number}.example.com" for number in range(9)]),
    ),
    Case(
        "acm-import-over-issued",
        "ValidationException",
        lambda w: import_certificate(w, CertificateArn=w.certificate()),
        import_certificate,
    ),
    Case(
        "acm-import-key",
        "ValidationException",
        lambda w: import_certificate(w, key=1),
        import_certificate,
    ),
]

NAMES = [
    Case(
        "route53-caller-reference",
        "HostedZoneAlreadyExists",
        lambda w: [w.hosted_zone(CallerReference="again") for _ in range(2)],
        lambda w: [w.hosted_zone() for _ in range(2)],
    ),
    Case(
        "route53-record-complete",
        "InvalidInput",
        lambda w: change(w, ("UPSERT", records(w, "A", "192.0.2.1", "a.", TTL=None))),
        lambda w: change(w, ("UPSERT", records(w, "A", "192.0.2.1", "a."))),
    ),
    Case(
        "route53-cname-apex",
        "InvalidChangeBatch",
        lambda w: change(w, ("UPSERT", records(w, "CNAME", "other.example."))),
        lambda w: change(w, ("UPSERT", records(w, "CNAME", "other.example.", "www."))),
    ),
    Case(
        "route53-cname-conflict",
        "InvalidChangeBatch",
        lambda w: change(
            w, ("UPSERT", records(w, "A", "192.0.2.1", "a.")), ("UPSERT", records(w, "CNAME", "other.example.", "a."))
        ),
        lambda w: change(w, ("UPSERT", records(w, "A", "192.0.2.1", "a.")), ("UPSERT", records(w, "TXT", '"x"', "a."))),
    ),
    Case(
        "route53-cname-conflict",
        "InvalidChangeBatch",
        lambda w: change(
            w, ("UPSERT", records(w, "CNAME", "other.example.", "a.")), ("UPSERT", records(w, "A", "192.0.2.1", "a."))
        ),
        lambda w: change(
            w, ("UPSERT", records(w, "CNAME", "x.example.", "a.")), ("UPSERT", records(w, "CNAME", "y.example.", "a."))
        ),
    ),
    Case(
        "route53-record-exists",
        "InvalidChangeBatch",
        lambda w: change(
            w, ("UPSERT", records(w, "A", "192.0.2.1", "a.")), ("CREATE", records(w, "A", "192.0.2.2", "a."))
        ),
        lambda w: change(
            w, ("UPSERT", records(w, "A", "192.0.2.1", "a.")), ("CREATE", records(w, "A", "192.0.2.2", "b."))
        ),
    ),
    Case(
        "route53-record-same",
        "InvalidChangeBatch",
        lambda w: change(
            w, ("UPSERT", records(w, "A", "192.0.2.1", "a.")), ("DELETE", records(w, "A", "192.0.2.2", "a."))
        ),
        lambda w: change(
            w, ("UPSERT", records(w, "A", "192.0.2.1", "a.")), ("DELETE", records(w, "A", "192.0.2.1", "a."))
        ),
        moto="InvalidInput",
    ),
    Case(
        "route53-record-required",
        "InvalidChangeBatch",
        lambda w: delete_ns(w, ""),
        lambda w: delete_ns(w, "sub."),
    ),
    Case(
        "route53-alias-target",
        "InvalidChangeBatch",
        lambda w: change(w, ("UPSERT", alias(w, HostedZoneId="Z123456789"))),
        lambda w: change(w, ("UPSERT", alias(w))),
    ),
    Case(
        "route53-alias-target",
        "InvalidChangeBatch",
        lambda w: change(w, ("UPSERT", alias(w, DNSName="gone-1.us-west-2.elb.amazonaws.com"))),
        lambda w: change(w, ("UPSERT", alias(w, DNSName="d111111abcdef8.cloudfront.net"))),
    ),
]

SCHEDULES = {
    "rate(1 minutes)": "rate(1 minute)",
    "rate(2 minute)": "rate(2 minutes)",
    "rate(0 minutes)": "rate(10 minutes)",
    "cron(0 12 * * *)": "cron(0 12 * * ? *)",
    "cron(0 12 * * * *)": "cron(0/5 8-17 ? * MON-FRI *)",
}

OTHERS = [
    *(schedule_case(bad, good) for bad, good in SCHEDULES.items()),
    Case(
        "events-targets",
        "LimitExceededException",
        lambda w: w.targets(*[{}] * 6),
        lambda w: w.targets(*[{}] * 5),
    ),
    Case(
        "events-inputs",
        "ValidationException",
        lambda w: w.targets({"Input": "{}", "InputPath": "$.detail"}),
        lambda w: w.targets({"InputPath": "$.detail"}),
    ),
    Case(
        "events-input-json",
        "ValidationException",
        lambda w: w.targets({"Input": "none"}),
        lambda w: w.targets({"Input": '"none"'}),
    ),
    Case(
        "cloudwatch-period",
        "ValidationError",
        lambda w: w.alarm(Period=90),
        lambda w: w.alarm(Period=120),
    ),
    Case(
        "cloudwatch-data-points",
        "ValidationError",
        lambda w: w.alarm(DatapointsToAlarm=3),
        lambda w: w.alarm(DatapointsToAlarm=2),
    ),
    Case(
        "cloudwatch-evaluation",
        "ValidationError",
        lambda w: w.alarm(Period=3600, EvaluationPeriods=169),
        lambda w: w.alarm(Period=3600, EvaluationPeriods=168),
    ),
    Case(
        "cloudwatch-statistic",
        "InvalidParameterCombination",
        lambda w: w.alarm(ExtendedStatistic="p99"),
        lambda w: w.alarm(),
    ),
    Case(
        "lambda-role",
        "InvalidParameterValueException",
        lambda w: w.function(Role=role_arn(w, "ec2.amazonaws.com")),
        lambda w: w.function(Role=role_arn(w, "lambda.amazonaws.com")),
    ),
    Case(
        "lambda-timeout",
        "ValidationException",
        lambda w: w.function(Timeout=901),
        lambda w: w.function(Timeout=900),
    ),
    Case(
        "lambda-memory",
        "ValidationException",
        lambda w: w.function(MemorySize=10241),
        lambda w: w.function(MemorySize=10240),
    ),
    Case(
        "lambda-reserved-variables",
        "InvalidParameterValueException",
        lambda w: w.function(Environment={"Variables": {"AWS_REGION": "x"}}),
        lambda w: w.function(Environment={"Variables": {"REGION": "x"}}),
    ),
    Case(
        "lambda-environment-size",
        "InvalidParameterValueException",
        lambda w: w.function(Environment={"Variables": {"NAME": "x" * 4096}}),
        lambda w: w.function(Environment={"Variables": {"NAME": "x" * 4000}}),
    ),
    Case(
        "lambda-archive",
        "InvalidParameterValueException",
        lambda w: w.function(Code={"ZipFile": b"none"}),
        lambda w: w.function(),
    ),
    Case(
        "lambda-statement-id",
        "ResourceConflictException",
        lambda w: statements(w, "one", "one"),
        lambda w: statements(w, "one", "two"),
    ),
    Case(
        "sns-protocol",
        "InvalidParameter",
        lambda w: w.subscribe("fax", "+82-2-000-0000"),
        lambda w: w.subscribe("sms", "+82-2-000-0000"),
    ),
    Case(
        "sns-email",
        "InvalidParameter",
        lambda w: w.subscribe("email", "operator"),
        lambda w: w.subscribe("email", "operator@example.com"),
    ),
    Case(
        "sns-empty-message",
        "InvalidParameter",
        lambda w: publish(w, ""),
        lambda w: publish(w, "x"),
    ),
    Case(
        "ssm-parameter-name",
        "ValidationException",
        lambda w: parameter(w, "/academy/lock no/1"),
        lambda w: parameter(w, "/academy/lock_no.-/1"),
    ),
    Case(
        "ssm-parameter-levels",
        "HierarchyLevelLimitExceededException",
        lambda w: parameter(w, "/level" * 16),
        lambda w: parameter(w, "/level" * 15),
    ),
    Case(
        "ssm-parameter-size",
        "ValidationException",
        lambda w: parameter(w, "/long", value="ü" * 2049),
        lambda w: parameter(w, "/short", value="ü" * 2048),
    ),
]

CASES = [*BALANCERS, *NAMES, *OTHERS]
