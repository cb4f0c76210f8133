# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container of the application: its image, environment and directories, and how it is run.

What is compared is all that docker_container is given, so that it is called only where it would change something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from ..application_environment import value_findings
from ..ecr import registry_host
from ..environment_file import NAME, environment, render, sha256, wanted_path
from ..findings import NOT_SHOWN, Finding, Words, errors
from ..first_process import passes_signals
from ..hold import is_brought_up
from ..host_paths import CONFIGURATION_DIRECTORY, HEARTBEAT, RUN_DIRECTORY, WATCHDOG_SETTINGS, heartbeat_directory
from ..host_state import BYTES_PER_MIB, environment_hashes, environment_sha256, outdated_images, sha256_of
from ..memory import container_findings, running_limits_mib
from ..placement import THRESHOLD, SharedHost, stop_findings, watchdog_findings
from ..proxy import PATH as PROXY_CONFIGURATION
from ..services import ROWS, on_host, owners, rows, slot_name, stopping_containers, tag_of
from ..slots import (
    Overlap,
    holder_findings,
    next_slot,
    overlap_findings,
    runs,
    serving_slot,
    takeover_findings,
    used_mib,
)
from . import Change, Difference, Plan, Role, Rule, Values, compare, host, proxy

WHY = "guide §6.3"
# Ansible's names of architectures in Docker's words.
PLATFORMS = {"aarch64": "linux/arm64", "x86_64": "linux/amd64"}
PORT = re.compile(
    r"(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:]+\]):)?(?P<host>\d+):(?P<container>\d+)(?:/(?P<protocol>[a-z]+))?"
)
VOLUME = re.compile(r"(?P<source>[^:]+):(?P<target>/[^:]*)(?::(?P<mode>[A-Za-z,]+))?")
# What the database's address is in check mode, in which it may not exist yet.
NO_ADDRESS = "not-created-yet"
# An image's layers come compressed to about a third, and lie beside what is unpacked of them until all have come.
UNPACKED = 4
# Of the disk, for logs and whatever else is written meanwhile.
ROOM_RESERVE_MIB = 512
HEALTH_COMMAND, COMMAND = "health_command_sha256", "command_sha256"


# --- the inputs -----------------------------------------------------------------------------------------------------


def _form_findings(variable: str, texts: Iterable[str], form: re.Pattern[str], rule: Words) -> list[Finding]:
    return [
        Finding(variable, variable, f"'{text}'", rule, Words("Write it in that form.", "그 형식으로 쓰십시오."))
        for text in texts
        if not form.fullmatch(text)
    ]


def port_findings(ports: list[str]) -> list[Finding]:
    rule = "[address:]port:container_port[/protocol]"
    return _form_findings(
        "container_published_ports", ports, PORT, Words(f"must be {rule}", f"{rule} 형식이어야 합니다")
    )


def volume_findings(volumes: list[str]) -> list[Finding]:
    rule = "source:/path[:mode]"
    return _form_findings("container_volumes", volumes, VOLUME, Words(f"must be {rule}", f"{rule} 형식이어야 합니다"))


def environment_findings(settings: Values, secrets: Values) -> list[Finding]:
    """What readers of the environment's file would understand differently. Never tells a value."""
    rules = [
        *(
            (
                name,
                bool(NAME.fullmatch(name)),
                Words(
                    "a name has letters, digits and underscores and starts with no digit",
                    "이름은 영문자, 숫자, 밑줄이고 숫자로 시작하지 않습니다",
                ),
                Words("Rename it.", "이름을 바꾸십시오."),
            )
            for name in [*settings, *secrets]
        ),
        *(
            (
                name,
                name not in settings,
                Words("stands among the settings and among the secrets", "설정과 비밀값에 모두 있습니다"),
                Words("Take it out of one of them.", "한쪽에서 빼십시오."),
            )
            for name in secrets
        ),
    ]
    return [
        *(
            Finding("environment_name", name, NOT_SHOWN, rule, remedy)
            for name, holds, rule, remedy in rules
            if not holds
        ),
        *(found for name, value in settings.items() for found in value_findings(name, {"required": False}, value)),
        *(found for name, value in secrets.items() for found in value_findings(name, {"secret": True}, value)),
    ]


