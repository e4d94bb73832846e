"""Screens drawn into a surface in memory, and what tests read off them."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import live_model
from tests.viewer_client.recorded_text import RecordedText
from viewer_client.core.appearance import Appearance
from viewer_client.core.geometry import Rect
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Statistics, Status
from viewer_client.window.screen import Screen

SIZES = [(640, 480), (800, 600), (1100, 720), (1920, 1080), (720, 1280)]
SIZE = (1100, 720)
LEVELS = np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(28, 28)
LOST = Status(Phase.LOST, "no server at box:1", 3)


def drawn(
    model: ViewModel, size: tuple[int, int] = SIZE, appearance: Appearance | None = None
) -> tuple[Screen, pygame.Surface]:
    surface, screen = pygame.Surface(size), Screen(RecordedText(), appearance)
    assert screen.draw(surface, model, Statistics(), 60.0, now=0.0)
    return screen, surface


def texts(screen: Screen) -> list[str]:
    return [text for text, _ in screen.text.placed]


def pixels(surface: pygame.Surface, place: Rect) -> np.ndarray:
    """The colours of a part of the surface, (H, W, 3), without its border."""
    colors = pygame.surfarray.array3d(surface).transpose(1, 0, 2).astype(int)
    return colors[place.y + 1 : place.bottom - 1, place.x + 1 : place.right - 1]


def plain() -> ViewModel:
    return live_model(measured_by_residual=0.5, excess_kurtosis=0.1)


def busy() -> ViewModel:
    """Much to say, with the pointer on the picture."""
    settings = m.Settings(label=3, guidance=7.5, sampler=m.Sampler.SDE_DPMPP, steps_per_second=10.0)
    actual, time_step = m.Range(0.2, 0.6, 1.0), m.Range(0.0, 100.0, 300.0)
    model = live_model(
        level_map=LEVELS, settings=settings, actual=actual, time_step=time_step, excess_kurtosis=-1.2
    )
    for step in range(1, 200):
        model.receive(replace(model.frame, step=step, first_kept_step=max(step - 120, 0)))  # type: ignore[type-var]
    model.feedback.marks.extend([20.0, 250.0])
    brush = model.brush
    brush.kind, brush.rule, brush.mode = m.NoiseKind.CONSTANT, m.InjectionRule.NAIVE, MouseMode.BRUSH_HELD
    model.pointer = (0.97, 0.5)
    return model
