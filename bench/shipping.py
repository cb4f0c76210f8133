# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release costs whoever uses the API meanwhile: requests lost, and seconds.

One load from the first to the last of it: a new release, the same one again, releases that are bad in every way that an
image can be, and back to the release before. A restart of the proxy is counted on its own: nothing stands before it.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from localcloud import demo
from tests import load

API_HOST = "academy-api-1"
API_PORT = 8000
# The others, by their tags. Their hosts are awake, and stay so.
WORKERS = ("messaging_worker", "video_worker", "ai_worker")
FIRST, SECOND = "bench-a", "bench-b"
LEAST_REQUESTS = 10_000
UNHEALTHY = """
import http.server
class Unhealthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503)
http.server.HTTPServer(("", 8000), Unhealthy).serve_forever()
"""
# In place of the image's own command.
BAD_COMMANDS = {
    "answers 503": ["python", "-c", UNHEALTHY],
    "ends at once": ["sh", "-c", "exit 3"],
    "cannot be started": ["/no-such-program"],
    "never listens": ["sleep", "600"],
    "is killed for memory": ["python", "-c", "kept = [b'x' * 2**20 for _ in range(2**14)]"],
}
FAILING_MIGRATION = [{"name": "migrate the database", "check": ["false"], "apply": ["false"]}]
# A release that is not healthy by then is none.
IMPATIENT = {"container_health_timeout_seconds": 20}


def bad_releases() -> dict[str, dict[str, Any]]:
    """The variables that make a release bad, by what is bad about it."""
    bad: dict[str, dict[str, Any]] = {kind: {"container_command": command} for kind, command in BAD_COMMANDS.items()}
    return bad | {"cannot migrate": {"container_preparations": FAILING_MIGRATION}}


def measure(
    run: Callable[[str, Sequence[str], int], tuple[float, float]],
    playbook: Callable[..., list[str]],
    awake: Sequence[str],
) -> dict[str, Any]:
    """Ship under load; run(name, command, expected status) tells first the seconds that a command took.

    :param awake: what keeps workers from stopping themselves

    :raises SystemExit: a release ended otherwise than it must, or there were too few requests to say anything
    """

    def ship(release: str, name: str = "site.yml", *arguments: str, tag: str = "api", status: int = 0) -> float:
        command = playbook(name, f"--tags=images,{tag}", "-e", f"release={release}", *arguments)
        return round(run("ship", command, status)[0], 1)

    def ship_all(tag: str) -> dict[str, float]:
        given = (*awake, "-e", "wake_workers=true")
        ship(FIRST, "site.yml", *given, tag=tag)
        return {
            "changed": ship(SECOND, "site.yml", *given, tag=tag),
            "unchanged": ship(SECOND, "site.yml", *given, tag=tag),
            "rolled_back": ship(FIRST, "playbooks/rollback.yml", *given, tag=tag),
        }

    ship(FIRST)
    address = next(host for host in map(demo.host_summary, demo.instances()) if host["name"] == API_HOST)
    with load.constant(address["address"], API_PORT) as requests:
        seconds = {"changed": ship(SECOND), "unchanged": ship(SECOND)}
        bad = {
            kind: ship(SECOND, "playbooks/configure.yml", "-e", json.dumps(variables | IMPATIENT), status=2)
            for kind, variables in bad_releases().items()
        }
        began = time.monotonic()
        seconds["rolled_back"] = ship(FIRST, "playbooks/rollback.yml")
        seconds["rolled_back_first_answer_under_load"] = round(requests.seconds_until(FIRST, began), 1)
        while requests.count < LEAST_REQUESTS:
            time.sleep(1)
    if set(requests.releases) != {FIRST, SECOND}:
        raise SystemExit(f"not both releases have answered: {dict(requests.releases)}")
    ship(SECOND)
    # The clients above share these processors, which a real host's do not.
    with load.constant(address["address"], API_PORT, one_reader=True) as reader:
        began = time.monotonic()
        ship(FIRST, "playbooks/rollback.yml")
    seconds["rolled_back_first_answer"] = round(reader.seconds_until(FIRST, began), 1)
    with load.constant(address["address"], API_PORT) as restarted:
        time.sleep(1)
        began = time.monotonic()
        restart = ("docker", "exec", address["instance_id"], "systemctl", "restart", "haproxy")
        subprocess.run(restart, check=True)
        restart_seconds = time.monotonic() - began
        time.sleep(1)
    return {
        "requests": requests.count,
        "lost": requests.lost,
        "answered": dict(requests.answered),
        "releases": dict(requests.releases),
        "seconds": {"api": seconds, **{tag: ship_all(tag) for tag in WORKERS}},
        "seconds_until_refused": bad,
        "proxy_restart": {
            "requests": restarted.count,
            "lost": len(restarted.lost),
            "seconds": round(restart_seconds, 2),
        },
    }


def render(shipped: dict[str, Any]) -> list[str]:
    api, restart = shipped["seconds"]["api"], shipped["proxy_restart"]
    refused = ", ".join(f"{kind} {after:.0f} s" for kind, after in shipped["seconds_until_refused"].items())
    return [
        f"of {shipped['requests']} requests while releases came, failed and went back {len(shipped['lost'])} were lost",
        *(
            f"a release of {name} takes {seconds['changed']:.0f} s, the same once more {seconds['unchanged']:.0f} s, "
            f"the one before {seconds['rolled_back']:.0f} s"
            for name, seconds in shipped["seconds"].items()
        ),
        f"the API's release before answers {api['rolled_back_first_answer']:.1f} s after the command, "
        f"and {api['rolled_back_first_answer_under_load']:.1f} s where those requests take processors too",
        f"a bad release is refused after: {refused}",
        f"a restart of the proxy loses {restart['lost']} of {restart['requests']} requests in {restart['seconds']} s",
    ]
