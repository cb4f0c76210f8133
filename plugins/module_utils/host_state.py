# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host shows of itself, from the output of its own tools, and where that differs from what is wanted.

Nothing here starts a command or opens a file. What is returned is made for results that anybody may see: never the
content of a file, never the command of a container or a value of its environment that was not asked for by name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from .lines import lines

UNIT_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "FragmentPath",
    "ActiveEnterTimestamp",
)
PACKAGE = re.compile(r"(\S+) (\S+)")
BYTES_PER_MIB = 1024**2
# Without a way to ask it, a container is healthy that has been running for a while.
SETTLE_SECONDS = 10


def parse_packages(rpm_query: str, asked: Iterable[str]) -> dict[str, str | None]:
    """Versions from `rpm --query --queryformat "%{NAME} %{VERSION}-%{RELEASE}\\n"`; None for what is not installed.

    Of a package that is installed in several versions rpm lists the newest last.
    """
    shown = (PACKAGE.fullmatch(line.strip()) for line in lines(rpm_query))
    found = {line[1]: line[2] for line in shown if line}
    return {name: found.get(name) for name in asked}


def parse_newer(rpm_query: str, userspace_timestamp: str) -> list[str]:
    """Packages that were installed since the boot, from `rpm --query --queryformat "%{NAME} %{INSTALLTIME}\\n"` and
    `systemctl show --timestamp=unix --property=UserspaceTimestamp --value`."""
    booted = int(userspace_timestamp.strip().removeprefix("@"))
    shown = (PACKAGE.fullmatch(line.strip()) for line in lines(rpm_query))
    return sorted({line[1] for line in shown if line and int(line[2]) >= booted})


def parse_units(systemctl_show: str, asked: Sequence[str]) -> dict[str, dict[str, Any]]:
    """States from `systemctl show --timestamp=unix --property=…`: one block for each unit, in the order asked.

    Not by the block's own Id, because a mount point or an alias is answered under another name.
    """
    blocks = [block for block in re.split(r"\n{2,}", systemctl_show.strip()) if block]
    if len(blocks) != len(asked):
        raise ValueError(f"systemctl shows {len(blocks)} units, but {len(asked)} were asked for")
    return {name: _unit(block) for name, block in zip(asked, blocks)}


