# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of botocore's models, one case for each service and family."""

from __future__ import annotations

from tests.unit.localcloud.strict.world import Case, World


def request_certificate(world: World, **changes: str) -> None:
    world.client("acm").request_certificate(**{"DomainName": "example.com", "ValidationMethod": "DNS", **changes})


def tag_repository(world: World, **tag: str) -> None:
    account = world.api.backends("ecr").account_id
    arn = f"arn:aws:ecr:{world.zone('')}:{account}:repository/{world.repository()}"
    world.client("ecr").tag_resource(resourceArn=arn, tags=[tag])


def stream(world: World, name: str) -> None:
    world.client("logs").create_log_stream(logGroupName=world.log_group(), logStreamName=name)


def put_events(world: World, *messages: str) -> None:
    group = world.log_group()
    world.client("logs").create_log_stream(logGroupName=group, logStreamName="s")
    events = [{"timestamp": 1_700_000_000_000, "message": message} for message in messages]
    world.client("logs").put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def retain(world: World, **parameters: int) -> None:
    world.client("logs").put_retention_policy(logGroupName=world.log_group(), **parameters)


CASES = [
    Case(
        "acm-model-enum",
        "ValidationException",
        lambda w: request_certificate(w, ValidationMethod="FAX"),
        lambda w: request_certificate(w, ValidationMethod="DNS"),
    ),
    Case(
        "acm-model-pattern",
        "ValidationException",
        lambda w: request_certificate(w, DomainName="exa mple.com"),
        lambda w: request_certificate(w, DomainName="*.example.com"),
    ),
    Case(
        "cloudwatch-model-enum",
        "ValidationError",
        lambda w: w.alarm(ComparisonOperator="Above"),
        lambda w: w.alarm(ComparisonOperator="GreaterThanOrEqualToThreshold"),
    ),
    Case(
        "cloudwatch-model-length",
        "ValidationError",
        lambda w: w.alarm(AlarmDescription="x" * 1025),
        lambda w: w.alarm(AlarmDescription="x" * 1024),
    ),
    Case(
        "cloudwatch-model-pattern",
        "ValidationError",
        lambda w: w.alarm(Namespace=":AWS"),
        lambda w: w.alarm(Namespace="AWS:"),
    ),
    Case(
        "cloudwatch-model-range",
        "ValidationError",
        lambda w: w.alarm(EvaluationPeriods=0),
        lambda w: w.alarm(EvaluationPeriods=1),
    ),
    Case(
        "ecr-model-enum",
        "InvalidParameterException",
        lambda w: w.repository(encryptionConfiguration={"encryptionType": "ROT13"}),
        lambda w: w.repository(encryptionConfiguration={"encryptionType": "AES256"}),
    ),
    Case(
        "ecr-model-length",
        "InvalidParameterException",
        lambda w: w.repository("a"),
        lambda w: w.repository("ab"),
    ),
    Case(
        "ecr-model-required",
        "InvalidParameterException",
        lambda w: tag_repository(w, Value="v"),
        lambda w: tag_repository(w, Key="k", Value="v"),
        moto="InternalFailure",
    ),
    Case(
        "elbv2-model-enum",
        "ValidationError",
        lambda w: w.target_group(TargetType="container"),
        lambda w: w.target_group(TargetType="ip"),
    ),
    Case(
        "elbv2-model-length",
        "ValidationError",
        lambda w: w.target_group(HealthCheckPath="/".ljust(1025, "x")),
        lambda w: w.target_group(HealthCheckPath="/".ljust(1024, "x")),
    ),
    Case(
        "elbv2-model-range",
        "ValidationError",
        lambda w: w.target_group(HealthyThresholdCount=1),
        lambda w: w.target_group(HealthyThresholdCount=2),
    ),
    Case(
        "events-model-enum",
        "ValidationException",
        lambda w: w.rule(State="ON"),
        lambda w: w.rule(State="ENABLED"),
    ),
    Case(
        "events-model-length",
        "ValidationException",
        lambda w: w.rule(w.name().ljust(65, "x")),
        lambda w: w.rule(w.name().ljust(64, "x")),
    ),
    Case(
        "events-model-pattern",
        "ValidationException",
        lambda w: w.rule(f"{w.name()} a"),
        lambda w: w.rule(f"{w.name()}.a"),
    ),
    Case(
        "events-model-required",
        "ValidationException",
        lambda w: w.targets({"RetryPolicy": {}, "DeadLetterConfig": {}, "SqsParameters": {}, "Id": None}),
        lambda w: w.targets({"Id": "one"}),
    ),
    Case(
        "iam-model-length",
        "ValidationError",
        lambda w: w.role(w.name().ljust(65, "x")),
        lambda w: w.role(w.name().ljust(64, "x")),
    ),
    Case(
        "iam-model-pattern",
        "ValidationError",
        lambda w: w.role(Description="역할"),
        lambda w: w.role(Description="role"),
    ),
    Case(
        "iam-model-range",
        "ValidationError",
        lambda w: w.role(MaxSessionDuration=3599),
        lambda w: w.role(MaxSessionDuration=3600),
    ),
    Case(
        "iam-model-required",
        "ValidationError",
        lambda w: w.iam.create_instance_profile(),
        lambda w: w.iam.create_instance_profile(InstanceProfileName=w.name()),
    ),
    Case(
        "lambda-model-enum",
        "ValidationException",
        lambda w: w.function(Runtime="cobol"),
        lambda w: w.function(Runtime="python3.12"),
    ),
    Case(
        "lambda-model-length",
        "ValidationException",
        lambda w: w.function(Description="x" * 257),
        lambda w: w.function(Description="x" * 256),
    ),
    Case(
        "lambda-model-pattern",
        "ValidationException",
        lambda w: w.function(Handler="module handler"),
        lambda w: w.function(Handler="module.handler"),
    ),
    Case(
        "lambda-model-range",
        "ValidationException",
        lambda w: w.function(Timeout=0),
        lambda w: w.function(Timeout=1),
    ),
    Case(
        "lambda-model-range",
        "ValidationException",
        lambda w: w.function(MemorySize=127),
        lambda w: w.function(MemorySize=128),
    ),
    Case(
        "lambda-model-required",
        "ValidationException",
        lambda w: w.function(Code=None),
        lambda w: w.function(),
        moto="InternalFailure",
    ),
    Case(
        "logs-model-enum",
        "InvalidParameterException",
        lambda w: w.log_group(logGroupClass="COLD"),
        lambda w: w.log_group(logGroupClass="STANDARD"),
    ),
    Case(
        "logs-model-length",
        "InvalidParameterException",
        put_events,
        lambda w: put_events(w, "x"),
    ),
    Case(
        "logs-model-pattern",
        "InvalidParameterException",
        lambda w: stream(w, "a:b"),
        lambda w: stream(w, "a/b"),
    ),
    Case(
        "logs-model-required",
        "InvalidParameterException",
        retain,
        lambda w: retain(w, retentionInDays=7),
    ),
]
