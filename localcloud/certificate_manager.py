# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificate Manager: a certificate that was requested is issued when its records stand in a hosted zone, not before.

moto issues by a timer. Here a request waits for the CNAME records that it names, in the public zones of the embedded
Route 53; then the embedded authority signs. Nothing runs meanwhile: whoever asks for a certificate's state is told what
has become of it by now. Sources: botocore acm model, acm-ug dns-validation, managed-renewal, troubleshooting-caa.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from localcloud import certificates, settings
from localcloud.api import Api
from localcloud.wire import ApiError, Call
from localcloud.zones import HostedZone, find, plain, zone_of

# How long after the request its records are named, and how long after they stand it is issued. Both take longer in
# life; whoever does not wait for them fails here too.
NAMING_SECONDS: Final = 2.0
VALIDATION_SECONDS: Final = 3.0
TIME_OUT_SECONDS: Final = 72 * 3600.0
RENEWAL_BEGINS: Final = timedelta(days=60)
VALIDATION_DOMAIN: Final = "acm-validations.aws"
# Whom a CAA record must name, so that Amazon may issue.
AUTHORITIES: Final = ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com")
CURVES: Final[Mapping[str, Callable[[], ec.EllipticCurve]]] = {
    "EC_prime256v1": ec.SECP256R1,
    "EC_secp384r1": ec.SECP384R1,
    "EC_secp521r1": ec.SECP521R1,
}
PENDING, ISSUED, FAILED, TIMED_OUT = "PENDING_VALIDATION", "ISSUED", "FAILED", "VALIDATION_TIMED_OUT"
# What a certificate has only once there is one.
OF_ISSUED: Final = ("IssuedAt", "NotAfter", "NotBefore", "Serial")


# --- pure decisions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """A certificate that was requested, and what has become of it."""

    names: tuple[str, ...]
    requested_at: float
    account: str = settings.ACCOUNT_ID
    valid_since: float | None = None  # since when all of its records stand
    status: str = PENDING
    failure: str | None = None
    validated: frozenset[str] = field(default_factory=frozenset)


def validation_record(account: str, domain: str) -> tuple[str, str]:
    """Name and value of the CNAME for a domain: the same for an account whenever it asks, and for its wildcard."""
    base = domain.removeprefix("*.")

    def token(purpose: str) -> str:
        return hashlib.md5(f"{purpose} {account} {base}".encode(), usedforsecurity=False).hexdigest()

    return f"_{token('name')}.{base}.", f"_{token('value')}.{token('zone')[:10]}.{VALIDATION_DOMAIN}."


def is_validated(zones: Iterable[HostedZone], account: str, domain: str) -> bool:
    """Whether the record of a domain stands in a zone."""
    name, value = validation_record(account, domain)
    zone = zone_of(zones, plain(name), outside=True)
    if zone is None:
        return False
    return any(
        one.type == "CNAME" and plain(one.value) == plain(value) for one in find(zone, plain(name), "CNAME").records
    )


def is_forbidden(zones: Iterable[HostedZone], domain: str) -> bool:
    """Whether the nearest CAA records above a domain name other authorities only."""
    wildcard, name = domain.startswith("*."), plain(domain.removeprefix("*."))
    zone = zone_of(zones, name, outside=True)
    while zone is not None:
        values = [one.value.split(None, 2) for one in find(zone, name, "CAA").records]
        tags = (
            {"issuewild"} if wildcard and any(len(one) == 3 and one[1] == "issuewild" for one in values) else {"issue"}
        )
        named = [one[2].strip('"').partition(";")[0].strip() for one in values if len(one) == 3 and one[1] in tags]
        if values:
            return bool(named) and not set(named) & set(AUTHORITIES)
        if name == zone.name:
            return False
        name = name.partition(".")[2]
    return False