def parse_containers(
    inspected: Iterable[Mapping[str, Any]],
    images: Mapping[str, Mapping[str, Any]],
    now: datetime,
    identity: Callable[[str], object],
    variables: Collection[str] = (),
    *,
    statistics: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Containers by name, from what the engine says of each of them, of their images and of what they use, by id.

    `identity` tells what lies at a path of the host, None for nothing, so that two paths to one thing can be known.
    Values are told of `variables` alone.
    """
    return {
        container["Name"].lstrip("/"): _container(
            container, images.get(container["Image"], {}), now, identity, variables
        )
        | {"memory_used_bytes": memory_used_bytes((statistics or {}).get(container["Id"], {}))}
        for container in inspected
    }


def memory_used_bytes(statistics: Mapping[str, Any]) -> int | None:
    """What a container could not do without, in the engine's statistics of it; None for one that does not run.

    As `docker stats` counts: without the files in memory that nobody has used for a while.
    """
    memory = statistics.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    # The first one is of cgroup v1, where the second leaves out what lies below.
    idle = details.get("total_inactive_file", details.get("inactive_file", 0))
    return int(memory["usage"] - idle if idle < memory["usage"] else memory["usage"])


def parse_repository(listed: Iterable[Mapping[str, Any]], repository: str) -> list[dict[str, Any]]:
    """The images of one repository, from the engine's list."""
    images = ((image, [*(image.get("RepoTags") or []), *(image.get("RepoDigests") or [])]) for image in listed)
    return [
        {"id": str(image["Id"]), "references": references}
        for image, references in images
        if any(re.match(f"{re.escape(repository)}[@:]", reference) for reference in references)
    ]


def outdated_images(
    images: Iterable[Mapping[str, Any]], current: str, containers: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Ids of a repository's images that nobody needs beside the current one: of which there is no container."""
    used = {container["image_id"] for container in containers}
    return [image["id"] for image in images if current not in image["references"] and image["id"] not in used]


def sha256_of(value: object) -> str:
    """Of what can be compared with another one and must not be told."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def environment_hashes(settings: Mapping[str, str]) -> dict[str, str]:
    """One for each variable, of which environment_sha256 makes that of an environment: it needs no value."""
    return {name: sha256_of([name, value]) for name, value in settings.items()}


def environment_sha256(hashes: Mapping[str, str]) -> str:
    return sha256_of(hashes)


def meminfo_bytes(proc_meminfo: str, name: str) -> int:
    """One line of /proc/meminfo; 0 where it is missing."""
    found = re.search(rf"^{re.escape(name)}:\s+(\d+) kB$", proc_meminfo, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def path_differences(
    paths: Mapping[str, Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The wanted paths that are not as wanted, in their order, each with `differs`: the names of what differs.

    A wanted path has `path`, `kind` (file by default, directory or absent), `owner` and `group` (root by default),
    `mode`, and as a file `content`. What it leaves out is not compared.
    """
    found = [{**want, "differs": _differences(paths[want["path"]], want)} for want in wanted]
    return [want for want in found if want["differs"]]


def _differences(found: Mapping[str, Any], want: Mapping[str, Any]) -> list[str]:
    kind = want.get("kind", "file")
    if found["kind"] != kind:
        return ["kind"]
    if kind == "absent":
        return []
    compared: dict[str, object] = {"owner": want.get("owner", "root"), "group": want.get("group", "root")}
    if "mode" in want:
        compared["mode"] = want["mode"]
    if "content" in want:
        compared["sha256"] = hashlib.sha256(want["content"].encode()).hexdigest()
    return [name for name, value in compared.items() if found.get(name) != value]


def _unit(block: str) -> dict[str, Any]:
    values = dict(line.split("=", 1) for line in lines(block) if "=" in line)
    entered = values.get("ActiveEnterTimestamp", "")
    return {
        "id": values.get("Id", ""),
        "load_state": values.get("LoadState", ""),
        "active_state": values.get("ActiveState", ""),
        "sub_state": values.get("SubState", ""),
        "unit_file_state": values.get("UnitFileState", ""),
        "need_daemon_reload": values.get("NeedDaemonReload") == "yes",
        "fragment_path": values.get("FragmentPath", ""),
        "active_enter_seconds": int(entered[1:]) if re.fullmatch(r"@\d+", entered) else None,
    }


def _container(
    container: Mapping[str, Any],
    image: Mapping[str, Any],
    now: datetime,
    identity: Callable[[str], object],
    variables: Collection[str],
) -> dict[str, Any]:
    state, settings, configuration = container["State"], container["HostConfig"], container["Config"]
    environment, defaults = _environment(configuration), image.get("Config") or {}
    # Empty where the container has no health check.
    health = (state.get("Health") or {}).get("Status", "")
    running_seconds = _seconds_since(state["StartedAt"], now) if state["Running"] else None
    return {
        "id": container["Id"],
        "image": configuration["Image"],
        "image_id": container["Image"],
        "environment_names": sorted(environment),
        "environment_sha256": environment_sha256(environment_hashes(environment)),
        **_commands(configuration),
        # What of this it has where nobody gives it another one.
        "image_defaults": {"environment": environment_hashes(_environment(defaults)), **_commands(defaults)},
        "environment": {name: value for name, value in environment.items() if name in variables},
        "status": state["Status"],
        "health": health,
        "exit_code": state["ExitCode"],
        "out_of_memory": state["OOMKilled"],
        "restart_count": container["RestartCount"],
        "restart_policy": settings["RestartPolicy"]["Name"],
        "stop_timeout_seconds": configuration.get("StopTimeout"),
        "memory_bytes": settings["Memory"],
        "memory_swap_bytes": settings["MemorySwap"],
        "published_ports": sorted(
            f"{binding['HostIp']}:{binding['HostPort']}:{port}"
            for port, bindings in (settings["PortBindings"] or {}).items()
            for binding in bindings or []
        ),
        "volumes": sorted(settings["Binds"] or []),
        "log_driver": settings["LogConfig"]["Type"],
        # Another one's may hold a token.
        "log_options_sha256": sha256_of(settings["LogConfig"]["Config"] or {}),
        "running_seconds": running_seconds,
        "settled": state["Status"] == "running"
        and health in ("", "healthy")
        and (running_seconds or 0) > SETTLE_SECONDS,
        "stale_mounts": _stale_mounts(container, identity) if state["Running"] else [],
    }


def _environment(configuration: Mapping[str, Any]) -> dict[str, str]:
    return dict(setting.partition("=")[::2] for setting in configuration.get("Env") or [])


def _commands(configuration: Mapping[str, Any]) -> dict[str, str]:
    return {
        "command_sha256": sha256_of(configuration.get("Cmd") or []),
        "health_command_sha256": sha256_of((configuration.get("Healthcheck") or {}).get("Test") or []),
    }


def _stale_mounts(container: Mapping[str, Any], identity: Callable[[str], object]) -> list[str]:
    """Where a running container holds on to what lay at the source when it was started, and no longer lies there."""
    root = f"/proc/{container['State']['Pid']}/root"
    return sorted(
        mount["Destination"]
        for mount in container["Mounts"]
        if mount["Type"] == "bind" and identity(mount["Source"]) != identity(root + mount["Destination"])
    )


def _seconds_since(started_at: str, now: datetime) -> int:
    # Docker's nanoseconds are more than Python 3.9 reads.
    started = datetime.strptime(started_at[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int((now - started).total_seconds())
