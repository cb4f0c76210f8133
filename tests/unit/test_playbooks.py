# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbooks say twice, because YAML knows no other way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from plugins.module_utils.plan.roles import ROLES
from plugins.module_utils.services import on_host, roles_of_host
from plugins.plugin_utils.variables import Variables
from tests.unit.rows import ROWS as GUIDE
from tests.unit.rows import row

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"


def plays(name: str) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load((PLAYBOOKS / name).read_text(encoding="utf-8"))
    return {play["name"]: play for play in found if "hosts" in play}


def test_the_doors_open_after_the_api_has_its_settings_and_before_any_worker_needs_the_public_name() -> None:
    names = [play["name"] for play in yaml.safe_load((PLAYBOOKS / "configure.yml").read_text(encoding="utf-8"))]
    doors = names.index("Open or close the doors")
    assert names[doors - 1] == "Run the API"
    assert doors < names.index("Run the workers, each host at its own pace")
    (prepare,) = [
        role
        for play in plays("provision.yml").values()
        for role in play.get("roles", [])
        if role["role"] == "academy.deploy.network"
    ]
    (finish,) = plays("doors.yml")["Open or close the doors"]["tasks"]
    assert [one["vars"]["network_step"] for one in (prepare, finish)] == ["prepare", "finish"]
    # A condition of a role is asked of each of its tasks, and the first of them decides anew.
    assert "ansible.builtin.include_role" in finish


@pytest.mark.parametrize(
    ("stage", "asked", "api", "wanted"),
    [
        ("open", ["api-1", "worker-1"], ["api-1"], True),
        ("open", [], ["api-1"], True),
        ("open", ["worker-1"], ["api-1"], False),
        ("open", ["worker-1"], None, False),
        # Whoever shuts everybody out waits for no host.
        ("test", ["worker-1"], ["api-1"], True),
    ],
)
def test_nobody_is_let_in_without_an_api_that_has_its_settings(
    stage: str, asked: list[str], api: list[str] | None, wanted: bool
) -> None:
    (finish,) = plays("doors.yml")["Open or close the doors"]["tasks"]
    groups = {} if api is None else {"api": api}
    for moving in (True, False):
        values = {
            "network_plan": {"known": {"moving": moving}},
            "stage": stage,
            "groups": groups,
            "__doors_asked": asked,
        }
        templar = Templar(DataLoader(), variables=values)
        found = [templar.evaluate_conditional(trust_as_template(condition)) for condition in finish["when"]]
        assert all(found) == (wanted and moving)


def test_workers_are_held_and_let_go_for_every_role_that_configures_a_host() -> None:
    found = plays("configure.yml")
    roles = [role for play in found.values() if play["hosts"].endswith(":&reached") for role in play.get("roles", [])]
    assert len(roles) > 4
    # Each by its own name alone, by which its run is told.
    assert {role["role"].rpartition(".")[2]: role["tags"] for role in roles} == {
        tag: [tag] for role in roles for tag in role["tags"]
    }
    tags = {"hold", *(tag for role in roles for tag in role["tags"])}
    assert set(found["Keep the workers awake"]["tags"]) == set(found["Let the workers go"]["tags"]) == tags
    assert list(found)[-1] == "Let the workers go"


def test_hosts_are_asked_where_a_role_needs_them_and_only_those_that_answer_and_have_no_job_are_configured() -> None:
    found = plays("configure.yml")
    names = list(found)
    ask, hold, again, choose = (
        "Ask which hosts answer on SSH",
        "Keep the workers awake",
        "Reach the hosts that have just booted",
        "Choose the hosts that answer and have no job",
    )
    assert found[ask]["tags"] == found[again]["tags"] == found[choose]["tags"] == found[hold]["tags"]
    # Nobody is held or started before, and nothing asks a host but in the plays of those that answered.
    assert names.index(ask) < names.index(hold) < names.index(again) < names.index(choose)
    (group,) = [task for task in found[choose]["tasks"] if "ansible.builtin.group_by" in task]
    assert group["ansible.builtin.group_by"]["key"] == (
        "{{ 'settled' if inventory_hostname in rollout.settled else 'reached' }}"
    )
    assert group["when"] == "inventory_hostname in rollout.to_configure + rollout.settled"
    after = names[names.index(choose) + 1 :]
    assert {found[name]["hosts"].rpartition(":")[2] for name in after} == {"&reached", "instances"}
    for name in after:
        assert found[name]["hosts"].endswith(":&reached") or not found[name].get("roles"), name


