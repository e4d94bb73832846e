"""The engine: one model, all its sessions, one batched forward pass a tick.

`Engine` knows no thread, socket or clock. A tick applies the commands that have arrived, runs the
network once for all sessions that are due, publishes each `x_t` with the `x̂0` of *that* `x_t`,
and then steps.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_toy import diffusion
from diffusion_toy import messages as m
from diffusion_toy.checkpoint import LoadedModel
from diffusion_toy.counter_noise import Purpose, uniform_words
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.forward import Forward, Precision
from diffusion_toy.schedule import NoiseSchedule, make_schedule
from inference_server.frames import FrameBatch
from inference_server.kernel import Gauge, Rows, advance
from inference_server.session import Event, Pending, Session, SessionSnapshot, Skip
from inference_server.slots import InjectionRows, SlotState

INJECTION_ROUNDS = 9  # injections of one session that a tick applies (540 a second); the rest wait a tick
JUMP_TOLERANCE = 0.5  # time steps by which a kept state may miss the one that was asked for


class ServerFullError(DiffusionToyError):
    """No slot is free, or no more is promised to those who are here."""


class NotHereError(DiffusionToyError):
    """There is no such session."""


@dataclass(eq=False)
class Controls:
    """What decides a session's next tick, as arrays over slots, so that no tick loops over them."""

    active: NDArray[np.bool_]
    motion: NDArray[np.int64]
    single_step: NDArray[np.bool_]  # take one step, then rest
    dirty: NDArray[np.bool_]  # changed since its last frame
    ended: NDArray[np.bool_]  # nowhere to go in the direction of its motion
    phase: NDArray[np.float64]  # steps owed; a step is due at 1
    steps_per_tick: NDArray[np.float64]
    stride: NDArray[np.float32]
    eta: NDArray[np.float32]
    multistep: NDArray[np.bool_]
    label: NDArray[np.int64]
    guidance: NDArray[np.float32]
    seed: NDArray[np.int64]
    step: NDArray[np.int64]
    frame_number: NDArray[np.int64]
    landed: NDArray[np.int64]
    first_kept: NDArray[np.int64]
    uniform: NDArray[np.bool_]  # one level for all pixels, as far as is known
    watchers: NDArray[np.int64]

    @staticmethod
    def for_slots(slots: int) -> Controls:
        """All zero."""
        kinds: dict[str, Any] = {
            "active": bool, "single_step": bool, "dirty": bool, "ended": bool,
            "multistep": bool, "uniform": bool,
            "phase": np.float64, "steps_per_tick": np.float64,
            "stride": np.float32, "eta": np.float32, "guidance": np.float32,
        }  # fmt: skip
        names = Controls.__dataclass_fields__
        return Controls(**{name: np.zeros(slots, kinds.get(name, np.int64)) for name in names})


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
        precision: of the network.
        compiled: whether network and tick are compiled.
        batch_sizes: to which a batch is padded, rising; none: it is not.
        token_period_s: how often each session's snapshot is told; 0: never.
        capacity: rows a second that all sessions together may ask for, None for no limit.
    """

    slots: int = 32
    tick_rate_hz: float = 60.0
    precision: Precision = Precision.FLOAT32
    compiled: bool = False
    batch_sizes: tuple[int, ...] = ()
    token_period_s: float = 0.0
    capacity: float | None = None


class Engine:
    """All sessions of one model.

    Args:
        model: the network and its metadata.
        device: where to run it.
        config: how.
    """

    def __init__(self, model: LoadedModel, device: torch.device, config: EngineConfig | None = None) -> None:
        config = config or EngineConfig()
        network = model.network.config
        self.model, self.device, self.config = model, device, config
        self.capacity = config.capacity
        self.num_classes = network.num_classes
        self.shape = (network.channels, network.height, network.width)
        self.forward = Forward(
            model.network.to(device), config.precision, config.batch_sizes, config.compiled
        )
        self._advance = torch.compile(advance, dynamic=True) if config.compiled else advance
        calibration = model.metadata.residual_calibration
        self.gauge = Gauge(
            torch.tensor(calibration, device=device) if calibration else None, model.metadata.rim_value
        )
        self.state = SlotState(config.slots, self.shape, device)
        self.controls = Controls.for_slots(config.slots)
        self.sessions: dict[int, Session] = {}  # by slot
        self._by_id: dict[str, Session] = {}
        self._free = list(range(config.slots))[::-1]
        self._waiting: dict[int, Session] = {}  # sessions with pending commands, by slot
        self._ended: list[Session] = []
        self.neighbours: Sequence[Engine] = ()  # other engines on the same device, who share its capacity
        self._ticks = 0
        self._told = np.full(config.slots, -1, np.int64)  # the frame before a slot's newest told snapshot
        self._next_token = np.zeros(config.slots, np.int64)  # the tick from which it is told again
        kept = self.state.history.shape[1]
        self._kept_t = np.zeros((config.slots, kept), np.float32)  # largest time step of each kept state
        self.info = m.ModelInfo(
            name=model.name,
            fingerprint=model.fingerprint,
            channels=network.channels,
            height=network.height,
            width=network.width,
            label_names=model.metadata.label_names,
            dataset=model.metadata.dataset,
            rim_value=model.metadata.rim_value,
            has_examples=model.examples is not None,
        )

    @property
    def tick_rate_hz(self) -> float:
        """How often a tick is due."""
        return self.config.tick_rate_hz

    @property
    def kept_states(self) -> int:
        """How many states a session keeps to return to."""
        return self._kept_t.shape[1]

    @property
    def demand(self) -> float:
        """Rows a second that the sessions ask for at most, those included that rest or wait."""
        c = self.controls
        slots = np.array(list(self.sessions), np.int64)  # at once: other threads ask as well
        guided = (c.label[slots] != m.NO_LABEL) & (c.guidance[slots] != 0) & (c.guidance[slots] != 1)
        return float((c.steps_per_tick[slots] * (1 + guided)).sum() * self.tick_rate_hz)

    @property
    def device_demand(self) -> float:
        """The same, of everybody on the device."""
        return self.demand + sum(engine.demand for engine in self.neighbours)

    # --- joining and leaving ---

    def join(self, start: m.Start, sequence: int = 0) -> Session:
        """Open a session; `sequence` is that of its start.

        Raises:
            InvalidValueError: a setting that this model or server does not allow.
            ServerFullError: every slot or all capacity is taken.
        """
        settings = self._checked_settings(start.settings, m.Settings(steps_per_second=self.tick_rate_hz))
        self._check_origin("start.origin", start.origin, settings)
        seed = secrets.randbits(32) if start.seed is None else start.seed
        session = Session(self._seat(settings), seed, settings, start.origin)
        self._occupy(session, start.motion, sequence)
        self._begin(session)
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
        settings = self._checked_settings(m.SettingsChange(**vars(snapshot.settings)), m.Settings())
        origin = replace(snapshot.origin, time_step=None)  # which may be of an earlier schedule
        self._check_origin("start.resume_token.origin", origin, settings)
        slot = self._seat(settings)
        session = Session(slot, snapshot.seed, settings, snapshot.origin, injections=snapshot.injections)
        if branch_seed is None:
            session.id = snapshot.session_id
        else:
            session.seed = branch_seed
        self._occupy(session, snapshot.motion, snapshot.landed)
        try:
            self.state.unpack(slot, torch.from_numpy(snapshot.state.copy()))
        except ValueError as error:
            self.leave(session)
            raise InvalidValueError("start.resume_token", str(error), "a state of this model") from error
        c = self.controls
        c.seed[slot], c.step[slot], c.phase[slot] = session.seed, snapshot.step, snapshot.phase
        c.first_kept[slot] = snapshot.step
        self._update_ended(np.array([slot]))
        c.dirty[slot] = True
        return session

    def _seat(self, settings: m.Settings) -> int:
        """A free slot for a session of these settings; one that nobody holds any more if need be."""
        needed = demand_of(settings)
        while not self._free or (
            self.capacity is not None and 0 < self.device_demand > self.capacity - needed
        ):
            abandoned = next((s for s in self.sessions.values() if s.suspended), None)
            if abandoned is None:
                raise ServerFullError(
                    f"the server is full: it serves {len(self.sessions)} sessions; try again later"
                )
            self.leave(abandoned)
        return self._free.pop()

    def _occupy(self, session: Session, motion: m.Motion, landed: int) -> None:
        slot, c = session.slot, self.controls
        self.sessions[slot] = self._by_id[session.id] = session
        c.frame_number[slot], c.landed[slot] = 0, landed
        c.phase[slot], c.watchers[slot] = 0, 0
        c.single_step[slot] = c.uniform[slot] = False
        c.motion[slot] = motion
        self._told[slot], self._next_token[slot] = -1, 0
        self._set_schedule(session)
        self._store_settings(session)
        c.active[slot] = True

    def leave(self, session: Session) -> None:
        """Close a session and free its slot; a second time does nothing."""
        if self.sessions.get(session.slot) is session:
            del self.sessions[session.slot]
            del self._by_id[session.id]
            self._waiting.pop(session.slot, None)
            self.controls.active[session.slot] = False
            self.state.state[session.slot] = 0  # nothing of it is for the next
            self._free.append(session.slot)
            self._ended.append(session)

    def suspend(self, session: Session) -> bool:
        """Let a session wait for its client, where it is; False if it has ended already."""
        if self.sessions.get(session.slot) is not session:
            return False
        session.suspended = True
        session.suspensions += 1
        session.pending.clear()  # the client sends again what has not landed
        self._waiting.pop(session.slot, None)
        self.controls.active[session.slot] = False
        return True

    def take_up(self, session: Session) -> None:
        """Go on with a session for a client that has come (back)."""
        session.suspended = False
        session.pending.clear()
        self._waiting.pop(session.slot, None)
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

    @torch.inference_mode()
    def snapshots(self, sessions: Sequence[Session]) -> list[SessionSnapshot]:
        """What these need to go on elsewhere, as they are now."""
        if not sessions:
            return []
        slots = torch.tensor([session.slot for session in sessions], device=self.device)
        packed = self.state.packed(slots).cpu().numpy()
        c = self.controls
        return [
            SessionSnapshot(
                session_id=session.id,
                model=self.model.name,
                fingerprint=self.model.fingerprint,
                seed=session.seed,
                step=int(c.step[session.slot]),
                injections=session.injections,
                landed=int(c.landed[session.slot]),
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
        if self.sessions.get(session.slot) is session and not session.suspended:
            skips = isinstance(pending.command, Skip)
            if skips and session.pending and isinstance(session.pending[-1].command, Skip):
                session.pending.pop()  # one stands for many, so that a flood of them takes no room
            session.pending.append(pending)
            self._waiting[session.slot] = session

    # --- the tick ---

    @property
    def idle(self) -> bool:
        """Nothing will happen until a join or a command."""
        c = self.controls
        changed = (c.active & c.dirty).any()
        untold = self.config.token_period_s and (c.active & (self._told != c.frame_number)).any()
        return not (self._ended or self._stepping().any() or changed or untold or self._can_apply())

    def _stepping(self) -> NDArray[np.bool_]:
        c = self.controls
        stepping: NDArray[np.bool_] = c.active & (c.motion != m.Motion.PAUSED) & ~c.ended
        return stepping

    def _can_apply(self) -> bool:
        return any(self._ready(session) for session in self._waiting.values())

    @torch.inference_mode()
    def tick(self) -> TickResult:
        """Apply commands, forward, publish, step. Takes one batch through the network at most."""
        self._ticks += 1
        ended, self._ended = self._ended, []
        events = self._tokens()
        answers, applied = self._apply_commands()
        events += answers
        c = self.controls
        stepping = self._stepping()
        c.phase[stepping] += np.where(c.single_step[stepping], 1.0, c.steps_per_tick[stepping])
        stepping &= c.phase >= 1 - 1e-9
        due = np.flatnonzero(c.active & (c.dirty | stepping))
        if not len(due):
            return TickResult(None, events, applied=applied, ended=ended)
        c.phase[stepping] = np.maximum(c.phase[stepping] - 1, 0)
        steps = stepping[due]
        slots = torch.from_numpy(due).to(self.device)
        rows = self._rows(due, slots, steps)
        began = time.perf_counter()
        v, network_rows = self.predict_v(rows.state, c.label[due], c.guidance[due])
        forward_s = time.perf_counter() - began
        advanced = self._advance(
            rows, v, self.gauge,
            any_forward=self.config.compiled or bool((c.motion[due] == m.Motion.FORWARD).any()),
            any_multistep=self.config.compiled or bool(c.multistep[due].any()),
            uniform=bool(c.uniform[due].all()),
        )  # fmt: skip
        pixels, readings, at_end, finite = self._to_host(
            advanced.pixels, advanced.readings, advanced.at_end, advanced.finite
        )
        c.frame_number[due] += 1
        frames = self._frames(due, pixels, readings, steps)
        c.dirty[due] = False
        c.uniform[due] = readings[:, 0] == readings[:, 2]
        moving = due[steps]
        if len(moving):
            index = slots if len(moving) == len(due) else torch.from_numpy(moving).to(self.device)
            self.state.keep(index, torch.from_numpy(c.step[moving]).to(self.device), rows)
            self.state.store(index, rows, advanced)
            self._count_steps(moving, at_end[steps], readings[steps, 8])
        broken = int((~finite).sum())
        return TickResult(frames, events, network_rows, forward_s, applied, broken, ended)

    def _rows(self, due: NDArray[np.int64], slots: Tensor, steps: NDArray[np.bool_]) -> Rows:
        c, state = self.controls, self.state
        whole = torch.from_numpy(np.stack([c.seed[due], c.step[due]])).to(self.device)
        parts = torch.from_numpy(np.stack([c.stride[due], c.eta[due]])).to(self.device)
        flags = np.stack([c.motion[due] == m.Motion.FORWARD, c.multistep[due], steps])
        forward, multistep, stepping = torch.from_numpy(flags).to(self.device)
        return Rows(
            state=state.state.index_select(0, slots),
            earlier=state.earlier.index_select(0, slots),
            earlier_level=state.earlier_level.index_select(0, slots),
            table=state.levels.index_select(0, slots),
            last=state.num_time_steps.index_select(0, slots),
            seeds=whole[0],
            steps=whole[1],
            stride=parts[0],
            eta=parts[1],
            forward=forward,
            multistep=multistep,
            stepping=stepping,
        )

    def predict_v(
        self, state: Tensor, labels: NDArray[np.int64], guidance: NDArray[np.float32]
    ) -> tuple[Tensor, int]:
        """The velocity of each row, guided: (R, C, H, W), and how many rows the network took for it."""
        channels = self.shape[0]
        x, u = state[:, :channels], state[:, channels]
        null = self.num_classes
        unlabelled = (labels == m.NO_LABEL) | (guidance == 0)
        row_labels = np.where(unlabelled, null, labels)
        guided = np.flatnonzero(~unlabelled & (guidance != 1))
        if not len(guided):
            return self.forward(x, u, torch.from_numpy(row_labels).to(self.device)), len(labels)
        where = torch.from_numpy(guided).to(self.device)
        row_labels = np.concatenate([row_labels, np.full(len(guided), null)])
        x, u = torch.cat([x, x[where]]), torch.cat([u, u[where]])
        v = self.forward(x, u, torch.from_numpy(row_labels).to(self.device))
        v_first, v_null = v[: len(labels)].clone(), v[len(labels) :]
        weight = torch.from_numpy(guidance[guided]).to(self.device)[:, None, None, None]
        v_first[where] = diffusion.guided_velocity(v_null, v_first[where], weight)
        return v_first, len(row_labels)

    def _to_host(self, *tensors: Tensor) -> list[NDArray[Any]]:
        """Copies for the host; from a CUDA device all at once, into pinned memory."""
        if self.device.type != "cuda":
            return [tensor.numpy() for tensor in tensors]
        # Fresh pinned blocks come from torch's cache: those of the tick before may still be being sent.
        copies = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
        for copied, tensor in zip(copies, tensors, strict=True):
            copied.copy_(tensor, non_blocking=True)
        torch.cuda.current_stream(self.device).synchronize()
        return [copied.numpy() for copied in copies]

    def _frames(
        self,
        due: NDArray[np.int64],
        pixels: NDArray[np.float16],
        readings: NDArray[np.float32],
        steps: NDArray[np.bool_],
    ) -> FrameBatch:
        c = self.controls
        return FrameBatch(
            sessions=[self.sessions[slot] for slot in due.tolist()],
            settings=[self.sessions[slot].settings for slot in due.tolist()],
            seeds=c.seed[due],
            numbers=c.frame_number[due],
            steps=c.step[due],
            landed=c.landed[due],
            first_kept=np.minimum(c.first_kept[due], c.step[due]),
            watchers=c.watchers[due],
            motion=c.motion[due],
            resting=~steps & ~self._stepping()[due],
            pixels=pixels,
            readings=readings,
            stepping=int(steps.sum()),
            shape=self.shape,
            people=len(self.sessions),
        )

    def _count_steps(
        self, slots: NDArray[np.int64], at_end: NDArray[np.bool_], largest_t: NDArray[np.float32]
    ) -> None:
        """Steps have been taken; `at_end` (R, 2) says who is clean, and who is at T."""
        c = self.controls
        self._kept_t[slots, c.step[slots] % self.kept_states] = largest_t
        c.step[slots] += 1
        c.first_kept[slots] = np.maximum(c.first_kept[slots], c.step[slots] - self.kept_states)
        forward = c.motion[slots] == m.Motion.FORWARD
        once = slots[c.single_step[slots]]
        c.motion[once], c.single_step[once] = m.Motion.PAUSED, False
        c.ended[slots] = np.where(forward, at_end[:, 1], at_end[:, 0])
        c.dirty[slots[c.ended[slots] | (c.motion[slots] == m.Motion.PAUSED)]] = True  # a last frame

    def _tokens(self) -> list[Event]:
        """Snapshots of the sessions whose turn it is, as the tick before has left them."""
        if not self.config.token_period_s:
            return []
        c = self.controls
        turn = c.active & (self._ticks >= self._next_token) & (self._told != c.frame_number)
        chosen = np.flatnonzero(turn)
        if not len(chosen):
            return []
        self._told[chosen] = c.frame_number[chosen]
        self._next_token[chosen] = self._ticks + max(1, round(self.config.token_period_s * self.tick_rate_hz))
        sessions = [self.sessions[slot] for slot in chosen.tolist()]
        return [Event(s, token) for s, token in zip(sessions, self.snapshots(sessions), strict=True)]

    def _update_ended(self, slots: NDArray[np.int64]) -> None:
        """Whether these sessions have anywhere to go."""
        index = torch.from_numpy(slots).to(self.device)
        u = self.state.u[index].flatten(1)
        top = self.state.levels[index, self.state.num_time_steps[index].long()]
        at_end = torch.stack([u.amax(1) == 0, u.amin(1) >= top]).cpu().numpy()
        forward = self.controls.motion[slots] == m.Motion.FORWARD
        self.controls.ended[slots] = np.where(forward, at_end[1], at_end[0])

    # --- commands ---

    def _ready(self, session: Session) -> bool:
        """Whether the session's next command can be applied now."""
        if not session.pending:
            return False
        at_step = session.pending[0].at_step
        return at_step is None or at_step <= self.controls.step[session.slot]

    @torch.inference_mode()
    def _apply_commands(self) -> tuple[list[Event], list[type]]:
        """Apply what has arrived; injections in rounds of at most one for each session.

        Returns:
            What clients must be told, and the kinds of the commands that were applied.
        """
        events: list[Event] = []
        applied: list[type] = []
        touched: set[int] = set()
        finished: set[int] = set()  # sessions whose next command has to wait for the next tick
        for _ in range(INJECTION_ROUNDS):
            injections: list[tuple[Session, m.Inject]] = []
            for slot, session in list(self._waiting.items()):
                while slot not in finished and self._ready(session):
                    pending = session.pending.popleft()
                    self.controls.landed[slot] = pending.sequence
                    touched.add(slot)  # also for a rejection: its frame is what the client acknowledges
                    if isinstance(pending.command, Skip):
                        continue
                    step = int(self.controls.step[slot])
                    if pending.at_step is not None and pending.at_step < step:
                        error = InvalidValueError("at_step", pending.at_step, f"{step} and later")
                        events.append(rejection(session, pending.sequence, error))
                    elif isinstance(pending.command, m.Inject):
                        applied.append(m.Inject)
                        injections.append((session, pending.command))
                        break
                    else:
                        try:
                            events += self._apply(session, pending.command)
                            applied.append(type(pending.command))
                        except InvalidValueError as error:
                            events.append(rejection(session, pending.sequence, error))
                        if isinstance(pending.command, m.Step):
                            finished.add(slot)
                if not session.pending:
                    self._waiting.pop(slot, None)
            if not injections:
                break
            self._inject(injections)
        if touched:
            slots = np.array(sorted(touched))
            self._update_ended(slots)
            self.controls.dirty[slots] = True
            self.controls.uniform[slots] = False
        return events, applied

    def _apply(self, session: Session, command: m.Command) -> list[Event]:
        c, slot = self.controls, session.slot
        match command:
            case m.Play(direction):
                c.motion[slot], c.single_step[slot], c.phase[slot] = direction, False, 0
            case m.Pause():
                c.motion[slot], c.single_step[slot] = m.Motion.PAUSED, False
            case m.Step(direction):
                c.motion[slot], c.single_step[slot], c.phase[slot] = direction, True, 0
                self._update_ended(np.array([slot]))
                if c.ended[slot]:
                    c.motion[slot], c.single_step[slot] = m.Motion.PAUSED, False
            case m.Restart(seed, origin):
                if origin is not None:
                    self._check_origin("restart.origin", origin, session.settings)
                    session.origin = origin
                session.seed = session.seed if seed is None else seed
                c.motion[slot], c.single_step[slot], c.phase[slot] = m.Motion.REVERSE, False, 0
                self._begin(session)
            case m.Back():
                step = int(c.step[slot])
                if step <= c.first_kept[slot]:
                    raise InvalidValueError("back", f"from step {step}", f"steps above {c.first_kept[slot]}")
                self._return_to(session, step - 1)
            case m.Jump(step, time_step):
                if step is not None:
                    first, now = int(c.first_kept[slot]), int(c.step[slot])
                    m.check_range("jump.step", step, first, now)
                    self._return_to(session, step)
                elif time_step is not None:
                    self._jump_in_time(session, time_step)
            case m.Configure(change):
                before = session.settings
                settings = self._checked_settings(change, before)
                self._check_capacity(before, settings)
                session.settings = settings
                self._store_settings(session)
                after = session.settings
                if (after.schedule, after.num_time_steps) != (before.schedule, before.num_time_steps):
                    schedule = self._set_schedule(session)
                    return [Event(session, m.Schedule(after.schedule, schedule.alphas_cumprod))]
        return []

    def _return_to(self, session: Session, step: int) -> None:
        c, slot = self.controls, session.slot
        if step != c.step[slot]:
            self.state.return_to(slot, step)
            top = float(self.state.levels[slot, session.settings.num_time_steps])
            self.state.u[slot].clamp_(max=top)  # the schedule may be another one now
        c.step[slot] = step
        c.motion[slot], c.single_step[slot], c.phase[slot] = m.Motion.PAUSED, False, 0

    def _jump_in_time(self, session: Session, time_step: float) -> None:
        c, slot = self.controls, session.slot
        m.check_range("jump.time_step", time_step, 0, session.settings.num_time_steps)
        index = torch.tensor([slot], device=self.device)
        now = float(self.state.time_steps(index).amax())
        if time_step >= now:
            schedule = make_schedule(session.settings.schedule.key, session.settings.num_time_steps)
            level = float(schedule.level_of_time_step(time_step))
            self.state.noise_up_to(slot, level, session.seed, session.injections)
            session.injections += 1
            c.motion[slot], c.single_step[slot], c.phase[slot] = m.Motion.PAUSED, False, 0
            return
        steps = np.arange(c.first_kept[slot], c.step[slot])
        distance = np.abs(self._kept_t[slot, steps % self.kept_states] - time_step)
        if not len(steps) or distance.min() > JUMP_TOLERANCE:
            limit = f"{now:g}…{session.settings.num_time_steps}, and the time steps of kept states"
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
        tensors = {
            name: torch.tensor(values, dtype=torch.int64 if name in integers else torch.float32)
            for name, values in columns.items()
        }
        self.state.inject(InjectionRows(**{name: tensor.to(self.device) for name, tensor in tensors.items()}))

    # --- settings and starts ---

    def _checked_settings(self, change: m.SettingsChange, before: m.Settings) -> m.Settings:
        if change.label is not None and change.label >= self.num_classes:
            limit = f"−1 (none) and 0…{self.num_classes - 1}"
            raise InvalidValueError("settings.label", change.label, limit)
        if change.steps_per_second is not None:
            m.check_range(
                "settings.steps_per_second", change.steps_per_second, 0, self.tick_rate_hz, open_low=True
            )
        return change.apply_to(before)

    def _check_capacity(self, before: m.Settings, after: m.Settings) -> None:
        more = demand_of(after) - demand_of(before)
        alone = self.device_demand == demand_of(before)
        if more > 0 and not alone and self.capacity is not None:
            free = self.capacity - self.device_demand
            if more > free:
                raise InvalidValueError(
                    "settings",
                    f"{more:g} more network rows a second",
                    f"the {max(free, 0):.0f} that are free",
                    "the server is full; try a lower speed, or guidance 1",
                )

    def _check_origin(self, path: str, origin: m.Origin, settings: m.Settings) -> None:
        if origin.time_step is not None:
            m.check_range(f"{path}.time_step", origin.time_step, 0, settings.num_time_steps)
        match origin.source:
            case m.Pixels(content) if len(content) != np.prod(self.shape):
                limit = f"{np.prod(self.shape)} bytes, {'×'.join(map(str, self.shape))}"
                raise InvalidValueError(f"{path}.pixels", f"of {len(content)} bytes", limit)
            case m.Example() if self.model.examples is None:
                raise InvalidValueError(f"{path}.example", "", "noise or pixels: this model has no examples")
            case m.Example(label) if label is not None and label >= self.num_classes:
                raise InvalidValueError(f"{path}.example.label", label, f"0…{self.num_classes - 1}")

    def _store_settings(self, session: Session) -> None:
        c, slot, settings = self.controls, session.slot, session.settings
        c.steps_per_tick[slot] = settings.steps_per_second / self.tick_rate_hz
        c.stride[slot] = settings.stride
        c.eta[slot] = {m.Sampler.DDPM: 1.0, m.Sampler.DDIM: settings.eta}.get(settings.sampler, 0.0)
        c.multistep[slot] = settings.sampler is m.Sampler.DPMPP
        self.state.forget_earlier(slot)
        c.label[slot] = settings.label
        c.guidance[slot] = settings.guidance

    def _set_schedule(self, session: Session) -> NoiseSchedule:
        settings = session.settings
        schedule = make_schedule(settings.schedule.key, settings.num_time_steps)
        self.state.set_schedule(session.slot, schedule)
        return schedule

    @torch.inference_mode()
    def _begin(self, session: Session) -> None:
        """Put the session's picture at its origin, with its seed, at step 0."""
        slot, origin, settings = session.slot, session.origin, session.settings
        schedule = make_schedule(settings.schedule.key, settings.num_time_steps)
        t = settings.num_time_steps if origin.time_step is None else min(origin.time_step, schedule.T)
        level = float(schedule.level_of_time_step(t))
        match origin.source:
            case m.PureNoise():
                self.state.start_from_noise(slot, level, session.seed)
            case m.Pixels(content):
                picture = torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(self.shape)
                self.state.start_from_picture(slot, picture.float() / 127.5 - 1, level, session.seed)
            case m.Example(label):
                picture = self._example(label, session.seed)
                self.state.start_from_picture(slot, picture.float() / 127.5 - 1, level, session.seed)
        self.controls.seed[slot] = session.seed
        self.controls.step[slot] = self.controls.first_kept[slot] = 0
        session.injections = 0
        self.controls.dirty[slot] = True
        self._update_ended(np.array([slot]))

    def _example(self, label: int | None, seed: int) -> Tensor:
        """A bundled picture, chosen by the seed: (C, H, W) uint8."""
        examples = self.model.examples
        assert examples is not None  # _check_origin has refused this
        which = torch.arange(len(examples.labels))
        if label is not None and bool((examples.labels == label).any()):
            which = which[examples.labels == label]
        word = uniform_words(torch.tensor([seed]), Purpose.CHOICE, torch.tensor([0]), 1)
        return examples.images[which[int(word) % len(which)]]


def demand_of(settings: m.Settings) -> float:
    """Network rows a second that a session of these settings asks for."""
    guided = settings.label != m.NO_LABEL and settings.guidance not in (0, 1)
    return settings.steps_per_second * (2 if guided else 1)


def rejection(session: Session, sequence: int, error: InvalidValueError) -> Event:
    """The answer to a command with a bad value."""
    return Event(session, m.Rejected(sequence, error.field, error.value, error.limit, str(error)))
