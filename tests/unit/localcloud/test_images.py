# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from localcloud import images
from localcloud.images import build, recipes
from localcloud.images.recipes import BUILDER, HOST, RECIPES, SERVICES, content_tag, image_parts, rootfs_parts
from plugins.module_utils.plan.host_update import order

DIRECTORY = Path(images.__file__).parent


def program_of_the_host(name: str) -> ModuleType:
    """A program that the host image brings, as a module."""
    spec = importlib.util.spec_from_file_location(name, DIRECTORY / f"host/files/usr/lib/academy-host/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


attach_disks = program_of_the_host("attach_disks")
authorize_keys = program_of_the_host("authorize_keys")
fstab_generator = program_of_the_host("fstab_generator")


# --- tags ---------------------------------------------------------------------------------------------------------


def test_a_tag_follows_from_the_parts_alone() -> None:
    assert content_tag({"a": b"1", "b": b"2"}) == content_tag({"b": b"2", "a": b"1"})


@pytest.mark.parametrize(
    "other", [{}, {"a": b"1"}, {"a": b"1", "b": b"3"}, {"a": b"1", "c": b"2"}, {"a": b"1b", "": b"2"}]
)
def test_other_parts_give_another_tag(other: dict[str, bytes]) -> None:
    assert content_tag(other) != content_tag({"a": b"1", "b": b"2"})


def tag(recipe: recipes.Recipe = HOST, architecture: str = "amd64", ca: str = "aa", **files: bytes) -> str:
    return content_tag(image_parts(recipe, architecture, ca, files))


def test_an_image_is_rebuilt_for_whatever_goes_into_it() -> None:
    tags = [
        tag(),
        tag(architecture="arm64"),
        tag(ca="bb"),
        tag(Dockerfile=b"FROM scratch"),
        tag(replace(HOST, packages=(*HOST.packages, "vim"))),
        tag(replace(HOST, hooks=("true",))),
        tag(replace(HOST, codename="sid")),
        tag(replace(HOST, rpms=False)),
    ]
    assert len(set(tags)) == len(tags)


def test_an_image_is_rebuilt_for_other_releases_in_the_repository_of_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    before = tag()
    monkeypatch.setattr(recipes, "HOST_RELEASES", {**recipes.HOST_RELEASES, "2023.11.20260302": ()})
    assert tag() != before


def test_each_release_is_later_than_the_one_before_and_has_packages_of_the_host() -> None:
    releases = [order(name) for name in recipes.HOST_RELEASES]
    assert releases == sorted(release for release in releases if release)
    assert {name for newer in recipes.HOST_RELEASES.values() for name in newer} <= set(recipes.HOST_PACKAGES.values())


def test_the_order_of_packages_does_not_matter() -> None:
    assert tag(replace(HOST, packages=tuple(reversed(HOST.packages)))) == tag()


def test_a_changed_file_keeps_the_root_file_system() -> None:
    parts = image_parts(HOST, "amd64", "aa", {"setup.sh": b"true"})
    assert {f"rootfs/{name}": part for name, part in rootfs_parts(HOST, "amd64").items()}.items() <= parts.items()


def test_every_recipe_has_its_directory_and_its_own_root_file_system() -> None:
    assert all((DIRECTORY / recipe.name / "Dockerfile").is_file() for recipe in RECIPES)
    assert len({content_tag(rootfs_parts(recipe, "amd64")) for recipe in RECIPES}) == len(RECIPES)


def test_every_repacked_package_has_its_spec_file() -> None:
    specs = {path.stem for path in (DIRECTORY / "host/packages").glob("*.spec")}
    assert specs == {*recipes.REPACKED, "system-release"}


def test_the_services_bring_what_databases_and_registry_run() -> None:
    assert {"postgresql-15", "docker-registry"} <= set(SERVICES.packages)


def test_the_builder_brings_an_engine_with_todays_buildkit() -> None:
    assert {"docker.io", "iptables"} <= set(BUILDER.packages)
    assert BUILDER.codename == "trixie"


def test_a_copy_of_the_files_is_told_apart_by_content_kind_and_link(tmp_path: Path) -> None:
    (tmp_path / "sub/__pycache__").mkdir(parents=True)
    (tmp_path / "sub/__pycache__/x.pyc").write_bytes(b"ignored")
    (tmp_path / "sub/text").write_bytes(b"1")
    (tmp_path / "program").write_bytes(b"2")
    (tmp_path / "program").chmod(0o755)
    os.symlink("/nowhere", tmp_path / "link")
    assert build._context_files(tmp_path) == {
        "file/sub/text": b"1",
        "program/program": b"2",
        "link/link": b"/nowhere",
    }


def test_only_our_unused_images_are_outdated() -> None:
    present = ["academy-localcloud/host:new", "academy-localcloud/host:old", "somebody/host:old", "postgres:15"]
    assert recipes.outdated(present, ["academy-localcloud/host:new"]) == ["academy-localcloud/host:old"]


# --- Debian -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("debian", "expected"),
    [
        ("20.10.24+dfsg1-1+deb12u1+b6", "20.10.24"),
        ("1.6.20~ds1-1+deb12u3", "1.6.20"),
        ("0.6.0-1+b2", "0.6.0"),
        ("2:1.02.185-2", "1.02.185"),
        ("1.8.9", "1.8.9"),
        ("1.0-rc1-2", "1.0_rc1"),
        ("1.2+ds-1", "1.2"),
    ],
)
def test_upstream_version(debian: str, expected: str) -> None:
    assert recipes.upstream_version(debian) == expected


