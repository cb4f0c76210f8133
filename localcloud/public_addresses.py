# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EC2's public addresses: who has which.

moto makes up addresses that belong to somebody on the Internet. Here all of them are documentation space, no two
network interfaces share one, and one that was given back comes round as late as possible: SSH would warn of its key.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Mapping
from ipaddress import IPv4Address
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from localcloud import settings
from localcloud.api import Api
from localcloud.wire import Call

_KEPT_AS: Final = "_public_ip"


def next_address(last: IPv4Address | None, taken: Container[IPv4Address]) -> IPv4Address | None:
    """The first free address after the last one that was handed out; None where all are taken."""
    first, end = int(settings.FIRST_PUBLIC_ADDRESS), int(settings.LAST_PUBLIC_ADDRESS) + 1
    start = first if last is None else int(last) + 1
    turn = [*range(start, end), *range(first, start)]
    return next((address for address in map(IPv4Address, turn) if address not in taken), None)


class PublicAddresses:
    """Hands out the addresses in moto's place, and notices whenever one changes hands."""

    def __init__(self, api: Api) -> None:
        self.changed = threading.Event()
        self._api = api
        self._last: IPv4Address | None = None
        elastic_network_interfaces.random_public_ip = self._hand_out
        elastic_ip_addresses.random_ip = self._hand_out
        NetworkInterface.public_ip = property(_kept, self._keep)
        # An elastic address that its instance takes along into its grave changes hands without being set.
        api.hooks.register("ec2", "TerminateInstances", after=self._note_termination)

    def owners(self) -> Mapping[IPv4Address, IPv4Address]:
        """Each public address that leads somewhere → the private one that it leads to. Takes the API's lock."""
        with self._api.lock:
            interfaces = list(self._api.backends("ec2").enis.values())
            return {
                IPv4Address(interface.public_ip): IPv4Address(interface.private_ip_address)
                for interface in interfaces
                if interface.public_ip
            }

    def owner(self, address: IPv4Address) -> IPv4Address | None:
        """The private address behind a public one. Takes the API's lock."""
        return self.owners().get(address)

    def _hand_out(self) -> str:
        """Runs within a call, and so under the API's lock."""
        ec2 = self._api.backends("ec2")
        holders = [*ec2.enis.values(), *ec2.addresses]
        address = next_address(self._last, {IPv4Address(holder.public_ip) for holder in holders if holder.public_ip})
        if address is None:
            raise EC2ClientError(
                "InsufficientAddressCapacity", "Not enough available addresses to satisfy your minimum request."
            )
        self._last = address
        return str(address)

    def _keep(self, interface: Any, address: str | None) -> None:
        setattr(interface, _KEPT_AS, address)
        self.changed.set()

    def _note_termination(self, call: Call, result: Mapping[str, Any]) -> None:
        self.changed.set()


def _kept(interface: Any) -> str | None:
    address: str | None = getattr(interface, _KEPT_AS, None)
    return address
