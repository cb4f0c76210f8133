# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate of Certificate Manager: whether it can serve a name, and if not, why and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from .findings import Finding, Words

Values = Mapping[str, Any]

ISSUED, PENDING, FAILED = "ISSUED", "PENDING_VALIDATION", "FAILED"
# Over without anybody's fault but time's: another one is requested in their place.
OVER = ("VALIDATION_TIMED_OUT", "EXPIRED")
# A name as the public DNS has it, in at least two parts, without a wildcard.
PUBLIC_NAME = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])")
# ACM takes no longer common name.
LONGEST_NAME = 64
CERTIFICATE_ARN = re.compile(r"arn:aws:acm:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):certificate/[A-Za-z0-9-]+")
# ACM renews what it has issued itself 60 days before the end, and tries until then.
WARNED_DAYS = 45

# What ACM says of a request that failed.
FAILURES: Mapping[str, Words] = {
    "NO_AVAILABLE_CONTACTS": Words("nobody could be asked by mail", "메일로 확인할 담당자가 없습니다"),
    "ADDITIONAL_VERIFICATION_REQUIRED": Words(
        "AWS wants to know more about the domain: open a case with AWS Support",
        "AWS가 도메인에 대한 추가 확인을 요구합니다. AWS Support에 문의하십시오",
    ),
    "DOMAIN_NOT_ALLOWED": Words(
        "the domain is on a list of unsafe ones (VirusTotal): have it taken off there",
        "도메인이 안전하지 않은 목록(VirusTotal)에 있습니다. 목록에서 빼 달라고 요청하십시오",
    ),
    "INVALID_PUBLIC_DOMAIN": Words("the domain is no public one", "공개 도메인이 아닙니다"),
    "DOMAIN_VALIDATION_DENIED": Words("the validation was denied", "검증이 거부되었습니다"),
    "CAA_ERROR": Words(
        "a CAA record of the domain allows no certificate of Amazon: add one with amazon.com",
        "도메인의 CAA 레코드가 Amazon의 인증서를 허용하지 않습니다. amazon.com을 추가하십시오",
    ),
    "PCA_LIMIT_EXCEEDED": Words("a quota of AWS is used up", "AWS 할당량을 모두 썼습니다"),
    "SLR_NOT_FOUND": Words("a service role of the account is missing", "계정의 서비스 역할이 없습니다"),
    "OTHER": Words("AWS does not say why", "AWS가 이유를 밝히지 않습니다"),
}


class ValidationRecord(NamedTuple):
    """A record by which ACM sees that somebody holds the domain, and for as long as it renews."""

    name: str
    kind: str
    value: str

    @property
    def text(self) -> str:
        return f"{self.name} {self.kind} {self.value}"


def validation_records(certificate: Values) -> list[ValidationRecord]:
    """Those that ACM has named: a moment after the request there are none yet."""
    return [
        ValidationRecord(record["name"].rstrip(".").lower(), record["type"], record["value"].rstrip(".").lower())
        for option in certificate.get("domain_validation_options", [])
        for record in [option.get("resource_record")]
        if record
    ]


def name_findings(public_name: str) -> list[Finding]:
    if not public_name or (PUBLIC_NAME.fullmatch(public_name) and len(public_name) <= LONGEST_NAME):
        return []
    return [
        Finding(
            "public_name",
            "public_name",
            f"'{public_name}'",
            Words(
                f"must be a name of the public DNS in lower case, {LONGEST_NAME} characters at most, without https://",
                f"https:// 없이 소문자로 쓴 {LONGEST_NAME}자 이하의 공개 DNS 이름이어야 합니다",
            ),
            Words("Write it so: api.example.com.", "api.example.com처럼 쓰십시오."),
        )
    ]


def arn_findings(arn: str, region: str) -> list[Finding]:
    """A load balancer takes certificates of its own region."""
    if not arn:
        return []
    found = CERTIFICATE_ARN.fullmatch(arn)
    if found and found["region"] == region:
        return []
    return [
        Finding(
            "certificate_arn",
            "certificate_arn",
            f"'{arn}'",
            Words(
                f"must be a certificate of Certificate Manager in {region}, where the load balancer is",
                f"로드 밸런서가 있는 {region}의 Certificate Manager 인증서여야 합니다",
            ),
            Words(
                "Correct it, or leave it out: then one is requested here.",
                "고치거나 비워 두십시오. 비우면 여기서 요청합니다.",
            ),
        )
    ]


def covers(certificate: Values, name: str) -> bool:
    """Whether browsers take it for that name: a wildcard stands for one part."""
    names = [certificate.get("domain_name", ""), *certificate.get("subject_alternative_names", [])]
    parent = name.partition(".")[2]
    return any(each.lower() in (name, f"*.{parent}") for each in names)


def wanted_certificate(public_name: str, arn: str) -> str:
    """By what aws_state_info finds it."""
    return arn or public_name


def _rank(certificate: Values) -> tuple[int, float]:
    order = {ISSUED: 3, PENDING: 2}.get(certificate["status"], 0 if certificate["status"] in OVER else 1)
    return order, float(certificate.get("expires_in_days") or 0)


def own_certificates(found: Iterable[Values], arn: str, deployment: str) -> list[Values]:
    """The one that is named, or the deployment's own."""
    return [each for each in found if arn or each["tags"].get("Project") == deployment]


def choose(found: Iterable[Values], arn: str, deployment: str) -> Values | None:
    """The best of them."""
    return max(own_certificates(found, arn, deployment), key=_rank, default=None)


