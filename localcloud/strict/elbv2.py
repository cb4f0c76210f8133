# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Elastic Load Balancing refuses beyond its model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from moto.elbv2.ssl_policies import SSL_POLICIES

from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

CREATE = "elbv2.CreateLoadBalancer"
SET_SUBNETS = "elbv2.SetSubnets"
CREATE_GROUP = "elbv2.CreateTargetGroup"
MODIFY_GROUP = "elbv2.ModifyTargetGroup"
LISTENER = ("elbv2.CreateListener", "elbv2.ModifyListener")
REGISTER = "elbv2.RegisterTargets"

NAME_LENGTH = 32
IDLE_TIMEOUT = "idle_timeout.timeout_seconds"
IDLE_TIMEOUT_SECONDS = range(1, 4000 + 1)
HTTP_CODES = range(200, 499 + 1)
INSTANCE_ID = re.compile(r"i-[0-9a-f]+")
# A redirect keeps what it does not name.
REDIRECT_KEEPS: Mapping[str, str] = {
    "Protocol": "#{protocol}",
    "Port": "#{port}",
    "Host": "#{host}",
    "Path": "/#{path}",
}


# --- pure decisions -----------------------------------------------------------------------------------------------


def is_application(kind: str | None) -> bool:
    return kind in (None, "application")


def name_length(parameters: Parameters) -> ApiError | None:
    name = parameters.get("Name") or ""
    if len(name) <= NAME_LENGTH:
        return None
    return _invalid(f"The load balancer name '{name}' cannot be longer than '{NAME_LENGTH}' characters")


def name_characters(parameters: Parameters) -> ApiError | None:
    name = parameters.get("Name") or ""
    if re.fullmatch(r"[A-Za-z0-9-]*", name):
        return None
    return _invalid(
        f"The load balancer name '{name}' can only contain characters that are alphanumeric characters and hyphens(-)"
    )


def name_hyphens(parameters: Parameters) -> ApiError | None:
    name = parameters.get("Name") or ""
    if not name.startswith("-") and not name.endswith("-"):
        return None
    return _invalid(f"The load balancer name '{name}' cannot begin or end with a hyphen(-)")


def name_internal(parameters: Parameters) -> ApiError | None:
    name = parameters.get("Name") or ""
    if not name.startswith("internal-"):
        return None
    return _invalid(f"The load balancer name '{name}' cannot begin with 'internal-'")


def two_zones(zones: Sequence[str]) -> ApiError | None:
    if len(set(zones)) != 1:
        return None
    return _invalid("At least two subnets in two different Availability Zones must be specified")


def one_subnet_per_zone(zones: Sequence[str]) -> ApiError | None:
    if len(set(zones)) < 2 or len(set(zones)) == len(zones):
        return None
    message = "A load balancer cannot be attached to multiple subnets in the same Availability Zone"
    return ApiError("InvalidConfigurationRequest", message)


def health_check_path(parameters: Parameters) -> ApiError | None:
    path = parameters.get("HealthCheckPath")
    if not path or path.startswith("/"):
        return None
    return _invalid(f"Health check path '{path}' must begin with a '/' character")


def matcher(parameters: Parameters) -> ApiError | None:
    codes = (parameters.get("Matcher") or {}).get("HttpCode") or ""
    for code in re.findall(r"\d+", codes):
        if int(code) not in HTTP_CODES:
            return _invalid(f"Health check matcher HTTP code '{codes}' must be within '200-499' inclusive")
    return None


def idle_timeout(parameters: Parameters) -> ApiError | None:
    for attribute in parameters.get("Attributes") or []:
        value = attribute.get("Value") or ""
        if attribute.get("Key") == IDLE_TIMEOUT and not (value.isdecimal() and int(value) in IDLE_TIMEOUT_SECONDS):
            return _invalid(f"'{IDLE_TIMEOUT}' value '{value}' must be between '1-4000' inclusive")
    return None


def one_certificate(parameters: Parameters) -> ApiError | None:
    if len(parameters.get("Certificates") or []) <= 1:
        return None
    return ApiError("TooManyCertificates", "Only one certificate can be given: add others to the listener afterwards")


def listener_certificate(parameters: Parameters) -> ApiError | None:
    if parameters.get("Protocol") != "HTTPS" or parameters.get("Certificates"):
        return None
    return _invalid("A certificate must be specified for HTTPS listeners")


def security_policy(parameters: Parameters) -> ApiError | None:
    name = parameters.get("SslPolicy")
    if not name or name in SSL_POLICIES:
        return None
    return ApiError("SSLPolicyNotFound", f"SSL policy '{name}' not found")


