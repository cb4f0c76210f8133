# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs where: what a host shows of its services, and all hosts, queues and releases as one table.

What could not be read is told as such, and is never taken for what is as it should be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .deploy_lock import describe, read_locks
from .findings import Words
from .names import DEAD_LETTER_SUFFIX
from .proxy import SOCKET
from .queues import MESSAGE_COUNTS
from .releases import Release, read_releases
from .services import Service, slot_name
from .tags import HOLD_TAG, RELEASE_TAG

Values = Mapping[str, Any]

OK, ATTENTION, UNKNOWN = "ok", "attention", "unknown"
HEALTHY, RUNNING, STOPPED, ABSENT = "healthy", "running", "stopped", "absent"
# From here on a disk is told of; docker pulls a whole image beside the ones that are there.
FULL_PERCENT = 85
LAST_RELEASES = 5
COUNTS = dict(zip(("waiting", "in_flight", "delayed"), MESSAGE_COUNTS, strict=True))
NOTHING = "-"


# --- one host -------------------------------------------------------------------------------------------------------


def serving_container(row: Service, found: Values) -> str:
    """The container that is the service; of those in slots the one that the proxy leads to, empty where none is."""
    if not row.slots:
        return row.name
    servers = found["proxies"].get(SOCKET, {})
    ready = [slot for slot, server in servers.items() if server["state"] == "ready" and slot in row.slots]
    return slot_name(row.name, ready[0]) if len(ready) == 1 else ""


def digest_of(container: Values, images: Iterable[Values]) -> str:
    """Of the image that a container was made of, by the engine's own list, whatever name the container was given."""
    own = [reference for image in images if image["id"] == container["image_id"] for reference in image["references"]]
    digests = [reference.partition("@")[2] for reference in own if "@" in reference]
    return digests[0] if digests else ""


def health_of(container: Values, url: str, answering: Collection[str]) -> str:
    """In Docker's words; of a service with a URL whether it answers there."""
    if container["status"] != RUNNING:
        return str(container["status"])
    if url:
        return HEALTHY if url in answering else "no healthy answer"
    if container["health"]:
        return str(container["health"])
    return HEALTHY if container["settled"] else "starting"


def host_services(rows: Mapping[str, Service], registry: str, urls: Mapping[str, str], found: Values) -> dict[str, Any]:
    """Each service of a host: its container, how it is, and the digest that really runs."""
    services = {}
    for service, row in rows.items():
        name = serving_container(row, found)
        container, images = found["containers"].get(name), found["repositories"].get(f"{registry}/{row.name}", [])
        services[service] = {
            "image": row.name,
            "container": name,
            "health": health_of(container, urls.get(service, ""), found["answering"]) if container else ABSENT,
            "digest": digest_of(container, images) if container else "",
        }
    return services


def host_room(found: Values) -> dict[str, Any]:
    """How full the disks are, and how much swap is in use."""
    return {
        "disks": {
            path: round(100 * (1 - room["available_bytes"] / room["size_bytes"])) if room["size_bytes"] else 0
            for path, room in found["disks"].items()
        },
        "swap_total_mib": sum(swap["size_bytes"] for swap in found["swaps"]) // 1024**2,
        "swap_used_mib": sum(swap["used_bytes"] for swap in found["swaps"]) // 1024**2,
    }


def digest_findings(services: Values, images: Mapping[str, Values], release: str) -> list[str]:
    """What runs on a host instead of the digest that the release was resolved to, for people."""
    told = []
    for service, found in services.items():
        name = f"{found['image']}:{release}"
        wanted = images.get(name, {}).get("digest", "")
        if wanted and found["digest"] != wanted:
            told.append(f"{service} has to run {name} ({wanted}), and {_running(found)}")
    return told


def _running(service: Values) -> str:
    if not service["container"]:
        return "its proxy leads to no container"
    if not service["digest"]:
        return f"its container {service['container']} is {service['health']}, and nobody knows of which digest"
    return f"{service['container']} runs {service['digest']}"


# --- all of them ----------------------------------------------------------------------------------------------------


def wanted_release(given: str, releases: Sequence[Release]) -> str:
    """The one that the run names, or else the last that was shipped; empty where nobody says."""
    return given or (releases[0].release if releases else "")


def release_name(digest: str, tags: Mapping[str, Sequence[str]], wanted: str) -> str:
    """The name of what runs: of several tags the wanted one; without one, the beginning of the digest."""
    names = tags.get(digest, [])
    return wanted if wanted in names else names[0] if names else digest.removeprefix("sha256:")[:12]


