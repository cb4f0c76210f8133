# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the embedded cloud, made without any image registry.

Debian's packages become a root file system (mmdebstrap, with the machine's own apt configuration), which becomes an
image (`docker import`), to which a Dockerfile adds what is ours without needing the network. An image's tag is the hash
of everything that it is made of, so that one is built only when something changed.
"""

from __future__ import annotations

from localcloud.images.build import CACHE_DIR, BuildError, Images, ensure_images, purge_images

__all__ = ["CACHE_DIR", "BuildError", "Images", "ensure_images", "purge_images"]
