# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody must be told of: jobs that failed for good or that nobody takes, a worker that does not stop, and a
starter that does not start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..findings import Finding, Words
from ..names import DEAD_LETTER_SUFFIX, alarm_arn, alarm_topic_name, starter_name, topic_arn
from ..policies import as_text
from ..services import ROWS, stopping_hosts
from ..tags import own_tags, role_tags
from . import Change, Plan, Role, Rule, Values, compare
from .instance import STATES

WHY = "guide §11.5"
SECONDS_PER_HOUR = 3600
# The starter is invoked every minute. It tries again in the next, so a single failure is nothing to tell.
STARTER_PERIOD_SECONDS = 300
STARTER_PERIODS = 3
# CloudWatch looks back at most seven days when periods are an hour or longer.
LONGEST_HOURS = 7 * 24
# EC2 tells the status of a running host once a minute, with basic and detailed monitoring alike (its load, with basic
# monitoring, only every five), so a whole hour has sixty samples. The first come minutes after the start, and one may
# be lost: who stopped and was started again within an hour has fewer than these, and who ran through it has them.
SAMPLES_OF_AN_HOUR = 55.0
LONGEST_NAME = 255
UNKNOWN_INSTANCE = "not-created-yet"

Alarm = dict[str, Any]


# --- the inputs -----------------------------------------------------------------------------------------------------


def dead_letter_alarm_name(queue: str) -> str:
    return f"{queue}{DEAD_LETTER_SUFFIX}-not-empty"


def waiting_alarm_name(queue: str) -> str:
    return f"{queue}-waiting-too-long"


def running_alarm_name(host: str) -> str:
    return f"{host}-running-too-long"


def failing_alarm_name(deployment_name: str) -> str:
    return f"{starter_name(deployment_name)}-failing"


def silent_alarm_name(deployment_name: str) -> str:
    return f"{starter_name(deployment_name)}-not-invoked"


def name_findings(jobs: Values, services: Values, groups: Mapping[str, Sequence[str]]) -> list[Finding]:
    queues = [str(job.get("name")) for job in jobs.values() if isinstance(job, Mapping)]
    names = [
        *map(dead_letter_alarm_name, queues),
        *map(waiting_alarm_name, queues),
        *map(running_alarm_name, stopping_hosts(services, groups)),
    ]
    return [
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


def email_findings(emails: Sequence[str]) -> list[Finding]:
    return [
        Finding(
            "alarms_emails",
            "alarms_emails",
            f"'{email}'",
            Words("must be e-mail addresses", "이메일 주소여야 합니다"),
            Words("Correct it.", "고치십시오."),
        )
        for email in emails
        if "@" not in email
    ]


def hours_findings(hours: int) -> list[Finding]:
    if 1 <= hours <= LONGEST_HOURS:
        return []
    return [
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
    ]


# --- the alarms -----------------------------------------------------------------------------------------------------


def _alarm(name: str, description: str, topic: str, **watched: Any) -> Alarm:
    """Tells once when it begins, and once when it is over."""
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
        dead_letter_alarm_name(queue),
        f"{name} holds jobs that failed for good: read them, fix the cause, redrive them",
        topic,
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        statistic="Maximum",
        dimensions={"QueueName": name},
        period_seconds=300,
        evaluation_periods=1,
    )


def waiting_alarm(queue: str, visibility_seconds: int, min_seconds: int, topic: str) -> Alarm:
    """A job ages until it is deleted, also while it is worked on: hence twice the time that one try may take.

    A worker that cannot take jobs is started and stopped again and again, and SQS drops them after days without a word.
    """
    seconds = max(2 * visibility_seconds, min_seconds)
    return _alarm(
        waiting_alarm_name(queue),
        f"{queue} holds a job that was sent {seconds} seconds ago: see whether its worker runs, and what it logs",
        topic,
        namespace="AWS/SQS",
        metric_name="ApproximateAgeOfOldestMessage",
        statistic="Maximum",
        dimensions={"QueueName": queue},
        period_seconds=300,
        evaluation_periods=1,
        threshold=float(seconds),
    )


def running_alarm(host: str, instance_id: str, hours: int, topic: str) -> Alarm:
    """EC2 has no metric of how long a host runs, but one that is reported while it runs and only then.

    One sample an hour would only say that it was started in each.
    """
    return _alarm(
        running_alarm_name(host),
        f"{host} has been running for {hours} hours and did not stop itself: judge it with playbooks/drill.yml",
        topic,
        namespace="AWS/EC2",
        metric_name="StatusCheckFailed",
        statistic="SampleCount",
        dimensions={"InstanceId": instance_id},
        period_seconds=SECONDS_PER_HOUR,
        evaluation_periods=hours,
        threshold=SAMPLES_OF_AN_HOUR,
    )


