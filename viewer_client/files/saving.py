"""Saving: pictures, runs and recipes as files that never replace another, and reading recipes.

`Saver` does the work in a thread of its own, so that the window goes on meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from diffusion_toy.errors import DiffusionToyError
from viewer_client.core import labels
from viewer_client.core.appearance import ColorMap
from viewer_client.core.keymap import Action, cap
from viewer_client.core.view_model import ViewModel
from viewer_client.files import recipe_text
from viewer_client.files.recipe_text import RecipeError
from viewer_client.recipes.command_log import NoRecipeError
from viewer_client.recipes.recipe import Recipe

RECIPE_SUFFIX = ".recipe.json"
PNG_SIGNATURE = b"\x89PNG"
PNG_MAX_BYTES = 64 * 2**20
GIF_IN_WORK = "a GIF of the run is being made: wait until it is saved"
NO_PICTURE = "there is no picture yet"
RUN_PICTURES = 180  # of the GIF of a run

T = TypeVar("T")


class SavingError(DiffusionToyError):
    """A file cannot be written."""


def free_path(path: Path) -> Path:
    """Return the path itself, or with -2, -3 … before its suffix where a file is there already."""
    suffix = RECIPE_SUFFIX if path.name.endswith(RECIPE_SUFFIX) else path.suffix
    stem, candidate, number = path.name.removesuffix(suffix), path, 2
    while candidate.exists() or candidate.is_symlink():
        candidate = path.with_name(f"{stem}-{number}{suffix}")
        number += 1
    return candidate


def write_new(path: Path, content: bytes) -> Path:
    """Write a new file at this path or beside it; return where it is, in full.

    Raises:
        SavingError: it cannot be written; then nothing of it is left.
    """
    while True:
        target = free_path(path)
        try:
            file = target.open("xb")
        except FileExistsError:  # since we have looked
            continue
        except OSError as error:
            raise _refusal(target, error) from error
        try:
            with file:
                file.write(content)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise _refusal(target, error) from error
        return target.absolute()


def _refusal(target: Path, error: OSError) -> SavingError:
    reason = error.strerror or str(error)
    return SavingError(f"{target.absolute()} cannot be written ({reason}); --out DIR names another folder")


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a file: its text, or a PNG that carries it.

    Raises:
        RecipeError: there is none that can be used.
    """
    try:
        with path.open("rb") as file:
            content = file.read(recipe_text.TEXT_MAX_BYTES + 1)
            is_png = content.startswith(PNG_SIGNATURE)
            if is_png and path.stat().st_size > PNG_MAX_BYTES:
                raise RecipeError(f"{path} is too large a picture, above {PNG_MAX_BYTES >> 20} MiB")
        if is_png:
            from viewer_client.files.png import recipe_in

            content = recipe_in(path).encode()
            if not content:
                raise RecipeError(f"{path} is a picture without a recipe; S saves one with it")
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's word for a damaged file
        reason = getattr(error, "strerror", None) or str(error)
        raise RecipeError(f"{path} cannot be read ({reason})") from error
    try:
        return recipe_text.from_text(content)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None


