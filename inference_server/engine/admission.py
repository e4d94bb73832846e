"""Who is served: what a device can promise, what its sessions ask for, and who gives way to whom.

Capacity and demand are in network rows a second. One `Admission` belongs to a device; each engine on it
has a `Share`. The device's load is the sum of each share's demand ÷ capacity, and what would lift it
above 1 is refused; somebody alone is served however slow the machine is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.capacity import Capacity
from inference_server.engine.errors import ServerFullError
from inference_server.engine.row_scheduler import turns_hz
from inference_server.engine.session import Session

ROUNDING = 1e-9  # by which a load may exceed 1


def rows_per_step(settings: m.Settings) -> int:
    """Return how many network rows a step takes: 2 with guidance other than 0 and 1, else 1."""
    return 2 if settings.label != m.NO_LABEL and settings.guidance not in (0, 1) else 1


class Host(Protocol):
    """Keeps sessions in slots: an engine, as admission sees it."""

    @property
    def free_slots(self) -> int:
        """Return how many more sessions there is a slot for."""
        ...

    def leave(self, session: Session) -> None:
        """Close a session and free its slot."""
        ...


@dataclass(eq=False)
class Seat:
    """What a session holds of its device: `rows` a second of `share`."""

    session: Session
    share: Share
    rows: float


@dataclass(frozen=True)
class Figures:
    """One model's share of a device at one moment, for metrics and clients.

    Attributes:
        model: its name.
        capacity: what is promised, where the figure is from and how old it is; None while it is not known.
        demand: network rows a second that the sessions of the model may ask for.
        load: demand ÷ capacity; 0 while the capacity is not known.
    """

    model: str
    capacity: m.CapacityInfo | None
    demand: float
    load: float


class Admission:
    """Shares one device among the sessions of all its engines."""

    def __init__(self) -> None:
        """Begin without any engine."""
        self._shares: list[Share] = []
        self._seats: dict[Session, Seat] = {}

    def open(self, model: str, host: Host, capacity: Capacity) -> Share:
        """Give an engine its share of the device."""
        share = Share(self, model, host, capacity)
        self._shares.append(share)
        return share

    def clear(self) -> None:
        """Forget all engines and their sessions, before others take their places."""
        self._shares, self._seats = [], {}

    @property
    def seats(self) -> Sequence[Seat]:
        """Return the seats of all sessions on the device; any thread may ask."""
        return list(self._seats.values())

    @property
    def num_sessions(self) -> int:
        """Return how many sessions all engines of the device have."""
        return len(self._seats)

    @property
    def load(self) -> float:
        """Return the sum of each share's demand ÷ capacity; 1 is full."""
        return sum(share.load for share in self._shares)

    def figures(self, now: float) -> list[Figures]:
        """Return each engine's figures; any thread may ask.

        Args:
            now: by the clock of `Capacity.measured_at`.
        """
        return [
            Figures(share.model, share.capacity.info(now), share.demand, share.load) for share in self._shares
        ]

    # --- for shares ---

    def add(self, seat: Seat) -> None:
        """Take note of a session that has come."""
        self._seats[seat.session] = seat

    def remove(self, session: Session) -> None:
        """Forget a session that has gone."""
        self._seats.pop(session, None)

    def seat_of(self, session: Session) -> Seat:
        """Return the seat of a session that is here."""
        return self._seats[session]


class Share:
    """One engine's part of a device.

    Attributes:
        admission: of the device.
        model: the name of the engine's model.
        capacity: how many rows a second the engine can promise while the others are idle.
        demand: rows a second that its sessions may ask for, those included that are paused or detached.
    """

    def __init__(self, admission: Admission, model: str, host: Host, capacity: Capacity) -> None:
        """Begin without sessions; see `Admission.open`."""
        self.model, self.capacity = model, capacity
        self.demand = 0.0
        self.admission, self._host = admission, host

    @property
    def load(self) -> float:
        """Return demand ÷ capacity; 0 while the capacity is not known."""
        return self.load_of(self.demand)

    def load_of(self, rows: float) -> float:
        """Return the part of the device that so many rows a second take."""
        promised = self.capacity.rows_per_second
        return rows / promised if promised else 0.0

    def demand_of(self, settings: m.Settings) -> float:
        """Return the network rows a second that a session of these settings may ask for.

        Its commands are in it: they have to do with the same turns as its steps, see `row_scheduler`.
        """
        return turns_hz(settings.steps_per_second, self.capacity.tick_rate_hz) * rows_per_step(settings)

    @property
    def rows_per_tick(self) -> float | None:
        """Return how many rows the engine may take in a tick; None while the capacity is not known.

        It is what the sessions of the other engines do not ask for; where all together ask for too much,
        each engine has its part of that.
        """
        promised, total = self.capacity.rows_per_second, self.admission.load
        if promised is None:
            return None
        part = max(1 - (total - self.load), self.load / total if total else 1.0)
        return promised * part / self.capacity.tick_rate_hz

    def reserve(self, session: Session) -> None:
        """Give a session its seat; `make_room` has found that there is one."""
        rows = self.demand_of(session.settings)
        self.demand += rows
        self.admission.add(Seat(session, self, rows))

    def release(self, session: Session) -> None:
        """Take back the seat of a session."""
        self.demand -= self.admission.seat_of(session).rows
        self.admission.remove(session)

    def change(self, session: Session, settings: m.Settings) -> None:
        """Let a session have other settings, whose demand counts from now on.

        Raises:
            InvalidValueError: they ask for more than is free; nothing has changed.
        """
        seat = self.admission.seat_of(session)
        rows = self.demand_of(settings)
        more = rows - seat.rows
        load = self.admission.load + self.load_of(more)
        if more > 0 and load > 1 + ROUNDING and self.admission.num_sessions > 1:
            free = max(0.0, 1 - self.admission.load) * (self.capacity.rows_per_second or 0.0)
            raise InvalidValueError(
                "settings",
                f"{more:g} more network rows a second",
                f"the {free:.0f} that are free",
                "the server is full; try a lower speed, or guidance 1",
            )
        self.demand += more
        seat.rows = rows

    def make_room(self, settings: m.Settings) -> None:
        """See that a session of these settings can be seated; sessions that wait for a client give way.

        Raises:
            ServerFullError: there is no room; nobody has given way.
        """
        needed = self.demand_of(settings)
        leaving: list[Seat] = []
        while not self._fits(needed, leaving):
            seat = next((seat for seat in self.admission.seats if self._may_leave(seat, leaving)), None)
            if seat is None:
                raise ServerFullError(
                    f"the server is full: it serves {self.admission.num_sessions} sessions; try again later"
                )
            leaving.append(seat)
        for seat in leaving:
            seat.share._host.leave(seat.session)

    def _fits(self, needed: float, leaving: Sequence[Seat]) -> bool:
        """Tell whether a newcomer fits once those who leave have left."""
        if not self._has_slot(leaving):
            return False
        if len(leaving) == self.admission.num_sessions:
            return True
        load = self.admission.load - sum(seat.share.load_of(seat.rows) for seat in leaving)
        return load + self.load_of(needed) <= 1 + ROUNDING

    def _has_slot(self, leaving: Sequence[Seat]) -> bool:
        return self._host.free_slots + sum(seat.share is self for seat in leaving) > 0

    def _may_leave(self, seat: Seat, leaving: Sequence[Seat]) -> bool:
        helps = seat.share is self or self._has_slot(leaving)
        return helps and seat.session.detached and seat not in leaving
