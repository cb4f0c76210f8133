# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.machine`: make the virtual machine, run the steps in it, and keep what they have shown."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from localcloud.images.build import PYTHON_TAG
from localcloud.images.recipes import PYTHON, REPOSITORY
from localcloud.shell import docker_succeeds, run
from tests.machine import record
from tests.machine.emulator import MEMORY_MIB, PROCESSORS, BootError, Machine, booted
from tests.machine.image import HOME, ensure_image, seed, store
from tests.support import ROOT

LOGS: Final = ROOT / "build" / "machine-test"
# Emulated, on two cores that have other things to do.
STEP_MINUTES: Final = {
    "boot": 5,
    "engine": 20,
    "alone": 20,
    "cloud": 45,
    "host": 40,
    "memory": 15,
    "restart": 20,
    "demo": 120,
    "again": 30,
    "down": 10,
}
CHECKOUT: Final = f"""\
mkdir --parents {HOME} && cd {HOME} && git init --quiet && git fetch --quiet /root/academy.bundle HEAD
git reset --quiet --hard FETCH_HEAD && touch .venv/installed"""
STEP: Final = f"cd {HOME} && export LC_ALL=C.UTF-8 PATH={HOME}/.venv/bin:$PATH && python -m tests.machine.inside "
FACTS: Final = {"kernel": "uname -r", "apparmor": "cat /sys/module/apparmor/parameters/enabled"}
LAST_LINES: Final = 40


def main() -> int:
    """The exit status is 0 where every step that there was time for has passed."""
    options = argparse.ArgumentParser(prog="python -m tests.machine", description=__doc__)
    options.add_argument("--minutes", type=int, default=120, help="when the machine is ended (120)")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this, the machine and its files go with it
    deadline = time.monotonic() + options.parse_args().minutes * 60
    # What the last run has told may lie there.
    if run("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "--", ":!docs/machine-test*"):
        print(
            "The machine gets the last commit, but the checkout differs from it. Commit or stash first.",
            file=sys.stderr,
        )
        return 2
    if not docker_succeeds("image", "inspect", f"{REPOSITORY}/{PYTHON.name}:{PYTHON_TAG}"):
        print(
            "The machine gets the images of the embedded cloud, and there are none, or no engine answers. Start it "
            "(`python -m localcloud up`) and try again.",
            file=sys.stderr,
        )
        return 2
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    image = ensure_image()
    with tempfile.TemporaryDirectory(prefix="machine-test-", dir="/var/tmp") as work:
        key, bundle, handed_in, images = (Path(work) / name for name in ("key", "bundle", "seed.tar", "images.img"))
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        run("git", "-C", str(ROOT), "bundle", "create", "--quiet", str(bundle), "HEAD")
        seed(handed_in, key.with_suffix(".pub").read_text(encoding="utf-8"), bundle.read_bytes())
        store(images, Path(work))
        try:
            with booted(image, (handed_in, images), key, LOGS / "console.log") as machine:
                told = _steps(machine, deadline)
        except BootError as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{record.RECORD.relative_to(ROOT)} and the pages that tell it are written; the output is in {LOGS}.")
    return int(any(step["result"] == record.FAILED for step in told["steps"]))


def _steps(machine: Machine, deadline: float) -> dict[str, Any]:
    run(*machine.ssh, CHECKOUT, timeout=600)
    told: dict[str, Any] = {
        "commit": run("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "started": _now(),
        **{name: run(*machine.ssh, command) for name, command in FACTS.items()},
        "accelerator": machine.accelerator,
        "processors": PROCESSORS,
        "memory_mib": MEMORY_MIB,
        "boot_seconds": round(machine.boot_seconds),
        "covered": record.covered(),
        "steps": [{"name": name, "result": record.NOT_REACHED, "seconds": None, "seen": ""} for name in record.STEPS],
    }
    for step in told["steps"]:
        if time.monotonic() > deadline:
            break
        step.update(_step(machine, step["name"], deadline))
        told["ended"] = _now()
        record.write(told)  # whatever ends the run, it has shown this
        print(f"{step['name']}: {step['result']} after {step['seconds']} s: {step['seen']}", flush=True)
        if step["result"] != record.PASSED:
            break
    return told


def _step(machine: Machine, name: str, deadline: float) -> dict[str, Any]:
    log = LOGS / f"{name}.log"
    started = time.monotonic()
    with log.open("wb") as sink:
        status = machine.run(STEP + name, min(STEP_MINUTES[name] * 60, deadline - started), sink)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    seen = [line.removeprefix("seen: ") for line in lines if line.startswith("seen: ")]
    result = record.LATE if status is None else record.FAILED if status else record.PASSED
    told = {"result": result, "seconds": round(time.monotonic() - started), "seen": "; ".join(seen)}
    return told if result == record.PASSED else {**told, "output": lines[-LAST_LINES:]}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="minutes")


if __name__ == "__main__":
    sys.exit(main())
