#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_state_info
short_description: See in one pass what a role needs to know about its host
description:
  - Reads packages, paths, units, swap files, volumes, containers, repositories of images and proxies that are asked
    for, and always architecture, memory, mounts, swap and C(/etc/fstab), so that a role can act on what differs instead
    of starting one module for each thing it keeps.
  - Reads only, apart from what O(commands) do. Each kind is read once, however many are asked for, and nothing is
    started for what is not asked for.
  - Where signatures do not say whether a volume's disk holds anything, it is read at a few thousand places, which may
    take some seconds. Of a disk with a finished file system nothing but signatures is read.
  - Never returns the content of a file that is not named in O(contents), or the command of a container or a value of
    its environment that is not named in O(variables), but hashes of those.
version_added: 0.1.0
author:
  - academy.deploy contributors (@academy)
extends_documentation_fragment:
  - academy.deploy.attributes.info
options:
  packages:
    description: Names of RPM packages.
    type: list
    elements: str
    default: []
  newer_than_boot:
    description: Names of RPM packages of which those are told that were installed or upgraded since the host's boot.
    type: list
    elements: str
    default: []
  paths:
    description: Absolute paths. A symbolic link is told of itself, not followed.
    type: list
    elements: path
    default: []
  contents:
    description: Those of O(paths) whose content is told too, of files of at most 1 MiB. Name none with secrets.
    type: list
    elements: path
    default: []
  units:
    description: Units of systemd, by name, or by mount point.
    type: list
    elements: str
    default: []
  swap_files:
    description: Absolute paths of swap files, which need not be there.
    type: list
    elements: path
    default: []
  volumes:
    description: EBS volumes.
    type: list
    elements: dict
    default: []
    suboptions:
      volume_id:
        description: Id of the volume.
        type: str
        required: true
      mount_point:
        description: Where its file system belongs.
        type: path
        required: true
      wait_seconds:
        description: How long to wait for its disk to appear.
        type: int
        default: 0
  daemon:
    description: Whether to tell how Docker's daemon is started, where it keeps what it has, and what it does not know.
    type: bool
    default: false
  containers:
    description: Whether to read Docker's containers, those that do not run included.
    type: bool
    default: false
  variables:
    description: Variables of the containers' environments whose values are told. Name none with secrets.
    type: list
    elements: str
    default: []
  memory_of:
    description: Names of those of O(containers) whose use of memory is told.
    type: list
    elements: str
    default: []
  repositories:
    description: Repositories of which all images in Docker are told.
    type: list
    elements: str
    default: []
  proxies:
    description: Absolute paths of sockets at which a HAProxy may listen, with a backend C(api).
    type: list
    elements: path
    default: []
  disks:
    description: Directories of which is told how much room there is where they lie. One that is not there is left out.
    type: list
    elements: path
    default: []
  addresses:
    description: Addresses of this host that are asked once, by HTTP and without following redirects.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: The address.
        type: str
        required: true
      headers:
        description: Headers of the request.
        type: dict
        default: {}
      expected:
        description: What the JSON that it answers has to hold.
        type: dict
        default: {}
  commands:
    description: Commands that change nothing, each run in a container that runs. What they print is told to nobody.
    type: list
    elements: dict
    default: []
    suboptions:
      container:
        description: Name of the container.
        type: str
        required: true
      argv:
        description: The command.
        type: list
        elements: str
        required: true
"""

EXAMPLES = r"""
- name: See whether Docker is there, configured and running
  academy.deploy.host_state_info:
    packages: [docker]
    paths: [/etc/docker/daemon.json]
    units: [docker.service]
  register: host_state

- name: See which containers run
  academy.deploy.host_state_info:
    containers: true
  register: host_state
"""

RETURN = r"""
now_seconds:
  description: When this was read, by the host's clock, in seconds since the epoch.
  type: float
  returned: success
architecture:
  description: Of the processor, in the kernel's words.
  type: str
  returned: success
  sample: aarch64
memory_total_mib:
  description: Memory that the kernel shows.
  type: int
  returned: success
  sample: 1904
mounts:
  description:
    - What is mounted, in the order in which it was. The last one at a place is what is seen there.
    - Each has C(target), C(source), C(device_number) (as in V(259:1)), C(root) (the directory of the file system that
      is seen there), C(fstype) and C(options), in the kernel's words.
  type: list
  elements: dict
  returned: success
swaps:
  description:
    - Swap that is on. Each has C(path), C(kind) (V(file) or V(partition)), C(size_bytes) and C(used_bytes).
  type: list
  elements: dict
  returned: success
