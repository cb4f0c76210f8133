# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from localcloud.strict.instances import wrong_state


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("StartInstances", {"pending", "running", "stopped"}),
        ("StopInstances", {"running", "stopping", "stopped"}),
        ("RebootInstances", {"running"}),
    ],
)
def test_refuses_an_action_in_the_states_in_which_aws_does(action: str, allowed: set[str]) -> None:
    states = {"pending", "running", "stopping", "stopped", "shutting-down", "terminated"}
    assert {state for state in states if wrong_state(action, "i-1", state) is None} == allowed


def test_a_refusal_names_instance_and_state() -> None:
    error = wrong_state("StopInstances", "i-1", "pending")
    assert error is not None
    assert error.code == "IncorrectInstanceState"
    assert error.message == "The instance 'i-1' is not in a state from which it can be stopped: it is pending."
