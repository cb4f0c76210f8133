# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Lambda refuses beyond its model."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping

from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

CREATE = "lambda.CreateFunction"
CONFIGURE = "lambda.UpdateFunctionConfiguration"
SERVICE = "lambda.amazonaws.com"
ENVIRONMENT_BYTES = 4096
TIMEOUT_SECONDS = 900
MEMORY_MIB = 10240
RESERVED_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
    }
)


def in_range(member: str, maximum: int) -> Callable[[Parameters], ApiError | None]:
    """The model's maximum is that of functions on managed instances, which have a capacity provider."""

    def decide(parameters: Parameters) -> ApiError | None:
        asked = parameters.get(member)
        if asked is None or asked <= maximum or parameters.get("CapacityProviderConfig"):
            return None
        message = (
            f"'{member}' value failed to satisfy constraint: Member must have value less than or equal to {maximum}"
        )
        return ApiError("ValidationException", message)

    return decide


def reserved_variables(parameters: Parameters) -> ApiError | None:
    reserved = sorted(RESERVED_VARIABLES & set(_variables(parameters)))
    if not reserved:
        return None
    message = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
        "contains reserved keys that are currently not supported for modification. "
        f"Reserved keys used in this request: {', '.join(reserved)}"
    )
    return ApiError("InvalidParameterValueException", message)


def environment_size(parameters: Parameters) -> ApiError | None:
    if len(json.dumps(_variables(parameters), ensure_ascii=False).encode()) <= ENVIRONMENT_BYTES:
        return None
    message = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
        "exceeded the 4KB limit."
    )
    return ApiError("InvalidParameterValueException", message)


def archive(parameters: Parameters) -> ApiError | None:
    content = (parameters.get("Code") or parameters).get("ZipFile")
    if content is None or zipfile.is_zipfile(io.BytesIO(content)):
        return None
    message = "Could not unzip uploaded file. Please check your file, then try to upload again."
    return ApiError("InvalidParameterValueException", message)


def _variables(parameters: Parameters) -> Mapping[str, str]:
    return (parameters.get("Environment") or {}).get("Variables") or {}


def _statement_id(call: Call, account: Account) -> ApiError | None:
    function = next(
        (
            found
            for found in account.backends("lambda").list_functions()
            if call.parameters.get("FunctionName") in (found.function_name, found.function_arn)
        ),
        None,
    )
    policy = function.policy if function else None
    wanted = call.parameters.get("StatementId")
    if policy is None or wanted not in {statement.get("Sid") for statement in policy.statements}:
        return None
    message = (
        f"The statement id ({wanted}) provided already exists. "
        "Please provide a new statement id, or remove the existing statement."
    )
    return ApiError("ResourceConflictException", message)


def _role(call: Call, account: Account) -> ApiError | None:
    arn = call.parameters.get("Role")
    if arn is None:
        return None
    role = next((role for role in account.backends("iam").roles.values() if role.arn == arn), None)
    if role is not None and _trusts_lambda(role.assume_role_policy_document):
        return None
    return ApiError("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")


def _trusts_lambda(document: str) -> bool:
    statements = json.loads(document).get("Statement", [])
    for statement in [statements] if isinstance(statements, Mapping) else statements:
        services = (statement.get("Principal") or {}).get("Service", [])
        if statement.get("Effect") == "Allow" and SERVICE in ([services] if isinstance(services, str) else services):
            return True
    return False


RULES = (
    Rule(
        "lambda-role",
        (CREATE, CONFIGURE),
        "a role that does not exist or that Lambda may not take on",
        "danilop/LambdAuth#49, nficano/python-lambda#28, boto/boto3#2976",
        _role,
    ),
    Rule(
        "lambda-timeout",
        (CREATE, CONFIGURE),
        "a timeout above 900 s",
        "botocore lambda CreateFunctionRequest.Timeout; code not verified",
        by_parameters(in_range("Timeout", TIMEOUT_SECONDS)),
    ),
    Rule(
        "lambda-memory",
        (CREATE, CONFIGURE),
        "memory above 10240 MiB",
        "lambda-dg gettingstarted-limits, alexcasalboni/aws-lambda-power-tuning#224",
        by_parameters(in_range("MemorySize", MEMORY_MIB)),
    ),
    Rule(
        "lambda-reserved-variables",
        (CREATE, CONFIGURE),
        "environment variables whose names Lambda reserves",
        "lambda-dg configuration-envvars, botocore lambda InvalidParameterValueException",
        by_parameters(reserved_variables),
    ),
    Rule(
        "lambda-environment-size",
        (CREATE, CONFIGURE),
        "environment variables of more than 4 KB",
        "lambda-dg gettingstarted-limits, botocore lambda InvalidParameterValueException",
        by_parameters(environment_size),
    ),
    Rule(
        "lambda-archive",
        (CREATE, "lambda.UpdateFunctionCode"),
        "code that is no ZIP file",
        "botocore lambda FunctionCode.ZipFile; message not verified",
        by_parameters(archive),
    ),
    Rule(
        "lambda-statement-id",
        ("lambda.AddPermission",),
        "a second permission of the same statement ID",
        "botocore lambda AddPermission and ResourceConflictException",
        _statement_id,
    ),
)
