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
    """The one message for all frames of a stream: filling it anew costs half of making another."""

    def __init__(self) -> None:
        self._response = pb.DenoiseResponse(frame=pb.Frame())
        self._frame = self._response.frame
        self._ranges = self._frame.nominal, self._frame.actual, self._frame.time_step
        self._settings: m.Settings | None = None
        self._applied: tuple[m.Applied, ...] = ()

    def fill(self, record: FrameRecord) -> pb.DenoiseResponse:
        """One row of a tick's batch. The message holds until the next call."""
        batch, row, frame = record.batch, record.row, self._frame
        channels, height, width = batch.shape
        image, plane = 2 * channels * height * width, 2 * height * width  # bytes
        begin = row * (2 * image + plane)
        content = batch.content
        number, step, applied, motion, idle, seed, first_kept, watchers = batch.numbers_of_rows[row]
        frame.number, frame.step, frame.applied_sequence = number, step, applied
        frame.motion = motion  # type: ignore[assignment]
        frame.idle, frame.seed, frame.first_kept_step, frame.watchers = idle, seed, first_kept, watchers
        readings = batch.readings_of_rows[row]
        frame.x_t = content[begin : begin + image]
        frame.x0_hat = content[begin + image : begin + 2 * image]
        constant = readings[0] == readings[2]
        frame.level_map = b"" if constant else content[begin + 2 * image : begin + 2 * image + plane]
        nominal, actual, time_step = self._ranges
        nominal.min, nominal.mean, nominal.max = readings[0:3]
        actual.min, actual.mean, actual.max = readings[3:6]
        time_step.min, time_step.mean, time_step.max = readings[6:9]
        for name, value in zip(MEASURED, readings[9:12], strict=True):
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
        frame.server_ms, frame.sessions = batch.server_ms[0], batch.people
        return self._response
