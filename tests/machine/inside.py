# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps, as they run inside the virtual machine: `python -m tests.machine.inside STEP`.

A step ends with a line that begins with "seen: ", or fails and says why.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from localcloud import machine, settings
from localcloud.engine import ENGINE_STATE, ensure_engine
from localcloud.images.recipes import HOST as HOST_RECIPE
from localcloud.images.recipes import REPOSITORY
from localcloud.instances import BOOT_TIMEOUT_SECONDS, UNIFIED_CGROUPS, HostPlan, create_arguments
from localcloud.services import wait_until
from localcloud.shell import docker, docker_succeeds, run
from tests import support

HOST: Final = "molecule-machine"
ENVIRONMENT: Final = {"MOLECULE_SCENARIO_NAME": "machine"}
ARGUMENTS: Final = (
    "--inventory=molecule/shared/inventory",
    "--inventory=tests/machine/hosts.yml",
    "--extra-vars=deployment_name=molecule",
    f"--extra-vars=local_project_dir={support.ROOT}",
)
TIMEOUT_SECONDS: Final = 7200  # whoever runs a step ends it before
CGROUPS: Final = Path("/sys/fs/cgroup")
MIB: Final = 1024**2
HOST_MIB: Final = 1024 * settings.SHOWN_PERCENT // 100
LIMIT_MIB: Final = 64
# Of nothing but links to the host's own programs.
IMAGE: Final = (
    "mkdir image && ln -s usr/bin usr/lib usr/lib64 image && tar --create --directory image . | docker import - own"
)
TAKE: Final = "import sys; taken = bytearray(int(sys.argv[1])); print(len(taken))"


def boot() -> str:
    """What kind of machine it is."""
    kind = run("stat", "--file-system", "--format=%T", str(CGROUPS))
    apparmor = Path("/sys/module/apparmor/parameters/enabled").read_text(encoding="utf-8").strip()
    first = Path("/proc/1/comm").read_text(encoding="utf-8").strip()
    assert (kind, apparmor, first) == ("cgroup2fs", "Y", "systemd"), (kind, apparmor, first)
    return f"Linux {platform.release()}, cgroup v2 alone, AppArmor on, systemd as the first process"


def engine() -> str:
    """The machine's Docker, with the embedded cloud's images that were handed in."""
    found = ensure_engine(print)
    groups = docker("info", "--format", "cgroup v{{.CgroupVersion}} by {{.CgroupDriver}}")
    assert groups == "cgroup v2 by systemd", groups
    return f"Docker {found.version}, {groups}"


def alone() -> str:
    """A host's container without the cloud around it: systemd, an engine of its own, and limits of memory that kill."""
    image = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{REPOSITORY}/{HOST_RECIPE.name}").split()[0]
    plan = HostPlan("i-0", image, "172.31.0.9", "alone", HOST_MIB, unified_cgroups=UNIFIED_CGROUPS.exists())
    machine.note_making()
    for directory in (settings.INSTANCES_DIR / plan.instance_id, settings.LOG_DIR, settings.RUNTIME_DIR):
        directory.mkdir(parents=True, exist_ok=True)
    machine.make_network()
    machine.start_lxcfs()
    docker("create", *create_arguments(plan))
    docker("start", plan.instance_id)
    has_bus = ("exec", plan.instance_id, "systemctl", "is-active", "--quiet", "dbus.service")
    wait_until(lambda: docker_succeeds(*has_bus), "systemd answers", BOOT_TIMEOUT_SECONDS)
    _on_host(plan.instance_id, "dnf --assumeyes --quiet install docker && systemctl start docker")
    groups = _on_host(plan.instance_id, "docker info --format 'cgroup v{{.CgroupVersion}} by {{.CgroupDriver}}'")
    assert groups == "cgroup v2 by systemd", groups
    return f"its engine: {groups}; {_limits(plan.instance_id)}"


def cloud() -> str:
    """The embedded cloud, with the images that it builds."""
    support.run(sys.executable, "-m", "localcloud", "up", name="up", timeout_seconds=TIMEOUT_SECONDS).expect()
    return "the embedded cloud is up"


def host() -> str:
    """One host with swap, its disk, Docker and a watchdog; then the same again."""
    for name in ("molecule/shared/create_with_common.yml", "tests/machine/hold.yml", "molecule/shared/prepare.yml"):
        _playbook(name)
    return f"swap, disk, Docker and watchdog; the second run: {_changed_nothing()}"


def memory() -> str:
    """Limits of memory, of a container and of the host, kill; what a container takes is the host's."""
    return _limits(_instance())


def restart() -> str:
    """Stop and start; everything is there again."""
    _playbook("molecule/shared/restart.yml")
    changed = _changed_nothing()
    for there in (
        "swapon --show=NAME --noheadings | grep --quiet /var/swap",
        "mountpoint --quiet /mnt/transcode",
        "systemctl is-active --quiet academy-watchdog.timer",
    ):
        _on_host(_instance(), there)
    assert _on_host(_instance(), "docker inspect --format '{{.State.Running}}' steady") == "true"
    _playbook("molecule/shared/destroy.yml")
    return f"swap, disk, container and watchdog are back; a run afterwards: {changed}"


