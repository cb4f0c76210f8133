# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the story's cloud: a Docker engine behind ssh:// builds, with the ssh of this machine and without paramiko."""

from __future__ import annotations

import os
import shutil
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
    """Run a module as roles/images does, with the operator's ssh configuration."""
    environment = {"PATH": f"{directory}:{os.environ['PATH']}"}
    arguments = {"docker_host": "ssh://builder", **arguments}
    return support.module(name, arguments, name=f"engine-{name.rpartition('.')[2]}", environment=environment)


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
        told = module(tmp_path, "community.docker.docker_host_info", {"use_ssh_client": True}).expect()
        assert f"Name: ip-{str(host['address']).replace('.', '-')}" in told.output
        build: dict[str, object] = {
            "name": IMAGE, "tag": "latest", "path": str(source), "dockerfile": "Dockerfile",
            "platform": "linux/amd64", "docker_cli": "/usr/bin/docker",
        }  # fmt: skip
        module(tmp_path, "academy.deploy.image_build", build).expect()
        again = module(tmp_path, "academy.deploy.image_build", build).expect()
        assert "changed: false" in again.output
        assert support.on_host(host["instance_id"], "docker", "image", "inspect", IMAGE).returncode == 0
    finally:
        support.on_host(host["instance_id"], "docker", "image", "rm", "--force", IMAGE)
        support.on_host(host["instance_id"], "gpasswd", "--delete", "ec2-user", "docker")
