# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded cloud: moto as the control plane, and real hosts, disks, names and databases behind it."""

import os

from localcloud import settings

# Strictness that moto offers but does not switch on. It reads these once, when it is imported.
os.environ["MOTO_ACCOUNT_ID"] = settings.ACCOUNT_ID
os.environ["MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION"] = "true"
os.environ["MOTO_ENABLE_AMI_VALIDATION"] = "true"
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
