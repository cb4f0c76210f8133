#!/usr/bin/python
# Copyright: academy.deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: proxy_switch
short_description: Let another server of a running HAProxy serve, without losing a request
description:
  - Writes the wanted server down in HAProxy's configuration, then moves the traffic over the socket of the HAProxy that
    runs. The other servers get no new requests, end those that they have, and are then closed.
  - The configuration comes first, so that after a crash, a boot or a reload the wanted server serves. What is missing
    of the rest is made up for by the next run.
  - Never reloads HAProxy. It refuses where HAProxy does not run, or runs with other servers than are wanted.
version_added: 0.1.0
extends_documentation_fragment:
  - academy.deploy.attributes.writes
author:
  - academy.deploy contributors (@academy)
attributes:
  diff_mode:
    description: Shows the configuration, before and after.
    support: full
options:
  server:
    description: Which of O(servers) is to serve. That it answers has been seen before.
    type: str
    required: true
  servers:
    description: The servers by name, each a port of the loopback interface.
    type: dict
    required: true
  port:
    description: The port at which HAProxy listens.
    type: int
    required: true
  path:
    description: Absolute path of HAProxy's configuration.
    type: path
    default: /etc/haproxy/haproxy.cfg
  socket:
    description: Absolute path of the socket at which HAProxy takes orders.
    type: path
    default: /var/lib/haproxy/stats
  backend:
    description: Name of the backend that has the servers.
    type: str
    default: api
  drain_seconds:
    description: How long the other servers may take to end their requests. What is left then is cut off.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Let the container that was just started serve
  academy.deploy.proxy_switch:
    server: green
    servers: {blue: 8001, green: 8002}
    port: 8000
"""

RETURN = r"""
serving:
  description: The server that serves, or in check mode would.
  type: str
  returned: success
  sample: green
drained:
  description: The servers that were open beside it, and were closed, or in check mode would be.
  type: list
  elements: str
  returned: success
  sample: [blue]
sessions_left:
  description: How many requests had not ended after O(drain_seconds), and were cut off.
  type: int
  returned: success
  sample: 0
drain_seconds_taken:
  description: How long it took until no other server had a request.
  type: float
  returned: success
  sample: 0.41
"""

import os
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host_storage import read_text
from ..module_utils.proxy import BACKEND, PATH, SOCKET, ServerState, configuration, refusal
from ..module_utils.proxy_socket import ask, read_servers

POLL_SECONDS = 0.15


class SwitchError(Exception):
    """HAProxy does not do what it is to do."""


class Runtime:
    """The servers of the HAProxy that runs."""

    def __init__(self, socket: str, backend: str) -> None:
        self._socket = socket
        self._backend = backend

    def servers(self) -> dict[str, ServerState]:
        return read_servers(self._socket, self._backend)

    def order(self, orders: list[str]) -> None:
        """All at once: there is no moment in which nobody serves."""
        if orders:
            said = refusal(ask(self._socket, "; ".join(orders)))
            if said:
                raise SwitchError(f"HAProxy refuses {'; '.join(orders)}: {said}")

    def to(self, state: str, server: str) -> str:
        return f"set server {self._backend}/{server} state {state}"

    def drain(self, servers: list[str], seconds: float) -> tuple[dict[str, int], float]:
        """Wait for their requests to end. How many are left of each, and how long it took."""
        began = time.monotonic()
        while True:
            # Slept first: a request for which a server had been chosen already shows by then.
            time.sleep(max(0.0, min(POLL_SECONDS, began + seconds - time.monotonic())))
            found = self.servers()
            left = {name: found[name].sessions for name in servers if name in found and found[name].sessions}
            taken = time.monotonic() - began
            if not left or taken >= seconds:
                return left, taken

    def close(self, servers: list[str], left: dict[str, int]) -> None:
        cut = [f"shutdown sessions server {self._backend}/{name}" for name in left]
        self.order([*cut, *(self.to("maint", name) for name in servers)])


def read_runtime(runtime: Runtime, socket: str, ports: dict[str, int]) -> dict[str, ServerState]:
    """The servers of the HAProxy that runs, if they are those that are wanted."""
    try:
        found = runtime.servers()
    except OSError as error:
        raise SwitchError(
            f"HAProxy does not listen at {socket} ({error.strerror or error}), and nothing was changed. `systemctl "
            "status haproxy` says why it does not run, and `systemctl restart haproxy` starts it; then run this again."
        ) from error
    wrong = [
        f"{name} (127.0.0.1:{port})" for name, port in ports.items() if name not in found or found[name].port != port
    ]
    if wrong:
        raise SwitchError(
            f"The HAProxy that runs does not have the servers {', '.join(wrong)}, and nothing was changed. Write its "
            "configuration with them, then `systemctl reload haproxy`."
        )
    return found


def write(module: AnsibleModule, text: str, path: str, replaces: bool) -> None:
    """Replace the configuration all at once, if HAProxy takes it."""
    descriptor, name = tempfile.mkstemp(dir=module.tmpdir, suffix=".cfg")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        status, out, err = module.run_command([module.get_bin_path("haproxy", required=True), "-c", "-f", name])
        if status:
            raise SwitchError(f"HAProxy refuses its configuration, and nothing was changed: {(err or out).strip()}")
        if replaces:
            os.chmod(name, 0o644)
            module.atomic_move(name, path)
            # It keeps the mode of a file that was there, and applies the umask to one that was not.
            os.chmod(path, 0o644)
    finally:
        if os.path.exists(name):
            os.unlink(name)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "server": {"type": "str", "required": True},
            "servers": {"type": "dict", "required": True},
            "port": {"type": "int", "required": True},
            "path": {"type": "path", "default": PATH},
            "socket": {"type": "path", "default": SOCKET},
            "backend": {"type": "str", "default": BACKEND},
            "drain_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C"}
    try:
        module.exit_json(**switch(module))
    except (OSError, ValueError, SwitchError) as error:
        module.fail_json(msg=str(error))


def switch(module: AnsibleModule) -> dict[str, object]:
    asked = module.params
    server, path, socket, backend = asked["server"], asked["path"], asked["socket"], asked["backend"]
    ports = {name: int(port) for name, port in asked["servers"].items()}
    wanted = configuration(asked["port"], ports, server, backend=backend, socket=socket)
    before = read_text(path)
    runtime = Runtime(socket, backend)
    try:
        found = read_runtime(runtime, socket, ports)
    except SwitchError:
        # Before its first real run there is no HAProxy that could be asked.
        if not module.check_mode:
            raise
        found = {}
    if before != wanted and (not module.check_mode or module.get_bin_path("haproxy")):
        write(module, wanted, path, replaces=not module.check_mode)
    orders = [runtime.to("ready", server)] if found and found[server].state != "ready" else []
    drained = [name for name, shown in found.items() if name != server and shown.state != "maint"]
    orders += [runtime.to("drain", name) for name in drained if found[name].state != "drain"]
    left: dict[str, int] = {}
    taken = 0.0
    if not module.check_mode:
        runtime.order(orders)
        if drained:
            left, taken = runtime.drain(drained, asked["drain_seconds"])
            runtime.close(drained, left)
    return {
        "changed": before != wanted or bool(orders or drained),
        "serving": server,
        "drained": drained,
        "sessions_left": sum(left.values()),
        "drain_seconds_taken": round(taken, 2),
        "diff": {"before_header": path, "after_header": path, "before": before, "after": wanted},
    }


if __name__ == "__main__":
    main()