def host_row(host: str, known: Values, aws: Values, wanted: str) -> dict[str, Any]:
    """A host by its instance, and by the look at it where there is one; `why` says why there is none."""
    instance, look = aws["instances"].get(host), known["look"]
    state = instance["state"]["name"] if instance else ABSENT
    tags = instance["tags"] if instance else {}
    row = {
        "host": host,
        "state": state,
        "may_be_stopped": known["may_be_stopped"],
        "instance_id": instance["instance_id"] if instance else "",
        "held_until": tags.get(HOLD_TAG, ""),
        "noted_release": tags.get(RELEASE_TAG, ""),
        "read": bool(look),
        "why": "" if look or state != RUNNING else known["why"] or "nobody has looked at it",
        "services": [],
        "host_release": look.get("host_release", ""),
        "disks": look.get("disks", {}),
        "swap_total_mib": look.get("swap_total_mib"),
        "swap_used_mib": look.get("swap_used_mib"),
    }
    for service, found in look.get("services", {}).items():
        of_repository = aws["image_tags"].get(found["image"], {})
        release = release_name(found["digest"], of_repository, wanted) if found["digest"] else ""
        row["services"].append(
            {"service": service, **found, "release": release, "is_wanted": release == wanted if wanted else None}
        )
    return row


def queue_rows(names: Iterable[str], queues: Mapping[str, Values]) -> list[dict[str, Any]]:
    """Each queue with its messages, and those of its dead letter queue; None for a queue that is not there."""
    rows = []
    for name in names:
        own, dead = (
            {} if one not in queues else queues[one]["attributes"] for one in (name, name + DEAD_LETTER_SUFFIX)
        )
        rows.append(
            {
                "queue": name,
                **{key: int(own[count]) if count in own else None for key, count in COUNTS.items()},
                "dead": sum(int(dead.get(count, 0)) for count in MESSAGE_COUNTS) if dead else None,
            }
        )
    return rows


def report(
    given: str, hosts: Mapping[str, Values], queues: Sequence[str], aws: Values, now: datetime
) -> dict[str, Any]:
    """The report for machines, as docs/outputs.md has it, with `text` for people. `aws` is what was read of AWS."""
    releases, locks = read_releases(aws["releases"]), read_locks(aws["deploy_locks"])
    wanted = wanted_release(given, releases)
    told: dict[str, Any] = {
        "release": wanted,
        "hosts": [host_row(host, known, aws, wanted) for host, known in hosts.items()],
        "queues": queue_rows(queues, aws["queues"]),
        "lock": describe(locks[-1] if locks else None, now),
        "releases": [_release(release) for release in releases[:LAST_RELEASES]],
    }
    attention = [*(words for row in told["hosts"] for words in host_notes(row, wanted)), *_queue_notes(told["queues"])]
    if releases and releases[0].result != "succeeded":
        attention.append(_release_words(releases[0]))
    unknown = [words for row in told["hosts"] for words in _unknown_notes(row, wanted)]
    if not wanted:
        unknown.append(
            Words(
                "which release is wanted: no release was recorded, and none is named (-e release=<git-sha>)",
                "원하는 릴리스: 기록도 없고 지정하지도 않았습니다(-e release=<git-sha>)",
            )
        )
    status = ATTENTION if attention else UNKNOWN if unknown else OK
    return {
        "status": status,
        **told,
        "attention": [words._asdict() for words in attention],
        "unknown": [words._asdict() for words in unknown],
        "text": text(told, attention, unknown, status),
    }


def _release(release: Release) -> dict[str, Any]:
    names = ("number", "release", "result", "playbook", "owner", "host", "started_at", "ended_at")
    return {name: getattr(release, name) for name in names}


def _release_words(release: Release) -> Words:
    return Words(
        f"the last run that shipped ({release.playbook}, release {release.release}) {release.result}: run it again, or "
        "go back (playbooks/rollback.yml)",
        f"마지막 배포({release.playbook}, 릴리스 {release.release})가 {release.result}입니다. 다시 실행하거나 "
        "되돌리십시오(playbooks/rollback.yml)",
    )


