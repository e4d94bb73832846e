"""What waits to be sent to one client, and the rule that keeps it small.

Acknowledgements are the backpressure: at most `window` frames are sent and unacknowledged, and of
those not yet sent only the newest is kept. HTTP/2 flow control would not do: it buffers hundreds
of frames for a reader that has stalled. No IO and no clock in here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from diffusion_toy.contract.messages import APPLIED_MAX, Applied, Moving, Rejected, Schedule
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from inference_server.engine.frames import FrameBatch
from inference_server.engine.session import Displaced, SessionSnapshot
from inference_server.streams.lesson import Lesson

CONTROL_MESSAGES_MAX = 2048


class StalledClientError(DiffusionToyError):
    """The client keeps sending bad commands and does not read the answers."""


@dataclass(frozen=True)
class FrameRecord:
    """One row of a batch: a frame that has not been written out yet.

    `applied` are the commands that have been applied since the frame that was written out before.
    """

    batch: FrameBatch
    row: int
    applied: tuple[Applied, ...] = ()

    @staticmethod
    def of(batch: FrameBatch, row: int, replaced: FrameRecord | None = None) -> FrameRecord:
        """Return the record of a row, in place of one that was to be written out."""
        return FrameRecord(batch, row, batch.applied_of_rows.get(row, ())).in_place_of(replaced)

    def in_place_of(self, replaced: FrameRecord | None) -> FrameRecord:
        """Return this frame with the applied commands of the one it replaces added, at most `APPLIED_MAX`."""
        if replaced is None or not replaced.applied:
            return self
        return replace(self, applied=(replaced.applied + self.applied)[-APPLIED_MAX:])

    @property
    def number(self) -> int:
        """Return the number that the client acknowledges."""
        return int(self.batch.numbers[self.row])


State = Schedule | Lesson  # the newest says everything
Control = Rejected | Moving | Displaced | State
Message = FrameRecord | Control | SessionSnapshot


class Outbox:
    """Messages for one client.

    Args:
        window: frames that may be sent and unacknowledged, 1 and above.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.dropped = 0
        self._newest: FrameRecord | None = None
        self._snapshot: SessionSnapshot | None = None
        self._control: deque[Control] = deque()  # but for states
        self._states: dict[type[State], State] = {}
        self._control_unread = 0  # sent since the client last acknowledged something
        self._unacknowledged: deque[int] = deque()
        self._last_sent = 0

    @property
    def unacknowledged(self) -> int:
        """Frames that were sent and not acknowledged, 0…window."""
        return len(self._unacknowledged)

    @property
    def full(self) -> bool:
        """No frame may be sent until one is acknowledged."""
        return len(self._unacknowledged) >= self.window

    @property
    def waiting(self) -> bool:
        """Something has not been sent, whether it may be or not."""
        return self._newest is not None or self._snapshot is not None or self._has_control

    def offer_frame(self, record: FrameRecord) -> None:
        """Offer a new frame; it replaces an unsent one, and lists what was applied in that too."""
        self.dropped += self._newest is not None
        self._newest = record.in_place_of(self._newest)

    def offer_snapshot(self, snapshot: SessionSnapshot) -> None:
        """Offer a new snapshot of the session; it replaces one that has not been sent."""
        self._snapshot = snapshot

    @property
    def _has_control(self) -> bool:
        return bool(self._control or self._states)

    def offer(self, message: Control) -> None:
        """Offer anything else; a state replaces one of its kind that has not been sent, all others are kept.

        Raises:
            StalledClientError: too much waits to be sent, or was sent and seems not to be read.
        """
        if isinstance(message, State):
            self._states[type(message)] = message
            return
        if len(self._control) + (self._control_unread if self.full else 0) >= CONTROL_MESSAGES_MAX:
            raise StalledClientError(
                f"{CONTROL_MESSAGES_MAX} answers wait to be read; read the stream, or send fewer bad commands"
            )
        self._control.append(message)

    def acknowledge(self, frame_number: int) -> bool:
        """All frames up to this one have been drawn or skipped; return whether that was news.

        Raises:
            InvalidValueError: a frame that was never sent.
        """
        if frame_number > self._last_sent:
            raise InvalidValueError(
                "acknowledge.frame_number",
                frame_number,
                f"0…{self._last_sent}, the frames that were sent",
                "acknowledge Frame.number as received",
            )
        before = len(self._unacknowledged)
        while self._unacknowledged and self._unacknowledged[0] <= frame_number:
            self._unacknowledged.popleft()
            self._control_unread = 0
        return len(self._unacknowledged) < before

    def take_control(self) -> Control | None:
        """Return the next answer or announcement, None if there is none."""
        if not self._control:
            return self._states.pop(next(iter(self._states))) if self._states else None
        self._control_unread += 1
        return self._control.popleft()

    def take(self) -> Message | None:
        """Return the next message to send, None if nothing may be sent now."""
        if (control := self.take_control()) is not None:
            return control
        if self.full:
            return None
        if self._snapshot is not None:
            snapshot, self._snapshot = self._snapshot, None
            return snapshot
        if self._newest is None:
            return None
        record, self._newest = self._newest, None
        self._last_sent = record.number
        self._unacknowledged.append(record.number)
        return record
