# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded cloud's API alone, without hosts, databases and registry behind it: a free account within a second.

python -m tests.integration.provision.control_plane <port>

Ends with its standard input, so that it never outlives the tests, whatever ends them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from localcloud import databases, fixes, settings, strict
from localcloud.api import Api
from localcloud.wire import Call


def show_gp3_performance(api: Api) -> None:
    """A gp3 database says how fast its storage is, as the databases of the whole cloud do; rds_instance reads it."""

    def complete(call: Call, result: Mapping[str, Any]) -> None:
        for instance in api.backends("rds").databases.values():
            instance.iops, instance.storage_throughput = databases.GP3_IOPS, databases.GP3_THROUGHPUT

    api.hooks.register("rds", "CreateDBInstance", after=complete)


def main(port: int) -> None:
    settings.API_PORT = port  # type: ignore[misc]  # final everywhere else: there is one cloud, and this is none
    api = Api()
    fixes.install(api)
    strict.install(api)
    show_gp3_performance(api)
    api.start()
    api.ready()
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
