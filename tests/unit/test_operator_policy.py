# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's policies as published: what AWS takes, as narrow as IAM can say, and what each statement refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from parliament import analyze_policy_string

from localcloud.actions import Action, ResourceType, find_action
from localcloud.operator_user import DOCUMENTS, documents
from localcloud.permissions import Knows, needs
from localcloud.policy import LIST_KEYS, Condition, Need, Statement, decide, read_policy

REGION = "ap-northeast-2"
LONGEST_POLICY = 6144  # characters of a managed policy, blanks not counted
MOST_POLICIES = 10  # attached to one user or role
STATEMENTS = [(name, content) for name, document in documents().items() for content in document["Statement"]]
ALL = [statement for name, document in documents().items() for statement in read_policy(document, name)]
SIDS = [statement.sid for statement in ALL]
# What parliament says of statements that are right.
NOT_SO = {
    # Its tables ask for a network load balancer's listeners wherever an application's are named.
    (f"elasticloadbalancing:{action}", f"arn:*:elasticloadbalancing:*:*:{resource}")
    for action, resource in (
        ("DeleteListener", "listener/net/*/*/*"),
        ("AddTags", "listener/net/*/*/*"),
        ("ModifyListener", "listener/net/*/*/*"),
        ("ModifyListenerAttributes", "listener/net/*/*/*"),
        ("RemoveListenerCertificates", "listener/net/*/*/*"),
        ("RemoveTags", "listener/net/*/*/*"),
        ("DeleteRule", "listener-rule/net/*/*/*/*"),
        ("CreateListener", "loadbalancer/net/*/*"),
        ("CreateLoadBalancer", "loadbalancer/net/*/*"),
        ("ModifyLoadBalancerAttributes", "loadbalancer/net/*/*"),
        ("SetIpAddressType", "loadbalancer/net/*/*"),
        ("SetSecurityGroups", "loadbalancer/net/*/*"),
        ("SetSubnets", "loadbalancer/net/*/*"),
    )
}
# A quota may be named, and its tables know no quota.
NOT_SO |= {("servicequotas:GetServiceQuota", "*")}
# Services whose resources name no region, or that are in one for all.
GLOBAL = ("freetier", "iam", "route53", "s3")
# What is named freely is found by its tag, and so every tag of that kind is read.
SEES_ALL = {"SeeWhoseItIs"}
# Where what is used is not ours, or IAM sees a list as all that there is, or reads what says whose something is.
ANYBODY_S = {
    "LaunchWithImageAndPlace",
    "MakeGroupsInNetworks",
    "UseOptionGroup",
    "ListAlarms",
    "ListDatabases",
    "ListRepositories",
    # Whoever has a certificate already names it; certificates are no secret.
    "SeeCertificates",
    # A zone has neither our name nor, for IAM, a tag. What is written into it is narrowed by the type of its record.
    "SeeRecords",
    "KeepRecords",
    "SeePermissions",
    "SeeQuotas",
    *SEES_ALL,
}
# IAM lists all roles or none, and has no region.
WITHOUT_TWIN = {"FindRolesAndProfiles", "ListZones", "SeePlan", "SeeRecords"}
# Others' resources, by which a statement's own refusals are made.
OTHERS = {"academy": "other", REGION: "us-east-1", "123456789012": "210987654321", "amazonaws.com": "example.com"}
# The same where a condition is asked about a list.
OTHERS_LISTED = {"route53:changeresourcerecordsetsrecordtypes": "MX"}


def actions_of(content: Mapping[str, Any]) -> list[Action]:
    return [find_action(name) for name in content["Action"]]


def resources_of(content: Mapping[str, Any]) -> list[str]:
    named = content["Resource"]
    return [named] if isinstance(named, str) else named


# --- as AWS takes them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", documents())
def test_a_document_is_no_longer_than_iam_takes(name: str) -> None:
    text = (DOCUMENTS / f"{name}.json").read_text(encoding="utf-8")
    assert len(re.sub(r"\s", "", text)) <= LONGEST_POLICY


