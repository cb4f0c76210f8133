# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator who may do what docs/operator-policy-*.json say, and nothing else: a user of IAM with keys of their own.

The account's owner, whose keys everybody knows (settings.OPERATOR_ACCESS_KEY), stays without limits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from localcloud import settings

if TYPE_CHECKING:  # moto takes seconds to load, which whoever only reads the keys does not need
    from localcloud.api import Api

USER: Final = "academy-operator"
DOCUMENTS: Final = Path(__file__).resolve().parent.parent / "docs"


@dataclass(frozen=True)
class Keys:
    """What AWS's tools want to know of a user."""

    access_key: str
    secret_key: str

    def write(self, file: Path) -> None:
        """For other processes, and for nobody else's."""
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            json.dump(asdict(self), output)

    @classmethod
    def read(cls, file: Path = settings.OPERATOR_USER_KEYS) -> Keys:
        """As the running cloud has written them."""
        return cls(**json.loads(file.read_text(encoding="utf-8")))


def documents() -> Mapping[str, Mapping[str, Any]]:
    """The policies as published, by name; their account, region and deployment are those of the embedded cloud."""
    files = sorted(DOCUMENTS.glob("operator-policy-*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def ensure_operator_user(api: Api) -> Keys:
    """Make the user with the policies attached, where there is none yet, and return their one pair of keys."""
    with api.lock:
        iam = api.backends("iam")
        user = iam.users.get(USER) or iam.create_user(settings.REGION, USER)
        attached = {policy.name for policy in user.managed_policies.values()}
        for name, document in documents().items():
            if name not in attached:
                policy = iam.create_policy(
                    description="", path="/", policy_document=json.dumps(document), policy_name=name, tags=[]
                )
                iam.attach_user_policy(policy.arn, USER)
        key = user.access_keys[0] if user.access_keys else iam.create_access_key(USER)
        return Keys(key.access_key_id, key.secret_access_key)
