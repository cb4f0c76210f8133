# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a deployment may be opened to everybody, and everything that it lacks.

Asked once, when the doors are still closed: who has opened is not closed again by a host that fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .certificates import ISSUED, choose, covers, own_certificates, pending_findings, wanted_certificate
from .database import refused_password
from .findings import Finding, Words
from .network import MINIMUM_ZONES

Values = Mapping[str, Any]

HTTPS_PORT = 443
WORLD = "0.0.0.0/0"
HEALTHY = "healthy"
CODES = re.compile(r"\[(\d{3})")
# While a target is new nothing is known of it.
NEW = ("Elb.RegistrationInProgress", "Elb.InitialHealthChecking")

PREPARE = Words(
    "Set stage: test with public_name, run site.yml, and open when it is ready.",
    "stage: test와 public_name으로 site.yml을 실행하고, 준비되면 여십시오.",
)
# By the status that the application gives a balancer, which asks by the host's address and without TLS.
ANSWERS: Mapping[int, tuple[Words, Words]] = {
    400: (
        Words(
            "Django refuses the Host header, which is the host's private address: ALLOWED_HOSTS",
            "Django가 Host 헤더(호스트의 프라이빗 주소)를 거부합니다: ALLOWED_HOSTS",
        ),
        Words(
            "Answer /health in a middleware before CommonMiddleware (docs/application.md).",
            "/health를 CommonMiddleware보다 앞선 미들웨어에서 응답하십시오(docs/application.ko.md).",
        ),
    ),
    301: (
        Words(
            "it is redirected to HTTPS, which its port does not speak: SECURE_SSL_REDIRECT",
            "이 포트가 말하지 않는 HTTPS로 리다이렉트됩니다: SECURE_SSL_REDIRECT",
        ),
        Words(
            "Exempt /health: SECURE_REDIRECT_EXEMPT, or a middleware before SecurityMiddleware (docs/application.md).",
            "/health를 제외하십시오: SECURE_REDIRECT_EXEMPT 또는 더 앞선 미들웨어(docs/application.ko.md).",
        ),
    ),
    404: (
        Words("the application has no /health", "애플리케이션에 /health가 없습니다"),
        Words("Add it (docs/application.md).", "추가하십시오(docs/application.ko.md)."),
    ),
    502: (
        Words("what answers at its port has nobody behind it", "포트에서 응답하는 프록시 뒤에 애플리케이션이 없습니다"),
        Words("See the log of the API's container.", "API 컨테이너의 로그를 보십시오."),
    ),
    503: (
        Words("it is up, and its database does not answer", "실행 중이지만 데이터베이스가 응답하지 않습니다"),
        Words(
            "See whether the database runs and its connections are not used up.",
            "데이터베이스가 실행 중인지, 연결이 남아 있는지 보십시오.",
        ),
    ),
}
SILENT = (
    Words("nothing listens at its port", "포트에서 응답하는 것이 없습니다"),
    Words(
        "See whether the API's container runs: playbooks/site.yml --tags api.",
        "API 컨테이너가 실행 중인지 보십시오: playbooks/site.yml --tags api.",
    ),
)
LATE = (
    Words("it answers too late, or not at all", "응답이 너무 늦거나 없습니다"),
    Words(
        "See the log of the API's container, and that the database answers within seconds.",
        "API 컨테이너의 로그를 보고, 데이터베이스가 몇 초 안에 응답하는지 확인하십시오.",
    ),
)
SOON = (
    Words("it was registered just now", "방금 등록되었습니다"),
    Words("Run this again in a minute.", "1분 뒤 다시 실행하십시오."),
)


def explain(status: int) -> tuple[Words, Words] | None:
    """What an answer to a health check means, and what to do; nothing where it is one that is accepted."""
    if status == 200:
        return None
    known = ANSWERS.get(301 if status in (302, 307, 308) else status)
    return known or (
        Words(f"it answers {status}, and only 200 is healthy", f"{status}로 응답합니다. 200만 정상입니다"),
        Words("See the log of the API's container.", "API 컨테이너의 로그를 보십시오."),
    )


def health_answer(status: int) -> str:
    """The same for a message, of what uri tells: an answer's status, or less than one where there is none."""
    told = explain(int(status)) if int(status) > 0 else SILENT
    return "".join(f"\n{what}. {remedy}" for what, remedy in zip(*told, strict=True)) if told else ""


