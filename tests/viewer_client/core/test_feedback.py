"""What is shown of noise that was sent, before and after the server has answered."""

from __future__ import annotations

from dataclasses import replace

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.core.feedback import MARKS_KEPT, SPECKLE_S, Feedback

DAB = m.Inject(m.Disc(0.25, 0.5, 0.1), 12.0)


def sequences(feedback: Feedback) -> list[int]:
    return [speckle.sequence for speckle in feedback.speckles]


def test_an_injection_is_shown_as_it_was_sent_until_a_frame_has_it() -> None:
    feedback = Feedback()
    for sequence in (2, 3):
        feedback.sent(DAB, sequence, 0.0, ahead=False)
    feedback.sent(m.Pause(), 4, 0.0, ahead=False)
    assert [speckle.inject for speckle in feedback.speckles] == [DAB, DAB]
    feedback.received(frame(applied_sequence=2))
    assert sequences(feedback) == [3]


def test_what_nobody_answers_goes_after_a_while() -> None:
    feedback = Feedback()
    feedback.sent(DAB, 2, 5.0, ahead=False)
    feedback.pass_time(5.0 + 0.9 * SPECKLE_S)
    assert sequences(feedback) == [2]
    feedback.pass_time(5.0 + SPECKLE_S)
    assert not feedback.speckles


def test_what_is_sent_again_after_a_loss_has_its_time_again() -> None:
    feedback = Feedback()
    feedback.sent(DAB, 2, 5.0, ahead=False)
    feedback.received(replace(WELCOME, resumed=True))
    feedback.pass_time(9.0)
    assert sequences(feedback) == [2]
    feedback.pass_time(9.0 + SPECKLE_S)
    assert not feedback.speckles


def test_a_new_session_shows_nothing_of_the_old_one() -> None:
    feedback = Feedback()
    feedback.received(frame(150.0))
    feedback.sent(DAB, 2, 5.0, ahead=False)
    feedback.sent(DAB, 3, 5.0, ahead=True)
    feedback.received(WELCOME)
    feedback.received(frame(90.0, applied_sequence=9))
    assert not feedback.speckles
    assert list(feedback.marks) == [150.0]


def test_a_mark_stands_where_the_picture_was_and_a_replays_where_it_was_applied() -> None:
    feedback = Feedback()
    feedback.sent(DAB, 2, 0.0, ahead=False)  # there is no picture yet
    feedback.received(frame(120.0))
    feedback.sent(DAB, 3, 0.0, ahead=False)
    feedback.sent(DAB, 4, 0.0, ahead=True)
    assert list(feedback.marks) == [120.0]
    feedback.received(frame(80.0, applied_sequence=4))
    assert list(feedback.marks) == [120.0, 80.0]
    feedback.forget_run()
    assert not feedback.marks


def test_marks_are_bounded() -> None:
    feedback = Feedback()
    feedback.received(frame(120.0))
    for sequence in range(2, 3 * MARKS_KEPT):
        feedback.sent(DAB, sequence, 0.0, ahead=False)
    assert len(feedback.marks) == MARKS_KEPT
