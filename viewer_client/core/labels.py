"""What the viewer says about its state, in numbers and in sentences. Pure functions."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.schedule import FloatArray, level_of_alphas_cumprod
from viewer_client.core.appearance import Appearance
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Statistics

LEVEL_TOLERANCE = 0.01  # told and actual levels that differ by less count as equal
RESIDUAL_TOLERANCE = 0.04  # the shipped model's residual reads real pictures to ±0.02
BORDER_TOLERANCE, BORDER_TOLERANCE_SHARE = 0.03, 0.3  # the border is 108 pixels: four of its standard errors
KURTOSIS_TOLERANCE = 0.75  # at the least: what the network itself adds to that of Gaussian noise
KURTOSIS_ERRORS = 4.0  # standard errors, √(24/n), that count as chance
FEW_VALUES = 400  # of which the shape says little
SEPARATOR = " · "
UNEVEN_TRUTH = "levels differ from pixel to pixel, and the network is told the truth"
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
    """A time step in whole numbers, rounded up: 0 is shown only where nothing is left to do."""
    return str(math.ceil(t - 1e-3))


def time_step(model: ViewModel) -> str:
    """The time step, always shown: the largest t over T."""
    if model.frame is None:
        return f"t –/{model.num_time_steps}"
    return f"t {whole(model.frame.time_step.max)}/{model.num_time_steps}"


def time_step_range(model: ViewModel) -> str:
    """Least and largest t where they differ, else ""."""
    if model.frame is None or model.frame.level_map is None:
        return ""
    t = model.frame.time_step
    return f"{whole(t.min)}–{whole(t.max)}"


def label_name(model: ViewModel, label: int) -> str:
    """A class as the model names it."""
    if label == m.NO_LABEL:
        return "any"
    names = model.welcome.model.label_names if model.welcome is not None else ()
    return names[label] if label < len(names) else str(label)


def session_parts(model: ViewModel) -> list[str]:
    """Seed, class, sampler, schedule and speed, the most important first."""
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
    return parts


def sigma_parts(model: ViewModel) -> list[str]:
    """The standard deviation of the noise, s = sin(πu/2), that is told, and the measured one if valid."""
    frame = model.frame
    if frame is None:
        return []
    told = frame.nominal
    if frame.level_map is not None:
        return [f"σ told {sigma(told.min):.2f}–{sigma(told.max):.2f}"]
    measured = measured_level(frame)
    parts = [f"σ told {sigma(told.mean):.2f}"]
    return parts if measured is None else [*parts, f"measured {sigma(measured):.2f}"]


def sigma(level: float) -> float:
    """The standard deviation of the noise at a level u: s = sin(πu/2)."""
    return math.sin(level * math.pi / 2)


def head_up_parts(model: ViewModel) -> list[str]:
    """`σ told 0.44 · measured 0.61 · seed 1234 · class 7 · DDPM · …`, the most important first."""
    return sigma_parts(model) + session_parts(model)


def mixture(model: ViewModel) -> str:
    """What x_t is taken to be made of, while that is the same for all pixels."""
    frame = model.frame
    if frame is None or frame.level_map is not None:
        return ""
    angle = frame.nominal.mean * math.pi / 2
    return f"{math.cos(angle):.2f} × clean + {math.sin(angle):.2f} × noise"


@lru_cache(maxsize=4)
def _levels(schedule: m.Schedule) -> FloatArray:
    """The levels u at t = 0…T."""
    return level_of_alphas_cumprod(schedule.alphas_cumprod)


def time_steps_of(schedule: m.Schedule, levels: m.Image) -> FloatArray:
    """The time steps of levels of any shape, by the schedule's table."""
    table = _levels(schedule)
    return np.asarray(np.interp(levels, table, np.arange(len(table))))


