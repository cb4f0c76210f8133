# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups: as text, and as what passes between real network namespaces."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from localcloud import fixes, settings
from localcloud.api import Api
from localcloud.security_groups import (
    EGRESS,
    EVERYWHERE,
    INGRESS,
    Group,
    Member,
    Rule,
    SecurityGroups,
    group_chain,
    read_groups,
    ruleset,
)
from tests.namespaces import OPEN, SILENT, Network, Place, network

# A region of its own, so that no other test sees what these leave behind.
REGION = "eu-central-1"

OPERATOR = IPv4Network("172.31.0.1/32")
API, WORKER, DATABASE = (IPv4Address(address) for address in ("172.31.5.4", "172.31.5.5", "172.31.241.1"))
OUT = (Rule("-1", None, None, EVERYWHERE),)
# As the role `network` makes them in stage test.
GROUPS = {
    "sg-api": Group((Rule("tcp", 22, 22, OPERATOR), Rule("tcp", 8000, 8000, "sg-worker")), OUT),
    "sg-worker": Group((Rule("tcp", 22, 22, OPERATOR),), OUT),
    "sg-database": Group((Rule("tcp", 5432, 5432, "sg-api"), Rule("tcp", 5432, 5432, "sg-worker")), OUT),
}
MEMBERS = (Member(API, ("sg-api",)), Member(WORKER, ("sg-worker",)), Member(DATABASE, ("sg-database",)))


# --- as text ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (Rule("tcp", 22, 22, OPERATOR), "ip saddr 172.31.0.1/32 tcp dport 22 accept"),
        (Rule("6", 22, 22, OPERATOR), "ip saddr 172.31.0.1/32 tcp dport 22 accept"),
        (Rule("udp", 1000, 2000, EVERYWHERE), "udp dport 1000-2000 accept"),
        (Rule("17", 53, 53, EVERYWHERE), "udp dport 53 accept"),
        (Rule("-1", None, None, EVERYWHERE), "accept"),
        (Rule("-1", None, None, IPv4Network("10.0.0.0/8")), "ip saddr 10.0.0.0/8 accept"),
        (Rule("icmp", -1, -1, EVERYWHERE), "meta l4proto icmp accept"),
        (Rule("1", 8, -1, EVERYWHERE), "icmp type 8 accept"),
        (Rule("icmp", 3, 4, EVERYWHERE), "icmp type 3 icmp code 4 accept"),
        (Rule("50", None, None, EVERYWHERE), "meta l4proto 50 accept"),
        (Rule("icmpv6", -1, -1, EVERYWHERE), None),
        (Rule("58", -1, -1, EVERYWHERE), None),
        (Rule("tcp", 80, 80, "sg-api"), "ip saddr { 172.31.5.4 } tcp dport 80 accept"),
        (Rule("tcp", 80, 80, "sg-two"), "ip saddr { 172.31.5.4, 172.31.5.5 } tcp dport 80 accept"),
        (Rule("tcp", 80, 80, "sg-nobody"), None),
    ],
)
def test_a_rule_becomes_a_line_or_nothing(rule: Rule, line: str | None) -> None:
    members = {WORKER: ("sg-two",), API: ("sg-api", "sg-two")}
    assert group_chain([rule], INGRESS, members) == ([] if line is None else [line])
    assert group_chain([rule], EGRESS, members) == ([] if line is None else [line.replace("saddr", "daddr")])