def completed(inputs: Values) -> Values:
    """With what follows from the rows of the services, where it is not given by itself."""
    services, service = inputs["services"], inputs["container_service"]
    row, here = rows(services).get(service), on_host(services, inputs["group_names"])
    stopping = stopping_containers(services, inputs["group_names"])
    return {
        "container_memory_mib": row.memory_mib if row else 0,
        "container_expected_limits_mib": {found.name: found.memory_mib for found in here.values()},
        # Of a service that was taken off the host, which nothing else would stop.
        "container_unwanted": [
            name for name, owner in owners(services).items() if owner not in {found.name for found in here.values()}
        ],
        "container_slots": row.slots if row else {},
        # It may have been a host of a service with slots before.
        "container_leaves_proxy": bool(services) and not any(found.slots for found in here.values()),
        # A worker counts its own empty polls only while no other one may have work there. Beside another one it tells
        # how it is doing, and the host decides.
        "container_idle_stop_threshold": inputs["worker_idle_stop_threshold"] if [*stopping] == [service] else 0,
        "container_stopping_neighbours": {other: name for other, name in stopping.items() if other != service},
        "container_heartbeat": bool(row and row.stops_itself and inputs["worker_heartbeat"]),
        **inputs,
    }


def due(inputs: Values) -> Values:
    """Without preparations where there were some: whoever goes back to a release that has served is in a hurry."""
    return {**inputs, "container_preparations": []} if inputs["container_has_served"] else inputs


def in_slot(inputs: Values, slot: str) -> Values:
    """The container as it runs in a slot: under its name there, and at the slot's port of the loopback address."""
    if not slot:
        return inputs
    port, url = inputs["container_slots"][slot], inputs["container_health_url"]
    given = [PORT.fullmatch(text) for text in inputs["container_published_ports"]]
    return {
        **inputs,
        "container_name": slot_name(inputs["container_name"], slot),
        "container_published_ports": [f"127.0.0.1:{port}:{found['container']}" for found in given if found],
        "container_health_url": urlsplit(url)._replace(netloc=f"127.0.0.1:{port}").geturl() if url else "",
    }


def each_slot(inputs: Values) -> list[Values]:
    return [in_slot(inputs, slot) for slot in inputs["container_slots"]] or [inputs]


# --- what is wanted -------------------------------------------------------------------------------------------------


def image_name(inputs: Values) -> str:
    return f"{inputs['container_repository']}:{inputs['container_image_tag']}"


def _repository(inputs: Values) -> str:
    """As Docker calls it."""
    return f"{registry_host(inputs['aws_account_id'], inputs['aws_region'])}/{inputs['container_repository']}"


def environment_file(name: str) -> str:
    return f"{CONFIGURATION_DIRECTORY}/{name}.env"


def _heartbeat_paths(name: str) -> tuple[str, str]:
    return f"/etc/tmpfiles.d/{name}.conf", heartbeat_directory(name)


def paths(inputs: Values) -> list[dict[str, Any]]:
    """What the role keeps beside the environment's file, all of it root's. A directory stands before what is in it."""
    name = inputs["container_name"]
    at_boot, directory = _heartbeat_paths(name)
    heartbeat = [
        # Made at boot before Docker, which would make a directory that the image's user may not write.
        {"path": at_boot, "kind": "file", "mode": "0644", "content": f"d {directory} 1777 root root -\n"},
        {"path": RUN_DIRECTORY, "kind": "directory", "mode": "0755"},
        # The image's user is not ours, so the directory is open to every one.
        {"path": directory, "kind": "directory", "mode": "1777"},
    ]
    return [
        *(
            {"path": path, "kind": "absent"}
            for unwanted in inputs["container_unwanted"]
            for path in (environment_file(unwanted), *_heartbeat_paths(unwanted))
        ),
        {"path": CONFIGURATION_DIRECTORY, "kind": "directory", "mode": "0700"},
        *(heartbeat if inputs["container_heartbeat"] else []),
    ]


def own_settings(inputs: Values, found: Values) -> dict[str, Any]:
    """What the role itself adds to the environment."""
    settings: dict[str, Any] = {}
    if inputs["container_database_identifier"]:
        settings["DB_HOST"] = _database_address(found) or NO_ADDRESS
    if inputs["container_idle_stop_threshold"]:
        settings[THRESHOLD] = inputs["container_idle_stop_threshold"]
    if inputs["container_heartbeat"]:
        settings["WORKER_HEARTBEAT_FILE"] = f"{RUN_DIRECTORY}/{HEARTBEAT}"
    return settings


def _database_address(found: Values) -> str:
    return str((((found["aws"]["db_instance"] or {}).get("endpoint")) or {}).get("address") or "")