LOCK = "academy.deploy.lock"


@pytest.mark.parametrize("name", sorted(path.name for path in PLAYBOOKS.glob("*.yml")))
def test_whoever_changes_something_has_the_deploy_lock_and_whoever_reads_does_not(name: str) -> None:
    """The roles of a play run one after the other, and account says that it is the right one to write a lock into."""
    reads = {"preflight.yml", "plan.yml", "drill.yml", "env.yml", "status.yml", "verify.yml"}
    for title, play in plays(name).items():
        roles = [role["role"] for role in play.get("roles", [])]
        assert (LOCK in roles) <= (name not in reads), title
        if "academy.deploy.account" in roles and name not in reads:
            at = roles.index(LOCK)
            assert roles[at - 1] == "academy.deploy.account", title
            # Under the same conditions.
            account, lock = play["roles"][at - 1 : at + 1]
            assert {key: lock.get(key) for key in ("tags", "run_once")} == {
                key: account.get(key) for key in ("tags", "run_once")
            }, title


def test_no_run_migrates_that_has_lost_the_deploy_lock_in_its_sleep() -> None:
    play = plays("configure.yml")["Run the API"]
    (task,) = play["pre_tasks"]
    assert task["ansible.builtin.include_role"]["name"] == LOCK
    assert task["tags"] == task["ansible.builtin.include_role"]["apply"]["tags"]
    assert task["tags"] == [tag for role in play["roles"] for tag in role["tags"]]


def test_the_digests_are_asked_for_while_the_workers_are_held_and_judged_when_they_are_let_go() -> None:
    names = list(plays("configure.yml"))
    assert names[-2:] == ["Ask every service for the digest that runs", "Let the workers go"]
    for name in ("deploy.yml", "rollback.yml"):
        content = yaml.safe_load((PLAYBOOKS / name).read_text(encoding="utf-8"))
        update, confirm = content[-2:]
        assert update["vars"]["asks_digests"] is True
        assert [play["ansible.builtin.import_playbook"] for play in (update, confirm)] == [
            "configure.yml",
            "confirm.yml",
        ]


def test_a_rollback_touches_nothing_before_it_has_its_images_and_no_worker_before_the_api() -> None:
    content = yaml.safe_load((PLAYBOOKS / "rollback.yml").read_text(encoding="utf-8"))
    assert [play["hosts"] for play in content if "hosts" in play] == ["instances", "api:&running"]
    require, api, update, _ = content
    assert require["connection"] == "local"
    tasks = [task["name"] for task in require["tasks"]]
    assert tasks.index("Require the image of every service") < tasks.index(
        "Take the deploy lock, and note what is shipped"
    )
    assert update["ansible.builtin.import_playbook"] == "configure.yml"
    assert api["tags"] == ["api"]
    # One that was never shipped has never served.
    assert api["vars"]["release_has_served"] is True
    assert api["tasks"][0]["when"] == "release not in release_history.shipped[services.api.name] | default([])"


def test_a_worker_that_waits_for_the_database_is_left() -> None:
    play = plays("configure.yml")["Run the workers, each host at its own pace"]
    assert play["pre_tasks"][0]["ansible.builtin.meta"] == "end_host"
    assert play["pre_tasks"][0]["when"] == "inventory_hostname in rollout.waiting"


