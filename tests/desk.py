# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator's own directory, where the README is followed: a checkout, and the application's repository beside it."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import string
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcloud import settings
from tests import readme, support

INVENTORY = "inventories/live"
# What the README has a reader set, by file, variable and value. Everything else stays as it is delivered.
FILLED_IN: Mapping[str, Mapping[str, str]] = {
    "environment.yml": {
        "owner": "operations",
        "aws_account_id": json.dumps(settings.ACCOUNT_ID),
        "operator_cidrs": "[203.0.113.2/32]",
        "alarms_emails": "[operations@example.com]",
        "application_r2_endpoint": "https://0123456789abcdef.r2.cloudflarestorage.com",
        "application_r2_public_base_url": "https://media.example.com",
        "drill_message": "{clip_seconds: 3}",
    },
    "images.yml": {"images_source_dir": "../academy"},
}
# What stands in a team's own .env: settings that are filled in above, and secrets.
SETTINGS: Mapping[str, str] = {
    "R2_ENDPOINT": FILLED_IN["environment.yml"]["application_r2_endpoint"],
    "R2_PUBLIC_BASE_URL": FILLED_IN["environment.yml"]["application_r2_public_base_url"],
}
SECRETS: Mapping[str, str] = {
    name: "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(50))
    for name in ("SECRET_KEY", "DB_PASSWORD", "INTERNAL_WORKER_TOKEN", "R2_ACCESS_KEY", "R2_SECRET_KEY")
}
CHANGED_LINE = re.compile(r"[-+](?![-+]{2} )")
GIT = ("git", "-c", "user.name=operator", "-c", "user.email=operator@example.com", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Desk:
    """Where an operator works, with which environment, and by which command a shell is entered."""

    directory: Path
    environment: Mapping[str, str]
    enter: tuple[str, ...] = ()

    @property
    def checkout(self) -> Path:
        return self.directory / "deploy"

    @property
    def application(self) -> Path:
        return self.directory / "academy"

    @property
    def inventory(self) -> Path:
        return self.checkout / INVENTORY

    def set_up(self) -> None:
        """A checkout of this very tree, and the example as the application's own repository."""
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=support.ROOT, capture_output=True, check=True).stdout
        for name in filter(None, tracked.decode().split("\0")):
            target = self.checkout / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(support.ROOT / name, target, follow_symlinks=False)
        shutil.copytree(self.checkout / "examples" / "academy", self.application)
        subprocess.run([*GIT, "init", "--quiet"], cwd=self.application, check=True)
        self.commit("The academy")

    def commit(self, message: str) -> None:
        """A new commit of the application: a new release."""
        subprocess.run([*GIT, "add", "--all"], cwd=self.application, check=True)
        command = [*GIT, "commit", "--quiet", "--allow-empty", f"--message={message}"]
        subprocess.run(command, cwd=self.application, check=True)

    def fill_in(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """Set variables in the copied inventory, where they stand or, if they stand nowhere, at the end."""
        for file, variables in values.items():
            path = self.inventory / "group_vars" / "all" / file
            text = path.read_text(encoding="utf-8")
            for name, value in variables.items():
                text, count = re.subn(rf"^(?:# )?{name}:.*$", f"{name}: {value}", text, flags=re.MULTILINE)
                text += "" if count else f"{name}: {value}\n"
            path.write_text(text, encoding="utf-8")

    def differences(self) -> tuple[set[str], set[str]]:
        """What git says of the delivered inventory and this one: changed lines ("-" before, "+" now), added files."""
        git = ("git", "diff", "--no-index", "--no-color", "--unified=0")
        both = ("inventories/production", INVENTORY)

        def lines(*options: str) -> list[str]:
            command = [*git, *options, *both]
            # Its exit status says whether anything differs.
            done = subprocess.run(command, cwd=self.checkout, capture_output=True, text=True, check=False)
            return done.stdout.split("\n")

        changed = {line for line in lines("--diff-filter=a") if CHANGED_LINE.match(line)}
        added = {Path(line.partition("\t")[2]).name for line in lines("--diff-filter=A", "--name-status") if line}
        return changed, added

    def write_environment_file(self) -> None:
        text = "".join(f"{name}={value}\n" for name, value in {**SECRETS, **SETTINGS}.items())
        (self.checkout / ".env").write_text(text, encoding="utf-8")

    def shell(self, name: str, *lines: str, timeout_seconds: int = 900) -> support.Run:
        """Run lines as a reader's shell would, in the checkout; their output goes to build/test-logs/<name>.log."""
        with self.background(name, *lines) as run:
            return run.finish(timeout_seconds)

    @contextmanager
    def background(self, name: str, *lines: str) -> Iterator[support.Background]:
        """The same beside the block, after which it is killed."""
        command = (*self.enter, "bash", "-c", readme.script(lines))
        with support.background(*command, name=name, cwd=self.checkout, environment=self.environment) as run:
            yield run