TARGETS = """\
Debian bookworm-updates https://updates.example/debian /etc/apt/sources.list.d/debian.sources:1
Debian bookworm https://mirror.example/debian /etc/apt/sources.list.d/debian.sources:1
Debian bookworm-security https://mirror.example/security /etc/apt/sources.list:3
Debian trixie https://next.example/debian /etc/apt/sources.list.d/next.list:1
Somebody bookworm https://somebody.example /etc/apt/sources.list.d/somebody.list:1"""


@pytest.mark.parametrize(
    ("codename", "expected"),
    [
        ("bookworm", ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]),
        # In the archive that has the machine's own release, whatever else it may have of this one.
        ("trixie", ["deb https://mirror.example/debian trixie main"]),
    ],
)
def test_only_debians_own_archives_are_sources(codename: str, expected: list[str]) -> None:
    assert recipes.debian_sources(TARGETS, codename) == expected


def test_no_archive_of_debians_own_is_no_source() -> None:
    assert recipes.debian_sources(TARGETS.replace("Debian", "Somebody"), "trixie") == []


# --- the host's programs ------------------------------------------------------------------------------------------


def test_parse_disks() -> None:
    assert attach_disks.parse_disks("vol-0a nvme1n1 7:3\n\nvol-0b nvme2n1 7:14\n") == [
        ("vol-0a", "nvme1n1", 7, 3),
        ("vol-0b", "nvme2n1", 7, 14),
    ]


@pytest.mark.parametrize("line", ["vol-0a nvme1n1", "vol-0a nvme1n1 7", "vol-0a nvme1n1 a:b"])
def test_a_broken_line_is_no_disk(line: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        attach_disks.parse_disks(line)


def test_links_are_those_of_udev() -> None:
    disks = attach_disks.parse_disks("vol-0123456789abcdef0 nvme1n1 7:3\nvol-0b nvme2n1 7:4")
    probes = {
        "nvme1n1": attach_disks.parse_probe("DEVNAME=/dev/nvme1n1\nLABEL=two\\ words\nUUID=9a7f-04f7\nTYPE=xfs\n"),
        "nvme2n1": attach_disks.parse_probe(""),
    }
    assert attach_disks.wanted_links(disks, probes) == {
        "by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0": "nvme1n1",
        "by-uuid/9a7f-04f7": "nvme1n1",
        "by-id/nvme-Amazon_Elastic_Block_Store_vol0b": "nvme2n1",
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/mnt/transcode", "mnt-transcode"),
        ("/mnt//transcode/", "mnt-transcode"),
        ("/", "-"),
        ("/mnt/my-disk", r"mnt-my\x2ddisk"),
        ("/.hidden/.x", r"\x2ehidden-.x"),
        ("/mnt/a b", r"mnt-a\x20b"),
        ("/é", r"\xc3\xa9"),
    ],
)
def test_escape_path(path: str, expected: str) -> None:
    assert fstab_generator.escape_path(path) == expected


FSTAB = r"""
# a comment
UUID=9a7f /mnt/transcode xfs defaults,nofail,noatime 0 2
/dev/nvme2n1	/data\040disk	ext4	rw	0 0
LABEL=old /mnt/later xfs noauto
UUID=aaaa / ext4 defaults 0 1
/var/swap/host none swap sw 0 0
UUID=bbbb none swap sw 0 0
tmpfs /mnt/tmp tmpfs size=1m 0 0
server:/export /mnt/nfs nfs defaults 0 0
/dev/nvme3n1
"""


