"""Choices of the user: what a key chooses next, and how a choice outlives a lost connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from diffusion_toy.contract import messages as m
from viewer_client.core.keymap import Action

SCHEDULES = ((m.ScheduleName.COSINE, 300), (m.ScheduleName.LINEAR, 300), (m.ScheduleName.LINEAR, 1000))
STRIDES = (1, 2, 3, 5, 10, 15, 30)
SPEEDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)  # steps a second; a server may allow more, or fewer
GUIDANCE_STEP = 0.5


def change_of(action: Action, now: m.Settings, tick_rate_hz: float) -> m.SettingsChange | None:
    """Return the change of settings that a key asks for, None if it asks for something else.

    Args:
        now: the settings in force.
        tick_rate_hz: the fastest that the session can step.
    """
    match action:
        case Action.NO_LABEL:
            return m.SettingsChange(label=m.NO_LABEL)
        case Action.SAMPLER:
            return m.SettingsChange(sampler=m.Sampler(now.sampler % len(m.Sampler) + 1))
        case Action.SCHEDULE:
            current = (now.schedule, now.num_time_steps)
            index = SCHEDULES.index(current) if current in SCHEDULES else -1
            schedule, num_time_steps = SCHEDULES[(index + 1) % len(SCHEDULES)]
            return m.SettingsChange(schedule=schedule, num_time_steps=num_time_steps)
        case Action.SLOWER:
            slower = [s for s in SPEEDS if s < now.steps_per_second]
            return m.SettingsChange(steps_per_second=slower[-1] if slower else SPEEDS[0])
        case Action.FASTER:
            faster = [s for s in SPEEDS if now.steps_per_second < s < tick_rate_hz]
            return m.SettingsChange(steps_per_second=faster[0] if faster else tick_rate_hz)
        case Action.STRIDE:
            longer = [s for s in STRIDES if s > now.stride]
            return m.SettingsChange(stride=longer[0] if longer else STRIDES[0])
        case Action.LESS_GUIDANCE:
            return m.SettingsChange(guidance=max(now.guidance - GUIDANCE_STEP, 0.0))
        case Action.MORE_GUIDANCE:
            return m.SettingsChange(guidance=min(now.guidance + GUIDANCE_STEP, m.GUIDANCE_MAX))
        case _:
            return None


def chosen(start: m.Start, change: m.SettingsChange) -> m.Start:
    """Return a start that asks for this change as well."""
    given = {name: value for name, value in vars(change).items() if value is not None}
    return replace(start, settings=replace(start.settings, **given))


def unchosen(start: m.Start, path: str) -> m.Start:
    """Return a start without the choice at a path of the protocol ("settings.label"), which was rejected."""
    name = path.removeprefix("settings.")
    if name == path or not hasattr(start.settings, name):
        return start
    return replace(start, settings=replace(start.settings, **{name: None}))


def no_such_label(label: int, names: Sequence[str]) -> str:
    """Return why this class cannot be chosen, as a sentence; "" if it can."""
    return "" if label < len(names) else f"this model has the classes 0…{len(names) - 1}"
