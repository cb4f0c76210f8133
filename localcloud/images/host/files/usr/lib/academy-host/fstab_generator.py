#!/usr/bin/python3
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the device lines of /etc/fstab into mount units.

systemd's own generator ignores devices inside a container. This one makes the units that it would have made, without
waiting for udev: attach_disks.py has named the disks before any of them starts.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

FSTAB = Path("/etc/fstab")
DEVICE_PREFIXES = ("UUID=", "LABEL=", "/dev/")
UNESCAPED = {"040": " ", "011": "\t", "012": "\n", "134": "\\", "\\": "\\"}
# Paths are bytes to the kernel, whatever they mean to people.
BYTES = "surrogateescape"
WANTING_TARGET = "local-fs.target"


class Mount(NamedTuple):
    """One line of fstab that mounts a device."""

    what: str
    where: str
    fs_type: str
    options: tuple[str, ...]

    @property
    def unit_name(self) -> str:
        return f"{escape_path(self.where)}.mount"

    @property
    def dependency_directory(self) -> str | None:
        """How the boot asks for the mount: not at all, gladly, or not without it."""
        if "noauto" in self.options:
            return None
        return f"{WANTING_TARGET}.{'wants' if 'nofail' in self.options else 'requires'}"

    @property
    def unit(self) -> str:
        # As for a real disk, "nofail" also means that the boot goes on without waiting for the mount.
        before = "" if {"noauto", "nofail"} & set(self.options) else f"Before={WANTING_TARGET}\n"
        return (
            "# Made from /etc/fstab by the host's generator.\n"
            "[Unit]\n"
            "SourcePath=/etc/fstab\n"
            f"After=academy-host-disks.service\n{before}"
            "\n[Mount]\n"
            f"What={escape_value(self.what)}\n"
            f"Where={escape_value(self.where)}\n"
            f"Type={self.fs_type}\n"
            f"Options={escape_value(','.join(self.options))}\n"
        )


def escape_path(path: str) -> str:
    """The unit name of a path, as systemd-escape --path gives it."""
    words = [word for word in path.split("/") if word]
    if not words:
        return "-"
    escaped = ["".join(_escape_byte(byte) for byte in word.encode(errors=BYTES)) for word in words]
    if words[0].startswith("."):
        escaped[0] = f"\\x2e{escaped[0][1:]}"
    return "-".join(escaped)


def _escape_byte(byte: int) -> str:
    character = chr(byte)
    return character if re.fullmatch(r"[A-Za-z0-9:_.]", character) else f"\\x{byte:02x}"


def escape_value(value: str) -> str:
    """A value in a unit file, where % begins a specifier."""
    return value.replace("%", "%%")


def unescape_field(field: str) -> str:
    """A field of fstab, where a space is written as \\040. As getmntent does: it knows these alone."""
    return re.sub(r"\\(040|011|012|134|\\)", lambda match: UNESCAPED[match[1]], field)


def parse_fstab(text: str) -> list[Mount]:
    """The device mounts of an fstab: no swap, no root, nothing that systemd's own generator takes care of."""
    mounts = []
    for line in text.split("\n"):
        # As getmntent reads it: spaces and tabs part the fields, a line feed alone the lines.
        fields = [unescape_field(field) for field in re.split("[ \t]+", line.strip(" \t"))]
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        what, where, fs_type, *rest = fields
        if what.startswith(DEVICE_PREFIXES) and fs_type != "swap" and where.startswith("/") and where != "/":
            mounts.append(Mount(what, where, fs_type, tuple(rest[0].split(",") if rest else ["defaults"])))
    return mounts


def main(directory: Path) -> None:
    for mount in parse_fstab(FSTAB.read_bytes().decode(errors=BYTES)):
        (directory / mount.unit_name).write_bytes(mount.unit.encode(errors=BYTES))
        if mount.dependency_directory:
            link = directory / mount.dependency_directory / mount.unit_name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(directory / mount.unit_name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