def starter_alarms(deployment_name: str, topic: str, *, is_invoked: bool) -> list[Alarm]:
    """Whether the starter cannot do what it should, and, as long as its schedule is enabled, whether it runs at all."""
    watched: dict[str, Any] = {
        "namespace": "AWS/Lambda",
        "statistic": "Sum",
        "dimensions": {"FunctionName": starter_name(deployment_name)},
        "period_seconds": STARTER_PERIOD_SECONDS,
        "evaluation_periods": STARTER_PERIODS,
    }
    minutes = STARTER_PERIOD_SECONDS * STARTER_PERIODS // 60
    log = f"see its log group, /{deployment_name}/starter"
    failing = _alarm(
        failing_alarm_name(deployment_name),
        f"the starter has failed for {minutes} minutes, so that workers may not be started: {log}",
        topic,
        metric_name="Errors",
        **watched,
    )
    silent = _alarm(
        silent_alarm_name(deployment_name),
        f"the starter was not invoked for {minutes} minutes, so that no worker is started: run site.yml --tags starter",
        topic,
        metric_name="Invocations",
        **watched,
        comparison="LessThanThreshold",
        # What is not invoked has no data.
        treat_missing_data="breaching",
    )
    return [failing, silent] if is_invoked else [failing]


def wanted_alarms(inputs: Values, ids: Mapping[str, str]) -> list[Alarm]:
    """Two for each queue of jobs, one of them its dead letters', one for each host that should stop itself, and the
    starter's."""
    topic, jobs = _topic_arn(inputs), inputs["queues_jobs"].values()
    min_seconds, hours = inputs["alarms_job_waiting_min_seconds"], inputs["alarms_worker_running_hours"]
    deployment, is_invoked = inputs["deployment_name"], inputs["alarms_starter_invoked"]
    return [
        *(dead_letter_alarm(job["name"], topic) for job in jobs),
        *(waiting_alarm(job["name"], int(job["visibility_timeout_seconds"]), min_seconds, topic) for job in jobs),
        *(running_alarm(host, ids.get(host, UNKNOWN_INSTANCE), hours, topic) for host in _hosts(inputs)),
        *starter_alarms(deployment, topic, is_invoked=is_invoked),
    ]


def pointless_changes(inputs: Values, alarms: Mapping[str, Values]) -> list[Change]:
    """An alarm that a starter is not invoked which shall not be."""
    name = silent_alarm_name(inputs["deployment_name"])
    if inputs["alarms_starter_invoked"] or name not in alarms:
        return []
    return [Change(name, "remove", (), WHY, {"removed": {}})]


# What CloudWatch calls the settings of an alarm.
SETTINGS = {
    "description": "AlarmDescription",
    "namespace": "Namespace",
    "metric_name": "MetricName",
    "statistic": "Statistic",
    "period_seconds": "Period",
    "evaluation_periods": "EvaluationPeriods",
    "threshold": "Threshold",
    "comparison": "ComparisonOperator",
    "treat_missing_data": "TreatMissingData",
    "alarm_actions": "AlarmActions",
    "ok_actions": "OKActions",
}
# What an alarm of ours does not say.
FOREIGN = {
    "insufficient_data_actions": "InsufficientDataActions",
    "datapoints_to_alarm": "DatapointsToAlarm",
    "unit": "Unit",
    "extended_statistic": "ExtendedStatistic",
    "threshold_metric_id": "ThresholdMetricId",
    "metrics": "Metrics",
}
# The module that writes alarms looks at neither of these, and so would write nothing.
REPLACED_FOR = {"actions_enabled", "metrics"}


def _found_alarm(now: Values) -> dict[str, Any]:
    return {
        **{setting: now.get(name) for setting, name in SETTINGS.items()},
        **{setting: now.get(name) or None for setting, name in FOREIGN.items()},
        "dimensions": {dimension["Name"]: dimension["Value"] for dimension in now.get("Dimensions", [])},
        "actions_enabled": now.get("ActionsEnabled", True),
        "tags": own_tags(now["tags"]),
    }


def alarm_changes(inputs: Values, alarm: Alarm, now: Values | None) -> list[Change]:
    name, tags = alarm["name"], role_tags(inputs["deployment_tags"], "alarms")
    settings = {key: value for key, value in alarm.items() if key != "name"}
    wanted = {**settings, **dict.fromkeys(FOREIGN), "actions_enabled": True, "tags": tags}
    tagged = {"arn": alarm_arn(name, inputs["aws_region"], inputs["aws_account_id"]), "tags": tags}

    def apply(differing: frozenset[str]) -> dict[str, Values]:
        replaced = now is not None and bool(differing & REPLACED_FOR)
        items: dict[str, Values] = {"removed": {}} if replaced else {}
        if differing - {"tags"}:
            items["alarms"] = settings
        # A new alarm has no tags.
        return {**items, "tags": tagged} if replaced or "tags" in differing else items

    return compare(name, wanted, _found_alarm(now) if now is not None else None, WHY, apply)


# --- the topic ------------------------------------------------------------------------------------------------------


