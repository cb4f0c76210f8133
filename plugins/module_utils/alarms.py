# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody must be told of: jobs that failed for good or that nobody takes, and a worker that does not stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.academy.deploy.plugins.module_utils.names import DEAD_LETTER_SUFFIX

from .changes import MISSING, reason, with_reasons
from .findings import Finding, Words, texts
from .policies import as_text
from .tags import own_tags

SECONDS_PER_HOUR = 3600
# CloudWatch looks back at most seven days when periods are an hour or longer.
LONGEST_HOURS = 7 * 24
# EC2 tells the status of a running host once a minute, with basic and detailed monitoring alike (its load, with basic
# monitoring, only every five), so a whole hour has sixty samples. The first come minutes after the start, and one may
# be lost: who stopped and was started again within an hour has fewer than these, and who ran through it has them.
SAMPLES_OF_AN_HOUR = 55.0
LONGEST_NAME = 255
UNKNOWN_INSTANCE = "not-created-yet"

Alarm = dict[str, Any]


def _alarm(name: str, description: str, topic: str, **watched: Any) -> Alarm:
    """As amazon.aws.cloudwatch_metric_alarm takes it; told once when it begins, and once when it is over."""
    return {
        "name": name,
        "description": description,
        "comparison": "GreaterThanOrEqualToThreshold",
        "threshold": 1.0,
        # No data is what a stopped host and an idle queue give.
        "treat_missing_data": "notBreaching",
        "alarm_actions": [topic],
        "ok_actions": [topic],
        **watched,
    }


def dead_letter_alarm(queue: str, topic: str) -> Alarm:
    name = queue + DEAD_LETTER_SUFFIX
    return _alarm(
        f"{name}-not-empty",
        f"{name} holds jobs that failed for good: read them, mend the cause, redrive them",
        topic,
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        statistic="Maximum",
        dimensions={"QueueName": name},
        period=300,
        evaluation_periods=1,
    )


def waiting_alarm(queue: str, visibility_seconds: int, min_seconds: int, topic: str) -> Alarm:
    """A job ages until it is deleted, also while it is worked on: hence twice the time that one try may take.

    A worker that cannot take jobs is started and stopped again and again, and SQS drops them after days without a word.
    """
    seconds = max(2 * visibility_seconds, min_seconds)
    return _alarm(
        f"{queue}-waiting-too-long",
        f"{queue} holds a job that was sent {seconds} seconds ago: see whether its worker runs, and what it logs",
        topic,
        namespace="AWS/SQS",
        metric_name="ApproximateAgeOfOldestMessage",
        statistic="Maximum",
        dimensions={"QueueName": queue},
        period=300,
        evaluation_periods=1,
        threshold=float(seconds),
    )


def running_alarm(host: str, instance_id: str, hours: int, topic: str) -> Alarm:
    """EC2 has no metric of how long a host runs, but one that is reported while it runs and only then.

    One sample an hour would only say that it was started in each.
    """
    return _alarm(
        f"{host}-running-too-long",
        f"{host} has been running for {hours} hours and did not stop itself: judge it with playbooks/drill.yml",
        topic,
        namespace="AWS/EC2",
        metric_name="StatusCheckFailed",
        statistic="SampleCount",
        dimensions={"InstanceId": instance_id},
        period=SECONDS_PER_HOUR,
        evaluation_periods=hours,
        threshold=SAMPLES_OF_AN_HOUR,
    )


def desired_alarms(
    jobs: Sequence[Mapping[str, Any]],
    hosts: Sequence[str],
    instances: Sequence[Mapping[str, Any]],
    *,
    hours: int,
    waiting_min_seconds: int,
    topic: str,
) -> list[Alarm]:
    """Two for each queue of jobs, one of them its dead letters', and one for each host that should stop itself."""
    ids = {instance["tags"]["Name"]: instance["instance_id"] for instance in instances}
    return [
        *(dead_letter_alarm(job["name"], topic) for job in jobs),
        *(
            waiting_alarm(job["name"], int(job["visibility_timeout_seconds"]), waiting_min_seconds, topic)
            for job in jobs
        ),
        *(running_alarm(host, ids.get(host, UNKNOWN_INSTANCE), hours, topic) for host in hosts),
    ]


