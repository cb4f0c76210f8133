# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a host may take to answer, why one does not, and whether it is the operator's own address that changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, NamedTuple

from .findings import Finding, Words

# OpenSSH's own words. It has no others: it translates nothing.
SILENT = ("Connection timed out", "Operation timed out")
DENIED = ("Permission denied", "Too many authentication failures")
REFUSED = ("Connection refused",)
# Before ssh's reason Ansible says what it tried: to connect, or to send what was left to send.
REASON = re.compile(r".*(?:via|over) ssh: ", re.DOTALL)

Reason = Literal["silent", "denied", "refused", "other"]


class Command(NamedTuple):
    """What the operator types: for which inventory, in which region."""

    inventory: str
    region: str


def answer_seconds(launched: str | datetime, now: datetime, seconds: int, boot_seconds: int) -> int:
    """How long a host may take to answer: what is left of the time of its boot, and a moment at least."""
    started = datetime.fromisoformat(launched) if isinstance(launched, str) else launched
    age = now.replace(tzinfo=UTC) - started.astimezone(UTC)
    return max(seconds, min(boot_seconds, boot_seconds - int(age.total_seconds())))


def reason(message: str) -> Reason:
    """Why a host does not answer, by what ssh said last."""
    kinds: tuple[tuple[Reason, Sequence[str]], ...] = (("silent", SILENT), ("denied", DENIED), ("refused", REFUSED))
    return next((kind for kind, texts in kinds if any(text in message for text in texts)), "other")


def told_address(answer: str | None) -> IPv4Address | IPv6Address | None:
    """The address in an answer that is nothing but one."""
    try:
        return ip_address((answer or "").strip())
    except ValueError:
        return None


def is_let_in(address: IPv4Address | IPv6Address, cidrs: Sequence[str]) -> bool:
    return any(address in ip_network(cidr, strict=False) for cidr in cidrs)


def _set_cidr(address: IPv4Address | IPv6Address, environment: str) -> Words:
    value = f'operator_cidrs: ["{address}/{address.max_prefixlen}"]'
    return Words(f"Set {value} in {environment}", f"{environment}에 {value}(으)로 설정하십시오")


def changed_address_findings(answer: str | None, cidrs: Sequence[str]) -> list[Finding]:
    """A warning beforehand: the address that AWS sees is let in by none. Nothing where it cannot be told."""
    address = told_address(answer)
    if address is None or is_let_in(address, cidrs):
        return []
    remedy = _set_cidr(address, "group_vars/all/environment.yml")
    return [
        Finding(
            "operator_address",
            "operator_cidrs",
            ", ".join(cidrs) or "none",
            Words(
                f"AWS sees this machine as {address}, which none of them lets in to SSH",
                f"AWS에서 보이는 이 컴퓨터의 주소는 {address}이며, 이 주소의 SSH 접속을 허용하는 항목이 없습니다",
            ),
            Words(f"{remedy.en}, if hosts are reached from here.", f"여기서 호스트에 접속한다면 {remedy.ko}."),
            severity="warning",
        )
    ]


def nobody_finding(
    hosts: Mapping[str, str], answer: str | None, cidrs: Sequence[str], environment: str, command: Command
) -> Finding:
    """No host answers: is it the operator's address, or something else? The hosts come with what ssh said of each."""
    # Whoever refuses or denies has been reached.
    if any(reason(message) in {"denied", "refused"} for message in hosts.values()):
        what = Words("the address is let in, for SSH answers", "SSH가 응답하므로 주소는 허용되어 있습니다")
        remedy = Words("See what each of them says.", "호스트별 내용을 보십시오.")
    else:
        what, remedy = _silence(told_address(answer), cidrs, environment, command)
    return Finding(
        "nobody_answers",
        ", ".join(hosts),
        "",
        Words(
            f"no running host answers on SSH; {what.en}", f"실행 중인 호스트가 모두 SSH에 응답하지 않습니다. {what.ko}"
        ),
        remedy,
    )


