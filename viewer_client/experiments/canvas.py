"""A picture drawn by hand, in the model's own size, and what noise would make of it. No PyGame."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from viewer_client.core.geometry import Point

WIDTH_DEFAULT, WIDTH_MIN, WIDTH_MAX = 2.6, 1.0, 8.0  # of a stroke, px of a picture of SIDE_PX
WIDTH_FACTOR = 1.15  # from one width to the next
SIDE_PX = 28
RUBBER_FACTOR = 2.0  # times the stroke, so that one way over it leaves no edges
EDGE_PX = 1.3  # over which a stroke fades, as in scanned digits; in px of any picture
SHARE_DEFAULT, SHARE_STEP = 0.5, 1 / 60  # of T
NOISE_SEED = 0


class Canvas:
    """White strokes on black, and the time step from which they are to be denoised.

    Attributes:
        ink: (H, W) float32, 0 black … 1 white.
        width: width of a stroke, px of the picture.
        share: the time step over T, so that it means the same for any schedule.
        version: rises with every change of `ink`.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        self.shape = (channels, height, width)
        self.ink: NDArray[np.float32] = np.zeros((height, width), np.float32)
        self.share = SHARE_DEFAULT
        self.version = 0
        self._scale = min(height, width) / SIDE_PX
        self.width = WIDTH_DEFAULT * self._scale
        self._last: Point | None = None
        self._columns = np.arange(width, dtype=np.float32)[None, :] + 0.5
        self._rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
        self._noise = np.random.default_rng(NOISE_SEED).standard_normal(self.shape).astype(np.float32)

    @property
    def blank(self) -> bool:
        """Say whether nothing is drawn."""
        return not self.ink.any()

    def stroke(self, point: Point, *, erase: bool = False) -> None:
        """Draw, or erase, a straight line from the last point to this one; a dot if there is none.

        Args:
            point: in fractions of the picture; it may lie outside.
        """
        _, height, width = self.shape
        end = (point[0] * width, point[1] * height)
        start, self._last = self._last or end, end
        across = self.width_of(erase=erase)
        cover = np.clip((across + EDGE_PX - 2 * self._distance(start, end)) / (2 * EDGE_PX), 0, 1)
        self.ink = np.minimum(self.ink, 1 - cover) if erase else np.maximum(self.ink, cover)
        self.version += 1

    def width_of(self, *, erase: bool) -> float:
        """Return the width of the stroke, or of the eraser, px of the picture."""
        return self.width * RUBBER_FACTOR if erase else self.width

    def lift(self) -> None:
        """End the stroke: the next point begins another one."""
        self._last = None

    def clear(self) -> None:
        """Erase everything."""
        self.ink = np.zeros_like(self.ink)
        self.version += 1

    def widen(self) -> None:
        """Make the stroke one step wider."""
        self.width = min(self.width * WIDTH_FACTOR, WIDTH_MAX * self._scale)

    def narrow(self) -> None:
        """Make the stroke one step narrower."""
        self.width = max(self.width / WIDTH_FACTOR, WIDTH_MIN * self._scale)

    def set_share(self, share: float) -> None:
        """Start at this share of T, 0…1."""
        self.share = min(max(share, 0.0), 1.0)

    def time_step(self, num_time_steps: int) -> int:
        """Return the time step to denoise from, 1…T."""
        return max(round(self.share * num_time_steps), 1)

    def content(self) -> bytes:
        """Return the picture as a session takes it: C·H·W bytes, 0 black … 255 white."""
        grey = np.round(self.ink * 255).astype(np.uint8)
        return np.broadcast_to(grey, self.shape).tobytes()

    def image(self) -> m.Image:
        """Return the picture as the network knows it, (C, H, W) in [−1, 1]."""
        return np.broadcast_to(self.ink * 2 - 1, self.shape)

    def noised(self, schedule: m.Schedule) -> m.Image:
        """Return the drawing at its time step: x_t = √ᾱ·x0 + √(1−ᾱ)·ε, (C, H, W), with one ε for all t.

        The session's own noise is another; this one is for looking at.
        """
        a, s = self.mixture(schedule)
        return (a * self.image() + s * self._noise).astype(np.float32)

    def mixture(self, schedule: m.Schedule) -> tuple[float, float]:
        """Return √ᾱ and √(1−ᾱ) at the time step."""
        t = self.time_step(len(schedule.alphas_cumprod) - 1)
        alpha_cumprod = float(schedule.alphas_cumprod[t])
        return math.sqrt(alpha_cumprod), math.sqrt(1 - alpha_cumprod)

    def _distance(self, start: Point, end: Point) -> NDArray[np.float32]:
        """Return the distance of each pixel's centre from the line between two points, px, (H, W)."""
        x, y = self._columns - start[0], self._rows - start[1]
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = dx * dx + dy * dy
        along = np.clip((x * dx + y * dy) / length, 0, 1) if length else 0.0
        distance: NDArray[np.float32] = np.hypot(x - along * dx, y - along * dy).astype(np.float32)
        return distance
