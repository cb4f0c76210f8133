# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IAM refuses beyond its model. moto judges the grammar of identity policies itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from localcloud.strict.rule import Account, Parameters, Rule, by_parameters
from localcloud.wire import ApiError, Call

CREATE_ROLE = "iam.CreateRole"
TRUST_OPERATIONS = (CREATE_ROLE, "iam.UpdateAssumeRolePolicy")
IDENTITY_OPERATIONS = ("iam.PutRolePolicy", "iam.CreatePolicy", "iam.CreatePolicyVersion")
TRUST_ACTIONS = frozenset(
    {
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:setcontext",
        "sts:setsourceidentity",
        "sts:tagsession",
        "sts:*",
    }
)
TRUST_SIZE = 2048
INLINE_SIZE = 10240
MANAGED_SIZE = 6144
POLICIES_PER_ROLE = 10
AWS_POLICIES = "arn:aws:iam::aws:policy/"
STATEMENT_ID = re.compile(r"[0-9A-Za-z]*")

Statement = Mapping[str, Any]


# --- pure decisions -----------------------------------------------------------------------------------------------


def statements(document: str) -> list[Statement] | None:
    """A policy's statements; None where it is no policy."""
    try:
        policy = json.loads(document)
    except ValueError:
        return None
    found = policy.get("Statement", []) if isinstance(policy, dict) else None
    found = [found] if isinstance(found, dict) else found
    is_list = isinstance(found, list) and all(isinstance(statement, dict) for statement in found)
    return list(found) if is_list and found is not None else None


def size(document: str) -> int:
    """A policy's size as the quotas count it: without white space."""
    return len(re.sub(r"\s", "", document))


def trust_json(document: str) -> ApiError | None:
    return _malformed("This policy contains invalid Json") if statements(document) is None else None


def trust_principal(found: Sequence[Statement]) -> ApiError | None:
    if all("Principal" in statement or "NotPrincipal" in statement for statement in found):
        return None
    return _malformed("AssumeRolepolicy must contain principals")


def trust_resource(found: Sequence[Statement]) -> ApiError | None:
    if not any("Resource" in statement or "NotResource" in statement for statement in found):
        return None
    return _malformed("Has prohibited field Resource")


def trust_action(found: Sequence[Statement]) -> ApiError | None:
    actions = [action for statement in found for action in _texts(statement.get("Action"))]
    if all(action.lower() in TRUST_ACTIONS for action in actions):
        return None
    return _malformed("AssumeRole policy may only specify STS AssumeRole actions.")


def identity_principal(found: Sequence[Statement]) -> ApiError | None:
    if not any("Principal" in statement or "NotPrincipal" in statement for statement in found):
        return None
    return _malformed("Policy document should not specify a principal.")


def statement_id(found: Sequence[Statement]) -> ApiError | None:
    if all(STATEMENT_ID.fullmatch(str(statement.get("Sid", ""))) for statement in found):
        return None
    message = (
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
    )
    return _malformed(message)


def quota(name: str, limit: int, used: int) -> ApiError | None:
    return ApiError("LimitExceeded", f"Cannot exceed quota for {name}: {limit}", 409) if used > limit else None


def inline_size(role: str, documents: Iterable[str]) -> ApiError | None:
    if sum(map(size, documents)) <= INLINE_SIZE:
        return None
    return ApiError("LimitExceeded", f"Maximum policy size of {INLINE_SIZE} bytes exceeded for role {role}", 409)


def same_but_for_case(kind: str, name: str, existing: Iterable[str]) -> ApiError | None:
    if name.lower() not in {other.lower() for other in existing if other != name}:
        return None
    return ApiError("EntityAlreadyExists", f"{kind} with name {name} already exists.", 409)


def _malformed(message: str) -> ApiError:
    return ApiError("MalformedPolicyDocument", message)


def _texts(value: Any) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else [str(value)] if value else []


def _document(parameters: Parameters) -> str:
    return str(parameters.get("AssumeRolePolicyDocument") or parameters.get("PolicyDocument") or "")


def _of_statements(decide: Callable[[Sequence[Statement]], ApiError | None]) -> Any:
    return by_parameters(lambda parameters: decide(statements(_document(parameters)) or []))


