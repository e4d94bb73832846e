"""Keys and mouse become commands; state becomes words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame, live_model
from viewer_client.core import gauge, labels
from viewer_client.core.keymap import BINDINGS, Action, action_of
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import ViewModel
from viewer_client.link.status import Phase, Status


@pytest.fixture
def model() -> ViewModel:
    return live_model()


def pressed(model: ViewModel, *keys: str) -> list[m.Command]:
    for key in keys:
        model.key(key)
    return model.take_commands()


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("space", m.Pause()),
        ("right", m.Step(m.Motion.REVERSE)),
        ("left", m.Step(m.Motion.FORWARD)),
        ("f", m.Play(m.Motion.FORWARD)),
        ("r", m.Restart()),
        ("n", m.Restart(42, m.Origin())),
        ("7", m.Configure(m.SettingsChange(label=7))),
        ("l", m.Configure(m.SettingsChange(label=m.NO_LABEL))),
        ("d", m.Configure(m.SettingsChange(sampler=m.Sampler.DDIM))),
        ("c", m.Configure(m.SettingsChange(schedule=m.ScheduleName.LINEAR, num_time_steps=300))),
        (",", m.Configure(m.SettingsChange(steps_per_second=30.0))),
        ("w", m.Configure(m.SettingsChange(guidance=1.5))),
        ("shift+w", m.Configure(m.SettingsChange(guidance=0.5))),
    ],
)
def test_a_key_sends_its_command(model: ViewModel, key: str, command: m.Command) -> None:
    assert pressed(model, key) == [command]


def test_the_example_key_starts_clean_and_runs_forward(model: ViewModel) -> None:
    assert pressed(model, "e") == [m.Restart(42, m.Origin(m.Example(), 0.0)), m.Play(m.Motion.FORWARD)]


def test_space_plays_what_is_paused_and_f_turns_back(model: ViewModel) -> None:
    model.receive(frame(motion=m.Motion.PAUSED))
    assert pressed(model, "space") == [m.Play()]
    model.receive(frame(motion=m.Motion.FORWARD))
    assert pressed(model, "f") == [m.Play(m.Motion.REVERSE)]


def test_every_action_has_a_key_and_no_key_two() -> None:
    assert {binding.action for binding in BINDINGS if binding.keys} == set(Action)
    keys = [key for binding in BINDINGS for key in binding.keys]
    assert len(keys) == len(set(keys))
    assert all(binding.help for binding in BINDINGS)


def test_escape_closes_the_help_and_never_quits(model: ViewModel) -> None:
    model.key("h")
    assert model.help_open
    model.key("escape")
    model.key("escape")
    assert not model.help_open
    assert not model.quit
    assert action_of("escape") is Action.CLOSE_OVERLAY
    model.key("ctrl+q")
    assert model.quit


def test_unknown_keys_do_nothing(model: ViewModel) -> None:
    assert pressed(model, "q", "f12", "ü") == []


def test_moving_over_the_picture_noises_the_whole_image_by_default(model: ViewModel) -> None:
    model.mouse_at((0.2, 0.5))
    model.mouse_at((0.3, 0.5))
    model.mouse_at((0.45, 0.5))
    (command,) = model.take_commands()
    assert isinstance(command, m.Inject)
    assert command.disc is None
    assert command.amount == pytest.approx(30.0)
    assert command.kind is m.NoiseKind.GAUSSIAN


def test_a_brush_stroke_becomes_discs_a_few_at_a_time_and_none_is_lost(model: ViewModel) -> None:
    model.key("m")
    assert model.brush.mode is MouseMode.BRUSH
    model.mouse_at((0.0, 0.5))
    model.mouse_at((1.0, 0.5))
    first, second = model.take_commands(), model.take_commands()
    assert (len(first), len(second)) == (model.dabs_per_frame, 13 - model.dabs_per_frame)
    assert model.take_commands() == []
    discs = [c.disc for c in [*first, *second] if isinstance(c, m.Inject) and c.disc]
    assert [disc.x for disc in discs] == pytest.approx([0.075 * i for i in range(1, 14)])


def test_a_held_brush_paints_only_while_the_button_is_down(model: ViewModel) -> None:
    pressed(model, "m", "m")
    model.mouse_at((0.1, 0.5))
    model.mouse_at((0.5, 0.5))
    assert model.take_commands() == []
    model.mouse_button(True)
    model.mouse_at((0.7, 0.5))
    assert len(model.take_commands()) == 3
    model.mouse_button(False)
    model.mouse_at((0.1, 0.5))
    assert model.take_commands() == []


def test_outside_the_picture_and_under_the_help_nothing_happens(model: ViewModel) -> None:
    model.mouse_at((0.2, 0.5))
    model.mouse_at(None)
    model.mouse_at((0.8, 0.5))
    assert model.take_commands() == []
    model.key("h")
    model.mouse_at((0.2, 0.5))
    assert model.take_commands() == []


def test_radius_and_strength_stay_in_range(model: ViewModel) -> None:
    for key, name, low, high in (
        ("[", "radius", 0.03, 0.5),
        ("]", "radius", 0.03, 0.5),
        ("up", "strength", 2, 300),
    ):
        for _ in range(60):
            model.key(key)
        assert low <= getattr(model.brush, name) <= high
    assert model.brush.radius == 0.5


def test_kinds_and_rules_cycle(model: ViewModel) -> None:
    kinds = {model.brush.kind}
    for _ in range(5):
        model.key("k")
        kinds.add(model.brush.kind)
    assert kinds == set(m.NoiseKind)
    model.key("t")
    model.brush.mode = MouseMode.WHOLE_IMAGE
    model.mouse_at((0.1, 0.1))
    model.mouse_at((0.2, 0.1))
    (command,) = model.take_commands()
    assert isinstance(command, m.Inject)
    assert command.rule is m.InjectionRule.NAIVE


def test_the_time_step_is_always_in_words(model: ViewModel) -> None:
    assert labels.time_step(ViewModel()) == "t –/300"
    assert labels.time_step(model) == "t 150/300"
    level_map = np.zeros((28, 28), np.float32)
    model.receive(frame(level_map=level_map, time_step=m.Range(0.0, 3.0, 41.4)))
    assert labels.time_step(model) == "t 42/300"
    assert labels.time_step_range(model) == "0–42"


def test_the_session_line_names_seed_class_sampler_and_schedule(model: ViewModel) -> None:
    line = "σ told 0.71 · seed 7 · class any · DDPM · cosine 300 · model mnist · session id"
    assert labels.time_step(model) == "t 150/300"
    assert labels.SEPARATOR.join(labels.head_up_parts(model)) == line
    settings = m.Settings(label=3, guidance=2.0, sampler=m.Sampler.DDIM, steps_per_second=10.0)
    model.receive(frame(settings=settings))
    parts = [
        "seed 7",
        "class 3",
        "guidance 2",
        "DDIM",
        "10 steps/s",
        "cosine 300",
        "model mnist",
        "session id",
    ]
    assert labels.session_parts(model) == parts


def test_who_is_seen_on_the_class_wall_is_told_before_all_else(model: ViewModel) -> None:
    assert labels.WALL not in labels.session_parts(model)
    assert model.welcome is not None
    model.receive(replace(model.welcome, wall=True))
    assert labels.session_parts(model)[0] == labels.WALL


def test_the_samplers_take_turns(model: ViewModel) -> None:
    names = []
    for sampler in (m.Sampler.DDIM, m.Sampler.DPMPP, m.Sampler.SDE_DPMPP, m.Sampler.DDPM):
        assert pressed(model, "d") == [m.Configure(m.SettingsChange(sampler=sampler))]
        model.receive(frame(settings=m.Settings(sampler=sampler)))
        names.append(sampler.words)
        assert names[-1] in labels.session_parts(model)
    assert names == ["DDIM", "DPM-Solver++", "SDE-DPM-Solver++", "DDPM"]


def test_a_class_chosen_on_a_clean_picture_says_what_to_do(model: ViewModel) -> None:
    model.receive(frame(0.0, idle=True))
    pressed(model, "4")
    assert model.notice == "class 4 is chosen: add noise to use it"


@pytest.mark.parametrize(
    ("nominal", "real", "words"),
    [
        (0.5, 0.5, "the truth"),
        (0.5, 0.7, "noisier than"),
        (0.5, 0.2, "cleaner than"),
        (0.0, 0.0, "the truth"),
    ],
)
def test_the_gauge_compares_what_is_told_with_what_is(
    model: ViewModel, nominal: float, real: float, words: str
) -> None:
    model.receive(frame(nominal=m.Range(nominal, nominal, nominal), actual=m.Range(real, real, real)))
    assert words in gauge.sentence(model)


def test_a_small_spot_that_is_noisier_is_noticed_too(model: ViewModel) -> None:
    model.receive(frame(nominal=m.Range(0, 0.001, 0.1), actual=m.Range(0, 0.004, 0.6)))
    assert "noisier" in gauge.sentence(model)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "denoising"),
        ({"idle": True, "time_step": m.Range(0, 0, 0)}, "finished"),
        ({"motion": m.Motion.PAUSED}, "paused"),
        ({"motion": m.Motion.FORWARD}, "forward"),
        ({"motion": m.Motion.FORWARD, "idle": True}, "all noise"),
    ],
)
def test_the_state_is_said_in_words(model: ViewModel, changes: dict[str, object], words: str) -> None:
    model.receive(frame(**changes))
    assert words in labels.state_sentence(model)


def test_after_a_lost_connection_seed_and_settings_are_asked_for_again(model: ViewModel) -> None:
    assert ViewModel(start=m.Start(seed=3)).next_start() == m.Start(seed=3)
    assert model.next_start() == m.Start(seed=7)  # the server drew it
    pressed(model, "8", "d", "n")
    again = model.next_start()
    assert again.seed == 42
    assert again.settings == m.SettingsChange(label=8, sampler=m.Sampler.DDIM)


def test_what_the_server_rejected_is_not_asked_for_again(model: ViewModel) -> None:
    pressed(model, "8")
    model.receive(m.Rejected(1, "settings.label", "8", "0…4", "settings.label 8 is outside 0…4"))
    assert model.next_start().settings.label is None


def test_what_was_chosen_while_connecting_is_sent_after_the_welcome() -> None:
    model = ViewModel(draw_seed=lambda: 42)
    assert pressed(model, "5", "n") == []
    model.receive(WELCOME)
    model.pass_time(Status(Phase.LIVE), now=0.0)
    assert model.take_commands() == [m.Configure(m.SettingsChange(label=5)), m.Restart(42)]


def test_frames_of_the_past_do_not_undo_what_was_asked_for(model: ViewModel) -> None:
    (command,) = pressed(model, "space")
    model.sent(command, sequence=5, now=0.0)
    model.receive(frame(applied_sequence=4))
    assert model.motion is m.Motion.PAUSED
    model.receive(frame(applied_sequence=5, motion=m.Motion.PAUSED))
    assert pressed(model, "space") == [m.Play()]


def test_speckle_goes_when_the_frame_shows_the_noise_or_time_is_up(model: ViewModel) -> None:
    inject = m.Inject(None, 10.0)
    for sequence in (5, 6):
        model.sent(inject, sequence, now=0.0)
    model.receive(frame(applied_sequence=5))
    assert [speckle.sequence for speckle in model.feedback.speckles] == [6]
    model.pass_time(Status(Phase.LIVE), now=1.0)
    assert not model.feedback.speckles


def test_when_the_mouse_is_faster_than_the_server_allows_the_dose_is_kept(model: ViewModel) -> None:
    model.key("m")
    model.brush.radius = 0.03
    model.mouse_at((0.0, 0.5))
    for i in range(20):
        model.mouse_at((1.0 - i % 2, 0.5))
    commands = [command for _ in range(30) for command in model.take_commands()]
    assert len(commands) <= 24
    doses = [command.amount for command in commands if isinstance(command, m.Inject)]
    assert sum(doses) == pytest.approx(20 / 0.015 * 15.0, rel=0.01)


def test_a_rejection_is_shown_until_the_next_key(model: ViewModel) -> None:
    model.receive(m.Rejected(3, "f", "v", "l", "that is too much"))
    assert model.notice == "that is too much"
    model.key("[")
    assert model.notice == ""


# --- sessions that go on ---

LOST = Status(Phase.LOST, "gone", 1)
RESUMED = replace(WELCOME, resumed=True, applied_sequence=4)


def test_a_session_that_goes_on_is_left_as_it_is(model: ViewModel) -> None:
    commands = pressed(model, "8", "d", "n", "space")
    for sequence, command in enumerate([*commands, m.Inject(None, 5.0)], start=2):
        model.sent(command, sequence, now=0.0)
    model.pass_time(LOST, now=0.1)
    model.receive(RESUMED)
    model.pass_time(Status(Phase.LIVE), now=3.0)
    assert model.take_commands() == []
    assert list(model.feedback.marks) == [150.0]
    assert model.motion is m.Motion.PAUSED
    assert model.notice == ""
    model.receive(frame(applied_sequence=4, settings=m.Settings()))  # what was sent again is still waiting
    assert model.settings.label == 8
    settings = m.Settings(label=8, sampler=m.Sampler.DDIM)
    model.receive(frame(applied_sequence=6, settings=settings, motion=m.Motion.PAUSED))
    assert model.settings == settings


def test_the_speckle_of_what_is_sent_again_stays_until_it_lands(model: ViewModel) -> None:
    for sequence in (5, 6):
        model.sent(m.Inject(None, 5.0), sequence, now=0.0)
    model.pass_time(LOST, now=9.0)
    model.receive(RESUMED)
    model.pass_time(Status(Phase.LIVE), now=10.0)
    assert [speckle.sequence for speckle in model.feedback.speckles] == [5, 6]
    model.receive(frame(applied_sequence=5))
    assert [speckle.sequence for speckle in model.feedback.speckles] == [6]
    model.pass_time(Status(Phase.LIVE), now=10.1)
    assert model.feedback.speckles
    model.pass_time(Status(Phase.LIVE), now=11.0)
    assert not model.feedback.speckles


def test_what_is_touched_without_a_connection_is_not_sent_later(model: ViewModel) -> None:
    model.pass_time(LOST, now=0.0)
    assert pressed(model, "8", "n") == []
    model.receive(RESUMED)
    model.pass_time(Status(Phase.LIVE), now=1.0)
    assert model.take_commands() == []
    model.receive(frame())
    assert model.settings.label == m.NO_LABEL


def test_what_is_asked_for_without_a_connection_is_forgotten_where_the_session_goes_on(
    model: ViewModel,
) -> None:
    model.take_commands()
    before = model.start
    model.pass_time(LOST, now=0.0)
    assert pressed(model, "right", "e", "8") == []
    assert model.start != before
    model.key("space")  # between two pictures
    model.receive(RESUMED)
    model.pass_time(Status(Phase.LIVE), now=1.0)
    assert model.start == before
    model.receive(frame())
    assert model.motion is m.Motion.REVERSE
    assert pressed(model, "space") == [m.Pause()]
    assert pressed(model, "r") == [m.Restart()]  # and no play: the picture does not begin clean


def test_a_session_that_is_to_play_on_does_so_when_it_is_back(model: ViewModel) -> None:
    model.pause()
    assert model.take_commands() == [m.Pause()]
    model.pass_time(LOST, now=0.0)
    model.play()
    assert model.take_commands() == []
    model.receive(RESUMED)
    assert model.take_commands() == []  # its welcome has come, and it is not yet known to be live
    model.pass_time(Status(Phase.LIVE), now=1.0)
    assert model.take_commands() == [m.Play()]
    assert model.take_commands() == []
    model.pass_time(LOST, now=2.0)
    model.receive(RESUMED)
    model.pass_time(Status(Phase.LIVE), now=3.0)
    assert model.take_commands() == []


def test_an_origin_of_a_longer_schedule_begins_at_the_end_of_a_shorter_one(model: ViewModel) -> None:
    drawn = m.Pixels(bytes(784))
    model.configure(m.SettingsChange(num_time_steps=1000))
    model.restart(3, m.Origin(drawn, 500.0))
    assert model.next_start().origin == m.Origin(drawn, 500.0)
    model.configure(m.SettingsChange(num_time_steps=300))
    assert model.next_start().origin == m.Origin(drawn, 300.0)


def test_a_new_session_after_a_loss_says_so(model: ViewModel) -> None:
    model.sent(m.Inject(None, 5.0), 5, now=0.0)
    model.pass_time(LOST, now=0.0)
    model.receive(WELCOME)
    assert model.notice == "the session could not be resumed; a new one has begun"
    assert not model.feedback.speckles


def test_one_who_watches_sees_everything_and_touches_nothing() -> None:
    model = ViewModel(start=m.Start(watch="id"))
    model.receive(replace(WELCOME, watching=True, settings=m.Settings(label=3)))
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(frame(settings=m.Settings(label=3)))
    told = "you are watching; only the session's owner can touch it"
    assert model.notice == told
    assert model.next_start() == m.Start(watch="id")
    for key in ("8", "n", "space", "d"):
        assert pressed(model, key) == []
        assert model.notice == told
    model.key("h")
    assert model.help_open
    model.key("h")
    assert model.notice == ""
    model.mouse_at((0.2, 0.5))
    model.mouse_at((0.6, 0.5))
    assert model.take_commands() == []
    assert model.notice == told
    assert model.settings.label == 3
    assert not model.try_again
    model.pass_time(Status(Phase.REFUSED, "the session is over"), now=1.0)
    model.key("r")
    assert model.try_again


def test_going_back_and_jumping_rest_there(model: ViewModel) -> None:
    model.key("z")
    model.jump_to(42.0)
    model.jump_to(1e6)
    commands = [command for command in model.take_commands() if not isinstance(command, m.Configure)]
    assert commands == [m.Back(), m.Jump(time_step=42.0), m.Jump(time_step=300.0)]
    assert model.motion is m.Motion.PAUSED
