# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs that are refused, by their variables: for the rules alone, and for the playbook that an operator runs."""

from __future__ import annotations

from typing import Any

from plugins.module_utils.preflight import CONTROL_OPTIONS
from tests.unit.inputs import collected
from tests.unit.rows import row

QUEUE = {"name": "academy-video-jobs", "visibility_timeout_seconds": 10800, "max_receive_count": 3}
NOT_INTEGERS: list[Any] = ["", "a", "1.5", "1e3", "٣", [], {}, True, "0x10", "10 GB", " ", "-", "1_0_"]
NOT_LISTS: list[Any] = [{}, {"a": 1}]
NOT_MAPPINGS: list[Any] = ["a", 1, [], ["a"], True, "[]", "{"]

WRONG_JOBS: list[Any] = [
    {**QUEUE, "name": ""}, {**QUEUE, "name": "a b"}, {**QUEUE, "name": "a" * 77}, {**QUEUE, "name": "큐"},
    {**QUEUE, "name": 5}, {**QUEUE, "name": None}, {**QUEUE, "name": "a.fifo"},
    {**QUEUE, "visibility_timeout_seconds": -1}, {**QUEUE, "visibility_timeout_seconds": 43201},
    {**QUEUE, "visibility_timeout_seconds": "long"}, {**QUEUE, "visibility_timeout_seconds": True},
    {**QUEUE, "max_receive_count": 0}, {**QUEUE, "max_receive_count": 1001},
    {**QUEUE, "max_receive_count": []},
    {}, [], "academy-video-jobs", None, {"name": "academy-video-jobs"},
]  # fmt: skip

WRONG: dict[str, list[Any]] = {
    "aws_account_id": ["", "12345678901", "1234567890123", "12345678901a", "123456789012 ", 12345678901, "CHANGE"],
    "aws_region": ["", "us-east-1", "ap-northeast-1", "Seoul", "ap-northeast-2a", "ap_northeast_2", "AP-NORTHEAST-2"],
    "stage": ["", "prod", "open", "Open", "TEST", "closed"],
    "deployment_name": [
        "", "Academy", "1academy", "-academy", "academy-", "a--b", "a_b", "아카데미", "a b", "a" * 25, "a.b",
        "ssm-academy", "awsome",
    ],
    "operator_cidrs": [
        [], ["0.0.0.0/0"], ["::/0"], ["10.0.0.0/8"], ["203.0.113.7"], ["203.0.113.7/24"], ["my address"],
        ["2001:db8::/32"],
        ["203.0.113.7/33"], ["203.0.113.256/32"], "0.0.0.0/0", ["203.0.113.7/32", "0.0.0.0/0"],
        ["203.0.113.7/32 "], [""],
    ],
    "database_identifier": ["", "Academy-DB", "1db", "db-", "a--b", "a_b", "디비", "a" * 64, "a.b", "db "],
    "database_name": ["", "1db", "_db", "a-b", "a b", "디비", "a" * 64, "user", "Table", "rdsadmin", "template0"],
    "database_instance_class": [
        "", "t4g.micro", "db.t4g", "db.t4g.mirco", "db.t4.micro", "db.tg4.micro", "db.t4g.micro ", "db.T4g.micro",
        "db.t4g.nano", "db..micro", "db.r7g.xxlarge", "rds.t4g.micro",
    ],
    "owner": ["", " ", "a" * 257, "a&b", "Kim, Lee", "me <me@example.com>", "aws:me", "rds:me", "a\tb", "(me)", "😀"],
    "environment_name": ["", "prod!", "prod#1", "a" * 257],
    "database_subnet_group_name": ["", "default", "Academy", "a" * 256, "서브넷", "-a"],
    "database_port": [0, 22, 1149, 65536, -1, "80", 10**12],
    "database_engine_major": [9, 14, 17, "16.3", "sixteen"],
    "database_allocated_storage_gib": [0, 19, -20, 65537, "19"],
    "database_max_allocated_storage_gib": [0, 20, 21, 65537, "20"],
    "database_backup_retention_days": [0, 1, 6, 36, -7, "3"],
    "logs_retention_days": [0, 1, 3, 10, 30, 365, "10"],
    "queues_receive_wait_seconds": [-1, 21, 60],
    "alarms_worker_running_hours": [0, -1, 169, 10000],
    "alarms_emails": [["nobody"], ["a b"], "nobody"],
    "worker_wait_seconds": [0, -1, 21, 3600],
    "release": ["", "latest", "-x", ".x", "a b", "릴리스", "a" * 129, "a/b", "a:b"],
    "image_platform": ["", "arm64", "linux/arm", "windows/amd64", "linux/arm64 ", "linux/ARM64"],
    "database_master_username": [
        "", "admin", "rdsadmin", "1a", "a-b", "a" * 17, "user", "pg_a", "public", "None", "관리자", "a b",
    ],
    "database_password": [
        "", "short1A", "sla/sh-Abcdef1", "quo'te-Abcdef1",
        'quo"te-Abcdef1', "a@t-Abcdefgh1", "blank Abcdef1", "$dollar-Abc1",
        "back\\slash-A1", "back`tick-Abc1", "#hash-Abcdef1", "academy_user-A1", "abcdefghijkl",
        "aaaaaaaaaaaaA1.", "비밀번호-Abcdef1",
        "tab\tAbcdefg1", "new\nline-Abc1", "{{ braces }}A1", "{#comment-Abc1", "A1." + "x" * 126, "AbcAbcAbc111",
    ],
    "database_apply_immediately": ["maybe", 2, [], {}],
    "network_security_group_names": [
        {}, {"api": "a"}, {"alb": "sg-a", "api": "b", "worker": "c", "database": "d"},
        {"alb": "로드", "api": "b", "worker": "c", "database": "d"},
        {"alb": "a", "api": "a", "worker": "c", "database": "d"},
        {"alb": "a" * 256, "api": "b", "worker": "c", "database": "d"},
        {"alb": "", "api": "b", "worker": "c", "database": "d"},
        {"alb": ["a"], "api": "b", "worker": "c", "database": "d"},
    ],
    "queues_jobs": [*({"video": job} for job in WRONG_JOBS), {"video": QUEUE, "ai": QUEUE}],
    "images_definitions": [["api"], [{}], [{"name": "a"}], [{"dockerfile": "b"}]],
    "services": [
        {"api": "academy-api"}, {"api": {}}, {"api": row(memory_mib="1 GiB")}, {"api": row(receives_from={})},
        {"api": row(stops="yes")}, {"api": row(), "worker": row()},
    ],
}  # fmt: skip
WRONG_AT_A_HOST: dict[str, list[Any]] = {
    "instance_root_volume_size_gib": [0, 7, -8, 16385, "4"],
    "transcode_volume_size_gib": [0, 8, 99, 16385, "50"],
    "transcode_volume_mount_point": ["", "/", "mnt/transcode", "/mnt/transcode/", "/mnt/../transcode", "//mnt"],
    "swap_size_gib": [-1, "-2"],
    "swap_file_path": ["", "/", "swapfile", "/swapfile/", "/./swapfile"],
    "instance_kind": ["", "Video", "Video-Worker", "api "],
    "instance_cpu_credits": ["", "none", "Unlimited"],
}
# Guide §6.1.
WRONG_AT_THE_API: dict[str, list[Any]] = {"instance_root_volume_size_gib": [8, 20, 29]}
API = "academy-api-1"
VIDEO = "academy-video-worker-1"