def test_of_two_at_one_address_the_later_one_counts() -> None:
    leaving, coming = Member(API, ("sg-worker",)), Member(API, ("sg-api",))
    assert ruleset(GROUPS, [leaving, coming]) == ruleset(GROUPS, [coming])


ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(sorted)
peers = st.one_of(
    st.builds(
        lambda address, prefix: IPv4Network((address, prefix), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    st.sampled_from(sorted(GROUPS)),
)
rules = st.one_of(
    st.builds(
        lambda name, pair, peer: Rule(name, pair[0], pair[1], peer), st.sampled_from(["tcp", "udp"]), ports, peers
    ),
    st.builds(
        lambda kind, code, peer: Rule("icmp", kind, code, peer), st.integers(-1, 255), st.integers(-1, 255), peers
    ),
    st.builds(lambda number, peer: Rule(str(number), None, None, peer), st.integers(18, 255), peers),
    st.builds(lambda peer: Rule("-1", None, None, peer), peers),
)
some_rules = st.lists(rules, max_size=6).map(tuple)
some_groups = st.fixed_dictionaries({name: st.builds(Group, some_rules, some_rules) for name in GROUPS})
some_members = st.lists(
    st.builds(
        lambda number, groups: Member(IPv4Address(int(API) + number), tuple(groups)),
        st.integers(0, 9),
        st.lists(st.sampled_from(sorted(GROUPS)), unique=True),
    ),
    max_size=6,
    unique_by=lambda member: member.address,
)


@hypothesis_settings(max_examples=40)
@given(some_groups, some_members, st.randoms())
def test_the_same_state_gives_the_same_text_in_whatever_order_it_comes(
    groups: dict[str, Group], members: list[Member], random: Any
) -> None:
    def mixed(items: Any) -> list[Any]:
        found = list(items)
        random.shuffle(found)
        return found

    other = {
        name: Group(tuple(mixed(group.ingress)), tuple(mixed(group.egress))) for name, group in mixed(groups.items())
    }
    turned = [Member(member.address, tuple(mixed(member.groups))) for member in mixed(members)]
    assert ruleset(other, turned) == ruleset(groups, members)


# --- between namespaces -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with network(API, WORKER, DATABASE) as made:
        listeners = [host.listen(port) for host in made.hosts for port in (22, 5432, 8000)]
        listeners.append(made.machine.listen(53))
        yield made
        for listener in listeners:
            listener.close()


@hypothesis_settings(max_examples=40)
@given(groups=some_groups, members=some_members)
def test_nftables_understands_whatever_groups_there_are(
    net: Network, groups: dict[str, Group], members: list[Member]
) -> None:
    net.load(ruleset(groups, members))


@pytest.fixture
def enforced(net: Network) -> Network:
    net.load(ruleset(GROUPS, MEMBERS))
    return net


def test_without_rules_everything_is_open(net: Network) -> None:
    """So that silence below is the rules' work and not the network's."""
    api, worker, database = net.hosts
    net.load(f"add table inet {settings.GROUPS_TABLE}\nflush table inet {settings.GROUPS_TABLE}\n")
    assert [place.connect(api, 22) for place in (net.machine, net.world, worker)] == [OPEN] * 3
    assert worker.connect(database, 5432) == worker.ping(api) == api.connect(net.machine, 53) == OPEN


def test_what_a_group_opens_is_open_to_whom_it_says_and_silent_to_all_others(enforced: Network) -> None:
    machine, world = enforced.machine, enforced.world
    api, worker, database = enforced.hosts
    wanted = [
        (machine, api, 22, OPEN),
        (machine, worker, 22, OPEN),
        (worker, api, 8000, OPEN),
        (worker, database, 5432, OPEN),
        (api, database, 5432, OPEN),
        (machine, api, 8000, SILENT),
        (machine, database, 5432, SILENT),
        (worker, api, 22, SILENT),
        (api, worker, 8000, SILENT),
        (database, api, 8000, SILENT),
        (world, api, 22, SILENT),
        (world, database, 5432, SILENT),
    ]
    assert [(source, to, port, source.connect(to, port)) for source, to, port, _ in wanted] == wanted


def test_another_address_of_the_same_machine_is_another_client(enforced: Network) -> None:
    assert enforced.machine.connect(enforced.hosts[0], 22, source=settings.RESOLVER) == SILENT


def test_an_open_port_where_nobody_listens_says_so(enforced: Network) -> None:
    opened = {**GROUPS, "sg-api": Group((Rule("tcp", 23, 23, OPERATOR),), OUT)}
    enforced.load(ruleset(opened, MEMBERS))
    assert "refused" in enforced.machine.connect(enforced.hosts[0], 23)


def test_the_clouds_own_look_passes(enforced: Network) -> None:
    database = enforced.hosts[2]
    assert enforced.machine.connect(database, 22) == SILENT
    assert enforced.machine.connect(database, 22, mark=settings.CONTROL_MARK) == OPEN


def test_whoever_is_nobodys_member_is_closed_both_ways(net: Network) -> None:
    api, worker, _ = net.hosts
    net.load(ruleset({**GROUPS, "sg-worker": Group((Rule("-1", None, None, EVERYWHERE),), OUT)}, [MEMBERS[1]]))
    assert (net.machine.connect(api, 22), net.machine.connect(worker, 22)) == (SILENT, OPEN)
    assert (api.connect(worker, 22), api.connect(net.machine, 53)) == (SILENT, SILENT)


def test_echo_requests_have_rules_of_their_own(enforced: Network) -> None:
    api, worker, _ = enforced.hosts
    assert worker.ping(api) == SILENT
    enforced.load(ruleset({**GROUPS, "sg-api": Group((Rule("icmp", 8, -1, "sg-worker"),), OUT)}, MEMBERS))
    assert (worker.ping(api), enforced.world.ping(api)) == (OPEN, SILENT)


def test_what_leaves_is_judged_too_but_names_always_answer(enforced: Network) -> None:
    api, worker, database = enforced.hosts
    only_database = Group(GROUPS["sg-worker"].ingress, (Rule("tcp", 5432, 5432, "sg-database"),))
    enforced.load(ruleset({**GROUPS, "sg-worker": only_database}, MEMBERS))
    assert (worker.connect(database, 5432), worker.connect(api, 8000)) == (OPEN, SILENT)
    resolver = Place(enforced.machine.namespace, settings.RESOLVER)
    assert (worker.connect(resolver, 53), worker.connect(enforced.machine, 53)) == (OPEN, SILENT)
    # Answers to what came in leave whatever the rules say.
    assert enforced.machine.connect(worker, 22) == OPEN


def test_a_connection_that_is_there_goes_on_after_its_rule(enforced: Network) -> None:
    """As at AWS, which tracks it."""
    machine, api = enforced.machine, enforced.hosts[0]

    def connected() -> socket.socket:
        return socket.create_connection((str(api.address), 22), timeout=20, source_address=(str(machine.address), 0))

    with machine.inside(connected) as client:
        enforced.load(ruleset({**GROUPS, "sg-api": Group((), OUT)}, MEMBERS))
        assert machine.connect(api, 22) == SILENT
        client.sendall(b"still there")
        deadline = time.monotonic() + 20
        while unacknowledged(client):
            assert time.monotonic() < deadline, "nobody acknowledged it"
            time.sleep(0.01)


def unacknowledged(client: socket.socket) -> int:
    """Bytes that the other side has not acknowledged yet: TCP_INFO's tcpi_unacked."""
    return int.from_bytes(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[24:28], "little")


# --- from the control plane ---------------------------------------------------------------------------------------


class Holds:
    """Whoever a test says is there."""

    def __init__(self) -> None:
        self.there: list[Member] = []

    def members(self) -> list[Member]:
        return self.there


class Account:
    """A control plane whose groups are enforced in the namespaces."""

    def __init__(self, load: Callable[[str], None]) -> None:
        self.api = Api()
        fixes.install(self.api)
        self.holds = Holds()
        self.groups = SecurityGroups(self.api, [self.holds], load=load)
        self.api.start()
        self.groups.start()
        self.ec2 = boto3.client(
            "ec2",
            endpoint_url=f"http://{settings.API_HOST}:{self.api.port}",
            region_name=REGION,
            aws_access_key_id=settings.OPERATOR_ACCESS_KEY,
            aws_secret_access_key=settings.OPERATOR_SECRET_KEY,
        )

    def group(self, name: str) -> str:
        return str(self.ec2.create_security_group(GroupName=name, Description=name)["GroupId"])

    def launch(self, **parameters: Any) -> Any:
        image = self.ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"][0]
        run = self.ec2.run_instances(
            ImageId=image["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1, **parameters
        )
        return run["Instances"][0]["InstanceId"]

    def groups_of(self, instance_id: str) -> tuple[list[str], list[str]]:
        """As the instance shows them, and as its interface does."""
        found = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        interface = self.ec2.describe_network_interfaces(
            NetworkInterfaceIds=[found["NetworkInterfaces"][0]["NetworkInterfaceId"]]
        )["NetworkInterfaces"][0]
        return [one["GroupId"] for one in found["SecurityGroups"]], [one["GroupId"] for one in interface["Groups"]]


@pytest.fixture
def account(net: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setattr(settings, "REGION", REGION)
    monkeypatch.setattr(settings, "API_PORT", 0)
    made = Account(net.load)
    yield made
    made.groups.stop()
    made.api.stop()


def ssh_from(cidr: str) -> list[dict[str, Any]]:
    return [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": cidr}]}]


def becomes(wanted: str, attempt: Callable[[], str]) -> bool:
    """Whether an attempt ends like this soon after the call before it; a busy machine has its time."""
    deadline = time.monotonic() + 20
    while (found := attempt()) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return found == wanted


def test_every_change_in_the_control_plane_acts_by_itself(account: Account, net: Network) -> None:
    ec2, api = account.ec2, net.hosts[0]
    group, other = account.group("acts"), account.group("acts-other")

    def attempt() -> str:
        return net.machine.connect(api, 22)

    assert attempt() == SILENT
    account.holds.there = [Member(API, (group,))]
    account.groups.changed()
    assert attempt() == SILENT
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=ssh_from("172.31.0.1/32"))
    assert becomes(OPEN, attempt)
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=ssh_from("172.31.0.1/32"))
    assert becomes(SILENT, attempt)

    from_other = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=from_other)
    account.holds.there.append(Member(WORKER, (other,)))
    account.groups.changed()
    assert becomes(OPEN, lambda: net.hosts[1].connect(api, 22))
    account.holds.there.pop()
    account.groups.changed()
    assert becomes(SILENT, lambda: net.hosts[1].connect(api, 22))

    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=ssh_from("172.31.0.2/32"))
    listed = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    (rule_id,) = (rule["SecurityGroupRuleId"] for rule in listed if rule.get("CidrIpv4") == "172.31.0.2/32")
    changed = {"IpProtocol": "6", "FromPort": 22, "ToPort": 22, "CidrIpv4": "172.31.0.1/32"}
    ec2.modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": changed}]
    )
    assert becomes(OPEN, attempt)


