# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What moto leaves out of EC2, RDS and Elastic Load Balancing and Ansible's modules or our hosts need.

Each function corrects one thing on moto's backends of our region; nobody else needs to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.core.utils import utcnow
from moto.ec2.exceptions import InvalidSecurityGroupNotFoundError
from moto.ec2.models.elastic_block_store import VolumeAttachment
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.elbv2.models import FakeTargetGroup, elbv2_backends
from moto.rds.models import DBInstance

from localcloud import parameter_groups
from localcloud.api import Api
from localcloud.wire import ApiError, Call

# An Amazon Linux 2023 image carries ImdsSupport v2.0: what a launch does not say otherwise starts like this.
IMAGE_METADATA_OPTIONS: Mapping[str, Any] = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
ROOT_VOLUME_GIB = 8
GP3_IOPS = 3000
GP3_THROUGHPUT = 125
IDLE_TIMEOUT_SECONDS = "60"
EXTENDED_SUPPORT = "open-source-rds-extended-support"
# RDS's own, by which it signs a certificate for each instance, and renews it by itself.
AUTHORITY: Mapping[str, Any] = {
    "CertificateIdentifier": "rds-ca-rsa2048-g1",
    "CertificateType": "CA",
    "ValidFrom": datetime(2021, 5, 20, tzinfo=UTC),
    "ValidTill": datetime(2061, 5, 20, tzinfo=UTC),
    "CustomerOverride": False,
}
SERVER_CERTIFICATE_LIFE = timedelta(days=365)
MAKE_FUNCTION = LambdaFunction.__init__
TELL_FUNCTION = LambdaFunction.get_configuration
CONFIGURE_FUNCTION = LambdaFunction.update_configuration
CHANGE_CODE = LambdaFunction.update_function_code
CONFIGURE_INVOKE = LambdaBackend.put_function_event_invoke_config


def install(api: Api) -> None:
    """Correct everything."""
    ec2 = api.backends("ec2")
    _complete_volumes(ec2)
    _complete_attachments()
    _detach_from_whatever_instance(ec2)
    _complete_launches(ec2)
    _connect_default_vpc(ec2)
    _open_default_groups_to_themselves(ec2)
    _keep_groups_of_one_mind(ec2)
    _keep_other_metadata_options(ec2)
    _complete_launch_templates()
    api.hooks.register("ec2", "CreateLaunchTemplate", after=_keep_own_tags_out_of_data)
    api.hooks.register("ec2", "RunInstances", after=_give_profile_to_all)
    api.hooks.register("ec2", "StartInstances", after=note_start)
    api.hooks.register("ec2", "ReplaceIamInstanceProfileAssociation", after=_show_replaced_profile)
    _keep_modified_subnet_groups(api.backends("rds"))
    _complete_databases()
    parameter_groups.install(api)
    api.hooks.register("rds", "CreateDBInstance", after=_choose_support)
    api.hooks.register("rds", "DescribeCertificates", instead=lambda _call: {"Certificates": [AUTHORITY]})
    api.hooks.register("elbv2", "DescribeLoadBalancerAttributes", after=_add_idle_timeout)
    api.hooks.register("elbv2", "ModifyListener", before=_refuse_trust_stores)
    complete_functions()
    _show_balancers_of_groups()
    _make_one_balancer_of_a_name(api.backends("elbv2"))
    _complete_modified_listeners(api)


