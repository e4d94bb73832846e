"""What the recipe of a running session is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.recipes.command_log import CommandLog, NoRecipeError
from viewer_client.recipes.recipe import NOTHING, Entry, Recipe, Undone

REVERSE, FORWARD, PAUSED = m.Motion.REVERSE, m.Motion.FORWARD, m.Motion.PAUSED
DISC = m.Disc(0.5, 0.5, 0.2)
INJECT, OTHER = m.Inject(DISC, 40.0), m.Inject(None, 10.0)
SAMPLERS = {sampler: m.SettingsChange(sampler=sampler) for sampler in m.Sampler}


class Session:
    """A command log, and what a server would tell it."""

    def __init__(self, command_log: CommandLog | None = None, **start: Any) -> None:
        self.command_log, self.sequence, self.applied = command_log or CommandLog(), 1, 1
        self.welcome(m.Start(**start))

    def welcome(self, start: m.Start, **changes: Any) -> None:
        settings = start.settings.apply_to(WELCOME.settings)
        self.command_log.asked_for(start)
        self.command_log.received(replace(WELCOME, settings=settings, **changes))

    def send(self, *commands: m.Command) -> list[int]:
        sequences = []
        for command in commands:
            self.sequence += 1
            self.command_log.sent(command, self.sequence, 0.0, ahead=False)
            sequences.append(self.sequence)
        return sequences

    def tell(self, step: int, *applied: tuple[int, int], up_to: int | None = None) -> None:
        """A frame of this step, which lists (sequence, step)."""
        self.applied = max([self.applied, *(sequence for sequence, _ in applied)]) if up_to is None else up_to
        told = tuple(m.Applied(*one) for one in applied)
        self.command_log.received(frame(step=step, applied=told, applied_sequence=self.applied))

    def do(self, step: int, *commands: m.Command, then: int | None = None) -> None:
        """Apply commands before this step; then the session is at step `then`, without it at the same."""
        sequences = self.send(*commands)
        self.tell(step if then is None else then, *((sequence, step) for sequence in sequences))

    def recipe(self, step: int | None = None) -> Recipe:
        """Of the picture at this step."""
        if step is not None:
            self.tell(step)
        return self.command_log.recipe()

    def entries(self, step: int | None = None) -> list[tuple[int, object]]:
        return [(entry.step, entry.what) for entry in self.recipe(step).entries]


# --- the start ---


def test_a_recipe_begins_with_the_session_as_it_is() -> None:
    origin = m.Origin(m.Example(3), 120.0)
    session = Session(origin=origin, settings=m.SettingsChange(label=4, steps_per_second=5.0))
    recipe = session.recipe(20)
    assert recipe.start.model == "mnist"
    assert recipe.fingerprint == WELCOME.model.fingerprint
    assert recipe.start.seed == WELCOME.seed
    assert recipe.start.origin == origin
    assert recipe.start.settings.label == 4
    assert recipe.start.settings.num_time_steps == 300
    assert recipe.start.settings.steps_per_second is None
    assert (recipe.entries, recipe.steps, recipe.inexact) == ((), 20, "")


def test_without_a_picture_or_of_a_session_that_is_watched_there_is_none() -> None:
    session = Session()
    with pytest.raises(NoRecipeError, match="no picture yet"):
        session.recipe()
    session.welcome(m.Start(watch="x"), watching=True)
    with pytest.raises(NoRecipeError, match="its owner's"):
        session.recipe(3)


def test_a_restart_begins_a_new_recipe_with_the_settings_then_in_force() -> None:
    session = Session()
    session.do(5, INJECT, m.Configure(m.SettingsChange(label=7)), then=9)
    session.do(12, m.Restart(42, m.Origin(m.Example(), 0.0)), then=0)
    session.do(0, m.Play(FORWARD), then=1)
    recipe = session.recipe(30)
    assert (recipe.start.seed, recipe.start.settings.label) == (42, 7)
    assert recipe.start.origin == m.Origin(m.Example(), 0.0)
    assert recipe.entries == (Entry(0, m.Play(FORWARD)),)
    session.do(31, m.Restart(), then=0)
    recipe = session.recipe(3)
    assert (recipe.start.seed, recipe.start.origin) == (42, m.Origin(m.Example(), 0.0))


def test_an_origin_of_an_earlier_schedule_is_brought_into_the_present_one() -> None:
    session = Session(origin=m.Origin(m.Example(), 250.0))
    session.do(1, m.Configure(m.SettingsChange(num_time_steps=100)), m.Restart(), then=0)
    assert session.recipe().start.origin.time_step == 100


# --- what is noted ---


def test_injections_are_noted_with_their_steps_in_order() -> None:
    session = Session()
    session.do(3, INJECT, OTHER, then=4)
    session.do(8, INJECT, then=11)
    assert session.entries(20) == [(3, INJECT), (3, OTHER), (8, INJECT)]


def test_commands_that_are_not_applied_are_not_in_the_picture() -> None:
    session = Session()
    session.do(3, INJECT)
    session.send(OTHER)
    assert session.entries(5) == [(3, INJECT)]


def test_pauses_and_single_steps_are_only_timing() -> None:
    session = Session()
    session.do(4, m.Pause())
    session.do(4, m.Step(REVERSE), then=5)
    session.do(5, m.Step(REVERSE), then=6)
    session.do(6, INJECT)
    session.do(6, m.Play(REVERSE), then=8)
    assert session.entries(20) == [(6, INJECT)]


def test_directions_are_those_of_the_steps_that_were_taken() -> None:
    session = Session()
    session.do(4, m.Play(FORWARD), then=6)
    session.do(6, m.Step(REVERSE), then=7)
    session.do(7, m.Play(FORWARD))
    session.do(7, m.Play(REVERSE), then=9)  # the one before has moved nothing
    session.do(9, m.Step(FORWARD), then=10)
    session.do(10, INJECT)
    assert session.entries(10) == [
        (4, m.Play(FORWARD)),
        (6, m.Play(REVERSE)),
        (9, m.Play(FORWARD)),
        (10, INJECT),
    ]


def test_a_session_that_starts_forward_says_so_with_its_first_step() -> None:
    session = Session(motion=FORWARD)
    assert session.entries(0) == []
    assert session.entries(5) == [(0, m.Play(FORWARD))]


def test_a_step_that_there_was_no_way_to_take_is_not_noted() -> None:
    session = Session()
    session.do(9, m.Step(REVERSE, DISC))  # all clean: it stays at step 9
    session.do(9, m.Step(FORWARD))
    assert session.entries(9) == []
    session.do(9, INJECT)
    assert session.entries(9) == [(9, INJECT)]


def test_steps_of_a_disc_are_noted_and_the_session_rests_after_them() -> None:
    session = Session()
    session.do(4, m.Step(REVERSE, DISC), then=5)
    session.do(5, m.Step(FORWARD, DISC), then=6)
    session.do(6, m.Play(REVERSE), then=8)
    recipe = session.recipe(9)
    assert recipe.entries == (Entry(4, m.Step(REVERSE, DISC)), Entry(5, m.Step(FORWARD, DISC)))
    assert [command for step, command in recipe.commands() if step >= 5] == [
        m.Step(FORWARD, DISC), m.Step(REVERSE), m.Step(REVERSE), m.Step(REVERSE),
    ]  # fmt: skip


def test_settings_are_noted_but_for_the_speed_and_what_they_were_already() -> None:
    session = Session()
    session.do(2, m.Configure(m.SettingsChange(label=3, steps_per_second=5.0)))
    session.do(4, m.Configure(m.SettingsChange(steps_per_second=30.0)))
    session.do(5, m.Configure(m.SettingsChange(label=3, stride=2)))
    assert session.entries(6) == [
        (2, m.Configure(m.SettingsChange(label=3))),
        (5, m.Configure(m.SettingsChange(stride=2))),
    ]


@pytest.mark.parametrize("sampler", [m.Sampler.DPMPP, m.Sampler.SDE_DPMPP])
def test_a_second_order_sampler_is_sensitive_to_the_speed_as_well(sampler: m.Sampler) -> None:
    session = Session(settings=SAMPLERS[sampler])
    session.do(4, m.Configure(m.SettingsChange(steps_per_second=30.0)))
    session.do(4, m.Configure(m.SettingsChange(steps_per_second=20.0)))
    assert session.entries(6) == [(4, m.Configure(m.SettingsChange()))]


def test_a_rejected_command_is_not_in_the_recipe() -> None:
    session = Session()
    (first, second) = session.send(INJECT, OTHER)
    session.command_log.received(m.Rejected(first, "", "", "", ""))
    session.tell(3, (second, 3))
    recipe = session.recipe()
    assert recipe.entries == (Entry(3, OTHER),)
    assert recipe.inexact == ""


def test_a_jump_to_more_noise_is_noted() -> None:
    session = Session()
    session.do(6, m.Jump(time_step=200.0))
    assert session.entries(6) == [(6, m.Jump(time_step=200.0))]


# --- what is taken back ---


def test_back_drops_what_came_after_the_restored_state_and_keeps_what_came_before_its_step() -> None:
    session = Session()
    session.do(4, INJECT, then=5)
    session.do(6, m.Play(FORWARD), then=7)
    session.do(7, m.Pause())
    session.do(7, m.Back(), then=6)
    first, second = session.send(m.Back(), m.Back())
    session.tell(4, (first, 6), (second, 5))
    assert session.entries() == [(4, INJECT)]
    assert session.recipe().steps == 4


def test_injections_that_were_undone_have_spent_their_numbers() -> None:
    session = Session()
    session.do(4, INJECT, then=5)
    session.do(5, OTHER, OTHER, m.Pause())
    session.do(5, m.Jump(step=4), then=4)
    assert session.entries() == [(4, INJECT), (4, Undone(2))]
    session.do(4, INJECT, m.Play(REVERSE), then=6)
    assert session.entries() == [(4, INJECT), (4, Undone(2)), (4, INJECT)]
    session.do(6, m.Jump(step=3), then=3)
    assert session.entries() == [(3, Undone(4))]
    session.do(3, NOTHING)  # as a replay sends it
    assert session.entries() == [(3, Undone(5))]


def test_settings_outlive_the_steps_that_are_undone() -> None:
    session = Session()
    session.do(2, m.Configure(m.SettingsChange(label=1)), then=3)
    session.do(6, m.Configure(m.SettingsChange(label=5, eta=0.5)), then=8)
    session.do(8, m.Jump(step=4), then=4)
    change = m.SettingsChange(label=5, eta=0.5)
    assert session.entries() == [(2, m.Configure(m.SettingsChange(label=1))), (4, m.Configure(change))]


def test_undoing_makes_the_second_order_sampler_begin_again() -> None:
    session = Session(settings=SAMPLERS[m.Sampler.DPMPP])
    session.do(8, m.Back(), then=7)
    assert session.entries() == [(7, m.Configure(m.SettingsChange()))]


def test_a_step_of_a_disc_is_undone_with_what_was_done_after_it() -> None:
    session = Session()
    session.do(4, INJECT, m.Step(REVERSE, DISC), then=5)
    session.do(5, m.Back(), then=4)
    assert session.entries() == [(4, INJECT)]
    session.do(4, m.Play(FORWARD), then=6)
    assert session.entries() == [(4, INJECT), (4, m.Play(FORWARD))]


def test_a_jump_back_in_time_goes_where_the_next_frame_is() -> None:
    session = Session()
    session.do(4, INJECT, then=5)
    session.do(9, OTHER, then=12)
    session.do(12, m.Jump(time_step=292.0), then=7)
    assert session.entries() == [(4, INJECT), (7, Undone(1))]


def test_a_jump_back_in_time_goes_where_the_next_command_was_applied() -> None:
    """Also if no frame of its rest was seen."""
    session = Session()
    session.do(4, INJECT, then=5)
    jump, play = session.send(m.Jump(time_step=292.0), m.Play(FORWARD))
    session.tell(10, (jump, 12), (play, 7))
    assert session.entries() == [(4, INJECT), (7, m.Play(FORWARD))]


# --- resuming ---


def test_a_session_that_goes_back_to_its_token_forgets_what_was_applied_since() -> None:
    session = Session()
    session.do(4, INJECT, then=6)
    (late,) = session.send(OTHER)
    session.tell(9, (late, 8))
    session.welcome(m.Start(), resumed=True, applied_sequence=late - 1)
    session.tell(6, up_to=late - 1)
    assert session.entries() == [(4, INJECT)]
    session.tell(12, (late, 10))
    assert session.entries() == [(4, INJECT), (10, OTHER)]
    assert session.recipe().inexact == ""


def test_what_was_undone_since_the_token_is_there_again() -> None:
    session = Session()
    session.do(4, INJECT, then=5)
    (back,) = session.send(m.Jump(step=2))
    session.tell(2, (back, 5))
    assert session.entries() == [(2, Undone(1))]
    session.welcome(m.Start(), resumed=True, applied_sequence=back - 1)
    session.tell(5, up_to=back - 1)
    assert session.entries() == [(4, INJECT)]
    session.command_log.received(m.Rejected(back, "", "", "", ""))  # the history did not come along
    session.tell(5, up_to=back)
    assert session.entries() == [(4, INJECT)]


def test_a_new_session_begins_a_new_recipe() -> None:
    session = Session()
    session.do(4, INJECT, then=5)
    session.welcome(m.Start(), session_id="another")
    assert session.entries(3) == []


def test_a_session_taken_over_from_another_has_no_recipe_until_a_restart_that_says_all() -> None:
    session = Session()
    session.do(4, INJECT, then=5)
    session.welcome(m.Start(), resumed=True, session_id="a branch", applied_sequence=9)
    session.sequence = session.applied = 9
    with pytest.raises(NoRecipeError, match="goes on from another one"):
        session.recipe(6)
    session.do(8, m.Restart(3), then=0)
    with pytest.raises(NoRecipeError):
        session.recipe(1)
    session.do(1, m.Restart(3, m.Origin()), then=0)
    assert session.recipe(2).start.seed == 3


# --- what is not known ---


def test_a_command_whose_step_was_never_told_makes_the_recipe_inexact() -> None:
    session = Session()
    session.send(INJECT)
    session.tell(6, up_to=session.sequence)
    recipe = session.recipe()
    assert recipe.entries == (Entry(6, INJECT),)
    assert recipe.inexact == "the server did not say when 1 of the commands took effect"
    session.tell(7, (session.sequence, 5))  # it does after all
    assert session.entries() == [(5, INJECT)]
    assert session.recipe().inexact == ""


def test_a_frame_that_cannot_be_explained_makes_the_recipe_inexact() -> None:
    session = Session()
    session.do(4, m.Pause())
    assert session.recipe(8).inexact
    other = Session()
    other.do(6, INJECT)
    assert other.recipe(2).inexact


def test_a_run_of_too_many_commands_has_no_recipe() -> None:
    session = Session(CommandLog(most=40, left=10))
    session.do(0, m.Configure(m.SettingsChange(label=2)))
    for step in range(60):
        session.do(step, INJECT)
    with pytest.raises(NoRecipeError, match="more commands than a recipe holds"):
        session.recipe()
    session.do(60, m.Restart(), then=0)
    session.do(3, OTHER)
    recipe = session.recipe()
    assert recipe.entries == (Entry(3, OTHER),)
    assert recipe.start.settings.label == 2


def test_earlier_runs_take_no_room() -> None:
    session = Session(CommandLog(most=40, left=10))
    for run in range(30):
        session.do(9, m.Configure(m.SettingsChange(label=run % 10)), m.Restart(run), then=0)
        session.do(2, INJECT, OTHER, then=4)
    recipe = session.recipe(5)
    assert (recipe.start.seed, recipe.start.settings.label) == (29, 9)
    assert recipe.entries == (Entry(2, INJECT), Entry(2, OTHER))
    assert session.command_log.kept <= 41


def test_runs_are_counted_as_they_are_applied() -> None:
    session = Session()
    before = session.command_log.runs
    session.send(m.Restart())
    assert session.command_log.runs == before
    session.tell(0, (session.sequence, 9))
    session.tell(1, (session.sequence, 9))  # told again, as after a resume
    assert session.command_log.runs == before + 1