def time_step_here(model: ViewModel) -> str:
    """The time step of the pixel under the pointer, "" where there is none."""
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
    """What is going on, in words."""
    frame = model.frame
    if frame is None:
        return "waiting for the first picture"
    if model.motion is m.Motion.PAUSED:
        return "paused: Space plays, the arrows step"
    if model.motion is m.Motion.FORWARD:
        if frame.idle and frame.time_step.min > 0:
            return "all noise: F runs back and denoises"
        return "forward: each step adds a little noise"
    if frame.idle and frame.time_step.max == 0:
        return "finished: move the mouse over it to add noise"
    return "denoising: each step takes a little noise out"


# --- the gauge ---


def gauge_sentence(model: ViewModel) -> str:
    """Whether what the network is told agrees with what is in the picture, in words."""
    frame = model.frame
    if frame is None:
        return ""
    if any(speckle.rule is m.InjectionRule.LIE for speckle in model.feedback.speckles):
        return "you are changing what the network is told, not the picture"
    sentence = _actual_sentence(frame)
    odd = _measured_oddly(frame)
    if not odd:
        return sentence
    agree = abs(noise_difference(frame)) < LEVEL_TOLERANCE
    return f"{sentence}, yet it measures {odd}" + ("" if agree else " than either")


def _actual_sentence(frame: m.Frame) -> str:
    told, real = frame.nominal, frame.actual
    differences = _differences(frame)
    noisier, cleaner = max(differences) >= LEVEL_TOLERANCE, min(differences) <= -LEVEL_TOLERANCE
    if noisier and cleaner:
        return "parts of the picture are noisier than the network is told, others cleaner"
    whole_picture = frame.level_map is None and real.max - real.min < LEVEL_TOLERANCE
    where = "the picture is" if whole_picture else "parts of the picture are"
    if noisier:
        if told.max < LEVEL_TOLERANCE:
            return f"{where} noisy, but the network is told that it is clean"
        return f"{where} noisier than the network is told"
    if cleaner:
        if real.max < LEVEL_TOLERANCE:
            return "the picture is clean, but the network is told that there is noise"
        return f"{where} cleaner than the network is told"
    if told.max < LEVEL_TOLERANCE:
        return "the picture is clean, and the network is told the truth"
    if not whole_picture:
        return UNEVEN_TRUTH
    if told.min > 1 - LEVEL_TOLERANCE:
        return "pure noise, and the network is told the truth"
    return "the network is told the truth"


def gauge_warns(frame: m.Frame) -> bool:
    """Whether the three readings do not agree."""
    return abs(noise_difference(frame)) >= LEVEL_TOLERANCE or bool(_measured_oddly(frame))


def measured_level(frame: m.Frame) -> float | None:
    """The level that was measured, by the surer method that says something.

    None where levels differ: the border's would then be set beside a mean that it is no part of.
    """
    if frame.level_map is not None:
        return None
    return frame.measured_by_residual if frame.measured_by_residual is not None else frame.measured_by_border


def _measured_oddly(frame: m.Frame) -> str:
    """Whether the measured level is "noisier" or "cleaner" than the others by more than its error, else "".

    A residual is measured with a guess that believes what it is told, so it lies between the levels told
    and actual where those differ.
    """
    measured, real = measured_level(frame), frame.actual.mean
    if measured is None:
        return ""
    low = high = real
    tolerance = BORDER_TOLERANCE + BORDER_TOLERANCE_SHARE * real
    if frame.measured_by_residual is not None:
        low, high = sorted((real, frame.nominal.mean))
        tolerance = RESIDUAL_TOLERANCE
    return "noisier" if measured > high + tolerance else "cleaner" if measured < low - tolerance else ""


def _differences(frame: m.Frame) -> tuple[float, float, float]:
    real, told = frame.actual, frame.nominal
    return real.mean - told.mean, real.max - told.max, real.min - told.min


def noise_difference(frame: m.Frame) -> float:
    """Actual minus told level, of the mean or of the extremes, whichever differ most."""
    return max(_differences(frame), key=abs)


