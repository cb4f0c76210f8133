# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of roles against their argument specs, all at once and before any role runs.

Ansible itself judges a role's arguments too, when the role begins and for that role alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from posixpath import normpath
from typing import Any

from .findings import NOT_SHOWN, Finding, Words

BOOLEANS = {
    "y": True, "yes": True, "on": True, "1": True, "true": True, "t": True,
    "n": False, "no": False, "off": False, "0": False, "false": False, "f": False,
}  # fmt: skip
TYPES = {
    "str": Words("text", "문자열"),
    "path": Words("a path", "경로"),
    "int": Words("a whole number", "정수"),
    "float": Words("a number", "숫자"),
    "bool": Words("true or false", "true 또는 false"),
    "list": Words("a list", "목록"),
    "dict": Words("a mapping", "매핑"),
}
NO_REASON = Words("", "")
# Inputs whose values are told to nobody.
SECRET_ENDINGS = ("password", "secret", "token", "secrets")


class _TypeError(ValueError):
    """Not of this type, nor to be made one of it."""


def is_secret_name(name: str) -> bool:
    return name.endswith(SECRET_ENDINGS)


def convert(value: Any, kind: str) -> Any:
    """A value as a role would see it. Ansible takes numbers as text, from -e."""
    converted = _CONVERTERS.get(kind, lambda found: found)(value)
    if converted is None:
        raise _TypeError
    return converted


def _text(value: Any) -> str | None:
    return None if isinstance(value, (Mapping, list, tuple)) or value is None else str(value)


def _int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value)
    text = str(value).strip() if isinstance(value, (str, float)) else ""
    try:
        return int(text) if len(text) < 20 and text.isascii() else None
    except ValueError:
        return None


def _float(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return BOOLEANS.get(str(value).lower()) if isinstance(value, (str, int)) else None


def _list(value: Any) -> list[Any] | None:
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str):
        return value.split(",")
    return [str(value)] if isinstance(value, (int, float)) else None


def _dict(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, Mapping):
        return dict(value)
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


_CONVERTERS: dict[str, Any] = {
    "str": _text,
    "path": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "list": _list,
    "dict": _dict,
}


def _shown(name: str, value: Any) -> str:
    if is_secret_name(name):
        return NOT_SHOWN
    text = type(value).__name__ if isinstance(value, (Mapping, list)) else f"'{value}'"
    return text if len(text) < 80 else f"{text[:76]}…'"


def _judge(name: str, value: Any, spec: Mapping[str, Any]) -> tuple[Any, list[Finding]]:
    """The value as the role sees it, and what is wrong with it."""
    kind = str(spec.get("type", "str"))
    try:
        converted = convert(value, kind)
    except _TypeError:
        what = TYPES.get(kind, Words(kind, kind))
        return None, [
            Finding(
                "input_type",
                name,
                _shown(name, value) or "something else",
                Words(f"must be {what.en}", f"{what.ko}이어야 합니다"),
                Words(
                    "Correct it in the inventory's group_vars, or where -e gives it.",
                    "인벤토리의 group_vars 또는 -e 값을 고치십시오.",
                ),
            )
        ]
    choices = spec.get("choices")
    if choices and converted not in choices:
        listed = ", ".join(map(str, choices))
        return None, [
            Finding(
                "input_choice",
                name,
                _shown(name, value),
                Words(f"must be one of {listed}", f"{listed} 중 하나여야 합니다"),
                Words("Choose one of them.", "그중 하나를 고르십시오."),
            )
        ]
    findings: list[Finding] = []
    if kind == "dict" and spec.get("options"):
        converted, findings = _judge_options(f"{name}.", converted, spec["options"])
    elif kind == "list":
        element = {"type": spec.get("elements", "raw"), "options": spec.get("options")}
        judged = [_judge(f"{name}[{index}]", item, element) for index, item in enumerate(converted)]
        converted = [item for item, _ in judged]
        findings = [finding for _, found in judged for finding in found]
    return (None if findings else converted), findings


def _judge_options(
    prefix: str, values: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], list[Finding]]:
    judged: dict[str, Any] = {}
    findings: list[Finding] = []
    for option, spec in options.items():
        name = f"{prefix}{option}"
        if values.get(option) is None:
            if spec.get("required"):
                findings.append(missing(name))
            elif "default" in spec:
                judged[option] = spec["default"]
            continue
        judged[option], found = _judge(name, values[option], spec)
        findings += found
    return judged, findings


def missing(name: str) -> Finding:
    return Finding(
        "input_missing",
        name,
        "nothing",
        Words("is required", "반드시 필요합니다"),
        Words("Set it in the inventory's group_vars.", "인벤토리의 group_vars에 설정하십시오."),
    )


def judge_inputs(
    values: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], list[Finding]]:
    """What the roles would see, and everything that is wrong with it. What is wrong is left out of the former."""
    judged, findings = _judge_options("", values, options)
    return {name: value for name, value in judged.items() if value is not None}, findings


def unresolved_findings(unresolved: Mapping[str, str]) -> list[Finding]:
    """Variables that refer to others that do not exist, each by the one that is missing."""
    return [
        Finding(
            "variable_undefined",
            missing or variable,
            NOT_SHOWN,
            Words(
                f"{variable} cannot be resolved" + (": it is not defined" if missing else ""),
                f"{variable}을(를) 계산할 수 없습니다" + (": 정의되지 않았습니다" if missing else ""),
            ),
            Words(
                "Define it in group_vars/all/vault.yml: ansible-vault edit, or playbooks/env.yml -e env_import=true."
                if missing.startswith("vault_")
                else "Define it in the inventory's group_vars, or correct the template that uses it.",
                "group_vars/all/vault.yml에 정의하십시오: ansible-vault edit 또는 playbooks/env.yml -e env_import=true."
                if missing.startswith("vault_")
                else "인벤토리의 group_vars에 정의하거나 그것을 쓰는 템플릿을 고치십시오.",
            ),
        )
        for variable, missing in unresolved.items()
    ]


def range_findings(variable: str, value: int, least: int, most: int, why: Words = NO_REASON) -> list[Finding]:
    """A number that is out of its range; `why` goes on after the rule."""
    if least <= value <= most:
        return []
    return [
        Finding(
            variable,
            variable,
            str(value),
            Words(f"must be {least} to {most}{why.en}", f"{least}~{most} 범위여야 합니다{why.ko}"),
            Words("Leave it as the guide has it.", "가이드의 값을 그대로 두십시오."),
        )
    ]


def path_findings(variable: str, path: str) -> list[Finding]:
    """A path that hosts compare with what they show of themselves, letter by letter."""
    if path.startswith("/") and not path.startswith("//") and path != "/" and normpath(path) == path:
        return []
    rule = Words(
        "must be an absolute path below /, without a slash at its end and without . or ..",
        "/ 아래의 절대 경로여야 하며, 끝의 슬래시나 ., ..이 없어야 합니다",
    )
    return [Finding(variable, variable, f"'{path}'", rule, Words("Correct it.", "고치십시오."))]
