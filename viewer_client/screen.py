"""Draws the view model into a PyGame surface; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pygame

from diffusion_toy.schedule import level_of_alphas_cumprod
from viewer_client.colormaps import Pixels, dimmed, grey, heat
from viewer_client.connection import Phase, Statistics, Status
from viewer_client.dosing import MouseMode
from viewer_client.geometry import Layout, Rect, layout
from viewer_client.keymap import BINDINGS
from viewer_client.view_model import ViewModel

BACKGROUND, PANEL, EDGE = (18, 19, 24), (28, 30, 38), (58, 62, 76)
TEXT, DIM, ACCENT, WARNING = (226, 228, 234), (144, 150, 166), (255, 190, 92), (255, 128, 110)
CURVE = (122, 170, 255)
FONTS = "dejavusans,liberationsans,segoeui,helveticaneue,arial,notosans"
SPECKLE_ALPHA = 110

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Speckle:
    """A dab that was sent and has not come back in a frame: center None is the whole picture."""

    center: tuple[float, float] | None
    radius: float
    expires: float


class Screen:
    """Everything that is drawn. `draw` is called once for each picture of the window."""

    def __init__(self) -> None:
        self._fonts: dict[int, pygame.font.Font] = {}
        self._texts: dict[tuple[str, int, Color], pygame.Surface] = {}
        self._path = pygame.font.match_font(FONTS)
        self._random = np.random.default_rng(0)
        self._layout: Layout | None = None

    def layout_of(self, surface: pygame.Surface) -> Layout:
        """Where everything is on this surface."""
        return layout(*surface.get_size())

    def draw(
        self,
        surface: pygame.Surface,
        model: ViewModel,
        status: Status,
        statistics: Statistics,
        render_fps: float,
        speckles: list[Speckle],
        now: float,
    ) -> None:
        """Draw it all."""
        places = self.layout_of(surface)
        self._layout = places
        surface.fill(BACKGROUND)
        lost = status.phase is not Phase.LIVE
        self._header(surface, model)
        self._panes(surface, model, lost)
        if not lost:
            self._speckle(surface, model, speckles)
        self._brush(surface, model)
        self._rail(surface, model)
        self._timeline(surface, model)
        self._status_line(surface, model, status, statistics, render_fps, now)
        if lost:
            self._banner(surface, status)
        if model.help_open:
            self._help(surface)

    # --- text ---

    def _size(self, points: float) -> int:
        assert self._layout is not None
        return max(round(points * self._layout.scale), 11)

    def _text(self, text: str, points: float, color: Color = TEXT) -> pygame.Surface:
        size = self._size(points)
        key = (text, size, color)
        if key not in self._texts:
            if len(self._texts) > 400:
                self._texts.clear()
            font = self._fonts.setdefault(size, pygame.font.Font(self._path, size))
            self._texts[key] = font.render(text, True, color)
        return self._texts[key]

    def _put(
        self,
        surface: pygame.Surface,
        text: str,
        x: float,
        y: float,
        points: float = 14,
        color: Color = TEXT,
        *,
        width: int | None = None,
        right: bool = False,
    ) -> int:
        """Write a line, shortened to `width` px; returns its height."""
        image = self._text(text, points, color)
        if width is not None and image.get_width() > width:
            while text and self._text(text + "…", points, color).get_width() > width:
                text = text[:-1]
            image = self._text(text + "…", points, color)
        surface.blit(image, (x - image.get_width() if right else x, y))
        return image.get_height()

    def _wrapped(self, surface: pygame.Surface, text: str, place: Rect, points: float, color: Color) -> int:
        """Write words in lines of the rectangle's width; returns the height used."""
        line, y = "", place.y
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and self._text(longer, points, color).get_width() > place.width:
                y += self._put(surface, line, place.x, y, points, color)
                longer = word
            line = longer
        return y + self._put(surface, line, place.x, y, points, color, width=place.width) - place.y

    # --- the parts ---

    def _header(self, surface: pygame.Surface, model: ViewModel) -> None:
        assert self._layout is not None
        place = self._layout.header
        self._put(surface, model.time_step_text, place.x, place.y, 34, ACCENT)
        used = self._text(model.time_step_text, 34, ACCENT).get_width() + 24
        self._put(surface, model.session_line, place.right, place.y, 15, width=place.width - used, right=True)
        self._put(
            surface, model.notice or model.state_sentence, place.right, place.y + self._size(15) * 1.45, 13,
            WARNING if model.notice else DIM,
            width=place.width - used, right=True,
        )  # fmt: skip

    def _picture(self, surface: pygame.Surface, place: Rect, pixels: Pixels | None, title: str) -> None:
        self._put(surface, title, place.x, place.y - self._size(13) * 1.5, 13, DIM, width=place.width)
        frame = pygame.Rect(place.x, place.y, place.width, place.height)
        if pixels is None:
            pygame.draw.rect(surface, PANEL, frame)
        else:
            image = pygame.image.frombuffer(pixels.tobytes(), (pixels.shape[1], pixels.shape[0]), "RGB")
            surface.blit(pygame.transform.scale(image, frame.size), frame)  # nearest neighbour
        pygame.draw.rect(surface, EDGE, frame, 1)

    def _panes(self, surface: pygame.Surface, model: ViewModel, lost: bool) -> None:
        assert self._layout is not None
        places, frame = self._layout, model.frame
        shade = dimmed if lost else (lambda pixels: pixels)
        if frame is None:
            noisy = clean = None
            levels = np.ones((1, 1), np.float32)
        else:
            noisy, clean = shade(grey(frame.x_t)), shade(grey(frame.x0_hat))
            constant = np.full((1, 1), frame.claimed.mean, np.float32)
            levels = constant if frame.level_map is None else frame.level_map
        self._picture(surface, places.noisy, noisy, "x_t  the picture: move the mouse here")
        self._picture(surface, places.clean, clean, "x0  the network's guess")
        self._picture(surface, places.levels, shade(heat(levels)), "noise level")

    def _speckle(self, surface: pygame.Surface, model: ViewModel, speckles: list[Speckle]) -> None:
        """Show where noise has just been added, before the server answers."""
        assert self._layout is not None
        if not speckles or model.frame is None:
            return
        place = self._layout.noisy
        height, width = model.frame.x_t.shape[1:]
        rows = ((np.arange(height) + 0.5) / height)[:, None]
        columns = ((np.arange(width) + 0.5) / width)[None, :]
        inside = np.zeros((height, width), bool)
        for speckle in speckles:
            if speckle.center is None:
                inside[:] = True
                break
            x, y = speckle.center
            inside |= (columns - x) ** 2 + (rows - y) ** 2 <= speckle.radius**2
        noise = np.repeat(self._random.integers(0, 256, (height, width, 1), np.uint8), 4, axis=2)
        noise[..., 3] = np.where(inside, SPECKLE_ALPHA, 0)
        image = pygame.image.frombuffer(noise.tobytes(), (width, height), "RGBA")
        surface.blit(pygame.transform.scale(image, (place.width, place.height)), (place.x, place.y))

    def _brush(self, surface: pygame.Surface, model: ViewModel) -> None:
        assert self._layout is not None
        if model.pointer is None:
            return
        place = self._layout.noisy
        clip = surface.get_clip()
        surface.set_clip(pygame.Rect(place.x, place.y, place.width, place.height))
        x = place.x + model.pointer[0] * place.width
        y = place.y + model.pointer[1] * place.height
        if model.mode is MouseMode.WHOLE_IMAGE:
            pygame.draw.rect(surface, ACCENT, (place.x, place.y, place.width, place.height), 2)
            radius = 6.0
        else:
            radius = model.radius * min(place.width, place.height)
        pygame.draw.circle(surface, (0, 0, 0), (x, y), radius + 1, 3)
        pygame.draw.circle(surface, ACCENT, (x, y), radius, 1)
        surface.set_clip(clip)

    def _rail(self, surface: pygame.Surface, model: ViewModel) -> None:
        assert self._layout is not None
        place = self._layout.rail
        pygame.draw.rect(surface, PANEL, (place.x, place.y, place.width, place.height))
        pad = self._size(8)
        inner = Rect(place.x + pad, place.y + pad, place.width - 2 * pad, place.height - 2 * pad)
        y = inner.y
        if model.frame is not None:
            wrong = "truth" not in model.gauge_sentence
            color = WARNING if wrong else TEXT
            y += self._wrapped(surface, model.gauge_sentence, inner, 15, color) + pad // 2
            claimed, real = model.frame.claimed, model.frame.bookkept
            for name, level in (("told", claimed), ("really", real)):
                y = self._bar(
                    surface, Rect(inner.x, y, inner.width, self._size(13)), name, level.mean, level.max
                )
        y += pad // 2
        line = round(self._size(13) * 1.35)
        name_width = max(self._text(name, 13, DIM).get_width() for name, _ in model.mouse_lines) + pad
        for name, value in model.mouse_lines:
            if y + line > place.bottom:
                return
            self._put(surface, name, inner.x, y, 13, DIM)
            self._put(surface, value, inner.x + name_width, y, 13, width=inner.width - name_width)
            y += line

    def _bar(self, surface: pygame.Surface, place: Rect, name: str, mean: float, greatest: float) -> int:
        """A level as a bar (mean) with a mark (greatest); returns the next line's y."""
        self._put(surface, name, place.x, place.y, 13, DIM)
        left = place.x + self._text("really", 13, DIM).get_width() + self._size(8)
        number = f"{mean:.2f}"
        width = place.right - left - self._text("0.00", 13).get_width() - self._size(8)
        middle = place.y + self._size(13) // 2 + 1
        pygame.draw.rect(surface, EDGE, (left, middle - 3, width, 7), 1)
        pygame.draw.rect(surface, CURVE, (left, middle - 3, round(width * min(mean, 1)), 7))
        mark = left + round(width * min(greatest, 1))
        pygame.draw.line(surface, ACCENT, (mark, middle - 6), (mark, middle + 6), 2)
        self._put(surface, number, place.right, place.y, 13, right=True)
        return place.y + round(self._size(13) * 1.4)

    def _timeline(self, surface: pygame.Surface, model: ViewModel) -> None:
        assert self._layout is not None
        place = self._layout.timeline
        pygame.draw.rect(surface, PANEL, (place.x, place.y, place.width, place.height))
        pad, text = self._size(8), round(self._size(12) * 1.5)
        left, width = place.x + pad, place.width - 2 * pad
        top, bottom = place.y + pad, place.bottom - text
        if model.schedule is None:
            return
        signal = np.sqrt(model.schedule.alphas_cumprod)
        noise = level_of_alphas_cumprod(model.schedule.alphas_cumprod)
        steps = len(signal) - 1

        def x_of(t: float) -> float:
            return left + width * (1 - t / steps)

        if model.frame is not None:
            t = model.frame.time_step
            band = pygame.Rect(
                round(x_of(t.max)), top, max(round(x_of(t.min) - x_of(t.max)), 1), bottom - top
            )
            pygame.draw.rect(surface, (70, 60, 44), band)
        for values, color in ((signal, CURVE), (noise, DIM)):
            points = [
                (x_of(i), bottom - float(values[i]) * (bottom - top))
                for i in range(0, steps + 1, max(steps // 150, 1))
            ]
            pygame.draw.aalines(surface, color, False, points)
        pygame.draw.line(surface, EDGE, (left, bottom), (left + width, bottom))
        if model.frame is not None:
            x = x_of(model.frame.time_step.max)
            pygame.draw.line(surface, ACCENT, (x, top - 3), (x, bottom + 3), 2)
            pygame.draw.circle(surface, ACCENT, (x, bottom + 3), 4)
        y = bottom + 3
        self._put(surface, f"noise  t = {steps}", left, y, 12, DIM)
        self._put(surface, "clean  t = 0", left + width, y, 12, DIM, right=True)
        middle = "signal in the picture (blue), noise level (grey)"
        self._put(surface, middle, left + width / 2 - self._text(middle, 12, DIM).get_width() / 2, y, 12, DIM)

    def _status_line(
        self, surface: pygame.Surface, model: ViewModel, status: Status, statistics: Statistics,
        render_fps: float, now: float,
    ) -> None:  # fmt: skip
        assert self._layout is not None
        place = self._layout.status
        landing = statistics.landing_quantile_ms(0.5)
        parts = [f"{render_fps:.0f} pictures/s", f"{statistics.steps_per_second(now):.0f} steps/s"]
        parts.append(f"mouse to picture {landing:.0f} ms" if landing is not None else "mouse to picture –")
        if model.frame is not None:
            parts.append(f"server {model.frame.server_ms:.0f} ms")
            people = model.frame.sessions
            parts.append(f"{people} {'person' if people == 1 else 'people'}")
        parts.append(f"{statistics.superseded} skipped")
        line = "   ".join(parts) if status.phase is Phase.LIVE else status.phase.value
        self._put(surface, line, place.x, place.y, 13, DIM, width=place.width)
        keys = "Space play/pause   Left Right step   R restart   N new seed   0-9 class   M mouse   H help"
        self._put(surface, keys, place.x, place.y + self._size(13) * 1.5, 13, TEXT, width=place.width)

    # --- overlays ---

    def _banner(self, surface: pygame.Surface, status: Status) -> None:
        assert self._layout is not None
        place = self._layout.noisy
        words = [status.phase.value]
        if status.attempt:
            words.append(f"attempt {status.attempt}")
        pad = self._size(12)
        box = pygame.Rect(place.x, place.y + place.height // 3, place.width, self._size(15) * 7)
        pygame.draw.rect(surface, BACKGROUND, box)
        pygame.draw.rect(surface, WARNING, box, 1)
        y = box.y + pad
        y += self._put(surface, ", ".join(words), box.x + pad, y, 20, WARNING) + pad // 2
        inner = Rect(box.x + pad, y, box.width - 2 * pad, box.bottom - y)
        self._wrapped(surface, status.sentence or "looking for the server", inner, 14, TEXT)

    def _help(self, surface: pygame.Surface) -> None:
        width, height = surface.get_size()
        shade = pygame.Surface((width, height), pygame.SRCALPHA)
        shade.fill((10, 11, 15, 236))
        surface.blit(shade, (0, 0))
        pad = self._size(24)
        y = pad + self._put(surface, "Keys", pad, pad // 2, 24, ACCENT) + pad // 4
        intro = (
            "The picture starts as pure Gaussian noise and is denoised step by step. "
            "Moving the mouse over it adds noise."
        )
        y += self._wrapped(surface, intro, Rect(pad, y, width - 2 * pad, 0), 14, TEXT) + pad // 2
        half = (len(BINDINGS) + 1) // 2
        column = (width - 2 * pad) // 2
        line = (height - y - pad // 2) / half
        key_width = max(self._text(b.shown, 14, ACCENT).get_width() for b in BINDINGS) + pad // 2
        for index, binding in enumerate(BINDINGS):
            x = pad + (index // half) * column
            row = y + (index % half) * line
            self._put(surface, binding.shown, x, row, 14, ACCENT)
            self._put(surface, binding.help, x + key_width, row, 14, width=column - key_width - 8)