def noise_shape(frame: m.Frame, values: int) -> tuple[str, bool]:
    """Whether ε̂ looks Gaussian, in words, and whether it does not; of so many values."""
    kurtosis = frame.excess_kurtosis
    if values == 0:
        return "no noise to look at", False
    if kurtosis is None:
        return "too few pixels to tell", False
    tolerance = max(KURTOSIS_TOLERANCE, KURTOSIS_ERRORS * math.sqrt(24 / values))
    odd = abs(kurtosis) > tolerance
    if odd:
        word = "heavier tails than Gaussian" if kurtosis > 0 else "flatter than Gaussian"
    else:
        word = "Gaussian" if values >= FEW_VALUES else "Gaussian, for so few pixels"
    return word, odd


def kurtosis_text(frame: m.Frame) -> str:
    """The figure behind the words, "" without one."""
    kurtosis = frame.excess_kurtosis
    return "" if kurtosis is None else f"excess kurtosis {kurtosis:+.1f}".replace("-", "−")


# --- settings ---


def mouse_rows(model: ViewModel) -> list[tuple[str, str, str]]:
    """What the mouse does, as (key, name, value); the most important first."""
    whole_image = model.brush.mode is MouseMode.WHOLE_IMAGE
    reach = "¼ side" if whole_image else "radius"
    return [
        ("M", "mouse", MODE_NAMES[model.brush.mode]),
        ("Up", "strength", f"{model.brush.strength:.0f} steps / {reach}"),
        ("[ ]", "radius", "everywhere" if whole_image else f"{100 * model.brush.radius:.0f} % of side"),
        ("K", "noise", model.brush.kind.words),
        ("T", "rule", RULE_TEXTS[model.brush.rule]),
    ]


def mouse_sentence(model: ViewModel) -> str:
    """What moving the mouse does, in words."""
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
    """What the network does, as (key, name, value); the most important first."""
    settings = model.settings
    return [
        ("0-9", "class", label_name(model, settings.label)),
        (", .", "speed", f"{settings.steps_per_second:g} steps/s"),
        ("D", "sampler", settings.sampler.words),
        ("C", "schedule", f"{settings.schedule.key} {settings.num_time_steps}"),
        ("V", "stride", "1 time step" if settings.stride == 1 else f"{settings.stride} time steps"),
        ("W", "guidance", f"{settings.guidance:g}"),
    ]


def appearance_rows(appearance: Appearance) -> list[tuple[str, str, str]]:
    """How things are shown, as (key, name, value)."""
    return [
        ("P", "colours", appearance.color_map.value),
        ("O", "heat of t", "where t differs" if appearance.heat else "off"),
    ]


def heat_notice(appearance: Appearance) -> str:
    """What the key for the layer of time steps has done."""
    if appearance.heat:
        return "the time step of each pixel lies over the picture, where they differ"
    return "the layer of time steps is off"


def status_parts(
    model: ViewModel, statistics: Statistics, render_fps: float, now: float
) -> list[tuple[str, str]]:
    """The connection's figures as (name, value), the most important first."""

    def milliseconds(value: float | None) -> str:
        return "–" if value is None else f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"

    frame = model.frame
    people = "–" if frame is None else str(frame.sessions)
    return [
        ("drawn", f"{render_fps:.0f}/s"),
        ("steps", f"{statistics.steps_per_second(now):.0f}/s"),
        ("mouse to picture", milliseconds(statistics.latency_quantile_ms(0.5))),
        ("round trip", milliseconds(statistics.round_trip_ms)),
        ("server", milliseconds(None if frame is None else frame.server_ms)),
        ("dropped", str(statistics.dropped)),
        ("people", people),
    ]


def connection_title(model: ViewModel) -> str:
    """Where a connection is that does not live, with the count of tries."""
    status = model.status
    if status.phase is Phase.REFUSED:
        return "refused: R tries again"
    return f"{status.phase.value} … attempt {status.attempt}" if status.attempt else f"{status.phase.value} …"


def connection_sentence(model: ViewModel) -> str:
    """Why."""
    return model.status.sentence or "looking for the server"
