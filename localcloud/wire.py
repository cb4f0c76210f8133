# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS wire protocols: which operation a request is, its parameters, and answers in the same protocol.

moto knows the protocols from botocore's models; this module only asks it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import parse_qs

from botocore.parsers import create_parser
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from moto.utilities.aws_headers import gen_amzn_requestid_long
from werkzeug.exceptions import NotFound

# Names in the credential scope that differ from botocore's name of the service.
SERVICE_OF_SIGNING_NAME: Mapping[str, str] = {
    "elasticloadbalancing": "elbv2",
    "email": "ses",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
# Elastic Load Balancing's two generations share one signing name and differ in the API version.
CLASSIC_LOAD_BALANCING_VERSION = "2012-06-01"

READING_VERBS = (
    "BatchCheck", "BatchGet", "Decode", "Describe", "Estimate", "Filter", "Get", "Head", "List", "Lookup", "Preview",
    "Query", "Scan", "Search", "Select", "Simulate", "Test", "Validate",
)  # fmt: skip


class ApiError(Exception):
    """An error as AWS answers it; rendered in the protocol of the call. The service's model knows the usual status."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Call:
    """One request to the AWS API, identified."""

    service: str
    action: str
    region: str
    access_key: str
    request: Request = field(repr=False)
    operation: OperationModel = field(repr=False)
    path_parameters: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.service}.{self.action}"

    @property
    def writes(self) -> bool:
        return is_write(self.action)

    @cached_property
    def protocol(self) -> str:
        return str(determine_request_protocol(self.operation.service_model, self.request.content_type))

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The parameters as boto3 names them."""
        parser = PROTOCOL_PARSERS[self.protocol](self.operation)
        parsed: dict[str, Any] | None = parser.parse(
            {
                "method": self.request.method,
                "values": self.request.values,
                "headers": self.request.headers,
                "body": self.request.get_data(),
                "url_path": self.request.path,
                "url_params": dict(self.path_parameters),
            }
        )
        return parsed or {}


def is_write(action: str) -> bool:
    """Whether an operation may change anything, judged by its verb."""
    return not action.startswith(READING_VERBS)


def credential_scope(authorization: str) -> tuple[str, str, str] | None:
    """Access key, region and signing name of a version 4 signature; None for anything else."""
    _, found, rest = authorization.partition("Credential=")
    parts = rest.split(",", 1)[0].strip().split("/")
    if not found or len(parts) != 5:
        return None
    access_key, _, region, signing_name, _ = parts
    return access_key, region, signing_name.lower()


def signed_scope(environ: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Whose signature a request carries, in its header or, presigned, in its URL."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    presigned = f"Credential={query.get('X-Amz-Credential', [''])[0]}"
    return credential_scope(environ.get("HTTP_AUTHORIZATION", "")) or credential_scope(presigned)


def identify(environ: Mapping[str, Any], body: bytes) -> Call | None:
    """The operation that a signed request asks for; None where it is none (unsigned, or unknown to botocore)."""
    scope = signed_scope(environ)
    if scope is None:
        return None
    access_key, region, signing_name = scope
    request = Request({**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    request.get_data()  # cached: both the form and the body are read from it later
    service = SERVICE_OF_SIGNING_NAME.get(signing_name, signing_name)
    if service == "elbv2" and request.values.get("Version") == CLASSIC_LOAD_BALANCING_VERSION:
        service = "elb"
    try:
        operation, path_parameters = _router(service).match(request)
    except (NotFound, NotImplementedError, LookupError):
        # In this order: no such path, no such operation of the protocol, no such service. moto answers these itself.
        return None
    return Call(service, str(operation.name), region, access_key, request, operation, path_parameters)


def render_result(call: Call, result: Mapping[str, Any]) -> Answer:
    """A result (as boto3 shows it) in the protocol of the call."""
    content = {key: value for key, value in result.items() if key != "ResponseMetadata"}
    return _render(call, content, _status_in(call, content))


def _status_in(call: Call, result: Mapping[str, Any]) -> int | None:
    """The HTTP status, where a result holds it (lambda.Invoke)."""
    members = call.operation.output_shape.members if call.operation.output_shape else {}
    placed = (name for name, shape in members.items() if shape.serialization.get("location") == "statusCode")
    return next((int(result[name]) for name in placed if name in result), None)


def render_error(call: Call, error: ApiError | ServiceException) -> Answer:
    """An error in the protocol of the call."""
    return _render(call, error, error.status if isinstance(error, ApiError) else None)


def parse_result(call: Call, answer: Answer) -> dict[str, Any]:
    """What boto3 would make of an answer."""
    parsed: dict[str, Any] = create_parser(call.protocol).parse(
        {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.body},
        call.operation.output_shape,
    )
    parsed.pop("ResponseMetadata", None)
    return parsed


def _render(call: Call, result: object, status: int | None = None) -> Answer:
    request_id = gen_amzn_requestid_long({})
    serializer = get_serializer_class(str(call.operation.service_model.service_name), call.protocol)(
        operation_model=call.operation, context=SerializationContext(request_id)
    )
    serialized = serializer.serialize(result)
    body = serialized["body"]
    encoded = body if isinstance(body, bytes) else body.encode()
    headers = [(name, str(value)) for name, value in serialized["headers"].items()]
    headers += [("x-amzn-requestid", request_id)]
    return Answer(status or serialized["status_code"], headers, encoded)


@lru_cache
def _router(service: str) -> Any:
    try:
        get_service_model(service)
    except Exception as error:  # botocore and moto raise several kinds for a service they do not know
        raise LookupError(service) from error
    return get_service_router(service)
