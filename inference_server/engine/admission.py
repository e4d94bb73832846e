"""Who is served: what a device can promise, what its sessions ask for, and who gives way to whom.

Capacity and demand are in network rows a second. One `Admission` belongs to a device; each engine on it
has a `Share`. The device's load is the sum of each share's demand ÷ capacity, and what would lift it
above 1 is refused; somebody alone is served however slow the machine is.

Where there is no room, a session gives way to a newcomer: first one whose client is gone, then one that has
been at rest for `REST_S`, each to a client of its own address or of one that holds less than its own. And
whoever's address holds much gives way, playing or not, as long as it then still holds as much as the
newcomer's: so one address has at most a fair share while others wait, and all of it while nobody does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Protocol

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.capacity import Capacity
from inference_server.engine.errors import ServerFullError
from inference_server.engine.row_scheduler import turns_hz
from inference_server.engine.session import Session
from inference_server.peers import network_of

REST_S = 60.0  # a session without a frame for so long gives way to one that is to play
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

    def rest_s(self, session: Session) -> float:
        """Return for how long a session has had no frame, seconds."""
        ...

    def displace(self, session: Session) -> None:
        """Close a session, free its slot, and tell its client how it can go on later."""
        ...


@dataclass(eq=False)
class Seat:
    """What a session holds of its device: `rows` a second of `share`."""

    session: Session
    share: Share
    rows: float

    @property
    def rest_s(self) -> float:
        """Return for how long the session has had no frame, seconds."""
        return self.share.host.rest_s(self.session)


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
        self._shares = [*self._shares, share]  # another thread may be reading the present list
        return share

    def close(self, share: Share) -> None:
        """Forget an engine that has no sessions and will get none."""
        self._shares = [one for one in self._shares if one is not share]

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

    def remove(self, session: Session) -> Seat | None:
        """Forget a session that has gone, and return its seat; None where all was forgotten before."""
        return self._seats.pop(session, None)

    def seat_of(self, session: Session) -> Seat:
        """Return the seat of a session that is here."""
        return self._seats[session]


class Share:
    """One engine's part of a device.

    Attributes:
        admission: of the device.
        host: the engine.
        model: the name of the engine's model.
        capacity: how many rows a second the engine can promise while the others are idle.
        demand: rows a second that its sessions may ask for, those included that are paused or detached.
    """

    def __init__(self, admission: Admission, model: str, host: Host, capacity: Capacity) -> None:
        """Begin without sessions; see `Admission.open`."""
        self.model, self.capacity = model, capacity
        self.demand = 0.0
        self.admission, self.host = admission, host

    def close(self) -> None:
        """Give the share back: the engine has no sessions and will get none."""
        self.admission.close(self)

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
        rows, total = self.capacity.rows_per_tick, self.admission.load
        if rows is None:
            return None
        part = max(1 - (total - self.load), self.load / total if total else 1.0)
        return rows * part

    def reserve(self, session: Session) -> None:
        """Give a session its seat; `make_room` has found that there is one."""
        rows = self.demand_of(session.settings)
        self.demand += rows
        self.admission.add(Seat(session, self, rows))

    def release(self, session: Session) -> None:
        """Take back the seat of a session."""
        if (
            seat := self.admission.remove(session)
        ) is not None:  # else its engine had failed, and is replaced
            self.demand -= seat.rows

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

    def make_room(self, settings: m.Settings, peer: str = "", *, to_play: bool = True) -> None:
        """See that a session of these settings can be seated; others give way where they have to.

        Args:
            settings: the newcomer's.
            peer: the newcomer's address.
            to_play: the newcomer is not to rest; one that is takes no place of somebody who rests.

        Raises:
            ServerFullError: there is no room; nobody has given way.
        """
        needed = self.demand_of(settings)
        leaving: list[Seat] = []
        if self._fits(needed, leaving):
            return
        seats = self.admission.seats
        held: defaultdict[str, float] = defaultdict(float)
        for seat in seats:
            held[network_of(seat.session.peer)] += seat.rows
        while not self._fits(needed, leaving):
            candidates = [
                (rank, seat)
                for seat in seats
                if seat not in leaving
                and (seat.share is self or self._has_slot(leaving))
                and (rank := self._rank(seat, held, needed, peer, to_play=to_play)) is not None
            ]
            if not candidates:
                raise ServerFullError(
                    f"the server is full: it serves {self.admission.num_sessions} sessions; try again later"
                )
            _, seat = max(candidates, key=itemgetter(0))
            leaving.append(seat)
            held[network_of(seat.session.peer)] -= seat.rows
        for seat in leaving:
            seat.share.host.displace(seat.session)

    def _rank(
        self, seat: Seat, held: Mapping[str, float], needed: float, peer: str, *, to_play: bool
    ) -> tuple[int, float] | None:
        """Return how readily a seat is given to a newcomer, the greatest first; None where it is not.

        Args:
            seat: somebody's.
            held: rows a second that each address holds, IPv6 each network of 64 bits.
            needed: rows a second that the newcomer takes.
            peer: the newcomer's address.
            to_play: the newcomer is not to rest.
        """
        whose, newcomer = network_of(seat.session.peer), network_of(peer)
        theirs, own = held[whose], held[newcomer]
        if whose == newcomer or theirs > own:
            if seat.session.detached:
                return 2, seat.rest_s
            if to_play and seat.rest_s >= REST_S:
                return 1, seat.rest_s
        if whose != newcomer and theirs - seat.rows >= own + needed:
            return 0, theirs
        return None

    def _fits(self, needed: float, leaving: Sequence[Seat]) -> bool:
        """Tell whether a newcomer fits once those who leave have left."""
        if not self._has_slot(leaving):
            return False
        if len(leaving) == self.admission.num_sessions:
            return True
        load = self.admission.load - sum(seat.share.load_of(seat.rows) for seat in leaving)
        return load + self.load_of(needed) <= 1 + ROUNDING

    def _has_slot(self, leaving: Sequence[Seat]) -> bool:
        return self.host.free_slots + sum(seat.share is self for seat in leaving) > 0