fstab:
  description:
    - The entries of C(/etc/fstab), without comments. Each has, as texts, C(source), C(target), C(fstype), C(options),
      C(dump) and C(passno).
  type: list
  elements: dict
  returned: success
fstab_not_utf8:
  description: The numbers of the lines of C(/etc/fstab) that are in another encoding, also of comments.
  type: list
  elements: int
  returned: success
packages:
  description: The version of each package that was asked for, V(null) for one that is not installed.
  type: dict
  returned: success
  sample: {docker: 25.0.8-1.amzn2023, git: null}
newer_than_boot:
  description: Those of the packages that were asked for by this name that were installed or upgraded since the boot.
  type: list
  elements: str
  returned: success
  sample: [kernel]
paths:
  description:
    - What lies at each path that was asked for, by its C(kind), V(absent), V(file), V(directory), V(link), V(block
      device) or V(other). Of an absent one nothing else is told.
    - The others have C(owner) and C(group) (names, or numbers where there are none), C(mode), C(size_bytes) and
      C(mtime) (when the content last changed, in seconds since the epoch).
    - A file of at most 1 MiB has its C(sha256), and C(content) where O(contents) names it; a link its C(target), where
      it leads at last; a block device its C(device_number).
  type: dict
  returned: success
  sample: {/etc/docker: {kind: directory, owner: root, group: root, mode: "0755", size_bytes: 25, mtime: 1769850000.5}}
units:
  description:
    - Each unit that was asked for, by systemd's C(load_state) (V(not-found) for one that does not exist),
      C(active_state), C(sub_state) and C(unit_file_state), which says whether it is started at boot.
    - It also has its C(id) for systemd, which of a mount point is another one, C(fragment_path) (the file that defines
      it, empty where there is none), C(need_daemon_reload) (whether its files have changed since systemd read them) and
      C(active_enter_seconds) (when it became active, since the epoch; V(null) when it never did).
  type: dict
  returned: success
swap_files:
  description:
    - What lies at the path of each swap file that was asked for. Of what does not C(exists) only the room around it is
      of interest, and of what is not C(regular) nothing more is told.
    - C(private) says whether it is root's, with mode 0600; C(size_bytes) and C(allocated_bytes) its size and how much
      of it lies on the disk, which is less where it has holes; C(content) is V(swap), V(blank) where its first page is
      zeros, or V(other); C(signed_bytes) how much of it its swap signature covers; C(active) and C(used_bytes) whether
      it is on, and how much of it is in use; C(deleted) the files, as in C(swaps), that lay there and were deleted
      while they were on.
    - C(disk_free_bytes) is free space where it lies, V(null) where its directory does not exist;
      C(memory_available_bytes) memory that can be had without swapping.
  type: dict
  returned: success
volumes:
  description:
    - Each volume that was asked for, by its id, with its C(volume_id) and C(waited_seconds), how long it was waited for
      at most.
    - C(place) is the mount point, with C(path), the C(device_number) of what is mounted there, and, where nothing is,
      the first C(entries) of the directory. C(record) says whether M(academy.deploy.volume_filesystem) has C(begun) a
      file system on it and never ended.
    - C(disk) is V(null) where it has not appeared. Its C(path) may be another one after the next boot. It has
      C(device_number), C(size_bytes), C(signatures) (their types in the words of C(wipefs)), C(partitions),
      C(filesystem_uuid) (of its XFS, empty where it has none), C(unfinished) (whether C(mkfs.xfs) never came to its
      end), C(users) (what is built upon it) and C(mounted_at) (where it is mounted as a whole).
    - C(contents) of the disk are what is no zeros where it was read, the first block of each kind, with C(offset),
      C(kind), how to C(look) further, whether it is our C(own), and how many C(blocks) there are; C(unreadable) says
      where and why it could not be read.
  type: dict
  returned: success
docker_running:
  description:
    - Whether Docker's daemon runs.
    - While it does not, containers and repositories are unknown, and so empty.
  type: bool
  returned: success
daemon:
  description:
    - How Docker's daemon is started, when asked for, and what it does not know.
    - C(options) are the names of the options that its next start gives to it, each with the file of its unit or
      environment that says so. C(root) is the directory where it keeps images and containers, V(null) while it does not
      run, and C(unseen) are the ids of containers that run without being known to it, each with the number of one of
      its processes.
  type: dict
  returned: success
  sample: {options: {log-opt: /etc/sysconfig/docker}, root: /var/lib/docker, unseen: {}}
