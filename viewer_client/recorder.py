"""A scripted session without a display, recorded as a GIF.

The script moves a pointer through the same view model as a person does, against a real server:
structure emerges from noise, strokes of the brush heal, noise over the whole picture gives way to
another digit.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from diffusion_toy import messages as m
from diffusion_toy.errors import DiffusionToyError, MissingExtraError
from viewer_client.colormaps import grey
from viewer_client.connection import Connection, Phase
from viewer_client.dosing import MouseMode
from viewer_client.geometry import Point
from viewer_client.view_model import ViewModel

try:
    from PIL import Image, ImageDraw, ImageFont
except ModuleNotFoundError as error:
    raise MissingExtraError("pillow", "viewer") from error

POLL_S = 1 / 120
GIF_PERIOD_MS = 80
CONNECT_TIMEOUT_S = 30.0
PANE_PX, GAP_PX, HEADER_PX, FOOTER_PX = 196, 12, 34, 30
GREY_LEVELS = 24  # what noise looks the same with, and compresses far better
BACKGROUND, TEXT, DIM, ACCENT = (18, 19, 24), (226, 228, 234), (144, 150, 166), (255, 190, 92)


class RecordingError(DiffusionToyError):
    """Nothing could be recorded."""


@dataclass(frozen=True)
class Scene:
    """A part of the script: from `begin` to `end` (fractions of the whole), with its caption."""

    begin: float
    end: float
    caption: str
    mode: MouseMode | None = None  # how the mouse paints, None: it is elsewhere
    path: tuple[Point, ...] = ()
    strength: float = 0.0


SCENES = (
    Scene(0.00, 0.34, "structure emerges from Gaussian noise"),
    Scene(
        0.34, 0.44, "the mouse adds noise in one place", MouseMode.BRUSH,
        ((0.28, 0.25), (0.62, 0.42), (0.38, 0.60), (0.66, 0.74)), 95,
    ),
    Scene(0.44, 0.60, "and the stroke heals"),
    Scene(
        0.60, 0.68, "noise over the whole picture", MouseMode.WHOLE_IMAGE,
        ((0.2, 0.3), (0.8, 0.35), (0.2, 0.6), (0.8, 0.7)), 62,
    ),
    Scene(0.68, 1.00, "becomes a picture again"),
)  # fmt: skip


def along(path: tuple[Point, ...], share: float) -> Point:
    """The point at this share (0…1) of the length of a polyline."""
    lengths = [math.dist(a, b) for a, b in pairwise(path)]
    rest = share * sum(lengths)
    for (a, b), length in zip(pairwise(path), lengths, strict=True):
        if rest <= length:
            part = rest / length if length else 0.0
            return a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])
        rest -= length
    return path[-1]


def draw_frame(model: ViewModel, caption: str) -> Image.Image:
    """One picture of the recording: x_t and x̂0 side by side, the time step, a caption."""
    frame = model.frame
    assert frame is not None
    size = (2 * PANE_PX + 3 * GAP_PX, HEADER_PX + PANE_PX + FOOTER_PX)
    canvas = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    large, small = ImageFont.load_default(20), ImageFont.load_default(13)
    for index, image in enumerate((frame.x_t, frame.x0_hat)):
        step = 255 / (GREY_LEVELS - 1)
        pixels = (np.round(grey(image) / step) * step).astype(np.uint8)
        pane = Image.fromarray(pixels).resize((PANE_PX, PANE_PX), Image.Resampling.NEAREST)
        canvas.paste(pane, (GAP_PX + index * (PANE_PX + GAP_PX), HEADER_PX))
    draw.text((GAP_PX, 5), model.time_step_text, ACCENT, large)
    draw.text((2 * GAP_PX + PANE_PX, 11), "the network's guess", DIM, small)
    draw.text((GAP_PX, HEADER_PX + PANE_PX + 7), caption, TEXT, small)
    if model.pointer is not None:
        radius = model.radius * PANE_PX if model.mode is not MouseMode.WHOLE_IMAGE else 5
        x = GAP_PX + model.pointer[0] * PANE_PX
        y = HEADER_PX + model.pointer[1] * PANE_PX
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ACCENT, width=2)
    return canvas


def free_path(path: Path) -> Path:
    """The path itself, or with -2, -3 … where a file is there already."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return candidate


def write_gif(path: Path, frames: list[Image.Image], period_ms: int = GIF_PERIOD_MS) -> None:
    """Write an endless GIF; one palette for all frames, the last one shown a little longer."""
    palette = frames[len(frames) // 2].quantize(48, dither=Image.Dither.NONE)
    quantized = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [period_ms] * (len(frames) - 1) + [1500]
    quantized[0].save(
        path, save_all=True, append_images=quantized[1:], duration=durations, loop=0, optimize=False
    )


def record(connection: Connection, model: ViewModel, path: Path, seconds: float) -> str:
    """Play the script for `seconds` and write it to `path`, or beside it if that exists.

    Returns:
        A summary for the user: where the file is, and figures of the connection.

    Raises:
        RecordingError: no session within thirty seconds, or it was lost.
    """
    began = _wait_for_first_frame(connection, model)
    pictures: list[Image.Image] = []
    scene = SCENES[0]
    while (elapsed := time.monotonic() - began) < seconds:
        _poll(connection, model)
        _require_live(connection)
        share = elapsed / seconds
        now = next((s for s in SCENES if share < s.end), SCENES[-1])
        if now is not scene:
            scene = now
            model.mouse_at(None)
            if scene.mode is not None:
                model.mode, model.strength = scene.mode, scene.strength
        if scene.mode is not None:
            done = (share - scene.begin) / (scene.end - scene.begin)
            model.mouse_at(along(scene.path, done))
        if elapsed >= len(pictures) * GIF_PERIOD_MS / 1000:
            pictures.append(draw_frame(model, scene.caption))
        time.sleep(POLL_S)
    target = free_path(path)
    write_gif(target, pictures)
    figures = connection.statistics
    p50, p99 = figures.landing_quantile_ms(0.5), figures.landing_quantile_ms(0.99)
    landing = f", command to frame p50 {p50:.1f} ms, p99 {p99:.1f} ms" if p50 and p99 else ""
    return (
        f"recorded {target} ({target.stat().st_size / 1e6:.2f} MB, {len(pictures)} pictures): "
        f"{figures.frames} frames in {seconds:g} s, {figures.superseded} skipped{landing}"
    )


def _poll(connection: Connection, model: ViewModel) -> None:
    for response in connection.take():
        model.receive(response)
        if isinstance(response, m.Frame):
            connection.drawn(response)
    for command in model.take_commands():
        connection.send(command)


def _wait_for_first_frame(connection: Connection, model: ViewModel) -> float:
    until = time.monotonic() + CONNECT_TIMEOUT_S
    while model.frame is None:
        if connection.status.phase is Phase.REFUSED or time.monotonic() > until:
            raise RecordingError(connection.status.sentence or "the server sends no pictures")
        _poll(connection, model)
        time.sleep(POLL_S)
    return time.monotonic()


def _require_live(connection: Connection) -> None:
    if connection.status.phase is not Phase.LIVE:
        raise RecordingError(f"the session was lost: {connection.status.sentence}")
