# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from localcloud.events import ContainerEnd, parse_end


def test_reads_the_end_of_a_container() -> None:
    event = {
        "status": "die",
        "Actor": {"ID": "abc", "Attributes": {"exitCode": "130", "academy.localcloud.instance": "i-1"}},
        "timeNano": 1_700_000_000_000_000_001,
    }
    assert parse_end(json.dumps(event), "academy.localcloud.instance") == ContainerEnd(
        "i-1", 130, 1_700_000_000_000_000_001
    )