containers:
  description:
    - Docker's containers by name, when asked for. Each has its C(id), C(image) (as it was named when the container was
      created), C(image_id), and, in Docker's words, C(status) and C(health) (empty without a health check).
    - C(environment_names) are all of its environment, C(environment) the values of those that O(variables) names.
      C(environment_sha256), C(command_sha256), C(health_command_sha256) and C(log_options_sha256) are hashes of the
      rest, that of its image included. C(image_defaults) is what its image has where nobody gives it another one,
      C(command_sha256), C(health_command_sha256) and C(environment), a hash of each variable by its name.
    - C(restart_policy), C(stop_timeout_seconds) (V(null) for Docker's own), C(memory_bytes) and C(memory_swap_bytes)
      (V(0) for no limit), C(published_ports) (as in V(0.0.0.0:8000:8000/tcp)), C(volumes) (as in
      V(/mnt/transcode:/tmp:rw)) and C(log_driver) are its settings.
    - C(memory_used_bytes) is what it uses of memory, as C(docker stats) counts it, V(null) when it does not run or is
      not named in O(memory_of).
    - C(exit_code) is of its last end, C(out_of_memory) whether that was for want of memory, C(restart_count) how often
      Docker has restarted it, and C(running_seconds) for how long it has been running, V(null) when it is not.
    - It is C(settled) when it has been running for 10 seconds, and its health check, if it has one, finds it healthy.
    - C(stale_mounts) are the places in a running container where something is mounted that no longer lies at that path
      of the host, because a disk was mounted there or a directory was made anew since the container was started.
  type: dict
  returned: success
repositories:
  description:
    - The images of each repository that was asked for, each with its C(id) and its C(references) (names, with tag or
      digest).
  type: dict
  returned: success
image_room_bytes:
  description: Free space where Docker keeps its images; V(null) where it does not run, or no repository was asked for.
  type: int
  returned: success
proxies:
  description:
    - The servers of each proxy that was asked for, none where nobody listens. Each has its C(state) (V(ready), V(drain)
      or V(maint)), C(sessions) (requests that it has or that wait for it) and C(port).
  type: dict
  returned: success
  sample: {/var/lib/haproxy/stats: {blue: {state: ready, sessions: 3, port: 8001}}}
disks:
  description: >-
    The room where each of O(disks) lies, as C(size_bytes) and C(available_bytes), which is what is left to those who
    are not root.
  type: dict
  returned: success
answering:
  description: Those of O(addresses) that answer 200 with JSON that holds what is expected.
  type: list
  elements: str
  returned: success
commands:
  description: The same as O(commands), each with its C(exit_code), V(null) where the container does not run.
  type: list
  elements: dict
  returned: success
"""

import grp
import hashlib
import http.client
import json
import os
import platform
import pwd
import re
import socket
import stat
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.docker_daemon import DOCKER_ROOT, containers_of_shims, daemon_options, unseen
from ..module_utils.docker_daemon import UNIT_PROPERTIES as DAEMON_PROPERTIES
from ..module_utils.fstab import PATH as FSTAB
from ..module_utils.fstab import lines_of_no_utf8, parse_fstab
from ..module_utils.host_state import (
    BYTES_PER_MIB,
    UNIT_PROPERTIES,
    meminfo_bytes,
    parse_containers,
    parse_newer,
    parse_packages,
    parse_repository,
    parse_units,
)
from ..module_utils.host_storage import read_mounts, read_swap_file, read_text, read_volume
from ..module_utils.proxy_socket import read_servers
from ..module_utils.swap import parse_swaps

DOCKER_PID_FILE = "/run/docker.pid"
DOCKER_SOCKET = "/run/docker.sock"
DOCKER_TIMEOUT_SECONDS = 30
ANSWER_TIMEOUT_SECONDS = 5
# Configuration is small; a swap file or an archive takes longer to read than anybody wants to wait.
HASHED_BYTES_MAX = 1024**2
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFBLK: "block device"}


class DockerConnection(http.client.HTTPConnection):
    """Docker's own interface. Its command line would need a process for each question."""

    def __init__(self) -> None:
        super().__init__("localhost", timeout=DOCKER_TIMEOUT_SECONDS)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DOCKER_TIMEOUT_SECONDS)
        self.sock.connect(DOCKER_SOCKET)

    def get(self, path: str) -> Any:
        """The answer; None for what does not exist."""
        self.request("GET", path)
        response = self.getresponse()
        body = response.read()
        if response.status == http.client.NOT_FOUND:
            return None
        if response.status != http.client.OK:
            raise OSError(f"Docker answers {response.status} to {path}: {body[:200].decode(errors='replace')}")
        return json.loads(body)


