# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the images of `recipes`, and remove the ones that nobody needs any more."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcloud import certificates, settings
from localcloud.engine import (
    APT_GET,
    Progress,
    ensure_engine,
    heartbeat,
    install_packages,
    missing_packages,
)
from localcloud.images import recipes
from localcloud.images.recipes import Recipe
from localcloud.shell import EngineError, docker_command, docker_succeeds, run

CACHE_DIR: Final = Path("/var/cache/academy-localcloud")
PYTHON_TAG: Final = "3.11"
STEP_TIMEOUT_SECONDS: Final = 1800

# The program that must be there → the Debian package that brings it.
BUILD_PROGRAMS: Final[Mapping[str, str]] = {
    "mmdebstrap": "mmdebstrap",
    "createrepo_c": "createrepo-c",
    "rpmbuild": "rpm",
}
# A Debian 12 that was never updated does not know who signs the release after it.
NEXT_KEY: Final = Path(f"/usr/share/keyrings/debian-archive-{recipes.NEXT_CODENAME}-stable.gpg")
KEYS_PACKAGE: Final = "debian-archive-keyring"
_DIRECTORY: Final = Path(__file__).parent
_PARALLEL_BUILDS: Final = 2
_WORK_PREFIX: Final = "build-"
# Running the tests leaves it beside the host's programs.
_BYTECODE: Final = "__pycache__"


class BuildError(EngineError):
    """An image cannot be built; the message says what to do about it."""


@dataclass(frozen=True)
class Images:
    """References of the images, and the archive from which another engine loads the Python image."""

    host: str
    services: str
    builder: str
    python: str
    python_archive: Path


def ensure_images(progress: Progress) -> Images:
    """The images of the embedded cloud, built where they are missing or made of something else than today."""
    ensure_engine(progress)
    with _lock(progress):
        certificates.ensure_authority()
        architecture = run("dpkg", "--print-architecture")
        builds = {recipe.name: _Build(recipe, architecture, progress) for recipe in recipes.RECIPES}
        missing = [build for build in builds.values() if not build.exists]
        if missing:
            _prepare(progress)
            with ThreadPoolExecutor(_PARALLEL_BUILDS) as pool:
                for result in [pool.submit(build.make) for build in missing]:
                    result.result()
        python = builds[recipes.PYTHON.name]
        python_reference = recipes.reference(python.recipe.name, PYTHON_TAG)
        _docker("tag", python.reference, python_reference)
        archive = _archive(python_reference, python.tag, progress)
        wanted = [python_reference]
        for build in builds.values():
            wanted += [build.reference, build.rootfs_reference]
        _remove_images(recipes.outdated(_present(), wanted))
        return Images(
            host=builds[recipes.HOST.name].reference,
            services=builds[recipes.SERVICES.name].reference,
            builder=builds[recipes.BUILDER.name].reference,
            python=python_reference,
            python_archive=archive,
        )


def purge_images(progress: Progress) -> None:
    """Remove every image and file that building left. Needs the engine: call it before the engine is stopped."""
    if CACHE_DIR.exists():
        ensure_engine(progress)
        _remove_images(recipes.outdated(_present(), wanted=()))
        shutil.rmtree(CACHE_DIR)
        progress("Removed the cached images")


