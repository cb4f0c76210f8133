# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the embedded cloud."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time

from localcloud import cloud, images, settings
from localcloud.images import BuildError
from localcloud.machine import MachineError
from localcloud.operator_machine import OperatorError
from localcloud.shell import CommandError, EngineError
from localcloud.status import describe


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (cloud.CloudError, EngineError, BuildError, MachineError, OperatorError, CommandError) as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud", description="The embedded cloud on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("up", help="bring the cloud up (does nothing where it is up)").set_defaults(run=_up)
    down = commands.add_parser("down", help="stop the cloud and remove everything that it made")
    down.add_argument("--purge", action="store_true", help="also remove the cached images")
    down.set_defaults(run=_down)
    status = commands.add_parser("status", help="show what runs (exit code 1 where the cloud is not ready)")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_status)
    interrupt = commands.add_parser("interrupt", help="let EC2 interrupt a Spot instance, with its notice")
    interrupt.add_argument("instance_id")
    interrupt.add_argument("--seconds", type=int, help="between notice and stop (120, as at AWS)")
    interrupt.add_argument("--over", action="store_true", help="give the capacity back: EC2 starts it again")
    interrupt.set_defaults(run=_interrupt)
    account = commands.add_parser("account", help="show what the account is like, or make it young: plan=FREE …")
    account.add_argument("circumstances", nargs="*", metavar="NAME=VALUE")
    account.set_defaults(run=_account)
    commands.add_parser("env", help="print the environment for any AWS tool, for `eval`").set_defaults(run=_env)
    operator = commands.add_parser("operator", help="run a command, or a shell, where AWS looks like AWS")
    operator.add_argument("command", nargs="*", help="after `--`")
    operator.set_defaults(run=_operator)
    commands.add_parser("serve").set_defaults(run=_serve)  # what `up` starts; not for people, hence no help
    return parser


def _up(options: argparse.Namespace) -> None:
    started = time.monotonic()
    if cloud.up(_Progress(started)):
        print(f"The embedded cloud came up in {time.monotonic() - started:.1f} s.")
    else:
        print("The embedded cloud is already up.")
    _show()


def _down(options: argparse.Namespace) -> None:
    cloud.down(_Progress(time.monotonic()), purge=options.purge)
    kept = f"its key, authority and logs in {settings.STATE_DIR}"
    if not options.purge:
        kept += f", and its cached images in {images.CACHE_DIR} and the Docker engine's image store"
    print(f"The embedded cloud is down; what stays: {kept}.")


def _status(options: argparse.Namespace) -> int:
    content = cloud.status()
    if options.json:
        print(json.dumps(content, indent=2))
    else:
        _show()
    return 0 if content["state"] == "ready" else 1


def _interrupt(options: argparse.Namespace) -> None:
    told = cloud.interrupt(options.instance_id, options.seconds, over=options.over)
    if options.over:
        print(f"{told['instance']} has its capacity back: EC2 starts it.")
    else:
        print(f"{told['instance']} has its notice: {told['action']} at {told['at']}.")


def _account(options: argparse.Namespace) -> None:
    wanted = dict(circumstance.partition("=")[::2] for circumstance in options.circumstances)
    for name, value in cloud.circumstances(wanted).items():
        print(f"{name}={value}")


def _env(options: argparse.Namespace) -> None:
    for name, value in cloud.environment().items():
        print(f"export {name}={shlex.quote(value)}")


def _operator(options: argparse.Namespace) -> None:
    cloud.enter(options.command)


def _serve(options: argparse.Namespace) -> None:
    cloud.serve()


def _show() -> None:
    print(describe(cloud.status()))


class _Progress:
    """Prints each step with the time since the beginning, so that a long one shows that it moves."""

    def __init__(self, started: float) -> None:
        self._started = started

    def __call__(self, step: str) -> None:
        print(f"[{time.monotonic() - self._started:6.1f} s] {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
