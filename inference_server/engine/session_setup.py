"""Where a session begins, and what it is set to: settings, schedule and first picture of a slot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from diffusion_toy.contract.pixels import to_unit_range
from diffusion_toy.diffusion.arrays import on_host
from diffusion_toy.diffusion.counter_noise import Purpose, uniform_words
from diffusion_toy.diffusion.samplers import RULES
from diffusion_toy.diffusion.schedule import NoiseSchedule, make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel
from inference_server.engine.controls import Controls
from inference_server.engine.session import Session
from inference_server.engine.slots import SlotState


class SessionSetup:
    """Checks what a client wishes for, and writes it into a session's slot.

    Args:
        model: whose classes and pictures there are.
        state, controls: of all slots.
        tick_rate_hz: the fastest that a session can step.
    """

    def __init__(self, model: LoadedModel, state: SlotState, controls: Controls, tick_rate_hz: float) -> None:
        """Write into these arrays."""
        self._model, self._state, self._controls = model, state, controls
        self._num_classes = model.config.num_classes
        self._tick_rate_hz = tick_rate_hz

    def checked_settings(self, change: m.SettingsChange, before: m.Settings) -> m.Settings:
        """Return the settings with a change made.

        Raises:
            InvalidValueError: a setting that this model or server does not allow.
        """
        self._check_change(change)
        return change.apply_to(before)

    def check_command(self, command: m.Command) -> None:
        """Refuse a command that no session of this model can ever apply, whatever its state.

        Raises:
            InvalidValueError: naming the field.
        """
        match command:
            case m.Configure(change):
                self._check_change(change)
            case m.Restart(_, m.Origin() as origin):
                self._check_source("restart.origin", origin)

    def _check_change(self, change: m.SettingsChange) -> None:
        if change.label is not None and change.label >= self._num_classes:
            limit = f"−1 (none) and 0…{self._num_classes - 1}"
            raise InvalidValueError("settings.label", change.label, limit)
        if change.steps_per_second is not None:
            m.check_range(
                "settings.steps_per_second", change.steps_per_second, 0, self._tick_rate_hz, open_low=True
            )

    def check_origin(self, path: str, origin: m.Origin, settings: m.Settings) -> None:
        """Refuse an origin that a session of these settings cannot have.

        Raises:
            InvalidValueError: naming the field below `path`.
        """
        if origin.time_step is not None:
            m.check_range(f"{path}.time_step", origin.time_step, 0, settings.num_time_steps)
        self._check_source(path, origin)

    def _check_source(self, path: str, origin: m.Origin) -> None:
        shape = self._state.shape
        match origin.source:
            case m.Pixels(content) if len(content) != np.prod(shape):
                limit = f"{np.prod(shape)} bytes, {'×'.join(map(str, shape))}"
                raise InvalidValueError(f"{path}.pixels", f"of {len(content)} bytes", limit)
            case m.Example() if self._model.examples is None:
                raise InvalidValueError(f"{path}.example", "", "noise or pixels: this model has no examples")
            case m.Example(label) if label is not None and label >= self._num_classes:
                raise InvalidValueError(f"{path}.example.label", label, f"0…{self._num_classes - 1}")

    def store_settings(self, session: Session) -> None:
        """Let the session's settings count from the next step on; `set_schedule` is for its schedule."""
        c, slot, settings = self._controls, session.slot, session.settings
        c.steps_per_tick[slot] = settings.steps_per_second / self._tick_rate_hz
        c.stride[slot] = settings.stride
        c.eta[slot] = RULES[settings.sampler].eta(settings.eta)
        c.multistep[slot] = RULES[settings.sampler].remembers
        self._state.forget_earlier(slot)
        c.label[slot] = settings.label
        c.guidance[slot] = settings.guidance

    def set_schedule(self, session: Session) -> NoiseSchedule:
        """Give the session's slot the schedule of its settings, and return that."""
        settings = session.settings
        schedule = make_schedule(settings.schedule.key, settings.num_time_steps)
        self._state.set_schedule(session.slot, schedule)
        return schedule

    def begin(self, session: Session) -> None:
        """Put the session's picture at its origin, with its seed, at step 0."""
        slot, origin, settings = session.slot, session.origin, session.settings
        schedule = make_schedule(settings.schedule.key, settings.num_time_steps)
        t = settings.num_time_steps if origin.time_step is None else min(origin.time_step, schedule.T)
        level = float(schedule.level_of_time_step(t))
        match origin.source:
            case m.PureNoise():
                self._state.start_from_noise(slot, level, session.seed)
            case m.Pixels(content):
                picture = np.frombuffer(content, np.uint8).reshape(self._state.shape)
                self._state.start_from_picture(slot, to_unit_range(picture), level, session.seed)
            case m.Example(label):
                picture = self._example(label, session.seed)
                self._state.start_from_picture(slot, to_unit_range(picture), level, session.seed)
        c = self._controls
        c.seed[slot] = session.seed
        c.step[slot] = c.first_kept[slot] = 0
        session.injections = 0
        c.dirty[slot] = True
        self.update_ended(np.array([slot]))

    def update_ended(self, slots: NDArray[np.int64]) -> None:
        """Note whether the sessions of these slots have anywhere to go."""
        at_end = on_host(self._state.at_end(self._state.array(slots)))
        forward = self._controls.motion[slots] == m.Motion.FORWARD
        self._controls.ended[slots] = np.where(forward, at_end[:, 1], at_end[:, 0])

    def _example(self, label: int | None, seed: int) -> NDArray[np.uint8]:
        """Return a bundled picture, chosen by the seed: (C, H, W) uint8."""
        examples = self._model.examples
        assert examples is not None  # check_origin has refused this
        which = np.arange(len(examples.labels))
        if label is not None and (examples.labels == label).any():
            which = which[examples.labels == label]
        word = uniform_words(np.array([seed]), Purpose.CHOICE, np.array([0]), 1)
        picture: NDArray[np.uint8] = examples.images[which[int(word[0, 0]) % len(which)]]
        return picture
