# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Certificate Manager refuses beyond its model."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

REQUEST = "acm.RequestCertificate"
IMPORT = "acm.ImportCertificate"

COMMON_NAME_LENGTH = 64
NAMES = 10


# --- pure decisions -----------------------------------------------------------------------------------------------


def name_length(parameters: Parameters) -> ApiError | None:
    name = parameters.get("DomainName") or ""
    if len(name) <= COMMON_NAME_LENGTH:
        return None
    message = f"The first domain name can be no longer than {COMMON_NAME_LENGTH} characters: {name}"
    return ApiError("ValidationException", message)


def number_of_names(parameters: Parameters) -> ApiError | None:
    names = {parameters.get("DomainName"), *(parameters.get("SubjectAlternativeNames") or [])}
    if len(names) <= NAMES:
        return None
    message = f"Error: Requested certificate contains {len(names)} domain names, the maximum is {NAMES}."
    return ApiError("LimitExceededException", message)


def key_fits(parameters: Parameters) -> ApiError | None:
    """Whether the private key belongs to the certificate; what is neither is moto's to refuse."""
    try:
        certificate = x509.load_pem_x509_certificate(_bytes(parameters.get("Certificate")))
        key = serialization.load_pem_private_key(_bytes(parameters.get("PrivateKey")), password=None)
    except (TypeError, ValueError):
        return None
    if key.public_key() == certificate.public_key():
        return None
    return ApiError("ValidationException", "The private key does not match the certificate.")


def _bytes(value: Any) -> bytes:
    """A blob as the protocol's parser leaves it."""
    content = value if isinstance(value, bytes) else str(value).encode()
    return content if content.lstrip().startswith(b"-----") else base64.b64decode(content)


# --- reading the account ------------------------------------------------------------------------------------------


def _certificate_in_use(call: Call, account: Account) -> ApiError | None:
    arn = call.parameters.get("CertificateArn")
    for load_balancer in account.backends("elbv2").load_balancers.values():
        if any(arn in listener.certificates for listener in load_balancer.listeners.values()):
            return ApiError("ResourceInUseException", f"Certificate {arn} is in use.")
    return None


def _import_over_issued(call: Call, account: Account) -> ApiError | None:
    existing = account.backends("acm")._certificates.get(call.parameters.get("CertificateArn"))
    if existing is None or existing.type == "IMPORTED":
        return None
    return ApiError(
        "ValidationException", f"The certificate {existing.arn} was not imported, so it cannot be replaced."
    )


RULES = (
    Rule(
        "acm-certificate-in-use",
        ("acm.DeleteCertificate",),
        "deleting a certificate that a listener uses",
        "botocore acm ResourceInUseException",
        _certificate_in_use,
    ),
    Rule(
        "acm-name-length",
        (REQUEST,),
        "a first domain name of more than 64 characters",
        "botocore acm RequestCertificateRequest.DomainName; code not verified",
        by_parameters(name_length),
    ),
    Rule(
        "acm-names",
        (REQUEST,),
        "more than 10 domain names in a certificate",
        "botocore acm RequestCertificateRequest.SubjectAlternativeNames, LimitExceededException; message not verified",
        by_parameters(number_of_names),
    ),
    Rule(
        "acm-import-over-issued",
        (IMPORT,),
        "importing over a certificate that was not imported",
        "botocore acm ImportCertificate; message not verified",
        _import_over_issued,
    ),
    Rule(
        "acm-import-key",
        (IMPORT,),
        "importing a private key that does not belong to the certificate",
        "botocore acm ImportCertificate; message not verified",
        by_parameters(key_fits),
    ),
)