def test_hosts_are_updated_one_by_one_after_the_release_was_judged_on_all_that_run() -> None:
    found = plays("update.yml")
    ask, hold, update = (
        "Ask which hosts answer, and what they lack of the release",
        "Keep the workers awake",
        "Update host by host",
    )
    names = list(found)
    assert names.index(ask) < names.index(hold) < names.index(update) == len(names) - 2
    assert found[ask]["any_errors_fatal"] is True
    assert found[ask]["tasks"][-1]["ansible.builtin.include_role"]["tasks_from"] == "compare"
    assert (found[update]["hosts"], found[update]["serial"]) == ("instances:&reached", 1)
    assert [role["role"] for role in found[update]["roles"]] == ["academy.deploy.host_update"]
    # And by a run that has not lost the deploy lock in its sleep.
    (task,) = found[update]["pre_tasks"]
    assert task["ansible.builtin.include_role"]["name"] == LOCK
    # By its tag alone too, which plan's lines name, nobody is updated who was not held before.
    assert {name: play.get("tags") for name, play in found.items() if name != update} == {
        name: ["always"] for name in names if name != update
    }


# Roles without inputs of their own to judge, or whose inputs are given by another role.
UNJUDGED = {"account", "hold", "lock", "reachability"}


def test_the_preflight_judges_the_inputs_of_every_role_where_it_runs() -> None:
    runs: dict[str, set[str]] = {"control": set(), "instances": set()}
    for name in ("provision.yml", "images.yml"):
        for play in plays(name).values():
            for entry in play.get("roles", []):
                role = entry["role"].rpartition(".")[2]
                # One that decides for each host is asked with the hosts' inputs, wherever it runs.
                each_host = role in ROLES and ROLES[role].each_host
                runs["instances" if each_host or play["hosts"] != "localhost" else "control"].add(role)
    vars_file = PLAYBOOKS.parent / "roles/preflight/vars/main.yml"
    judged = yaml.safe_load(vars_file.read_text(encoding="utf-8"))["__preflight_roles"]
    assert set(judged["control"]) - UNJUDGED == runs["control"] - UNJUDGED
    assert set(judged["instances"]) == (runs["instances"] - UNJUDGED) | {"swap", "docker"}


@pytest.mark.parametrize("groups", [["api"], ["api", "messaging_worker"], ["video_worker"], ["ai_worker", "new"]])
def test_the_roles_that_are_judged_and_compared_on_a_host_are_those_that_run_there(groups: list[str]) -> None:
    slots = {"slots": {"a": 8001, "b": 8002}}
    services = {**GUIDE, "api": {**GUIDE["api"], **slots}, "new": row(receives_from=["jobs"], stops_itself=True)}
    variables = {"transcode_volume_size_gib": 100} if "video_worker" in groups else {}
    here = on_host(services, groups)
    known = {
        "group_names": groups,
        "host_services": [*here],
        "services": services,
        "instance_may_be_stopped": all(found.stops_itself for found in here.values()),
        **variables,
    }
    ran = []
    for play in plays("configure.yml").values():
        hosts = {"api": "api" in groups, "instances": True}
        if not play["hosts"].endswith(":&reached") or not hosts[play["hosts"].partition(":")[0]]:
            continue
        for entry in play.get("roles", []):
            if (
                "when" not in entry
                or Variables(known, "h", None).take_template("when", condition(entry)).values["when"]
            ):
                ran.append(entry["role"].rpartition(".")[2])
    assert ran == roles_of_host(services, groups, variables)


def condition(entry: dict[str, Any]) -> Any:
    return trust_as_template("{{ " + entry["when"] + " }}")


def test_the_tasks_and_plays_that_other_tests_wait_for_have_these_names() -> None:
    """A test that waits for a line that never comes fails only after minutes."""
    tests = [file.read_text(encoding="utf-8") for file in (PLAYBOOKS.parent / "tests").rglob("*.py")]
    places = [*PLAYBOOKS.rglob("*.yml"), *(PLAYBOOKS.parent / "roles").rglob("tasks/*.yml")]
    named = re.findall(r"^\s*- name: (.+)$", "\n".join(file.read_text(encoding="utf-8") for file in places), re.M)
    waited = [name for text in tests for name in re.findall(r'support\.task\("(?:\w+ : )?([^"]+)"\)', text)]
    plays = [name for text in tests for name in re.findall(r'r"\^PLAY \\\[([^"\\]+)', text)]
    assert len(waited) > 10
    assert len(plays) > 1
    assert [name for name in waited if not any(known.endswith(name) for known in named)] == []
    assert [name for name in plays if not any(known.startswith(name) for known in named)] == []