def metadata_options(*layers: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata options of a launch: the image's, then each layer's own."""
    options = dict(IMAGE_METADATA_OPTIONS)
    for layer in layers:
        options.update({name: value for name, value in (layer or {}).items() if value is not None})
    return options


def template_data(ec2: Any, launch: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the template of a launch says, if it has one."""
    template = launch.get("LaunchTemplate")
    data: Mapping[str, Any] = ec2._get_template_from_args(template).data if template else {}
    return data


def launch_data(ec2: Any, launch: Mapping[str, Any]) -> dict[str, Any]:
    """All of a launch: its template's data under its own parameters."""
    return {**template_data(ec2, launch), **{name: value for name, value in launch.items() if value is not None}}


def _complete_volumes(ec2: Any) -> None:
    """Say of every volume what ec2_vol and ec2_vol_info read, and gp3's usual performance."""
    create_volume = ec2.create_volume

    def create_complete_volume(*args: Any, **kwargs: Any) -> Any:
        volume = create_volume(*args, **kwargs)
        volume.multi_attach_enabled = bool(volume.multi_attach_enabled)
        volume.snapshot_id = volume.snapshot_id or ""
        if volume.volume_type == "gp3":
            volume.iops = volume.iops or GP3_IOPS
            volume.throughput = volume.throughput or GP3_THROUGHPUT
        return volume

    ec2.create_volume = create_complete_volume


def _complete_attachments() -> None:
    """A volume shows whether it ends with its instance; moto shows that on the instance only."""

    def delete_on_termination(attachment: Any) -> bool:
        mapping = attachment.instance.block_device_mapping.get(attachment.device)
        return bool(mapping and mapping.delete_on_termination)

    VolumeAttachment.delete_on_termination = property(delete_on_termination)


def _detach_from_whatever_instance(ec2: Any) -> None:
    """A volume is detached without its instance being named: that is needed only where it is attached to several."""
    detach_volume = ec2.detach_volume

    def detach_from_its_own(volume_id: str, instance_id: str | None, device_path: str | None) -> Any:
        return detach_volume(volume_id, instance_id or ec2.get_volume(volume_id).attachment.instance.id, device_path)

    ec2.detach_volume = detach_from_its_own


def _complete_launches(ec2: Any) -> None:
    """Launch into the default VPC, with the image's metadata options and root volume, and all of a launch template."""
    run_instances = ec2.run_instances

    def run_complete_instances(*args: Any, **kwargs: Any) -> Any:
        template = template_data(ec2, {"LaunchTemplate": kwargs.get("launch_template")})
        kwargs["metadata_options"] = metadata_options(template.get("MetadataOptions"), kwargs.get("metadata_options"))
        if not kwargs.get("instance_market_options"):
            kwargs["instance_market_options"] = template.get("InstanceMarketOptions", {}).get("MarketType")
        if not kwargs.get("subnet_id") and not kwargs.get("nics"):
            kwargs["subnet_id"] = _default_subnet(ec2, kwargs.get("placement"))
        # Given even if empty: moto makes up a root volume of its own otherwise.
        kwargs.setdefault("block_device_mappings", template.get("BlockDeviceMappings", []))
        reservation = run_instances(*args, **kwargs)
        volume_tags = kwargs.get("tags", {}).get("volume", {})
        for instance in reservation.instances:
            _complete_root_volume(ec2, instance, kwargs["block_device_mappings"], volume_tags)
        return reservation

    ec2.run_instances = run_complete_instances


def _connect_default_vpc(ec2: Any) -> None:
    """The default VPC's main route table leads to the Internet; moto's leads nowhere."""
    vpc = ec2.get_default_vpc()
    if any(gateway.vpc and gateway.vpc.id == vpc.id for gateway in ec2.internet_gateways.values()):
        return
    gateway = ec2.create_internet_gateway()
    ec2.attach_internet_gateway(gateway.id, vpc.id)
    (main,) = ec2.describe_route_tables(filters={"vpc-id": [vpc.id], "association.main": ["true"]})
    ec2.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)


def _open_default_groups_to_themselves(ec2: Any) -> None:
    """A VPC's default group lets in what comes from itself; moto's lets in nothing."""
    create_security_group = ec2.create_security_group

    def complete(group: Any) -> Any:
        if group.is_default and not group.ingress_rules:
            itself = {"GroupId": group.id, "UserId": ec2.account_id, "OwnerId": ec2.account_id}
            rule = SecurityGroupRule(ec2, "-1", group.id, None, None, None, itself, is_egress=False)
            group.add_ingress_rule(rule)
        return group

    for group in ec2.describe_security_groups():
        complete(group)
    ec2.create_security_group = lambda *args, **kwargs: complete(create_security_group(*args, **kwargs))


def _keep_groups_of_one_mind(ec2: Any) -> None:
    """The security groups of an instance are those of its first interface, whichever of them is asked or changed.

    moto keeps two lists: it shows none of an instance that was launched without, or with those of an interface, and
    adds a change of the one to what the other has.
    """
    run_instances, modify_interface = ec2.run_instances, ec2.modify_network_interface_attribute

    def give(instance: Any, groups: Sequence[Any]) -> None:
        instance.security_groups = list(dict.fromkeys(groups))
        if 0 in instance.nics:
            instance.nics[0]._group_set = instance.security_groups

    def found(group_ids: Sequence[str]) -> list[Any]:
        groups = {group_id: ec2.get_security_group_from_id(group_id) for group_id in group_ids}
        for group_id, group in groups.items():
            if group is None:
                raise InvalidSecurityGroupNotFoundError(group_id)
        return list(groups.values())

    def run(*args: Any, **kwargs: Any) -> Any:
        reservation = run_instances(*args, **kwargs)
        for instance in reservation.instances:
            give(instance, instance.nics[0]._group_set)
        return reservation

    def modify_instance(instance_id: str, group_ids: Sequence[str]) -> Any:
        instance = ec2.get_instance(instance_id)
        give(instance, found(group_ids))
        return instance

    def modify(eni_id: str, group_ids: Sequence[str], *args: Any, **kwargs: Any) -> None:
        groups = found(group_ids)
        modify_interface(eni_id, group_ids, *args, **kwargs)
        interface = ec2.get_network_interface(eni_id)
        if groups and interface.instance and interface.device_index == 0:
            give(interface.instance, groups)

    ec2.run_instances = run
    ec2.modify_instance_security_groups = modify_instance
    ec2.modify_network_interface_attribute = modify


