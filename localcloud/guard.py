# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM enforced: who calls with a role's or a user's keys may do what the policies of that allow, and nothing else.

A role's temporary keys are those that the metadata service hands out; a user's are those that IAM makes. The account's
owner (settings.OPERATOR_ACCESS_KEY) is not limited. Resource policies, session policies and groups of users are not
evaluated; of the latter each is an error that says so.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from localcloud import settings
from localcloud.api import Api, Environ, StartResponse, is_limited, is_temporary
from localcloud.grants import EXERCISE_MARK, Denial, Ledger
from localcloud.knowledge import knowledge
from localcloud.permissions import needs
from localcloud.policy import (
    LIST_KEYS,
    Decision,
    Need,
    PolicyError,
    Statement,
    decide,
    decide_within,
    missing_keys,
    read_policy,
)
from localcloud.wire import ApiError, Call

UNAUTHORIZED_STATUS = 401
FORBIDDEN_STATUS = 403
NOT_FOUND_STATUS = 404
NOT_IMPLEMENTED_STATUS = 501
# A simulation's words for what it decides, each worse than the one before.
ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY = DECISIONS = ("allowed", "implicitDeny", "explicitDeny")


class Policies(NamedTuple):
    """What somebody is allowed, and the permissions boundary of that, where there is one."""

    statements: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None


@dataclass(frozen=True)
class Caller:
    """A user, or somebody in a role, whose user_id is <role id>:<instance id> on an instance and whose keys end."""

    name: str
    arn: str
    user_id: str
    ends: datetime | None
    policies: Policies


