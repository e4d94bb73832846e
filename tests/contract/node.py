"""Node.js programs in this folder, with their packages from npm."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.tools import require_tool

HERE = Path(__file__).resolve().parent
INSTALL_S = 120
MANIFESTS = ("package.json", "package-lock.json")


def node_modules(cache: Path) -> Path:
    """The packages of package-lock.json, installed once into a folder within `cache`."""
    npm = require_tool("npm", "apt-get install npm")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in MANIFESTS)).hexdigest()
    folder = cache / digest[:16]
    if folder.exists():
        return folder / "node_modules"
    temporary = Path(tempfile.mkdtemp(dir=cache))
    try:
        for name in MANIFESTS:
            shutil.copy(HERE / name, temporary)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        command += ["--fetch-retries=1", "--fetch-timeout=30000"]
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True, timeout=INSTALL_S)
        if done.returncode:
            pytest.skip(f"npm cannot fetch the packages of {HERE / MANIFESTS[1]}: {done.stderr[-500:]}")
        with contextlib.suppress(OSError):  # another run was faster
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder / "node_modules"


def run_node(modules: Path, program: str, *arguments: object) -> dict[str, Any]:
    """Run a program of this folder; the line of JSON that it prints."""
    node = require_tool("node", "apt-get install nodejs")
    done = subprocess.run(
        [node, HERE / program, *map(str, arguments)],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found
