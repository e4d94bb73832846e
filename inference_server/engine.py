"""The engine: one model, all its sessions, one batched forward pass a tick.

`Engine` knows no thread, socket or clock. A tick applies the commands that have arrived, runs the
network once for all sessions that are due, publishes each `x_t` with the `x̂0` of *that* `x_t`,
and then steps.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_toy import diffusion
from diffusion_toy import messages as m
from diffusion_toy.checkpoint import LoadedModel
from diffusion_toy.counter_noise import Purpose, standard_normal, uniform_words
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.schedule import NoiseSchedule, make_schedule
from inference_server.frames import FrameBatch
from inference_server.session import Event, Pending, Session, Skip
from inference_server.slots import InjectionRows, SlotState

INJECTION_ROUNDS = 16  # injections of one session that a tick applies; the rest wait a tick


class ServerFullError(DiffusionToyError):
    """No slot is free."""


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
    label: NDArray[np.int64]
    guidance: NDArray[np.float32]
    seed: NDArray[np.int64]
    step: NDArray[np.int64]
    frame_number: NDArray[np.int64]
    landed: NDArray[np.int64]

    @staticmethod
    def for_slots(slots: int) -> Controls:
        """All zero."""
        kinds: dict[str, Any] = {
            "active": bool, "single_step": bool, "dirty": bool, "ended": bool,
            "phase": np.float64, "steps_per_tick": np.float64,
            "stride": np.float32, "eta": np.float32, "guidance": np.float32,
        }  # fmt: skip
        names = Controls.__dataclass_fields__
        return Controls(**{name: np.zeros(slots, kinds.get(name, np.int64)) for name in names})


@dataclass(frozen=True, eq=False)
class TickResult:
    """What a tick has to tell: the frames of the sessions that were due, and events."""

    frames: FrameBatch | None
    events: list[Event] = field(default_factory=list)


class Engine:
    """All sessions of one model.

    Args:
        model: the network and its metadata.
        device: where to run it.
        slots: how many sessions at most.
        tick_rate_hz: how often `tick` will be called; the fastest that a session can step.
    """

    def __init__(self, model: LoadedModel, device: torch.device, slots: int, tick_rate_hz: float) -> None:
        config = model.network.config
        self.model, self.device, self.tick_rate_hz = model, device, tick_rate_hz
        self.num_classes = config.num_classes
        self.network = model.network.to(device)
        self.shape = (config.channels, config.height, config.width)
        self.state = SlotState(slots, self.shape, device)
        self.controls = Controls.for_slots(slots)
        self.sessions: dict[int, Session] = {}  # by slot
        self._free = list(range(slots))[::-1]
        self._waiting: dict[int, Session] = {}  # sessions with pending commands, by slot
        self.info = m.ModelInfo(
            name=model.name,
            fingerprint=model.fingerprint,
            channels=config.channels,
            height=config.height,
            width=config.width,
            label_names=model.metadata.label_names,
            dataset=model.metadata.dataset,
            rim_value=model.metadata.rim_value,
            has_examples=model.examples is not None,
        )

    # --- joining and leaving ---

    def join(self, start: m.Start, sequence: int = 0) -> Session:
        """Open a session; `sequence` is that of its start.

        Raises:
            InvalidValueError: a setting that this model or server does not allow.
            ServerFullError: every slot is taken.
        """
        settings = self._checked_settings(start.settings, m.Settings(steps_per_second=self.tick_rate_hz))
        self._check_origin("start.origin", start.origin, settings)
        if not self._free:
            raise ServerFullError(
                f"the server is full: it serves {len(self.sessions)} sessions; try again later"
            )
        slot = self._free.pop()
        seed = secrets.randbits(32) if start.seed is None else start.seed
        session = Session(slot, seed, settings, start.origin)
        self.sessions[slot] = session
        controls = self.controls
        controls.frame_number[slot], controls.landed[slot] = 0, sequence
        controls.phase[slot] = 0
        controls.single_step[slot] = False
        controls.motion[slot] = start.motion
        self.state.u[slot] = 0  # nothing of an earlier session
        self._set_schedule(session)
        self._store_settings(session)
        self._begin(session)
        controls.active[slot] = True
        return session

    def leave(self, session: Session) -> None:
        """Close a session and free its slot; a second time does nothing."""
        if self.sessions.get(session.slot) is session:
            del self.sessions[session.slot]
            self._waiting.pop(session.slot, None)
            self.controls.active[session.slot] = False
            self._free.append(session.slot)

    def submit(self, session: Session, pending: Pending) -> None:
        """Queue a command; it is applied in a later tick, in order."""
        if self.sessions.get(session.slot) is session:
            skips = isinstance(pending.command, Skip)
            if skips and session.pending and isinstance(session.pending[-1].command, Skip):
                session.pending.pop()  # one stands for many, so that a flood of them takes no room
            session.pending.append(pending)
            self._waiting[session.slot] = session

    # --- the tick ---

    @property
    def idle(self) -> bool:
        """Nothing will happen until a join or a command."""
        return not (self._stepping().any() or self.controls.dirty.any() or self._can_apply())

    def _stepping(self) -> NDArray[np.bool_]:
        c = self.controls
        stepping: NDArray[np.bool_] = c.active & (c.motion != m.Motion.PAUSED) & ~c.ended
        return stepping

    def _can_apply(self) -> bool:
        return any(self._ready(session) for session in self._waiting.values())

    @torch.inference_mode()
    def tick(self) -> TickResult:
        """Apply commands, forward, publish, step. Takes one batch through the network at most."""
        events = self._apply_commands()
        c = self.controls
        stepping = self._stepping()
        c.phase[stepping] += np.where(c.single_step[stepping], 1.0, c.steps_per_tick[stepping])
        stepping &= c.phase >= 1 - 1e-9
        due = np.flatnonzero(c.active & (c.dirty | stepping))
        if not len(due):
            return TickResult(None, events)
        c.phase[stepping] = np.maximum(c.phase[stepping] - 1, 0)
        slots = torch.from_numpy(due).to(self.device)
        x0_hat = self.predict_x0(slots, c.label[due], c.guidance[due])
        t = self.state.time_steps(slots)
        c.frame_number[due] += 1
        frames = self._frames(due, slots, x0_hat, t, stepping[due])
        c.dirty[due] = False
        chosen = np.flatnonzero(stepping[due])
        if len(chosen):
            self._take_steps(due[chosen], t[chosen], x0_hat[chosen])
        return TickResult(frames, events)

    def predict_x0(self, slots: Tensor, labels: NDArray[np.int64], guidance: NDArray[np.float32]) -> Tensor:
        """x̂0 of each row, clamped to [−1, 1]: (R, C, H, W). Guided rows take two network rows."""
        x, u = self.state.x[slots], self.state.u[slots]
        null = self.num_classes
        unlabelled = (labels == m.NO_LABEL) | (guidance == 0)
        guided = np.flatnonzero(~unlabelled & (guidance != 1))
        rows = np.concatenate([np.arange(len(labels)), guided])
        row_labels = np.concatenate([np.where(unlabelled, null, labels), np.full(len(guided), null)])
        index = torch.from_numpy(rows).to(self.device)
        v = self.network(x[index], u[index], torch.from_numpy(row_labels).to(self.device))
        v_first = v[: len(labels)]
        if len(guided):
            where = torch.from_numpy(guided).to(self.device)
            weight = torch.from_numpy(guidance[guided]).to(self.device)[:, None, None, None]
            v_first[where] = diffusion.guided_velocity(v[len(labels) :], v_first[where], weight)
        return diffusion.x0_of_velocity(x, v_first, u[:, None]).clamp(-1, 1)

    def _frames(
        self, due: NDArray[np.int64], slots: Tensor, x0_hat: Tensor, t: Tensor, stepping: NDArray[np.bool_]
    ) -> FrameBatch:
        state, c = self.state, self.controls
        u = state.u[slots]
        bookkept = diffusion.actual_level(state.g[slots], state.n2[slots])
        readings = torch.stack(
            [f(v) for v in (u, bookkept, t) for f in (_least, _mean, _greatest)], 1
        )  # (R, 9)
        half = torch.cat([state.x[slots].flatten(1), x0_hat.flatten(1), u.flatten(1)], 1).half()
        return FrameBatch(
            sessions=[self.sessions[slot] for slot in due.tolist()],
            settings=[self.sessions[slot].settings for slot in due.tolist()],
            seeds=c.seed[due],
            numbers=c.frame_number[due],
            steps=c.step[due],
            landed=c.landed[due],
            motion=c.motion[due],
            resting=~stepping & ~self._stepping()[due],
            pixels=half.cpu().numpy(),
            readings=readings.cpu().numpy(),
            shape=self.shape,
            people=len(self.sessions),
        )

    def _take_steps(self, slots: NDArray[np.int64], t: Tensor, x0_hat: Tensor) -> None:
        c = self.controls
        forward = c.motion[slots] == m.Motion.FORWARD
        seeds = torch.from_numpy(c.seed[slots]).to(self.device)
        steps = torch.from_numpy(c.step[slots]).to(self.device)
        for direction, rows in ((Purpose.SAMPLER, ~forward), (Purpose.FORWARD, forward)):
            chosen = np.flatnonzero(rows)
            if not len(chosen):
                continue
            index = torch.from_numpy(slots[chosen]).to(self.device)
            stride = torch.from_numpy(c.stride[slots[chosen]]).to(self.device)
            z = standard_normal(seeds[chosen], direction, steps[chosen], self.shape)
            if direction is Purpose.FORWARD:
                self.state.step_forward(index, t[chosen], stride, z)
            else:
                eta = torch.from_numpy(c.eta[slots[chosen]]).to(self.device)
                self.state.step_reverse(index, t[chosen], x0_hat[chosen], stride, eta, z)
        c.step[slots] += 1
        once = slots[c.single_step[slots]]
        c.motion[once], c.single_step[once] = m.Motion.PAUSED, False
        self._update_ended(slots)
        c.dirty[slots[c.ended[slots] | (c.motion[slots] == m.Motion.PAUSED)]] = True  # a last frame

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
    def _apply_commands(self) -> list[Event]:
        """Apply what has arrived; injections in rounds of at most one for each session."""
        events: list[Event] = []
        touched: set[int] = set()
        finished: set[int] = set()  # sessions whose next command has to wait for the next tick
        for _ in range(INJECTION_ROUNDS):
            injections: list[tuple[Session, m.Inject]] = []
            for slot, session in list(self._waiting.items()):
                while slot not in finished and self._ready(session):
                    pending = session.pending.popleft()
                    self.controls.landed[slot] = pending.sequence
                    if isinstance(pending.command, Skip):
                        continue
                    touched.add(slot)
                    step = int(self.controls.step[slot])
                    if pending.at_step is not None and pending.at_step < step:
                        error = InvalidValueError("at_step", pending.at_step, f"{step} and later")
                        events.append(rejection(session, pending.sequence, error))
                    elif isinstance(pending.command, m.Inject):
                        injections.append((session, pending.command))
                        break
                    else:
                        try:
                            events += self._apply(session, pending.command)
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
        return events

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
            case m.Configure(change):
                before = session.settings
                session.settings = self._checked_settings(change, before)
                self._store_settings(session)
                after = session.settings
                if (after.schedule, after.num_time_steps) != (before.schedule, before.num_time_steps):
                    schedule = self._set_schedule(session)
                    return [Event(session, m.Schedule(after.schedule, schedule.alphas_cumprod))]
            case m.Inject():
                self._inject([(session, command)])
        return []

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
        c.eta[slot] = 1.0 if settings.sampler is m.Sampler.DDPM else settings.eta
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
        self.controls.step[slot] = 0
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


def rejection(session: Session, sequence: int, error: InvalidValueError) -> Event:
    """The answer to a command with a bad value."""
    return Event(session, m.Rejected(sequence, error.field, error.value, error.limit, str(error)))


def _least(v: Tensor) -> Tensor:
    return v.flatten(1).amin(1)


def _mean(v: Tensor) -> Tensor:
    return v.flatten(1).mean(1)


def _greatest(v: Tensor) -> Tensor:
    return v.flatten(1).amax(1)
