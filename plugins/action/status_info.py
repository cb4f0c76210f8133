# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What status_report tells of, read in one pass over AWS, and of a host in one look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.aws_calls import ReadError
from ..module_utils.deploy_lock import lock_path
from ..module_utils.ecr import registry_host
from ..module_utils.plan.host_update import PACKAGE, present_release
from ..module_utils.plan.instance import STATES
from ..module_utils.plan.report import account_entries
from ..module_utils.proxy import SOCKET
from ..module_utils.queues import with_dead_letter_queues
from ..module_utils.releases import releases_name
from ..module_utils.services import on_host, repositories
from ..module_utils.status import digest_findings, host_room, host_services
from ..plugin_utils.aws_action import advised
from ..plugin_utils.plan_action import PlanAction
from ..plugin_utils.variables import Variables, container_variables

OPTIONS: Mapping[str, Any] = {
    "hosts": {"type": "list", "elements": "str"},
    "queue_names": {"type": "list", "elements": "str", "default": []},
    "container_images": {"type": "dict", "default": {}},
}
ROOT_DISK = "/"
TRANSCODE = "transcode_volume_mount_point"
URL, HEADERS, ANSWER = "container_health_url", "container_health_headers", "container_health_answer"


class ActionModule(PlanAction):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        options, variables = self.take(self._task.args, OPTIONS), task_vars or {}
        read = self._aws if options["hosts"] is not None else self._host
        return {**result, "changed": False, **read(options, variables)}

    def _aws(self, options: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        project = self.resolved(variables, "deployment_name")
        filters = {"tag:Name": options["hosts"], "tag:Project": project, "instance-state-name": [*STATES]}
        asked = {
            "caller": True,
            "instance_filters": filters,
            "queue_names": with_dead_letter_queues(options["queue_names"]),
            "image_repositories": repositories(self.resolved(variables, "services")),
            "lock_path": lock_path(project),
            "releases_parameter": releases_name(project),
        }
        try:
            found = self.read_aws(asked)
        except ReadError as error:
            return {"failed": True, "msg": advised(error.told())}
        foreign = account_entries(found.pop("caller"), self.resolved(variables, "aws_account_id"))
        if foreign:
            return {"failed": True, "msg": foreign[0]["lines"][0]}
        return {**found, "instances": {instance["tags"]["Name"]: instance for instance in found["instances"]}}

    def _host(self, options: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        rows = on_host(self.resolved(variables, "services"), variables["group_names"])
        registry = registry_host(self.resolved(variables, "aws_account_id"), self.resolved(variables, "aws_region"))
        own = {
            service: Variables(
                container_variables(row.role, service, variables, self._loader),
                variables["inventory_hostname"],
                self._loader,
            )
            .take([URL, HEADERS, ANSWER])
            .values
            for service, row in rows.items()
        }
        disks = [ROOT_DISK, *([self.resolved(variables, TRANSCODE)] if TRANSCODE in variables else [])]
        asked = {
            "containers": True,
            "repositories": [f"{registry}/{row.name}" for row in rows.values()],
            "proxies": [SOCKET] if any(row.slots for row in rows.values()) else [],
            "addresses": [
                {"url": given[URL], "headers": given.get(HEADERS, {}), "expected": given.get(ANSWER, {})}
                for given in own.values()
                if given.get(URL)
            ],
            "disks": disks,
            "packages": [PACKAGE],
        }
        try:
            found = self.read_host(asked, variables)
        except AnsibleActionFail as error:
            return {"failed": True, "msg": str(error)}
        services = host_services(rows, registry, {service: given.get(URL, "") for service, given in own.items()}, found)
        wrong = digest_findings(services, options["container_images"], self.resolved(variables, "release"))
        return {"services": services, "wrong": wrong, "host_release": present_release(found), **host_room(found)}