def test_all_of_them_can_be_attached_to_one_operator() -> None:
    assert 0 < len(documents()) <= MOST_POLICIES


def test_no_two_statements_have_one_name() -> None:
    assert len(set(SIDS)) == len(SIDS)


def test_parliament_finds_nothing() -> None:
    """It judges each statement alone; a launch has conditions of its own for each of the kinds that it needs."""
    covered = {
        (action.lower(), re.sub(r"[^:/]*\*", "*", resource.replace("arn:aws:", "arn:*:").replace(REGION, "*")))
        for _, content in STATEMENTS
        for action in content["Action"]
        for resource in resources_of(content)
    }
    found = []
    for name in documents():
        for finding in analyze_policy_string((DOCUMENTS / f"{name}.json").read_text(encoding="utf-8")).findings:
            # Whoever writes the policy of the bucket of access logs might read them, as an operator may. What is newer
            # than its tables, AWS's own reference knows (actions_of).
            if finding.issue in ("RESOURCE_POLICY_PRIVILEGE_ESCALATION", "UNKNOWN_ACTION"):
                continue
            lacking = finding.detail if finding.issue == "RESOURCE_MISMATCH" else [{}]
            for each in lacking:
                wanted = (each.get("action", "").lower(), each.get("required_format", "").replace("123456789012", "*"))
                if (
                    wanted not in {(a, r.replace("123456789012", "*")) for a, r in covered}
                    and (
                        each.get("action"),
                        each.get("required_format"),
                    )
                    not in NOT_SO
                ):
                    found.append((name, finding.issue, each))
    assert found == []


# RunInstances makes them too where it launches Spot instances, which the reference of actions does not say (EC2 user
# guide, "Tag Spot Instance requests"; terraform-aws-modules/terraform-aws-iam#276).
SPOT_REQUESTS = f"arn:aws:ec2:{REGION}:123456789012:spot-instances-request/*"

# --- as narrow as IAM can say -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content"), STATEMENTS, ids=SIDS)
def test_everything_is_allowed_only_where_no_resource_can_be_named(name: str, content: dict[str, Any]) -> None:
    for action in actions_of(content):
        assert (resources_of(content) == ["*"]) == (action.resource_types == ()), action.name


@pytest.mark.parametrize(("name", "content"), STATEMENTS, ids=SIDS)
def test_what_names_no_resource_names_the_region(name: str, content: dict[str, Any]) -> None:
    if resources_of(content) == ["*"] and not all(action.startswith(GLOBAL) for action in content["Action"]):
        assert content["Condition"]["StringEquals"]["aws:RequestedRegion"] == REGION
    for resource in resources_of(content):
        service, region = [*resource.split(":"), "", "", ""][2:4]
        assert resource == "*" or region == ("" if service in GLOBAL else REGION), resource


@pytest.mark.parametrize(("name", "content"), STATEMENTS, ids=SIDS)
def test_a_resource_is_one_that_its_actions_know(name: str, content: dict[str, Any]) -> None:
    for resource in resources_of(content):
        kinds = [kind for action in actions_of(content) for kind in action.resource_types]
        assert resource in {"*", SPOT_REQUESTS} or example(resource, kinds), resource


@pytest.mark.parametrize(("name", "content"), STATEMENTS, ids=SIDS)
def test_a_condition_is_one_that_its_actions_know(name: str, content: dict[str, Any]) -> None:
    """A key that an action does not have is missing, and the condition never holds."""
    keys = {key.lower() for tests in content.get("Condition", {}).values() for key in tests} - {"aws:requestedregion"}
    for action in actions_of(content):
        known = action.condition_keys.union(*(kind.condition_keys for kind in action.resource_types))
        for key in keys:
            assert key in known or f"{key.partition('/')[0]}/" in known, (action.name, key)


@pytest.mark.parametrize(("name", "content"), STATEMENTS, ids=SIDS)
def test_what_is_not_named_is_told_by_its_tag(name: str, content: dict[str, Any]) -> None:
    conditions = json.dumps(content.get("Condition", {}))
    for resource in resources_of(content):
        told = ("academy", "/aws/service/", "aws-service-role")
        if resource != "*" and "Tag/" not in conditions and not any(part in resource for part in told):
            assert content["Sid"] in ANYBODY_S, resource


