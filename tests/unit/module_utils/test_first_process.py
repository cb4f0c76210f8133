# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell that would keep the signal to end from the application is known by the command alone, and by trying it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from plugins.module_utils.first_process import passes_signals

PYTHON = "python -m apps.workers.video"
HEARD = "trap 'echo heard; exit 0' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize(
    ("argv", "passes"),
    [
        ([], True),
        (["python", "-m", "worker"], True),
        # The shell form of CMD.
        (["/bin/sh", "-c", PYTHON], False),
        (["/bin/sh", "-c", f"exec {PYTHON}"], True),
        (["sh", "-c", f"python manage.py check && exec {PYTHON}"], True),
        (["sh", "-c", f"python manage.py check; {PYTHON}"], False),
        (["sh", "-c", f"exec >log; {PYTHON}"], False),
        (["sh", "-c", "set -e\nexec python -c 'import a; run()'"], True),
        (["sh", "-c", f"echo exec; {PYTHON}"], False),
        (["sh", "-c", f"{PYTHON} exec"], False),
        (["sh", "-c", f"exec {PYTHON};"], True),
        (["sh", "-ec", PYTHON], False),
        (["sh", "-e", "-u", "-c", PYTHON], False),
        (["bash", "-o", "pipefail", "-c", f"{PYTHON} | tee log"], False),
        (["/usr/bin/bash", "-lc", PYTHON], True),
        (["bash", "-c", f"cd /srv; {PYTHON}"], False),
        (["bash", "-c", f"{PYTHON} >log"], False),
        (["ash", "-c", "python 'not closed"], False),
        # A file that is not seen.
        (["sh", "/entrypoint.sh", "-c"], True),
        (["sh", "--version"], True),
        (["sh", "-c", ""], True),
        # What is in front of it.
        (["tini", "--", "python", "-m", "worker"], True),
        (["/usr/bin/tini", "--", "sh", "-c", PYTHON], False),
        (["tini", "-v", "--", "sh", "-c", PYTHON], False),
        (["tini", "-g", "--", "sh", "-c", PYTHON], True),
        (["tini", "sh", "-c", PYTHON], False),
        (["dumb-init", "sh", "-c", PYTHON], True),
    ],
)
def test_a_shell_that_passes_nothing_on_is_known(argv: list[str], passes: bool) -> None:
    assert passes_signals(argv) is passes


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("script", ["sh {0}", "exec sh {0}", "cd / && exec sh {0}", "cd / && sh {0}; true"])
def test_this_is_what_shells_do(tmp_path: Path, shell: str, script: str) -> None:
    """Never is a shell said to pass on what it does not."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "application").write_text(HEARD)
    argv = [shell, "-c", script.format(tmp_path / "application")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        try:
            heard = process.communicate(timeout=0.7)[0] == "heard\n"
        except subprocess.TimeoutExpired:
            heard = False
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert heard is passes_signals(argv)
