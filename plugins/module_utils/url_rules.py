# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with addresses and buckets that the application is given, each rule with what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from .findings import Words

Broken = tuple[Words, Words]
Address = IPv4Address | IPv6Address

SCHEMES = ("http", "https")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
LONGEST_NAME = 253
# Programs take such a last part for a number of an address, in whatever way it is written.
NUMBER = re.compile(r"\d+|0[xX][0-9A-Fa-f]*")
# One scheme behind the other, also where the colon was lost.
SCHEME_AGAIN = re.compile(r"https?(:|//|$)", re.IGNORECASE)
# What parts an address, and what encloses one in a chat or a mail.
NO_PART_OF_A_URL = re.compile(r"[\s\\<>\"'{}|^`]")

R2_HOST = ".r2.cloudflarestorage.com"
# An account's name may be followed by where its buckets lie.
R2_JURISDICTIONS = frozenset({"eu", "fedramp"})

# Names of the machine on which they are asked for.
OWN_NAMES = re.compile(
    r"(.+\.)?(localhost|localdomain)|ip6-(localhost|loopback)|(host|gateway)\.docker\.internal", re.IGNORECASE
)
# What EC2 gives a public address as its name.
PUBLIC_EC2_NAME = re.compile(r"ec2-[\w-]+\.([\w-]+\.)?(compute|compute-1)\.amazonaws\.com(\.cn)?", re.IGNORECASE)
# What stays inside a VPC: RFC 1918, and RFC 6598, which AWS takes for VPCs too.
OWN_NETWORKS: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    IPv6Network("fc00::/7"),
)
# Of no host at all, which stands for all addresses of one's own machine.
OF_NO_HOST: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("0.0.0.0/8"), IPv6Network("::/128"))

BUCKET = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
BUCKET_LENGTHS = range(3, 64)
# What S3 keeps for itself.
KEPT_BEGINNINGS = ("xn--", "sthree-", "amzn-s3-demo-")
KEPT_ENDINGS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")

AS_EXPECTED = Words("Write it as its service expects it.", "서비스가 기대하는 형식으로 쓰십시오.")
_URL = Words("must be a URL such as https://media.example.com", "https://media.example.com 같은 URL이어야 합니다")


def url_broken(text: str) -> Iterator[Broken]:
    """What is wrong with any address."""
    parts = split(text)
    if NO_PART_OF_A_URL.search(text):
        rule = Words(
            "must be a URL without blanks, brackets, quotes and backslashes",
            "공백, 괄호, 따옴표, 역슬래시가 없는 URL이어야 합니다",
        )
        yield rule, Words("Take them out.", "지우십시오.")
        return
    if _has_scheme_twice(text):
        rule = Words("must be a URL with one scheme", "https:// 가 한 번만 있는 URL이어야 합니다")
        yield rule, Words("Leave one https:// in front.", "앞에 https:// 하나만 남기십시오.")
        return
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        yield _URL, AS_EXPECTED
        return
    if "@" in parts.netloc:
        rule = Words("must be a URL without a user or a password in it", "사용자나 비밀번호가 없는 URL이어야 합니다")
        yield rule, Words("Take out what stands in front of the @.", "@ 앞부분을 지우십시오.")
    if not is_host(parts.hostname) or parts.netloc.endswith(":") or parts.port == 0:
        rule = Words(
            "must be a URL whose host is a name of letters, digits, hyphens and single dots, or an address",
            "호스트가 영문자, 숫자, 하이픈, 점(연속 불가)으로 된 이름이거나 주소인 URL이어야 합니다",
        )
        yield (
            rule,
            Words(
                "Correct the host; write one in other letters as xn--….",
                "호스트를 고치십시오. 한글 도메인은 xn--… 으로 쓰십시오.",
            ),
        )
    elif is_this_machine(parts.hostname):
        rule = Words(
            "must not be the machine on which it is asked for, which in a container is the container itself",
            "자기 자신(localhost, 0.0.0.0, 링크 로컬)일 수 없습니다. 컨테이너에서는 그 컨테이너 자신입니다",
        )
        yield rule, Words("Write the address that other hosts use.", "다른 호스트가 쓰는 주소를 쓰십시오.")
    if {"?", "#"} & {*text}:
        rule = Words(
            "must be a URL without ? and #: a path is put behind it",
            "? 와 # 이 없는 URL이어야 합니다. 그 뒤에 경로가 붙습니다",
        )
        yield rule, Words("Take out all from there on.", "그 뒤를 모두 지우십시오.")