def is_wanting(certificate: Values | None, arn: str) -> bool:
    """Whether one must be requested: there is none, or none that can still be issued."""
    return not arn and (certificate is None or certificate["status"] in OVER)


def _finding(kind: str, subject: str, found: str, rule: Words, remedy: Words) -> Finding:
    return Finding(kind, subject, found, rule, remedy)


def broken_findings(certificate: Values | None, arn: str, public_name: str) -> list[Finding]:
    """Why it will never serve the name, and what to do; waiting does not help."""
    subject = "certificate_arn" if arn else "public_name"
    if certificate is None:
        if not arn:
            return []
        return [
            _finding(
                "certificate_missing",
                subject,
                f"no certificate {arn}",
                Words("must exist in the account", "계정에 있어야 합니다"),
                Words("Correct it, or leave it out.", "고치거나 비워 두십시오."),
            )
        ]
    status, its_arn = certificate["status"], certificate["certificate_arn"]
    if not covers(certificate, public_name):
        names = ", ".join(certificate.get("subject_alternative_names") or [certificate.get("domain_name", "")])
        return [
            _finding(
                "certificate_name",
                subject,
                f"one for {names}",
                Words(f"the certificate must be for {public_name}", f"인증서는 {public_name}용이어야 합니다"),
                Words(
                    "Name another one, or leave certificate_arn out.",
                    "다른 인증서를 쓰거나 certificate_arn을 비우십시오.",
                ),
            )
        ]
    if status in (ISSUED, PENDING) or is_wanting(certificate, arn):
        return []
    why = FAILURES.get(certificate.get("failure_reason", ""), FAILURES["OTHER"]) if status == FAILED else None
    delete = f"aws acm delete-certificate --certificate-arn {its_arn}"
    return [
        _finding(
            "certificate_status",
            subject,
            f"{status}{': ' + why.en if why else ''} ({its_arn})",
            Words(
                "the certificate must be issued, and this one never will be",
                "인증서가 발급되어야 하는데 이 인증서는 발급되지 않습니다" + (f": {why.ko}" if why else ""),
            ),
            Words(
                f"Mend the cause, remove it ({delete}) and run again: another one is requested."
                if not arn
                else "Name another one.",
                f"원인을 해결하고 삭제한 뒤({delete}) 다시 실행하십시오. 새로 요청합니다."
                if not arn
                else "다른 인증서를 쓰십시오.",
            ),
        )
    ]


def pending_findings(certificate: Values | None, public_name: str, zone: str) -> list[Finding]:
    """It is waited for: what somebody has to do, where the zone is not in this account's Route 53."""
    if certificate is None or certificate["status"] != PENDING:
        return []
    records = validation_records(certificate)
    told = "; ".join(record.text for record in records) or "not named by ACM yet"
    if zone:
        remedy = Words(
            f"Nothing is to be done but to run this again in some minutes. If it lasts, compare the name servers of "
            f"{zone} at its registrar with those of the hosted zone.",
            f"몇 분 뒤 다시 실행하면 됩니다. 계속되면 {zone}의 등록 기관과 호스팅 영역의 네임 서버를 비교하십시오.",
        )
    else:
        remedy = Words(
            f"Create where {public_name} is administered, for good (ACM renews by it), and run this again: {told}",
            f"{public_name}의 DNS에 다음 레코드를 만들고(갱신에도 쓰이므로 지우지 마십시오) 다시 실행하십시오: {told}",
        )
    return [
        _finding(
            "certificate_pending",
            "public_name",
            f"{PENDING} ({certificate['certificate_arn']})",
            Words(
                f"ACM issues the certificate for {public_name} once it sees the record {told}; after 72 hours without "
                "it the request is over",
                f"ACM은 레코드 {told}을(를) 확인하면 {public_name} 인증서를 발급합니다. 72시간이 지나면 만료됩니다",
            ),
            remedy,
        )
    ]


def renewal_findings(certificate: Values | None) -> list[Finding]:
    """A warning while there is time: an issued certificate that nobody renews, or whose renewal does not succeed."""
    if certificate is None or certificate["status"] != ISSUED:
        return []
    days, arn = certificate.get("expires_in_days"), certificate["certificate_arn"]
    summary = certificate.get("renewal_summary") or {}
    renewal = summary.get("renewal_status", "")
    told = "; ".join(record.text for record in validation_records(certificate))
    if renewal in ("PENDING_VALIDATION", "FAILED"):
        rule = Words(
            f"its renewal is {renewal}, because ACM does not see {told or 'its validation record'}",
            f"갱신 상태가 {renewal}입니다. ACM이 검증 레코드({told})를 찾지 못합니다",
        )
        remedy = Words("Create the record again.", "레코드를 다시 만드십시오.")
    elif certificate.get("type") == "IMPORTED" and days is not None and days < WARNED_DAYS:
        rule = Words("it was imported, so ACM does not renew it", "가져온 인증서라 ACM이 갱신하지 않습니다")
        remedy = Words("Import the next one under the same ARN.", "같은 ARN으로 다음 인증서를 가져오십시오.")
    else:
        return []
    return [Finding("certificate_renewal", arn, f"{days} days left", rule, remedy, "warning")]


def request_token(name: str, after: str) -> str:
    """By which ACM knows a request that is made twice; after one that is over it is another."""
    return sha256(f"{name} {after}".encode()).hexdigest()[:32]


def records_of(zone_records: Sequence[Values], name: str, kinds: Sequence[str]) -> list[Values]:
    """The records of a name of these types."""
    return [record for record in zone_records if record["name"] == name and record["type"] in kinds]