def demo() -> str:
    """`make demo`, all of it."""
    support.run("make", "demo", name="demo", timeout_seconds=TIMEOUT_SECONDS).expect()
    return "the demo ended with status 0: /health answers, one job went through a worker that slept"


def again() -> str:
    """A second run of site.yml."""
    changed = support.playbook("site.yml", name="again", timeout_seconds=TIMEOUT_SECONDS).expect().changed()
    assert changed, "no recap"
    assert set(changed.values()) == {0}, changed
    return f"changed=0 on {len(changed)} hosts"


def down() -> str:
    """The embedded cloud is removed, and the engine only where the cloud has started it."""
    is_ours = ENGINE_STATE.exists()
    support.run(sys.executable, "-m", "localcloud", "down", name="down", timeout_seconds=TIMEOUT_SECONDS).expect()
    assert docker_succeeds("version") is not is_ours, f"started by the cloud: {is_ours}"
    if is_ours:
        return "the cloud and the engine that it started are gone"
    assert docker("ps", "--all", "--quiet", f"--filter=label={settings.LABEL}={settings.LABEL_VALUE}") == ""
    return "the cloud is gone, and the machine's own engine runs on"


STEPS: Final[Mapping[str, Callable[[], str]]] = {
    step.__name__: step for step in (boot, engine, alone, cloud, host, memory, restart, demo, again, down)
}


def _limits(instance_id: str) -> str:
    control = CGROUPS / _cgroup(docker("inspect", "--format={{.State.Pid}}", instance_id)).parent
    assert (control / "memory.max").read_text(encoding="utf-8").strip() == str(HOST_MIB * MIB)
    shown = _on_host(instance_id, "free --mebi | awk '/Mem/ { print $2 }'")
    assert shown == str(HOST_MIB), shown
    _on_host(instance_id, f"test -e image || {{ {IMAGE}; }}")
    forever = "--restart unless-stopped --name steady --memory 64m --volume /usr:/usr:ro own sleep infinity"
    _on_host(instance_id, f"docker rm --force steady && docker run --detach {forever}")
    steady = _on_host(instance_id, "docker inspect --format '{{.Id}}' steady")
    assert list(control.rglob(f"docker-{steady}.scope")), f"not below {control}"
    # Docker may be told of a container's end before it is told why; the kernel's own counts are right.
    before = _events(control)
    _require_killed(instance_id, LIMIT_MIB, 256)
    at_its_limit = _events(control)
    assert at_its_limit["killed"] > before["killed"], (before, at_its_limit)
    assert at_its_limit["at the host's limit"] == before["at the host's limit"], (before, at_its_limit)
    _require_killed(instance_id, 4096, 2048)
    at_the_hosts = _events(control)
    assert at_the_hosts["killed"] > at_its_limit["killed"], (at_its_limit, at_the_hosts)
    assert at_the_hosts["at the host's limit"] > at_its_limit["at the host's limit"], (at_its_limit, at_the_hosts)
    assert _on_host(instance_id, "docker inspect --format '{{.State.Running}}' steady") == "true"
    return (
        f"memory.max {HOST_MIB} MiB; a container over its {LIMIT_MIB} MiB: killed at its own limit; one over the "
        "host's memory: killed at the host's, and the host and its other container live; containers lie below the "
        "host's control group"
    )


def _playbook(name: str) -> support.Run:
    log = Path(name).stem
    return support.playbook(
        *ARGUMENTS, name, name=log, environment=ENVIRONMENT, timeout_seconds=TIMEOUT_SECONDS
    ).expect()


def _changed_nothing() -> str:
    changed = _playbook("molecule/shared/prepare.yml").changed()
    assert changed == {HOST: 0}, changed
    return "changed=0"


def _instance() -> str:
    return str(support.instance(HOST)["instance_id"])


def _on_host(instance_id: str, command: str) -> str:
    return docker("exec", "--workdir=/root", instance_id, "bash", "-c", command, timeout=TIMEOUT_SECONDS)


def _require_killed(instance_id: str, limit_mib: int, taken_mib: int) -> None:
    """Let a container take more than there is; it may not swap."""
    memory = f"--memory {limit_mib}m --memory-swap {limit_mib}m"
    status = _on_host(
        instance_id,
        "docker rm --force greedy; "
        f"docker run --name greedy {memory} --volume /usr:/usr:ro own python3 -c '{TAKE}' {taken_mib * MIB}; "
        "docker inspect --format '{{.State.ExitCode}}' greedy",
    ).splitlines()[-1]
    assert status == "137", status


def _events(control: Path) -> dict[str, int]:
    """How often the kernel has killed for want of memory: in a control group or below it, and at its own limit."""

    def count(file: str, name: str) -> int:
        words = (control / file).read_text(encoding="utf-8").split()
        return int(words[words.index(name) + 1])

    return {"killed": count("memory.events", "oom_kill"), "at the host's limit": count("memory.events.local", "oom")}


def _cgroup(pid: str) -> Path:
    """A process's control group, below the root of them all."""
    return Path(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").strip().removeprefix("0::/"))


if __name__ == "__main__":
    print(f"seen: {STEPS[sys.argv[1]]()}", flush=True)
