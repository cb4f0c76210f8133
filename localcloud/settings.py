# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every address, name and path of the embedded cloud, written once."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

# --- the account that the embedded cloud plays -------------------------------------------------------------------

ACCOUNT_ID: Final = "123456789012"
REGION: Final = "ap-northeast-2"
# Not secret. Long and unlike any word, because Ansible masks every equal string in its output (no_log).
OPERATOR_ACCESS_KEY: Final = "LOCALCLOUDOPERATOR01"
OPERATOR_SECRET_KEY: Final = "embedded-cloud-operator-key-not-a-secret"

# --- the AWS API, plain HTTP on the loopback interface ------------------------------------------------------------

API_HOST: Final = "127.0.0.1"
API_PORT: Final = 4599
API_URL: Final = f"http://{API_HOST}:{API_PORT}"
ACCOUNT_PAGE: Final = "account"  # below /_localcloud/, for what the account is like
SPOT_PAGE: Final = "spot"  # below /_localcloud/, for orders to interrupt an instance

# --- schedules ------------------------------------------------------------------------------------------------------

# EventBridge knows no interval below a minute, and nobody waits for that here.
SCHEDULE_MINUTE_SECONDS: Final = 10.0

# --- the network: moto's default VPC, made real -------------------------------------------------------------------

NETWORK_NAME: Final = "academy-localcloud"
BRIDGE: Final = "academy-lc0"
VPC_CIDR: Final = IPv4Network("172.31.0.0/16")
GATEWAY: Final = IPv4Address("172.31.0.1")
RESOLVER: Final = IPv4Address("172.31.0.2")  # also the TLS front: as in a VPC, .2 is the resolver
METADATA_BACKEND: Final = IPv4Address("172.31.0.3")
BRIDGE_ADDRESSES: Final = (RESOLVER, METADATA_BACKEND)  # added to the bridge beside the gateway
DNS_PORT: Final = 53
FRONT_PORT: Final = 443
# On packets by which the cloud itself looks whether a host is up: a security group is none of its business.
CONTROL_MARK: Final = 0x61636164

METADATA_ADDRESS: Final = IPv4Address("169.254.169.254")
METADATA_PORT: Final = 80

# moto's subnets end below these.
SERVICES_CIDR: Final = IPv4Network("172.31.240.0/20")
REGISTRY_ADDRESS: Final = IPv4Address("172.31.240.2")
BUILDER_ADDRESS: Final = IPv4Address("172.31.240.3")
BALANCER_INTERFACE: Final = "academy-lb0"  # this machine's end of the load balancers' wire
DATABASES_CIDR: Final = IPv4Network("172.31.241.0/24")  # handed out from .1

# --- the public side: documentation space, so that no address here ever means somebody on the Internet --------------

PUBLIC_CIDR: Final = IPv4Network("203.0.113.0/24")
# All of it that this machine itself reaches over the wire; the rest it may reach elsewhere, and does in some networks.
WIRE_CIDR: Final = IPv4Network("203.0.113.0/29")
OPERATOR_GATEWAY: Final = IPv4Address("203.0.113.1")  # this machine, as the operator's machine sees it
OPERATOR_ADDRESS: Final = IPv4Address("203.0.113.2")
STRANGER_ADDRESS: Final = IPv4Address("203.0.113.3")  # a second address there, to try what somebody else may do
FIRST_PUBLIC_ADDRESS: Final = IPv4Address("203.0.113.16")
LAST_PUBLIC_ADDRESS: Final = IPv4Address("203.0.113.191")
OPERATOR_INTERFACE: Final = "academy-op0"  # this machine's end of the wire
PUBLIC_TABLE: Final = "academy_localcloud_public"  # of nftables

# --- AWS names that the resolver and the front answer for ---------------------------------------------------------

