# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fifth service, written into a copy of the product as CONTRIBUTING.md says: data alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests import support

SERVICE = "thumbnail_worker"
HOST = "academy-thumbnail-worker-1"
QUEUE = "academy-thumbnail-jobs"
CONTAINER = "academy-thumbnail-worker"

ROW = """\
  thumbnail_worker:
    name: "{{ deployment_name }}-thumbnail-worker"
    log_group: "/{{ deployment_name }}/{{ deployment_name }}-thumbnail-worker"
    dockerfile: docker/thumbnail-worker/Dockerfile
    memory_mib: 448
    receives_from: ["{{ queues_jobs.thumbnail.name }}"]
    stops_itself: true
    environment:
      THUMBNAIL_WORKER_ID: "{{ inventory_hostname }}"
      THUMBNAIL_SQS_QUEUE_NAME: "{{ queues_jobs.thumbnail.name }}"
"""
JOBS = """\
  thumbnail:
    name: "{{ deployment_name }}-thumbnail-jobs"
    visibility_timeout_seconds: 300
    max_receive_count: 3
"""
GROUP = """\
        thumbnail_worker:
          vars:
            ansible_group_priority: 15
          hosts:
            academy-thumbnail-worker-1:
"""
KIND = """\
---
instance_kind: thumbnail-worker
instance_type: t4g.micro
instance_root_volume_size_gib: 20
instance_security_group: "{{ network_security_group_names.worker }}"
"""
# Its program is the messaging worker's, told of its own queue.
DOCKERFILE = """\
ARG ACADEMY_BASE=academy-base:latest
FROM ${ACADEMY_BASE}
COPY apps/ apps/
RUN python -m compileall -q apps
ARG RELEASE=development
ENV DJANGO_SETTINGS_MODULE=apps.api.config.settings.worker RELEASE=${RELEASE}
USER 10001:10001
CMD ["sh", "-c", "MESSAGING_WORKER_ID=$THUMBNAIL_WORKER_ID MESSAGING_SQS_QUEUE_NAME=$THUMBNAIL_SQS_QUEUE_NAME \\
exec python -m apps.workers messaging"]
"""


def copy(directory: Path) -> Path:
    """The inventories and the application, which is all that is data."""
    for part in ("inventories", "examples/academy"):
        ignored = shutil.ignore_patterns(".*_cache", "__pycache__")
        shutil.copytree(support.ROOT / part, directory / part, symlinks=True, ignore=ignored)
    return directory


def add(product: Path) -> list[str]:
    """Add the service to a copy of the product; the files that were touched for it."""
    guide = product / "inventories/guide"
    insert(guide / "all/services.yml", ROW, before="\n# Of 2 GiB the operating system")
    insert(guide / "all/queues.yml", JOBS)
    insert(guide / "hosts.yml", GROUP, before="    # Filled by aws_ec2.yml")
    (guide / "thumbnail_worker.yml").write_text(KIND, encoding="utf-8")
    (product / "inventories/local/group_vars/thumbnail_worker.yml").symlink_to("../../guide/thumbnail_worker.yml")
    dockerfile = product / "examples/academy/docker/thumbnail-worker/Dockerfile"
    dockerfile.parent.mkdir()
    dockerfile.write_text(DOCKERFILE, encoding="utf-8")
    return touched(product)


def insert(file: Path, text: str, before: str = "") -> None:
    """Put text before the only place where another begins, or at the end."""
    head, found, tail = file.read_text(encoding="utf-8").partition(before or "\0")
    assert found == before, f"{file} has no {before!r} any more"
    file.write_text(f"{head}{text}{found}{tail}", encoding="utf-8")


def touched(product: Path) -> list[str]:
    """Which files of the copy are other than the product's, links being files of their own."""
    names = {path.relative_to(product) for part in ("inventories", "examples") for path in (product / part).rglob("*")}
    return sorted(str(name) for name in names if is_other(product / name, support.ROOT / name))


def is_other(path: Path, original: Path) -> bool:
    if path.is_symlink():
        return not original.is_symlink()
    return path.is_file() and (not original.is_file() or path.read_bytes() != original.read_bytes())
