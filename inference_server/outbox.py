"""What waits to be sent to one client, and the rule that keeps it small.

Acknowledgements are the backpressure: at most `window` frames are sent and unacknowledged, and of
those not yet sent only the newest is kept. HTTP/2 flow control would not do: it buffers hundreds
of frames for a reader that has stalled. No IO and no clock in here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.messages import Rejected, Schedule
from inference_server.frames import FrameBatch

CONTROL_MESSAGES_MAX = 2048


class StalledClientError(DiffusionToyError):
    """The client keeps sending bad commands and does not read the answers."""


@dataclass(frozen=True)
class FrameRecord:
    """One row of a batch: a frame that has not been written out yet."""

    batch: FrameBatch
    row: int

    @property
    def number(self) -> int:
        return int(self.batch.numbers[self.row])


class Outbox:
    """Messages for one client.

    Args:
        window: frames that may be sent and unacknowledged, 1 and above.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.superseded = 0
        self._newest: FrameRecord | None = None
        self._control: deque[Rejected | Schedule] = deque()
        self._unacknowledged: deque[int] = deque()
        self._last_sent = 0

    @property
    def unacknowledged(self) -> int:
        """Frames that were sent and not acknowledged, 0…window."""
        return len(self._unacknowledged)

    def offer_frame(self, record: FrameRecord) -> None:
        """A new frame; it replaces one that has not been sent."""
        self.superseded += self._newest is not None
        self._newest = record

    def offer(self, message: Rejected | Schedule) -> None:
        """Anything else; it is never replaced.

        Raises:
            StalledClientError: too much is waiting already.
        """
        if len(self._control) >= CONTROL_MESSAGES_MAX:
            raise StalledClientError(
                f"{len(self._control)} answers wait to be read; read the stream, or send fewer bad commands"
            )
        self._control.append(message)

    def acknowledge(self, frame_number: int) -> None:
        """All frames up to this one have been drawn or skipped.

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
        while self._unacknowledged and self._unacknowledged[0] <= frame_number:
            self._unacknowledged.popleft()

    def take(self) -> FrameRecord | Rejected | Schedule | None:
        """The next message to send, None if nothing may be sent now."""
        if self._control:
            return self._control.popleft()
        if self._newest is None or self.unacknowledged >= self.window:
            return None
        record, self._newest = self._newest, None
        self._last_sent = record.number
        self._unacknowledged.append(record.number)
        return record
