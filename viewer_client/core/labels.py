"""What the viewer says about its state, in numbers and in sentences: pure functions."""

from __future__ import annotations

import math

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion import process
from viewer_client.core.appearance import Appearance
from viewer_client.core.gauge import measured_level, sigma
from viewer_client.core.keymap import Action, cap
from viewer_client.core.schedules import time_steps_of
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Statistics

SEPARATOR = " · "
WALL = "the class wall shows your picture"
MODE_NAMES = {
    MouseMode.WHOLE_IMAGE: "whole image",
    MouseMode.BRUSH: "brush",
    MouseMode.BRUSH_HELD: "brush, pressed",
}
RULE_TEXTS = {
    m.InjectionRule.TRUTH: "truth: as told",
    m.InjectionRule.NAIVE: "naive: too much",
    m.InjectionRule.LIE: "lie: only told",
}


def whole(t: float) -> str:
    """Return a time step in whole numbers, rounded up: 0 is shown only where nothing is left to do."""
    return str(math.ceil(t - 1e-3))


def time_step(model: ViewModel) -> str:
    """Return the time step, which is always shown: the largest t over T."""
    if model.frame is None:
        return f"t –/{model.num_time_steps}"
    return f"t {whole(model.frame.time_step.max)}/{model.num_time_steps}"


def time_step_range(model: ViewModel) -> str:
    """Return the least and the largest t where they differ, else ""."""
    if model.frame is None or model.frame.level_map is None:
        return ""
    t = model.frame.time_step
    return f"{whole(t.min)}–{whole(t.max)}"


def label_name(model: ViewModel, label: int) -> str:
    """Return a class as the model names it."""
    if label == m.NO_LABEL:
        return "any"
    names = model.welcome.model.label_names if model.welcome is not None else ()
    return names[label] if label < len(names) else str(label)


def session_parts(model: ViewModel) -> list[str]:
    """Return seed, class, sampler, schedule and speed, the most important first."""
    settings = model.settings
    seed = model.start.seed if model.frame is None else model.frame.seed
    parts = ["seed –" if seed is None else f"seed {seed}", f"class {label_name(model, settings.label)}"]
    if settings.label != m.NO_LABEL and settings.guidance != 1:
        parts.append(f"guidance {settings.guidance:g}")
    parts.append(settings.sampler.words)
    if settings.steps_per_second < model.tick_rate_hz:
        parts.append(f"{settings.steps_per_second:g} steps/s")
    parts.append(f"{settings.schedule.key} {settings.num_time_steps}")
    if model.welcome is not None:
        parts.append(f"model {model.welcome.model.name}")
        parts.append(f"session {model.welcome.session_id}")  # for those who are to watch it
        if model.welcome.wall:
            parts.insert(0, WALL)
    return parts


def sigma_parts(model: ViewModel) -> list[str]:
    """Return the standard deviation of the noise that is told, and the measured one if valid."""
    frame = model.frame
    if frame is None:
        return []
    told = frame.nominal
    if frame.level_map is not None:
        return [f"σ told {sigma(told.min):.2f}–{sigma(told.max):.2f}"]
    measured = measured_level(frame)
    parts = [f"σ told {sigma(told.mean):.2f}"]
    return parts if measured is None else [*parts, f"measured {sigma(measured):.2f}"]


def head_up_parts(model: ViewModel) -> list[str]:
    """Return `σ told 0.44 · measured 0.61 · seed 1234 · class 7 · …`, the most important first."""
    return sigma_parts(model) + session_parts(model)


def mixture(model: ViewModel) -> str:
    """Return what x_t is taken to be made of, "" where that differs from pixel to pixel."""
    frame = model.frame
    if frame is None or frame.level_map is not None:
        return ""
    level = np.float64(frame.nominal.mean)
    return f"{process.alpha(level):.2f} × clean + {process.sigma(level):.2f} × noise"


def time_step_here(model: ViewModel) -> str:
    """Return the time step of the pixel under the pointer, "" where there is none."""
    frame = model.frame
    if frame is None or model.pointer is None or model.schedule is None:
        return ""
    if frame.level_map is None:
        return f"t {whole(frame.time_step.max)}"
    height, width = frame.level_map.shape
    row, column = int(model.pointer[1] * height), int(model.pointer[0] * width)
    level = frame.level_map[min(row, height - 1), min(column, width - 1)]
    return f"t {whole(float(time_steps_of(model.schedule, level)))}"


