# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator's own directory, where the README is followed: a checkout, and the application's repository beside it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
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
    },
    "images.yml": {"images_source_dir": "../academy"},
}
# A team's own .env; letters and digits alone.
ENVIRONMENT: Mapping[str, str] = {
    "SECRET_KEY": "k3Xn9Lq2Vb7qV8nT2wXk5Lr9Zc4Bm7Hd1Js6Gf3Pa0Ye8Ro2Ti5Nx7",
    "DB_PASSWORD": "Ty6vHn2cPq9wRk4sLm8z",
    "INTERNAL_WORKER_TOKEN": "Wd7pXs3kVn9tBq5rJh2mCf8gZy4LaEu6Ko1Ti0Pe",
    "R2_ACCESS_KEY": "5f0e1a1c7d3c5c1e8a511f1e5dd1f6a0",
    "R2_SECRET_KEY": "b1946ac92492d2347c6235b4d2611184e3f0a6c8d7b9510243f6a8885a308d31",
    "R2_ENDPOINT": FILLED_IN["environment.yml"]["application_r2_endpoint"],
    "R2_PUBLIC_BASE_URL": FILLED_IN["environment.yml"]["application_r2_public_base_url"],
}
GIT = ("git", "-c", "user.name=operator", "-c", "user.email=operator@example.com", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Desk:
    """Where an operator works, and with which environment."""

    directory: Path
    environment: Mapping[str, str]

    @property
    def checkout(self) -> Path:
        return self.directory / "deploy"

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
        application = self.directory / "academy"
        shutil.copytree(self.checkout / "examples" / "academy", application)
        for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message=The academy")):
            subprocess.run([*GIT, *command], cwd=application, check=True)

    def fill_in(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """Set variables in the copied inventory, where they stand or, if they stand nowhere, at the end."""
        for file, variables in values.items():
            path = self.inventory / "group_vars" / "all" / file
            text = path.read_text(encoding="utf-8")
            for name, value in variables.items():
                text, count = re.subn(rf"^(?:# )?{name}:.*$", f"{name}: {value}", text, flags=re.MULTILINE)
                text += "" if count else f"{name}: {value}\n"
            path.write_text(text, encoding="utf-8")

    def write_environment_file(self) -> None:
        text = "".join(f"{name}={value}\n" for name, value in ENVIRONMENT.items())
        (self.checkout / ".env").write_text(text, encoding="utf-8")

    def shell(self, name: str, *lines: str, timeout_seconds: int = 900) -> support.Run:
        """Run lines as a reader's shell would, in the checkout; their output goes to build/test-logs/<name>.log."""
        log = support.LOG_DIR / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as sink:
            done = subprocess.run(
                ["bash", "-c", readme.script(lines)],
                cwd=self.checkout,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=timeout_seconds,
                check=False,
            )
        return support.Run(done.returncode, log.read_text(encoding="utf-8", errors="replace"))
