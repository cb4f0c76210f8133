# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IAM's simulation (iam:SimulatePrincipalPolicy) is asked about a user or a role, and what it answers.

It knows inline and attached policies, permissions boundaries and service control policies. Of a resource's own policy
it knows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .aws_calls import ask_all

ALLOWED, IMPLICIT_DENY = "allowed", "implicitDeny"
ANY = "*"


class Decision(NamedTuple):
    """What is said of one action on one resource, which policy says so, and the condition keys that were not given."""

    action: str
    resource: str
    outcome: str
    because: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Simulation:
    """Each of some actions on each of some resources, in one context."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: tuple[tuple[str, str], ...]  # condition keys and their values

    def parameters(self, principal: str) -> dict[str, Any]:
        """For iam:SimulatePrincipalPolicy."""
        entries = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in self.context
        ]
        named = [] if self.resources == (ANY,) else list(self.resources)
        return {
            "PolicySourceArn": principal,
            "ActionNames": list(self.actions),
            **({"ResourceArns": named} if named else {}),
            **({"ContextEntries": entries} if entries else {}),
        }

    def ask(self, iam: Any, principal: str) -> list[Decision]:
        """Raises ReadError where IAM does not answer."""
        results = ask_all(iam, "simulate_principal_policy", "EvaluationResults", **self.parameters(principal))
        return decisions(results)

    def answered(self, outcome: str, because: str) -> list[Decision]:
        """The same of all of it, where nobody was asked."""
        return [Decision(action, resource, outcome, because) for action in self.actions for resource in self.resources]


def decisions(results: Iterable[Mapping[str, Any]]) -> list[Decision]:
    """The simulation's answer, which tells the worst of all resources first and then each of those that were named."""
    return [
        Decision(
            result["EvalActionName"],
            each.get("EvalResourceName", ANY),
            each.get("EvalResourceDecision", result["EvalDecision"]),
            _because({"OrganizationsDecisionDetail": result.get("OrganizationsDecisionDetail", {}), **each}),
            tuple(each.get("MissingContextValues", ())),
        )
        for result in results
        for each in result.get("ResourceSpecificResults") or [result]
    ]


def _because(judged: Mapping[str, Any]) -> str:
    """Which policies decided it, and what took away what they allow."""
    statements = dict.fromkeys(_statement(found) for found in judged.get("MatchedStatements", ()))
    bounds = {
        "the permissions boundary": judged.get("PermissionsBoundaryDecisionDetail", {}).get(
            "AllowedByPermissionsBoundary", True
        ),
        "the organization": judged.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True),
    }
    against = [f"{bound} does not allow it" for bound, allows in bounds.items() if not allows]
    return "; ".join([", ".join(statements) or "no statement matches", *against])


def _statement(found: Mapping[str, Any]) -> str:
    """A statement as the simulation names it: by where it begins in its policy."""
    start = found.get("StartPosition")
    where = f" at {start['Line']}:{start['Column']}" if start else ""
    return f"{found.get('SourcePolicyId', 'a policy')}{where}"