def docker_runs() -> bool:
    """Not by its socket: systemd listens there too, and would start Docker for whoever asks."""
    pid = read_text(DOCKER_PID_FILE).strip()
    return pid.isdigit() and os.path.exists(f"/proc/{pid}")


def read_path(path: str, with_content: bool) -> dict[str, Any]:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"kind": "absent"}
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "other")
    found: dict[str, Any] = {
        "kind": kind,
        "owner": user_name(status.st_uid),
        "group": group_name(status.st_gid),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "size_bytes": status.st_size,
        "mtime": status.st_mtime,
    }
    if kind == "file" and status.st_size <= HASHED_BYTES_MAX:
        with open(path, "rb") as file:
            content = file.read()
        found["sha256"] = hashlib.sha256(content).hexdigest()
        if with_content:
            found["content"] = content.decode("utf-8", "replace")
    elif kind == "link":
        found["target"] = os.path.realpath(path)
    elif kind == "block device":
        found["device_number"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return found


def identity(path: str) -> tuple[int, int] | None:
    """What lies at a path, links followed; None for nothing."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None
    return status.st_dev, status.st_ino


def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def read_packages(module: AnsibleModule, names: list[str]) -> dict[str, str | None]:
    if not names:
        return {}
    command = ["rpm", "--query", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n", *names]
    # It also fails where a package is not installed, and says so.
    return parse_packages(module.run_command(command)[1], names)


def read_newer(module: AnsibleModule, names: list[str]) -> list[str]:
    if not names:
        return []
    query = ["rpm", "--query", "--queryformat", "%{NAME} %{INSTALLTIME}\\n", *names]
    boot = ["systemctl", "show", "--timestamp=unix", "--property=UserspaceTimestamp", "--value"]
    return parse_newer(module.run_command(query)[1], module.run_command(boot, check_rc=True)[1])


def read_units(module: AnsibleModule, names: list[str]) -> dict[str, dict[str, Any]]:
    if not names:
        return {}
    command = ["systemctl", "show", "--timestamp=unix", f"--property={','.join(UNIT_PROPERTIES)}", "--", *names]
    return parse_units(module.run_command(command, check_rc=True)[1], names)


def read_docker(asked: dict[str, Any]) -> dict[str, Any]:
    """Containers and repositories, as far as they are asked for."""
    docker = DockerConnection()
    listed = docker.get("/containers/json?all=true") if asked["containers"] else []
    # One that ends and is removed meanwhile is not found any more.
    inspected = [found for container in listed if (found := docker.get(f"/containers/{container['Id']}/json"))]
    of_containers = {name: docker.get(f"/images/{name}/json") or {} for name in {found["Image"] for found in inspected}}
    measured = [found["Id"] for found in inspected if found["Name"].lstrip("/") in asked["memory_of"]]
    # One look: without `one-shot` the engine takes a second one for the use of processors.
    statistics = {name: docker.get(f"/containers/{name}/stats?stream=false&one-shot=true") or {} for name in measured}
    images = docker.get("/images/json") if asked["repositories"] else []
    return {
        "containers": parse_containers(
            inspected, of_containers, datetime.now(timezone.utc), identity, asked["variables"], statistics=statistics
        ),
        "repositories": {name: parse_repository(images, name) for name in asked["repositories"]},
        "image_room_bytes": free_bytes(docker.get("/info")["DockerRootDir"]) if asked["repositories"] else None,
    }


def free_bytes(path: str) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def read_daemon(run: Callable[[list[str]], str], running: bool) -> dict[str, Any]:
    shown = run(["systemctl", "show", f"--property={','.join(DAEMON_PROPERTIES)}", "docker.service"])
    found: dict[str, Any] = {"options": daemon_options(shown, read_text), "root": None, "unseen": {}}
    if running:
        docker, before = DockerConnection(), containers_of_shims(processes())
        root = docker.get("/info")["DockerRootDir"]
        # By way of a link it is where Docker looks by itself.
        found["root"] = DOCKER_ROOT if root == os.path.realpath(DOCKER_ROOT) else root
        known = {container["Id"] for container in docker.get("/containers/json?all=true")}
        found["unseen"] = unseen(before, known, containers_of_shims(processes()))
    return found


def processes() -> Iterator[tuple[int, int, list[str]]]:
    """Number, parent and command of each process; a container's without its command: it may be a Docker of its own."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            status, command = read_text(f"/proc/{name}/status"), read_text(f"/proc/{name}/cmdline")
        except ProcessLookupError:
            continue
        # A number for each namespace of processes that it is in.
        found = re.search(r"^PPid:\t(\d+)$[\s\S]*^NSpid:\t\d+(\t.*)?$", status, re.MULTILINE)
        if found:
            yield int(name), int(found[1]), [""] if found[2] else command.split("\0")


def read_disks(paths: list[str]) -> dict[str, dict[str, int]]:
    there = {path: os.statvfs(path) for path in paths if os.path.isdir(path)}
    return {
        path: {"size_bytes": found.f_blocks * found.f_frsize, "available_bytes": found.f_bavail * found.f_frsize}
        for path, found in there.items()
    }


def read_proxy(path: str) -> dict[str, Any]:
    try:
        return {name: asdict(server) for name, server in read_servers(path).items()}
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return {}


def answers(url: str, headers: dict[str, str], expected: dict[str, Any]) -> bool:
    asked = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(asked.netloc, timeout=ANSWER_TIMEOUT_SECONDS)
    try:
        path = (asked.path or "/") + (f"?{asked.query}" if asked.query else "")
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        found = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return response.status == http.client.OK and isinstance(found, dict) and {**found, **expected} == found


def exit_code(module: AnsibleModule, containers: dict[str, Any], container: str, argv: list[str]) -> int | None:
    if containers.get(container, {}).get("status") != "running":
        return None
    return int(module.run_command(["docker", "exec", container, *argv])[0])


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "packages": names,
            "newer_than_boot": names,
            "paths": {**names, "elements": "path"},
            "contents": {**names, "elements": "path"},
            "units": names,
            "swap_files": {**names, "elements": "path"},
            "volumes": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "volume_id": {"type": "str", "required": True},
                    "mount_point": {"type": "path", "required": True},
                    "wait_seconds": {"type": "int", "default": 0},
                },
            },
            "daemon": {"type": "bool", "default": False},
            "containers": {"type": "bool", "default": False},
            "variables": names,
            "memory_of": names,
            "repositories": names,
            "proxies": {**names, "elements": "path"},
            "disks": {**names, "elements": "path"},
            "addresses": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "url": {"type": "str", "required": True},
                    "headers": {"type": "dict", "default": {}},
                    "expected": {"type": "dict", "default": {}},
                },
            },
            "commands": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "container": {"type": "str", "required": True},
                    "argv": {"type": "list", "elements": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    asked = module.params
    module.run_command_environ_update = {"LC_ALL": "C"}

    def run(command: list[str]) -> str:
        return str(module.run_command(command, check_rc=True)[1])

    running = docker_runs()
    docker: dict[str, Any] = {
        "containers": {},
        "repositories": {name: [] for name in asked["repositories"]},
        "image_room_bytes": None,
    }
    try:
        if running and (asked["containers"] or asked["repositories"]):
            docker = read_docker(asked)
        state = {
            # Before what is mounted: a disk that is waited for may be mounted when it appears.
            "volumes": {want["volume_id"]: asdict(read_volume(run, **want)) for want in asked["volumes"]},
            "now_seconds": time.time(),
            "architecture": platform.machine(),
            "memory_total_mib": meminfo_bytes(read_text("/proc/meminfo"), "MemTotal") // BYTES_PER_MIB,
            "mounts": [asdict(mount) for mount in read_mounts()],
            "swaps": [asdict(swap) for swap in parse_swaps(read_text("/proc/swaps"))],
            "fstab": [asdict(entry) for entry in parse_fstab(read_text(FSTAB))],
            "fstab_not_utf8": lines_of_no_utf8(read_text(FSTAB)),
            "packages": read_packages(module, asked["packages"]),
            "newer_than_boot": read_newer(module, asked["newer_than_boot"]),
            "paths": {path: read_path(path, path in asked["contents"]) for path in asked["paths"]},
            "units": read_units(module, asked["units"]),
            "swap_files": {path: asdict(read_swap_file(path)) for path in asked["swap_files"]},
            "docker_running": running,
            "daemon": read_daemon(run, running) if asked["daemon"] else {},
            **docker,
            "proxies": {path: read_proxy(path) for path in asked["proxies"]},
            "disks": read_disks(asked["disks"]),
            "answering": [want["url"] for want in asked["addresses"] if answers(**want)],
            "commands": [
                {**command, "exit_code": exit_code(module, docker["containers"], **command)}
                for command in asked["commands"]
            ],
        }
    except (OSError, ValueError, http.client.HTTPException) as error:
        module.fail_json(msg=f"cannot see the state of this host: {error}")
    module.exit_json(changed=False, **state)


if __name__ == "__main__":
    main()