# Through all of the application's middleware as a load balancer will ask it, without a port and a server. Before that,
# whether the database has room for the connections of a second API: it is tried on the host on which the first one
# runs, and counts its own connection too (facts 15.3).
TRIAL = """
from django.db import connection
from django.test import Client
if connection.vendor == "postgresql":
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
            " count(*), count(*) FILTER (WHERE client_addr = inet_client_addr()) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend'"
        )
        room, used, own = cursor.fetchone()
    if used - 1 + own - 1 > room:
        raise SystemExit(
            f"the database has room for {{room}} connections, of which {{used - 1}} are in use, {{own - 1}} from this"
            " host: too few for a second API beside the one that serves. Lower its workers and threads or"
            " DB_CONN_MAX_AGE, or choose a larger database_instance_class"
        )
status = Client().get({path!r}, HTTP_HOST={host!r}).status_code
raise SystemExit(status != 200 and f"GET {path} by the host's address answers {{status}}")
"""
ANSWERED = re.compile(r"GET \S+ by the host's address answers (\d{3})$")


def health_trial(path: str, host: str) -> list[str]:
    """The command that asks an image how it would answer with the settings that it is given."""
    return ["python", "manage.py", "shell", "-c", TRIAL.format(path=path, host=host)]


def failure_told(output: Sequence[str], identifier: str, region: str) -> str:
    """What the lines of an application that failed are known to mean, for a message; nothing of others."""
    answered = ANSWERED.search(output[-1]) if output else None
    if answered:
        return f"{health_answer(int(answered[1])).lstrip()}\n"
    return refused_password(output, identifier, region)


def explain_target(target: Values) -> tuple[Words, Words] | None:
    """The same of a target's state."""
    reason, description = target.get("reason", ""), target.get("description", "")
    if target["state"] == HEALTHY:
        return None
    code = CODES.search(description)
    if reason == "Target.ResponseCodeMismatch" and code:
        return explain(int(code[1]))
    if reason in NEW:
        return SOON
    if reason == "Target.Timeout":
        return LATE
    if reason == "Target.FailedHealthChecks":
        return SILENT
    told = ": ".join(each for each in (reason, description) if each) or target["state"]
    return Words(told, told), Words("See its target group.", "대상 그룹을 보십시오.")


# --- the inputs -----------------------------------------------------------------------------------------------------


def stage_findings(stage: str, public_name: str) -> list[Finding]:
    if stage != "open" or public_name:
        return []
    return [
        _finding(
            "opening_name",
            "stage",
            "no public_name",
            Words("open needs a public name", "open에는 공개 이름이 필요합니다"),
            PREPARE,
        )
    ]


def opening_reads(inputs: Values) -> dict[str, Any]:
    """What has to be known of AWS, beside the network and its groups; nothing as long as nobody opens."""
    name = inputs["public_name"]
    if inputs["stage"] != "open" or not name:
        return {}
    return {
        "load_balancer_names": [inputs["load_balancer_name"]],
        "target_group_names": [inputs["load_balancer_target_group_name"]],
        "certificates": [wanted_certificate(name, inputs["certificate_arn"])],
    }


# --- what it lacks --------------------------------------------------------------------------------------------------


def _finding(kind: str, subject: str, found: str, rule: Words, remedy: Words) -> Finding:
    return Finding(kind, subject, found, rule, remedy)


def lets_everybody_in(inputs: Values, groups: Mapping[str, Values]) -> bool:
    group = groups.get(inputs["network_security_group_names"]["alb"], {})
    return any(
        permission.get("from_port") == HTTPS_PORT
        and any(source.get("cidr_ip") == WORLD for source in permission.get("ip_ranges", []))
        for permission in group.get("ip_permissions", [])
    )


def is_open(inputs: Values, found: Values) -> bool:
    """Everybody is let in already, by a certificate for the name: that its successor is waited for closes nothing."""
    right = {each["certificate_arn"] for each in _certificates(inputs, found) if covers(each, inputs["public_name"])}
    shown = {
        each["CertificateArn"]
        for listener in (_balancer(inputs, found) or {}).get("listeners", [])
        for each in listener.get("Certificates") or []
    }
    return lets_everybody_in(inputs, found["security_groups"]) and bool(right & shown)