def judged(request: Request, zones: Iterable[HostedZone], now: float) -> Request:
    """What has become of a request by now."""
    if request.status != PENDING:
        return request
    zones = tuple(zones)
    validated = frozenset(name for name in request.names if is_validated(zones, request.account, name))
    if validated != frozenset(request.names):
        late = now - request.requested_at >= TIME_OUT_SECONDS
        return replace(request, validated=validated, valid_since=None, status=TIMED_OUT if late else PENDING)
    since = now if request.valid_since is None else request.valid_since
    request = replace(request, validated=validated, valid_since=since)
    if now - since < VALIDATION_SECONDS:
        return request
    if any(is_forbidden(zones, name) for name in request.names):
        return replace(request, status=FAILED, failure="CAA_ERROR")
    return replace(request, status=ISSUED)


def domain_options(request: Request, now: float) -> list[dict[str, Any]]:
    """DomainValidationOptions: the records are named only a moment after the request."""
    failed = {FAILED: "FAILED", TIMED_OUT: "FAILED"}.get(request.status)
    options = []
    for name in request.names:
        record_name, value = validation_record(request.account, name)
        done = request.status == ISSUED or (name in request.validated and not failed)
        option: dict[str, Any] = {
            "DomainName": name,
            "ValidationDomain": name,
            "ValidationStatus": "SUCCESS" if done else failed or PENDING,
            "ValidationMethod": "DNS",
        }
        if now - request.requested_at >= NAMING_SECONDS:
            option["ResourceRecord"] = {"Name": record_name, "Type": "CNAME", "Value": value}
        options.append(option)
    return options


def renewal(
    request: Request, zones: Iterable[HostedZone], not_after: datetime, now: datetime, *, in_use: bool
) -> dict[str, Any]:
    """Whether Amazon would renew a certificate by itself, and how far that is."""
    if request.status != ISSUED or not in_use:
        return {"RenewalEligibility": "INELIGIBLE"}
    if not_after - now > RENEWAL_BEGINS:
        return {"RenewalEligibility": "ELIGIBLE"}
    zones = tuple(zones)
    standing = [is_validated(zones, request.account, name) for name in request.names]
    status = "PENDING_AUTO_RENEWAL" if all(standing) else PENDING
    options = [
        {**option, "ValidationStatus": "SUCCESS" if stands else PENDING}
        for option, stands in zip(domain_options(request, now.timestamp()), standing, strict=True)
    ]
    summary = {"RenewalStatus": status, "DomainValidationOptions": options, "UpdatedAt": now}
    return {"RenewalEligibility": "ELIGIBLE", "RenewalSummary": summary}


# --- the component ------------------------------------------------------------------------------------------------