def state_sentence(model: ViewModel) -> str:
    """Return in words what is going on."""
    frame = model.frame
    if frame is None:
        return "waiting for the first picture"
    if model.motion is m.Motion.PAUSED:
        return f"paused: {cap(Action.TOGGLE_PLAY)} plays, the arrow keys step"
    if model.motion is m.Motion.FORWARD:
        if frame.idle and frame.time_step.min > 0:
            return f"all noise: {cap(Action.TOGGLE_DIRECTION)} runs back and denoises"
        return "forward: each step adds a little noise"
    if frame.idle and frame.time_step.max == 0:
        return "finished: move the mouse over it to add noise"
    return "denoising: each step takes a little noise out"


# --- settings ---


def mouse_rows(model: ViewModel) -> list[tuple[str, str, str]]:
    """Return what the mouse does, as (key, name, value), the most important first."""
    whole_image = model.brush.mode is MouseMode.WHOLE_IMAGE
    reach = "¼ side" if whole_image else "radius"
    return [
        (cap(Action.MOUSE_MODE), "mouse", MODE_NAMES[model.brush.mode]),
        (cap(Action.STRONGER), "strength", f"{model.brush.strength:.0f} steps / {reach}"),
        (
            cap(Action.SMALLER_BRUSH, Action.LARGER_BRUSH),
            "radius",
            "everywhere" if whole_image else f"{100 * model.brush.radius:.0f} % of side",
        ),
        (cap(Action.NOISE_KIND), "noise", model.brush.kind.words),
        (cap(Action.RULE), "rule", RULE_TEXTS[model.brush.rule]),
    ]


def mouse_sentence(model: ViewModel) -> str:
    """Return in words what moving the mouse does."""
    where = {
        MouseMode.WHOLE_IMAGE: "Moving over the picture",
        MouseMode.BRUSH: "The brush",
        MouseMode.BRUSH_HELD: "The brush, while a button is pressed,",
    }[model.brush.mode]
    what = {
        m.InjectionRule.TRUTH: "adds noise, and the network is told how much.",
        m.InjectionRule.NAIVE: "adds noise as if the picture were clean: more than the network is told.",
        m.InjectionRule.LIE: "adds no noise, but the network is told there is some.",
    }[model.brush.rule]
    return f"{where} {what}"


def network_rows(model: ViewModel) -> list[tuple[str, str, str]]:
    """Return what the network does, as (key, name, value), the most important first."""
    settings = model.settings
    return [
        (cap(Action.LABEL), "class", label_name(model, settings.label)),
        (cap(Action.SLOWER, Action.FASTER), "speed", f"{settings.steps_per_second:g} steps/s"),
        (cap(Action.SAMPLER), "sampler", settings.sampler.words),
        (cap(Action.SCHEDULE), "schedule", f"{settings.schedule.key} {settings.num_time_steps}"),
        (
            cap(Action.STRIDE),
            "stride",
            "1 time step" if settings.stride == 1 else f"{settings.stride} time steps",
        ),
        (cap(Action.MORE_GUIDANCE), "guidance", f"{settings.guidance:g}"),
    ]


def appearance_rows(appearance: Appearance) -> list[tuple[str, str, str]]:
    """Return how things are shown, as (key, name, value)."""
    return [
        (cap(Action.COLORS), "colours", appearance.color_map.value),
        (cap(Action.HEAT), "heat of t", "where t differs" if appearance.heat else "off"),
    ]


def heat_notice(appearance: Appearance) -> str:
    """Return in words what the key for the layer of time steps has done."""
    if appearance.heat:
        return "the time step of each pixel lies over the picture, where they differ"
    return "the layer of time steps is off"


def status_parts(
    model: ViewModel, statistics: Statistics, render_fps: float, now: float
) -> list[tuple[str, str]]:
    """Return the connection's figures as (name, value), the most important first."""

    def milliseconds(value: float | None) -> str:
        return "–" if value is None else f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"

    frame = model.frame
    sessions = "–" if frame is None else str(frame.sessions)
    return [
        ("drawn", f"{render_fps:.0f}/s"),
        ("steps", f"{statistics.steps_per_second(now):.0f}/s"),
        ("mouse to picture", milliseconds(statistics.latency_quantile_ms(0.5))),
        ("round trip", milliseconds(statistics.round_trip_ms)),
        ("server", milliseconds(None if frame is None else frame.server_ms)),
        ("dropped", str(statistics.dropped)),
        ("sessions", sessions),
    ]


def connection_title(model: ViewModel) -> str:
    """Return where a connection is that is not live, with the count of tries."""
    status = model.status
    if status.phase is Phase.REFUSED:
        return f"refused: {cap(Action.RESTART)} tries again"
    return f"{status.phase.value} … attempt {status.attempt}" if status.attempt else f"{status.phase.value} …"


def connection_sentence(model: ViewModel) -> str:
    """Return why the connection is not live, as a sentence."""
    return model.status.sentence or "looking for the server"
