# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the story's cloud: hosts are brought to a later release of Amazon Linux, and rebooted where it asks for that."""

from __future__ import annotations

from localcloud.images.recipes import HOST_RELEASES
from tests import load, support
from tests.e2e.test_deploy import instance_id, say_busy, tags, wake_and_hold
from tests.e2e.test_story import API_HOST, MESSAGING_HOST, STOPPED_WORKER, VIDEO_HOST, api_status

FIRST, NEXT, LAST = HOST_RELEASES
BUSY_WORKER = STOPPED_WORKER
UPDATED = (API_HOST, MESSAGING_HOST, VIDEO_HOST)


def test_an_update_that_needs_no_reboot_loses_no_request() -> None:
    booted = boot_of(API_HOST)
    with load.constant(support.instance(API_HOST)["address"], 8000) as requests:
        run = update(NEXT, API_HOST, name="update-api").expect()
    assert requests.lost == []
    assert (release_of(API_HOST), boot_of(API_HOST)) == (NEXT, booted)
    assert "needs a reboot" not in support.words(run.output)


def test_hosts_are_updated_and_rebooted_but_for_who_has_a_job_and_who_serves_the_api() -> None:
    wake_and_hold(BUSY_WORKER)
    say_busy(BUSY_WORKER)
    booted = {name: boot_of(name) for name in (API_HOST, MESSAGING_HOST)}
    run = update(LAST, *UPDATED, BUSY_WORKER, name="update").expect()
    said = support.words(run.output)
    assert f"{BUSY_WORKER} is busy with a job, so it is left behind {LAST}" in said
    assert run.changed()[BUSY_WORKER] == 0
    assert release_of(BUSY_WORKER) == FIRST
    assert f"{API_HOST} has {LAST} and needs a reboot to use all of it: dbus. It serves the API" in said
    assert said.count("needs a reboot to use all of it") == 1
    assert boot_of(API_HOST) == booted[API_HOST]
    assert boot_of(MESSAGING_HOST) != booted[MESSAGING_HOST]
    assert {name for name in UPDATED if release_of(name) != LAST} == set()
    assert {name for name in (*UPDATED, BUSY_WORKER) if "HoldUntil" in tags(name)} == set()


def test_a_host_of_the_api_is_rebooted_by_consent_and_nothing_else_is_left_to_change() -> None:
    booted = boot_of(API_HOST)
    consent = f"--extra-vars=deploy_allow_downtime={API_HOST}"
    run = update(LAST, API_HOST, MESSAGING_HOST, consent, name="update-consent").expect()
    assert boot_of(API_HOST) != booted
    assert api_status() == 200
    assert run.changed() == {API_HOST: 1, MESSAGING_HOST: 0}


def update(release: str, *arguments: str, name: str) -> support.Run:
    """Of the hosts that are named; other arguments are passed on."""
    hosts = ",".join(argument for argument in arguments if not argument.startswith("--"))
    options = [argument for argument in arguments if argument.startswith("--")]
    return support.playbook(
        "playbooks/update.yml", f"--extra-vars=host_release={release}", f"--limit={hosts}", *options, name=name
    )


def release_of(name: str) -> str:
    command = ("rpm", "--query", "--queryformat", "%{VERSION}", "system-release")
    return support.on_host(instance_id(name), *command).stdout


def boot_of(name: str) -> str:
    """When its first process began."""
    command = ("systemctl", "show", "--property=UserspaceTimestamp", "--value")
    return support.on_host(instance_id(name), *command).stdout
