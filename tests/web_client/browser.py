"""A real browser for tests: Debian's Chromium, driven by Playwright's Node package."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tools import ROOT, require_tool

PAGE = ROOT / "web_client"
DRIVER = Path(__file__).with_name("driver.mjs")
ANSWER_S = 120.0


def node_modules() -> Path:
    """Return the page's packages; skip the test, with the line that installs them, if they are missing."""
    require_tool("node", "apt-get install nodejs npm")
    modules = PAGE / "node_modules"
    if not (modules / "esbuild").is_dir():
        pytest.skip("the page's packages are not installed; run: npm ci --prefix web_client")
    return modules


def chromium() -> str:
    """Return the browser; skip the test, with the line that installs it, if it is missing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return found or require_tool("chromium", "apt-get install chromium")


class Browser:
    """A browser process; `pages` of the driver keeps what one call opens for the next."""

    def __init__(self) -> None:
        node = require_tool("node", "apt-get install nodejs npm")
        command = [node, str(DRIVER), str(node_modules().parent), chromium()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, code: str, **args: object) -> Any:
        """Run the body of an async JavaScript function; return what it returns.

        Raises:
            AssertionError: it throws, or takes longer than only something that hangs does.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"code": code, "args": args}) + "\n")
        process.stdin.flush()
        watch = threading.Timer(ANSWER_S, process.kill)
        watch.start()
        line = process.stdout.readline()
        watch.cancel()
        assert line, f"the browser did not answer within {ANSWER_S} s, or has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def close(self) -> None:
        """End the browser, whatever it is doing."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser for the length of a block."""
    browser = Browser()
    try:
        yield browser
    finally:
        browser.close()