class _Build:
    """One image on its way."""

    def __init__(self, recipe: Recipe, architecture: str, progress: Progress) -> None:
        fingerprint = certificates.fingerprint(settings.CA_CERTIFICATE.read_bytes())
        files = _context_files(_DIRECTORY / recipe.name) | _settings_files(recipe)
        self.recipe = recipe
        self.tag = recipes.content_tag(recipes.image_parts(recipe, architecture, fingerprint, files))
        self.reference = recipes.reference(recipe.name, self.tag)
        rootfs_tag = recipes.content_tag(recipes.rootfs_parts(recipe, architecture))
        self.rootfs_reference = recipes.reference(recipes.rootfs_name(recipe), rootfs_tag)
        self._progress = progress
        self._started = time.monotonic()
        self._step = "waiting"

    @property
    def exists(self) -> bool:
        return _exists(self.reference)

    def make(self) -> None:
        self._started = time.monotonic()
        with heartbeat(self._progress, lambda: f"{self.recipe.name} image: still {self._step}"):
            self._make()
        self._say(f"ready as {self.reference}")

    def _make(self) -> None:
        with tempfile.TemporaryDirectory(prefix=_WORK_PREFIX, dir=CACHE_DIR) as directory:
            Path(directory).chmod(0o755)  # apt downloads as a user of its own
            context = Path(directory) / "context"
            ignored = shutil.ignore_patterns(_BYTECODE)
            shutil.copytree(_DIRECTORY / self.recipe.name, context, symlinks=True, ignore=ignored)
            shutil.copy(settings.CA_CERTIFICATE, context / "ca.pem")
            for name, content in _settings_files(self.recipe).items():
                (context / name).write_bytes(content)
            if self.recipe.rpms:
                self._say("repacking Debian packages for dnf")
                _make_repository(context / "packages", context / "repository", Path(directory))
            if not _exists(self.rootfs_reference):
                self._say(f"making the root file system from {len(self.recipe.packages)} Debian packages")
                self._import_rootfs()
            self._say("adding what is ours")
            _docker(
                *("build", "--quiet", "--network", "none", "--force-rm"),
                *("--label", f"{settings.LABEL}={settings.LABEL_VALUE}"),
                *("--build-arg", f"ROOTFS={self.rootfs_reference}", "--tag", self.reference, str(context)),
            )

    def _import_rootfs(self) -> None:
        # In the foreground, so that an interrupt reaches them.
        limited = ("timeout", "--foreground", "--kill-after=30", str(STEP_TIMEOUT_SECONDS))
        command = [
            *limited,
            *("mmdebstrap", "--variant=essential", "--format=tar", f"--include={','.join(self.recipe.packages)}"),
            *recipes.slimming_options(),
            *(f"--customize-hook={hook}" for hook in self.recipe.hooks),
            *(self.recipe.codename, "-", *debian_sources(self.recipe.codename)),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False) as maker:
            assert maker.stdout is not None
            assert maker.stderr is not None
            importer = subprocess.Popen(
                [*limited, *docker_command("import", "-")],
                stdin=maker.stdout,
                stdout=subprocess.PIPE,
                text=True,
            )
            maker.stdout.close()
            messages = []
            for line in maker.stderr:
                message = line.decode(errors="replace").strip()
                messages.append(message)
                if message.startswith("I: ") and message.endswith("..."):
                    self._say(message.removeprefix("I: ").removesuffix("..."))
            image, _ = importer.communicate()
        if maker.returncode or importer.returncode:
            _remove_images(image.split())
            end = "\n".join(messages[-15:])
            raise BuildError(f"mmdebstrap could not make the {self.recipe.name} image. The end of its messages:\n{end}")
        # Only now: a tag says that the image is whole.
        _docker("tag", image.strip(), self.rootfs_reference)

    def _say(self, step: str) -> None:
        self._step = step
        self._progress(f"{self.recipe.name} image: {step} ({time.monotonic() - self._started:.0f} s)")


def _prepare(progress: Progress) -> None:
    """Check and complete what a build needs of the machine."""
    if os.geteuid() != 0:
        raise BuildError("Only root may build the images: they are root file systems. Run this as root.")
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if codename != recipes.DEBIAN_CODENAME:
        raise BuildError(
            f"The images are built from the packages of Debian {recipes.DEBIAN_CODENAME} through this machine's apt "
            f"sources, but this machine is {codename or 'no Debian'}. Use a Debian 12 machine."
        )
    install_packages([*missing_packages(BUILD_PROGRAMS), *([] if NEXT_KEY.exists() else [KEYS_PACKAGE])], progress)
    for abandoned in CACHE_DIR.glob(f"{_WORK_PREFIX}*"):  # by a build that was killed
        shutil.rmtree(abandoned)
    progress("Reading Debian's package lists")
    run(*APT_GET, "update", timeout=None)


def debian_sources(codename: str) -> list[str]:
    """mmdebstrap's arguments for a Debian release, through this machine's apt sources."""
    format_and_filter = ("--format", "$(ORIGIN) $(CODENAME) $(REPO_URI) $(SOURCESENTRY)", "Created-By: Packages")
    sources = recipes.debian_sources(run("apt-get", "indextargets", *format_and_filter), codename)
    if not sources:
        raise BuildError(
            f"No apt source of this machine offers Debian {recipes.DEBIAN_CODENAME}. Add one, run `apt-get update` and "
            "try again."
        )
    return sources


