# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of arm64 on this machine: Debian's qemu, told to the kernel for a while, and a root file system of them.

The kernel has one table of such emulators, for all containers too: who finds one registered leaves it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.engine import install_packages, missing_packages
from localcloud.images import CACHE_DIR
from localcloud.images.build import debian_sources
from localcloud.images.recipes import DEBIAN_CODENAME, PYTHON, content_tag, slimming_options
from localcloud.shell import run

TABLE = Path("/proc/sys/fs/binfmt_misc")
ENTRY = TABLE / "qemu-aarch64"
# What systemd would register.
REGISTRATION = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
# No program of it runs before the emulator does, so packages are unpacked and not configured: there is a shell in any
# case. Debian's python refuses packages beside its own (PEP 668).
PACKAGES = ("base-files", "coreutils", "dash", *PYTHON.packages)
HOOK = 'ln -s /usr/bin/python3 "$1/usr/local/bin/python"; rm "$1"/usr/lib/python3*/EXTERNALLY-MANAGED'


def is_registered() -> bool:
    return ENTRY.exists()


@contextmanager
def registered() -> Iterator[None]:
    """Let the kernel run programs of arm64."""
    install_packages(missing_packages({"qemu-aarch64-static": "qemu-user-static"}), print)
    mounts, registers = not (TABLE / "register").exists(), not is_registered()
    if mounts:
        run("mount", "-t", "binfmt_misc", "binfmt_misc", str(TABLE))
        registers = not is_registered()
    try:
        if registers:
            (TABLE / "register").write_bytes(REGISTRATION.read_bytes())
        yield
    finally:
        if registers and is_registered():
            ENTRY.write_text("-1", encoding="ascii")
        if mounts:
            run("umount", str(TABLE))


def arm64_root() -> Path:
    """An archive of Debian's own arm64 packages, with Python; kept as long as the images of the embedded cloud are."""
    parts = {"packages": " ".join(PACKAGES), "hook": HOOK, "codename": DEBIAN_CODENAME}
    archive = CACHE_DIR / f"arm64-{content_tag({name: part.encode() for name, part in parts.items()})}.tar"
    if not archive.exists():
        install_packages(missing_packages({"mmdebstrap": "mmdebstrap"}), print)
        new = archive.with_suffix(".new")
        run(
            *("mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64", "--format=tar"),
            *(f"--include={','.join(PACKAGES)}", *slimming_options(), f"--customize-hook={HOOK}"),
            *(DEBIAN_CODENAME, str(new), *debian_sources(DEBIAN_CODENAME)),
            timeout=600,
        )
        new.replace(archive)
    return archive
