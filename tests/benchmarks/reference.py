"""What a figure is compared with in one run on one machine: an earlier commit, or busy processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import ROOT

REFERENCE = "a354779"  # the last commit with torch on the CPU and the first networks

BURN = """
import sys, time
share, period = float(sys.argv[1]), 0.01
while True:
    began, used = time.monotonic(), time.thread_time()
    while time.thread_time() - used < share * period:
        pass
    time.sleep(max(0.0, began + period - time.monotonic()))
"""


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
def busy_processes(count: int, share: float = 1.0) -> Iterator[None]:
    """Keep `count` processes computing for this share of a core each, at the same priority, for a block."""
    command = [sys.executable, "-c", BURN, str(share)]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
