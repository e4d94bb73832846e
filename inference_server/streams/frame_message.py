"""A frame as the message that is written out: the reverse of `wire.frame_from_proto`."""

from __future__ import annotations

from typing import Final, Literal

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.streams.outbox import FrameRecord

MEASURED: Final[tuple[Literal["measured_by_residual", "measured_by_border", "excess_kurtosis"], ...]] = (
    "measured_by_residual",
    "measured_by_border",
    "excess_kurtosis",
)


class FrameMessage:
    """The one message for all frames of a stream: filling it again costs half of making another."""

    def __init__(self) -> None:
        self._response = pb.DenoiseResponse(frame=pb.Frame())
        self._frame = self._response.frame
        self._ranges = self._frame.nominal, self._frame.actual, self._frame.time_step
        self._settings: m.Settings | None = None
        self._applied: tuple[m.Applied, ...] = ()

    def fill(self, record: FrameRecord) -> pb.DenoiseResponse:
        """One row of a tick's batch. The message holds until the next call."""
        batch, row, frame = record.batch, record.row, self._frame
        number, step, applied, motion, idle, seed, first_kept, watchers = batch.numbers_of_rows[row]
        frame.number, frame.step, frame.applied_sequence = number, step, applied
        frame.motion = motion  # type: ignore[assignment]
        frame.idle, frame.seed, frame.first_kept_step, frame.watchers = idle, seed, first_kept, watchers
        readings = batch.readings_of(row)
        frame.x_t, frame.x0_hat, frame.level_map = batch.x_t(row), batch.x0_hat(row), batch.levels(row)
        nominal, actual, time_step = self._ranges
        nominal.min, nominal.mean, nominal.max = (
            readings.nominal_min,
            readings.nominal_mean,
            readings.nominal_max,
        )
        actual.min, actual.mean, actual.max = readings.actual_min, readings.actual_mean, readings.actual_max
        time_step.min, time_step.max = readings.time_step_min, readings.time_step_max
        time_step.mean = readings.time_step_mean
        for name in MEASURED:
            value = getattr(readings, name)
            if value == value:
                setattr(frame, name, value)
            else:  # NaN says that there is nothing to say
                frame.ClearField(name)
        if batch.settings[row] is not self._settings:
            self._settings = batch.settings[row]
            frame.settings.CopyFrom(wire.settings_to_proto(self._settings))
        if record.applied or self._applied:
            del frame.applied[:]
            frame.applied.extend(pb.Applied(sequence=one.sequence, step=one.step) for one in record.applied)
            self._applied = record.applied
        frame.server_ms, frame.sessions = batch.server_ms, batch.num_sessions
        return self._response