AWS_DOMAIN: Final = "amazonaws.com"
AWS_API_DOMAIN: Final = "api.aws"  # the newest services have no other
CHECKIP_HOST: Final = f"checkip.{AWS_DOMAIN}"  # tells a caller its own address
STORAGE_DOMAIN: Final = "r2.cloudflarestorage.com"
STORAGE_HOST: Final = f"s3.{REGION}.{AWS_DOMAIN}"  # plays it
REGISTRY_HOST: Final = f"{ACCOUNT_ID}.dkr.ecr.{REGION}.{AWS_DOMAIN}"
DATABASE_DOMAIN: Final = f"{REGION}.rds.{AWS_DOMAIN}"
INTERNAL_DOMAIN: Final = f"{REGION}.compute.internal"
PUBLIC_DOMAIN: Final = f"{REGION}.compute.{AWS_DOMAIN}"

# --- labels: how the cloud finds again what it made ---------------------------------------------------------------

LABEL: Final = "academy.localcloud"
LABEL_VALUE: Final = "true"
LABEL_INSTANCE: Final = f"{LABEL}.instance"
LABEL_KIND: Final = f"{LABEL}.kind"
KIND_INSTANCE: Final = "instance"
KIND_REGISTRY: Final = "registry"
KIND_BUILDER: Final = "builder"
KIND_DATABASE: Final = "database"
FIREWALL_COMMENT: Final = "academy-localcloud"
GROUPS_TABLE: Final = "academy-localcloud"  # of nftables; it holds what the security groups say

# --- files --------------------------------------------------------------------------------------------------------

STATE_DIR: Final = Path("/var/lib/academy-localcloud")
CA_CERTIFICATE: Final = STATE_DIR / "ca.pem"
CA_KEY: Final = STATE_DIR / "ca.key"
OPERATOR_KEY: Final = STATE_DIR / "operator" / "id_ed25519"
LOG_DIR: Final = STATE_DIR / "log"
LOG_FILE: Final = LOG_DIR / "localcloud.log"
MADE_FILE: Final = STATE_DIR / "made"  # there from before a cloud makes anything until all of it is removed
DISKS_DIR: Final = STATE_DIR / "disks"  # one sparse file per EBS volume
INSTANCES_DIR: Final = STATE_DIR / "instances"  # one directory per instance, bind-mounted at HOST_BOOT_DIR

RUNTIME_DIR: Final = Path("/run/academy-localcloud")
LOCK_FILE: Final = RUNTIME_DIR / "lock"
OPERATOR_USER_KEYS: Final = RUNTIME_DIR / "operator.json"  # of the user whom policies limit
PID_FILE: Final = RUNTIME_DIR / "pid"
STATUS_FILE: Final = RUNTIME_DIR / "status.json"
LXCFS_DIR: Final = RUNTIME_DIR / "lxcfs"
FUNCTIONS_DIR: Final = RUNTIME_DIR / "functions"  # the code of each function that runs
BUILDER_DIR: Final = RUNTIME_DIR / "builder"
BUILDER_SOCKET: Final = BUILDER_DIR / "docker.sock"
BUILDER_URL: Final = f"unix://{BUILDER_SOCKET}"
OPERATOR_DIR: Final = RUNTIME_DIR / "operator"  # what the operator's machine is made of
BALANCER_DIR: Final = RUNTIME_DIR / "balancer"  # what the load balancers are made of

# --- inside the operator's machine ----------------------------------------------------------------------------------

OPERATOR_HOME: Final = Path("/run/academy-operator")
TRUSTED_DIR: Final = Path("/etc/ssl/certs")
TRUSTED_BUNDLE: Final = TRUSTED_DIR / "ca-certificates.crt"

# --- inside a host ------------------------------------------------------------------------------------------------

HOST_USER: Final = "ec2-user"
HOST_BOOT_DIR: Final = "/etc/academy-host"
HOST_DISKS_FILE: Final = "disks"
HOST_DISKS_UNIT: Final = "academy-host-disks.service"  # reads that file at boot, and whenever it is started again
SHOWN_PERCENT: Final = 92  # of its type's memory; the rest is firmware's and the kernel's
HOST_SWAP_DIR: Final = "/var/swap"
HOST_DOCKER_DIR: Final = "/var/lib/docker"