def _topic_arn(inputs: Values) -> str:
    return topic_arn(alarm_topic_name(inputs["deployment_name"]), inputs["aws_region"], inputs["aws_account_id"])


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


def topic_changes(inputs: Values, now: Values | None) -> list[Change]:
    """Whoever has not answered the mail yet cannot be taken off the list."""
    name = alarm_topic_name(inputs["deployment_name"])
    emails, tags = inputs["alarms_emails"], role_tags(inputs["deployment_tags"], "alarms")
    policy = topic_policy(_topic_arn(inputs), inputs["aws_account_id"])
    subscriptions = sorted({f"email {email}" for email in emails})
    topic = {
        "name": name,
        "policy": policy,
        "subscriptions": [{"protocol": "email", "endpoint": email} for email in emails],
        "tags": tags,
    }
    if now is not None:
        labelled = [(f"{found['protocol']} {found['endpoint']}", found["confirmed"]) for found in now["subscriptions"]]
        now = {
            "policy": as_text(now["policy"]),
            # One that was made anew stands for some days beside the one that was ended.
            "subscriptions": sorted({label for label, confirmed in labelled if confirmed or label in subscriptions}),
            "tags": own_tags(now["tags"]),
        }
    wanted = {"policy": as_text(policy), "subscriptions": subscriptions, "tags": tags}
    return compare(f"topic {name}", wanted, now, WHY, lambda _: {"topics": topic})


def deaf_findings(emails: Sequence[str], topic: Values | None, arn: str) -> list[Finding]:
    """Addresses that no alarm reaches, because their mail was not answered, or was answered with the wrong link."""
    mails = [one for one in topic["subscriptions"] if one["protocol"] == "email"] if topic else []
    # Of several of an address the one that hears most.
    found = {one["endpoint"]: one for one in sorted(mails, key=lambda one: (one["confirmed"], not one["deleted"]))}
    again = f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint"
    return [
        Finding(
            "alarms_unheard",
            "alarms_emails",
            email,
            Words(
                "hears of no alarm, because somebody has unsubscribed it"
                if found[email]["deleted"]
                else "hears of no alarm yet, because nobody has answered AWS's mail",
                "구독이 해지되어 알람을 받지 못합니다"
                if found[email]["deleted"]
                else "AWS의 확인 메일에 답하지 않아 아직 알람을 받지 못합니다",
            ),
            Words(
                f"Follow the link of the mail 'AWS Notification - Subscription Confirmation'; for another one: {again} "
                f"{email}.",
                f"'AWS Notification - Subscription Confirmation' 메일의 링크를 여십시오. 메일을 다시 받으려면: {again} "
                f"{email}.",
            ),
            "warning",
        )
        for email in dict.fromkeys(emails)
        if email in found and not found[email]["confirmed"]
    ]


# --- the decision ---------------------------------------------------------------------------------------------------


def _hosts(inputs: Values) -> list[str]:
    """Those that should stop themselves."""
    return stopping_hosts(inputs["services"], inputs["groups"])


def reads(inputs: Values) -> Values:
    deployment = inputs["deployment_name"]
    return {
        "alarm_prefix": f"{deployment}-",
        "topic_arns": [_topic_arn(inputs)],
        "instance_filters": {"tag:Name": _hosts(inputs), "instance-state-name": [*STATES]},
    }


def host_findings(hosts: Sequence[str], ids: Mapping[str, str]) -> list[Finding]:
    """Hosts whose alarm would watch nothing."""
    missing = sorted(set(hosts) - ids.keys())
    if not missing:
        return []
    command = "playbooks/provision.yml --tags instance"
    return [
        Finding(
            "alarms_hosts",
            ", ".join(missing),
            "no instance",
            Words("must exist to be watched", "감시하려면 존재해야 합니다"),
            Words(f"Create them: {command}.", f"만드십시오: {command}."),
        )
    ]


def decide(inputs: Values, found: Values) -> Plan:
    ids = {
        instance["tags"]["Name"]: instance["instance_id"]
        for instance in found["instances"]
        if instance["tags"].get("Project") == inputs["deployment_name"]
    }
    changes = topic_changes(inputs, found["topics"].get(_topic_arn(inputs)))
    for alarm in wanted_alarms(inputs, ids):
        changes += alarm_changes(inputs, alarm, found["alarms"].get(alarm["name"]))
    changes += pointless_changes(inputs, found["alarms"])
    notices = deaf_findings(inputs["alarms_emails"], found["topics"].get(_topic_arn(inputs)), _topic_arn(inputs))
    return Plan(changes=changes, missing=host_findings(_hosts(inputs), ids), notices=notices)


ROLE = Role(
    reads,
    decide,
    applies=("topics", "removed", "alarms", "tags"),
    rules=(
        ROWS,
        Rule(name_findings, ("queues_jobs", "services", "groups")),
        Rule(email_findings, ("alarms_emails",)),
        Rule(hours_findings, ("alarms_worker_running_hours",)),
    ),
    has_hosts=True,
)
