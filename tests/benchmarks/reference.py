"""An earlier commit beside this one, so that "before" and "after" are measured in one run on one machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import ROOT

REFERENCE = "a354779"  # the last commit with torch on the CPU and the first networks


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Yield a folder with the files of a commit; it goes with the block.

    Raises:
        SystemExit: there is no such commit, for instance in a shallow clone.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / commit
        command = ["git", "worktree", "add", "--quiet", "--detach", str(path), commit]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            sys.exit(
                f"error: {commit} cannot be checked out ({done.stderr.strip()}); fetch the whole history"
            )
        try:
            yield path
        finally:
            remove = ["git", "worktree", "remove", "--force", str(path)]
            subprocess.run(remove, cwd=ROOT, capture_output=True, check=False)


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep `count` processes computing without a pause, at the same priority, for the length of a block."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
