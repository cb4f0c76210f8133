# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of a worker: who it is, and how it is stopped."""

from __future__ import annotations

import logging
import urllib.request

import boto3
from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger(__name__)

METADATA_URL = "http://169.254.169.254/latest"
METADATA_TIMEOUT_SECONDS = 2


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


def stop_itself(region: str, metadata_url: str = METADATA_URL) -> bool:
    """Whether EC2 agreed to stop this host. It refuses while a deployment holds the host, for one."""
    try:
        own_id = instance_id(metadata_url)
        boto3.client("ec2", region_name=region).stop_instances(InstanceIds=[own_id])
    except (OSError, BotoCoreError, ClientError) as error:
        log.warning("this host was not stopped; the worker goes on: %s", error)
        return False
    return True