def test_reading_changes_nothing_and_rules_that_nftables_refuses_leave_those_before(net: Network) -> None:
    loaded: list[str] = []
    api = Api()
    groups = SecurityGroups(api, [], load=loaded.append)
    groups.start()
    groups.changed()
    time.sleep(0.1)
    groups.stop()
    assert len(loaded) == 1
    net.load(ruleset(GROUPS, MEMBERS))
    with pytest.raises(Exception, match="nft"):
        net.load(ruleset(GROUPS, MEMBERS).replace("drop", "dorp"))
    assert net.machine.connect(net.hosts[0], 22) == OPEN


def test_a_rule_about_a_prefix_list_is_refused(account: Account) -> None:
    group = account.group("lists")
    listed = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "PrefixListIds": [{"PrefixListId": "pl-1"}]}]
    for authorize in (account.ec2.authorize_security_group_ingress, account.ec2.authorize_security_group_egress):
        with pytest.raises(ClientError, match="NotImplemented"):
            authorize(GroupId=group, IpPermissions=listed)


def test_rules_are_read_as_they_are_kept(account: Account) -> None:
    group, other = account.group("read"), account.group("read-other")
    permissions = [
        {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
         "Ipv6Ranges": [{"CidrIpv6": "::/0"}], "UserIdGroupPairs": [{"GroupId": other}]},
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    ]  # fmt: skip
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
    account.ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="udp", FromPort=5, ToPort=5, CidrIp="10.0.0.1/32"
    )
    account.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=permissions[1:])
    with account.api.lock:
        found = read_groups(account.api.backends("ec2"))[group]
    assert set(found.ingress) == {
        Rule("tcp", 1, 2, IPv4Network("10.0.0.0/8")),
        Rule("tcp", 1, 2, other),
        Rule("-1", None, None, EVERYWHERE),
        Rule("udp", 5, 5, IPv4Network("10.0.0.1/32")),
    }
    assert found.egress == ()


def test_an_instance_and_its_interface_have_the_same_groups(account: Account) -> None:
    ec2, first, second = account.ec2, account.group("same-1"), account.group("same-2")
    (default,) = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert [pair["GroupId"] for rule in default["IpPermissions"] for pair in rule["UserIdGroupPairs"]] == [
        default["GroupId"]
    ]
    assert account.groups_of(account.launch()) == ([default["GroupId"]],) * 2
    interface = {"DeviceIndex": 0, "Groups": [first], "AssociatePublicIpAddress": True}
    instance = account.launch(NetworkInterfaces=[interface])
    assert account.groups_of(instance) == ([first], [first])
    ec2.modify_instance_attribute(InstanceId=instance, Groups=[second])
    assert account.groups_of(instance) == ([second], [second])
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    name = found["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=name, Groups=[first])
    assert account.groups_of(instance) == ([first], [first])
    with pytest.raises(ClientError, match=r"InvalidGroup\.NotFound"):
        ec2.modify_instance_attribute(InstanceId=instance, Groups=["sg-00000000000000000"])
