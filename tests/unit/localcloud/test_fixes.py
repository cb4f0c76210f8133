# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from localcloud.fixes import metadata_options


def test_a_launch_starts_with_the_images_metadata_options() -> None:
    assert metadata_options(None, {}) == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}


def test_a_launch_overrides_its_template_and_that_the_image() -> None:
    template = {"HttpTokens": "optional", "HttpPutResponseHopLimit": 1}
    assert metadata_options(template, {"HttpTokens": "required", "HttpEndpoint": None}) == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
