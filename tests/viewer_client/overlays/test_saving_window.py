"""The keys that keep things, in a real window: what is saved, copied and pasted is the same picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.models import tiny_flags
from tests.tools import ServerProcess, running_server, virtual_display, wait_for
from tests.viewer_client.window.test_window import SIZE, Window, cut, viewer
from viewer_client.core.geometry import Rect, layout
from viewer_client.files.recipe_text import to_text
from viewer_client.files.saving import read_recipe


@pytest.fixture(scope="module")
def display() -> Iterator[dict[str, str]]:
    with virtual_display() as environment:
        yield environment


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(*tiny_flags(tmp_path_factory.mktemp("model"))) as process:
        yield process


def kept(window: Window, key: str, folder: Path, pattern: str, count: int = 1) -> Path:
    """Press a key and wait for one more file, in full; the newest of this kind."""
    window.key(key)
    wait_for(lambda: len(list(folder.glob(pattern))) >= count, pattern)
    path = max(folder.glob(pattern), key=lambda found: found.stat().st_mtime_ns)
    wait_for(lambda: path.stat().st_size > 0, "its content")
    return path


def rests(window: Window, pane: Rect) -> bool:
    """Whether the picture has stopped changing."""
    one = cut(window.screenshot("saving-2"), pane)
    return bool((one == cut(window.screenshot("saving-2"), pane)).all())


def test_what_is_kept_in_a_window_is_replayed_in_it_and_in_another(
    display: dict[str, str], server: ServerProcess, tmp_path: Path
) -> None:
    pane = layout(*SIZE).panes["noisy"]
    with viewer(display, server.address, "--seed", "7", "--out", str(tmp_path)) as window:
        wait_for(lambda: cut(window.screenshot("saving-1"), pane).std() > 20, "noise")
        window.key("3")
        window.stroke(pane, [(0.3, 0.3), (0.6, 0.5)])
        window.move(5, 5)
        window.key("space")
        wait_for(lambda: rests(window, pane), "a picture that rests")
        seen = cut(window.screenshot("saving-2"), pane)
        text = to_text(read_recipe(kept(window, "ctrl+s", tmp_path, "*.recipe.json")))
        picture = kept(window, "s", tmp_path, "*.png")
        wait_for(lambda: to_text(read_recipe(picture)) == text, "the recipe in the picture")
        run = kept(window, "g", tmp_path, "*.gif")

        window.key("ctrl+c")
        window.key("n")
        wait_for(lambda: (cut(window.screenshot("saving-3"), pane) != seen).any(), "another run")
        window.key("ctrl+v")
        wait_for(lambda: (cut(window.screenshot("saving-4"), pane) == seen).all(), "the replayed picture")
        again = kept(window, "ctrl+s", tmp_path, "*.recipe.json", 2)
        assert to_text(read_recipe(again)) == text
        assert window.close() == 0
    with Image.open(run) as image:
        assert image.n_frames > 1  # type: ignore[attr-defined]
    with viewer(display, server.address, "--replay", str(picture)) as window:
        window.move(5, 5)
        wait_for(lambda: (cut(window.screenshot("saving-5"), pane) == seen).all(), "the same picture")
        assert window.close() == 0
