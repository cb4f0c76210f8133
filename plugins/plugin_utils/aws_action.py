# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that read AWS without a module's process.

Ansible makes a process for each task anyway. A module makes another one, which imports Ansible and boto3 once more:
most of the time of a run that changes nothing (docs/performance.md). What only reads, and always on the control node,
is done without.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, NoReturn

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec
from ansible_collections.amazon.aws.plugins.plugin_utils.base import AWSPluginBase
from ansible_collections.amazon.aws.plugins.plugin_utils.botocore import get_aws_connection_info

from ..module_utils.operator_policy import DOCUMENTS, advice, read_documents

with suppress(ImportError):  # take() tells
    from boto3.session import Session
    from botocore.exceptions import BotoCoreError


def advised(message: str) -> str:
    """An error, and where IAM refused, what to attach."""
    told = advice(message, read_documents(DOCUMENTS))
    return f"{message.rstrip('.')}. {told}" if told else message


class AwsAction(AWSPluginBase, ActionBase):  # type: ignore[misc]
    """Takes the connection options that every AWS module has, and makes clients of them."""

    _parameters: dict[str, Any]
    _session: Session | None = None

    def take(
        self, arguments: Mapping[str, Any], specification: Mapping[str, Any] | None = None, **rules: Any
    ) -> dict[str, Any]:
        """Validate arguments, of which client() takes the connection from then on. Raises AnsibleActionFail."""
        validated = ArgumentSpecValidator({**aws_argument_spec(), **(specification or {})}, **rules).validate(arguments)
        if validated.error_messages:
            raise AnsibleActionFail("; ".join(validated.error_messages))
        try:
            self.require_aws_sdk()
        except AnsibleBotocoreError as error:
            raise AnsibleActionFail(str(error)) from error
        self._parameters = validated.validated_parameters
        return self._parameters

    def client(self, service: str) -> Any:
        """A boto3 client. Raises AnsibleActionFail.

        One session makes them all: the base class has one for each, which looks for credentials and reads all endpoints
        of AWS once more.
        """
        region, endpoint, connection = get_aws_connection_info(self)
        profile, config = connection.pop("profile_name", None), connection.pop("aws_config", None)
        try:
            self._session = self._session or Session(profile_name=profile)
            make: Any = self._session.client
            return make(service, region_name=region, endpoint_url=endpoint, config=config, **connection)
        except (ValueError, BotoCoreError) as error:
            self.fail_aws("Couldn't connect to AWS", exception=error)

    def get_options(self) -> dict[str, Any]:
        """Where the base class looks for the connection."""
        return self._parameters

    def _do_fail(self, message: str) -> NoReturn:
        raise AnsibleActionFail(message)


class AwsInfoAction(AwsAction):
    """A task that does nothing else."""

    _supports_check_mode = True
    SPECIFICATION: ClassVar[Mapping[str, Any]]
    # Which of them exclude or demand one another, as ArgumentSpecValidator takes it.
    RULES: ClassVar[Mapping[str, Any]] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        parameters = self.take(self._task.args, self.SPECIFICATION, **self.RULES)
        result.update(changed=False, **self.answer(parameters))
        if result.get("failed"):
            result["msg"] = advised(result["msg"])
        return result

    @abstractmethod
    def answer(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What the task returns; with failed and msg where it cannot."""