class DeniedError(Exception):
    """IAM's refusal, not yet in the words of any protocol."""

    def __init__(self, message: str, details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.details = details


class Guard:
    """Stands before every call of the API, and before the registry."""

    def __init__(self, api: Api, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._api = api
        self._clock = clock
        self._ledger = Ledger()
        self._knows = knowledge(api)
        api.guards.append(self._check)
        api.mount("grants", self._serve_grants)
        api.hooks.register("iam", "SimulatePrincipalPolicy", instead=self._simulate)
        api.hooks.register("sts", "GetCallerIdentity", after=_name_the_owner)

    def authorize(self, access_key: str, need: Need) -> None:
        """Raise DeniedError unless the holder of a key may do this; for what comes in by another way than the API."""
        if is_limited(access_key):
            with self._api.lock:
                caller = self._caller(access_key)
                if caller is None:
                    raise DeniedError("The role or the user that this caller had is gone", {})
                self._require(caller, [need], exercise=False)

    def _check(self, call: Call) -> None:
        if not is_limited(call.access_key):
            return
        exercise = EXERCISE_MARK in call.request.headers.get("User-Agent", "")
        try:
            with self._api.lock:
                caller = self._caller(call.access_key)
                if caller is None:
                    raise unknown_key(call)
                if caller.ends is not None and caller.ends <= self._clock():
                    raise expired_key(call)
                wanted = needs(call.service, call.action, call.parameters, call.region, self._knows)
                self._require(caller, wanted, exercise=exercise)
        except DeniedError as denied:
            raise access_denied(call, denied) from denied
        except PolicyError as error:
            raise ApiError("NotImplemented", str(error), NOT_IMPLEMENTED_STATUS) from error

    def _require(self, caller: Caller, wanted: Iterable[Need], *, exercise: bool) -> None:
        for need in wanted:
            decision = decide_within(*caller.policies, need_of(caller, need))
            if not decision.allowed:
                who = caller.arn.rpartition("/")[2]
                refused = Denial(caller.name, need.action, need.resource or "*", who)
                self._ledger.denied(refused, exercise=exercise)
                raise denial(caller, need, decision)
            assert decision.statement is not None  # something allowed it
            self._ledger.allowed(caller.name, decision.statement.sid, need.action, exercise=exercise)

    def _caller(self, access_key: str) -> Caller | None:
        return self._session(access_key) if is_temporary(access_key) else self._user(access_key)

    def _session(self, access_key: str) -> Caller | None:
        """What moto knows of a key: the metadata service lets it assume the instance's role."""
        assumed = self._api.backends("sts").get_assumed_role_from_access_key(access_key)
        role = next((role for role in self._roles() if assumed and role.arn == assumed.role_arn), None)
        if role is None:
            return None
        ends = assumed.expiration.replace(tzinfo=UTC)
        return Caller(role.name, assumed.arn, assumed.user_id, ends, self._policies(role))

    def _user(self, access_key: str) -> Caller | None:
        iam = self._api.backends("iam")
        keys = {
            key.access_key_id: user for user in iam.users.values() for key in user.access_keys if key.status == "Active"
        }
        found = keys.get(access_key)
        if found is None:
            return None
        if any(found in group.users for group in iam.groups.values()):
            raise PolicyError(f"{found.name}: groups of users are not known here")
        return Caller(found.name, found.arn, found.id, None, self._policies(found))

    def _roles(self) -> list[Any]:
        return list(self._api.backends("iam").roles.values())

    def _policies(self, principal: Any) -> Policies:
        """All that the policies of moto's role or user say, inline and attached, and what bounds it."""
        attached = dict(map(_default_version, principal.managed_policies.values()))
        statements = [_read(document, name) for name, document in {**principal.policies, **attached}.items()]
        return Policies(tuple(chain.from_iterable(statements)), self._boundary(principal))

    def _boundary(self, principal: Any) -> tuple[Statement, ...] | None:
        arn = getattr(principal, "permissions_boundary_arn", None)
        if not arn:
            return None
        policy = self._api.backends("iam").managed_policies.get(arn)
        if policy is None:
            raise PolicyError(f"{principal.name}: the permissions boundary {arn} is not known here")
        name, document = _default_version(policy)
        return _read(document, name)

    def _simulate(self, call: Call) -> Mapping[str, Any]:
        """What a user's or a role's policies say to each action on each resource, by the same decision as for calls."""
        wanted, iam = call.parameters, self._api.backends("iam")
        principals = {found.arn: found for found in (*iam.users.values(), *iam.roles.values())}
        principal = principals.get(wanted["PolicySourceArn"])
        if principal is None:
            raise ApiError("NoSuchEntity", f"{wanted['PolicySourceArn']} does not exist", NOT_FOUND_STATUS)
        context = _entries(wanted.get("ContextEntries") or [])
        resources = wanted.get("ResourceArns") or ["*"]
        try:
            policies = self._policies(principal)
            results = [
                _simulated(policies, [Need(action, resource, *context) for resource in resources])
                for action in wanted["ActionNames"]
            ]
        except PolicyError as error:
            raise ApiError("NotImplemented", str(error), NOT_IMPLEMENTED_STATUS) from error
        return {"EvaluationResults": results, "IsTruncated": False}

    def _serve_grants(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/reset" and environ["REQUEST_METHOD"] == "POST":
            self._ledger.reset()
        body = json.dumps(self._ledger.as_dict()).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _name_the_owner(call: Call, result: dict[str, Any]) -> Mapping[str, Any] | None:
    """Who is not limited is the account's root user, and not somebody of moto's."""
    if is_limited(call.access_key):
        return None
    account = settings.ACCOUNT_ID
    return {**result, "UserId": account, "Arn": f"arn:aws:iam::{account}:root"}


def _entries(entries: Iterable[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """What conditions may ask, as a simulation is told: keys with one value, and those with several."""
    values = {entry["ContextKeyName"].lower(): tuple(entry["ContextKeyValues"]) for entry in entries}
    single = {key: found[0] for key, found in values.items() if key not in LIST_KEYS and found}
    return single, {key: found for key, found in values.items() if key in LIST_KEYS}


def _simulated(policies: Policies, asked: Sequence[Need]) -> dict[str, Any]:
    """AWS's answer on one action: the worst of all resources, and what is said of each that was named."""
    found = [_judged(policies, need) for need in asked]
    worst = max(found, key=lambda judged: DECISIONS.index(judged["EvalDecision"]))
    named = [
        {"EvalResourceName": need.resource, "EvalResourceDecision": judged["EvalDecision"], **judged}
        for need, judged in zip(asked, found, strict=True)
        if need.resource != "*"
    ]
    # Which resource it is about is said below; AWS tells what its ARN looks like here.
    return {"EvalActionName": asked[0].action, "EvalResourceName": "*", **worst, "ResourceSpecificResults": named}


def _judged(policies: Policies, need: Need) -> dict[str, Any]:
    decision = decide_within(*policies, need)
    judged: dict[str, Any] = {
        "EvalDecision": ALLOWED if decision.allowed else IMPLICIT_DENY if decision.statement is None else EXPLICIT_DENY,
        "MatchedStatements": [{"SourcePolicyId": decision.statement.policy}] if decision.statement else [],
        "MissingContextValues": missing_keys((*policies.statements, *(policies.boundary or ())), need),
    }
    if policies.boundary is not None:
        within = decide(policies.boundary, need).allowed
        judged["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
    return judged


def need_of(caller: Caller, need: Need) -> Need:
    """A need, with what conditions may ask about the caller."""
    return replace(need, context={**need.context, "aws:userid": caller.user_id})


def _default_version(policy: Any) -> tuple[str, str]:
    """Name and document of moto's managed policy."""
    return policy.name, next(
        version.document for version in policy.versions if version.version_id == policy.default_version_id
    )


@lru_cache  # Reading them takes longer than deciding by them.
def _read(document: str, name: str) -> tuple[Statement, ...]:
    return read_policy(json.loads(document), name)


def denial(caller: Caller, need: Need, decision: Decision) -> DeniedError:
    """Say who may not do what to what, and why."""
    resource = need.resource or "*"
    explicit = decision.statement is not None
    own = decide(caller.policies.statements, need_of(caller, need))
    policy = "identity-based policy" if decision == own else "permissions boundary"
    why = (
        f"with an explicit deny in {'an' if decision == own else 'a'} {policy}"
        if explicit
        else f"because no {policy} allows the {need.action} action"
    )
    return DeniedError(
        f"User: {caller.arn} is not authorized to perform: {need.action} on resource: {resource} {why}",
        {
            "allowed": False,
            "explicitDeny": explicit,
            "context": {"principal": caller.arn, "action": need.action, "resource": resource},
        },
    )


# --- in the words of each protocol --------------------------------------------------------------------------------


def access_denied(call: Call, denied: DeniedError) -> ApiError:
    """EC2 encodes the details, for sts:DecodeAuthorizationMessage; the others tell them."""
    if call.protocol == "ec2":
        encoded = b64encode(json.dumps(denied.details).encode()).decode()
        return ApiError(
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. {denied}. "
            f"Encoded authorization failure message: {encoded}",
            FORBIDDEN_STATUS,
        )
    return _refusal(call, "AccessDenied", "AccessDeniedException", str(denied))


def unknown_key(call: Call) -> ApiError:
    """A key that nobody handed out, or whose role is gone."""
    if call.protocol == "ec2":
        message = "AWS was not able to validate the provided access credentials"
        return ApiError("AuthFailure", message, UNAUTHORIZED_STATUS)
    message = "The security token included in the request is invalid."
    return _refusal(call, "InvalidClientTokenId", "UnrecognizedClientException", message)


def expired_key(call: Call) -> ApiError:
    """A key whose session has ended."""
    if call.protocol == "ec2":
        return ApiError("RequestExpired", "Request has expired.", 400)
    message = "The security token included in the request is expired"
    return _refusal(call, "ExpiredToken", "ExpiredTokenException", message)


def _refusal(call: Call, query_code: str, json_code: str, message: str) -> ApiError:
    """SQS speaks JSON with the codes of its old query protocol; JSON over one path answers 400, all others 403."""
    model = call.operation.service_model
    if "json" not in call.protocol or "awsQueryCompatible" in model.metadata:
        return ApiError(query_code, message, FORBIDDEN_STATUS)
    return ApiError(json_code, message, 400 if call.protocol == "json" else FORBIDDEN_STATUS)
