"""What the user chooses outlives a lost connection, unless the server has rejected it."""

from __future__ import annotations

import pytest

from diffusion_toy.contract import messages as m
from viewer_client.core import options
from viewer_client.core.keymap import Action


def test_a_choice_is_asked_for_beside_earlier_ones() -> None:
    start = m.Start(seed=5, settings=m.SettingsChange(label=3, stride=2))
    start = options.chosen(start, m.SettingsChange(stride=5, guidance=2.0))
    assert start == m.Start(seed=5, settings=m.SettingsChange(label=3, stride=5, guidance=2.0))


def test_a_rejected_choice_is_dropped_and_no_other() -> None:
    start = m.Start(seed=5, settings=m.SettingsChange(label=3, stride=2))
    assert options.unchosen(start, "settings.label").settings == m.SettingsChange(stride=2)
    for path in ("label", "settings.nonsense", "inject.amount", ""):
        assert options.unchosen(start, path) is start


def test_a_class_that_the_model_lacks_is_refused_with_those_it_has() -> None:
    assert options.no_such_label(1, ("cat", "dog")) == ""
    assert options.no_such_label(2, ("cat", "dog")) == "this model has the classes 0…1"


@pytest.mark.parametrize(
    ("action", "now", "change"),
    [
        (Action.FASTER, m.Settings(steps_per_second=10.0), m.SettingsChange(steps_per_second=20.0)),
        (Action.FASTER, m.Settings(steps_per_second=30.0), m.SettingsChange(steps_per_second=40.0)),
        (Action.SLOWER, m.Settings(steps_per_second=1.0), m.SettingsChange(steps_per_second=1.0)),
        (Action.STRIDE, m.Settings(stride=30), m.SettingsChange(stride=1)),
        (Action.STRIDE, m.Settings(stride=4), m.SettingsChange(stride=5)),
        (Action.LESS_GUIDANCE, m.Settings(guidance=0.2), m.SettingsChange(guidance=0.0)),
        (Action.MORE_GUIDANCE, m.Settings(guidance=7.9), m.SettingsChange(guidance=m.GUIDANCE_MAX)),
        (Action.SAVE, m.Settings(), None),
    ],
)
def test_a_key_chooses_the_next_value_within_what_is_allowed(
    action: Action, now: m.Settings, change: m.SettingsChange | None
) -> None:
    assert options.change_of(action, now, tick_rate_hz=40.0) == change


def test_the_schedules_and_samplers_take_turns() -> None:
    now, seen = m.Settings(), []
    for _ in range(len(options.SCHEDULES) + 1):
        change = options.change_of(Action.SCHEDULE, now, 60.0)
        assert change is not None
        now = change.apply_to(now)
        seen.append((now.schedule, now.num_time_steps))
    assert set(seen) == set(options.SCHEDULES)
    assert seen[0] == seen[-1]
    for _ in m.Sampler:
        change = options.change_of(Action.SAMPLER, now, 60.0)
        assert change is not None
        now = change.apply_to(now)
    assert now.sampler is m.Settings().sampler
