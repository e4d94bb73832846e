"""The real window on a virtual display, driven by xdotool, against a real server.

Screenshots are kept in `artefacts/` to be looked at.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tools import (
    ARTEFACTS,
    ROOT,
    ServerProcess,
    require_tool,
    running_server,
    virtual_display,
    wait_for,
)
from viewer_client.core.geometry import Rect, layout

SIZE = (1100, 720)


class Window:
    """A running viewer and the hands on it."""

    def __init__(self, environment: dict[str, str], address: str, *flags: str) -> None:
        self._environment = environment
        self._xdotool = require_tool("xdotool", "apt-get install xdotool")
        self._import = require_tool("import", "apt-get install imagemagick")
        command = [sys.executable, "-m", "viewer_client", "--server", address, "--no-tour"]
        command += flags or ["--seed", "7"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        self._id = ""

    def appears(self) -> None:
        wait_for(self._find, "the window")

    def _find(self) -> bool:
        done = self.xdotool("search", "--onlyvisible", "--class", "diffusion-toy", check=False)
        self._id = done.split("\n")[0]
        return bool(self._id)

    def xdotool(self, *words: object, check: bool = True) -> str:
        done = subprocess.run(
            [self._xdotool, *map(str, words)], env=self._environment, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def key(self, *names: str) -> None:
        self.xdotool("key", *names)

    def move(self, x: float, y: float) -> None:
        self.xdotool("mousemove", "--window", self._id, round(x), round(y))

    def stroke(self, pane: Rect, points: list[tuple[float, float]]) -> None:
        for x, y in points:
            self.move(pane.x + x * pane.width, pane.y + y * pane.height)
            time.sleep(0.02)

    def resize(self, width: int, height: int) -> None:
        self.xdotool("windowsize", self._id, width, height)

    def screenshot(self, name: str) -> np.ndarray:
        """The window's pixels, (H, W, 3), also kept as artefacts/NAME.png."""
        ARTEFACTS.mkdir(exist_ok=True)
        path = ARTEFACTS / f"{name}.png"
        subprocess.run([self._import, "-window", self._id, str(path)], env=self._environment, check=True)
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    def close(self) -> int:
        """Click the close button, as a window manager tells it; the exit status."""
        self.key("ctrl+q")
        status = self.process.wait(60)
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        self.process.stderr.close()
        assert "Traceback" not in errors, errors
        return status


@pytest.fixture(scope="module")
def display() -> Iterator[dict[str, str]]:
    with virtual_display() as environment:
        yield environment


@contextmanager
def viewer(environment: dict[str, str], address: str, *flags: str) -> Iterator[Window]:
    window = Window(environment, address, *flags)
    try:
        window.appears()
        yield window
    finally:
        if window.process.poll() is None:
            window.process.terminate()
            window.process.wait()
        if window.process.stderr is not None:
            window.process.stderr.close()


def cut(pixels: np.ndarray, rect: Rect) -> np.ndarray:
    return pixels[rect.y + 2 : rect.bottom - 2, rect.x + 2 : rect.right - 2]


def settled(window: Window, name: str, pane: Rect) -> bool:
    """Whether the pane has stopped changing: a slow server's steps lie far apart."""
    first = cut(window.screenshot(name), pane)
    for _ in range(4):
        time.sleep(0.15)
        if (cut(window.screenshot(name), pane) != first).any():
            return False
    return True


def noisy_share(window: Window, name: str, places: Rect) -> float:
    """How much of a pane is neither black nor white: noise has greys everywhere."""
    pane = cut(window.screenshot(name), places)
    return float(((pane > 40) & (pane < 215)).mean())


def test_a_person_can_watch_touch_and_leave(display: dict[str, str]) -> None:
    places = layout(*SIZE)
    noisy, clean = places.panes["noisy"], places.panes["clean"]
    with running_server() as server, viewer(display, server.address) as window:

        def shown(name: str, pane: Rect) -> np.ndarray:
            return cut(window.screenshot(name), pane)

        def same(name: str, pane: Rect, expected: np.ndarray) -> bool:
            return bool((shown(name, pane) == expected).all())

        wait_for(lambda: noisy_share(window, "1-noise", noisy) > 0.25, "noise")
        wait_for(lambda: settled(window, "2-digit", noisy), "a digit")
        digit = shown("2-digit", noisy)
        assert 0.02 < (digit > 200).mean() < 0.5  # strokes on an empty ground

        # the whole image, by moving over it
        wave = [(0.2 + 0.6 * (i % 2), 0.2 + 0.03 * i) for i in range(16)]
        window.stroke(noisy, wave)
        wait_for(lambda: noisy_share(window, "3-noised-whole", noisy) > 0.2, "the noise")
        window.move(places.rail.x + 5, places.rail.y + 5)
        wait_for(lambda: settled(window, "4-healed", noisy), "the picture to heal")
        assert noisy_share(window, "4-healed", noisy) < 0.2

        # a brush in one corner: the other corner does not change
        window.key("m", "Up", "Up", "Up")
        wait_for(lambda: settled(window, "5-before-brush", noisy), "the brush")
        before = shown("5-before-brush", noisy)
        half = len(before) // 2
        window.stroke(noisy, [(0.12 + 0.02 * i, 0.15) for i in range(12)])
        after = before

        def brushed() -> bool:
            nonlocal after
            after = shown("6-brush", noisy)
            return float(np.abs(after[:half, :half] - before[:half, :half]).mean()) > 1

        wait_for(brushed, "the stroke")
        assert (after[half:, half:] == before[half:, half:]).all()

        # pause, help, escape (which never quits), sizes
        window.key("n")
        wait_for(lambda: noisy_share(window, "7-paused", noisy) > 0.25, "a new picture")
        window.key("space")
        wait_for(lambda: settled(window, "7-paused", clean), "the pause")
        paused = shown("7-paused", clean)
        window.key("h")
        wait_for(lambda: np.abs(shown("8-help", clean) - paused).mean() > 5, "the help")
        window.key("Escape", "Escape")
        wait_for(lambda: same("9-help-closed", clean, paused), "the picture behind the help")
        assert settled(window, "9-help-closed", clean)
        for size in ((640, 480), (1500, 960)):
            window.resize(*size)
            wait_for(lambda: window.screenshot("10-size").shape[:2] == size[::-1], f"{size}")  # noqa: B023
            wait_for(lambda: window.screenshot(f"10-size-{size[0]}").max() > 200, "a picture")  # noqa: B023
        assert window.close() == 0


def test_a_lost_server_greys_the_picture_and_the_session_comes_back_as_it_was(
    display: dict[str, str], tmp_path: Path
) -> None:
    pane = layout(*SIZE).panes["clean"]
    key = tmp_path / "key"
    key.write_text("a secret that both servers have")
    flags = ("--resume-key-file", str(key))
    first = ServerProcess(*flags)
    try:
        with viewer(display, first.address) as window:
            wait_for(lambda: noisy_share(window, "11-before-loss", pane) > 0.01, "a guess")
            window.key("space")
            wait_for(lambda: settled(window, "11-before-loss", pane), "the pause")
            paused = cut(window.screenshot("11-before-loss"), pane)
            first.stop()
            wait_for(lambda: cut(window.screenshot("12-lost"), pane).min() >= 40, "the grey")
            assert window.process.poll() is None
            with running_server(*flags, port=first.port):
                wait_for(lambda: cut(window.screenshot("13-back"), pane).min() < 20, "the return")
                # a new session would begin with noise and run on
                assert (cut(window.screenshot("13-back"), pane) == paused).all()
                assert window.close() == 0
    finally:
        first.stop()
