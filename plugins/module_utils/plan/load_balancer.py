# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load balancer that answers under the public name: its listeners, its targets, and the record that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..certificates import (
    ISSUED,
    arn_findings,
    broken_findings,
    choose,
    name_findings,
    records_of,
    wanted_certificate,
)
from ..consent import consented_names
from ..findings import Finding, Words
from ..network import MINIMUM_ZONES
from ..role_inputs import range_findings
from ..tags import own_tags, role_tags
from . import Change, Plan, Role, Rule, Values, compare

WHY = 'guide "before opening"'
# Nothing else can be registered.
RUNNING = ("running",)
PORTS = (443, 80)
PORT = "traffic-port"
# Probes: within thirty seconds a host that fails takes no more, and after twenty one that is well again does.
HEALTH_CHECK: Mapping[str, Any] = {
    "health_check_enabled": True,
    "health_check_protocol": "HTTP",
    "health_check_port": PORT,
    "health_check_interval_seconds": 10,
    "health_check_timeout_seconds": 5,
    "healthy_threshold_count": 2,
    "unhealthy_threshold_count": 3,
    "matcher": "200",
}
# What AWS has where it says nothing.
DEFAULT_ATTRIBUTES: Mapping[str, str] = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.enabled": "false",
    "health_check_logs.s3.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
