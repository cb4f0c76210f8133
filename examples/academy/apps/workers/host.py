# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of a worker: who it is, and how it is stopped."""

from __future__ import annotations

import logging
import urllib.request
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger(__name__)

METADATA_URL = "http://169.254.169.254/latest"
METADATA_TIMEOUT_SECONDS = 2
# Whoever deploys to the host sets it, and removes it.
HOLD_TAG = "HoldUntil"


def instance_id(base_url: str = METADATA_URL) -> str:
    """Ask the metadata service, as version 2 of it wants to be asked. Raises OSError."""
    # Never through a proxy: it would answer for itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    wanted = urllib.request.Request(
        f"{base_url}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with opener.open(wanted, timeout=METADATA_TIMEOUT_SECONDS) as found:
        token = found.read().decode()
    asked = urllib.request.Request(f"{base_url}/meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token})
    with opener.open(asked, timeout=METADATA_TIMEOUT_SECONDS) as found:
        return str(found.read().decode())


def held_until(ec2: Any, own_id: str) -> str:
    """Until when a deployment holds this host; empty where none does, or nobody can tell: EC2 has the last word."""
    try:
        found = ec2.describe_instances(InstanceIds=[own_id])["Reservations"][0]["Instances"][0]
    except (BotoCoreError, ClientError, LookupError) as error:
        log.warning("cannot look at this host, stopping it all the same: %s", error)
        return ""
    return next((str(tag["Value"]) for tag in found.get("Tags", []) if tag["Key"] == HOLD_TAG), "")


def stop_itself(region: str, metadata_url: str = METADATA_URL) -> bool:
    """Whether EC2 agreed to stop this host. It refuses while a deployment holds the host, so that is not tried."""
    try:
        own_id = instance_id(metadata_url)
        ec2 = boto3.client("ec2", region_name=region)
        if until := held_until(ec2, own_id):
            log.info("this host was not stopped; the worker goes on: a deployment holds it (%s: %s)", HOLD_TAG, until)
            return False
        ec2.stop_instances(InstanceIds=[own_id])
    except (OSError, BotoCoreError, ClientError) as error:
        log.warning("this host was not stopped; the worker goes on: %s", error)
        return False
    return True
