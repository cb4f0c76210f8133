# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machine's disk: Debian 12, and what would take long to make inside where every instruction is emulated.

All of it is made natively, by the tools with which the same is made elsewhere: packages by mmdebstrap through this
machine's apt sources, the virtual environment by scripts/make_venv.sh.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from localcloud import machine, settings
from localcloud.engine import ENGINE_PROGRAMS, install_packages, missing_packages
from localcloud.images import CACHE_DIR
from localcloud.images.build import BUILD_PROGRAMS, debian_sources
from localcloud.images.recipes import DEBIAN_CODENAME, REPOSITORY, content_tag, slimming_options
from localcloud.services import wait_until
from localcloud.shell import docker, docker_succeeds, run
from tests.support import ROOT

# With what the embedded cloud would install there.
INSTALLED: Final = {*BUILD_PROGRAMS.values(), *ENGINE_PROGRAMS.values(), *machine.PROGRAMS.values()}
PACKAGES: Final = (
    *("apparmor", "ca-certificates", "dbus", "git", "iproute2", "kmod", "linux-image-cloud-amd64", "make"),
    *("openssh-server", "procps", "python3-venv", "systemd-sysv", "udev", *sorted(INSTALLED)),
)
PROGRAMS: Final = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "ssh": "openssh-client"}
EXAMPLE_REQUIREMENTS: Final = (
    "examples/academy/requirements.txt",
    "examples/academy/docker/video-worker/requirements.txt",
)
# What the virtual environment follows from.
REQUIREMENTS: Final = (
    *("constraints.txt", "requirements.txt", "requirements-dev.txt", "scripts/make_venv.sh"),
    *(f"localcloud/images/host/files/usr/lib/python3/dist-packages/kept_bytecode.{kind}" for kind in ("py", "pth")),
    *EXAMPLE_REQUIREMENTS,
)
HOME: Final = "/root/academy"
WHEELS: Final = "/root/wheels"
DISK_GIB: Final = 40
BUILD_SECONDS: Final = 1800
ENGINE_SECONDS: Final = 60

# Inside: what is handed in at boot, the network, and pip, which has nothing but what lies there.
FILES: Final[Mapping[str, str]] = {
    "etc/systemd/system/seed.service": """\
[Unit]
Description=What the run hands in
DefaultDependencies=no
Requires=dev-vdb.device
After=dev-vdb.device local-fs.target
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=tar --extract --file=/dev/vdb --directory=/
[Install]
WantedBy=sysinit.target
""",
    "etc/systemd/network/en.network": "[Match]\nName=en*\n[Network]\nDHCP=ipv4\n",
    "etc/resolv.conf": "nameserver 10.0.2.3\n",  # qemu's own
    "etc/pip.conf": f"[global]\nno-index = true\nfind-links = {WHEELS}\n",
    "etc/fstab": "/dev/vdc /var/lib/docker ext4 defaults 0 0\n",
    "etc/hostname": "machine-test\n",
}
UNITS: Final = ("seed.service", "systemd-networkd.service")


@dataclass(frozen=True)
class Image:
    """What the virtual machine boots from."""

    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "disk.img"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd.img"


def parts() -> dict[str, bytes]:
    """What the disk follows from."""
    return {
        "packages": " ".join((DEBIAN_CODENAME, *PACKAGES, *slimming_options())).encode(),
        "disk": str(DISK_GIB).encode(),
        **{f"inside/{name}": text.encode() for name, text in FILES.items()},
        **{name: (ROOT / name).read_bytes() for name in REQUIREMENTS},
    }


def ensure_image() -> Image:
    """The disk, made where there is none of today's parts; kept as long as the images of the embedded cloud are."""
    image = Image(CACHE_DIR / f"machine-{content_tag(parts())}")
    if not image.directory.exists():
        CACHE_DIR.mkdir(parents=True, exist_ok=True)
        install_packages(missing_packages(PROGRAMS), print)
        for old in CACHE_DIR.glob("machine-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(prefix="machine-", dir=CACHE_DIR) as work:
            Path(work).chmod(0o755)  # apt downloads as a user of its own
            made = Image(Path(work) / "made")
            made.directory.mkdir()
            root = Path(work) / "root"
            _make_root(root)
            for link, file in (("vmlinuz", made.kernel), ("initrd.img", made.initrd)):
                shutil.copy(next((root / "boot").glob(f"{link}-*")), file)
            run("truncate", f"--size={DISK_GIB}G", str(made.disk))
            run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(made.disk), timeout=BUILD_SECONDS)
            made.directory.rename(image.directory)
    return image


