# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One swap file of the wanted size, in use now and at every boot."""

from __future__ import annotations

from dataclasses import replace

from ..findings import Finding, Words
from ..fstab import Entry
from ..role_inputs import path_findings
from ..swap import GIB, MIB, describe, describe_wanted, plan_swap, swap_file_of
from . import Plan, Role, Rule, Values, compare

WHY = "guide §8.1"


def size_findings(size_gib: int) -> list[Finding]:
    if size_gib >= 0:
        return []
    rule = Words("must be 0 (no swap file) or more", "0(스왑 파일 없음) 이상이어야 합니다")
    remedy = Words("Leave it as the guide has it: 2.", "가이드의 값 2를 그대로 두십시오.")
    return [Finding("swap_size_gib", "swap_size_gib", str(size_gib), rule, remedy)]


def reads(inputs: Values) -> Values:
    return {"swap_files": [inputs["swap_file_path"]]}


def decide(inputs: Values, found: Values) -> Plan:
    path, size_bytes = inputs["swap_file_path"], inputs["swap_size_gib"] * GIB
    file = swap_file_of(found["swap_files"][path])
    fstab = [Entry(**entry) for entry in found["fstab"]]
    refusals = plan_swap(file, size_bytes, fstab).refusals
    if refusals:
        return Plan(refusals=refusals)
    changes = compare(
        path,
        describe_wanted(path, size_bytes),
        describe(file, fstab) if file.exists or not size_bytes else None,
        WHY,
        lambda _: {"swap_files": {"size_mib": size_bytes // MIB}},
    )
    return Plan(changes=changes if size_bytes else [replace(change, verb="remove") for change in changes])


ROLE = Role(
    reads,
    decide,
    applies=("swap_files",),
    rules=(
        Rule(size_findings, ("swap_size_gib",)),
        Rule(lambda path: path_findings("swap_file_path", path), ("swap_file_path",)),
    ),
    on_host=True,
)