def redirect_loop(protocol: str, port: int, actions: Sequence[Mapping[str, Any]]) -> ApiError | None:
    """A redirect must lead somewhere else by protocol, port, host or path."""
    for action in actions:
        redirect = {**REDIRECT_KEEPS, **_said(action.get("RedirectConfig"))}
        stays = (
            redirect["Protocol"] in (REDIRECT_KEEPS["Protocol"], protocol)
            and redirect["Port"] in (REDIRECT_KEEPS["Port"], str(port))
            and redirect["Host"] == REDIRECT_KEEPS["Host"]
            and redirect["Path"] == REDIRECT_KEEPS["Path"]
        )
        if action.get("Type") == "redirect" and stays:
            message = "The redirect configuration is not valid because it creates a loop."
            return ApiError("InvalidLoadBalancerAction", message)
    return None


def _said(members: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (members or {}).items() if value is not None}


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationError", message)


# --- reading the account ------------------------------------------------------------------------------------------


def _subnets(call: Call, account: Account) -> list[Any]:
    """The subnets that a call names; those that do not exist are moto's to refuse."""
    mappings = call.parameters.get("SubnetMappings") or []
    names = [*(call.parameters.get("Subnets") or []), *(mapping.get("SubnetId") for mapping in mappings)]
    known = {subnet.id: subnet for subnet in account.backends("ec2").describe_subnets()}
    return [known[name] for name in names if name in known]


def _two_zones(call: Call, account: Account) -> ApiError | None:
    zones = [subnet.availability_zone for subnet in _subnets(call, account)]
    existing = _load_balancer(call, account)
    kind = existing.type if existing else call.parameters.get("Type")
    return two_zones(zones) if is_application(kind) else None


def _one_subnet_per_zone(call: Call, account: Account) -> ApiError | None:
    return one_subnet_per_zone([subnet.availability_zone for subnet in _subnets(call, account)])


LOG_ATTRIBUTES = {"access_logs.s3.enabled", "access_logs.s3.bucket", "access_logs.s3.prefix"}
INTERNET = "internet-facing"  # what a load balancer is where nobody says otherwise


def _duplicate_name(call: Call, account: Account) -> ApiError | None:
    asked = call.parameters
    for existing in account.backends("elbv2").load_balancers.values():
        same = (
            {subnet.id for subnet in existing.subnets} == {subnet.id for subnet in _subnets(call, account)}
            and asked.get("Scheme", INTERNET) == (existing.scheme or INTERNET)
            and set(asked.get("SecurityGroups") or existing.security_groups) == set(existing.security_groups)
        )
        if (name := asked.get("Name")) == existing.name and not same:
            message = f"A load balancer with the same name '{name}' exists, but with different settings"
            return ApiError("DuplicateLoadBalancerName", message)
    return None


def _load_balancer(call: Call, account: Account) -> Any | None:
    return account.backends("elbv2").load_balancers.get(call.parameters.get("LoadBalancerArn"))


# Who writes access logs: alb-ug enable-access-logging.
LOG_WRITER = "logdelivery.elasticloadbalancing.amazonaws.com"


def _log_bucket(call: Call, account: Account) -> ApiError | None:
    asked = {one.get("Key"): one.get("Value") for one in call.parameters.get("Attributes") or []}
    existing = _load_balancer(call, account)
    kept = {**(existing.attrs if existing else {}), **asked}
    if asked.keys().isdisjoint(LOG_ATTRIBUTES) or kept.get("access_logs.s3.enabled") != "true":
        return None
    name = kept.get("access_logs.s3.bucket")
    bucket = account.backends("s3").buckets.get(name)
    # Only whether it is named at all: a policy that names it is the operator's to get right.
    if bucket is not None and LOG_WRITER in (bucket.policy or b"").decode():
        return None
    message = f"Access Denied for bucket: {name}. Please check S3bucket permission"
    return ApiError("InvalidConfigurationRequest", message)


def _group_vpc(call: Call, account: Account) -> ApiError | None:
    existing, subnets = _load_balancer(call, account), _subnets(call, account)
    vpc = existing.vpc_id if existing else subnets[0].vpc_id if subnets else None
    ec2 = account.backends("ec2")
    groups = map(ec2.get_security_group_from_id, call.parameters.get("SecurityGroups") or [])
    if vpc is None or all(group and group.vpc_id == vpc for group in groups):
        return None
    return ApiError("InvalidConfigurationRequest", "One or more security groups are invalid")


def _deletion_protection(call: Call, account: Account) -> ApiError | None:
    existing = _load_balancer(call, account)
    if existing is None or existing.attrs.get("deletion_protection.enabled") != "true":
        return None
    message = f"Load balancer '{existing.arn}' cannot be deleted because deletion protection is enabled"
    return ApiError("OperationNotPermitted", message)


