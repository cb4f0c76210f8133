# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the story's cloud: a Docker engine behind ssh:// builds, with the ssh of this machine and without paramiko."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from localcloud import settings
from tests import support
from tests.e2e.test_story import API_HOST

IMAGE = "academy-behind-ssh"
SSH_CONFIG = """\
Host builder
  HostName {address}
  User ec2-user
  IdentityFile {key}
  StrictHostKeyChecking accept-new
  UserKnownHostsFile {known_hosts}
"""


def module(directory: Path, name: str, arguments: dict[str, object]) -> support.Run:
    """Run a module of community.docker as roles/images does, with the operator's ssh configuration."""
    return support.run(
        str(Path(sys.executable).with_name("ansible")), "localhost", "-i", "localhost,", "-c", "local",
        "-e", f"ansible_python_interpreter={sys.executable}", "-m", f"community.docker.{name}",
        "-a", json.dumps({"docker_host": "ssh://builder", "use_ssh_client": True, **arguments}),
        name=f"engine-{name}", environment={"PATH": f"{directory}:{os.environ['PATH']}"}, timeout_seconds=120,
    )  # fmt: skip


def test_an_engine_behind_ssh_builds_with_the_ssh_of_this_machine(tmp_path: Path) -> None:
    host = support.instance(API_HOST)
    # OpenSSH reads the configuration of the user, wherever HOME is.
    config = tmp_path / "config"
    config.write_text(
        SSH_CONFIG.format(address=host["address"], key=settings.OPERATOR_KEY, known_hosts=tmp_path / "known_hosts"),
        encoding="utf-8",
    )
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n', encoding="utf-8")
    ssh.chmod(0o755)
    source = tmp_path / "source"
    source.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n", encoding="utf-8")
    # Whoever builds must be allowed to; on the hosts nobody is.
    assert support.on_host(host["instance_id"], "usermod", "-aG", "docker", "ec2-user").returncode == 0
    try:
        told = module(tmp_path, "docker_host_info", {}).expect()
        assert f"Name: ip-{str(host['address']).replace('.', '-')}" in told.output
        module(tmp_path, "docker_image", {"name": IMAGE, "source": "build", "build": {"path": str(source)}}).expect()
        assert support.on_host(host["instance_id"], "docker", "image", "inspect", IMAGE).returncode == 0
    finally:
        support.on_host(host["instance_id"], "docker", "image", "rm", "--force", IMAGE)
        support.on_host(host["instance_id"], "gpasswd", "--delete", "ec2-user", "docker")
