# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for secrets, everywhere where a run or what it has started could have left one."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from localcloud import demo, registry, settings
from localcloud.operator_user import Keys
from tests import policies, support

SECRETS_DIR = support.ROOT / "build" / "localcloud" / "secrets"
BUILDER_DOCKER = ("docker", "--host", settings.BUILDER_URL)
# Of a host: what Ansible, the roles, Docker and the containers write to.
HOST_PATHS = (
    "/etc/academy", "/home", "/mnt", "/root", "/run/academy", "/tmp", "/usr/local/lib/academy",
    "/var/lib/academy", "/var/lib/docker/containers", "/var/log", "/var/tmp",
)  # fmt: skip
# A container's environment, where it belongs: in its file, and with Docker, which starts it again after a boot.
ENVIRONMENTS = re.compile(r"etc/academy/[^/]+\.env|var/lib/docker/containers/[^/]+/config\.v2\.json")
# By what every session token begins here, whoever has it.
SESSION_TOKEN_START = "FQoGZXIvYXdzEBYaD"


def application_secrets() -> dict[str, str]:
    """Name → value, as they were made for the embedded cloud."""
    found = {file.name: file.read_text(encoding="utf-8").strip() for file in SECRETS_DIR.iterdir()}
    assert set(found) == {"database_password", "r2_access_key", "r2_secret_key", "secret_key", "worker_token"}
    return found


def require_none(hosts: Mapping[str, str], arguments: Iterable[str], secrets: Mapping[str, str]) -> None:
    """Fail where a secret stands that does not belong there.

    hosts are all that run, by name and id; arguments are those of every process that was seen; secrets are the
    application's, to which those of the account are added.
    """
    values = {**secrets, **_credentials(hosts)}
    for place, chunks in _places(hosts, arguments):
        assert support.found_in(values, chunks) == set(), place


def _credentials(hosts: Mapping[str, str]) -> dict[str, str]:
    """What opens something: the operator's key, logins of the registry, and the roles' keys."""
    key = settings.OPERATOR_KEY.read_text(encoding="utf-8").splitlines()
    found = {
        # The line with the private part; those before it have the public one, too.
        "operator's private key": key[4],
        "registry's token": registry.TOKEN_START,
        # Three bytes are four letters: the last ones depend on what follows.
        "registry's login": base64.b64encode(f"{registry.USER}:{registry.TOKEN_START}".encode()).decode()[:-4],
        "session token": SESSION_TOKEN_START,
        "secret key of the operator": Keys.read().secret_key,
    }
    for name, instance_id in hosts.items():
        credentials = policies.credentials_of(instance_id)
        assert (credentials.token or "").startswith(SESSION_TOKEN_START)
        found[f"secret key of {name}"] = credentials.secret_key
    return found


def _places(hosts: Mapping[str, str], arguments: Iterable[str]) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Name and content of every place."""
    yield "arguments of processes", [line.encode() for line in arguments]
    yield "log groups", [event.encode() for event in _log_events()]
    yield "build machine's images", support.stdout_of(*BUILDER_DOCKER, "save", *_builder_images())
    for name, host in hosts.items():
        yield f"journal of {name}", support.stdout_of("docker", "exec", host, "journalctl", "--no-pager")
        yield from ((f"/{path} of {name}", [content]) for path, content in _files_of(host))
    # Not the login of a push that was killed (docs/decisions.md).
    ours = [support.ROOT / "build", settings.LOG_DIR, Path.home() / ".ansible" / "tmp"]
    for directory in [*ours, *Path(tempfile.gettempdir()).glob("ansible*")]:
        yield from ((str(path), [content]) for path, content in files_below(directory) if path.parent != SECRETS_DIR)


def files_below(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Path and content of every file, but for what goes meanwhile: others run Ansible beside this."""
    for parent, _, names in os.walk(directory, onerror=_unless_gone):
        for path in (Path(parent, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.read_bytes()


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _files_of(host: str) -> Iterator[tuple[str, bytes]]:
    """Path and content of a host's files, but for those of the environments."""
    # A log may grow while it is read.
    archive = "tar --create --file=- --warning=no-file-changed --ignore-failed-read"
    command = ["docker", "exec", host, "sh", "-c", f"{archive} $(ls --directory {' '.join(HOST_PATHS)} 2>/dev/null)"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as members,
    ):
        for member in members:
            content = members.extractfile(member) if member.isfile() else None
            if content and not ENVIRONMENTS.fullmatch(member.name):
                yield member.name, content.read()
    assert process.returncode in {0, 1}, f"{host}: {process.returncode}"


def _log_events() -> Iterator[str]:
    """Everything in CloudWatch Logs."""
    logs = demo.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        found = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        yield from (str(event["message"]) for event in found)


def _builder_images() -> list[str]:
    """The images of the release on the machine that built them."""
    lines = support.stdout_of(*BUILDER_DOCKER, "images", "--format={{.Repository}}:{{.Tag}}")
    found = [line for line in b"".join(lines).decode().splitlines() if "academy" in line]
    assert found
    return found