def _complete_launch_templates() -> None:
    """A launch template shows the tags that it has now; moto shows those that it was made with."""
    LaunchTemplate.tags = property(LaunchTemplate.get_tags, lambda _template, _tags: None)


def _keep_own_tags_out_of_data(call: Call, result: Mapping[str, Any]) -> None:
    """A launch template's own tags are not those of what it launches; moto puts them into its data too."""
    template = Api.backends("ec2").get_launch_template(result["LaunchTemplate"]["LaunchTemplateId"])
    data = template.default_version().data
    kept = [entry for entry in data.pop("TagSpecifications", []) if entry["ResourceType"] != "launch-template"]
    if kept:
        data["TagSpecifications"] = kept


def _default_subnet(ec2: Any, availability_zone: str | None) -> str | None:
    subnets = ec2.get_default_subnets()
    if not subnets:
        return None
    return str(subnets[availability_zone or min(subnets)].id)


def _complete_root_volume(
    ec2: Any, instance: Any, requested: list[Mapping[str, Any]], volume_tags: Mapping[str, str]
) -> None:
    """Every instance has its image's root volume, which ends with it unless the launch says otherwise."""
    root = instance.root_device_name
    asked = next((mapping.get("Ebs", {}) for mapping in requested if mapping["DeviceName"] == root), None)
    if asked is None:
        instance.add_block_device(ROOT_VOLUME_GIB, root, None, False, True, None, "gp3")
        ec2.volumes[instance.block_device_mapping[root].volume_id].add_tags(volume_tags)


def _give_profile_to_all(call: Call, result: dict[str, Any]) -> None:
    """All instances of a launch have the instance profile, not just the first, and be it from the template."""
    ec2 = Api.backends("ec2")
    profile = launch_data(ec2, call.parameters).get("IamInstanceProfile")
    if profile:
        for launched in result["Instances"]:
            if launched["InstanceId"] not in ec2.iam_instance_profile_associations:
                ec2.associate_iam_instance_profile(launched["InstanceId"], profile.get("Name"), profile.get("Arn"))


def _keep_other_metadata_options(ec2: Any) -> None:
    """A modification of one metadata option leaves the others as they are."""
    modify = ec2.modify_instance_metadata_options

    def modify_given_options(**kwargs: Any) -> Any:
        now = ec2.get_instance(kwargs["instance_id"]).metadata_options
        current = {
            "http_tokens": now.http_tokens,
            "hop_limit": now.http_put_response_hop_limit,
            "http_endpoint": now.http_endpoint,
            "http_protocol": now.http_protocol_ipv6,
            "metadata_tags": now.instance_metadata_tags,
        }
        return modify(**current | {name: value for name, value in kwargs.items() if value is not None})

    ec2.modify_instance_metadata_options = modify_given_options


