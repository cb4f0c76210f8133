# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a real PostgreSQL has room for the connections of a second API, as the trial of a new image asks it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from plugins.module_utils.opening import health_trial

BIN = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=Path("/nowhere/initdb")).parent
pytestmark = pytest.mark.skipif(not BIN.exists(), reason="PostgreSQL is not installed: apt-get install postgresql")
# For everybody, three less than these.
CONNECTIONS = 15
START_SECONDS = 30
MANAGE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DATABASES={{"default": {{
    "ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": {port}, "NAME": "postgres",
    "USER": "api"}}}})
urlpatterns = [path("health", lambda request: HttpResponse())]
execute_from_command_line(sys.argv)
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server whose user is none of the administrators, for whom some connections are kept."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = int(probe.getsockname()[1])
    # It refuses to run as root, and pytest's own directories are closed to others.
    directory = Path(
        subprocess.run(["mktemp", "--directory"], capture_output=True, text=True, check=True).stdout.strip()
    )
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(directory, "nobody", "nogroup")
    data = str(directory / "data")
    options = [f"--port={found}", f"--max_connections={CONNECTIONS}", f"--unix_socket_directories={directory}"]
    initialize = ["initdb", "--pgdata", data, "--auth=trust", "--username=administrator", "--no-sync"]
    quiet = subprocess.DEVNULL
    try:
        subprocess.run([*as_user, BIN / initialize[0], *initialize[1:]], stdout=quiet, check=True, cwd="/")
        with subprocess.Popen([*as_user, BIN / "postgres", "-D", data, *options], stderr=quiet, cwd="/") as server:
            try:
                connect(found, "administrator", START_SECONDS).execute("CREATE USER api").connection.close()
                yield found
            finally:
                server.terminate()
    finally:
        shutil.rmtree(directory)


def connect(port: int, user: str, seconds: float = 0) -> psycopg.Connection[tuple[object, ...]]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(f"host=127.0.0.1 port={port} user={user} dbname=postgres", autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def wait_until_all_are_gone(port: int) -> None:
    """A connection that was closed is one for a moment still."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    deadline = time.monotonic() + START_SECONDS
    with connect(port, "administrator") as connection:
        while connection.execute(count).fetchone() != (1,):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize(("held", "fits"), [(0, True), (6, True), (7, False)])
def test_a_second_api_needs_as_many_connections_as_the_first_one(
    tmp_path: Path, port: int, held: int, fits: bool
) -> None:
    (tmp_path / "manage.py").write_text(MANAGE.format(port=port), encoding="utf-8")
    _, *arguments = health_trial("/health", "172.31.0.10")
    wait_until_all_are_gone(port)
    with ExitStack() as stack:
        for _ in range(held):
            stack.enter_context(connect(port, "api", 5))
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is fits, done.stderr
    told = f"room for 12 connections, of which {held} are in use, {held} from this host: too few for a second API"
    assert (told in done.stderr) is not fits