def _make_repository(specs: Path, repository: Path, work: Path) -> None:
    """Repack Debian packages as rpms, by the given spec files, into repositories that dnf reads: one for each release
    of Amazon Linux, and one of programs that all releases have."""
    debian = work / "debian"
    archives = work / "archives"
    for directory in (debian, archives, repository):
        directory.mkdir()
    shutil.chown(archives, "_apt")
    packages = sorted({package for held in recipes.REPACKED.values() for package in held})
    run("env", f"--chdir={archives}", *APT_GET, "download", *packages, timeout=None)
    versions = {}
    for archive in archives.glob("*.deb"):
        package = run("dpkg-deb", "--field", str(archive), "Package")
        versions[package] = run("dpkg-deb", "--field", str(archive), "Version")
        run("dpkg-deb", "--extract", str(archive), str(debian / package))
    common = {
        "_topdir": str(work / "rpmbuild"),
        "_rpmdir": str(repository / "programs"),
        "_sourcedir": str(specs / "sources"),
        "_binary_payload": "w3.zstdio",  # the engine's programs are large, and read once
        "debian": str(debian),
        "debug_package": "%{nil}",
        "__os_install_post": "%{nil}",
    }
    preinstalled = " ".join(sorted(set(recipes.HOST_PACKAGES.values())))
    for release, newer in recipes.HOST_RELEASES.items():
        of_release = {"_rpmdir": str(repository / release), "release_version": release, "preinstalled": preinstalled}
        newer_packages = {"newer": " ".join(["system-release", *newer])}
        _rpmbuild(specs / "system-release.spec", common | of_release | newer_packages)
    for rpm, held in recipes.REPACKED.items():
        _rpmbuild(specs / f"{rpm}.spec", common | {"debian_version": recipes.upstream_version(versions[held[0]])})
    for directory in repository.iterdir():
        run("createrepo_c", "--quiet", str(directory))


def _rpmbuild(spec: Path, definitions: Mapping[str, str]) -> None:
    options = [option for name, value in definitions.items() for option in ("--define", f"{name} {value}")]
    run("rpmbuild", "-bb", "--quiet", *options, str(spec), timeout=None)


def _archive(reference: str, tag: str, progress: Progress) -> Path:
    """The image as a file, for an engine that cannot see this one's images."""
    archive = CACHE_DIR / f"python-{tag}.tar"
    if not archive.exists():
        progress(f"Saving {reference} to {archive}")
        for old in CACHE_DIR.glob("python-*.tar*"):
            old.unlink()
        new = archive.with_suffix(".tar.new")
        with heartbeat(progress, lambda: f"Saving {reference}"):
            _docker("save", "--output", str(new), reference)
        new.replace(archive)
    return archive


def _context_files(directory: Path) -> dict[str, bytes]:
    """The files that an image is made of: content, and what else a copy keeps (the link's target, the right to run)."""
    files = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if _BYTECODE in path.parts:
            continue
        if path.is_symlink():
            files[f"link/{name}"] = str(path.readlink()).encode()
        elif path.is_file():
            kind = "program" if os.access(path, os.X_OK) else "file"
            files[f"{kind}/{name}"] = path.read_bytes()
    return files


def _settings_files(recipe: Recipe) -> dict[str, bytes]:
    """The files of an image that say what `settings` and `recipes` say."""
    if recipe is not recipes.HOST:
        return {}
    resolver = f"search {settings.INTERNAL_DOMAIN}\nnameserver {settings.RESOLVER}\n"
    return {"resolv.conf": resolver.encode(), "release": next(iter(recipes.HOST_RELEASES)).encode()}


def _docker(*arguments: str) -> str:
    # Debian 12 has no buildx; the engine's own builder is all that these Dockerfiles need.
    return run("env", "DOCKER_BUILDKIT=0", *docker_command(*arguments), timeout=STEP_TIMEOUT_SECONDS)


def _exists(reference: str) -> bool:
    return bool(_docker("image", "ls", "--quiet", reference))


def _present() -> list[str]:
    return _docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{recipes.REPOSITORY}/*").split()


def _remove_images(references: Sequence[str]) -> None:
    for reference in references:
        # A container may still use it; then the next build tries again.
        docker_succeeds("image", "rm", reference)


@contextmanager
def _lock(progress: Progress) -> Iterator[None]:
    """One build at a time on a machine."""
    CACHE_DIR.mkdir(parents=True, exist_ok=True)
    with (CACHE_DIR / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Another process builds the images; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
