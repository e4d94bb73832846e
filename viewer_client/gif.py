"""Pictures of a session and the GIF made of them; Pillow, no window."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffusion_toy.errors import MissingExtraError
from viewer_client import wording
from viewer_client.colormaps import grey
from viewer_client.dosing import MouseMode
from viewer_client.view_model import ViewModel

try:
    from PIL import Image, ImageDraw, ImageFont
except ModuleNotFoundError as error:
    raise MissingExtraError("Pillow", "viewer") from error

Picture = Image.Image
SIZE_MAX_BYTES = 2_000_000
PANE_PX, GAP_PX, HEADER_PX, FOOTER_PX = 224, 14, 58, 40
GREY_LEVELS = (24, 16, 10)  # noise looks the same with few, and takes less room
LAST_PICTURE_MS = 1500
BACKGROUND, TEXT, DIM, ACCENT, EDGE = (
    (15, 16, 20), (224, 227, 234), (142, 149, 166), (255, 190, 92), (54, 58, 70),
)  # fmt: skip


class Illustrator:
    """Draws moments of a session: x_t and x̂0 side by side, the time step, the pointer, a caption."""

    def __init__(self) -> None:
        self._large, self._small = ImageFont.load_default(24), ImageFont.load_default(14)

    def draw(self, model: ViewModel, caption: str) -> Picture:
        """The picture of this moment; the model has a frame."""
        frame = model.frame
        assert frame is not None
        height, width = frame.x_t.shape[1:]
        cell = max(PANE_PX // max(height, width), 1)
        pane_width, pane_height = cell * width, cell * height
        size = (2 * pane_width + 3 * GAP_PX, HEADER_PX + pane_height + FOOTER_PX)
        canvas = Image.new("RGB", size, BACKGROUND)
        draw = ImageDraw.Draw(canvas)
        lefts = (GAP_PX, 2 * GAP_PX + pane_width)
        titles = ("the noisy picture", "the network's guess")
        for left, title, image in zip(lefts, titles, (frame.x_t, frame.x0_hat), strict=True):
            pane = Image.fromarray(grey(image)).resize((pane_width, pane_height), Image.Resampling.NEAREST)
            canvas.paste(pane, (left, HEADER_PX))
            edge = (left - 1, HEADER_PX - 1, left + pane_width, HEADER_PX + pane_height)
            draw.rectangle(edge, outline=EDGE)
            draw.text((left, HEADER_PX - 20), title, DIM, self._small)
        draw.text((GAP_PX, 6), wording.time_step(model), ACCENT, self._large)
        bar = (lefts[1], 18, lefts[1] + pane_width, 24)
        share = frame.time_step.max / max(model.num_time_steps, 1)
        draw.rectangle(bar, outline=EDGE)
        draw.rectangle((bar[2] - round(share * pane_width), bar[1], bar[2], bar[3]), fill=ACCENT)
        draw.text((GAP_PX, HEADER_PX + pane_height + 11), caption, TEXT, self._small)
        if model.pointer is not None:
            whole = model.mode is MouseMode.WHOLE_IMAGE
            radius = 6.0 if whole else model.radius * min(pane_width, pane_height)
            x, y = lefts[0] + model.pointer[0] * pane_width, HEADER_PX + model.pointer[1] * pane_height
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ACCENT, width=2)
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=ACCENT)
            if whole:
                edge = (lefts[0] - 2, HEADER_PX - 2, lefts[0] + pane_width + 1, HEADER_PX + pane_height + 1)
                draw.rectangle(edge, outline=ACCENT, width=2)
        return canvas


def free_path(path: Path) -> Path:
    """The path itself, or with -2, -3 … where a file is there already."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return candidate


def encode(pictures: Sequence[Picture], period_ms: int) -> bytes:
    """An endless GIF of at most 2 MB: with fewer greys, then with fewer pictures, until it fits."""
    every = 1
    while True:
        for greys in GREY_LEVELS:
            content = _encode(pictures[::every], period_ms * every, greys)
            if len(content) <= SIZE_MAX_BYTES or len(pictures) // every < 4:
                return content
        every += 1


def _encode(pictures: Sequence[Picture], period_ms: int, greys: int) -> bytes:
    step = 255 / (greys - 1)
    ramp = [(round(i * step),) * 3 for i in range(greys)]
    text = [tuple(round(b + (c - b) * k / 3) for b, c in zip(BACKGROUND, color, strict=True))
            for color in (TEXT, DIM, ACCENT, EDGE) for k in (1, 2, 3)]  # fmt: skip
    colors = [*ramp, BACKGROUND, *text]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.array(colors, np.uint8).tobytes())
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [period_ms] * (len(frames) - 1) + [LAST_PICTURE_MS]
    target = io.BytesIO()
    frames[0].save(
        target, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False
    )
    return target.getvalue()