def _volumes(inputs: Values) -> list[str]:
    """As Docker tells them."""
    given = [VOLUME.fullmatch(text) for text in inputs["container_volumes"]]
    shared = [f"{_heartbeat_paths(inputs['container_name'])[1]}:{RUN_DIRECTORY}:rw"]
    return sorted(
        [
            *(f"{volume['source']}:{volume['target']}:{volume['mode'] or 'rw'}" for volume in given if volume),
            *(shared if inputs["container_heartbeat"] else []),
        ]
    )


def _published_ports(inputs: Values) -> list[str]:
    given = [PORT.fullmatch(text) for text in inputs["container_published_ports"]]
    return sorted(
        f"{(port['address'] or '0.0.0.0').strip('[]')}:{port['host']}:{port['container']}/{port['protocol'] or 'tcp'}"
        for port in given
        if port
    )


def _log_options(inputs: Values) -> dict[str, str]:
    return {
        "awslogs-region": inputs["aws_region"],
        "awslogs-group": inputs["container_log_group"],
        "awslogs-stream": inputs["inventory_hostname"],
        # CloudWatch out of reach must neither keep the container from starting nor stop it in the middle of its work.
        "mode": "non-blocking",
        "max-buffer-size": "4m",
    }


def _log_stream(inputs: Values) -> str:
    """As aws_state names one."""
    return f"{inputs['container_log_group']}:{inputs['inventory_hostname']}"


def _wanted(inputs: Values, reference: str, values: Mapping[str, str], now: Values | None) -> dict[str, Any]:
    """The container, as _comparable tells of one. What is not given is the image's own."""
    defaults = now["image_defaults"] if now else {"environment": {}, COMMAND: None, HEALTH_COMMAND: None}
    command, health_command = inputs["container_command"], inputs["container_health_command"]
    hashes = {**defaults["environment"], **environment_hashes(values)}
    return {
        "image": reference,
        COMMAND: sha256_of(command) if command else defaults[COMMAND],
        HEALTH_COMMAND: sha256_of(["CMD", *health_command]) if health_command else defaults[HEALTH_COMMAND],
        "environment": {
            "names": sorted(hashes.keys() - set(now["environment_names"] if now else [])),
            "sha256": environment_sha256(hashes),
        },
        "published_ports": _published_ports(inputs),
        "volumes": _volumes(inputs),
        **_memory_bytes(inputs, inputs["container_memory_mib"]),
        "log_driver": "awslogs",
        "log_options_sha256": sha256_of(_log_options(inputs)),
        "restart_policy": "unless-stopped",
        "stop_timeout_seconds": inputs["container_stop_timeout_seconds"],
        "state": "running",
        # Of a bind mount Docker compares the words alone: with a restart a container gets what lies at them now.
        "stale_mounts": [],
        # Docker makes it when it starts the container, and never again: what is logged to a deleted one is lost.
        "log_stream": "present",
    }


def _memory_bytes(inputs: Values, memory_mib: int) -> dict[str, int]:
    swap_mib = inputs["container_swap_mib"] if memory_mib else 0
    return {
        "memory_bytes": memory_mib * BYTES_PER_MIB,
        "memory_swap_bytes": (memory_mib + swap_mib) * BYTES_PER_MIB,
    }


def _comparable(now: Values, names: Collection[str], log_stream: str) -> dict[str, Any]:
    """A container beside one that is to have variables of these names, of which only those that differ are told."""
    environment_now = {
        "names": [
            name for name in now["environment_names"] if name not in {*names, *now["image_defaults"]["environment"]}
        ],
        "sha256": now["environment_sha256"],
    }
    # One that Docker is starting again and again is not made to run by being started.
    state = "running" if now["status"] == "restarting" else now["status"]
    return {**now, "environment": environment_now, "state": state, "log_stream": log_stream}


# --- what is asked, and what is refused -----------------------------------------------------------------------------


def reads(inputs: Values) -> Values:
    slots = inputs["container_slots"]
    leaves = inputs["container_leaves_proxy"]
    others = [
        *([WATCHDOG_SETTINGS] if inputs["container_stopping_neighbours"] else []),
        *([PROXY_CONFIGURATION] if slots or leaves else []),
    ]
    asked = host.reads(
        [*paths(inputs), *(proxy.leaving_paths() if leaves else [])],
        environment_file(inputs["container_name"]),
        *others,
        units=[proxy.UNIT] if leaves else [],
    )
    each = each_slot(inputs)
    return {
        **asked,
        "contents": [*asked["contents"], *others],
        "containers": True,
        "memory_of": own_containers(inputs) if slots else [],
        "repositories": [_repository(inputs)],
        "addresses": [_address(one) for one in each] if inputs["container_health_url"] else [],
        "commands": [_check(one, preparation) for one in each for preparation in needed_preparations(inputs)],
    }