def alarm_findings(names: Sequence[str], emails: Sequence[str], hours: int) -> list[Finding]:
    """What CloudWatch or SNS would refuse."""
    findings = [
        Finding(
            "alarm_name",
            name,
            str(len(name)),
            Words(
                f"CloudWatch allows names of {LONGEST_NAME} characters", f"CloudWatch 이름은 {LONGEST_NAME}자까지입니다"
            ),
            Words("Shorten deployment_name.", "deployment_name을 줄이십시오."),
        )
        for name in names
        if len(name) > LONGEST_NAME
    ]
    findings += [
        Finding(
            "alarms_emails",
            "alarms_emails",
            f"'{email}'",
            Words("must be e-mail addresses", "이메일 주소여야 합니다"),
            Words("Mend it.", "고치십시오."),
        )
        for email in emails
        if "@" not in email
    ]
    if not 1 <= hours <= LONGEST_HOURS:
        findings.append(
            Finding(
                "alarms_worker_running_hours",
                "alarms_worker_running_hours",
                str(hours),
                Words(
                    f"CloudWatch looks back at 1 to {LONGEST_HOURS} hours",
                    f"CloudWatch는 1~{LONGEST_HOURS}시간만 봅니다",
                ),
                Words(
                    "Choose the longest time that a worker may need for its jobs.",
                    "워커가 작업에 필요한 최대 시간을 고르십시오.",
                ),
            )
        )
    return findings


def alarm_problems(wanted: Sequence[Alarm], emails: Sequence[str], hours: int) -> list[str]:
    """The same as sentences."""
    return texts(alarm_findings([alarm["name"] for alarm in wanted], emails, hours))


def missing_instances(hosts: Sequence[str], instances: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hosts whose alarm would watch nothing."""
    found = {instance["tags"]["Name"] for instance in instances}
    return sorted(set(hosts) - found)


# --- what has to be made or mended ----------------------------------------------------------------------------------

# What CloudWatch calls the settings of an alarm.
SETTINGS = {
    "description": "AlarmDescription",
    "namespace": "Namespace",
    "metric_name": "MetricName",
    "statistic": "Statistic",
    "period": "Period",
    "evaluation_periods": "EvaluationPeriods",
    "threshold": "Threshold",
    "comparison": "ComparisonOperator",
    "treat_missing_data": "TreatMissingData",
    "alarm_actions": "AlarmActions",
    "ok_actions": "OKActions",
}
# What an alarm of ours does not say.
FOREIGN = ("InsufficientDataActions", "DatapointsToAlarm", "Unit", "ExtendedStatistic", "ThresholdMetricId", "Metrics")


def alarm_changes(wanted: Sequence[Alarm], found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each alarm that is not as it should be, with the reason, and whether it has to be made anew for that."""
    return [
        {**alarm, "replace": alarm["name"] in found and _must_be_replaced(found[alarm["name"]])}
        for alarm in with_reasons((alarm, _alarm_reason(alarm, found.get(alarm["name"]))) for alarm in wanted)
    ]


def untagged_alarms(
    wanted: Sequence[Alarm], tags: Mapping[str, str], found: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """The alarms, also those yet to be made or made anew, that do not carry these tags and no others."""
    return [
        alarm["name"]
        for alarm in wanted
        for now in [found.get(alarm["name"])]
        if now is None or _must_be_replaced(now) or own_tags(now["tags"]) != dict(tags)
    ]


def _must_be_replaced(now: Mapping[str, Any]) -> bool:
    """The module that writes alarms looks at neither of these, and so would write nothing."""
    return not now.get("ActionsEnabled", True) or bool(now.get("Metrics"))


def _alarm_reason(alarm: Alarm, now: Mapping[str, Any] | None) -> str:
    if now is None:
        return MISSING
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in now.get("Dimensions", [])}
    return reason(
        [
            *((name, now.get(name), alarm[setting]) for setting, name in SETTINGS.items()),
            ("Dimensions", dimensions, alarm["dimensions"]),
            ("ActionsEnabled", now.get("ActionsEnabled", True), True),
            *((name, now.get(name) or None, None) for name in FOREIGN),
        ]
    )


# --- the topic ------------------------------------------------------------------------------------------------------


def topic_policy(arn: str, account_id: str) -> dict[str, Any]:
    """CloudWatch alone may publish, and only for alarms of this account."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TellAlarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": arn,
                "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
            }
        ],
    }


def email_subscriptions(emails: Sequence[str]) -> list[dict[str, str]]:
    return [{"protocol": "email", "endpoint": email} for email in emails]


def topic_changes(
    name: str,
    policy: Mapping[str, Any],
    emails: Sequence[str],
    tags: Mapping[str, str],
    now: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    """The topic if it is not as it should be; whoever has not answered the mail yet cannot be taken off the list."""
    return with_reasons([({"name": name}, _topic_reason(policy, emails, tags, now))])


def _topic_reason(
    policy: Mapping[str, Any], emails: Sequence[str], tags: Mapping[str, str], now: Mapping[str, Any] | None
) -> str:
    if now is None:
        return MISSING
    wanted = sorted({f"email {email}" for email in emails})
    found = sorted(
        label
        for subscription in now["subscriptions"]
        for label in [f"{subscription['protocol']} {subscription['endpoint']}"]
        if subscription["confirmed"] or label in wanted
    )
    return reason(
        [
            ("policy", as_text(now["policy"]), as_text(policy)),
            ("subscriptions", found, wanted),
            ("tags", own_tags(now["tags"]), dict(tags)),
        ]
    )