def _add_idle_timeout(call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
    """elb_application_lb reads the idle timeout of every application load balancer."""
    name = "idle_timeout.timeout_seconds"
    attributes = result["Attributes"]
    if not any(attribute["Key"] == name for attribute in attributes):
        attributes.append({"Key": name, "Value": IDLE_TIMEOUT_SECONDS})
    return result


def _show_balancers_of_groups() -> None:
    """A target group belongs to the load balancers that send to it now; moto keeps those that ever did."""

    def load_balancer_arns(group: Any) -> list[str]:
        elbv2 = elbv2_backends[group.account_id][group.region_name]
        return [
            balancer.arn
            for balancer in elbv2.load_balancers.values()
            if any(
                group.arn in elbv2._get_target_group_arns_from(action_data=action.data)
                for listener in balancer.listeners.values()
                for rule in listener.rules.values()
                for action in rule.actions
                if action.type == "forward"
            )
        ]

    FakeTargetGroup.load_balancer_arns = property(load_balancer_arns, lambda _group, _arns: None)


def _make_one_balancer_of_a_name(elbv2: Any) -> None:
    """Whoever creates a load balancer again with the same settings is told of the one there is, as of a target group.

    Other settings are refused by the strict rule elbv2-duplicate-name. Source: botocore elbv2 CreateLoadBalancer.
    """
    create = elbv2.create_load_balancer

    def create_or_find(name: str, *arguments: Any, **more: Any) -> Any:
        there = (balancer for balancer in elbv2.load_balancers.values() if balancer.name == name)
        return next(there, None) or create(name, *arguments, **more)

    elbv2.create_load_balancer = create_or_find


def _refuse_trust_stores(call: Call) -> None:
    if (call.parameters.get("MutualAuthentication") or {}).get("Mode") == "verify":
        raise ApiError(
            "TrustStoreNotFound", "The embedded cloud has no trust stores: mutual TLS is off or passthrough."
        )


def _complete_modified_listeners(api: Api) -> None:
    """moto forgets the certificates beside a listener's own when that changes, and mutual TLS at once."""
    elbv2 = api.backends("elbv2")
    modify = elbv2.modify_listener

    def modify_and_keep(arn: str, *arguments: Any) -> Any:
        (listener,) = elbv2.describe_listeners(load_balancer_arn=None, listener_arns=[arn])
        more = listener.certificates[1:]
        listener = modify(arn, *arguments)
        listener.certificates += [one for one in more if one not in listener.certificates]
        return listener

    def keep_mutual_authentication(call: Call, result: dict[str, Any]) -> None:
        if mode := call.parameters.get("MutualAuthentication"):
            (listener,) = elbv2.describe_listeners(
                load_balancer_arn=None, listener_arns=[call.parameters["ListenerArn"]]
            )
            listener.mutual_authentication = mode

    elbv2.modify_listener = modify_and_keep
    api.hooks.register("elbv2", "ModifyListener", after=keep_mutual_authentication)


def _keep_modified_subnet_groups(rds: Any) -> None:
    """moto forgets a subnet group once somebody modifies it."""
    modify = rds.modify_db_subnet_group

    def modify_and_keep(name: str, *arguments: Any) -> Any:
        rds.subnet_groups[name] = group = modify(name, *arguments)
        return group

    rds.modify_db_subnet_group = modify_and_keep


def _complete_databases() -> None:
    """An instance shows its certificate, and that the paid extension of support is on unless somebody says not."""
    DBInstance.engine_lifecycle_support = EXTENDED_SUPPORT
    DBInstance.ca_certificate_identifier = property(
        lambda _instance: AUTHORITY["CertificateIdentifier"], lambda _instance, _name: None
    )
    DBInstance.certificate_details = property(
        lambda instance: {
            "CAIdentifier": AUTHORITY["CertificateIdentifier"],
            "ValidTill": instance.instance_create_time + SERVER_CERTIFICATE_LIFE,
        }
    )


def _choose_support(call: Call, result: dict[str, Any]) -> None:
    chosen = call.parameters.get("EngineLifecycleSupport")
    if chosen:
        identifier = result["DBInstance"]["DBInstanceIdentifier"]
        Api.backends("rds").databases[identifier].engine_lifecycle_support = chosen


def _show_replaced_profile(call: Call, result: dict[str, Any]) -> None:
    """An instance shows the instance profile that replaced its own; moto shows it on the association only."""
    ec2, instance_id = Api.backends("ec2"), result["IamInstanceProfileAssociation"]["InstanceId"]
    association = ec2.iam_instance_profile_associations[instance_id]
    ec2.get_instance(instance_id).iam_instance_profile = association.iam_instance_profile


def note_start(call: Call, result: dict[str, Any]) -> None:
    """An instance's launch time is that of its last start; moto keeps that of the first."""
    for change in result["StartingInstances"]:
        if change["PreviousState"]["Name"] == "stopped":
            Api.backends("ec2").get_instance(change["InstanceId"]).launch_time = utcnow()


def complete_functions() -> None:
    """A function says where it writes its log, and takes another place and other processors; moto knows neither.

    Nor does it take another configuration of asynchronous invocations for the first one.
    """

    def make(function: Any, *args: Any, **kwargs: Any) -> None:
        MAKE_FUNCTION(function, *args, **kwargs)
        spec = kwargs["spec"] if "spec" in kwargs else args[1]
        function.logging_config = {"LogFormat": "Text", "LogGroup": function.logs_group_name}
        function.logging_config |= spec.get("LoggingConfig") or {}

    def tell(function: Any, on_create: bool = False) -> Any:
        return {**TELL_FUNCTION(function, on_create), "LoggingConfig": function.logging_config}

    def configure(function: Any, changes: Mapping[str, Any]) -> Any:
        function.logging_config |= changes.get("LoggingConfig") or {}
        return CONFIGURE_FUNCTION(function, changes)

    def change_code(function: Any, changes: Mapping[str, Any]) -> Any:
        function.architectures = changes.get("Architectures") or function.architectures
        return CHANGE_CODE(function, changes)

    def configure_invoke(functions: Any, name: str, config: dict[str, Any]) -> Any:
        functions.get_function(name).event_invoke_config = []
        return CONFIGURE_INVOKE(functions, name, config)

    LambdaFunction.__init__ = make
    LambdaFunction.get_configuration = tell
    LambdaFunction.update_configuration = configure
    LambdaFunction.update_function_code = change_code
    LambdaBackend.put_function_event_invoke_config = configure_invoke
