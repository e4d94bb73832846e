"""The engine: one model, all its sessions, one batched forward pass a tick.

`Engine` knows no thread, socket or clock. A tick applies the commands that have arrived, runs the
network once for all sessions that are due, publishes each `x_t` with the `x̂0` of *that* `x_t`,
and then steps.
"""

from __future__ import annotations

import importlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.arrays import Array, is_torch, on_host
from diffusion_toy.diffusion.sampling import network_rows, predict_v
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel
from diffusion_toy.predictors.base import Predictor
from inference_server.engine.capacity import Capacity
from inference_server.engine.commands import Commands
from inference_server.engine.controls import Controls
from inference_server.engine.frames import FrameBatch
from inference_server.engine.kernel import Rows, advance, split
from inference_server.engine.readings import Gauge, Readings
from inference_server.engine.session import Event, Pending, Session, SessionSnapshot
from inference_server.engine.session_setup import SessionSetup
from inference_server.engine.slots import SlotState
from inference_server.engine.snapshot_schedule import SnapshotSchedule


class ServerFullError(DiffusionToyError):
    """No slot is free, or no more is promised to those who are here."""


class NotHereError(DiffusionToyError):
    """There is no such session."""


@dataclass(frozen=True, eq=False)
class TickResult:
    """What a tick has to tell: the frames of the sessions that were due, and events.

    `rows` went through the network in `forward_s` seconds; `applied` are the kinds of commands that
    were applied; `broken` counts the rows whose next state was not finite and was not taken over;
    `ended` are the sessions that have gone since the tick before.
    """

    frames: FrameBatch | None
    events: list[Event] = field(default_factory=list)
    rows: int = 0
    forward_s: float = 0.0
    applied: Sequence[type] = ()
    broken: int = 0
    ended: Sequence[Session] = ()


@dataclass(frozen=True)
class EngineConfig:
    """How an engine runs.

    Attributes:
        slots: sessions at most.
        tick_rate_hz: how often `tick` will be called; the fastest that a session can step.
        token_period_s: how often each session's snapshot is told; 0: never.
        capacity: rows a second that all sessions together may ask for, None for no limit.
    """

    slots: int = 32
    tick_rate_hz: float = 60.0
    token_period_s: float = 0.0
    capacity: float | None = None