def own_containers(inputs: Values) -> list[str]:
    """All that may run of the service; the first one is of the time before it had slots, or its only one."""
    name = inputs["container_name"]
    return [name, *(slot_name(name, slot) for slot in inputs["container_slots"])]


def needed_preparations(inputs: Values) -> list[Values]:
    """Those without which the container may not run."""
    return [preparation for preparation in inputs["container_preparations"] if not preparation.get("only_warns")]


def _address(inputs: Values) -> dict[str, Any]:
    return {
        "url": inputs["container_health_url"],
        "headers": inputs["container_health_headers"],
        "expected": inputs["container_health_answer"],
    }


def _check(inputs: Values, preparation: Values) -> dict[str, Any]:
    return {"container": inputs["container_name"], "argv": preparation["check"]}


def asks(inputs: Values) -> Values:
    identifier = inputs["container_database_identifier"]
    return {
        "container_images": [name for name in [image_name(inputs)] if name not in inputs["container_images"]],
        "log_streams": [_log_stream(inputs)],
        **({"db_instance_identifier": identifier} if identifier else {}),
    }


def image_of(inputs: Values, found: Values) -> Values | None:
    """The image, as whoever resolved the release for all hosts found it, or else as this host's own look did."""
    known: Values = {**found["aws"]["container_images"], **inputs["container_images"]}
    return known.get(image_name(inputs))


def missing_findings(inputs: Values, found: Values) -> list[Finding]:
    """What other roles have to make first."""
    name, identifier, on = (
        inputs["container_name"],
        inputs["container_database_identifier"],
        inputs["inventory_hostname"],
    )
    image, group = image_name(inputs), inputs["container_log_group"]
    configure, mounted = "playbooks/configure.yml", {mount["target"] for mount in found["mounts"]}
    rules = [
        (
            image_of(inputs, found) is not None,
            "release",
            Words(f"ECR has no image {image}", f"ECR에 이미지 {image}이(가) 없습니다"),
            Words(
                "Build and push it (playbooks/images.yml), or name a release that exists (-e release=<tag>).",
                "빌드하고 푸시하거나(playbooks/images.yml) 있는 릴리스를 지정하십시오(-e release=<tag>).",
            ),
        ),
        (
            not identifier or bool(_database_address(found)),
            "container_database_identifier",
            Words(
                f"RDS has no instance {identifier} with an endpoint",
                f"RDS에 엔드포인트가 있는 {identifier}이(가) 없습니다",
            ),
            Words(
                "Create it (playbooks/provision.yml --tags logs,database), or wait until it is available.",
                "만들거나(playbooks/provision.yml --tags logs,database) 사용할 수 있을 때까지 기다리십시오.",
            ),
        ),
        (
            _log_stream(inputs) in found["aws"]["log_streams"],
            "container_log_group",
            Words(
                f"CloudWatch has no log group {group}, so what {name} logs is lost",
                f"CloudWatch에 로그 그룹 {group}이(가) 없어 {name}의 로그가 사라집니다",
            ),
            Words(
                "Create it: playbooks/provision.yml --tags logs.",
                "만드십시오: playbooks/provision.yml --tags logs.",
            ),
        ),
        (
            found["docker_running"],
            on,
            Words("Docker does not run", "Docker가 실행되고 있지 않습니다"),
            Words(
                f"Run {configure} --limit {on} --tags docker first.",
                f"먼저 {configure} --limit {on} --tags docker를 실행하십시오.",
            ),
        ),
        *(
            (
                mount["path"] in mounted,
                mount["path"],
                Words(
                    f"{name} keeps its files there, but no disk is mounted on {on}, so they would fill the root disk",
                    f"{name}이(가) 여기에 파일을 두지만 {on}에 디스크가 마운트되지 않아 루트 디스크가 찹니다",
                ),
                Words(
                    f"Run {configure} --limit {on} --tags {mount['role']} first.",
                    f"먼저 {configure} --limit {on} --tags {mount['role']}을(를) 실행하십시오.",
                ),
            )
            for mount in inputs["container_required_mounts"]
        ),
    ]
    return [
        Finding("container_needs", subject, NOT_SHOWN, rule, remedy)
        for holds, subject, rule, remedy in rules
        if not holds
    ]