class CertificateManager:
    """Certificates as they are requested, validated and issued. All of it happens under the API's lock."""

    def __init__(
        self,
        api: Api,
        public_zones: Callable[[], tuple[HostedZone, ...]],
        *,
        authority: Callable[[], certificates.Certificate] = certificates.ensure_authority,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._authority = authority
        self._zones = public_zones
        self._clock = clock
        self._requests: dict[str, Request] = {}
        self._ends: dict[str, datetime] = {}  # of certificates that were made older than they are
        hooks = api.hooks
        hooks.register("acm", "RequestCertificate", before=self._before_request, after=self._requested)
        hooks.register("acm", "DescribeCertificate", after=self._describe)
        hooks.register("acm", "GetCertificate", before=self._refuse_pending)
        hooks.register("acm", "ExportCertificate", before=self._refuse_pending)
        hooks.register("acm", "ListCertificates", after=self._list)

    def records_changed(self) -> None:
        """Somebody changed a record: note since when a request's records stand."""
        for arn in self._requests:
            self._judge(arn)

    def grow_old(self, arn: str, days_left: int) -> None:
        """Let an issued certificate end so soon, or have ended, as far as Certificate Manager tells."""
        self._ends[arn] = self._now() + timedelta(days=days_left)

    def _end(self, arn: str) -> datetime:
        end: datetime = self._api.backends("acm")._certificates[arn]._cert.not_valid_after_utc
        return self._ends.get(arn, end)

    def _before_request(self, call: Call) -> None:
        if call.parameters.get("ValidationMethod") not in (None, "DNS"):
            message = "The embedded cloud receives no e-mail and serves no page for it: validate by DNS."
            raise ApiError("ValidationException", message)

    def _requested(self, call: Call, result: dict[str, Any]) -> None:
        arn, parameters = result["CertificateArn"], call.parameters
        bundle = self._api.backends("acm")._certificates[arn]
        if arn in self._requests or bundle.type != "AMAZON_ISSUED":
            return
        names = tuple(dict.fromkeys([parameters["DomainName"], *(parameters.get("SubjectAlternativeNames") or [])]))
        self._requests[arn] = Request(names, self._clock())
        curve = CURVES.get(parameters.get("KeyAlgorithm") or "")
        if curve:
            bundle._key = ec.generate_private_key(curve())
        bundle.status = PENDING
        # moto asks this whenever a certificate is looked at.
        bundle.check = lambda: self._judge(arn)
        self._judge(arn)

    def _judge(self, arn: str) -> None:
        bundle = self._api.backends("acm")._certificates.get(arn)
        if bundle is None:
            return
        before = self._requests[arn]
        after = self._requests[arn] = judged(before, self._zones(), self._clock())
        if after.status == ISSUED and before.status != ISSUED:
            authority = self._authority()
            bundle.cert, bundle.key = certificates.sign(authority, after.names, key=bundle._key)
            bundle.chain = authority.certificate
            bundle._cert = x509.load_pem_x509_certificate(bundle.cert)
            bundle.issued_at = self._clock()
        bundle.status = after.status
        if after.status == ISSUED and self._now() >= self._end(arn):
            bundle.status = "EXPIRED"

    def _refuse_pending(self, call: Call) -> None:
        arn = call.parameters["CertificateArn"]
        if arn in self._requests:
            self._judge(arn)
            if self._requests[arn].status == PENDING:
                message = f"The certificate request for {arn} is in process and the certificate is not issued yet."
                raise ApiError("RequestInProgressException", message)

    def _describe(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        shown = result["Certificate"]
        arn = shown["CertificateArn"]
        shown["InUseBy"] = self._users(arn)
        request = self._requests.get(arn)
        if request is None:
            return result
        bundle = self._api.backends("acm")._certificates[arn]
        shown |= {
            "DomainName": request.names[0],
            "SubjectAlternativeNames": list(request.names),
            "Issuer": "Amazon",
            "DomainValidationOptions": domain_options(request, self._clock()),
            **renewal(request, self._zones(), self._end(arn), self._now(), in_use=bool(shown["InUseBy"])),
        }
        if request.failure:
            shown["FailureReason"] = request.failure
        if request.status == ISSUED:
            shown |= {"IssuedAt": datetime.fromtimestamp(bundle.issued_at, UTC), "NotAfter": self._end(arn)}
        else:
            shown = {name: value for name, value in shown.items() if name not in OF_ISSUED}
        return {"Certificate": shown}

    def _list(self, call: Call, result: dict[str, Any]) -> Mapping[str, Any]:
        for summary in result["CertificateSummaryList"]:
            request = self._requests.get(summary["CertificateArn"])
            in_use = bool(self._users(summary["CertificateArn"]))
            if "InUse" in summary:
                summary["InUse"] = in_use
            if request is not None:
                summary["DomainName"] = request.names[0]
                if request.status != ISSUED:
                    for name in OF_ISSUED:
                        summary.pop(name, None)
        return result

    def _users(self, arn: str) -> list[str]:
        """The load balancers with a listener that has this certificate."""
        return [
            balancer.arn
            for balancer in self._api.backends("elbv2").load_balancers.values()
            if any(arn in listener.certificates for listener in balancer.listeners.values())
        ]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
