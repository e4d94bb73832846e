"""Files that never replace another, recipes in pictures, and what the keys answer."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError
from tests.tools import wait_for
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.core.appearance import ColorMap
from viewer_client.core.history import Recording, moment_of
from viewer_client.core.keymap import Action
from viewer_client.core.view_model import ViewModel
from viewer_client.files import gif, png, saving
from viewer_client.files.recipe_text import RecipeError, from_text, to_text
from viewer_client.files.saving import GIF_IN_WORK, Saver, SavingError, free_path, read_recipe, write_new
from viewer_client.link.status import Phase, Status


@pytest.fixture
def model() -> ViewModel:
    """Of a session that is at t 142 after a stroke."""
    model = ViewModel()
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(WELCOME)
    model.sent(m.Inject(None, 12.0), 2, now=0.0)
    model.receive(frame(142.0, step=158, applied=(m.Applied(2, 100),), applied_sequence=2))
    return model


@pytest.fixture
def kept(model: ViewModel, tmp_path: Path) -> Iterator[Saver]:
    saver = Saver(model, tmp_path)
    assert model.frame is not None
    assert saver.update() == []
    yield saver
    saver.close()


# --- files ---


def test_a_free_path_is_beside_what_exists(tmp_path: Path) -> None:
    for name, second in (("demo.gif", "demo-2.gif"), ("a.recipe.json", "a-2.recipe.json")):
        path = tmp_path / name
        assert free_path(path) == path
        path.touch()
        assert free_path(path).name == second
        (tmp_path / second).symlink_to("nowhere")
        assert free_path(path).name == second.replace("-2", "-3")


def test_a_file_that_somebody_makes_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    looks = iter([path, tmp_path / "a-2.png"])
    monkeypatch.setattr(saving, "free_path", lambda _: next(looks))
    assert write_new(path, b"new") == tmp_path / "a-2.png"
    assert path.read_bytes() == b"precious"


def test_a_folder_that_cannot_be_written_to_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SavingError) as caught:
        write_new(tmp_path / "gone" / "a.png", b"new")
    assert str(caught.value) == (
        f"{tmp_path / 'gone' / 'a.png'} cannot be written (No such file or directory); "
        "--out DIR names another folder"
    )


class FullDisk(io.BytesIO):
    """Takes some bytes, and then no more."""

    def write(self, content: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path, mode: str) -> io.BytesIO:
        path.touch()
        return FullDisk()

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(SavingError, match="No space left on device"):
        write_new(tmp_path / "a.png", b"new")
    assert list(tmp_path.iterdir()) == []


# --- the keys ---


def test_a_picture_is_saved_with_its_recipe_and_read_again(
    kept: Saver, model: ViewModel, tmp_path: Path
) -> None:
    kept.save_picture(ColorMap.GREY)
    path = tmp_path / "diffusion-toy-7-t142.png"
    assert kept.close() == [f"saved {path}"]
    assert to_text(read_recipe(path)) == to_text(model.command_log.recipe())
    with Image.open(path) as image:
        assert image.size == (3 * 224 + 2 * png.GAP_PX, 224)
        description = image.text["Description"]  # type: ignore[attr-defined]
    assert description.startswith("t 142/300 · σ told ")
    assert "seed 7" in description
    assert f"session {WELCOME.session_id}" not in description  # whoever knows it can watch


def test_the_picture_shows_x_t_its_guess_and_the_noise_with_hard_pixels() -> None:
    x_t, x0_hat = np.full((1, 28, 28), -1, np.float32), np.full((1, 28, 28), -1, np.float32)
    x_t[0, 3, 5] = x0_hat[0, 20, 1] = 1
    pixels = png.picture(frame(x_t=x_t, x0_hat=x0_hat), ColorMap.GREY)
    first, second = pixels[:, :224], pixels[:, 232:456]
    assert (first[24:32, 40:48] == 255).all()
    assert first.sum() == 64 * 3 * 255
    assert (second[160:168, 8:16] == 255).all()
    third = pixels[::8, 464::8].astype(int)
    assert len(np.unique(third.reshape(-1, 3), axis=0)) == 3


def test_a_picture_whose_recipe_is_not_known_is_saved_without(tmp_path: Path) -> None:
    model = ViewModel(start=m.Start(watch="x"))
    model.receive(replace(WELCOME, watching=True))
    model.receive(frame(3.0))
    kept = Saver(model, tmp_path)
    kept.save_picture(ColorMap.GREY)
    path = tmp_path / "diffusion-toy-7-t3.png"
    assert kept.close() == [
        f"saved {path}; without a recipe: the recipe of a session that you watch is its owner's"
    ]
    with pytest.raises(RecipeError, match="is a picture without a recipe"):
        read_recipe(path)


def test_a_picture_is_saved_also_if_its_recipe_is_too_large(
    kept: Saver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer_client.files.recipe_text.TEXT_MAX_BYTES", 100)
    kept.save_picture(ColorMap.GREY)
    (answer,) = kept.close()
    assert answer.startswith(f"saved {tmp_path / 'diffusion-toy-7-t142.png'}; without a recipe: 1 commands")


def test_a_recipe_is_saved_and_read_again(kept: Saver, model: ViewModel, tmp_path: Path) -> None:
    kept.save_recipe()
    kept.save_recipe()
    first, second = (tmp_path / f"diffusion-toy-7-step158{n}.recipe.json" for n in ("", "-2"))
    assert kept.close() == [f"saved {first}", f"saved {second}"]
    assert read_recipe(first) == from_text(to_text(model.command_log.recipe()))
    assert first.read_bytes() == second.read_bytes()


def test_a_recipe_that_is_not_exact_is_kept_and_said_to_be_so(kept: Saver, model: ViewModel) -> None:
    model.sent(m.Inject(None, 12.0), 3, now=0.0)
    model.receive(frame(142.0, step=160, applied_sequence=3))
    kept.save_recipe()
    (answer,) = kept.close()
    assert answer.endswith("; it is not exact: the server did not say when 1 of the commands took effect")


def test_a_run_is_saved_as_a_gif_since_its_last_restart(
    kept: Saver, model: ViewModel, tmp_path: Path
) -> None:
    for step in range(40):
        model.receive(frame(300.0 - step, step=step))
        kept.update()
    model.sent(m.Restart(), 3, now=0.0)
    for step in range(25):
        applied = (m.Applied(3, 39),) if step == 0 else ()
        model.receive(frame(300.0 - step, step=step, applied=applied, applied_sequence=3))
        kept.update()
    kept.save_run()
    assert model.notice == "making a GIF of the run …"
    path = tmp_path / "diffusion-toy-7.gif"
    assert kept.close() == [f"saved {path}"]
    with Image.open(path) as image:
        assert image.n_frames == 25  # type: ignore[attr-defined]


def test_before_the_first_picture_there_is_nothing_to_keep(tmp_path: Path) -> None:
    model = ViewModel()
    kept = Saver(model, tmp_path)
    texts: list[str] = []
    keys: list[Callable[[], None]] = [
        lambda: kept.save_picture(ColorMap.GREY), kept.save_run, kept.save_recipe,
        lambda: kept.copy_recipe(texts.append),
    ]  # fmt: skip
    for key in keys:
        model.notice = ""
        key()
        assert model.notice == "there is no picture yet"
    assert kept.close() == []
    assert list(tmp_path.iterdir()) == []
    assert texts == []


def test_what_cannot_be_written_is_said_and_the_session_goes_on(model: ViewModel, tmp_path: Path) -> None:
    kept = Saver(model, tmp_path / "gone")
    kept.save_picture(ColorMap.GREY)
    kept.save_recipe()
    answers = kept.close()
    assert len(answers) == 2
    assert all("cannot be written (No such file or directory)" in answer for answer in answers)
    assert model.command_log.recipe().steps == 158


def test_one_gif_is_made_at_a_time(kept: Saver, model: ViewModel, tmp_path: Path) -> None:
    for _ in range(5):
        kept.save_run()
    assert model.notice == GIF_IN_WORK
    assert len(kept.close()) == 1
    assert len(list(tmp_path.glob("*.gif"))) == 1


def test_a_copied_recipe_is_pasted_and_replayed(kept: Saver, model: ViewModel) -> None:
    texts: list[str] = []
    kept.copy_recipe(texts.append)
    answers: list[str] = []
    wait_for(lambda: answers.extend(kept.update()) or answers, "the recipe")  # type: ignore[func-returns-value]
    assert answers == ["the recipe is copied; Ctrl+V replays it"]
    assert from_text(texts[0]) == from_text(to_text(model.command_log.recipe()))
    kept.paste_recipe(lambda: texts[0])
    assert kept.close() == ["replaying 158 steps; Space pauses it"]
    assert model.replay is not None
    assert model.replay.recipe == from_text(texts[0])


def test_a_clipboard_without_a_recipe_changes_nothing(kept: Saver, model: ViewModel) -> None:
    def empty() -> str:
        raise DiffusionToyError("the clipboard holds no text")

    kept.paste_recipe(empty)
    assert model.notice == "the clipboard holds no text"
    kept.paste_recipe(lambda: "a shopping list")
    assert kept.close() == ["this is no recipe: it is not a JSON document"]
    assert model.replay is None


# --- reading ---


def test_files_that_hold_no_recipe_are_refused_by_name(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture)
    (tmp_path / "damaged.png").write_bytes(picture.read_bytes()[:40])
    (tmp_path / "a.gif").write_bytes(gif.encode([Image.new("RGB", (8, 8))] * 4, 50))
    (tmp_path / "large").write_bytes(b" " * 3_000_000)
    for name, said in (
        ("none", "cannot be read (No such file or directory)"),
        (".", "cannot be read (Is a directory)"),
        ("a.png", "is a picture without a recipe"),
        ("damaged.png", "cannot be read"),
        ("a.gif", "this is no recipe"),
        ("large", "larger than 1 MiB"),
    ):
        with pytest.raises(RecipeError) as caught:
            read_recipe(tmp_path / name)
        assert said in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)


def test_the_gif_of_a_noisy_run_stays_small() -> None:
    noise = np.random.default_rng(0)
    recording = Recording()
    for step in range(saving.RUN_PICTURES):
        images = [noise.uniform(-1, 1, (1, 28, 28)).astype(np.float32) for _ in range(2)]
        recording.add(moment_of(frame(float(step), x_t=images[0], x0_hat=images[1])))
    assert len(gif.of_run(recording.moments(saving.RUN_PICTURES), "seed 7")) <= gif.SIZE_MAX_BYTES


def test_one_who_watches_may_keep_the_picture_and_the_run() -> None:
    model = ViewModel(start=m.Start(watch="x"))
    for key in ("s", "g", "ctrl+v"):
        model.key(key)
    assert list(model.window_actions) == [Action.SAVE, Action.SAVE_GIF]
