"""The tour goes on when a thing has been done, and only then, whatever else is done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import frame
from viewer_client.experiments.tour import CAPTIONS, DOSE_SHARE, Situation, Stage, Todo, Tour

TRUTH, NAIVE, LIE = m.InjectionRule.TRUTH, m.InjectionRule.NAIVE, m.InjectionRule.LIE
GAUSSIAN, CONSTANT = m.NoiseKind.GAUSSIAN, m.NoiseKind.CONSTANT
BRUSH = m.Disc(0.5, 0.5, 0.15)


@dataclass
class Person:
    """Does things in a session on which a tour looks on."""

    tour: Tour = field(default_factory=Tour)
    situation: Situation = field(default_factory=lambda: Situation(None, session="one"))
    sequence: int = 1
    applied: int = 1

    def sees(self, t: float, more: float = 0.0, **changes: object) -> Person:
        """A frame at this time step, with everything applied, by a level of `more` noisier than told."""
        nominal = m.Range(t / 300, t / 300, t / 300)
        real = m.Range(*(level + more for level in (nominal.min, nominal.mean, nominal.max)))
        seen = frame(t, applied_sequence=self.applied, actual=real, idle=t == 0)
        return self.looks(frame=seen, **changes)

    def looks(self, **changes: object) -> Person:
        self.situation = replace(self.situation, **changes)  # type: ignore[arg-type]
        self.tour.observe(self.situation)
        return self

    def sends(self, *commands: m.Command, applied: bool = True) -> Person:
        for command in commands:
            self.sequence += 1
            self.tour.sent(command, self.sequence, 0.0, ahead=False)
        if applied:
            self.applied = self.sequence
        return self

    def at(self, stage: Stage) -> Person:
        """Goes through the tour up to this stage."""
        if stage > Stage.FORM:
            self.sees(300.0).sees(0.0)
        if stage > Stage.HEAL:
            self.sends(m.Inject(BRUSH, 30.0)).sees(60.0).sees(0.0)
        if stage > Stage.MISTELL:
            self.looks(rule=NAIVE).sends(m.Inject(None, 30.0, rule=NAIVE)).sees(60.0, more=0.2)
            self.sees(0.0, more=0.2)
        if stage > Stage.SHAPE:
            self.looks(rule=TRUTH, kind=CONSTANT).sends(m.Restart()).sees(300.0).sees(0.0)
            self.sends(m.Inject(None, 150.0, CONSTANT)).sees(150.0).sees(0.0)
        assert self.tour.stage is stage
        return self


@pytest.fixture
def person() -> Person:
    return Person()


def test_the_stages_are_numbered_and_said_in_few_words() -> None:
    for stage in Stage:
        caption = CAPTIONS[stage]
        assert len(caption.title) < 40
        assert len(caption.text) < 200
    numbers = [Person().at(stage).tour.progress for stage in Stage]
    assert numbers == ["1/4", "2/4", "3/4", "4/4", "4/4"]


# --- 1: a picture forms ---


def test_the_first_stage_is_over_when_a_noisy_picture_has_become_clean(person: Person) -> None:
    assert person.tour.todo == ""
    assert person.sees(290.0).tour.todo == Todo.SEE
    assert person.sees(1.0).tour.stage is Stage.FORM
    assert person.sees(0.0).tour.stage is Stage.HEAL


def test_a_picture_that_is_clean_already_is_not_one_that_forms(person: Person) -> None:
    assert person.sees(0.0).tour.stage is Stage.FORM
    assert person.tour.todo == Todo.BEGIN
    person.sends(m.Restart(5, m.Origin())).sees(300.0)
    assert person.sees(0.0).tour.stage is Stage.HEAL


def test_a_real_picture_that_replaces_a_noisy_one_has_not_formed(person: Person) -> None:
    person.sees(200.0)
    person.sends(m.Restart(5, m.Origin(m.Example(), 0.0)), m.Play(m.Motion.FORWARD), applied=False)
    person.sees(190.0)  # of before the restart
    person.sends()
    person.sees(0.0, motion=m.Motion.FORWARD)
    assert person.tour.stage is Stage.FORM
    assert person.tour.todo == Todo.RUN_BACK


@pytest.mark.parametrize(
    ("motion", "todo"), [(m.Motion.PAUSED, Todo.PLAY), (m.Motion.FORWARD, Todo.RUN_BACK)]
)
def test_what_does_not_go_towards_a_picture_is_told_how_to(
    person: Person, motion: m.Motion, todo: Todo
) -> None:
    assert person.sees(150.0, motion=motion).tour.todo == todo


# --- 2: it heals ---


def test_the_second_stage_is_over_when_a_scribble_has_been_applied_and_gone(person: Person) -> None:
    person.at(Stage.HEAL)
    assert person.tour.todo == Todo.TOUCH
    person.sends(m.Inject(BRUSH, 30.0), applied=False).sees(0.0)
    assert person.tour.stage is Stage.HEAL  # that was before it was applied
    person.sends().sees(60.0)
    assert person.tour.todo == Todo.SEE
    assert person.sees(0.0).tour.stage is Stage.MISTELL


def test_a_scribble_too_light_to_be_seen_asks_for_more(person: Person) -> None:
    person.at(Stage.HEAL).sends(m.Inject(BRUSH, 2.0)).sees(2.0).sees(0.0)
    assert person.tour.stage is Stage.HEAL
    assert person.tour.todo == Todo.MORE


def test_who_goes_on_scribbling_is_waited_for(person: Person) -> None:
    person.at(Stage.HEAL).sends(m.Inject(BRUSH, 30.0)).sees(60.0)
    person.sends(m.Inject(BRUSH, 30.0), applied=False).sees(0.0)
    assert person.tour.stage is Stage.HEAL
    assert person.sends().sees(40.0).sees(0.0).tour.stage is Stage.MISTELL


@pytest.mark.parametrize(
    "command",
    [m.Restart(), m.Back(), m.Jump(step=3), m.Inject(None, 9.0, rule=NAIVE), m.Inject(None, 9.0, CONSTANT)],
)
def test_what_makes_something_else_of_the_picture_begins_the_stage_again(
    person: Person, command: m.Command
) -> None:
    person.at(Stage.HEAL).sends(m.Inject(BRUSH, 30.0)).sees(60.0).sends(command).sees(60.0).sees(0.0)
    assert person.tour.stage is Stage.HEAL
    assert person.tour.todo == Todo.TOUCH


@pytest.mark.parametrize(
    ("changes", "todo"),
    [({"rule": LIE}, Todo.TRUTH), ({"rule": NAIVE}, Todo.TRUTH), ({"kind": CONSTANT}, Todo.GAUSSIAN)],
)
def test_other_settings_are_asked_back_before_the_scribble(
    person: Person, changes: dict[str, object], todo: Todo
) -> None:
    assert person.at(Stage.HEAL).looks(**changes).tour.todo == todo


# --- 3: the wrong time step ---


def test_the_third_stage_asks_for_the_rule_then_for_the_scribble_and_waits(person: Person) -> None:
    person.at(Stage.MISTELL)
    assert person.tour.todo == Todo.NAIVE
    assert person.looks(rule=NAIVE).tour.todo == Todo.TOUCH
    person.sends(m.Inject(None, 20.0, rule=NAIVE)).sees(20.0)  # the first dose on a clean picture is right
    assert person.tour.todo == Todo.MORE
    person.sends(m.Inject(None, 20.0, rule=NAIVE)).sees(40.0, more=0.1)
    assert person.tour.todo == Todo.SEE
    assert person.sees(0.0, more=0.1).tour.stage is Stage.SHAPE


def test_where_all_is_noise_there_is_no_room_for_more_than_told(person: Person) -> None:
    person.at(Stage.MISTELL).looks(rule=NAIVE).sends(m.Inject(None, 300.0, rule=NAIVE)).sees(300.0)
    assert person.tour.todo == Todo.TOO_MUCH
    assert person.sees(200.0).tour.todo == Todo.MORE
    assert person.sees(0.0).tour.stage is Stage.MISTELL


def test_a_truthful_scribble_does_not_end_the_third_stage(person: Person) -> None:
    person.at(Stage.MISTELL).sends(m.Inject(None, 30.0)).sees(60.0, more=0.2).sees(0.0)
    assert person.tour.stage is Stage.MISTELL


def test_a_lie_takes_the_third_stage_back(person: Person) -> None:
    person.at(Stage.MISTELL).looks(rule=NAIVE).sends(m.Inject(None, 30.0, rule=NAIVE)).sees(60.0, more=0.2)
    person.sends(m.Inject(None, 30.0, rule=LIE)).sees(90.0, more=0.1).sees(0.0)
    assert person.tour.stage is Stage.MISTELL


# --- 4: another kind of noise ---


def test_the_fourth_stage_leads_from_a_spoilt_picture_to_one_dose(person: Person) -> None:
    person.at(Stage.SHAPE)
    assert person.tour.todo == Todo.FRESH
    person.sends(m.Restart()).sees(300.0)
    assert person.tour.todo == Todo.TRUTH
    assert person.looks(rule=TRUTH).tour.todo == Todo.SHAPED
    assert person.looks(kind=CONSTANT).tour.todo == Todo.WAIT
    assert person.tour.dose is None
    person.sees(0.0)
    assert person.tour.todo == Todo.DOSE
    dose = person.tour.dose
    assert dose == DOSE_SHARE * 300
    person.sends(m.Inject(None, dose, CONSTANT)).sees(dose)
    assert person.tour.todo == Todo.SEE
    assert person.tour.dose is None
    assert person.sees(0.0).tour.stage is Stage.OVER


@pytest.mark.parametrize(
    "inject",
    [
        m.Inject(None, 150.0),
        m.Inject(None, 150.0, m.NoiseKind.LAPLACE),
        m.Inject(BRUSH, 150.0, CONSTANT),
        m.Inject(None, 20.0, CONSTANT),
        m.Inject(None, 150.0, CONSTANT, NAIVE),
    ],
)
def test_other_doses_do_not_end_the_fourth_stage(person: Person, inject: m.Inject) -> None:
    person.at(Stage.SHAPE).sends(m.Restart()).looks(rule=TRUTH, kind=CONSTANT).sees(300.0).sees(0.0)
    person.sends(inject).sees(150.0).sees(0.0)
    assert person.tour.stage is Stage.SHAPE


def test_a_large_stroke_of_the_mouse_counts_as_the_dose(person: Person) -> None:
    person.at(Stage.SHAPE).sends(m.Restart()).looks(rule=TRUTH, kind=CONSTANT).sees(300.0).sees(0.0)
    person.sends(m.Inject(None, 100.0, m.NoiseKind.SMOOTH), m.Inject(None, 3.0, m.NoiseKind.SMOOTH))
    assert person.sees(103.0).sees(0.0).tour.stage is Stage.OVER


def test_a_picture_that_is_spoilt_after_the_dose_is_asked_for_anew(person: Person) -> None:
    person.at(Stage.SHAPE).sends(m.Restart()).looks(rule=TRUTH, kind=CONSTANT).sees(300.0).sees(0.0)
    person.sends(m.Inject(None, 150.0, CONSTANT)).sees(150.0)
    person.sends(m.Inject(None, 9.0, CONSTANT, LIE)).sees(150.0).sees(0.0)
    assert person.tour.stage is Stage.SHAPE
    assert person.tour.todo == Todo.FRESH


def test_after_the_tour_the_dose_can_be_compared_with_gaussian_noise(person: Person) -> None:
    person.at(Stage.OVER)
    assert person.tour.todo == Todo.END
    assert person.looks(kind=GAUSSIAN).tour.dose == 150.0
    assert person.sees(80.0).tour.dose is None
    assert person.sees(0.0, rule=NAIVE).tour.dose is None
    assert person.sends(m.Inject(None, 150.0)).sees(150.0).sees(0.0).tour.stage is Stage.OVER


@pytest.mark.parametrize("stage", [Stage.FORM, Stage.HEAL, Stage.MISTELL])
def test_earlier_stages_have_no_dose(person: Person, stage: Stage) -> None:
    assert person.at(stage).looks(kind=CONSTANT).tour.dose is None


# --- the connection ---


@pytest.mark.parametrize("stage", list(Stage))
def test_without_a_connection_nothing_is_asked_for_and_the_stage_stays(person: Person, stage: Stage) -> None:
    person.at(stage).looks(live=False)
    assert person.tour.todo == ""
    assert person.tour.dose is None
    assert person.sees(0.0).tour.stage is stage


def test_a_session_that_goes_on_goes_on_with_the_tour(person: Person) -> None:
    person.at(Stage.HEAL).sends(m.Inject(BRUSH, 30.0)).sees(60.0).looks(live=False).looks(live=True)
    assert person.sees(0.0).tour.stage is Stage.MISTELL


def test_a_new_session_begins_the_stage_again_with_its_own_numbers(person: Person) -> None:
    person.at(Stage.HEAL).sends(*[m.Inject(BRUSH, 9.0)] * 20).sees(60.0).looks(live=False)
    person.sequence = person.applied = 1
    person.sees(300.0, live=True, session="two").sees(0.0)
    assert person.tour.stage is Stage.HEAL
    assert person.tour.todo == Todo.TOUCH
    person.sends(m.Inject(BRUSH, 30.0)).sees(60.0)
    assert person.sees(0.0).tour.stage is Stage.MISTELL


def test_a_new_session_has_no_spoilt_picture(person: Person) -> None:
    person.at(Stage.SHAPE)
    assert person.tour.todo == Todo.FRESH
    person.sequence = person.applied = 1
    assert person.sees(300.0, session="two").tour.todo == Todo.TRUTH


def test_the_shares_are_of_the_sessions_own_number_of_time_steps(person: Person) -> None:
    person.at(Stage.SHAPE).sends(m.Restart()).looks(rule=TRUTH, kind=CONSTANT)
    long = frame(0.0, applied_sequence=person.applied, settings=m.Settings(num_time_steps=1000))
    assert person.looks(frame=long).tour.dose == 500.0
