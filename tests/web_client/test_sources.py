"""The page's sources: what is committed of their products is fresh, and they pass their own checks."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from tests.tools import ROOT, require_tool
from tests.web_client.browser import PAGE, node_modules

DIST = PAGE / "dist"
COMPRESSED_BYTES_MAX = 80_000
LINES_MAX = 400
SECONDS = 600


def _run(*command: object, cwd: Path = PAGE) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=SECONDS)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_built_page_is_what_its_sources_build(tmp_path: Path) -> None:
    node_modules()
    done = _run("node", "build.mjs", tmp_path)
    assert done.returncode == 0, done.stderr
    fresh = _files(tmp_path)
    assert fresh == _files(DIST), "web_client/dist is stale; run: npm run build --prefix web_client"


def test_the_pages_messages_are_what_the_proto_generates(tmp_path: Path) -> None:
    modules = node_modules()
    if not (modules / ".bin" / "buf").exists():
        pytest.skip("buf is not installed; run: npm ci --prefix web_client")
    done = _run(modules / ".bin" / "buf", "generate", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    name = "diffusion_toy/v1/denoise_pb.ts"
    fresh = (tmp_path / "src" / name).read_bytes()
    assert fresh == (PAGE / "src" / name).read_bytes(), (
        f"{name} is stale; run: npm run proto --prefix web_client"
    )


def test_the_page_is_small() -> None:
    size = sum(len(gzip.compress(content)) for content in _files(DIST).values())
    assert 10_000 < size <= COMPRESSED_BYTES_MAX


def test_the_page_asks_no_other_host_for_anything() -> None:
    for name, content in _files(DIST).items():
        for address in (b"http://", b"https://", b"ws://"):
            found = content.replace(b"http://www.w3.org/", b"")
            assert address not in found, f"{name} names {address.decode()}"


def test_no_source_of_the_page_is_a_long_read() -> None:
    sources = [*(PAGE / "src").rglob("*.ts"), *(PAGE / "test").rglob("*.ts")]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources
        if "diffusion_toy" not in path.relative_to(PAGE).parts
        and (lines := path.read_text().count("\n")) > LINES_MAX
    }
    assert not long


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
def test_the_pages_types_style_and_units_are_in_order() -> None:
    require_tool("npm", "apt-get install npm")
    node_modules()
    done = _run("npm", "run", "--silent", "check")
    assert done.returncode == 0, done.stdout + done.stderr
