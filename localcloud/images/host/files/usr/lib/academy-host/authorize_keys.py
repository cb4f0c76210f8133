#!/usr/bin/python3
# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the key pair of the instance log in, as cloud-init does: ask the metadata service (IMDSv2) for its public keys.

The service may still be on its way when the host boots, so it is asked again until it answers.
"""

from __future__ import annotations

import os
import pwd
import time
import urllib.error
import urllib.request
from pathlib import Path

METADATA = "http://169.254.169.254/latest"
USER = "ec2-user"
PATIENCE_SECONDS = 120
PAUSE_SECONDS = 0.5


def fetch(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> str:
    request = urllib.request.Request(f"{METADATA}/{path}", method=method, headers=headers or {})
    # The metadata service is on the link; a proxy that the environment may name cannot know it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=5) as answer:
        return str(answer.read().decode())


def key_indices(listing: str) -> list[str]:
    """The indices in a listing of public keys, whose lines read <index>=<name>."""
    return [line.split("=", 1)[0] for line in listing.split("\n") if line]


def merged(present: str, keys: list[str]) -> str:
    """The authorized keys with these added; whatever else somebody put there stays."""
    lines = present.removesuffix("\n").split("\n") if present else []
    return "".join(f"{line}\n" for line in [*lines, *(key for key in keys if key not in lines)])


def instance_keys() -> list[str]:
    token = {"X-aws-ec2-metadata-token": fetch("api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "300"})}
    try:
        listing = fetch("meta-data/public-keys/", headers=token)
    except urllib.error.HTTPError as error:
        if error.code == 404:  # an instance without a key pair
            return []
        raise
    return [
        fetch(f"meta-data/public-keys/{index}/openssh-key", headers=token).strip() for index in key_indices(listing)
    ]


def patiently_instance_keys() -> list[str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return instance_keys()
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"The metadata service gave no public key in {PATIENCE_SECONDS} s: {error}") from error
        time.sleep(PAUSE_SECONDS)


def main() -> None:
    user = pwd.getpwnam(USER)
    directory = Path(user.pw_dir) / ".ssh"
    authorized = directory / "authorized_keys"
    directory.mkdir(mode=0o700, exist_ok=True)
    present = authorized.read_text() if authorized.exists() else ""
    authorized.write_text(merged(present, patiently_instance_keys()))
    authorized.chmod(0o600)
    for path in (directory, authorized):
        os.chown(path, user.pw_uid, user.pw_gid)


if __name__ == "__main__":
    main()