def platform_findings(image: str, platforms: Collection[str], on: str, architecture: str) -> list[Finding]:
    platform, listed = PLATFORMS.get(architecture, "unknown"), ", ".join(platforms)
    if platform in platforms:
        return []
    return [
        Finding(
            "container_platform",
            "release",
            NOT_SHOWN,
            Words(
                f'{image} is built for {listed}, but {on} is {platform}: it would end in "exec format error"',
                f'{image}은(는) {listed}용이지만 {on}은(는) {platform}이라서 "exec format error"로 끝납니다',
            ),
            Words(
                f"Set image_platform to {platform} and build it under a new release, or choose another instance_type.",
                f"image_platform을 {platform}으로 하여 새 릴리스로 빌드하거나 다른 instance_type을 고르십시오.",
            ),
        )
    ]


def needed_room_mib(image: Values) -> int:
    return int(UNPACKED * image["size_bytes"] // BYTES_PER_MIB + ROOM_RESERVE_MIB)


def has_room(inputs: Values, image: Values, found: Values) -> bool:
    """Whether an image that is to be pulled has room, before half of it fills the disk that all of the host shares."""
    room = found["image_room_bytes"]
    return room is None or room // BYTES_PER_MIB >= needed_room_mib(image) or is_here(inputs, image["reference"], found)


def failed_images(inputs: Values, image: Values, found: Values) -> list[Values]:
    """The images of releases that never succeeded, which go where the wanted one has no room.

    None of a container, so not what runs; and none where no record says what has succeeded: nobody knows which is that
    of before.
    """
    succeeded = inputs["container_succeeded_digests"]
    listed = found["repositories"][_repository(inputs)]
    unused = outdated_images(listed, image["reference"], found["containers"].values())
    return [
        each
        for each in listed
        if succeeded
        and each["id"] in unused
        and not any(reference.rpartition("@")[2] in succeeded for reference in each["references"])
    ]


def room_findings(inputs: Values, image: Values, found: Values) -> list[Finding]:
    """Why a host has no room for an image, when no release that failed has left anything that could go for it."""
    if has_room(inputs, image, found) or failed_images(inputs, image, found):
        return []
    room, name, on = found["image_room_bytes"], image_name(inputs), inputs["inventory_hostname"]
    needed_mib = needed_room_mib(image)
    return [
        Finding(
            "container_room",
            "instance_root_volume_size_gib",
            f"{room // BYTES_PER_MIB} MiB",
            Words(
                f"to pull {name} {on} needs {needed_mib} MiB free where Docker keeps its images ({UNPACKED} times the "
                f"{image['size_bytes'] // BYTES_PER_MIB} MiB of the download, and {ROOM_RESERVE_MIB} MiB)",
                f"{on}에서 {name}을(를) 받으려면 Docker가 이미지를 두는 곳에 {needed_mib} MiB가 비어 있어야 "
                f"합니다(다운로드 {image['size_bytes'] // BYTES_PER_MIB} MiB의 {UNPACKED}배와 {ROOM_RESERVE_MIB} MiB)",
            ),
            Words(
                "Images of releases that failed are gone already. Remove there what else no container needs (docker "
                "image prune --all; ECR keeps it), see what fills it (docker system df, df -h), or give the host a "
                "larger root volume.",
                "실패한 릴리스의 이미지는 이미 지웠습니다. 그 밖에 컨테이너가 쓰지 않는 이미지를 지우거나(docker image "
                "prune --all, ECR에는 남습니다) 무엇이 채우는지 보거나(docker system df, df -h) 더 큰 루트 볼륨을 "
                "쓰십시오.",
            ),
        )
    ]


def signal_findings(inputs: Values, image: Values) -> list[Finding]:
    """Whether a worker hears that it has to end: else its job stays hidden in the queue."""
    row = rows(inputs["services"]).get(inputs["container_service"])
    command = inputs["container_command"]
    passes = passes_signals(command) if command else image["passes_signals"]
    if not row or not row.receives_from or passes is not False:
        return []
    return [
        Finding(
            "container_signals",
            row.dockerfile,
            NOT_SHOWN,
            Words(
                f"the first process of {image_name(inputs)} is a shell that passes no signal on: at a stop or a Spot "
                "notice its job is not given back, and stays hidden in its queue for the whole visibility timeout",
                f"{image_name(inputs)}의 첫 프로세스는 신호를 전달하지 않는 셸입니다. 중지나 스팟 알림 때 작업을 "
                "돌려주지 못해 큐에서 가시성 제한 시간 내내 숨겨집니다",
            ),
            Words(
                'Write CMD ["python", "…"] with brackets, or exec in front of its last command.',
                'CMD ["python", "…"]처럼 대괄호로 쓰거나 마지막 명령 앞에 exec를 붙이십시오.',
            ),
            "warning",
        )
    ]


def memory_findings(inputs: Values, found: Values) -> list[Finding]:
    """What a neighbour is meant to have wins over what it has, because its own role changes it. The unwanted go."""
    return container_findings(
        inputs["container_name"],
        inputs["container_memory_mib"],
        _limits_mib(inputs, found),
        found["memory_total_mib"],
        inputs["container_host_memory_min_mib"],
    )


def _limits_mib(inputs: Values, found: Values) -> dict[str, int]:
    """By whose the containers are: of those in slots one counts, for they are one service's."""
    own = {**owners(inputs["services"]), **dict.fromkeys(own_containers(inputs), inputs["container_name"])}
    running = {own.get(name, name): limit for name, limit in running_limits_mib(found["containers"]).items()}
    meant = {**dict.fromkeys(inputs["container_unwanted"], 0), **inputs["container_expected_limits_mib"]}
    return {**running, **{name: int(limit) for name, limit in meant.items()}}


def _shared_host(inputs: Values, found: Values) -> SharedHost:
    neighbours = inputs["container_stopping_neighbours"]
    run = inputs["container_run_tags"], inputs["container_skip_tags"]
    return SharedHost(
        inputs["inventory_hostname"],
        neighbours,
        [service for service in neighbours if is_brought_up([tag_of(inputs["services"], service)], *run)],
        found["containers"],
        _watched(found["paths"].get(WATCHDOG_SETTINGS, {}).get("content", "")),
    )


def _watched(settings: str) -> Collection[str]:
    try:
        return frozenset(json.loads(settings)["heartbeat_files"])
    except (ValueError, TypeError, KeyError):
        return frozenset()


# --- the decision ---------------------------------------------------------------------------------------------------


def unwanted_changes(inputs: Values, found: Values) -> list[Change]:
    """Containers of services that the host no longer has: they would go on working with their old release."""
    return [
        Change(name, "remove", (Difference("state", found["containers"][name]["status"], None),), WHY, {"unwanted": {}})
        for name in inputs["container_unwanted"]
        if name in found["containers"]
    ]


def environment_changes(name: str, text: str, found: Values) -> list[Change]:
    """The environment's file, whose content only the task that writes it gets."""
    path = environment_file(name)
    before = found["paths"][path].get("sha256")

    def told(difference: Difference) -> Difference:
        return Difference("sha256", before, sha256(text)) if difference.field == "content" else difference

    return [
        replace(change, differences=tuple(map(told, change.differences)), apply={"environment": {}})
        for change in host.path_changes(found, [{**wanted_path(path, text), "secret": True}], WHY)
    ]


def container_changes(
    inputs: Values, reference: str, values: Mapping[str, str], found: Values, start_mib: int | None = None
) -> list[Change]:
    """With `start_mib` the container gets its full memory only when the one before it is gone."""
    name = inputs["container_name"]
    now = found["containers"].get(name)
    wanted = _wanted(inputs, reference, values, now)

    def apply(fields: frozenset[str]) -> dict[str, Values]:
        arguments = {
            **{key: wanted[key] for key in ("image", "volumes", "memory_bytes", "memory_swap_bytes")},
            **({} if start_mib is None else _memory_bytes(inputs, start_mib)),
            "log_options": _log_options(inputs),
            "restart": bool({"stale_mounts", "log_stream"} & fields),
            # What is left to the image is not compared there.
            "recreate": bool({COMMAND, HEALTH_COMMAND} & fields),
        }
        return {"containers": arguments, **_awaited(inputs)}

    # Where its group is missing that is refused, and in check mode made by its own role.
    log_stream = "present" if found["aws"]["log_streams"].get(_log_stream(inputs), True) else "missing"
    return compare(name, wanted, _comparable(now, values, log_stream) if now else None, WHY, apply)


def _awaited(inputs: Values) -> dict[str, Values]:
    return {"answers" if inputs["container_health_url"] else "settling": {}}


def health_changes(inputs: Values, found: Values) -> list[Change]:
    """What a container that runs as it should is waited for: its answer, or its health."""
    name, url = inputs["container_name"], inputs["container_health_url"]
    now = found["containers"][name]
    if url:
        health = "healthy" if url in found["answering"] else "no healthy answer"
    else:
        told = now["health"] if now["status"] == "running" else ""
        health = "healthy" if now["settled"] else told or now["status"]
    return compare(name, {"health": "healthy"}, {"health": health}, WHY, lambda _: _awaited(inputs))


def preparation_changes(inputs: Values, found: Values) -> list[Change]:
    """What has to be done anew for a container that runs as it should: of a database that was restored, for example."""
    failed = [{**ran, "exit_code": None} for ran in found["commands"] if ran["exit_code"]]
    return [
        Change(
            inputs["container_name"],
            "update",
            (Difference(preparation["name"], "pending", "done"),),
            WHY,
            {"preparations": {"preparation": preparation["name"]}},
        )
        for preparation in needed_preparations(inputs)
        if {**_check(inputs, preparation), "exit_code": None} in failed
    ]


def image_changes(inputs: Values, reference: str, serving: str, found: Values) -> list[Change]:
    """The image that is not there yet, and those that nobody needs any more when another one has taken over.

    The one of the container that serves until then stays for whoever goes back. A release that fails removes nothing.
    """
    stay = {name: one for name, one in found["containers"].items() if name not in inputs["container_unwanted"]}
    name = inputs["container_name"]
    before = [stay[each]["image"] for each in (slot_name(name, serving), name) if each in stay]
    pulled = (Difference("image", None, reference),)
    image = image_of(inputs, found)
    failed = failed_images(inputs, image, found) if image and not has_room(inputs, image, found) else []
    return [
        *(
            Change(each["references"][-1], "remove", (Difference("image", each["id"], None),), WHY, {"discarded": each})
            for each in failed
        ),
        *([] if is_here(inputs, reference, found) else [Change(reference, "create", pulled, WHY, {"pulled": {}})]),
        *(
            Change(image, "remove", (Difference("image", image, None),), WHY, {"outdated": {}})
            for image in outdated_images(found["repositories"][_repository(inputs)], reference, stay.values())
            if before and before[0] != reference
        ),
    ]


def is_here(inputs: Values, reference: str, found: Values) -> bool:
    """A digest names one image for ever: what is on the host already need not be asked for."""
    return any(reference in image["references"] for image in found["repositories"][_repository(inputs)])


@dataclass(frozen=True)
class Place:
    """Where the wanted container runs, and what has to go for it. Without slots it is the only one."""

    slot: str
    serving: str  # the slot that serves now
    others: Sequence[str]  # the service's other containers that are there, of which some may serve
    has_port: bool  # whether one of them is of the time before the slots, and holds the proxy's port
    overlap: Overlap | None  # with those of them that may serve

    @classmethod
    def of(cls, inputs: Values, reference: str, values: Mapping[str, str], found: Values) -> Place:
        name, slots, containers = inputs["container_name"], inputs["container_slots"], found["containers"]
        if not slots:
            return cls("", "", [], has_port=False, overlap=None)
        record = found["paths"][PROXY_CONFIGURATION].get("content", "")
        serving = serving_slot(name, slots, record, containers)
        differing = [
            difference.field
            for change in (container_changes(in_slot(inputs, serving), reference, values, found) if serving else [])
            for difference in change.differences
        ]
        is_up = runs(containers, slot_name(name, serving))
        slot = next_slot([*slots], serving, differing, is_up=is_up)
        others = [other for other in own_containers(inputs) if other in containers and other != slot_name(name, slot)]
        up = [other for other in others if runs(containers, other) and other in (name, slot_name(name, serving))]
        limits = {other: limit for other, limit in _limits_mib(inputs, found).items() if other != name}
        overlap = Overlap(
            inputs["inventory_hostname"],
            found["memory_total_mib"],
            sum(limits.values()),
            used_mib(containers, up),
            inputs["container_memory_mib"],
        )
        return cls(slot, serving, others, has_port=name in up, overlap=overlap if up else None)

    def findings(self, inputs: Values) -> list[Finding]:
        """What needs the consent to be without the service for a while."""
        name, on = inputs["container_name"], inputs["inventory_hostname"]
        if on in inputs["container_allow_downtime"]:
            return []
        return [
            *(takeover_findings(name, on) if self.has_port else []),
            *(overlap_findings(name, self.overlap) if self.overlap else []),
        ]

    @property
    def start_mib(self) -> int | None:
        return self.overlap.start_mib if self.overlap and self.overlap.fits else None

    def changes(self, inputs: Values, found: Values) -> list[Change]:
        """Who serves, and which containers go: before the new one comes, before the proxy takes its port, or after."""
        name = inputs["container_name"]
        if self.overlap and not self.overlap.fits:
            when = dict.fromkeys(self.others, "displaced")
        else:
            when = {other: "yielding" if other == name else "retired" for other in self.others}
        switched = (Difference("serving", self.serving or None, self.slot),)
        state = {other: found["containers"][other]["status"] for other in self.others}
        return [
            *([Change(name, "update", switched, WHY, {"switched": {}})] if self.slot != self.serving else []),
            *(
                Change(other, "remove", (Difference("state", state[other], None),), WHY, {when[other]: {}})
                for other in self.others
            ),
        ]

    def grown(self, inputs: Values) -> dict[str, Values]:
        """The full memory, for which there is room when the old one is gone."""
        start, limit = self.start_mib, inputs["container_memory_mib"]
        return {} if start is None or start == limit else {"grown": _memory_bytes(inputs, limit)}


def decide(inputs: Values, found: Values) -> Plan:
    name, image = inputs["container_name"], image_of(inputs, found)
    own, secrets, shared = own_settings(inputs, found), inputs["container_secrets"], _shared_host(inputs, found)
    settings = {**inputs["container_environment"], **own}
    on = inputs["inventory_hostname"]
    refusals = [
        *environment_findings(settings, secrets),
        *(
            [
                *platform_findings(image_name(inputs), image["platforms"], on, found["architecture"]),
                *room_findings(inputs, image, found),
                *signal_findings(inputs, image),
            ]
            if image
            else []
        ),
        *memory_findings(inputs, found),
        *stop_findings(shared, name, settings),
    ]
    missing = [*missing_findings(inputs, found), *watchdog_findings(shared, name)]
    if errors(refusals):
        return Plan(refusals, missing=missing)
    reference = image["reference"] if image else f"{_repository(inputs)}:{inputs['container_image_tag']}"
    values = environment(settings, secrets)
    place = Place.of(inputs, reference, values, found)
    there = in_slot(inputs, place.slot)
    containers = [
        replace(change, apply={**change.apply, **place.grown(inputs)})
        for change in container_changes(there, reference, values, found, place.start_mib)
    ]
    ports = [int(port["host"]) for port in map(PORT.fullmatch, there["container_published_ports"]) if port]
    own_or_leaving = [*own_containers(inputs), *inputs["container_unwanted"]]
    missing += [
        finding
        for port in ports
        for finding in holder_findings(
            found["containers"], port, own_or_leaving, "container_published_ports", there["container_name"]
        )
    ]
    return Plan(
        [*refusals, *place.findings(inputs)],
        changes=[
            *unwanted_changes(inputs, found),
            *(proxy.leaving_changes(found) if inputs["container_leaves_proxy"] else []),
            *host.path_changes(found, paths(inputs), WHY),
            *environment_changes(name, render(values), found),
            *image_changes(inputs, reference, place.serving, found),
            *(containers or preparation_changes(there, found)),
            *place.changes(inputs, found),
        ],
        pending=[] if containers else health_changes(there, found),
        missing=missing,
        known={
            # By the new image, before its container takes over.
            "preparations": [preparation["name"] for preparation in inputs["container_preparations"] if containers],
            "image": reference,
            "is_here": is_here(inputs, reference, found),
            "environment_file": environment_file(name),
            "settings": own,
            "container": there["container_name"],
            "published_ports": there["container_published_ports"],
            "health_url": there["container_health_url"],
            "slot": place.slot,
            # It serves on where the new one fails.
            "is_spare": place.overlap is not None and place.overlap.fits,
        },
        tag=tag_of(inputs["services"], inputs["container_service"]),
    )


ROLE = Role(
    lambda inputs: reads(completed(due(inputs))),
    lambda inputs, found: decide(completed(due(inputs)), found),
    applies=(
        *host.APPLIES,
        "discarded",
        "unwanted",
        "environment",
        "pulled",
        "preparations",
        "displaced",
        "containers",
        "answers",
        "settling",
        "yielding",
        "switched",
        "retired",
        "grown",
        "outdated",
    ),
    rules=(ROWS, Rule(port_findings, ("container_published_ports",)), Rule(volume_findings, ("container_volumes",))),
    on_host=True,
    asks=asks,
    asked_by=(
        "container_repository",
        "container_image_tag",
        "container_images",
        "container_database_identifier",
        "container_log_group",
    ),
)
