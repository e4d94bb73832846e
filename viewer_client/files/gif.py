"""Pictures of a session and the GIF made of them; Pillow, no window."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.contract.pixels import to_unit_range
from diffusion_toy.errors import MissingExtraError
from viewer_client.core import labels
from viewer_client.core.colormaps import grey
from viewer_client.core.geometry import Point
from viewer_client.core.history import Moment
from viewer_client.core.palette import ACCENT, BACKGROUND, DIM, EDGE, TEXT
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel

try:
    from PIL import Image, ImageDraw, ImageFont
except ModuleNotFoundError as error:
    raise MissingExtraError("Pillow", "viewer") from error

Picture = Image.Image
SIZE_MAX_BYTES = 2_000_000
PANE_PX, GAP_PX, HEADER_PX, FOOTER_PX = 224, 14, 58, 40
GREY_LEVELS = (24, 16, 10)  # noise looks the same with few, and takes less room
LAST_PICTURE_MS = 1500
RUN_PERIOD_MS = 50  # between two pictures of a run


class FigureRenderer:
    """Draws moments of a session: x_t and x̂0 side by side, the time step, the pointer, a caption."""

    def __init__(self) -> None:
        self._large, self._small = ImageFont.load_default(24), ImageFont.load_default(14)

    def draw(self, model: ViewModel, caption: str) -> Picture:
        """Return the picture of the model's present moment; the model has a frame."""
        frame = model.frame
        assert frame is not None
        share = frame.time_step.max / max(model.num_time_steps, 1)
        canvas = self.page(frame.x_t, frame.x0_hat, labels.time_step(model), share, caption)
        if model.pointer is not None:
            self._draw_pointer(canvas, model, model.pointer, frame.x_t)
        return canvas

    def draw_moment(self, moment: Moment, caption: str) -> Picture:
        """Return the picture of a moment of a recording."""
        heading = f"t {labels.whole(moment.time_step)}/{moment.num_time_steps}"
        share = moment.time_step / moment.num_time_steps
        return self.page(to_unit_range(moment.x_t), to_unit_range(moment.x0_hat), heading, share, caption)

    def page(self, x_t: m.Image, x0_hat: m.Image, heading: str, share: float, caption: str) -> Picture:
        """Draw two pictures (C, H, W) in [−1, 1] under a heading and a bar, of which `share` is filled."""
        pane_width, pane_height, lefts = _panes(x_t)
        size = (2 * pane_width + 3 * GAP_PX, HEADER_PX + pane_height + FOOTER_PX)
        canvas = Image.new("RGB", size, BACKGROUND)
        draw = ImageDraw.Draw(canvas)
        titles = ("the noisy picture", "the network's guess")
        for left, title, image in zip(lefts, titles, (x_t, x0_hat), strict=True):
            pane = Image.fromarray(grey(image)).resize((pane_width, pane_height), Image.Resampling.NEAREST)
            canvas.paste(pane, (left, HEADER_PX))
            edge = (left - 1, HEADER_PX - 1, left + pane_width, HEADER_PX + pane_height)
            draw.rectangle(edge, outline=EDGE)
            draw.text((left, HEADER_PX - 20), title, DIM, self._small)
        draw.text((GAP_PX, 6), heading, ACCENT, self._large)
        bar = (lefts[1], 18, lefts[1] + pane_width, 24)
        draw.rectangle(bar, outline=EDGE)
        draw.rectangle((bar[2] - round(share * pane_width), bar[1], bar[2], bar[3]), fill=ACCENT)
        draw.text((GAP_PX, HEADER_PX + pane_height + 11), caption, TEXT, self._small)
        return canvas

    @staticmethod
    def _draw_pointer(canvas: Picture, model: ViewModel, pointer: Point, x_t: m.Image) -> None:
        pane_width, pane_height, (left, _) = _panes(x_t)
        draw = ImageDraw.Draw(canvas)
        whole = model.brush.mode is MouseMode.WHOLE_IMAGE
        radius = 6.0 if whole else model.brush.radius * min(pane_width, pane_height)
        x, y = left + pointer[0] * pane_width, HEADER_PX + pointer[1] * pane_height
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ACCENT, width=2)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=ACCENT)
        if whole:
            edge = (left - 2, HEADER_PX - 2, left + pane_width + 1, HEADER_PX + pane_height + 1)
            draw.rectangle(edge, outline=ACCENT, width=2)


def _panes(image: m.Image) -> tuple[int, int, tuple[int, int]]:
    """Return width and height of a pane for pictures of this shape, and the left edges of both, px."""
    height, width = image.shape[1:]
    cell = max(PANE_PX // max(height, width), 1)
    return cell * width, cell * height, (GAP_PX, 2 * GAP_PX + cell * width)


def of_run(moments: Sequence[Moment], caption: str) -> bytes:
    """Return a GIF of a run, of at most 2 MB.

    Args:
        moments: at least one.
    """
    renderer = FigureRenderer()
    return encode([renderer.draw_moment(moment, caption) for moment in moments], RUN_PERIOD_MS)


def encode(pictures: Sequence[Picture], period_ms: int) -> bytes:
    """Return an endless GIF of at most 2 MB: fewer greys, then fewer pictures, until it fits."""
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
