"""What has come in on a stream and nobody has taken yet. No gRPC, no threads: its owner locks."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from diffusion_toy.contract import messages as m

EVENTS_WAITING = 256  # rejections and the like that nobody has taken; older ones go
FRAMES_KEPT = 32  # for those who look for a moment that two sessions have had

Event = m.Welcome | m.Rejected | m.Schedule


class Inbox:
    """The newest frame, and the events since the last look."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=EVENTS_WAITING)
        self._newest: m.Frame | None = None
        self._taken: m.Frame | None = None
        self._recent: deque[m.Frame] = deque(maxlen=FRAMES_KEPT)

    def begin_stream(self) -> None:
        """Forget the frames of an earlier stream; its events are still to be told."""
        self._newest = self._taken = None
        self._recent.clear()

    def add_event(self, event: Event) -> None:
        """Keep an event until it is taken."""
        self._events.append(event)

    def add_frame(self, frame: m.Frame) -> bool:
        """Keep a frame in place of one that nobody has taken; say whether there was one.

        The new frame then also lists the commands that the old one said were applied.
        """
        old = self._newest
        if old is not None:
            frame = replace(frame, applied=(old.applied + frame.applied)[-m.APPLIED_MAX :])
        self._newest = frame
        self._recent.append(frame)
        return old is not None

    def take(self) -> list[m.Response]:
        """Return what has come in since the last call: events, and at most one frame at the end."""
        responses: list[m.Response] = list(self._events)
        self._events.clear()
        if self._newest is not None:
            self._taken = self._newest
            responses.append(self._newest)
            self._newest = None
        return responses

    def may_acknowledge(self, frame: m.Frame) -> bool:
        """Say whether this is the frame of the present stream that was taken last."""
        return frame is self._taken

    @property
    def recent(self) -> list[m.Frame]:
        """Return the newest frames of this stream, oldest first, also those that were never taken."""
        return list(self._recent)
