"""What the viewer says about its state, in numbers and in sentences. Pure functions."""

from __future__ import annotations

import math

from diffusion_toy import messages as m
from viewer_client.dosing import MouseMode
from viewer_client.link import Phase, Statistics
from viewer_client.view_model import ViewModel

LEVEL_TOLERANCE = 0.01  # told and real levels that differ by less count as equal
KURTOSIS_TOLERANCE = 0.75  # of 784 Gaussian values, four standard errors and what the model adds
SEPARATOR = " · "
KIND_NAMES = {
    m.NoiseKind.GAUSSIAN: "Gaussian",
    m.NoiseKind.UNIFORM: "uniform",
    m.NoiseKind.LAPLACE: "Laplace",
    m.NoiseKind.SIGN: "±1",
    m.NoiseKind.SMOOTH: "smooth Gaussian",
    m.NoiseKind.CONSTANT: "constant, ±1 a dab",
}
SAMPLER_NAMES = {m.Sampler.DDPM: "DDPM", m.Sampler.DDIM: "DDIM", m.Sampler.DPMPP: "DPM-Solver++"}
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
    parts.append(SAMPLER_NAMES[settings.sampler])
    if settings.steps_per_second < model.tick_rate_hz:
        parts.append(f"{settings.steps_per_second:g} steps/s")
    parts.append(f"{settings.schedule.key} {settings.num_time_steps}")
    if model.welcome is not None:
        parts.append(f"model {model.welcome.model.name}")
        parts.append(f"session {model.welcome.session_id}")  # for those who are to watch it
    return parts


def head_up(model: ViewModel) -> str:
    """All of it in one line: `t 142/300 · seed 1234 · class 7 · DDPM · …`."""
    spread = time_step_range(model)
    first = [time_step(model), spread] if spread else [time_step(model)]
    return SEPARATOR.join(first + session_parts(model))


def state_sentence(model: ViewModel) -> str:
    """What is going on, in words."""
    frame = model.frame
    if frame is None:
        return "waiting for the first picture"
    if model.motion is m.Motion.PAUSED:
        return "paused: Space plays, the arrows step"
    if model.motion is m.Motion.FORWARD:
        if frame.resting and frame.time_step.min > 0:
            return "all noise: F runs back and denoises"
        return "forward: each step adds a little noise"
    if frame.resting and frame.time_step.max == 0:
        return "finished: move the mouse over it to add noise"
    return "denoising: each step takes a little noise out"


def gauge_sentence(model: ViewModel) -> str:
    """Whether what the network is told agrees with what is in the picture, in words."""
    frame = model.frame
    if frame is None:
        return ""
    difference = noise_difference(frame)
    if abs(difference) < LEVEL_TOLERANCE:
        return "the network is told the truth"
    word = "noisier" if difference > 0 else "cleaner"
    return f"the image is {word} than the network is told"


def measured_level(frame: m.Frame) -> float | None:
    """The level that was measured, by the surer method that says something.

    None where levels differ: the rim's would then be set beside a mean that it is no part of.
    """
    if frame.level_map is not None:
        return None
    return frame.measured_by_residual if frame.measured_by_residual is not None else frame.measured_by_rim


def noise_shape(frame: m.Frame) -> tuple[str, bool]:
    """Whether the noise looks Gaussian, in words, and whether it does not."""
    kurtosis = frame.excess_kurtosis
    if kurtosis is None:
        return "", False
    odd = abs(kurtosis) > KURTOSIS_TOLERANCE
    word = "not Gaussian" if odd else "Gaussian"
    return f"noise looks {word} (excess kurtosis {kurtosis:+.1f})".replace("-", "−"), odd


def noise_difference(frame: m.Frame) -> float:
    """Real minus told level, of the mean or of the extremes, whichever differ most."""
    real, told = frame.bookkept, frame.claimed
    return max((real.mean - told.mean, real.max - told.max, real.min - told.min), key=abs)


def mouse_rows(model: ViewModel) -> list[tuple[str, str, str]]:
    """What the mouse does, as (key, name, value); the most important first."""
    whole_image = model.mode is MouseMode.WHOLE_IMAGE
    reach = "¼ side" if whole_image else "radius"
    return [
        ("M", "mouse", model.mode.value),
        ("Up", "strength", f"{model.strength:.0f} steps / {reach}"),
        ("[ ]", "radius", "everywhere" if whole_image else f"{100 * model.radius:.0f} % of side"),
        ("K", "noise", KIND_NAMES[model.kind]),
        ("T", "rule", RULE_TEXTS[model.rule]),
    ]


def mouse_sentence(model: ViewModel) -> str:
    """What moving the mouse does, in words."""
    where = {
        MouseMode.WHOLE_IMAGE: "Moving over the picture",
        MouseMode.BRUSH: "The brush",
        MouseMode.BRUSH_HELD: "The brush, while a button is pressed,",
    }[model.mode]
    what = {
        m.InjectionRule.TRUTH: "adds noise, and the network is told how much.",
        m.InjectionRule.NAIVE: "adds noise as if the picture were clean: more than the network is told.",
        m.InjectionRule.LIE: "adds no noise, but the network is told there is some.",
    }[model.rule]
    return f"{where} {what}"


def network_rows(model: ViewModel) -> list[tuple[str, str, str]]:
    """What the network does, as (key, name, value); the most important first."""
    settings = model.settings
    return [
        ("0-9", "class", label_name(model, settings.label)),
        (", .", "speed", f"{settings.steps_per_second:g} steps/s"),
        ("D", "sampler", SAMPLER_NAMES[settings.sampler]),
        ("C", "schedule", f"{settings.schedule.key} {settings.num_time_steps}"),
        ("G", "guidance", f"{settings.guidance:g}"),
    ]


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
        ("mouse to picture", milliseconds(statistics.landing_quantile_ms(0.5))),
        ("round trip", milliseconds(statistics.round_trip_ms)),
        ("server", milliseconds(None if frame is None else frame.server_ms)),
        ("superseded", str(statistics.superseded)),
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
