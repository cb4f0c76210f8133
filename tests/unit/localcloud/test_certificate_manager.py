# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates from the request to the issue, and when they are not issued."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from localcloud import certificates, fixes, settings
from localcloud.api import Api
from localcloud.certificate_manager import (
    NAMING_SECONDS,
    TIME_OUT_SECONDS,
    VALIDATION_SECONDS,
    CertificateManager,
    Request,
    domain_options,
    is_forbidden,
    judged,
    renewal,
    validation_record,
)
from localcloud.zones import HostedZone, RecordSet, Zones, plain

# A region of its own, so that no other test sees what these leave behind.
REGION = "eu-west-3"
ACCOUNT = "123456789012"
NAMES = ("academy.example", "*.academy.example")


def record(domain: str = "academy.example") -> RecordSet:
    name, value = validation_record(ACCOUNT, domain)
    return RecordSet(plain(name), "CNAME", 60, (value,))


def zone(*record_sets: RecordSet, private: bool = False) -> HostedZone:
    return HostedZone("academy.example", record_sets, private)


def caa(value: str, name: str = "academy.example") -> RecordSet:
    return RecordSet(name, "CAA", 60, (value,))


REQUEST = Request(NAMES, requested_at=100.0)
STANDING = replace(REQUEST, validated=frozenset(NAMES), valid_since=200.0)
ISSUED = replace(STANDING, status="ISSUED")
IN_TIME = 200.0 + VALIDATION_SECONDS
ELSEWHERE = RecordSet(record().name, "CNAME", 60, ("_other.acm-validations.aws.",))


def test_the_record_is_the_same_for_an_account_and_for_a_wildcard() -> None:
    assert validation_record(ACCOUNT, "academy.example") == validation_record(ACCOUNT, "*.academy.example")
    assert validation_record(ACCOUNT, "academy.example") != validation_record("210987654321", "academy.example")
    name, value = validation_record(ACCOUNT, "www.academy.example")
    assert name.endswith(".www.academy.example.")
    assert value.endswith(".acm-validations.aws.")


@pytest.mark.parametrize(
    ("request_", "zones", "now", "expected"),
    [
        (REQUEST, [], 200.0, REQUEST),
        (REQUEST, [zone(ELSEWHERE)], 200.0, REQUEST),
        (REQUEST, [zone(record(), private=True)], 200.0, REQUEST),
        (REQUEST, [zone(record())], 200.0, STANDING),
        (STANDING, [zone(record())], IN_TIME - 1, STANDING),
        (STANDING, [zone(record())], IN_TIME, ISSUED),
        (STANDING, [zone()], IN_TIME, REQUEST),
        (REQUEST, [], 100.0 + TIME_OUT_SECONDS, replace(REQUEST, status="VALIDATION_TIMED_OUT")),
        (ISSUED, [], 100.0 + TIME_OUT_SECONDS, ISSUED),
        (
            STANDING,
            [zone(record(), caa('0 issue "letsencrypt.org"'))],
            IN_TIME,
            replace(STANDING, status="FAILED", failure="CAA_ERROR"),
        ),
        (
            replace(REQUEST, names=(*NAMES, "other.example")),
            [zone(record())],
            200.0,
            replace(REQUEST, names=(*NAMES, "other.example"), validated=frozenset(NAMES)),
        ),
    ],
)
def test_what_becomes_of_a_request(request_: Request, zones: list[HostedZone], now: float, expected: Request) -> None:
    assert judged(request_, zones, now) == expected


@pytest.mark.parametrize(
    ("records", "domain", "expected"),
    [
        ((), "www.academy.example", False),
        ((caa('0 issue "amazon.com"'),), "www.academy.example", False),
        ((caa('0 issue "letsencrypt.org"'),), "www.academy.example", True),
        ((caa('0 issue ";"'),), "www.academy.example", True),
        ((caa('0 issue "letsencrypt.org"'), caa('0 issue "amazon.com"', "www.academy.example")),
         "www.academy.example", False),
        ((caa('0 issuewild "letsencrypt.org"'),), "www.academy.example", False),
        ((caa('0 issuewild "letsencrypt.org"'),), "*.academy.example", True),
        ((caa('0 issue "letsencrypt.org"'),), "*.academy.example", True),
        ((caa('0 iodef "mailto:a@academy.example"'),), "academy.example", False),
    ],
)  # fmt: skip
def test_who_may_issue(records: tuple[RecordSet, ...], domain: str, expected: bool) -> None:
    assert is_forbidden([zone(*records)], domain) is expected


def test_the_records_are_named_a_moment_after_the_request() -> None:
    assert all("ResourceRecord" not in one for one in domain_options(REQUEST, 100.0))
    options = domain_options(REQUEST, 100.0 + NAMING_SECONDS)
    assert [one["ResourceRecord"]["Name"] for one in options] == [validation_record(ACCOUNT, NAMES[0])[0]] * 2


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (REQUEST, "PENDING_VALIDATION"),
        (STANDING, "SUCCESS"),
        (ISSUED, "SUCCESS"),
        (replace(REQUEST, status="VALIDATION_TIMED_OUT"), "FAILED"),
    ],
)
def test_how_far_each_domain_is(request_: Request, status: str) -> None:
    assert {one["ValidationStatus"] for one in domain_options(request_, 200.0)} == {status}


NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("request_", "days", "in_use", "zones", "expected"),
    [
        (ISSUED, 300, True, [], ("ELIGIBLE", None)),
        (ISSUED, 300, False, [], ("INELIGIBLE", None)),
        (REQUEST, 300, True, [], ("INELIGIBLE", None)),
        (ISSUED, 59, True, [zone(record())], ("ELIGIBLE", "PENDING_AUTO_RENEWAL")),
        (ISSUED, 59, True, [zone()], ("ELIGIBLE", "PENDING_VALIDATION")),
    ],
)
def test_renewal(
    request_: Request, days: int, in_use: bool, zones: list[HostedZone], expected: tuple[str, str | None]
) -> None:
    found = renewal(request_, zones, NOW + timedelta(days=days), NOW, in_use=in_use)
    assert (found["RenewalEligibility"], found.get("RenewalSummary", {}).get("RenewalStatus")) == expected


# --- the component ------------------------------------------------------------------------------------------------


@dataclass
class Account:
    """A control plane whose certificates wait for records, and a clock that tests turn."""

    api: Api
    authority: certificates.Certificate
    now: float
    manager: CertificateManager = field(init=False)

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=f"http://{settings.API_HOST}:{self.api.port}",
            region_name=REGION,
            aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
            aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
        )


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "REGION", REGION)
        patch.setattr(settings, "API_PORT", 0)
        made = Account(Api(), certificates.create_authority(), datetime.now(UTC).timestamp())
        fixes.install(made.api)
        zones = Zones(made.api)
        manager = CertificateManager(made.api, zones.public, authority=lambda: made.authority, clock=lambda: made.now)
        zones.listeners.append(manager.records_changed)
        made.manager = manager
        made.api.start()
        yield made
        made.api.stop()


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("RSA_2048", rsa.RSAPublicKey), ("EC_prime256v1", ec.EllipticCurvePublicKey)]
)
def test_a_certificate_is_issued_by_our_authority_when_its_record_stands(
    account: Account, algorithm: str, kind: type
) -> None:
    acm, route53 = account.client("acm"), account.client("route53")
    name = f"{algorithm.lower().replace('_', '-')}.example"
    arn = acm.request_certificate(DomainName=name, ValidationMethod="DNS", KeyAlgorithm=algorithm)["CertificateArn"]

    def described() -> Any:
        return acm.describe_certificate(CertificateArn=arn)["Certificate"]

    account.now += 3600
    assert described()["Status"] == "PENDING_VALIDATION"
    assert not {"IssuedAt", "NotAfter", "NotBefore", "Serial"} & described().keys()
    with pytest.raises(ClientError, match="RequestInProgressException"):
        acm.get_certificate(CertificateArn=arn)
    wanted = described()["DomainValidationOptions"][0]["ResourceRecord"]
    zone_id = route53.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]
    record_set = {
        "Name": wanted["Name"], "Type": wanted["Type"], "TTL": 60, "ResourceRecords": [{"Value": wanted["Value"]}]
    }  # fmt: skip
    changes = [{"Action": "UPSERT", "ResourceRecordSet": record_set}]
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": changes})
    assert described()["Status"] == "PENDING_VALIDATION"
    assert described()["DomainValidationOptions"][0]["ValidationStatus"] == "SUCCESS"
    account.now += VALIDATION_SECONDS
    assert (described()["Status"], described()["KeyAlgorithm"]) == ("ISSUED", algorithm)
    assert described()["RenewalEligibility"] == "INELIGIBLE"
    found = acm.get_certificate(CertificateArn=arn)
    certificate = x509.load_pem_x509_certificate(found["Certificate"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(account.authority.certificate))
    assert isinstance(certificate.public_key(), kind)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name]
    assert found["CertificateChain"].encode() == account.authority.certificate
    account.manager.grow_old(arn, 1)
    assert (described()["Status"], (described()["NotAfter"] - datetime.now(UTC)).days < 2) == ("ISSUED", True)
    account.manager.grow_old(arn, -1)
    assert described()["Status"] == "EXPIRED"


def test_a_request_that_nobody_validates_times_out(account: Account) -> None:
    acm = account.client("acm")
    arn = acm.request_certificate(DomainName="late.example", ValidationMethod="DNS")["CertificateArn"]
    account.now += TIME_OUT_SECONDS
    listed = acm.list_certificates(CertificateStatuses=["VALIDATION_TIMED_OUT"])["CertificateSummaryList"]
    assert [one["CertificateArn"] for one in listed] == [arn]


def test_nobody_reads_mail_here(account: Account) -> None:
    with pytest.raises(ClientError, match="validate by DNS"):
        account.client("acm").request_certificate(DomainName="mail.example", ValidationMethod="EMAIL")