def _silence(
    address: IPv4Address | IPv6Address | None, cidrs: Sequence[str], environment: str, command: Command
) -> tuple[Words, Words]:
    """Nothing comes back at all: what is known of it, and what to do."""
    allowed = ", ".join(cidrs) or "none"
    rule = Words(
        f"their security groups let in operator_cidrs alone ({allowed})",
        f"보안 그룹은 operator_cidrs({allowed})만 허용합니다",
    )
    run = f"ansible-playbook site.yml -i {command.inventory} --tags network"
    network = Words(
        f"run {run} (with the -e and vault options of this run), then this again.",
        f"{run}(이번 실행의 -e, vault 옵션 포함)를 실행한 뒤 다시 실행하십시오.",
    )
    if address is None:
        return (
            Words(
                f"{rule.en}, and which address AWS sees could not be asked",
                f"{rule.ko}. AWS에서 보이는 주소는 확인하지 못했습니다",
            ),
            Words(
                f"Compare it yourself (curl https://checkip.amazonaws.com). If it is another one, set operator_cidrs "
                f"in {environment} and {network.en}",
                f"직접 비교하십시오(curl https://checkip.amazonaws.com). 다르면 {environment}의 operator_cidrs를 "
                f"고치고 {network.ko}",
            ),
        )
    if not is_let_in(address, cidrs):
        remedy = _set_cidr(address, environment)
        return (
            Words(
                f"AWS sees this machine as {address}, and {rule.en}",
                f"AWS에서 보이는 이 컴퓨터의 주소는 {address}인데, {rule.ko}",
            ),
            Words(f"{remedy.en} and {network.en}", f"{remedy.ko}. 그런 다음 {network.ko}"),
        )
    return (
        Words(
            f"operator_cidrs ({allowed}) lets in {address}, as which AWS sees this machine, so it is something else",
            f"AWS에서 보이는 이 컴퓨터의 주소 {address}은(는) operator_cidrs({allowed})에 있으므로 다른 원인입니다",
        ),
        Words(
            "Look for a firewall of this network that lets no SSH out, a network ACL of the subnets that lets none "
            f"in, and security groups that somebody changed ({run}).",
            "이 네트워크의 방화벽이나 서브넷의 네트워크 ACL이 SSH를 막는지, 누군가 보안 그룹을 바꾸었는지"
            f"({run}) 확인하십시오.",
        ),
    )


def host_finding(host: str, instance_id: str, message: str, command: Command) -> Finding:
    """One host that does not answer, while others do."""
    said = REASON.sub("", message).strip().rstrip(".")
    instance = f"--region {command.region} --instance-ids {instance_id}"
    again = f"--limit {host}"
    remedies: Mapping[Reason, Words] = {
        "silent": Words(
            f"See its console (aws ec2 get-console-output --region {command.region} --instance-id {instance_id}), its "
            f"network ACL and its memory, or restart it (aws ec2 reboot-instances {instance}). Then run this again "
            f"for it: {again}.",
            f"콘솔(aws ec2 get-console-output --region {command.region} --instance-id {instance_id}), 네트워크 ACL, "
            f"메모리를 확인하거나 재시작하십시오(aws ec2 reboot-instances {instance}). 그런 다음 이 호스트만 다시 "
            f"실행하십시오: {again}.",
        ),
        "denied": Words(
            "It was reached, and takes another key or user: name the private key of instance_key_name (ssh-add, or "
            f"ansible_ssh_private_key_file). Then run this again for it: {again}.",
            "접속은 되지만 키나 사용자가 다릅니다: instance_key_name의 개인 키를 지정하십시오(ssh-add 또는 "
            f"ansible_ssh_private_key_file). 그런 다음 다시 실행하십시오: {again}.",
        ),
        "refused": Words(
            f"Its sshd does not run: restart it (aws ec2 reboot-instances {instance}). Then run this again for it: "
            f"{again}.",
            f"sshd가 실행되고 있지 않습니다. 재시작하십시오(aws ec2 reboot-instances {instance}). 그런 다음 다시 "
            f"실행하십시오: {again}.",
        ),
        "other": Words(
            f"Fix what it says. Then run this again for it: {again}.",
            f"표시된 원인을 해결한 뒤 다시 실행하십시오: {again}.",
        ),
    }
    return Finding(
        "host_unreached",
        f"{host} ({instance_id})",
        f"'{said}'",
        Words(
            "must answer on SSH, and was left as it is", "SSH에 응답해야 합니다. 이 호스트는 변경하지 않고 두었습니다"
        ),
        remedies[reason(message)],
    )