def test_only_devices_that_systemd_ignores_become_units() -> None:
    mounts = fstab_generator.parse_fstab(FSTAB)
    assert [(mount.what, mount.where, mount.unit_name, mount.dependency_directory) for mount in mounts] == [
        ("UUID=9a7f", "/mnt/transcode", "mnt-transcode.mount", "local-fs.target.wants"),
        ("/dev/nvme2n1", "/data disk", r"data\x20disk.mount", "local-fs.target.requires"),
        ("LABEL=old", "/mnt/later", "mnt-later.mount", None),
    ]


@pytest.mark.parametrize(
    ("options", "waits"), [("defaults", True), ("rw,noatime", True), ("defaults,nofail", False), ("noauto", False)]
)
def test_the_boot_waits_only_for_mounts_that_it_needs(options: str, waits: bool) -> None:
    [mount] = fstab_generator.parse_fstab(f"UUID=9a7f /mnt/x xfs {options}")
    assert ("\nBefore=local-fs.target\n" in mount.unit) is waits


def test_a_line_of_fstab_ends_at_a_line_feed_alone() -> None:
    [mount] = fstab_generator.parse_fstab(
        "# a\u2028UUID=1 /mnt/no xfs ro\n \tUUID=9a7f\t/mnt/x\u2028y\x85z\u00a0 xfs ro\t\n"
    )
    assert (mount.what, mount.where) == ("UUID=9a7f", "/mnt/x\u2028y\x85z\u00a0")


def test_a_mount_unit_says_what_fstab_says() -> None:
    [mount] = fstab_generator.parse_fstab("UUID=9a7f /mnt/100% xfs defaults,nofail")
    section = mount.unit.partition("[Mount]\n")[2]
    assert section == "What=UUID=9a7f\nWhere=/mnt/100%%\nType=xfs\nOptions=defaults,nofail\n"


def test_the_generator_writes_units_and_asks_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text(FSTAB)
    monkeypatch.setattr(fstab_generator, "FSTAB", fstab)
    directory = tmp_path / "generated"
    directory.mkdir()
    fstab_generator.main(directory)
    link = directory / "local-fs.target.wants/mnt-transcode.mount"
    assert link.readlink() == directory / "mnt-transcode.mount"
    assert "What=UUID=9a7f" in link.read_text()
    assert not (directory / "local-fs.target.wants/mnt-later.mount").exists()


def test_the_generator_reads_an_fstab_in_any_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_bytes("# 스왑\nUUID=9a7f /mnt/작업 xfs ro 0 2\n".encode("cp949"))
    monkeypatch.setattr(fstab_generator, "FSTAB", fstab)
    fstab_generator.main(tmp_path)
    (unit,) = tmp_path.glob("*.mount")
    assert unit.name == "mnt-" + "".join(f"\\x{byte:02x}" for byte in "작업".encode("cp949")) + ".mount"
    assert b"Where=/mnt/" + "작업".encode("cp949") + b"\n" in unit.read_bytes()


def test_the_generator_unescapes_no_more_than_the_boot_does() -> None:
    [mount] = fstab_generator.parse_fstab("UUID=9a7f /mnt/a\\040b\\134\\146 xfs ro 0 2")
    assert mount.where == "/mnt/a b\\\\146"


def test_key_indices() -> None:
    assert authorize_keys.key_indices("0=academy\n1=second=key\n") == ["0", "1"]


@pytest.mark.parametrize(
    ("present", "keys", "expected"),
    [
        ("", ["ssh-ed25519 A a"], "ssh-ed25519 A a\n"),
        ("ssh-ed25519 A a\n", ["ssh-ed25519 A a"], "ssh-ed25519 A a\n"),
        ("ssh-rsa mine", ["ssh-ed25519 A a"], "ssh-rsa mine\nssh-ed25519 A a\n"),
        ("ssh-rsa a\u2028b\n\nssh-rsa mine\n", [], "ssh-rsa a\u2028b\n\nssh-rsa mine\n"),
        ("ssh-rsa mine\n", [], "ssh-rsa mine\n"),
    ],
)
def test_the_key_pair_is_added_to_what_is_there(present: str, keys: list[str], expected: str) -> None:
    assert authorize_keys.merged(present, keys) == expected