def endpoint_broken(text: str) -> Iterator[Broken]:
    """What is wrong with the address of a store, beyond what any may have: clients put the bucket behind it."""
    parts = split(text)
    if parts is None or not parts.hostname:
        return
    labels = parts.hostname.removesuffix(R2_HOST).split(".") if parts.hostname.endswith(R2_HOST) else []
    bucket_in_front = len(labels) > 1 and not (len(labels) == 2 and labels[1] in R2_JURISDICTIONS)
    if parts.path.strip("/") or bucket_in_front:
        rule = Words(
            "must be the address alone, without a bucket or a path: clients put the bucket there themselves",
            "버킷이나 경로가 없는 주소여야 합니다. 버킷은 클라이언트가 붙입니다",
        )
        yield (
            rule,
            Words(
                "Take it out; buckets have variables of their own (R2_…_BUCKET).",
                "지우십시오. 버킷은 R2_…_BUCKET 변수에 있습니다.",
            ),
        )


def api_broken(text: str, stage: str) -> Iterator[Broken]:
    """What is wrong with the address of the API, which its workers on other hosts call."""
    parts = split(text)
    name = parts.hostname if parts and parts.hostname else ""
    address = address_of(name)
    private = address is not None and any(address in network for network in OWN_NETWORKS)
    # What is the machine itself is told so by the rule for all addresses.
    if (address is not None and not private and not is_this_machine(name)) or PUBLIC_EC2_NAME.fullmatch(name):
        rule = Words(
            "must not hold a public address, nor the name that EC2 makes of one: it changes whenever the host is "
            "stopped and started",
            "퍼블릭 IP나 그것으로 만든 EC2 이름을 쓸 수 없습니다. 인스턴스를 Stop→Start하면 바뀝니다",
        )
        yield (
            rule,
            Words(
                "Leave application_api_base_url out: the API's private address is then used; once open, the load "
                "balancer's name.",
                "빼면 API의 프라이빗 주소가 쓰입니다. 오픈 후에는 로드 밸런서 이름을 쓰십시오.",
            ),
        )
    if stage == "open" and (parts is None or parts.scheme != "https" or address is not None):
        rule = Words(
            "must be https:// and the load balancer's name in stage open",
            "stage가 open이면 https:// 와 로드 밸런서의 도메인 이름이어야 합니다",
        )
        yield (
            rule,
            Words(
                "Set application_api_base_url, such as https://api.example.com.",
                "application_api_base_url을 https://api.example.com처럼 설정하십시오.",
            ),
        )


def bucket_broken(text: str) -> Iterator[Broken]:
    if not BUCKET.fullmatch(text) or len(text) not in BUCKET_LENGTHS:
        rule = Words(
            "must be a bucket's name: 3 to 63 lower-case letters, digits, hyphens and single dots, each part beginning "
            "and ending with a letter or digit",
            "버킷 이름(영문 소문자, 숫자, 하이픈, 점(연속 불가) 3~63자)이어야 하고 "
            "각 부분은 문자나 숫자로 시작하고 끝나야 합니다",
        )
        yield rule, AS_EXPECTED
    elif _ipv4(text) or text.startswith(KEPT_BEGINNINGS) or text.endswith(KEPT_ENDINGS):
        rule = Words(
            "must be a bucket's name: no address, and nothing that S3 keeps for itself (such as xn--… or …-s3alias)",
            "버킷 이름은 IP 주소이거나 S3가 예약한 형식(xn--…, …-s3alias 등)일 수 없습니다",
        )
        yield rule, AS_EXPECTED


def split(text: str) -> SplitResult | None:
    """An address in its parts; none where it has no such parts."""
    try:
        parts = urlsplit(text)
        # Asked for here, where it may fail.
        return parts if parts.port is None or parts.port >= 0 else None
    except ValueError:
        return None


def is_host(name: str) -> bool:
    """Whether it is a name or an address that every client takes."""
    if address_of(name) is not None:
        return True
    labels = name.removesuffix(".").split(".")
    return (
        len(name) <= LONGEST_NAME
        and all(LABEL.fullmatch(label) for label in labels)
        and not NUMBER.fullmatch(labels[-1])
    )


def address_of(name: str) -> Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def is_this_machine(name: str) -> bool:
    """Whether whoever asks for it asks the machine that he is on."""
    address = address_of(name)
    if address is None:
        return OWN_NAMES.fullmatch(name.removesuffix(".")) is not None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_link_local or any(address in network for network in OF_NO_HOST)


def _has_scheme_twice(text: str) -> bool:
    _, separator, rest = text.partition("://")
    return bool(separator) and SCHEME_AGAIN.match(rest.lstrip("/")) is not None


def _ipv4(text: str) -> bool:
    return isinstance(address_of(text), IPv4Address)
