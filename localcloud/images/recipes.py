# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the images are made of, and the tag that follows from it. Nothing here touches the machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

REPOSITORY: Final = "academy-localcloud"
DEBIAN_CODENAME: Final = "bookworm"  # brings the Python 3.11 and the PostgreSQL 15 that the images promise
NEXT_CODENAME: Final = "trixie"  # brings the BuildKit that knows what today's Dockerfiles are written with

# Debian package of the host → the name under which Amazon Linux 2023 has it installed. The images are made for
# programs: without their libraries' documentation, and without what Debian only recommends.
HOST_PACKAGES: Final[Mapping[str, str]] = {
    "ca-certificates": "ca-certificates",
    "curl": "curl-minimal",
    "dbus": "dbus",
    "dnf": "dnf",
    "e2fsprogs": "e2fsprogs",
    "fdisk": "util-linux-core",
    "findutils": "findutils",
    "gzip": "gzip",
    "iproute2": "iproute",
    "iputils-ping": "iputils",
    "kmod": "kmod",
    "mount": "util-linux",
    "openssh-server": "openssh-server",
    "passwd": "shadow-utils",
    "procps": "procps-ng",
    "python3": "python3",
    "python3-certifi": "python3-certifi",
    "python3-chardet": "python3-chardet",
    "python3-dnf": "python3-dnf",
    "python3-idna": "python3-idna",
    "python3-six": "python3-six",
    "python3-urllib3": "python3-urllib3",
    "rpm": "rpm",
    "sudo": "sudo",
    "systemd-sysv": "systemd",
    "tar": "tar",
    "xfsprogs": "xfsprogs",
    "xz-utils": "xz",
}

# Libraries that the repacked programs of REPACKED are linked against.
HOST_LIBRARIES: Final = (
    "libdevmapper1.02.1",
    "libip4tc2",
    "libip6tc2",
    "liblua5.3-0",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libopentracing-c-wrapper0",
    "libseccomp2",
    "libxtables12",
    "netbase",
)

# rpm that the host's dnf can install → the Debian packages that it holds. The first one gives the version.
REPACKED: Final[Mapping[str, tuple[str, ...]]] = {
    "amazon-ecr-credential-helper": ("amazon-ecr-credential-helper",),
    "containerd": ("containerd",),
    "docker": ("docker.io", "tini"),
    "haproxy": ("haproxy",),
    "iptables-nft": ("iptables",),
    "python3-requests": ("python3-requests",),
    "runc": ("runc",),
}

# The releases of Amazon Linux that the host's repository has, the image's own one first → the packages that are newer
# in it than in the first. The last one has what needs a reboot.
HOST_RELEASES: Final[Mapping[str, tuple[str, ...]]] = {
    "2023.9.20251208": (),
    "2023.10.20260105": ("curl-minimal",),
    "2023.10.20260202": ("curl-minimal", "dbus"),
}

_SLIM: Final = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_SLIM_BUT: Final = ("/usr/share/doc/*/copyright",)


@dataclass(frozen=True)
class Recipe:
    """One image: Debian packages, then the steps of its directory's Dockerfile."""

    name: str
    packages: tuple[str, ...]
    # Shell commands for mmdebstrap, run when the packages are installed; "$1" is the root of the new system.
    hooks: tuple[str, ...] = ()
    rpms: bool = False
    codename: str = DEBIAN_CODENAME


HOST: Final = Recipe("host", (*HOST_PACKAGES, *HOST_LIBRARIES), rpms=True)
SERVICES: Final = Recipe(
    "services",
    (
        "ca-certificates",
        "docker-registry",
        "iproute2",
        "postgresql-15",
        "procps",
    ),
    # The package makes a database cluster; each embedded database makes its own.
    hooks=('rm -rf "$1/var/lib/postgresql/15" "$1/etc/postgresql/15"',),
)
BUILDER: Final = Recipe("builder", ("ca-certificates", "docker.io", "iptables"), codename=NEXT_CODENAME)
PYTHON: Final = Recipe("python", ("ca-certificates", "python3", "python3-pip", "python3-venv"))
RECIPES: Final = (HOST, SERVICES, BUILDER, PYTHON)


def content_tag(parts: Mapping[str, bytes]) -> str:
    """The tag of what is made from these parts: equal for equal parts, whatever order they come in."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        for field in (name.encode(), parts[name]):
            digest.update(len(field).to_bytes(8, "big"))
            digest.update(field)
    return digest.hexdigest()[:12]


def rootfs_parts(recipe: Recipe, architecture: str) -> dict[str, bytes]:
    """What the root file system of an image follows from."""
    return {
        "architecture": architecture.encode(),
        "codename": recipe.codename.encode(),
        "options": " ".join(slimming_options()).encode(),
        "packages": " ".join(sorted(recipe.packages)).encode(),
        "hooks": "\n".join(recipe.hooks).encode(),
    }


def image_parts(recipe: Recipe, architecture: str, ca_fingerprint: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What an image follows from: its root file system, the files of its directory, and the CA that it trusts."""
    repacked = " ".join(f"{rpm}={','.join(debs)}" for rpm, debs in sorted(REPACKED.items())) if recipe.rpms else ""
    releases = " ".join(f"{name}={','.join(newer)}" for name, newer in HOST_RELEASES.items()) if recipe.rpms else ""
    return {
        **{f"rootfs/{name}": part for name, part in rootfs_parts(recipe, architecture).items()},
        **{f"file/{name}": content for name, content in files.items()},
        "ca": ca_fingerprint.encode(),
        "repacked": repacked.encode(),
        "releases": releases.encode(),
    }


def reference(name: str, tag: str) -> str:
    return f"{REPOSITORY}/{name}:{tag}"


def rootfs_name(recipe: Recipe) -> str:
    return f"{recipe.name}-rootfs"


def outdated(present: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """The references of ours that no image needs any more."""
    return sorted({image for image in present if image.startswith(f"{REPOSITORY}/")} - set(wanted))


def slimming_options() -> list[str]:
    """mmdebstrap's options that leave out what nobody reads in a container, and fsync, which nobody needs there."""
    options = [
        "force-unsafe-io",
        *(f"path-exclude={path}" for path in _SLIM),
        *(f"path-include={path}" for path in _SLIM_BUT),
    ]
    return [f"--dpkgopt={option}" for option in options]


def upstream_version(debian_version: str) -> str:
    """A Debian version as an rpm may carry it: no epoch, no Debian revision, no remark on how it was repacked."""
    upstream = debian_version.partition(":")[2] or debian_version
    upstream = upstream.rpartition("-")[0] or upstream
    return re.sub(r"[+~](ds|dfsg)\d*$", "", upstream).replace("-", "_")


def debian_sources(index_targets: str, codename: str) -> list[str]:
    """Where mmdebstrap finds a Debian release, by what `apt-get indextargets` prints as "<origin> <codename>
    <archive> <source file>:<entry>" lines: the machine's own source files, or another release in the same archive."""
    targets = [line.split(" ", 3) for line in index_targets.splitlines()]
    own = [target for target in targets if target[0] == "Debian" and target[1].partition("-")[0] == DEBIAN_CODENAME]
    if codename == DEBIAN_CODENAME:
        return [*dict.fromkeys(entry.rpartition(":")[0] for _, _, _, entry in own)]
    return [f"deb {archive} {codename} main" for _, name, archive, _ in own if name == DEBIAN_CODENAME][:1]