def _health_check_timeout(call: Call, account: Account) -> ApiError | None:
    group = account.backends("elbv2").target_groups.get(call.parameters.get("TargetGroupArn"))
    if group is None:
        return None
    timeout = int(call.parameters.get("HealthCheckTimeoutSeconds") or group.health_check_timeout_seconds)
    interval = int(call.parameters.get("HealthCheckIntervalSeconds") or group.health_check_interval_seconds)
    if timeout < interval:
        return None
    return _invalid(f"Health check timeout '{timeout}' must be smaller than the interval '{interval}'")


def _pending_certificate(call: Call, account: Account) -> ApiError | None:
    known = account.backends("acm")._certificates
    for given in call.parameters.get("Certificates") or []:
        certificate = known.get(given.get("CertificateArn"))
        if certificate is not None:
            certificate.check()  # its state follows from the time
        if certificate is not None and certificate.status != "ISSUED":
            message = (
                f"The certificate '{certificate.arn}' must have a fully-qualified domain name, a supported signature, "
                "and a supported RSA key size."
            )
            return ApiError("UnsupportedCertificate", message)
    return None


def _redirect_loop(call: Call, account: Account) -> ApiError | None:
    listeners = [
        listener
        for load_balancer in account.backends("elbv2").load_balancers.values()
        for listener in load_balancer.listeners.values()
        if listener.arn == call.parameters.get("ListenerArn")
    ]
    existing = listeners[0] if listeners else None
    protocol = str(call.parameters.get("Protocol") or (existing.protocol if existing else ""))
    port = int(call.parameters.get("Port") or (existing.port if existing else 0))
    return redirect_loop(protocol, port, call.parameters.get("DefaultActions") or [])


def _shared_target_group(call: Call, account: Account) -> ApiError | None:
    groups = account.backends("elbv2").target_groups
    for action in call.parameters.get("DefaultActions") or []:
        group = groups.get(action.get("TargetGroupArn"))
        others = set(group.load_balancer_arns) - {call.parameters.get("LoadBalancerArn")} if group else set()
        if others:
            message = (
                "The following target groups cannot be associated with more than one load balancer: "
                f"{action['TargetGroupArn']}"
            )
            return ApiError("TargetGroupAssociationLimit", message)
    return None


def _instance_targets(call: Call, account: Account) -> tuple[Any, list[str]]:
    """The target group of a registration by instance id, and those ids."""
    group = account.backends("elbv2").target_groups.get(call.parameters.get("TargetGroupArn"))
    if group is None or group.target_type not in (None, "instance"):
        return None, []
    return group, [target.get("Id", "") for target in call.parameters.get("Targets") or []]


def _target_id(call: Call, account: Account) -> ApiError | None:
    malformed = [target for target in _instance_targets(call, account)[1] if not INSTANCE_ID.fullmatch(target)]
    return _invalid(f"Instance ID '{malformed[0]}' is not valid") if malformed else None


def _target_exists(call: Call, account: Account) -> ApiError | None:
    ec2 = account.backends("ec2")
    missing = [
        target
        for target in _instance_targets(call, account)[1]
        if INSTANCE_ID.fullmatch(target) and ec2.get_instance_by_id(target) is None
    ]
    return _invalid_target("The following targets do not exist", missing)


def _target_vpc(call: Call, account: Account) -> ApiError | None:
    group, targets = _instance_targets(call, account)
    instances = [account.backends("ec2").get_instance_by_id(target) for target in targets]
    strangers = [instance.id for instance in instances if instance and instance.vpc_id != group.vpc_id]
    return _invalid_target(
        f"The following targets are not in the target group VPC '{group and group.vpc_id}'", strangers
    )


def _invalid_target(message: str, targets: Sequence[str]) -> ApiError | None:
    return ApiError("InvalidTarget", f"{message}: {', '.join(map(repr, targets))}") if targets else None


