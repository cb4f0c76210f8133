# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machine while it runs: qemu, its serial console in a log, and ssh through a port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from localcloud.engine import install_packages, missing_packages
from localcloud.shell import succeeds
from tests.machine.image import Image

PROGRAMS: Final = {"qemu-system-x86_64": "qemu-system-x86"}
PROCESSORS: Final = 2
MEMORY_MIB: Final = 6144
# How fast it is → how long its boot may take. A machine may have KVM that does not work, which only a boot tells.
ACCELERATORS: Final = {"kvm": 20, "tcg,thread=multi": 600}
KVM: Final = Path("/dev/kvm")
POLL_SECONDS: Final = 1
END_SECONDS: Final = 10
# What is written to it is lost.
DRIVE: Final = "format=raw,if=virtio,snapshot=on,cache=unsafe"


class BootError(RuntimeError):
    """The virtual machine does not come up; says where its console was written."""


@dataclass(frozen=True)
class Machine:
    """One that answers."""

    accelerator: str
    boot_seconds: float
    ssh: tuple[str, ...]

    def run(self, command: str, seconds: float, log: IO[bytes]) -> int | None:
        """The exit status of a shell command inside, whose output is appended to the log; None if it did not end."""
        with subprocess.Popen([*self.ssh, command], stdin=subprocess.DEVNULL, stdout=log, stderr=log) as client:
            try:
                return client.wait(seconds)
            except subprocess.TimeoutExpired:
                client.kill()
                return None


@contextmanager
def booted(image: Image, handed_in: Sequence[Path], key: Path, console: Path) -> Iterator[Machine]:
    """A virtual machine of the image as long as the block runs, with files as further disks; what it writes is lost."""
    install_packages(missing_packages(PROGRAMS), print)
    usable = [name for name in ACCELERATORS if name != "kvm" or os.access(KVM, os.R_OK | os.W_OK)]
    for accelerator in usable:
        port = _free_port()
        ssh = _ssh(key, port)
        print(f"Booting with {accelerator}", flush=True)
        started = time.monotonic()
        with _running(_command(image, handed_in, console, accelerator, port)) as process:
            while time.monotonic() - started < ACCELERATORS[accelerator] and process.poll() is None:
                if succeeds(*ssh, "true", timeout=30):
                    yield Machine(accelerator, time.monotonic() - started, ssh)
                    return
                time.sleep(POLL_SECONDS)
    raise BootError(f"The virtual machine does not come up; its console is {console}.")


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(image: Image, handed_in: Sequence[Path], console: Path, accelerator: str, port: int) -> list[str]:
    return [
        *(
            "setpriv",
            "--pdeathsig=KILL",
            "nice",
            "-n",
            "19",
            "qemu-system-x86_64",
            "-accel",
            accelerator,
            "-cpu",
            "max,-arch-capabilities",
        ),
        *("-smp", str(PROCESSORS), "-m", str(MEMORY_MIB), "-display", "none", "-no-reboot"),
        *("-serial", f"file:{console}", "-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", "root=/dev/vda rw console=ttyS0"),
        *(word for file in (image.disk, *handed_in) for word in ("-drive", f"file={file},{DRIVE}")),
        *("-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22"),
    ]


def _ssh(key: Path, port: int) -> tuple[str, ...]:
    # Its host key is as old as its disk, and nobody else is there.
    options = ("BatchMode=yes", "ConnectTimeout=10", "LogLevel=ERROR", "ServerAliveInterval=30",
               "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")  # fmt: skip
    flags = [word for option in options for word in ("-o", option)]
    return ("ssh", "-F", "none", "-i", str(key), "-p", str(port), *flags, "root@127.0.0.1")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