Row = tuple[str, str, Any]


def rule_rows() -> list[Row]:
    """(host, variable, value): of the right type, as far as there is one, and refused all the same."""
    rows = [("", name, value) for name, values in WRONG.items() for value in values]
    rows += [(VIDEO, name, value) for name, values in WRONG_AT_A_HOST.items() for value in values]
    return rows + [(API, name, value) for name, values in WRONG_AT_THE_API.items() for value in values]


def type_rows() -> list[Row]:
    """What is not of its type, and what is missing, for every input of every role."""
    control, hosts, _, _ = collected()
    rows: list[Row] = []
    bad = {"int": NOT_INTEGERS, "list": NOT_LISTS, "dict": NOT_MAPPINGS, "str": [[], {}, ["a"]], "bool": ["maybe", []]}
    for host, options in (("", {**control.options, **CONTROL_OPTIONS}), (VIDEO, hosts[VIDEO].options)):
        for name, spec in options.items():
            rows += [(host, name, value) for value in bad.get(spec.get("type", "str"), [])]
            if spec.get("required"):
                rows.append((host, name, None))
    return rows


def tables() -> list[Row]:
    return rule_rows() + type_rows()


def batches() -> dict[str, dict[str, Any]]:
    """One wrong value of every variable at once, several times: what all hosts are given by the command line."""
    rules: dict[str, list[Any]] = {}
    types: dict[str, list[Any]] = {}
    for rows, found in ((rule_rows(), rules), (type_rows(), types)):
        for _, name, value in rows:
            found.setdefault(name, []).append(value)
    return {
        # Of security groups without a name for the database's, the database is not judged.
        "rules-first": {name: values[0] for name, values in rules.items() if name != "network_security_group_names"},
        # Of the right account and region, so that AWS is asked.
        "rules-last": {
            name: values[-1] for name, values in rules.items() if name not in ("aws_account_id", "aws_region")
        },
        # Of services that are none, no role is known that runs on a host.
        "types-first": {name: values[0] for name, values in types.items() if name != "services"},
        "types-last": {name: values[-1] for name, values in types.items() if name != "services"},
    }
