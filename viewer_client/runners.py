"""What the viewer's commands do: a window, a recording, a load measurement, a list of models.

Each imports what it needs when it is called, so that none needs the extras of another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError
from diffusion_toy.files import write_atomically
from viewer_client import preferences
from viewer_client.core.appearance import Appearance
from viewer_client.core.view_model import ViewModel
from viewer_client.flags import WAIT_DEFAULT_S
from viewer_client.link.address import Endpoint
from viewer_client.load.scripted_input import Mouse
from viewer_client.recipes.recipe import Recipe
from viewer_client.recipes.replay import Replay


def show(
    endpoint: Endpoint,
    start: m.Start,
    size: tuple[int, int] | None,
    until: Callable[[], bool] = lambda: False,
    appearance: Appearance | None = None,
    recipe: Recipe | None = None,
    out: Path = Path(),
    tour: bool | None = None,
) -> None:
    """Open a window on a session, until the user closes it or `until` says so.

    With a recipe, the session is its replay; `out` is the folder for what the user keeps; `tour` begins
    with the tour, None does so where it has not been seen and the session is not a recipe's or another's.

    Raises:
        DisplayError: no window can be opened.
        MissingExtraError: PyGame is not installed.
    """
    from viewer_client.link.connection import Connection
    from viewer_client.window.app import App

    model = ViewModel(start=start, replay=None if recipe is None else Replay(recipe))
    connection = Connection(endpoint, model.next_start)
    app = App(model, connection, size, appearance, out)
    if tour is None:
        own = recipe is None and not start.watch
        tour = own and not preferences.load(preferences.folder()).tour_seen
    if tour:
        app.begin_tour()
    connection.open()
    try:
        app.run(until)
    finally:
        connection.close()


def record(
    endpoint: Endpoint,
    start: m.Start,
    path: Path,
    seconds: float,
    recipe: Recipe | None = None,
    wait_s: float = WAIT_DEFAULT_S,
) -> str:
    """Record the scripted session, or the replay of a recipe; return the summary for the user.

    Args:
        wait_s: how long to wait for a server that does not answer; 0 tries once.

    Raises:
        RecordingError: there was nothing to record.
        MissingExtraError: Pillow is not installed.
    """
    from viewer_client.files.recorder import Recorder
    from viewer_client.link.connection import Connection

    model = ViewModel(start=start, replay=None if recipe is None else Replay(recipe))
    connection = Connection(endpoint, model.next_start)
    recorder = Recorder(connection, model, seconds, wait_s)
    connection.open()
    try:
        return str(recorder.record(path) if recipe is None else recorder.record_replay(path))
    finally:
        connection.close()


def load(
    endpoint: Endpoint,
    start: m.Start,
    *,
    viewers: int,
    seconds: float,
    ramp_s: float,
    mouse: Mouse,
    seed: int,
    json: Path | None,
) -> str:
    """Put load on the server; return what it showed, which is also written to `json` if that is given.

    Raises:
        InvalidValueError: a value out of range.
        DiffusionToyError: no viewer got a picture.
    """
    from viewer_client.load.generator import LoadOptions, run_load

    options = LoadOptions(endpoint, viewers, seconds, ramp_s, mouse, seed, start)
    report = asyncio.run(run_load(options))
    if json is not None:
        try:
            write_atomically(json, report.to_json().encode())
        except OSError as error:
            raise DiffusionToyError(f"{json} cannot be written ({error.strerror})") from error
    if not report.viewers_with_frames:
        raise DiffusionToyError(f"no viewer got a picture: {report.last_failure or 'the server sends none'}")
    return str(report)


def list_models(endpoint: Endpoint) -> list[str]:
    """Return a line for each model of the server.

    Raises:
        DiffusionToyError: the server does not answer.
    """
    from viewer_client.link import transport

    return [
        f"{model.name}  {model.fingerprint}  {model.channels}×{model.height}×{model.width}  "
        f"{len(model.label_names)} classes  trained on {model.dataset}"
        for model in transport.list_models(endpoint)
    ]