def _balancer(inputs: Values, found: Values) -> Values | None:
    balancer: Values | None = found["load_balancers"].get(inputs["load_balancer_name"])
    return balancer


def _certificates(inputs: Values, found: Values) -> list[Values]:
    arn = inputs["certificate_arn"]
    there = found["certificates"].get(wanted_certificate(inputs["public_name"], arn), [])
    return own_certificates(there, arn, _project(inputs))


def _project(inputs: Values) -> str:
    return str(inputs["deployment_tags"].get("Project", ""))


def _certificate_findings(inputs: Values, found: Values) -> list[Finding]:
    name = inputs["public_name"]
    certificate = choose(_certificates(inputs, found), inputs["certificate_arn"], _project(inputs))
    if certificate and certificate["status"] == ISSUED and covers(certificate, name):
        return []
    pending = pending_findings(certificate, name, "")
    told = pending[0].rule if pending else Words("it waits for nothing yet", "아직 요청되지 않았습니다")
    return [
        _finding(
            "opening_certificate",
            "stage",
            certificate["status"] if certificate else "no certificate",
            Words(
                f"open needs an issued certificate for {name}" + (f": {told.en}" if pending else ""),
                f"open에는 {name}용으로 발급된 인증서가 필요합니다" + (f": {told.ko}" if pending else ""),
            ),
            Words(
                "Request it, or see what it waits for: site.yml --tags certificate.",
                "요청하거나 상태를 보십시오: site.yml --tags certificate.",
            ),
        )
    ]


def _balancer_findings(inputs: Values, found: Values) -> list[Finding]:
    balancer = _balancer(inputs, found)
    zones = {zone["zone_name"] for zone in (balancer or {}).get("availability_zones", [])}
    listens = any(listener["Port"] == HTTPS_PORT for listener in (balancer or {}).get("listeners", []))
    if balancer and listens and len(zones) >= MINIMUM_ZONES:
        return []
    return [
        _finding(
            "opening_load_balancer",
            "stage",
            f"one in {len(zones)} zone(s){'' if listens else ' that does not listen at 443'}"
            if balancer
            else "no load balancer",
            Words(
                f"open needs a load balancer in {MINIMUM_ZONES} zones that answers by HTTPS",
                f"open에는 HTTPS로 응답하는 가용 영역 {MINIMUM_ZONES}개의 로드 밸런서가 필요합니다",
            ),
            Words(
                "Make it: site.yml --tags network,load_balancer in stage: test.",
                "stage: test에서 만드십시오: site.yml --tags network,load_balancer.",
            ),
        )
    ]


def _target_findings(inputs: Values, found: Values) -> list[Finding]:
    group = found["target_groups"].get(inputs["load_balancer_target_group_name"]) or {}
    targets = [target for target in group.get("targets", []) if target["state"] != "draining"]
    if any(target["state"] == HEALTHY for target in targets):
        return []
    if not targets:
        return [
            _finding(
                "opening_host",
                "stage",
                "no target",
                Words(
                    "open needs an API host that runs and is registered",
                    "open에는 실행 중이고 등록된 API 호스트가 필요합니다",
                ),
                Words(
                    "Create or start one, and register it: site.yml --tags instance,load_balancer.",
                    "만들거나 시작한 뒤 등록하십시오: site.yml --tags instance,load_balancer.",
                ),
            )
        ]
    findings = []
    for target in targets:
        told = explain_target(target)
        if told:
            findings.append(
                _finding(
                    "opening_health",
                    "stage",
                    f"{target['id']} {target['state']} ({target.get('reason') or 'no reason'})",
                    Words(
                        f"open needs a health answer that a load balancer accepts; {told[0].en}",
                        f"open에는 로드 밸런서가 받아들이는 상태 응답이 필요합니다. {told[0].ko}",
                    ),
                    told[1],
                )
            )
    return findings


def opening_findings(inputs: Values, found: Values) -> list[Finding]:
    """Everything that is missing, all at once."""
    if not opening_reads(inputs) or is_open(inputs, found):
        return []
    return [
        *_certificate_findings(inputs, found),
        *_balancer_findings(inputs, found),
        *_target_findings(inputs, found),
    ]