# --- reading the account ------------------------------------------------------------------------------------------


def _role(call: Call, account: Account) -> Any | None:
    roles = account.backends("iam").roles.values()
    return next((role for role in roles if role.name == call.parameters.get("RoleName")), None)


def _inline_size(call: Call, account: Account) -> ApiError | None:
    role = _role(call, account)
    if role is None:
        return None
    documents = {**role.policies, call.parameters.get("PolicyName"): _document(call.parameters)}
    return inline_size(role.name, documents.values())


def _attachments(call: Call, account: Account) -> ApiError | None:
    role = _role(call, account)
    attached = {call.parameters.get("PolicyArn"), *(role.managed_policies if role else ())}
    return quota("PoliciesPerRole", POLICIES_PER_ROLE, len(attached))


def _boundary(call: Call, account: Account) -> ApiError | None:
    arn = call.parameters.get("PermissionsBoundary")
    if not arn or arn.startswith(AWS_POLICIES) or arn in account.backends("iam").managed_policies:
        return None
    return ApiError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)


def _role_case(call: Call, account: Account) -> ApiError | None:
    names = [role.name for role in account.backends("iam").roles.values()]
    return same_but_for_case("Role", str(call.parameters.get("RoleName")), names)


RULES = (
    Rule(
        "iam-trust-json",
        TRUST_OPERATIONS,
        "a trust policy that is not JSON",
        "botocore iam MalformedPolicyDocumentException",
        by_parameters(lambda parameters: trust_json(_document(parameters))),
    ),
    Rule(
        "iam-trust-principal",
        TRUST_OPERATIONS,
        "a trust policy without principal",
        "iam-ug reference_policies_elements_principal; message not verified",
        _of_statements(trust_principal),
    ),
    Rule(
        "iam-trust-resource",
        TRUST_OPERATIONS,
        "a trust policy with a resource",
        "iam-ug, jtblin/kube2iam#334",
        _of_statements(trust_resource),
    ),
    Rule(
        "iam-trust-action",
        TRUST_OPERATIONS,
        "a trust policy with actions other than those that assume a role",
        "iam-ug, jtblin/kube2iam#334",
        _of_statements(trust_action),
    ),
    Rule(
        "iam-trust-size",
        TRUST_OPERATIONS,
        "a trust policy of more than 2048 characters",
        "iam-ug reference_iam-quotas; an account can raise it",
        by_parameters(lambda parameters: quota("ACLSizePerRole", TRUST_SIZE, size(_document(parameters)))),
    ),
    Rule(
        "iam-identity-principal",
        IDENTITY_OPERATIONS,
        "an identity policy with a principal",
        "hashicorp/terraform#13449",
        _of_statements(identity_principal),
    ),
    Rule(
        "iam-statement-id",
        IDENTITY_OPERATIONS,
        "a statement ID that is not letters and digits",
        "iam-ug reference_policies_elements_sid",
        _of_statements(statement_id),
    ),
    Rule(
        "iam-inline-size",
        ("iam.PutRolePolicy",),
        "inline policies of a role that together exceed 10240 characters",
        "iam-ug reference_iam-quotas, aws/aws-cdk#12403",
        _inline_size,
    ),
    Rule(
        "iam-managed-size",
        ("iam.CreatePolicy", "iam.CreatePolicyVersion"),
        "a managed policy of more than 6144 characters",
        "iam-ug reference_iam-quotas, docker/docs#5815",
        by_parameters(lambda parameters: quota("PolicySize", MANAGED_SIZE, size(_document(parameters)))),
    ),
    Rule(
        "iam-attachments",
        ("iam.AttachRolePolicy",),
        "an eleventh managed policy on a role",
        "iam-ug reference_iam-quotas; an account can raise it",
        _attachments,
    ),
    Rule(
        "iam-boundary",
        (CREATE_ROLE, "iam.PutRolePermissionsBoundary"),
        "a permissions boundary that does not exist",
        "botocore iam PutRolePermissionsBoundary; message not verified",
        _boundary,
    ),
    Rule(
        "iam-role-case",
        (CREATE_ROLE,),
        "a role whose name differs from another's by case alone",
        "botocore iam CreateRoleRequest.RoleName",
        _role_case,
    ),
)
