"""The engine: one model, all its sessions, one batched forward pass a tick.

`Engine` knows no thread, socket or clock. A tick applies the commands that have arrived, runs the
network once for all sessions that are due, publishes each `x_t` with the `x̂0` of *that* `x_t`,
and then steps.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.arrays import Array
from diffusion_toy.diffusion.sampling import network_rows, predict_v
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel
from diffusion_toy.predictors.base import Predictor
from inference_server.engine.admission import Admission
from inference_server.engine.capacity import Capacity
from inference_server.engine.command_budget import CommandBudget
from inference_server.engine.commands import Commands
from inference_server.engine.controls import Controls
from inference_server.engine.description import describe
from inference_server.engine.frames import TickResult, frames_of
from inference_server.engine.host_copy import to_host
from inference_server.engine.kernel import advance, split
from inference_server.engine.pending import Pending
from inference_server.engine.readings import Gauge, Readings
from inference_server.engine.row_scheduler import RowScheduler
from inference_server.engine.session import Displaced, Event, Session, SessionSnapshot
from inference_server.engine.session_setup import SessionSetup
from inference_server.engine.slots import SlotState
from inference_server.engine.snapshot_schedule import SnapshotSchedule
from inference_server.engine.snapshots import Snapshots
from inference_server.engine.tick_rows import confine_steps, rows_of

PHASE_MAX = (
    2.0  # steps that a session may be behind: what an overloaded engine has left out is not made up for
)


@dataclass(frozen=True)
class EngineConfig:
    """Say how an engine runs.

    Attributes:
        slots: how many sessions there is room for.
        tick_rate_hz: how often `tick` will be called; the fastest that a session can step.
        token_period_s: how often each session's snapshot is told; 0 for never.
        capacity: network rows a second that all sessions together may ask for; None to measure it.
    """

    slots: int = 32
    tick_rate_hz: float = 60.0
    token_period_s: float = 0.0
    capacity: float | None = None


class Engine:
    """Runs all sessions of one model.

    Args:
        model: what the file says of the network, and its examples.
        predictor: runs the network. The state lies where its arrays do: on a GPU in torch, else in NumPy.
        config: how it runs; None for the defaults.
        admission: of the device, shared with the other engines on it; None for a device of its own.
        clock: seconds; limits the commands of a tick, see `CommandBudget`.

    Attributes:
        share: the engine's part of the device.
        sessions: those that it has, by slot.
        info: what clients are told of the model.
    """

    def __init__(
        self,
        model: LoadedModel,
        predictor: Predictor,
        config: EngineConfig | None = None,
        admission: Admission | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begin without sessions."""
        config = config or EngineConfig()
        network = model.config
        device = predictor.device
        if device is not None and device.type == "cpu":
            device = None  # NumPy is the lighter one for small arrays
        self.model, self.predictor, self.device, self.config = model, predictor, device, config
        capacity = Capacity(config.capacity, config.tick_rate_hz, config.slots)
        self.share = (admission or Admission()).open(model.name, self, capacity)
        self.num_classes = network.num_classes
        self.shape = (network.channels, network.height, network.width)
        self.state = SlotState(config.slots, self.shape, device)
        calibration = model.metadata.residual_calibration
        self.gauge = Gauge(
            self.state.array(calibration, np.float32) if calibration else None, model.metadata.border_value
        )
        self.controls = Controls.for_slots(config.slots, self.state.kept_states)
        self._snapshot_schedule = SnapshotSchedule(config.slots, config.tick_rate_hz, config.token_period_s)
        self._snapshots = Snapshots(model, self.state, self.controls)
        self._scheduler = RowScheduler(config.slots, config.tick_rate_hz)
        self._setup = SessionSetup(model, self.state, self.controls, config.tick_rate_hz)
        self._commands = Commands(
            self.state,
            self.controls,
            self._setup,
            self._snapshot_schedule,
            self.share.change,
            CommandBudget(config.tick_rate_hz, self.shape, clock),
        )
        self.sessions: dict[int, Session] = {}  # by slot
        self._by_id: dict[str, Session] = {}
        self._free = list(range(config.slots))[::-1]
        self._ended: list[Session] = []
        self._events: list[Event] = []  # which the next tick tells
        self.info = describe(model, predictor)

    @property
    def tick_rate_hz(self) -> float:
        """Return how often a tick is due."""
        return self.config.tick_rate_hz

    @property
    def kept_states(self) -> int:
        """Return how many states a session keeps to return to."""
        return self.state.kept_states

    @property
    def free_slots(self) -> int:
        """Return how many more sessions there is a slot for."""
        return len(self._free)

    @property
    def num_watchers(self) -> int:
        """Return how many streams watch the sessions; any thread may ask."""
        return int(self.controls.watchers.sum())

    def info_at(self, now: float) -> m.ModelInfo:
        """Return what clients are told of the model, with its capacity at this `time.perf_counter()`."""
        return replace(self.info, capacity=self.share.capacity.info(now))

    def applied_of(self, session: Session) -> int:
        """Return the sequence up to which all commands of a session have been applied."""
        return int(self.controls.applied[session.slot])

    # --- joining and leaving ---

    def join(self, start: m.Start, sequence: int = 0, peer: str = "") -> Session:
        """Open a session.

        Args:
            start: how it begins.
            sequence: the start's.
            peer: the client's address.

        Raises:
            InvalidValueError: a setting that this model or server does not allow.
            ServerFullError: every slot or all capacity is taken.
        """
        settings = self._setup.checked_settings(
            start.settings, m.Settings(steps_per_second=self.tick_rate_hz)
        )
        self._setup.check_origin("start.origin", start.origin, settings)
        seed = secrets.randbits(32) if start.seed is None else start.seed
        self.share.make_room(settings, peer, to_play=start.motion != m.Motion.PAUSED)
        session = Session(self._free.pop(), seed, settings, start.origin, peer=peer)
        self._occupy(session, start.motion, sequence)
        self._setup.begin(session)
        return session

    def restore(self, snapshot: SessionSnapshot, branch_seed: int | None = None, peer: str = "") -> Session:
        """Open a session in the state of a snapshot: the same one, or with a seed a branch of it.

        One of a faster server goes on as fast as this one can.

        Args:
            snapshot: where it goes on.
            branch_seed: of the branch; None for the same session.
            peer: the client's address.

        Raises:
            NotHereError: it was made with another model.
            InvalidValueError: a state that this model cannot have.
            ServerFullError: every slot or all capacity is taken.
        """
        self._snapshots.check(snapshot)
        told = snapshot.settings
        told = replace(told, steps_per_second=min(told.steps_per_second, self.tick_rate_hz))
        settings = self._setup.checked_settings(m.SettingsChange(**vars(told)), m.Settings())
        origin = replace(snapshot.origin, time_step=None)  # which may be of an earlier schedule
        self._setup.check_origin("start.resume_token.origin", origin, settings)
        self.share.make_room(settings, peer, to_play=snapshot.motion != m.Motion.PAUSED)
        slot = self._free.pop()
        session = Session(
            slot, snapshot.seed, settings, snapshot.origin, injections=snapshot.injections, peer=peer
        )
        if branch_seed is None:
            session.id = snapshot.session_id
        else:
            session.seed = branch_seed
        self._occupy(session, snapshot.motion, snapshot.applied)
        try:
            self._snapshots.put_back(session, snapshot)
        except ValueError as error:
            self.leave(session)
            raise InvalidValueError("start.resume_token", str(error), "a state of this model") from error
        self._setup.update_ended(np.array([slot]))
        return session

    def _occupy(self, session: Session, motion: m.Motion, applied: int) -> None:
        slot, c = session.slot, self.controls
        self.sessions[slot] = self._by_id[session.id] = session
        self.share.reserve(session)
        c.frame_number[slot], c.applied[slot] = 0, applied
        c.phase[slot], c.watchers[slot] = 0, 0
        c.single_step[slot] = c.uniform[slot] = False
        c.motion[slot] = motion
        self._snapshot_schedule.begin(slot)
        self._scheduler.begin(slot)
        self._setup.set_schedule(session)
        self._setup.store_settings(session)
        c.active[slot] = True

    def leave(self, session: Session) -> None:
        """Close a session and free its slot; do nothing if that has been done."""
        if self.sessions.get(session.slot) is session:
            del self.sessions[session.slot]
            del self._by_id[session.id]
            self.share.release(session)
            self._commands.forget(session)
            self.controls.active[session.slot] = False
            self.controls.watchers[session.slot] = 0
            self.state.state[session.slot] = 0  # nothing of it is for the next
            self._free.append(session.slot)
            self._ended.append(session)

    def displace(self, session: Session) -> None:
        """Close a session that gives way to another; its client is told where it can go on."""
        if not session.detached:
            self._events.append(Event(session, Displaced(self.snapshots([session])[0])))
        session.displaced = True
        self.leave(session)

    def rest_s(self, session: Session) -> float:
        """Return for how long a session has had no frame, seconds."""
        return self._scheduler.ticks_since_turn(session.slot) / self.tick_rate_hz

    def detach(self, session: Session) -> bool:
        """Let a session wait for its client, where it is; return False if it has ended already."""
        if self.sessions.get(session.slot) is not session:
            return False
        session.detached = True
        session.detachments += 1
        self._commands.forget(session)  # the client sends again what has not been applied
        self.controls.active[session.slot] = False
        return True

    def reattach(self, session: Session, peer: str = "") -> None:
        """Go on with a session for a client at this address that has come (back)."""
        session.detached, session.peer = False, peer
        self._commands.forget(session)
        self._commands.recall(session)  # what was in frames that this client may not have got
        self._snapshot_schedule.again(session.slot)
        c = self.controls
        if not c.watchers[session.slot]:  # who acknowledge by the numbers that they have seen
            c.frame_number[session.slot] = 0
        c.active[session.slot] = c.dirty[session.slot] = True

    def add_watchers(self, session: Session, number: int) -> None:
        """Take note that so many more (or fewer) streams watch this session."""
        if self.sessions.get(session.slot) is session:
            self.controls.watchers[session.slot] += number
            self.controls.dirty[session.slot] = True

    def find(self, session_id: str) -> Session | None:
        """Return the session of this name, None if it is not here."""
        return self._by_id.get(session_id)

    def snapshots(self, sessions: Sequence[Session]) -> list[SessionSnapshot]:
        """Return what these sessions need to go on elsewhere, as they are now."""
        return self._snapshots.of(sessions)

    def submit(self, session: Session, pending: Pending) -> None:
        """Queue a command; it is applied in a later tick, in order."""
        if self.sessions.get(session.slot) is session and not session.detached:
            self._commands.submit(session, pending)

    def notice(self, session: Session) -> None:
        """Apply what has been put into the session's queue, in later ticks."""
        if self.sessions.get(session.slot) is session and not session.detached:
            self._commands.notice(session)

    def check(self, command: m.Command) -> None:
        """Refuse a command that this model or server can never apply; any thread may ask.

        Raises:
            InvalidValueError: naming the field.
        """
        self._setup.check_command(command)

    # --- the tick ---

    @property
    def idle(self) -> bool:
        """Tell whether nothing will happen until a join or a command."""
        c = self.controls
        changed = (c.active & c.dirty).any()
        untold = self._snapshot_schedule.untold(c.active, c.frame_number).any()
        return not (self._ended or c.stepping.any() or changed or untold or self._commands.ready)

    def skip_ticks(self, ticks: int) -> None:
        """Take note that so many ticks were not made, because the engine was idle."""
        self._snapshot_schedule.advance(ticks)
        self._scheduler.advance(ticks, self.controls.steps_per_tick)

    def tick(self) -> TickResult:
        """Apply commands, forward, publish, step. Takes one batch through the network at most."""
        self._snapshot_schedule.advance(1)
        self._scheduler.advance(1, self.controls.steps_per_tick)
        ended, self._ended = self._ended, []
        events, self._events = self._events + self._tokens(), []
        turns = self._turns()
        applied = self._commands.apply(turns)
        events += applied.answers
        c = self.controls
        stepping = c.stepping
        stepping[applied.held] = False
        c.phase[stepping] += np.where(c.single_step[stepping], 1.0, c.steps_per_tick[stepping])
        np.minimum(c.phase, PHASE_MAX, out=c.phase)
        stepping &= turns & (c.phase >= 1 - 1e-9)
        due = np.flatnonzero(c.active & turns & (c.dirty | stepping))
        if not len(due):
            return TickResult(None, events, applied=applied.kinds, ended=ended, rejected=applied.rejected)
        c.phase[stepping] = np.maximum(c.phase[stepping] - 1, 0)
        steps = stepping[due]
        slots = self.state.array(due)
        rows = rows_of(self.state, c, due, steps, applied.discs)
        began = time.perf_counter()
        v, taken = self.predict_v(rows.state, c.label[due], c.guidance[due])
        forward_s = time.perf_counter() - began
        self._scheduler.charge(due, taken)
        advanced = advance(
            rows, v, self.gauge,
            any_noising=bool((c.motion[due] == m.Motion.FORWARD).any()),
            any_multistep=bool(c.multistep[due].any()),
            uniform=bool(c.uniform[due].all()),
        )  # fmt: skip
        pixels, *columns, at_end, finite = to_host(
            advanced.pixels, *advanced.readings, advanced.at_end, advanced.finite
        )
        readings = Readings(*columns)
        c.frame_number[due] += 1
        frames = frames_of(
            [self.sessions[slot] for slot in due.tolist()], c, due, steps, pixels, readings,
            self._commands.take_applied(due.tolist()), self.shape, self.share.admission.num_sessions,
        )  # fmt: skip
        c.dirty[due] = False
        c.uniform[due] = readings.even
        moving = due[steps]
        if len(moving):
            index = slots if len(moving) == len(due) else self.state.array(moving)
            self.state.keep(index, self.state.array(c.step[moving]), rows)
            self.state.store(index, rows, advanced)
            c.count_steps(moving, at_end[steps], readings.nominal_max[steps])
        if applied.discs:
            confined = confine_steps(self.state, due, rows, applied.discs)
            self._setup.update_ended(confined)
            c.uniform[confined] = False
        broken = int((~finite).sum())
        return TickResult(frames, events, taken, forward_s, applied.kinds, broken, ended, applied.rejected)

    def _turns(self) -> NDArray[np.bool_]:
        """Return whose rows the network takes in this tick: (S,) bool, of those who may want any."""
        c = self.controls
        wanting = c.dirty | (c.stepping & (c.phase + c.steps_per_tick >= 1 - 1e-9))
        wanting[self._commands.ready_slots] = True
        return self._scheduler.choose(c.active & wanting, c.rows_per_turn, self.share.rows_per_tick)

    def predict_v(
        self, state: Array, labels: NDArray[np.int64], guidance: NDArray[np.float32]
    ) -> tuple[Array, int]:
        """Return the velocity of each row, guided, (R, C, H, W), and how many rows the network took."""
        planes, null = split(state), self.num_classes
        told = np.where(labels == m.NO_LABEL, null, labels)
        v = predict_v(self.predictor, planes.x, planes.u, self.state.array(told), null, guidance)
        return v, network_rows(told, null, guidance)

    def _tokens(self) -> list[Event]:
        """Return snapshots of the sessions whose turn it is, as the tick before has left them."""
        c = self.controls
        chosen = self._snapshot_schedule.take(
            c.active, (c.motion == m.Motion.PAUSED) & ~c.dirty, c.frame_number
        )
        sessions = [self.sessions[slot] for slot in chosen.tolist()]
        return [Event(s, token) for s, token in zip(sessions, self.snapshots(sessions), strict=True)]
