# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The video worker: one clip at a time through ffmpeg, on the data disk, and the result into R2."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from apps.api.config.environment import Environment
from apps.workers import storage
from apps.workers.loop import Context, Worker

KINDS = ("video",)
# A directory of ours in a place that others use too.
PREFIX = "academy-video-"
CLIP_SECONDS_MAX = 3 * 3600


def worker(environment: Environment) -> Worker:
    visibility_seconds = environment.integer("VIDEO_VISIBILITY_SECONDS", 10800)
    remove_leftovers(temporary_directory())
    return Worker(
        environment.text("VIDEO_WORKER_ID"),
        perform,
        lease_seconds=visibility_seconds,
        visibility_seconds=visibility_seconds,
    )


def temporary_directory() -> Path:
    return Path(os.environ.get("VIDEO_WORKER_TEMP_DIR") or "/tmp")


def remove_leftovers(directory: Path) -> None:
    """Of jobs that were killed: the directory is a disk that outlives the container."""
    for leftover in directory.glob(f"{PREFIX}*"):
        shutil.rmtree(leftover)


def perform(job: Mapping[str, Any], context: Context) -> dict[str, Any]:
    seconds = int(job["clip_seconds"])
    if not 1 <= seconds <= CLIP_SECONDS_MAX:
        raise ValueError(f"clip_seconds must be 1 to {CLIP_SECONDS_MAX}, found {seconds}")
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=temporary_directory()) as name:
        source, target = Path(name) / "source.mkv", Path(name) / "video.mp4"
        run(generation(seconds, source), context)
        run(transcoding(source, target), context)
        run(decoding(target), context)
        key = f"videos/{job['id']}.mp4"
        storage.put("video", key, target, context.progress)
        return {"key": key, "bytes": target.stat().st_size}


def generation(seconds: int, target: Path) -> list[str]:
    """In place of an upload: moving bars and a tone."""
    return [
        "-f", "lavfi", "-i", f"testsrc=size=320x180:rate=15:duration={seconds}",
        "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}",
        "-c:v", "mpeg4", "-c:a", "pcm_s16le", str(target),
    ]  # fmt: skip


def transcoding(source: Path, target: Path) -> list[str]:
    """What browsers play, with its index in front."""
    return [
        "-i", str(source), "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac",
        "-movflags", "+faststart", str(target),
    ]  # fmt: skip


def decoding(target: Path) -> list[str]:
    """All of it once, for nothing: a broken result must not be stored."""
    return ["-xerror", "-i", str(target), "-f", "null", "-"]


def run(arguments: list[str], context: Context) -> None:
    """Run ffmpeg; it ends when the job has to. Little is logged: every line is paid for."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "warning", "-y", *arguments]
    with subprocess.Popen(command) as process:
        try:
            while process.poll() is None:
                context.sleep(0.2)
        finally:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"ffmpeg ended with status {process.returncode}")
