"""What clients ask of their sessions: the commands that wait, and what each of them does."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.arrays import on_host
from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from inference_server.engine.command_budget import CommandBudget
from inference_server.engine.controls import Controls
from inference_server.engine.pending import Pending, PendingCommands, Skip
from inference_server.engine.session import Event, Session
from inference_server.engine.session_setup import SessionSetup
from inference_server.engine.slots import InjectionRows, SlotState
from inference_server.engine.snapshot_schedule import SnapshotSchedule

INJECTIONS_PER_TICK = 9  # of one session at most, however much of the budget is left (540 a second)
JUMP_TOLERANCE = 0.5  # time steps by which a kept state may miss the one that was asked for


@dataclass(frozen=True)
class Applied:
    """What has come of a tick's commands.

    Attributes:
        answers: what clients must be told.
        kinds: of the commands that were applied.
        rejected: the kinds of those that were not.
        discs: by slot, to which pixels the session's step of this tick is confined.
        held: slots that do not step in this tick, since a command for this step still waits.
    """

    answers: list[Event] = field(default_factory=list)
    kinds: list[type] = field(default_factory=list)
    rejected: list[type] = field(default_factory=list)
    discs: dict[int, m.Disc] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)


@dataclass
class _Tick:
    """How far a tick has come: what is left of its budget, who may step, and what has been done for whom.

    `touched` are the slots of which a command was taken, `injections` how many were applied, by slot.
    """

    left_us: float
    may_step: NDArray[np.bool_]
    touched: set[int] = field(default_factory=set)
    injections: Counter[int] = field(default_factory=Counter)

    def capped(self, session: Session) -> bool:
        """Whether the session has had all injections that one tick may bring."""
        return self.injections[session.slot] >= INJECTIONS_PER_TICK


class Commands:
    """Applies the sessions' commands, each session's in order.

    Args:
        state, controls: of all slots.
        setup: for what begins a picture again or changes settings.
        snapshot_schedule: is told who comes to rest.
        allow: takes note of a session's new settings; raises `InvalidValueError` where they ask for more
            than there is.
        budget: what the commands of a tick may cost.
    """

    def __init__(
        self,
        state: SlotState,
        controls: Controls,
        setup: SessionSetup,
        snapshot_schedule: SnapshotSchedule,
        allow: Callable[[Session, m.Settings], None],
        budget: CommandBudget,
    ) -> None:
        """Begin without commands."""
        self._state, self._controls, self._setup = state, controls, setup
        self._snapshot_schedule, self._allow, self._budget = snapshot_schedule, allow, budget
        self._waiting: dict[int, Session] = {}  # sessions with pending commands, by slot, in turn
        self._applied: dict[int, list[m.Applied]] = {}  # what the next frame of a slot lists

    # --- the queue ---

    def submit(self, session: Session, pending: Pending) -> None:
        """Queue a command; it is applied in a later tick, in order."""
        session.pending.put(pending)
        self.notice(session)

    def notice(self, session: Session) -> None:
        """Look at a session's pending commands from now on."""
        self._waiting.setdefault(session.slot, session)

    def forget(self, session: Session) -> None:
        """Drop what waits of this session, and what it was to be told."""
        session.pending.close()
        session.pending = PendingCommands()
        self._waiting.pop(session.slot, None)
        self._applied.pop(session.slot, None)

    def recall(self, session: Session) -> None:
        """List in the session's next frame all that it remembers to have applied."""
        self._applied[session.slot] = list(session.applied)

    def take_applied(self, slots: Iterable[int]) -> dict[int, list[m.Applied]]:
        """Return, by slot, the commands that the next frames of these slots are to list, each only once."""
        return {slot: self._applied.pop(slot) for slot in slots if slot in self._applied}

    @property
    def ready(self) -> bool:
        """Tell whether some command can be applied now."""
        return any(self._ready(session) for session in self._waiting.values())

    @property
    def ready_slots(self) -> list[int]:
        """Return the slots of the sessions that have a command that can be applied now."""
        return [slot for slot, session in self._waiting.items() if self._ready(session)]

    def _ready(self, session: Session) -> bool:
        """Whether the session's next command can be applied now."""
        first = session.pending.first
        if first is None:
            return False
        return first.at_step is None or first.at_step <= self._controls.step[session.slot]

    # --- their turn ---

    def apply(self, may_step: NDArray[np.bool_]) -> Applied:
        """Apply what has arrived, as far as the tick's budget goes.

        Sessions take turns: in a round each of them has one command at most, and who has had none when the
        budget is spent comes first in the next tick. The injections of a round are applied together.

        Args:
            may_step: (S,) bool, which slots may take a step in this tick; a `Step` of the others waits.
        """
        done = Applied()
        tick = _Tick(self._budget.microseconds, may_step)
        ends = self._budget.clock() + 1e-6 * self._budget.microseconds
        turns = deque(session for session in self._waiting.values() if self._ready(session))
        served: list[Session] = []  # who has nothing more for this tick
        while turns and tick.left_us > 0:
            injections: list[tuple[Session, m.Inject]] = []
            for _ in range(len(turns)):
                if tick.left_us <= 0 or (tick.touched and self._budget.clock() > ends):
                    break
                session = turns.popleft()
                more = self._turn(session, done, tick, injections)
                (turns if more else served).append(session)
            if injections:
                self._inject(injections)
            if self._budget.clock() > ends:
                break
        if tick.touched:
            slots = np.array(sorted(tick.touched))
            self._setup.update_ended(slots)
            self._controls.dirty[slots] = True
            self._controls.uniform[slots] = False
        for session in (*turns, *served):  # behind those who wait for a step, whose turn comes when it does
            del self._waiting[session.slot]
            if session.pending.first is not None:
                self._waiting[session.slot] = session
        done.held.extend(session.slot for session in turns if self._is_due(session))
        done.held.extend(session.slot for session in served if tick.capped(session) and self._is_due(session))
        return done

    def _is_due(self, session: Session) -> bool:
        """Whether the session's next command is meant for the step that comes now."""
        first = session.pending.first
        return first is not None and first.at_step == self._controls.step[session.slot]

    def _turn(
        self, session: Session, done: Applied, tick: _Tick, injections: list[tuple[Session, m.Inject]]
    ) -> bool:
        """Take a session's next command; say whether another one of it can follow in this tick."""
        slot, first = session.slot, session.pending.first
        assert first is not None  # it was ready
        if isinstance(first.command, m.Step) and not tick.may_step[slot]:
            return False
        pending = session.pending.take()
        command = pending.command
        tick.touched.add(slot)  # also for a rejection: its frame is what the client acknowledges
        tick.left_us -= self._budget.cost_us(
            command, first_injection=isinstance(command, m.Inject) and not injections
        )
        self._controls.applied[slot] = pending.sequence
        if isinstance(command, Skip):
            return self._ready(session)
        step = int(self._controls.step[slot])
        try:
            if pending.at_step is not None and pending.at_step < step:
                raise InvalidValueError("at_step", pending.at_step, f"{step} and later")
            if isinstance(command, m.Inject):
                injections.append((session, command))
                tick.injections[slot] += 1
            else:
                self._apply(session, command, done)
        except InvalidValueError as error:
            done.answers.append(rejection(session, pending.sequence, error))
            done.rejected.append(type(command))
            return self._ready(session)
        done.kinds.append(type(command))
        self._has_been_applied(session, m.Applied(pending.sequence, step))
        if isinstance(command, m.Step):
            return False  # what follows has to wait until the step is taken
        return not tick.capped(session) and self._ready(session)

    def _has_been_applied(self, session: Session, applied: m.Applied) -> None:
        session.applied.append(applied)
        self._applied.setdefault(session.slot, []).append(applied)

    def _apply(self, session: Session, command: m.Command, done: Applied) -> None:
        c, slot, setup = self._controls, session.slot, self._setup
        match command:
            case m.Play(direction):
                c.play(slot, direction)
            case m.Pause():
                c.rest(slot)
                self._snapshot_schedule.bring_to_rest(slot)
            case m.Step(direction, disc):
                c.play(slot, direction, single_step=True)
                self._snapshot_schedule.bring_to_rest(slot)
                setup.update_ended(np.array([slot]))
                if c.ended[slot]:
                    c.rest(slot)
                elif disc is not None:
                    done.discs[slot] = disc
            case m.Restart(seed, origin):
                if origin is not None:
                    setup.check_origin("restart.origin", origin, session.settings)
                    session.origin = origin
                session.seed = session.seed if seed is None else seed
                c.play(slot, m.Motion.REVERSE)
                setup.begin(session)
            case m.Back():
                step, first = int(c.step[slot]), int(c.first_kept[slot])
                if step <= first:
                    raise InvalidValueError("back", f"from step {step}", f"steps above {first}")
                self._return_to(session, step - 1)
            case m.Jump(step, time_step):
                if step is not None:
                    m.check_range("jump.step", step, int(c.first_kept[slot]), int(c.step[slot]))
                    self._return_to(session, step)
                elif time_step is not None:
                    self._jump_in_time(session, time_step)
            case m.Configure(change):
                before = session.settings
                after = setup.checked_settings(change, before)
                self._allow(session, after)
                session.settings = after
                setup.store_settings(session)
                if (after.schedule, after.num_time_steps) != (before.schedule, before.num_time_steps):
                    setup.set_schedule(session)
                    done.answers.append(Event(session, announced(after.schedule, after.num_time_steps)))

    def _rest(self, slot: int) -> None:
        self._controls.rest(slot)
        self._controls.phase[slot] = 0
        self._snapshot_schedule.bring_to_rest(slot)

    def _return_to(self, session: Session, step: int) -> None:
        c, slot = self._controls, session.slot
        if step != c.step[slot]:
            self._state.return_to(slot, step)
            top = float(self._state.levels[slot, session.settings.num_time_steps])
            self._state.limit_levels(slot, top)  # the schedule may be another one now
        c.step[slot] = step
        self._rest(slot)

    def _jump_in_time(self, session: Session, time_step: float) -> None:
        c, slot, settings = self._controls, session.slot, session.settings
        m.check_range("jump.time_step", time_step, 0, settings.num_time_steps)
        now = float(on_host(self._state.time_steps(self._state.array([slot], np.int64))).max())
        schedule = make_schedule(settings.schedule.key, settings.num_time_steps)
        if time_step >= now:
            level = float(schedule.level_of_time_step(time_step))
            self._state.noise_up_to(slot, level, session.seed, session.injections)
            session.injections += 1
            self._rest(slot)
            return
        steps = np.arange(c.first_kept[slot], c.step[slot])
        levels = c.kept_level[slot, steps % c.kept_level.shape[1]]
        distance = np.abs(schedule.time_step_of_level(levels) - time_step)
        if not len(steps) or distance.min() > JUMP_TOLERANCE:
            limit = f"{now:g}…{settings.num_time_steps}, and the time steps of kept states"
            raise InvalidValueError("jump.time_step", f"{time_step:g}", limit, "denoise to get there")
        self._return_to(session, int(steps[::-1][distance[::-1].argmin()]))

    def _inject(self, injections: list[tuple[Session, m.Inject]]) -> None:
        columns: dict[str, list[float]] = defaultdict(list)
        for session, inject in injections:
            disc = inject.disc or m.Disc(0.5, 0.5, 1.0)
            columns["slots"].append(session.slot)
            columns["seeds"].append(session.seed)
            columns["numbers"].append(session.injections)
            columns["center_x"].append(disc.x)
            columns["center_y"].append(disc.y)
            columns["radius"].append(disc.radius if inject.disc else float("inf"))
            columns["amount"].append(inject.amount)
            columns["kinds"].append(inject.kind)
            columns["rules"].append(inject.rule)
            session.injections += 1
        integers = ("slots", "seeds", "numbers", "kinds", "rules")
        arrays = {
            name: self._state.array(values, np.int64 if name in integers else np.float32)
            for name, values in columns.items()
        }
        self._state.inject(InjectionRows(**arrays))


@lru_cache(maxsize=64)
def announced(name: m.ScheduleName, num_time_steps: int) -> m.Schedule:
    """Return a schedule as clients are told of it, one object for all who have the same."""
    return m.Schedule(name, make_schedule(name.key, num_time_steps).alphas_cumprod)


def rejection(session: Session, sequence: int, error: InvalidValueError) -> Event:
    """Return the answer to a command with a bad value."""
    return Event(session, m.Rejected(sequence, error.field, error.value, error.limit, str(error)))