# The same of a target group.
DEFAULT_GROUP_ATTRIBUTES: Mapping[str, str] = {
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
# The same of a listener, where nothing is "" unless this says otherwise.
DEFAULT_LISTENER_ATTRIBUTES: Mapping[str, str] = {"routing.http.response.server.enabled": "true"}
# Who writes access logs: alb-ug enable-access-logging.
LOG_WRITER = "logdelivery.elasticloadbalancing.amazonaws.com"
PUBLIC_ACCESS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
LONGEST_LOG_DAYS = 3650
DELAY = "deregistration_delay.timeout_seconds"
# A registered target that gets no more requests: it is registered anew where it is wanted.
LEAVING = "draining"
LONGEST_IDLE_SECONDS = 4000
LONGEST_DELAY_SECONDS = 3600


def _logs(inputs: Values) -> bool:
    """Whether requests are logged: for how many days says that, too."""
    return bool(inputs["load_balancer_access_logs_days"] > 0)


def reads(inputs: Values) -> Values:
    name = inputs["public_name"]
    if not name:
        return {}
    return {
        "vpc_id": inputs.get("vpc_id"),
        "subnet_ids": inputs.get("subnet_ids"),
        "minimum_zones": MINIMUM_ZONES,
        "security_group_names": [inputs["load_balancer_security_group"]],
        "load_balancer_names": [inputs["load_balancer_name"]],
        "target_group_names": [inputs["load_balancer_target_group_name"]],
        "certificates": [wanted_certificate(name, inputs["certificate_arn"])],
        "public_names": [name],
        **({"bucket_names": [inputs["load_balancer_access_logs_bucket"]]} if _logs(inputs) else {}),
        "instance_filters": {
            "tag:Name": inputs["load_balancer_hosts"],
            "instance-state-name": ["pending", "running", "stopping", "stopped"],
        },
    }


# --- what there should be -------------------------------------------------------------------------------------------


def api_instances(inputs: Values, found: Values) -> list[Values]:
    """The deployment's own API hosts that run, by name."""
    own = [
        instance
        for instance in found["instances"]
        if instance["tags"].get("Project") == inputs["deployment_name"]
        and instance["tags"].get("Name") in inputs["load_balancer_hosts"]
        and instance["state"]["name"] in RUNNING
    ]
    return sorted(own, key=lambda instance: str(instance["tags"]["Name"]))


def wanted_subnets(subnets: Sequence[Values], used: Iterable[str], now: Iterable[str]) -> list[str]:
    """One of each zone in which a target is, and of others until there are two: each costs a public address.

    A target in a zone that the load balancer is not in gets nothing. Where it is now it stays.
    """
    by_zone: dict[str, list[str]] = {}
    for subnet in subnets:
        by_zone.setdefault(subnet["zone"], []).append(subnet["subnet_id"])
    current = set(now)
    needed = [zone for zone in by_zone if zone in set(used)]
    present = [zone for zone, ids in by_zone.items() if current & set(ids)]
    zones = list(dict.fromkeys([*needed, *present, *by_zone]))[: max(len(needed), MINIMUM_ZONES)]
    return sorted(next((one for one in by_zone[zone] if one in current), by_zone[zone][0]) for zone in zones)


def _zones(inputs: Values, found: Values) -> set[str]:
    return {str(instance["placement"]["availability_zone"]) for instance in api_instances(inputs, found)}


def wanted_listeners(inputs: Values, certificate_arn: str) -> dict[str, dict[str, Any]]:
    return {
        "listener 443": {
            "protocol": "HTTPS",
            "ssl_policy": inputs["load_balancer_ssl_policy"],
            "certificate": certificate_arn,
            "action": f"forward to {inputs['load_balancer_target_group_name']}",
            "rules": [],
        },
        "listener 80": {
            "protocol": "HTTP",
            "ssl_policy": None,
            "certificate": None,
            "action": "redirect to HTTPS://#{host}:443/#{path}?#{query} by HTTP_301",
            "rules": [],
        },
    }


def wanted_attributes(inputs: Values) -> dict[str, str]:
    return {
        **DEFAULT_ATTRIBUTES,
        "deletion_protection.enabled": str(inputs["load_balancer_deletion_protection"]).lower(),
        "idle_timeout.timeout_seconds": str(inputs["load_balancer_idle_timeout_seconds"]),
        "routing.http.drop_invalid_header_fields.enabled": "true",
        **(
            {
                "access_logs.s3.enabled": "true",
                "access_logs.s3.bucket": inputs["load_balancer_access_logs_bucket"],
            }
            if _logs(inputs)
            else {}
        ),
    }


def wanted_bucket(inputs: Values) -> dict[str, Any]:
    """Where access logs lie: written by load balancers of the account alone, public to nobody, gone after some days."""
    bucket, account, region = (
        inputs[name] for name in ("load_balancer_access_logs_bucket", "aws_account_id", "aws_region")
    )
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": LOG_WRITER},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/AWSLogs/{account}/*",
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/*"}},
    }
    return {
        "policy": {"Version": "2012-10-17", "Statement": [statement]},
        "public_access_block": dict.fromkeys(PUBLIC_ACCESS, True),
        "lifecycle": [
            {"status": "Enabled", "prefix": "", "expiration": {"Days": inputs["load_balancer_access_logs_days"]}}
        ],
        "tags": role_tags(inputs["deployment_tags"], "load_balancer"),
    }


def wanted_target_group(inputs: Values) -> dict[str, Any]:
    return {
        **HEALTH_CHECK,
        "health_check_path": inputs["load_balancer_health_path"],
        **DEFAULT_GROUP_ATTRIBUTES,
        DELAY: str(inputs["load_balancer_deregistration_delay_seconds"]),
        "tags": role_tags(inputs["deployment_tags"], "load_balancer"),
    }


# --- what there is --------------------------------------------------------------------------------------------------


def _action(action: Mapping[str, Any]) -> str:
    """One action of a listener as a person reads it; whatever is not understood as it is."""
    if action["Type"] == "forward":
        config = action.get("ForwardConfig") or {}
        arns = [group["TargetGroupArn"] for group in config.get("TargetGroups", [])] or [action["TargetGroupArn"]]
        sticky = config.get("TargetGroupStickinessConfig", {}).get("Enabled")
        return f"forward to {', '.join(arn.split('/')[1] for arn in arns)}{' and stick to it' if sticky else ''}"
    if action["Type"] == "redirect":
        to = {
            "Protocol": "#{protocol}", "Host": "#{host}", "Port": "#{port}", "Path": "/#{path}", "Query": "#{query}",
            **{key: value for key, value in action["RedirectConfig"].items() if value is not None},
        }  # fmt: skip
        return (
            f"redirect to {to['Protocol']}://{to['Host']}:{to['Port']}{to['Path']}?{to['Query']} by {to['StatusCode']}"
        )
    return str({key: value for key, value in action.items() if key != "Order"})


def _rule(rule: Mapping[str, Any]) -> str:
    conditions = [str(condition.get("Values") or condition.get("Field")) for condition in rule.get("Conditions", [])]
    return f"{rule.get('Priority')}: {' and '.join(conditions)}: {', '.join(map(_action, rule.get('Actions', [])))}"


def default_listener_attribute(key: str) -> str:
    """What AWS has of an attribute of a listener: the name of a header is its own, and of answers it adds none."""
    purpose, header, what = key.split(".")[2:]
    if purpose == "request" and what == "header_name":
        return header.replace("_", "-").title()
    return DEFAULT_LISTENER_ATTRIBUTES.get(key, "")


def changed_listener_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Those of a listener that somebody set. A header that has no name of somebody's has its own."""
    return {
        key: value
        for key, value in attributes.items()
        if key.startswith("routing.http.") and value and value.lower() != default_listener_attribute(key).lower()
    }


def found_listeners(listeners: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        f"listener {listener['Port']}": {
            "protocol": listener["Protocol"],
            "ssl_policy": listener.get("SslPolicy") if listener["Protocol"] == "HTTPS" else None,
            "certificate": next((each["CertificateArn"] for each in listener.get("Certificates") or []), None),
            "action": ", ".join(map(_action, listener["DefaultActions"])),
            "rules": [_rule(rule) for rule in listener["Rules"]],
        }
        for listener in listeners
    }


def _found_target_group(now: Values) -> dict[str, Any]:
    attributes = now["attributes"]
    return {
        **{key: now.get(key) for key in HEALTH_CHECK},
        "matcher": (now.get("matcher") or {}).get("http_code"),
        "health_check_path": now.get("health_check_path"),
        # Numbers on their way through DescribeTargetGroups, texts among the attributes.
        **{key: int(now[key]) for key in ("healthy_threshold_count", "unhealthy_threshold_count") if now.get(key)},
        **{
            key: str(attributes.get(key, DEFAULT_GROUP_ATTRIBUTES.get(key)))
            for key in (DELAY, *DEFAULT_GROUP_ATTRIBUTES)
        },
        "tags": own_tags(now["tags"]),
    }


# --- the changes ----------------------------------------------------------------------------------------------------


def _attributes(wanted: Values, defaults: Values, different: Iterable[str], *, is_new: bool) -> dict[str, str]:
    """Which to set: those that differ from what there is or, of something new, from what AWS has by itself."""
    return {key: wanted[key] for key in different if not is_new or wanted[key] != defaults.get(key)}


def _target_group_changes(inputs: Values, found: Values) -> list[Change]:
    name = inputs["load_balancer_target_group_name"]
    wanted, now = wanted_target_group(inputs), found["target_groups"].get(name)
    attributes = {DELAY, *DEFAULT_GROUP_ATTRIBUTES}

    def apply(fields: frozenset[str]) -> Mapping[str, Values]:
        group = {
            **wanted,
            "name": name,
            "vpc_id": found["network"]["vpc_id"],
            # Each target has its own; the group's never changes and counts for none.
            "port": now["port"] if now else inputs["api_port"],
        }
        values = _attributes(wanted, DEFAULT_GROUP_ATTRIBUTES, sorted(fields & attributes), is_new=now is None)
        return {
            **({"target_groups": group} if fields - attributes else {}),
            **({"attributes": {"name": name, "kind": "target_group", "values": values}} if values else {}),
        }

    return compare(f"target group {name}", wanted, _found_target_group(now) if now else None, WHY, apply)


def _balancer_changes(inputs: Values, found: Values, certificate_arn: str) -> list[Change]:
    name, group = inputs["load_balancer_name"], inputs["load_balancer_security_group"]
    now = found["load_balancers"].get(name)
    ids = {each: one["group_id"] for each, one in found["security_groups"].items()}
    names = {one: each for each, one in ids.items()}
    subnets_now = [zone["subnet_id"] for zone in (now or {}).get("availability_zones", [])]
    subnets = wanted_subnets(found["network"]["subnets"], _zones(inputs, found), subnets_now)
    attributes = wanted_attributes(inputs)
    wanted: dict[str, Any] = {
        "subnets": subnets,
        "security_groups": [group],
        "ip_address_type": "ipv4",
        **wanted_listeners(inputs, certificate_arn),
        "tags": role_tags(inputs["deployment_tags"], "load_balancer"),
        **attributes,
    }
    fields: dict[str, Any] | None = None
    if now is not None:
        listeners = found_listeners(now["listeners"])
        wanted = {**dict.fromkeys(each for each in listeners if each not in wanted), **wanted}
        fields = {
            "subnets": sorted(subnets_now),
            "security_groups": sorted(names.get(one, one) for one in now.get("security_groups", [])),
            "ip_address_type": now.get("ip_address_type", "ipv4"),
            **listeners,
            "tags": own_tags(now["tags"]),
            **{key: now["attributes"].get(key) or DEFAULT_ATTRIBUTES.get(key, "false") for key in attributes},
        }

    def apply(different: frozenset[str]) -> Mapping[str, Values]:
        balancer = {
            "name": name,
            "subnets": subnets,
            "security_groups": [ids[group]] if group in ids else [],
            "ip_address_type": "ipv4",
            "listeners": _as_module(inputs, certificate_arn, (now or {}).get("listeners", [])),
            "tags": wanted["tags"],
        }
        values = _attributes(attributes, DEFAULT_ATTRIBUTES, sorted(different & set(attributes)), is_new=now is None)
        return {
            **({"load_balancers": balancer} if different - set(attributes) else {}),
            **({"attributes": {"name": name, "kind": "load_balancer", "values": values}} if values else {}),
        }

    return compare(f"load balancer {name}", wanted, fields, WHY, apply)


def listener_changes(inputs: Values, found: Values) -> list[Change]:
    """What the module that makes a listener does not know of it."""
    name = inputs["load_balancer_name"]
    now = {one["Port"]: one for one in found["load_balancers"].get(name, {}).get("listeners", [])}
    wanted = {
        "more_certificates": [],
        "mutual_authentication": "off",
        "attributes": {},
        "tags": role_tags(inputs["deployment_tags"], "load_balancer"),
    }
    changes = []
    for port in PORTS:
        fields = _found_extras(now[port]) if port in now else None
        item = {
            "balancer": name,
            "port": port,
            "attributes": {key: default_listener_attribute(key) for key in (fields or wanted)["attributes"]},
            "tags": wanted["tags"],
        }
        changes += compare(f"listener {port} of {name}", wanted, fields, WHY, _always("listeners", item))
    return changes


def _found_extras(listener: Values) -> dict[str, Any]:
    return {
        "more_certificates": listener["MoreCertificates"],
        "mutual_authentication": listener.get("MutualAuthentication", {}).get("Mode", "off"),
        "attributes": changed_listener_attributes(listener["Attributes"]),
        "tags": own_tags(listener["Tags"]),
    }


def _as_module(inputs: Values, certificate_arn: str, now: Iterable[Values]) -> list[dict[str, Any]]:
    """The listeners as amazon.aws.elb_application_lb takes them.

    An empty list of rules removes others'. Of a new listener none may be given: before amazon.aws 11.1 it is not found.
    """
    ports = {listener["Port"] for listener in now}
    listeners: list[dict[str, Any]] = [
        {
            "Protocol": "HTTPS",
            "Port": 443,
            "SslPolicy": inputs["load_balancer_ssl_policy"],
            "Certificates": [{"CertificateArn": certificate_arn}],
            "DefaultActions": [
                {"Type": "forward", "TargetGroupName": inputs["load_balancer_target_group_name"]},
            ],
        },
        {
            "Protocol": "HTTP",
            "Port": 80,
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
        },
    ]
    return [{**listener, **({"Rules": []} if listener["Port"] in ports else {})} for listener in listeners]


def _bucket_changes(inputs: Values, found: Values) -> list[Change]:
    if not _logs(inputs):
        return []
    name = inputs["load_balancer_access_logs_bucket"]
    wanted, now = wanted_bucket(inputs), found["buckets"].get(name)
    item = {**wanted, "bucket": name}
    fields = {**now, "tags": own_tags(now["tags"])} if now is not None else None
    return compare(f"bucket {name}", wanted, fields, f"{WHY}; access logs", _always("buckets", item))


def _always(loop: str, item: Values) -> Callable[[frozenset[str]], Mapping[str, Values]]:
    return lambda _: {loop: item}


def target_changes(inputs: Values, found: Values) -> list[Change]:
    """Hosts that run are registered; whoever stopped, and whatever is not ours, is not."""
    name, port = inputs["load_balancer_target_group_name"], inputs["api_port"]
    hosts = {instance["instance_id"]: str(instance["tags"]["Name"]) for instance in api_instances(inputs, found)}
    known = {one["instance_id"]: str(one["tags"].get("Name", one["instance_id"])) for one in found["instances"]}
    now = found["target_groups"].get(name)
    there = [(one["id"], one["port"]) for one in (now or {}).get("targets", []) if one["state"] != LEAVING]
    changes = []
    for instance_id, host in hosts.items():
        if (instance_id, port) not in there:
            changes += compare(
                f"target {host}",
                {"registered": f"{instance_id}:{port}"},
                {"registered": None} if now else None,
                f"{WHY}; the host runs",
                _always("targets", {"group": name, "register": [instance_id], "port": port}),
            )
    for instance_id, at in there:
        if instance_id not in hosts or at != port:
            changes += compare(
                f"target {known.get(instance_id, instance_id)}",
                {"registered": None},
                {"registered": f"{instance_id}:{at}"},
                f"{WHY}; {'another port' if instance_id in hosts else 'no API host of this deployment that runs'}",
                _always("targets", {"group": name, "deregister": [instance_id], "port": at}),
            )
    return changes


def _leads_to(records: Iterable[Values]) -> list[str]:
    """Where a name leads by its records of addresses."""
    targets = (
        [f"{one['type']} {value.rstrip('.').lower()}" for value in one["values"]]
        or [f"{one['type']} {one['alias'].removeprefix('dualstack.')}"]
        for one in records
    )
    return sorted(target for each in targets for target in each)


def _records(inputs: Values, zone: Values) -> list[Values]:
    return records_of(zone["records"], inputs["public_name"], ["A", "AAAA", "CNAME"])


def record_changes(inputs: Values, found: Values) -> list[Change]:
    """The public name leads to the load balancer, where its zone is the account's own."""
    name, zone = inputs["public_name"], found["hosted_zones"].get(inputs["public_name"])
    if zone is None:
        return []
    now = found["load_balancers"].get(inputs["load_balancer_name"])
    wanted = now["dns_name"].lower() if now else f"{inputs['load_balancer_name']}, once it is there"
    leads_to = _leads_to(_records(inputs, zone))
    # Whoever wrote a CNAME of the same meaning is right, too.
    if leads_to == [f"CNAME {wanted}"]:
        return []
    item = {"zone_id": zone["id"], "zone": zone["name"], "record": name}
    fields = {"leads_to": leads_to} if leads_to else None
    return compare(f"record {name}", {"leads_to": [f"A {wanted}"]}, fields, WHY, lambda _: {"records": item})


# --- what is refused ------------------------------------------------------------------------------------------------


def _immutable_findings(inputs: Values, found: Values) -> list[Finding]:
    """What AWS never changes, and no run of ours would have made so."""
    name, group_name = inputs["load_balancer_name"], inputs["load_balancer_target_group_name"]
    vpc_id = found["network"]["vpc_id"]
    things = (
        (
            f"load balancer {name}",
            found["load_balancers"].get(name),
            {"type": "application", "scheme": "internet-facing", "vpc_id": vpc_id},
            "aws elbv2 delete-load-balancer --load-balancer-arn {load_balancer_arn}",
        ),
        (
            f"target group {group_name}",
            found["target_groups"].get(group_name),
            {
                "protocol": "HTTP",
                "protocol_version": "HTTP1",
                "target_type": "instance",
                "ip_address_type": "ipv4",
                "vpc_id": vpc_id,
            },
            "aws elbv2 delete-target-group --target-group-arn {target_group_arn}",
        ),
    )
    findings = []
    for what, now, wanted, command in things:
        # What AWS does not tell is as it has it.
        different = {key: value for key, value in wanted.items() if now and now.get(key, value) != value}
        if now and different:
            has, wants = (
                ", ".join(f"{key} {value}" for key, value in values.items())
                for values in ({key: now.get(key) for key in different}, different)
            )
            remove = command.format(**now)
            findings.append(
                Finding(
                    "load_balancer_immutable",
                    what,
                    has,
                    Words(
                        f"must have {wants}, which AWS cannot change", f"{wants}이어야 하며 AWS가 변경할 수 없습니다"
                    ),
                    Words(
                        f"If nobody needs it, remove it ({remove}) and run again.",
                        f"필요 없는 것이면 삭제하고({remove}) 다시 실행하십시오.",
                    ),
                )
            )
    return findings


def _foreign_findings(inputs: Values, found: Values) -> list[Finding]:
    """What has our name and is somebody else's is left alone."""
    things = (
        ("load balancer", inputs["load_balancer_name"], "load_balancers", "load_balancer_name"),
        ("target group", inputs["load_balancer_target_group_name"], "target_groups", "load_balancer_target_group_name"),
        ("bucket", inputs["load_balancer_access_logs_bucket"], "buckets", "load_balancer_access_logs_bucket"),
    )
    return [
        Finding(
            "load_balancer_foreign",
            variable,
            f"{what} {name} with Project {found[section][name]['tags'].get('Project', 'missing')}",
            Words("the name is somebody else's", "다른 배포가 쓰는 이름입니다"),
            Words(
                "Choose another name, or give it our Project tag as the account's owner.",
                "다른 이름을 쓰거나, 계정 소유자로서 Project 태그를 붙이십시오.",
            ),
        )
        for what, name, section, variable in things
        if name in found.get(section, {})
        and found[section][name]["tags"].get("Project") != inputs["deployment_name"]
        and not (section == "target_groups" and _is_begun(found[section][name]))
    ]


def _is_begun(group: Values) -> bool:
    """A target group that nobody has tagged or uses: its module was interrupted, which tags it last."""
    return not (group["tags"] or group["targets"] or group.get("load_balancer_arns"))


def _record_findings(inputs: Values, found: Values) -> list[Finding]:
    """Somebody may be served under the name already: that is moved only where it is named."""
    name, zone = inputs["public_name"], found["hosted_zones"].get(inputs["public_name"])
    records = _records(inputs, zone) if zone else []
    # What is set is an A, which replaces nothing of another type.
    others = [one for one in records if one["type"] != "A" or not _was_ours(one, inputs["load_balancer_name"])]
    if not others or not record_changes(inputs, found):
        return []
    told = "; ".join(_leads_to(others))
    variable = "load_balancer_replace_records"
    if any(one["type"] != "A" for one in others):
        remedy = Words(
            f"Remove it in the hosted zone {zone['name'] if zone else ''} when {name} may move, and run again.",
            f"{name}을(를) 옮겨도 될 때 호스팅 영역 {zone['name'] if zone else ''}에서 삭제하고 다시 실행하십시오.",
        )
    elif name in consented_names(inputs[variable], variable):
        return []
    else:
        remedy = Words(
            f'If it may move: -e \'{{"{variable}": ["{name}"]}}\'.',
            f'옮겨도 된다면 -e \'{{"{variable}": ["{name}"]}}\'.',
        )
    return [
        Finding(
            "load_balancer_record",
            "public_name",
            told,
            Words(f"{name} leads somebody elsewhere already", f"{name}은(는) 이미 다른 곳을 가리킵니다"),
            remedy,
        )
    ]


def _was_ours(record: Values, balancer: str) -> bool:
    """Of a load balancer of that name, this one or one before it."""
    target = record["alias"].removeprefix("dualstack.") or "".join(record["values"]).rstrip(".").lower()
    return target.startswith(f"{balancer.lower()}-") and target.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _missing_findings(inputs: Values, found: Values) -> list[Finding]:
    group = inputs["load_balancer_security_group"]
    if group in found["security_groups"]:
        return []
    return [
        Finding(
            "load_balancer_security_group",
            "load_balancer_security_group",
            "no such group",
            Words(f"{group} must exist", f"{group}이(가) 있어야 합니다"),
            Words("Create it: --tags network.", "--tags network로 만드십시오."),
        )
    ]


def _waiting_findings(certificate: Values | None, public_name: str) -> list[Finding]:
    status = certificate["status"] if certificate else "no certificate"
    return [
        Finding(
            "load_balancer_certificate",
            "public_name",
            status,
            Words(
                f"the load balancer waits for the certificate of {public_name}",
                f"로드 밸런서는 {public_name} 인증서를 기다립니다",
            ),
            Words("See what the role certificate says.", "certificate 역할의 메시지를 보십시오."),
        )
    ]


def log_findings(days: int) -> list[Finding]:
    return range_findings("load_balancer_access_logs_days", days, 0, LONGEST_LOG_DAYS)


def seconds_findings(idle_seconds: int, delay_seconds: int) -> list[Finding]:
    return [
        *range_findings("load_balancer_idle_timeout_seconds", idle_seconds, 1, LONGEST_IDLE_SECONDS),
        *range_findings("load_balancer_deregistration_delay_seconds", delay_seconds, 0, LONGEST_DELAY_SECONDS),
    ]


# --- the decision ---------------------------------------------------------------------------------------------------


def decide(inputs: Values, found: Values) -> Plan:
    """Nothing is made before there is a certificate to answer with."""
    name, arn = inputs["public_name"], inputs["certificate_arn"]
    if not name:
        return Plan()
    certificate = choose(found["certificates"].get(wanted_certificate(name, arn), []), arn, inputs["deployment_name"])
    refused = [
        *broken_findings(certificate, arn, name),
        *_immutable_findings(inputs, found),
        *_foreign_findings(inputs, found),
        *_record_findings(inputs, found),
    ]
    if refused:
        return Plan(refused)
    if certificate is None or certificate["status"] != ISSUED:
        return Plan(unsettled=_waiting_findings(certificate, name))
    changes = [
        *_bucket_changes(inputs, found),
        *_target_group_changes(inputs, found),
        *_balancer_changes(inputs, found, certificate["certificate_arn"]),
        *listener_changes(inputs, found),
        *target_changes(inputs, found),
        *record_changes(inputs, found),
    ]
    known = {"zone": (found["hosted_zones"].get(name) or {}).get("name", "")}
    return Plan(changes=changes, missing=_missing_findings(inputs, found), known=known)


ROLE = Role(
    reads,
    decide,
    applies=("buckets", "target_groups", "load_balancers", "listeners", "attributes", "targets", "records"),
    rules=(
        Rule(name_findings, ("public_name",)),
        Rule(arn_findings, ("certificate_arn", "aws_region")),
        Rule(log_findings, ("load_balancer_access_logs_days",)),
        Rule(
            seconds_findings,
            ("load_balancer_idle_timeout_seconds", "load_balancer_deregistration_delay_seconds"),
        ),
    ),
)