def host_notes(row: Values, wanted: str) -> list[Words]:
    """What is not as it should be on a host."""
    host, state = row["host"], row["state"]
    if state == ABSENT:
        return [Words(f"{host} has no instance", f"{host}의 인스턴스가 없습니다")]
    if state == STOPPED and not row["may_be_stopped"]:
        return [Words(f"{host} is stopped, and must run", f"{host}이(가) 멈춰 있지만 실행 중이어야 합니다")]
    notes = []
    if state == STOPPED and wanted and row["noted_release"] != wanted:
        noted = row["noted_release"] or "no release"
        notes.append(
            Words(
                f"{host} sleeps with {noted}, and wakes up with it",
                f"{host}이(가) {noted}(으)로 잠들어 있고 그대로 깨어납니다",
            )
        )
    for service in row["services"]:
        name, health = service["service"], service["health"]
        if health != HEALTHY:
            notes.append(Words(f"{host}: {name} is {health}", f"{host}: {name} 상태가 {health}입니다"))
        if service["is_wanted"] is False and service["digest"]:
            runs = service["release"]
            notes.append(
                Words(
                    f"{host}: {name} runs {runs} instead of {wanted}",
                    f"{host}: {name}이(가) {wanted} 대신 {runs}을(를) 실행합니다",
                )
            )
    full = {path: percent for path, percent in row["disks"].items() if percent >= FULL_PERCENT}
    return notes + [
        Words(f"{host}: the disk at {path} is {percent} % full", f"{host}: {path} 디스크가 {percent} % 찼습니다")
        for path, percent in full.items()
    ]


def _unknown_notes(row: Values, wanted: str) -> list[Words]:
    """What cannot be told of a host, and why."""
    host, state = row["host"], row["state"]
    if row["why"]:
        return [Words(f"{host} runs: {row['why']}", f"{host} 실행 중: {row['why']}")]
    if state not in (RUNNING, STOPPED, ABSENT):
        return [Words(f"{host} is {state}", f"{host}: {state}")]
    return [
        Words(f"{host}: which image {name} is of", f"{host}: {name}의 이미지")
        for name in (
            service["service"] for service in row["services"] if service["health"] != ABSENT and not service["digest"]
        )
    ]


def _queue_notes(rows: Iterable[Values]) -> list[Words]:
    return [
        Words(
            f"{row['queue']}: there is no such queue"
            if row["dead"] is None
            else f"{row['queue']}: {row['dead']} failed",
            f"{row['queue']}: 큐가 없습니다" if row["dead"] is None else f"{row['queue']}: 실패한 작업 {row['dead']}건",
        )
        for row in rows
        if row["dead"] != 0 or row["waiting"] is None
    ]


# --- for people -----------------------------------------------------------------------------------------------------


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Columns as wide as what stands in them."""
    lines = [[*headings], *([NOTHING if cell in ("", None) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _host_lines(row: Values) -> list[list[Any]]:
    """A line for each service; a host that was not read has one."""
    state = "sleeps" if row["state"] == STOPPED and row["may_be_stopped"] else row["state"]
    disks = ", ".join(f"{path} {percent}%" for path, percent in row["disks"].items())
    swap = f"{row['swap_used_mib']}/{row['swap_total_mib']} MiB" if row["read"] else ""
    own = [disks, swap, row["host_release"]]
    if not row["services"]:
        health = "cannot tell" if row["why"] else ""
        return [[row["host"], state, "", row["noted_release"], "", health, *own]]
    lines = [
        [row["host"], state, each["service"], each["release"], each["container"], each["health"], *own]
        for each in row["services"]
    ]
    return [lines[0], *(["", "", *line[2:6], *[""] * len(own)] for line in lines[1:])]


def text(told: Values, attention: Sequence[Words], unknown: Sequence[Words], status: str) -> list[str]:
    hosts = [line for row in told["hosts"] for line in _host_lines(row)]
    lock = told["lock"]
    held = "" if lock["state"] == "free" else f": {lock['owner']} on {lock['host']} until {lock['expires_at']}"
    shipped = [
        [each["ended_at"], each["release"], each["result"], each["playbook"], each["owner"]]
        for each in told["releases"]
    ]
    return [
        f"release wanted / 원하는 릴리스: {told['release'] or UNKNOWN}",
        "",
        *table(["host", "state", "service", "release", "container", "health", "disk", "swap", "amazon linux"], hosts),
        "",
        *table(
            ["queue", "waiting", "in flight", "delayed", "failed"],
            [[row["queue"], row["waiting"], row["in_flight"], row["delayed"], row["dead"]] for row in told["queues"]],
        ),
        "",
        f"lock / 배포 잠금: {lock['state']}{held}",
        "",
        *table(["shipped at", "release", "result", "playbook", "by"], shipped),
        *(["", "Needs attention / 확인 필요:", *_note_lines("!", attention)] if attention else []),
        *(["", "Cannot tell / 알 수 없음:", *_note_lines("?", unknown)] if unknown else []),
        "",
        status,
    ]


def _note_lines(mark: str, notes: Iterable[Words]) -> list[str]:
    return [line for words in notes for line in (f"{mark} {words.en}", f"  {words.ko}")]
