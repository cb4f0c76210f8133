# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role would change, and what it refuses: one decision, from its inputs and from what there is.

Each role of the same name has a module here with a `ROLE`, which says what it reads and decides. Nothing here reads or
writes anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..findings import Finding, errors

Values = Mapping[str, Any]
Verb = Literal["create", "update", "remove"]
MARKS: Mapping[Verb, str] = {"create": "+", "update": "~", "remove": "-"}
LONGEST_SHOWN = 120


class Difference(NamedTuple):
    """One field of a resource: what it is, and what it should be. Never a secret."""

    field: str
    before: Any
    after: Any

    @property
    def text(self) -> str:
        if not isinstance(self.before, Mapping) or not isinstance(self.after, Mapping):
            return f"{self.field}: {_shown(self.before)} -> {_shown(self.after)}"
        names = [*self.after, *(name for name in self.before if name not in self.after)]
        pairs = {name: (self.before.get(name), self.after.get(name)) for name in names}
        told = (f"{name} {_shown(one)} -> {_shown(other)}" for name, (one, other) in pairs.items() if one != other)
        return f"{self.field}: {', '.join(told)}"


@dataclass(frozen=True)
class Change:
    """What one resource needs, and why; `apply` are the items that the role's tasks loop over, by the loop's name."""

    resource: str
    verb: Verb
    differences: tuple[Difference, ...]
    why: str
    apply: Mapping[str, Values] = field(default_factory=dict)
    host: str = ""  # whose it is, where the role decides for several

    @property
    def title(self) -> str:
        """The resource as people are told of it: of several hosts, also whose it is."""
        return self.resource if self.host in self.resource else f"{self.resource} ({self.host})"

    @property
    def reason(self) -> str:
        """What is told of it in a log."""
        return "missing" if self.verb == "create" else "; ".join(found.text for found in self.differences) or self.verb

    def as_dict(self) -> dict[str, Any]:
        return {
            "resource": self.resource,
            "verb": self.verb,
            "differences": [found._asdict() for found in self.differences],
            "why": self.why,
        }


@dataclass(frozen=True)
class Plan:
    """What is refused, and what would be changed.

    `pending` are changes that were begun before and are only waited for. `missing` is what another role has to make
    first: it is refused as well, but not in check mode, in which that role makes nothing. `unsettled` is what has to
    settle before anything is judged. `notices` is what somebody must know and do, in every run until it is done; it
    refuses and changes nothing. `expected` is what differs from the inputs and stays: AWS moves it by itself.
    `known` is what the role's tasks need beside the changes, in check mode too, and `tag` that by which the role is run
    where it is not its name. Neither holds a secret.
    """

    refusals: Sequence[Finding] = ()
    changes: Sequence[Change] = ()
    pending: Sequence[Change] = ()
    missing: Sequence[Finding] = ()
    unsettled: Sequence[Finding] = ()
    notices: Sequence[Finding] = ()
    expected: Sequence[Change] = ()
    known: Values = field(default_factory=dict)
    tag: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether the role's tasks have nothing to do, to wait for or to refuse."""
        return not (errors(self.refusals) or self.changes or self.pending or self.missing or self.unsettled)


@dataclass(frozen=True)
class Rule:
    """What is wrong with some inputs. It is asked where all that it judges is there and of its type."""

    judge: Callable[..., list[Finding]]
    names: tuple[str, ...]

    def findings(self, values: Values) -> list[Finding]:
        return self.judge(*(values[name] for name in self.names)) if values.keys() >= set(self.names) else []