def test_roles_are_passed_by_name_and_to_one_service() -> None:
    passing = [content for _, content in STATEMENTS if "iam:PassRole" in content["Action"]]
    assert {
        content["Condition"]["StringEquals"]["iam:PassedToService"]: resources_of(content) for content in passing
    } == {
        "ec2.amazonaws.com": ["arn:aws:iam::123456789012:role/academy-*-role"],
        "lambda.amazonaws.com": ["arn:aws:iam::123456789012:role/academy-starter-role"],
    }


# --- each statement, and what it refuses --------------------------------------------------------------------------


def context_of(conditions: tuple[Condition, ...]) -> dict[str, str]:
    """A request as the conditions want it."""
    return {condition.key: condition.values[0] for condition in conditions if condition.key not in LIST_KEYS}


def lists_of(conditions: tuple[Condition, ...]) -> dict[str, tuple[str, ...]]:
    return {condition.key: condition.values for condition in conditions if condition.key in LIST_KEYS}


def example(resource: str, kinds: Iterable[ResourceType]) -> str:
    """A resource of one of these kinds that a policy names so; none where it is of another kind."""
    shapes = [resource.replace("*", shape) for shape in ("x", "x/x", "x/x/x", "x/x/x/x")]
    return next((shape for shape in shapes if any(kind.fits(shape) for kind in kinds)), "")


def allowed(statement: Statement) -> Iterator[Need]:
    """What a statement is there for."""
    for action in statement.actions:
        kinds = find_action(action).resource_types
        for resource in statement.resources:
            if named := resource if resource == "*" else example(resource, kinds):
                yield Need(action, named, context_of(statement.conditions), lists_of(statement.conditions))


def twins(need: Need) -> Iterator[Need]:
    """The same of another deployment, with another's tag, in another region, another account, for another service."""
    for ours, theirs in OTHERS.items():
        if need.resource and ours in need.resource:
            yield replace(need, resource=need.resource.replace(ours, theirs))
    for key, value in need.context.items():
        for ours, theirs in OTHERS.items():
            if ours in value:
                yield replace(need, context={**need.context, key: value.replace(ours, theirs)})
        yield replace(need, context={other: has for other, has in need.context.items() if other != key})
    for key, values in need.lists.items():
        yield replace(need, lists={**need.lists, key: (*values, OTHERS_LISTED[key])})


@pytest.mark.parametrize("statement", ALL, ids=SIDS)
def test_a_statement_allows_what_it_says_and_each_of_its_twins_is_denied(statement: Statement) -> None:
    wanted = list(allowed(statement))
    assert {need.action for need in wanted} == set(statement.actions)
    for need in wanted:
        assert decide(ALL, need).allowed, need
        refused = list(twins(need))
        assert refused or statement.sid in WITHOUT_TWIN, f"nothing is refused of {need}"
        others = [one for one in ALL if one.sid not in {*SEES_ALL, *WITHOUT_TWIN} or one == statement]
        assert [twin for twin in refused if decide(others, twin).allowed] == []


# --- real calls ---------------------------------------------------------------------------------------------------

OWN, FOREIGN = {"Project": "academy"}, {"Project": "other"}
TAGS = {"i-own": OWN, "i-other": FOREIGN, "vol-own": OWN, "vol-other": FOREIGN, "sg-own": OWN, "sg-other": FOREIGN}
KNOWS = Knows(
    lambda arn: TAGS.get(arn.rpartition("/")[2], {}),
    {"academy-api-role": "academy-api-role", "other-api-role": "other-api-role"}.get,
)


def tags(project: str) -> list[dict[str, str]]:
    return [{"Key": "Project", "Value": project}]


def launch(project: str = "academy", profile: str = "academy-api-role", group: str = "sg-own") -> dict[str, Any]:
    return {
        "ImageId": "ami-1",
        "KeyName": "academy-operator",
        "NetworkInterfaces": [{"SubnetId": "subnet-1", "Groups": [group]}],
        "IamInstanceProfile": {"Name": profile},
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags(project)} for kind in ("instance", "volume")],
    }