class Engine:
    """All sessions of one model.

    Args:
        model: what the file says of the network, and its examples.
        predictor: runs the network. The state lies where its arrays do: on a GPU in torch, else in NumPy.
        config: how.
    """

    def __init__(self, model: LoadedModel, predictor: Predictor, config: EngineConfig | None = None) -> None:
        config = config or EngineConfig()
        network = model.config
        device = predictor.device
        if device is not None and device.type == "cpu":
            device = None  # NumPy is the lighter one for small arrays
        self.model, self.predictor, self.device, self.config = model, predictor, device, config
        self.capacity = Capacity(config.capacity, config.tick_rate_hz, config.slots)
        self.num_classes = network.num_classes
        self.shape = (network.channels, network.height, network.width)
        self.state = SlotState(config.slots, self.shape, device)
        calibration = model.metadata.residual_calibration
        self.gauge = Gauge(
            self.state.array(calibration, np.float32) if calibration else None, model.metadata.border_value
        )
        self.controls = Controls.for_slots(config.slots, self.state.kept_states)
        self._snapshot_schedule = SnapshotSchedule(config.slots, config.tick_rate_hz, config.token_period_s)
        self._setup = SessionSetup(model, self.state, self.controls, config.tick_rate_hz)
        self._commands = Commands(
            self.state, self.controls, self._setup, self._snapshot_schedule, self._check_capacity
        )
        self.sessions: dict[int, Session] = {}  # by slot
        self._by_id: dict[str, Session] = {}
        self._free = list(range(config.slots))[::-1]
        self._ended: list[Session] = []
        self.neighbours: Sequence[Engine] = ()  # other engines on the same device, who share its capacity
        self.info = m.ModelInfo(
            name=model.name,
            fingerprint=model.fingerprint,
            channels=network.channels,
            height=network.height,
            width=network.width,
            label_names=model.metadata.label_names,
            dataset=model.metadata.dataset,
            border_value=model.metadata.border_value,
            has_examples=model.examples is not None,
            predictor=predictor.description,
        )

    @property
    def tick_rate_hz(self) -> float:
        """How often a tick is due."""
        return self.config.tick_rate_hz

    @property
    def kept_states(self) -> int:
        """How many states a session keeps to return to."""
        return self.state.kept_states

    @property
    def demand(self) -> float:
        """Rows a second that the sessions ask for at most, those included that rest or wait."""
        c = self.controls
        slots = np.array(list(self.sessions), np.int64)  # at once: other threads ask as well
        guided = (c.label[slots] != m.NO_LABEL) & (c.guidance[slots] != 0) & (c.guidance[slots] != 1)
        return float((c.steps_per_tick[slots] * (1 + guided)).sum() * self.tick_rate_hz)

    @property
    def load(self) -> float:
        """Return the demand as a share of the capacity; 0 while that is not known."""
        promised = self.capacity.rows_per_second
        return self.demand / promised if promised else 0.0

    @property
    def device_demand(self) -> float:
        """The same, of everybody on the device."""
        return self.demand + sum(engine.demand for engine in self.neighbours)

    def _check_capacity(self, before: m.Settings, after: m.Settings) -> None:
        more = demand_of(after) - demand_of(before)
        alone = self.device_demand == demand_of(before)
        promised = self.capacity.rows_per_second
        if more > 0 and not alone and promised is not None:
            free = promised - self.device_demand
            if more > free:
                raise InvalidValueError(
                    "settings",
                    f"{more:g} more network rows a second",
                    f"the {max(free, 0):.0f} that are free",
                    "the server is full; try a lower speed, or guidance 1",
                )

    # --- joining and leaving ---

    def join(self, start: m.Start, sequence: int = 0) -> Session:
        """Open a session; `sequence` is that of its start.

        Raises:
            InvalidValueError: a setting that this model or server does not allow.
            ServerFullError: every slot or all capacity is taken.
        """
        settings = self._setup.checked_settings(
            start.settings, m.Settings(steps_per_second=self.tick_rate_hz)
        )
        self._setup.check_origin("start.origin", start.origin, settings)
        seed = secrets.randbits(32) if start.seed is None else start.seed
        session = Session(self._seat(settings), seed, settings, start.origin)
        self._occupy(session, start.motion, sequence)
        self._setup.begin(session)
        return session

    def restore(self, snapshot: SessionSnapshot, branch_seed: int | None = None) -> Session:
        """Open a session in the state of a snapshot: the same one, or with a seed a branch of it.

        Raises:
            NotHereError: it was made with another model.
            InvalidValueError: a state that this model cannot have.
            ServerFullError: every slot or all capacity is taken.
        """
        if snapshot.fingerprint != self.model.fingerprint:
            raise NotHereError(
                f"the session was made with the model {snapshot.model} ({snapshot.fingerprint}), "
                f"and this server's is {self.model.fingerprint}; begin a new one"
            )
        settings = self._setup.checked_settings(m.SettingsChange(**vars(snapshot.settings)), m.Settings())
        origin = replace(snapshot.origin, time_step=None)  # which may be of an earlier schedule
        self._setup.check_origin("start.resume_token.origin", origin, settings)
        slot = self._seat(settings)
        session = Session(slot, snapshot.seed, settings, snapshot.origin, injections=snapshot.injections)
        if branch_seed is None:
            session.id = snapshot.session_id
        else:
            session.seed = branch_seed
        self._occupy(session, snapshot.motion, snapshot.applied)
        try:
            self.state.unpack(slot, snapshot.state)
        except ValueError as error:
            self.leave(session)
            raise InvalidValueError("start.resume_token", str(error), "a state of this model") from error
        c = self.controls
        c.seed[slot], c.step[slot], c.phase[slot] = session.seed, snapshot.step, snapshot.phase
        c.first_kept[slot] = snapshot.step
        self._setup.update_ended(np.array([slot]))
        c.dirty[slot] = True
        return session

    def _seat(self, settings: m.Settings) -> int:
        """A free slot for a session of these settings; one that nobody holds any more if need be."""
        needed, promised = demand_of(settings), self.capacity.rows_per_second
        while not self._free or (promised is not None and 0 < self.device_demand > promised - needed):
            abandoned = next((s for s in self.sessions.values() if s.detached), None)
            if abandoned is None:
                raise ServerFullError(
                    f"the server is full: it serves {len(self.sessions)} sessions; try again later"
                )
            self.leave(abandoned)
        return self._free.pop()

    def _occupy(self, session: Session, motion: m.Motion, applied: int) -> None:
        slot, c = session.slot, self.controls
        self.sessions[slot] = self._by_id[session.id] = session
        c.frame_number[slot], c.applied[slot] = 0, applied
        c.phase[slot], c.watchers[slot] = 0, 0
        c.single_step[slot] = c.uniform[slot] = False
        c.motion[slot] = motion
        self._snapshot_schedule.begin(slot)
        self._setup.set_schedule(session)
        self._setup.store_settings(session)
        c.active[slot] = True

    def leave(self, session: Session) -> None:
        """Close a session and free its slot; a second time does nothing."""
        if self.sessions.get(session.slot) is session:
            del self.sessions[session.slot]
            del self._by_id[session.id]
            self._commands.forget(session)
            self.controls.active[session.slot] = False
            self.state.state[session.slot] = 0  # nothing of it is for the next
            self._free.append(session.slot)
            self._ended.append(session)

    def detach(self, session: Session) -> bool:
        """Let a session wait for its client, where it is; False if it has ended already."""
        if self.sessions.get(session.slot) is not session:
            return False
        session.detached = True
        session.detachments += 1
        self._commands.forget(session)  # the client sends again what has not been applied
        self.controls.active[session.slot] = False
        return True

    def reattach(self, session: Session) -> None:
        """Go on with a session for a client that has come (back)."""
        session.detached = False
        self._commands.forget(session)
        self._commands.recall(session)  # what was in frames that this client may not have got
        self._snapshot_schedule.again(session.slot)
        c = self.controls
        if not c.watchers[session.slot]:  # who acknowledge by the numbers that they have seen
            c.frame_number[session.slot] = 0
        c.active[session.slot] = c.dirty[session.slot] = True

    def add_watchers(self, session: Session, number: int) -> None:
        """So many more (or fewer) watch this session."""
        if self.sessions.get(session.slot) is session:
            self.controls.watchers[session.slot] += number
            self.controls.dirty[session.slot] = True

    def find(self, session_id: str) -> Session | None:
        """The session of this name, None if it is not here."""
        return self._by_id.get(session_id)

    def snapshots(self, sessions: Sequence[Session]) -> list[SessionSnapshot]:
        """What these need to go on elsewhere, as they are now."""
        if not sessions:
            return []
        slots = self.state.array([session.slot for session in sessions], np.int64)
        packed = on_host(self.state.packed(slots))
        c = self.controls
        return [
            SessionSnapshot(
                session_id=session.id,
                model=self.model.name,
                fingerprint=self.model.fingerprint,
                seed=session.seed,
                step=int(c.step[session.slot]),
                injections=session.injections,
                applied=int(c.applied[session.slot]),
                motion=m.Motion(int(c.motion[session.slot])),
                phase=float(c.phase[session.slot]),
                settings=session.settings,
                origin=session.origin,
                state=state,
            )
            for session, state in zip(sessions, packed, strict=True)
        ]

    def submit(self, session: Session, pending: Pending) -> None:
        """Queue a command; it is applied in a later tick, in order."""
        if self.sessions.get(session.slot) is session and not session.detached:
            self._commands.submit(session, pending)

    # --- the tick ---

    @property
    def idle(self) -> bool:
        """Nothing will happen until a join or a command."""
        c = self.controls
        changed = (c.active & c.dirty).any()
        untold = self._snapshot_schedule.untold(c.active, c.frame_number).any()
        return not (self._ended or c.stepping.any() or changed or untold or self._commands.ready)

    def skip_ticks(self, ticks: int) -> None:
        """So many ticks were not made, because the engine was idle."""
        self._snapshot_schedule.advance(ticks)

    def tick(self) -> TickResult:
        """Apply commands, forward, publish, step. Takes one batch through the network at most."""
        self._snapshot_schedule.advance(1)
        ended, self._ended = self._ended, []
        events = self._tokens()
        applied = self._commands.apply()
        events += applied.answers
        c = self.controls
        stepping = c.stepping
        c.phase[stepping] += np.where(c.single_step[stepping], 1.0, c.steps_per_tick[stepping])
        stepping &= c.phase >= 1 - 1e-9
        due = np.flatnonzero(c.active & (c.dirty | stepping))
        if not len(due):
            return TickResult(None, events, applied=applied.kinds, ended=ended)
        c.phase[stepping] = np.maximum(c.phase[stepping] - 1, 0)
        steps = stepping[due]
        slots = self.state.array(due)
        rows = self._rows(due, slots, steps, applied.discs)
        began = time.perf_counter()
        v, taken = self.predict_v(rows.state, c.label[due], c.guidance[due])
        forward_s = time.perf_counter() - began
        advanced = advance(
            rows, v, self.gauge,
            any_noising=bool((c.motion[due] == m.Motion.FORWARD).any()),
            any_multistep=bool(c.multistep[due].any()),
            uniform=bool(c.uniform[due].all()),
        )  # fmt: skip
        pixels, *columns, at_end, finite = self._to_host(
            advanced.pixels, *advanced.readings, advanced.at_end, advanced.finite
        )
        readings = Readings(*columns)
        c.frame_number[due] += 1
        frames = self._frames(due, pixels, readings, steps)
        c.dirty[due] = False
        c.uniform[due] = readings.even
        moving = due[steps]
        if len(moving):
            index = slots if len(moving) == len(due) else self.state.array(moving)
            self.state.keep(index, self.state.array(c.step[moving]), rows)
            self.state.store(index, rows, advanced)
            self._count_steps(moving, at_end[steps], readings.time_step_max[steps])
        if applied.discs:
            self._confine_steps(due, rows, applied.discs)
        broken = int((~finite).sum())
        return TickResult(frames, events, taken, forward_s, applied.kinds, broken, ended)

    def _rows(
        self, due: NDArray[np.int64], slots: Array, steps: NDArray[np.bool_], discs: Mapping[int, m.Disc]
    ) -> Rows:
        c, state = self.controls, self.state
        multistep = c.multistep[due]
        if discs:
            multistep &= ~np.isin(due, list(discs))
        whole = state.array(np.stack([c.seed[due], c.step[due]]))
        parts = state.array(np.stack([c.stride[due], c.eta[due]]))
        flags = state.array(np.stack([c.motion[due] == m.Motion.FORWARD, multistep, steps]))
        return Rows(
            state=state.take(state.state, slots),
            earlier=state.take(state.earlier, slots),
            earlier_level=state.take(state.earlier_level, slots),
            table=state.take(state.levels, slots),
            last=state.take(state.num_time_steps, slots),
            seeds=whole[0],
            steps=whole[1],
            stride=parts[0],
            eta=parts[1],
            noising=flags[0],
            multistep=flags[1],
            stepping=flags[2],
        )

    def predict_v(
        self, state: Array, labels: NDArray[np.int64], guidance: NDArray[np.float32]
    ) -> tuple[Array, int]:
        """Return the velocity of each row, guided, (R, C, H, W), and how many rows the network took."""
        planes, null = split(state), self.num_classes
        told = np.where(labels == m.NO_LABEL, null, labels)
        v = predict_v(self.predictor, planes.x, planes.u, self.state.array(told), null, guidance)
        return v, network_rows(told, null, guidance)

    def _to_host(self, *arrays: Array) -> list[NDArray[Any]]:
        """Return copies for the host; from a CUDA device all at once, into pinned memory."""
        if not is_torch(arrays[0]):
            return list(arrays)
        torch = importlib.import_module("torch")
        # Fresh pinned blocks come from torch's cache: those of the tick before may still be being sent.
        copies = [torch.empty(array.shape, dtype=array.dtype, pin_memory=True) for array in arrays]
        for copied, array in zip(copies, arrays, strict=True):
            copied.copy_(array, non_blocking=True)
        torch.cuda.current_stream(self.device).synchronize()
        return [copied.numpy() for copied in copies]

    def _frames(
        self,
        due: NDArray[np.int64],
        pixels: NDArray[np.float16],
        readings: Readings,
        steps: NDArray[np.bool_],
    ) -> FrameBatch:
        c = self.controls
        applied = self._commands.take_applied()
        return FrameBatch(
            sessions=[self.sessions[slot] for slot in due.tolist()],
            settings=[self.sessions[slot].settings for slot in due.tolist()],
            seeds=c.seed[due],
            numbers=c.frame_number[due],
            steps=c.step[due],
            applied=c.applied[due],
            first_kept=np.minimum(c.first_kept[due], c.step[due]),
            watchers=c.watchers[due],
            motion=c.motion[due],
            idle=~steps & ~c.stepping[due],
            pixels=pixels,
            readings=readings,
            stepping=int(steps.sum()),
            shape=self.shape,
            num_sessions=len(self.sessions),
            applied_of_rows={int(np.searchsorted(due, slot)): tuple(one) for slot, one in applied.items()},
        )

    def _count_steps(
        self, slots: NDArray[np.int64], at_end: NDArray[np.bool_], largest_t: NDArray[np.float32]
    ) -> None:
        """Steps have been taken; `at_end` (R, 2) says who is clean, and who is at T."""
        c = self.controls
        c.kept_t[slots, c.step[slots] % self.kept_states] = largest_t
        c.step[slots] += 1
        c.first_kept[slots] = np.maximum(c.first_kept[slots], c.step[slots] - self.kept_states)
        forward = c.motion[slots] == m.Motion.FORWARD
        once = slots[c.single_step[slots]]
        c.motion[once], c.single_step[once] = m.Motion.PAUSED, False
        c.ended[slots] = np.where(forward, at_end[:, 1], at_end[:, 0])
        c.dirty[slots[c.ended[slots] | (c.motion[slots] == m.Motion.PAUSED)]] = True  # a last frame

    def _confine_steps(self, due: NDArray[np.int64], rows: Rows, discs: Mapping[int, m.Disc]) -> None:
        """All of some pictures has taken a step of which only a disc was meant."""
        slots = np.array(list(discs))
        places = [(disc.x, disc.y, disc.radius) for disc in discs.values()]
        x, y, radius = (self.state.array(values, np.float32) for values in zip(*places, strict=True))
        before = rows.state[self.state.array(np.searchsorted(due, slots))]
        self.state.confine(self.state.array(slots), before, self.state.inside(x, y, radius))
        self._setup.update_ended(slots)
        self.controls.uniform[slots] = False

    def _tokens(self) -> list[Event]:
        """Snapshots of the sessions whose turn it is, as the tick before has left them."""
        c = self.controls
        chosen = self._snapshot_schedule.take(
            c.active, (c.motion == m.Motion.PAUSED) & ~c.dirty, c.frame_number
        )
        sessions = [self.sessions[slot] for slot in chosen.tolist()]
        return [Event(s, token) for s, token in zip(sessions, self.snapshots(sessions), strict=True)]


def demand_of(settings: m.Settings) -> float:
    """Network rows a second that a session of these settings asks for."""
    guided = settings.label != m.NO_LABEL and settings.guidance not in (0, 1)
    return settings.steps_per_second * (2 if guided else 1)
