"""The newest picture of every session, for a class wall: taken from frames that are made anyway."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from itertools import islice

from diffusion_toy.contract.pixels import to_bytes
from inference_server.engine.frames import FrameBatch
from inference_server.engine.session import Session


@dataclass(frozen=True, eq=False)
class BoardPicture:
    """A session's noisy picture, small enough to keep.

    Attributes:
        x_t: C·H·W uint8: 0 is −1 and below, 255 is 1 and above.
        shape: C, H, W.
        time_step: the greatest of its pixels.
    """

    x_t: bytes
    shape: tuple[int, int, int]
    time_step: float

    @classmethod
    def of(cls, batch: FrameBatch, row: int) -> BoardPicture:
        """Return the picture of a tick's row."""
        values = batch.pixels[row, : math.prod(batch.shape)]
        return cls(to_bytes(values).tobytes(), batch.shape, float(batch.readings.time_step_max[row]))


class Board:
    """Keeps each session's newest picture while somebody looks, and else only those of sessions at rest.

    A session at rest sends no more frames, so its last picture has to be there when a wall is opened; one
    that steps brings the next one by itself. `put` is for the engines' thread, the rest for the event loop's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[Session, BoardPicture | tuple[FrameBatch, int]] = {}  # a row: not converted yet
        self._viewers = 0

    def look(self) -> None:
        """Keep all pictures from now on, until `look_away` has been called as often."""
        with self._lock:
            self._viewers += 1

    def look_away(self) -> None:
        """Undo one `look`."""
        with self._lock:
            self._viewers -= 1
            if not self._viewers:  # rows hold their whole batch
                for session, one in list(self._newest.items()):
                    if not isinstance(one, BoardPicture):
                        del self._newest[session]

    def put(self, session: Session, batch: FrameBatch, row: int) -> None:
        """Take a row of a tick."""
        with self._lock:
            if batch.idle[row]:
                self._newest[session] = BoardPicture.of(batch, row)
            elif self._viewers:
                self._newest[session] = batch, row
            else:
                self._newest.pop(session, None)

    def remove(self, session: Session) -> None:
        """Take down the picture of a session whose client is gone."""
        with self._lock:
            self._newest.pop(session, None)

    def shows(self, session_id: str) -> bool:
        """Return whether the session of this name has a picture."""
        with self._lock:
            return any(session.id == session_id for session in self._newest)

    def __len__(self) -> int:
        """Return how many sessions have a picture."""
        return len(self._newest)

    def pictures(self, most: int) -> dict[Session, BoardPicture]:
        """Return the pictures of the first so many sessions; the same object as long as nothing changes."""
        with self._lock:
            first = dict(islice(self._newest.items(), most))
        found = {
            session: one if isinstance(one, BoardPicture) else BoardPicture.of(*one)
            for session, one in first.items()
        }
        with self._lock:
            for session, one in first.items():
                if self._newest.get(session) is one:  # not replaced meanwhile
                    self._newest[session] = found[session]
        return found
