"""What has come in and nobody has taken: the newest frame, all events, nothing of an earlier stream."""

from __future__ import annotations

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.link.inbox import EVENTS_WAITING, FRAMES_KEPT, Inbox


def test_events_come_first_and_of_frames_only_the_newest() -> None:
    inbox = Inbox()
    inbox.add_event(WELCOME)
    assert not inbox.add_frame(frame(number=1))
    assert inbox.add_frame(frame(number=2))
    first, newest = inbox.take()
    assert first is WELCOME
    assert isinstance(newest, m.Frame)
    assert newest.number == 2
    assert inbox.take() == []
    assert not inbox.add_frame(frame(number=3))  # the one before was taken


def test_commands_that_an_untaken_frame_named_are_named_by_the_next_one() -> None:
    inbox = Inbox()
    inbox.add_frame(frame(number=1, applied=(m.Applied(2, 5),)))
    inbox.add_frame(frame(number=2, applied=(m.Applied(3, 6),)))
    (newest,) = inbox.take()
    assert isinstance(newest, m.Frame)
    assert newest.applied == (m.Applied(2, 5), m.Applied(3, 6))


def test_only_the_frame_that_was_taken_last_may_be_acknowledged() -> None:
    inbox = Inbox()
    inbox.add_frame(frame(number=1))
    (first,) = inbox.take()
    assert isinstance(first, m.Frame)
    assert inbox.may_acknowledge(first)
    inbox.begin_stream()
    assert not inbox.may_acknowledge(first)  # numbers begin again with each stream


def test_a_new_stream_forgets_frames_and_keeps_events() -> None:
    inbox = Inbox()
    inbox.add_frame(frame())
    inbox.add_event(m.Rejected(2, "", "", "", "no"))
    inbox.begin_stream()
    assert [type(response) for response in inbox.take()] == [m.Rejected]
    assert inbox.recent == []


def test_what_nobody_takes_is_bounded() -> None:
    inbox = Inbox()
    for number in range(1, 2 * EVENTS_WAITING):
        inbox.add_event(m.Rejected(number, "", "", "", ""))
        inbox.add_frame(frame(number=number))
    assert [one.number for one in inbox.recent] == list(
        range(2 * EVENTS_WAITING - FRAMES_KEPT, 2 * EVENTS_WAITING)
    )
    assert len(inbox.take()) == EVENTS_WAITING + 1
