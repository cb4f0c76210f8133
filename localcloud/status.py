# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the running cloud says about itself, and how a person reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from localcloud import settings

if TYPE_CHECKING:  # moto takes seconds to load, which the command line does not need
    from localcloud.api import Api
    from localcloud.instances import Instances


class Status:
    """The page behind `status`: a small WSGI application."""

    def __init__(self, api: Api, instances: Instances) -> None:
        self._api = api
        self._instances = instances

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = json.dumps(self._content()).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _content(self) -> dict[str, Any]:
        with self._api.lock:
            databases = [
                {
                    "id": database.db_instance_identifier,
                    "status": database.status,
                    "engine": f"{database.engine} {database.engine_version}",
                    "address": database.address,
                }
                for database in self._api.backends("rds").databases.values()
            ]
            balancers = [
                {"name": balancer.name, "state": balancer.state, "dns_name": balancer.dns_name}
                for balancer in self._api.backends("elbv2").load_balancers.values()
            ]
            repositories = {
                name: sorted({tag for image in repository.images for tag in image.image_tags})
                for name, repository in self._api.backends("ecr").repositories.items()
            }
        return {
            "state": "ready",
            "pid": os.getpid(),
            "endpoint": settings.API_URL,
            "instances": self._instances.summary(),
            "databases": databases,
            "load_balancers": balancers,
            "registry": {"host": settings.REGISTRY_HOST, "repositories": repositories},
            "calls": self._api.calls.as_dict(),
        }


def describe(content: Mapping[str, Any]) -> str:
    """A status for people."""
    if content["state"] == "down":
        return "The embedded cloud is down."
    if content["state"] != "ready":
        return (
            f"The embedded cloud is not ready: {content['state']} {content.get('error') or content.get('step') or ''}"
        )
    lines = [f"The embedded cloud is up at {settings.API_URL} (process {content.get('pid', 'unknown')})."]
    instances = [
        (instance["name"] or "-", instance["id"], instance["type"], instance["address"], instance["state"])
        for instance in content.get("instances", [])
    ]
    databases = [
        (entry["id"], entry["engine"], entry["status"], entry["address"] or "-")
        for entry in content.get("databases", [])
    ]
    balancers = [(entry["name"], entry["state"], entry["dns_name"]) for entry in content.get("load_balancers", [])]
    tags_of = content.get("registry", {}).get("repositories", {})
    repositories = [(name, ", ".join(tags) or "-") for name, tags in tags_of.items()]
    for title, rows in (
        ("Instances", instances),
        ("Databases", databases),
        ("Load balancers", balancers),
        ("Repositories", repositories),
    ):
        lines += ["", f"{title}: {len(rows) or 'none'}", *table(rows)]
    lines += ["", f"API calls: {sum(content.get('calls', {}).values())}"]
    return "\n".join(lines)


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows as indented, aligned columns."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