def url(queue: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/123456789012/{queue}"


@dataclass(frozen=True)
class Twins:
    """A call that the operator makes, and the same where it is none of the operator's business."""

    service: str
    operation: str
    ours: dict[str, Any]
    theirs: dict[str, Any]


POLICY = {"PolicyName": "p", "PolicyDocument": "{}"}
CALLS = [
    Twins("ec2", "RunInstances", launch(), launch("other")),
    Twins("ec2", "RunInstances", launch(), launch(profile="other-api-role")),
    Twins("ec2", "RunInstances", launch(), launch(group="sg-other")),
    Twins("ec2", "RunInstances", launch(), {**launch(), "TagSpecifications": []}),
    Twins("ec2", "RunInstances", launch(), {**launch(), "KeyName": "other"}),
    *(
        Twins("ec2", f"{verb}Instances", {"InstanceIds": ["i-own"]}, {"InstanceIds": ["i-own", "i-other"]})
        for verb in ("Start", "Stop", "Terminate")
    ),
    Twins(
        "ec2",
        "CreateSnapshot",
        {"VolumeId": "vol-own", "TagSpecifications": [{"ResourceType": "snapshot", "Tags": tags("academy")}]},
        {"VolumeId": "vol-other", "TagSpecifications": [{"ResourceType": "snapshot", "Tags": tags("academy")}]},
    ),
    Twins(
        "ec2",
        "CreateSnapshot",
        {"VolumeId": "vol-own", "TagSpecifications": [{"ResourceType": "snapshot", "Tags": tags("academy")}]},
        {"VolumeId": "vol-own"},
    ),
    Twins("ec2", "DeleteVolume", {"VolumeId": "vol-own"}, {"VolumeId": "vol-other"}),
    Twins("ec2", "DeleteSecurityGroup", {"GroupId": "sg-own"}, {"GroupId": "sg-other"}),
    Twins("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": "sg-own"}, {"GroupId": "sg-other"}),
    # Nobody takes what is others' by giving it our tag.
    Twins(
        "ec2",
        "CreateTags",
        {"Resources": ["i-own"], "Tags": tags("academy")},
        {"Resources": ["i-other"], "Tags": tags("academy")},
    ),
    Twins("iam", "PutRolePolicy", {"RoleName": "academy-api-role", **POLICY}, {"RoleName": "admin", **POLICY}),
    Twins("iam", "PutRolePolicy", {"RoleName": "academy-api-role", **POLICY}, {"RoleName": "academy-admin", **POLICY}),
    Twins(
        "lambda",
        "CreateFunction",
        {"FunctionName": "academy-starter", "Role": "arn:aws:iam::123456789012:role/academy-starter-role"},
        {"FunctionName": "academy-starter", "Role": "arn:aws:iam::123456789012:role/academy-api-role"},
    ),
    Twins("sqs", "DeleteQueue", {"QueueUrl": url("academy-video-jobs")}, {"QueueUrl": url("other-video-jobs")}),
    Twins(
        "rds",
        "DeleteDBInstance",
        {"DBInstanceIdentifier": "academy-db", "FinalDBSnapshotIdentifier": "academy-db-final"},
        {"DBInstanceIdentifier": "academy-db", "FinalDBSnapshotIdentifier": "other"},
    ),
    Twins(
        "elbv2",
        "CreateLoadBalancer",
        {"Name": "academy-alb", "Tags": tags("academy")},
        {"Name": "other-alb", "Tags": tags("academy")},
    ),
    Twins("elbv2", "CreateLoadBalancer", {"Name": "academy-alb"}, {"Name": "academy-alb", "Type": "network"}),
    Twins("elbv2", "CreateTargetGroup", {"Name": "academy-api"}, {"Name": "other-api"}),
    *(
        Twins(
            "elbv2",
            operation,
            {word: f"arn:aws:elasticloadbalancing:{REGION}:123456789012:{kind}/academy-{rest}"},
            {word: f"arn:aws:elasticloadbalancing:{REGION}:123456789012:{kind}/other-{rest}"},
        )
        for operation, word, kind, rest in (
            ("ModifyLoadBalancerAttributes", "LoadBalancerArn", "loadbalancer/app", "alb/1"),
            ("ModifyListener", "ListenerArn", "listener/app", "alb/1/2"),
            ("DeleteRule", "RuleArn", "listener-rule/app", "alb/1/2/3"),
            ("RegisterTargets", "TargetGroupArn", "targetgroup", "api/1"),
        )
    ),
    Twins(
        "acm",
        "RequestCertificate",
        {"DomainName": "api.example.com", "Tags": tags("academy")},
        {"DomainName": "api.example.com", "Tags": tags("other")},
    ),
    Twins(
        "iam",
        "CreateServiceLinkedRole",
        {"AWSServiceName": "rds.amazonaws.com"},
        {"AWSServiceName": "organizations.amazonaws.com"},
    ),
]


