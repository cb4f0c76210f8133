# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of EBS: which one a volume gets by itself, and what becomes of a host whose starter may not use it.

The call succeeds, as at AWS. Then the new instance is terminated, and the stopped one stopped again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from localcloud.api import Api
from localcloud.guard import DeniedError, Guard
from localcloud.policy import Need
from localcloud.spot import Hosts, set_reason
from localcloud.wire import Call

log = logging.getLogger(__name__)

MANAGED = "alias/aws/ebs"
GRANT = "kms:CreateGrant"
REASON = "Client.InternalError: Client error on launch"


class Keys:
    """EC2's calls about its default key, and its reactions to a start."""

    def __init__(self, api: Api, guard: Guard, hosts: Hosts) -> None:
        self._api = api
        self._guard = guard
        self._hosts = hosts
        hooks = api.hooks
        hooks.register("ec2", "GetEbsDefaultKmsKeyId", instead=lambda _: {"KmsKeyId": self._default()})
        hooks.register("ec2", "ResetEbsDefaultKmsKeyId", instead=self._reset)
        hooks.register("ec2", "RunInstances", after=self._launched)
        hooks.register("ec2", "StartInstances", after=self._started)

    def _managed(self) -> str:
        """The key that AWS keeps for the account."""
        kms = self._api.backends("kms")
        return str(kms.get_key_id_from_alias(MANAGED)) if kms.alias_exists(MANAGED) else ""

    def _default(self) -> str:
        """Of the one that AWS manages the alias, as long as there is none; after that its ARN like any other's."""
        return str(self._api.backends("ec2").default_kms_key_id) or MANAGED

    def _reset(self, _call: Call) -> Mapping[str, Any]:
        self._api.backends("ec2").default_kms_key_id = ""
        return {"KmsKeyId": MANAGED}

    def _launched(self, call: Call, result: dict[str, Any]) -> None:
        for instance in self._unreadable(call, [launched["InstanceId"] for launched in result["Instances"]]):
            self._hosts.remove(instance)
            set_reason(instance, REASON)

    def _started(self, call: Call, result: dict[str, Any]) -> None:
        for instance in self._unreadable(call, [change["InstanceId"] for change in result["StartingInstances"]]):
            self._hosts.give_up(instance, REASON)

    def _unreadable(self, call: Call, instance_ids: list[str]) -> list[Any]:
        """Instances with a volume whose key the caller cannot hand over to EC2."""
        ec2 = self._api.backends("ec2")
        found = ec2.get_multi_instances_by_id(instance_ids)
        return [instance for instance in found if not all(self._may(call, key) for key in _keys_of(ec2, instance))]

    def _may(self, call: Call, key: str) -> bool:
        if key.rpartition("/")[2] == self._managed():
            return True
        try:
            self._guard.authorize(call.access_key, Need(GRANT, key))
        except DeniedError as denied:
            log.info("%s: %s", call.name, denied)
            return False
        return True


def _keys_of(ec2: Any, instance: Any) -> set[str]:
    volumes = (ec2.volumes.get(mapping.volume_id) for mapping in instance.block_device_mapping.values())
    return {str(volume.kms_key_id) for volume in volumes if volume is not None and volume.kms_key_id}
