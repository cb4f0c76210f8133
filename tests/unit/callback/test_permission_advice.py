# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A refused call names the policy that it lacks, whichever module has made it, once."""

from __future__ import annotations

import configparser
from types import SimpleNamespace
from typing import Any

import pytest

from plugins.callback.permission_advice import CallbackModule
from tests import support

REFUSAL = (
    "Unable to create queue: An error occurred (AccessDenied) when calling the CreateQueue operation: User: "
    "arn:aws:iam::123456789012:user/me is not authorized to perform: sqs:CreateQueue on resource: "
    "arn:aws:sqs:ap-northeast-2:123456789012:academy-video-jobs because no identity-based policy allows it"
)
ADVICE = (
    "The operator lacks sqs:CreateQueue on arn:aws:sqs:ap-northeast-2:123456789012:academy-video-jobs: "
    "docs/operator-policy-services.json grants it."
)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"msg": REFUSAL}, [ADVICE]),
        (
            {"msg": "items failed", "results": [{"failed": True, "msg": REFUSAL}, {"msg": REFUSAL}]},
            [ADVICE],
        ),
        ({"msg": "items", "results": [{"failed": True, "msg": REFUSAL}] * 2}, [ADVICE]),
        ({"msg": f"{REFUSAL}. {ADVICE}"}, []),
        ({"msg": "The queue was deleted recently"}, []),
        ({}, []),
    ],
)
def test_the_policy_of_a_refused_call_is_named_once(result: dict[str, Any], said: list[str]) -> None:
    callback, shown = CallbackModule(), []
    callback._display = SimpleNamespace(display=lambda text, **_: shown.append(text))
    callback.v2_runner_on_failed(SimpleNamespace(_result=result))
    assert shown == said


def test_our_runs_ask_for_it() -> None:
    config = configparser.ConfigParser()
    config.read(support.ROOT / "ansible.cfg", encoding="utf-8")
    assert CallbackModule.CALLBACK_NAME in config["defaults"]["callbacks_enabled"].split(", ")
