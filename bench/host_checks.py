# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peer of the host part: the same promises as those of our roles, as operations of pyinfra.

pyinfra -y build/bench/inventory.py bench/host_checks.py
"""

from __future__ import annotations

from io import StringIO

from pyinfra.context import host
from pyinfra.operations import dnf, files, server, systemd

SWAP_FILE = f"/var/swap/{host.name}"
AS_ROOT = {"_sudo": True, "user": "root", "group": "root"}

files.file(path=SWAP_FILE, mode="600", **AS_ROOT)
files.line(path="/etc/fstab", line=f"{SWAP_FILE} none swap sw 0 0", _sudo=True)
server.shell(commands=[f"swapon --show=NAME --noheadings | grep --quiet {SWAP_FILE}"], _sudo=True)

if "video" in host.name:
    server.mount(path="/mnt/transcode", mounted=True, _sudo=True)
    files.line(path="/etc/fstab", line=r"UUID=.* /mnt/transcode xfs defaults,noatime,nofail 0 0", _sudo=True)
    files.directory(path="/mnt/transcode", mode="1777", **AS_ROOT)

dnf.packages(packages=["docker", "amazon-ecr-credential-helper", "python3-requests"], _sudo=True)
for path, mode in (("/etc/docker", "755"), ("/root/.docker", "700"), ("/etc/academy", "700")):
    files.directory(path=path, mode=mode, **AS_ROOT)
for path, content in host.data.contents[host.name].items():
    mode = "600" if path.endswith("config.json") else "644"
    files.put(src=StringIO(content), dest=path, mode=mode, **AS_ROOT)
systemd.service(service="docker.service", running=True, enabled=True, _sudo=True)

if "/etc/academy/watchdog.json" in host.data.contents[host.name]:
    files.directory(path="/usr/local/lib/academy", mode="755", **AS_ROOT)
    for unit in ("academy-release.service", "academy-watchdog.timer", "academy-spot-notice.service"):
        systemd.service(service=unit, running=True, enabled=True, _sudo=True)

CONTAINERS = {
    "-api-": "academy-api",
    "-messaging-": "academy-messaging-worker",
    "-video-": "academy-video-worker",
    "-ai-": "academy-ai-worker-cpu",
}
for part, container in CONTAINERS.items():
    if part in host.name:
        files.file(path=f"/etc/academy/{container}.env", mode="600", **AS_ROOT)
        if "worker" in container:
            files.directory(path=f"/run/academy/{container}", mode="1777", **AS_ROOT)
        server.shell(commands=[f"docker ps --format '{{{{.Names}}}}' | grep --quiet '^{container}'"], _sudo=True)

if "-api-" in host.name:
    server.shell(
        commands=[
            "docker run --rm --pull=never --env-file=/etc/academy/academy-api.env"
            # By the image's own number: of one that was pulled by digest Docker tells no name that it would know again.
            " $(docker inspect --format '{{.Image}}' $(docker ps --quiet --filter name=academy-api-))"
            " python manage.py migrate --check",
            "curl --silent --fail http://localhost:8000/health",
        ],
        _sudo=True,
    )
