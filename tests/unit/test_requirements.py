# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""requirements.txt alone brings every package that the plugins, and the collections' modules in use, import.

The tests run where far more is installed, so a missing package would show only at an operator's.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
# Where the collections of the ansible package lie; ours is this directory.
COLLECTIONS = Path(sysconfig.get_path("purelib")) / "ansible_collections"
OWN = "ansible_collections.academy.deploy."
MODULE = re.compile(r"\b(amazon\.aws|ansible\.posix|community\.aws|community\.docker)\.([a-z][a-z0-9_]+)\b")
KINDS = ("modules", "lookup", "inventory", "action")
# Imported where it is there, and missed by nobody here.
OPTIONAL = {
    "paramiko": "community.docker, for ssh:// engines: roles/images has it use the ssh of this machine",
    **dict.fromkeys(("Queue", "backports", "urlparse"), "community.docker, on Python 2"),
    **dict.fromkeys(("pywintypes", "win32api", "win32event", "win32file", "win32pipe"), "community.docker, on Windows"),
    "placebo": "amazon.aws, in its own tests",
    "typing_extensions": "amazon.aws, where types are checked",
}
# What only runs on the hosts, whose packages the operating system brings.
ON_HOSTS = {"dnf", "rpm"}


def closure(*names: str) -> set[str]:
    """These distributions, and all that they require on this machine."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            wanted = map(Requirement, requires(name) or [])
            waiting += [
                canonicalize_name(each.name)
                for each in wanted
                if not each.marker or each.marker.evaluate({"extra": ""})
            ]
    return found


def listed(file: str) -> dict[str, str]:
    """The distributions that a file of requirements names, with their versions."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pinned = [line.partition("==") for line in lines if line and not line.startswith(("#", "-"))]
    return {canonicalize_name(name.partition("[")[0]): version for name, _, version in pinned}


@cache
def provided() -> set[str]:
    """The top-level modules that requirements.txt brings."""
    distributions = closure(*listed("requirements.txt"))
    by_module = packages_distributions()
    return {name for name, found in by_module.items() if distributions & {canonicalize_name(each) for each in found}}


def used() -> set[Path]:
    """The files of the collections' modules and plugins that roles, playbooks and inventories name."""
    texts = [
        path.read_text(encoding="utf-8")
        for directory in ("roles", "playbooks", "inventories")
        for path in sorted((ROOT / directory).rglob("*.yml"))
    ]
    names = {match.groups() for text in texts for match in MODULE.finditer(text)}
    files = {
        COLLECTIONS / collection.replace(".", "/") / "plugins" / kind / f"{name}.py"
        for collection, name in names
        for kind in KINDS
    }
    return {file for file in files if file.is_file()}


def module_name(path: Path) -> str:
    """How Python calls a file of a collection."""
    if path.is_relative_to(COLLECTIONS):
        return ".".join(["ansible_collections", *path.relative_to(COLLECTIONS).with_suffix("").parts])
    return OWN + ".".join(path.relative_to(ROOT).with_suffix("").parts)


def modules_of(path: Path) -> Iterator[str]:
    """The modules that a file imports, by their whole names."""
    parts = module_name(path).split(".")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*parts[: -node.level], node.module or ""] if node.level else [node.module or ""]).rstrip(
                "."
            )
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def file_of(module: str) -> Path | None:
    """The file of a module of a collection."""
    parts = module.removeprefix(OWN).split(".")
    path = ROOT.joinpath(*parts) if module.startswith(OWN) else COLLECTIONS.joinpath(*parts[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imports(files: set[Path]) -> dict[str, set[str]]:
    """The top-level modules that these files need from elsewhere, each with who imports it, through all collections."""
    found: dict[str, set[str]] = {}
    waiting, seen = list(files), set(files)
    while waiting:
        path = waiting.pop()
        for module in modules_of(path):
            top = module.partition(".")[0]
            if top == "ansible_collections":
                file = file_of(module)
                if file and file not in seen:
                    seen.add(file)
                    waiting.append(file)
            elif top not in sys.stdlib_module_names:
                found.setdefault(top, set()).add(module_name(path))
    return found


def test_all_that_is_imported_comes_with_requirements_txt() -> None:
    own = {path for path in (ROOT / "plugins").rglob("*.py") if path.name != "__init__.py"}
    foreign = used()
    assert len(own) > 60
    assert {
        "docker_image_push.py",
        "docker_host_info.py",
        "aws_ec2.py",
        "ec2_tag.py",
        "sqs_queue.py",
    } <= {path.name for path in foreign}
    needed = imports(own | foreign)
    assert {"boto3", "requests", "yaml"} <= set(needed)
    missing = {name: sorted(who) for name, who in needed.items() if name not in provided() | set(OPTIONAL) | ON_HOSTS}
    assert missing == {}
    # Of those that may be missing each is asked for somewhere, and not there anyhow.
    assert set(OPTIONAL) <= set(needed) - provided()


def test_what_an_operator_installs_is_pinned_with_all_that_it_brings() -> None:
    constraints, own = listed("constraints.txt"), listed("requirements.txt")
    assert closure(*own) - set(constraints) == set()
    assert {name: constraints[name] for name in own} == own


def tasks(value: Any, defaults: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every task that talks to Docker below a block: module, arguments, and what its blocks give it."""
    for task in value or []:
        given = {**defaults, **task.get("module_defaults", {}).get("group/community.docker.docker", {})}
        for key in ("block", "rescue", "always"):
            yield from tasks(task.get(key), given)
        for name, arguments in task.items():
            if name.startswith("community.docker."):
                yield name, arguments or {}, given
        included = task.get("ansible.builtin.include_tasks")
        if included:
            yield from tasks(role_file(included), given)


def role_file(name: str) -> Any:
    return yaml.safe_load((ROOT / "roles/images/tasks" / name).read_text(encoding="utf-8"))


def test_engines_behind_ssh_need_no_paramiko() -> None:
    found = list(tasks(role_file("main.yml"), {}))
    assert {name.rpartition(".")[2] for name, _, _ in found} >= {"docker_host_info", "docker_image_push"}
    for name, arguments, given in found:
        assert {**given, **arguments}.get("use_ssh_client") is True, name
        assert {**given, **arguments}["docker_host"] == "{{ images_docker_host }}", name


@pytest.mark.parametrize("name", ["ansible", "boto3", "requests"])
def test_the_closure_is_that_of_its_names(name: str) -> None:
    assert name in closure(name)
    assert "moto" not in closure(name)


def test_nothing_that_is_published_needs_the_embedded_cloud() -> None:
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    published = [
        file for file in tracked if file and not any(file == entry or file.startswith(f"{entry}/") for entry in ignored)
    ]
    assert "roles/queues/tasks/main.yml" in published
    code = [file for file in published if not file.endswith(".md") and file != "galaxy.yml" and (ROOT / file).is_file()]
    assert [file for file in code if "localcloud" in (ROOT / file).read_text(encoding="utf-8", errors="replace")] == []