class Saver:
    """Does what the keys S, G, Ctrl+S, Ctrl+C and Ctrl+V ask for, but for the clipboard itself.

    Args:
        folder: where files go.
    """

    def __init__(self, model: ViewModel, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._worker = ThreadPoolExecutor(1, "saving")
        self._gif_in_work: Future[Path] | None = None
        self._jobs: deque[tuple[Future[Any], Callable[[Any], str]]] = deque()

    def update(self) -> list[str]:
        """Return what has been done since the last call, as sentences for the user."""
        answers: list[str] = []
        while self._jobs and self._jobs[0][0].done():
            answers.append(self._answer(*self._jobs.popleft()))
        return answers

    def close(self) -> list[str]:
        """Wait for what is being written; return what there is to say about it."""
        self._worker.shutdown()
        return self.update()

    @staticmethod
    def _answer(done: Future[T], then: Callable[[T], str]) -> str:
        try:
            return then(done.result())
        except DiffusionToyError as error:
            return str(error)

    def _do(self, work: Callable[[], T], then: Callable[[T], str]) -> Future[T]:
        job = self._worker.submit(work)
        self._jobs.append((job, then))
        return job

    def _recipe(self) -> Recipe | None:
        """Return the recipe of what is seen; None, with a notice, if it is not known."""
        try:
            return self._model.command_log.recipe()
        except NoRecipeError as error:
            self._model.notice = str(error)
            return None

    def save_picture(self, color_map: ColorMap) -> None:
        """Save a PNG of what is seen, with its recipe."""
        frame = self._model.frame
        if frame is None:
            self._model.notice = NO_PICTURE
            return
        recipe, description = self._recipe(), _description(self._model)
        reason = self._model.notice
        path = self._folder / f"diffusion-toy-{frame.seed}-t{labels.whole(frame.time_step.max)}.png"

        def work() -> str:
            from viewer_client.files import png

            text, remark = "", f"; without a recipe: {reason}"
            if recipe is not None:
                try:
                    text, remark = recipe_text.to_text(recipe), _doubt(recipe)
                except RecipeError as error:
                    remark = f"; without a recipe: {error}"
            content = png.encode(png.picture(frame, color_map), description, text)
            return f"saved {write_new(path, content)}{remark}"

        self._do(work, str)

    def save_run(self) -> None:
        """Save a GIF of the run since its start."""
        frame = self._model.frame
        if frame is None:
            self._model.notice = NO_PICTURE
            return
        if self._gif_in_work is not None and not self._gif_in_work.done():
            self._model.notice = GIF_IN_WORK
            return
        moments = self._model.history.recording.moments(RUN_PICTURES)
        caption = labels.SEPARATOR.join(labels.session_parts(self._model)[:3])
        path = self._folder / f"diffusion-toy-{frame.seed}.gif"

        def work() -> Path:
            from viewer_client.files import gif

            return write_new(path, gif.of_run(moments, caption))

        self._model.notice = "making a GIF of the run …"
        self._gif_in_work = self._do(work, lambda written: f"saved {written}")

    def save_recipe(self) -> None:
        """Save the recipe of what is seen."""
        if (recipe := self._recipe()) is not None:
            name = f"diffusion-toy-{recipe.start.seed}-step{recipe.steps}{RECIPE_SUFFIX}"
            path = self._folder / name
            self._do(
                lambda: write_new(path, recipe_text.to_text(recipe).encode()),
                lambda written: f"saved {written}{_doubt(recipe)}",
            )

    def copy_recipe(self, put: Callable[[str], None]) -> None:
        """Give the recipe's text to `put`, which may raise a `DiffusionToyError`."""
        if (recipe := self._recipe()) is not None:

            def then(text: str) -> str:
                put(text)
                return f"the recipe is copied; {cap(Action.PASTE_RECIPE)} replays it{_doubt(recipe)}"

            self._do(lambda: recipe_text.to_text(recipe), then)

    def paste_recipe(self, get: Callable[[], str]) -> None:
        """Replay the recipe whose text `get` gives, which may raise a `DiffusionToyError`."""
        try:
            text = get()
        except DiffusionToyError as error:
            self._model.notice = str(error)
            return

        def then(recipe: Recipe) -> str:
            self._model.begin_replay(recipe)
            return (
                self._model.notice or f"replaying {recipe.steps} steps; {cap(Action.TOGGLE_PLAY)} pauses it"
            )

        self._do(lambda: recipe_text.from_text(text), then)


def _description(model: ViewModel) -> str:
    """Return what is seen, in one line, without the session's name: one who knows that can watch."""
    session = [part for part in labels.session_parts(model) if not part.startswith("session ")]
    return labels.SEPARATOR.join([labels.time_step(model), *labels.sigma_parts(model), *session])


def _doubt(recipe: Recipe) -> str:
    """Return why a recipe that was saved is not exact, "" if it is."""
    return f"; it is not exact: {recipe.inexact}" if recipe.inexact else ""