@dataclass(frozen=True)
class Role:
    """A role's decision. `applies` names the loops of its tasks, `rules` judge the inputs before anything is read.

    `reads` says what aws_state.observe is asked, or, `on_host`, what host_state_info is, or, `of_deployment`, the
    Deployment all of which is read. A role on a host that needs to know of AWS too says by `asks` what, and finds it
    under `aws`; `asked_by` are the inputs that say so. Beside the role's own inputs they and `decide` get `texts`,
    files of the role by their paths, those that end in .j2 rendered; with `has_code` also `code_sha256` of all of the
    role's files; with `has_hosts` the inventory's `groups` and the `kinds` of its hosts; and `on_host` the host's
    `inventory_hostname` and `group_names`.

    A role that decides for each of several hosts gets `{"hosts": {host: inputs}, "inventory": [host]}`. The inputs of a
    host hold its `inventory_hostname` and `group_names` too; the second has also the hosts beyond those of the run. Its
    rules judge one host, and each of its changes names the host.
    """

    reads: Callable[[Values], Values]
    decide: Callable[[Values, Values], Plan]
    applies: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    each_host: bool = False
    on_host: bool = False
    of_deployment: bool = False
    asks: Callable[[Values], Values] | None = None
    asked_by: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    has_code: bool = False
    has_hosts: bool = False

    @property
    def judges_hosts(self) -> bool:
        """Whether its inputs are those of a host, and not of the control node."""
        return self.each_host or self.on_host

    def findings(self, values: Values) -> list[Finding]:
        return [finding for rule in self.rules for finding in rule.findings(values)]


def merged(reads: Iterable[Values]) -> dict[str, Any]:
    """What several roles read, to be read at once. Each of them finds all that it asked for, and what others did.

    Raises ValueError where two of them ask for different things by an option that takes one.
    """
    together: dict[str, Any] = {}
    for name, value in (item for asked in reads for item in asked.items() if item[1] is not None):
        together[name] = _both(name, together[name], value) if name in together else value
    return together


def _both(name: str, one: Any, other: Any) -> Any:
    if one == other:
        return one
    if isinstance(one, (list, tuple)):
        return [*one, *(value for value in other if value not in one)]
    if isinstance(one, Mapping):
        # Filters: what only one of them demands would hide what the other wants to see.
        return {key: _both(key, one[key], other[key]) for key in one if key in other}
    if isinstance(one, int):
        return max(one, other)
    raise ValueError(f"{name}: {one!r} and {other!r} cannot be read at once")


def compare(
    resource: str,
    wanted: Values,
    found: Values | None,
    why: str,
    apply: Callable[[frozenset[str]], Mapping[str, Values]],
) -> list[Change]:
    """The change of a resource whose wanted fields are not all as they should be; none where they are.

    `apply` gets the names of the fields that differ, which of a missing resource are all.
    """
    verb: Verb = "create" if found is None else "update"
    now = found or {}
    differences = tuple(
        Difference(name, now.get(name), value) for name, value in wanted.items() if now.get(name) != value
    )
    if not differences:
        return []
    return [Change(resource, verb, differences, why, apply(frozenset(different.field for different in differences)))]


def applied(changes: Iterable[Change], names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """What the role's tasks loop over: each item with the resource's name and the reason."""
    items: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for change in changes:
        for name, arguments in change.apply.items():
            items[name].append({"name": change.resource, **arguments, "reason": change.reason})
    return items


def lines(changes: Iterable[Change], tag: str, host: str = "") -> list[str]:
    """The changes for people: a line for each that is made or removed, and for each field that is changed.

    `host` is named where it is not part of the change: of what is read on a host.
    """
    told = []
    for change in changes:
        begin = f"{MARKS[change.verb]} {host + ': ' if host else ''}{change.title}: "
        texts = [found.text for found in change.differences] if change.verb == "update" else [change.verb]
        told += [f"{begin}{text} ({change.why}; --tags {tag})" for text in texts]
    return told


def diff(change: Change) -> dict[str, str]:
    """A change as --diff shows it."""
    header = f"{change.title} ({change.why})"
    before = "".join(f"{found.field}: {_text(found.before)}\n" for found in change.differences)
    after = "".join(f"{found.field}: {_text(found.after)}\n" for found in change.differences)
    return {
        "before_header": header,
        "after_header": header,
        "before": "" if change.verb == "create" else before,
        "after": "" if change.verb == "remove" else after,
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        # As it stands, below the name of its field.
        return f"|\n{value}" if "\n" in value else value
    return "none" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _shown(value: Any) -> str:
    if isinstance(value, str) and "\n" in value:
        return f"{value.count(chr(10))} lines"
    text = _text(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