def may(service: str, operation: str, parameters: Mapping[str, Any], region: str = REGION) -> bool:
    return all(decide(ALL, need).allowed for need in needs(service, operation, parameters, region, KNOWS))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.service}-{call.operation}")
def test_a_call_is_allowed_and_its_twin_is_not(call: Twins) -> None:
    assert may(call.service, call.operation, call.ours)
    assert not may(call.service, call.operation, call.theirs)
    # An ARN says itself of which region it is.
    names_region = call.service == "iam" or any(str(value).startswith("arn:") for value in call.ours.values())
    assert names_region or not may(call.service, call.operation, call.ours, "us-east-1")


def test_iam_tells_an_operator_what_a_host_s_role_may() -> None:
    role = "arn:aws:iam::123456789012:role/academy-video-worker-role"
    assert may("iam", "SimulatePrincipalPolicy", {"PolicySourceArn": role})
    assert not may("iam", "SimulatePrincipalPolicy", {"PolicySourceArn": role.replace("123456789012", "210987654321")})


def test_lists_are_the_region_s_own() -> None:
    assert may("ec2", "DescribeInstances", {})
    assert not may("ec2", "DescribeInstances", {}, "us-east-1")


def records(*kinds: str) -> dict[str, Any]:
    changes = [{"Action": "UPSERT", "ResourceRecordSet": {"Name": "api.example.com", "Type": kind}} for kind in kinds]
    return {"HostedZoneId": "Z1", "ChangeBatch": {"Changes": changes}}


def test_of_a_zone_an_operator_changes_addresses_and_validations_alone() -> None:
    assert may("route53", "ChangeResourceRecordSets", records("A", "CNAME"), "us-east-1")
    assert not may("route53", "ChangeResourceRecordSets", records("A", "MX"), "us-east-1")


@pytest.mark.parametrize("operation", ["CreateUser", "CreateAccessKey", "AttachUserPolicy", "PutUserPolicy"])
def test_an_operator_makes_no_users_and_gives_nobody_more(operation: str) -> None:
    assert not may("iam", operation, {"UserName": "academy-operator"})


# --- what is said of them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["operator-policy.md", "operator-policy.ko.md"])
def test_every_document_and_statement_is_explained(page: str) -> None:
    text = (DOCUMENTS / page).read_text(encoding="utf-8")
    assert [name for name in documents() if f"{name}.json" not in text] == []
    assert [sid for sid in SIDS if f"`{sid}`" not in text] == []
    assert [sid for sid in re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) if sid not in SIDS] == []


@pytest.mark.parametrize("file", sorted(Path(DOCUMENTS).glob("operator-policy-*.json")), ids=lambda file: file.stem)
def test_names_are_replaced_by_the_published_command(file: Path) -> None:
    """What sed replaces is nowhere a part of another word."""
    text = file.read_text(encoding="utf-8")
    moved = text.replace("123456789012", "210987654321").replace("academy", "school").replace(REGION, "eu-west-1")
    assert set(re.findall(r".academy.", text)) <= {'"academy"', '"academy-', "/academy-", ":academy-", "/academy/"}
    assert read_policy(json.loads(moved), file.stem)