RULES = (
    Rule(
        "elbv2-name-length",
        (CREATE,),
        "a load balancer name of more than 32 characters",
        "botocore elbv2 CreateLoadBalancerInput.Name",
        by_parameters(name_length),
    ),
    Rule(
        "elbv2-name-characters",
        (CREATE,),
        "a load balancer name with other characters than letters, digits and hyphens",
        "botocore elbv2 CreateLoadBalancerInput.Name",
        by_parameters(name_characters),
    ),
    Rule(
        "elbv2-name-hyphens",
        (CREATE,),
        "a load balancer name that begins or ends with a hyphen",
        "botocore elbv2 CreateLoadBalancerInput.Name",
        by_parameters(name_hyphens),
    ),
    Rule(
        "elbv2-name-internal",
        (CREATE,),
        "a load balancer name that begins with `internal-`",
        "botocore elbv2 CreateLoadBalancerInput.Name",
        by_parameters(name_internal),
    ),
    Rule(
        "elbv2-two-zones",
        (CREATE, SET_SUBNETS),
        "an application load balancer in one zone",
        "facts 7.1, aws-samples/aws-cdk-examples#226, botocore elbv2 SetSubnetsInput.Subnets",
        _two_zones,
    ),
    Rule(
        "elbv2-one-subnet-per-zone",
        (CREATE, SET_SUBNETS),
        "two subnets of one zone",
        "facts 7.1, robertdebock/terraform-aws-vault#5",
        _one_subnet_per_zone,
    ),
    Rule(
        "elbv2-duplicate-name",
        (CREATE,),
        "a second load balancer of one name with other settings (subnets, scheme, security groups)",
        "botocore elbv2 DuplicateLoadBalancerNameException",
        _duplicate_name,
    ),
    Rule(
        "elbv2-security-group-vpc",
        (CREATE, "elbv2.SetSecurityGroups"),
        "a security group that is not in the load balancer's VPC",
        "botocore elbv2 InvalidConfigurationRequestException; message not verified",
        _group_vpc,
    ),
    Rule(
        "elbv2-deletion-protection",
        ("elbv2.DeleteLoadBalancer",),
        "deleting a protected load balancer",
        "botocore elbv2 OperationNotPermittedException",
        _deletion_protection,
    ),
    Rule(
        "elbv2-access-logs",
        ("elbv2.ModifyLoadBalancerAttributes",),
        "access logs in a bucket that is not there, or whose policy does not let Elastic Load Balancing write",
        "kubernetes-sigs/aws-load-balancer-controller#1956, terraform-aws-modules/terraform-aws-s3-bucket#185",
        _log_bucket,
    ),
    Rule(
        "elbv2-idle-timeout",
        ("elbv2.ModifyLoadBalancerAttributes",),
        "an idle timeout outside 1-4000 s",
        "facts 7.4, botocore elbv2 LoadBalancerAttribute.Key",
        by_parameters(idle_timeout),
    ),
    Rule(
        "elbv2-health-check-path",
        (CREATE_GROUP, MODIFY_GROUP),
        "a health check path that does not begin with `/`",
        "botocore elbv2 CreateTargetGroupInput.HealthCheckPath; message not verified",
        by_parameters(health_check_path),
    ),
    Rule(
        "elbv2-health-check-timeout",
        (MODIFY_GROUP,),
        "a health check timeout that is not below the interval",
        "alb-ug target-group-health-checks; as moto refuses it on creation",
        _health_check_timeout,
    ),
    Rule(
        "elbv2-matcher",
        (CREATE_GROUP, MODIFY_GROUP),
        "health check codes outside 200-499",
        "botocore elbv2 Matcher.HttpCode",
        by_parameters(matcher),
    ),
    Rule(
        "elbv2-target-id",
        (REGISTER,),
        "a target that is no instance id, for a group of instances",
        "botocore elbv2 TargetDescription.Id; message not verified",
        _target_id,
    ),
    Rule(
        "elbv2-target-exists",
        (REGISTER,),
        "a target instance that does not exist",
        "botocore elbv2 InvalidTargetException",
        _target_exists,
    ),
    Rule(
        "elbv2-target-vpc",
        (REGISTER,),
        "a target instance of another VPC",
        "botocore elbv2 InvalidTargetException",
        _target_vpc,
    ),
    Rule(
        "elbv2-listener-certificate",
        ("elbv2.CreateListener",),
        "an HTTPS listener without certificate",
        "botocore elbv2 CreateListenerInput.Certificates",
        by_parameters(listener_certificate),
    ),
    Rule(
        "elbv2-one-certificate",
        LISTENER,
        "a listener that is given several certificates at once",
        "botocore elbv2 CreateListenerInput.Certificates, TooManyCertificatesException; message not verified",
        by_parameters(one_certificate),
    ),
    Rule(
        "elbv2-certificate-pending",
        LISTENER,
        "a certificate that is not issued yet",
        "facts 7.6",
        _pending_certificate,
    ),
    Rule(
        "elbv2-security-policy",
        ("elbv2.CreateListener",),
        "a TLS policy that does not exist",
        "facts 7.2, botocore elbv2 SSLPolicyNotFoundException",
        by_parameters(security_policy),
    ),
    Rule(
        "elbv2-redirect-loop",
        LISTENER,
        "a redirect to where the request came from",
        "facts 7.3; message not verified",
        _redirect_loop,
    ),
    Rule(
        "elbv2-target-group-shared",
        ("elbv2.CreateListener",),
        "a target group behind two load balancers",
        "botocore elbv2 TargetGroupAssociationLimitException",
        _shared_target_group,
    ),
)