def _make_root(root: Path) -> None:
    print("Making the root file system", flush=True)
    # As an archive: into a directory it would mount what an interrupted run then removes with it.
    archive = root.with_suffix(".tar")
    run(
        *("mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(PACKAGES)}", *slimming_options()),
        *(DEBIAN_CODENAME, str(archive), *debian_sources(DEBIAN_CODENAME)),
        timeout=BUILD_SECONDS,
    )
    root.mkdir()
    run("tar", "--extract", f"--file={archive}", f"--directory={root}", timeout=BUILD_SECONDS)
    for name, text in FILES.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    run("systemctl", f"--root={root}", "enable", "--quiet", *UNITS)
    print("Installing the Python packages", flush=True)
    wheels = root / WHEELS.lstrip("/")
    download = (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"),
        *("--python-version=3.11", f"--dest={wheels}"),
    )
    run(*download, "--no-deps", f"--requirement={ROOT / 'constraints.txt'}", timeout=BUILD_SECONDS)
    # As roles/images asks for them.
    examples = [f"--requirement={ROOT / name}" for name in EXAMPLE_REQUIREMENTS]
    pins = f"--constraint={ROOT / 'constraints.txt'}"
    run(*download, "--platform=manylinux2014_x86_64", *examples, pins, timeout=BUILD_SECONDS)
    for name in REQUIREMENTS:
        file = root / HOME.lstrip("/") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, file)
    make = f"cd {HOME} && exec scripts/make_venv.sh python3 .venv"
    run(
        "chroot",
        str(root),
        "env",
        "-i",
        "HOME=/root",
        "PATH=/usr/sbin:/usr/bin",
        "sh",
        "-c",
        make,
        timeout=BUILD_SECONDS,
    )


def seed(file: Path, public_key: str, bundle: bytes) -> None:
    """What a run hands in: who may log in, how apt downloads here, the commit, and the authority that images trust."""
    with tarfile.open(file, "w") as archive:
        _add(archive, "root/.ssh/authorized_keys", public_key.encode())
        _add(archive, "root/academy.bundle", bundle)
        _add(archive, "etc/apt/apt.conf.d/90machine", run("apt-config", "dump", "Acquire").encode())
        for authority in (settings.CA_CERTIFICATE, settings.CA_KEY):
            if authority.exists():
                _add(archive, str(authority)[1:], authority.read_bytes())


def store(disk: Path, work: Path) -> None:
    """A disk that is Docker's store, with the images of the embedded cloud.

    Emulated, loading them takes an hour. Here a second engine does it, which sees neither the first one nor a network.
    """
    images = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{REPOSITORY}/*").split()
    root, archive = work / "docker", work / "images.tar"
    root.mkdir()
    docker("save", f"--output={archive}", *images, timeout=BUILD_SECONDS)
    with _engine(root, work / "docker.sock") as url:
        docker("load", "--quiet", f"--input={archive}", host=url, timeout=BUILD_SECONDS)
    run("truncate", f"--size={DISK_GIB}G", str(disk))
    run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(disk), timeout=BUILD_SECONDS)


@contextmanager
def _engine(root: Path, socket: Path) -> Iterator[str]:
    url = f"unix://{socket}"
    options = (f"--data-root={root}", f"--host={url}", "--bridge=none", "--iptables=false", "--storage-driver=overlay2")
    start = f"mount -t tmpfs tmpfs /run && exec setpriv --pdeathsig=TERM dockerd {' '.join(options)}"
    with subprocess.Popen(
        ["unshare", "--mount", "--net", "sh", "-c", start], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: docker_succeeds("version", host=url), "a second engine answers", ENGINE_SECONDS)
            yield url
        finally:
            process.terminate()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644 if name.startswith("etc/") else 0o600
    archive.addfile(entry, BytesIO(content))
