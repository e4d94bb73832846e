"""Between plain values (`messages`) and protobuf, in pairs; protobuf goes no further than here.

`*_from_proto` refuse bad values with `InvalidValueError` and malformed messages with `WireError`;
what they return has passed every check that needs no session. A new field of a message is one entry of
its table here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.contract.fields import (
    NAMES,
    OPTIONAL,
    SAME,
    Field,
    Table,
    enum_field,
    or_default,
    read_enum,
)
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb

WIRE_FLOAT = np.dtype("<f2")


class WireError(DiffusionToyError):
    """A message that does not have the shape that the protocol demands."""


# --- settings and origin ---------------------------------------------------------------------

SETTINGS = Table(
    m.SettingsChange,
    pb.Settings,
    "settings",
    {
        "label": OPTIONAL,
        "guidance": OPTIONAL,
        "steps_per_second": OPTIONAL,
        "stride": OPTIONAL,
        "schedule": enum_field(m.ScheduleName),
        "num_time_steps": OPTIONAL,
        "sampler": enum_field(m.Sampler),
        "eta": OPTIONAL,
    },
)


def settings_to_proto(settings: m.Settings | m.SettingsChange) -> pb.Settings:
    """Return the message of settings, whole or in part; what is None stays unset."""
    return SETTINGS.to_proto(settings)  # type: ignore[arg-type]  # which has the same names


def settings_from_proto(message: pb.Settings) -> m.Settings:
    """Return the settings of a response, in which an unset one reads as its default.

    Raises:
        InvalidValueError: a value out of range.
    """
    return SETTINGS.from_proto(message).apply_to(m.Settings())


def origin_to_proto(origin: m.Origin) -> pb.Origin:
    """Return the message of an origin."""
    message = pb.Origin(time_step=origin.time_step)
    match origin.source:
        case m.PureNoise():
            message.noise.SetInParent()
        case m.Pixels(content):
            message.pixels = content
        case m.Example(label):
            message.example.CopyFrom(pb.Example(label=label))
    return message


def origin_from_proto(message: pb.Origin) -> m.Origin:
    """Return an origin; an empty message is pure noise.

    Raises:
        InvalidValueError: a value out of range.
    """
    source: m.PureNoise | m.Pixels | m.Example
    match message.WhichOneof("source"):
        case "pixels":
            source = m.Pixels(message.pixels)
        case "example":
            source = m.Example(message.example.label if message.example.HasField("label") else None)
        case _:
            source = m.PureNoise()
    return m.Origin(source, message.time_step if message.HasField("time_step") else None)


ORIGIN = Field(origin_to_proto, lambda message, name, path: origin_from_proto(getattr(message, name)))
OPTIONAL_ORIGIN = Field(
    lambda origin: None if origin is None else origin_to_proto(origin),
    lambda message, name, path: ORIGIN.from_proto(message, name, path) if message.HasField(name) else None,
)

# --- requests --------------------------------------------------------------------------------

DISC = Table(m.Disc, pb.Disc, "disc", {"x": SAME, "y": SAME, "radius": SAME})
DIRECTION = {"direction": enum_field(m.Motion, m.Motion.REVERSE)}

START = Table(
    m.Start,
    pb.Start,
    "start",
    {
        "model": SAME,
        "origin": ORIGIN,
        "seed": OPTIONAL,
        "settings": SETTINGS.field(),
        "window": or_default(m.WINDOW_DEFAULT),
        "motion": enum_field(m.Motion, m.Motion.REVERSE),
        "resume_token": SAME,
        "watch": SAME,
        "name": SAME,
    },
)
INJECT = Table(
    m.Inject,
    pb.Inject,
    "inject",
    {
        "disc": DISC.optional_field(),  # unset, it is `whole_image` that is set
        "amount": SAME,
        "kind": enum_field(m.NoiseKind, m.NoiseKind.GAUSSIAN),
        "rule": enum_field(m.InjectionRule, m.InjectionRule.TRUTH),
    },
)

# By the name that a request has in the oneof.
REQUESTS: dict[str, Table[Any, Any]] = {
    "start": START,
    "acknowledge": Table(m.Acknowledge, pb.Acknowledge, "acknowledge", {"frame_number": SAME}),
    "inject": INJECT,
    "play": Table(m.Play, pb.Play, "play", DIRECTION),
    "pause": Table(m.Pause, pb.Pause, "pause", {}),
    "step": Table(m.Step, pb.Step, "step", DIRECTION | {"disc": DISC.optional_field()}),
    "restart": Table(m.Restart, pb.Restart, "restart", {"seed": OPTIONAL, "origin": OPTIONAL_ORIGIN}),
    "configure": Table(m.Configure, pb.Configure, "configure", {"settings": SETTINGS.field()}),
    "back": Table(m.Back, pb.Back, "back", {}),
    "jump": Table(m.Jump, pb.Jump, "jump", {"step": OPTIONAL, "time_step": OPTIONAL}),
}
_NAMES = {table.value: name for name, table in REQUESTS.items()}


def request_to_proto(request: m.Request) -> pb.DenoiseRequest:
    """Return a client's message."""
    name = _NAMES[type(request.body)]
    body = REQUESTS[name].to_proto(request.body)
    if isinstance(request.body, m.Inject) and request.body.disc is None:
        body.whole_image.SetInParent()
    fields: dict[str, Any] = {name: body}
    return pb.DenoiseRequest(sequence=request.sequence, at_step=request.at_step, **fields)


def request_from_proto(message: pb.DenoiseRequest) -> m.Request:
    """Return what a client's message says.

    Raises:
        WireError: no request is set, or one that this release does not know.
        InvalidValueError: a value out of range.
    """
    name = message.WhichOneof("request")
    if name is None:
        raise WireError(
            "the request is empty or of a kind that this server does not know; "
            f"set one of {', '.join(REQUESTS)}"
        )
    if name == "inject" and message.inject.WhichOneof("place") is None:
        raise InvalidValueError("inject.place", "(unset)", "disc or whole_image")
    body = REQUESTS[name].from_proto(getattr(message, name))
    return m.Request(body, message.sequence, message.at_step if message.HasField("at_step") else None)


# --- responses -------------------------------------------------------------------------------

CAPACITY = Table(
    m.CapacityInfo,
    pb.Capacity,
    "capacity",
    {
        "rows_per_second": SAME,
        "source": enum_field(m.CapacitySource, m.CapacitySource.START),
        "age_s": OPTIONAL,
    },
)
MODEL = Table(
    m.ModelInfo,
    pb.Model,
    "model",
    {
        "name": SAME,
        "fingerprint": SAME,
        "channels": SAME,
        "height": SAME,
        "width": SAME,
        "label_names": NAMES,
        "dataset": SAME,
        "border_value": OPTIONAL,
        "has_examples": SAME,
        "predictor": SAME,
        "capacity": CAPACITY.optional_field(),
    },
)
LIMITS = Table(
    m.Limits,
    pb.Limits,
    "limits",
    {
        "tick_rate_hz": SAME,
        "request_bytes": SAME,
        "commands_per_second": SAME,
        "pending_commands": SAME,
        "window": SAME,
        "grace_s": SAME,
        "idle_s": SAME,
        "history_states": SAME,
        "injections_per_tick": SAME,
        "pending_bytes": SAME,
    },
)
RESUME_TOKEN = Table(m.ResumeToken, pb.ResumeToken, "resume_token", {"token": SAME, "sequence": SAME})
MOVING = Table(m.Moving, pb.Moving, "moving", {"resume_token": RESUME_TOKEN.field(), "message": SAME})
REJECTED = Table(
    m.Rejected,
    pb.Rejected,
    "rejected",
    {"sequence": SAME, "field": SAME, "value": SAME, "limit": SAME, "message": SAME},
)
REFUSAL = Table(m.Refusal, pb.Refusal, "refusal", {"code": SAME, "reason": SAME})

model_to_proto, model_from_proto = MODEL.to_proto, MODEL.from_proto
resume_token_to_proto, resume_token_from_proto = RESUME_TOKEN.to_proto, RESUME_TOKEN.from_proto
moving_to_proto, moving_from_proto = MOVING.to_proto, MOVING.from_proto
rejected_to_proto, rejected_from_proto = REJECTED.to_proto, REJECTED.from_proto
refusal_to_proto, refusal_from_proto = REFUSAL.to_proto, REFUSAL.from_proto


def schedule_to_proto(schedule: m.Schedule) -> pb.Schedule:
    """Return the message of a schedule's table."""
    return pb.Schedule(
        name=int(schedule.name),  # type: ignore[arg-type]
        alphas_cumprod=schedule.alphas_cumprod.tolist(),
    )


def schedule_from_proto(message: pb.Schedule) -> m.Schedule:
    """Return a schedule's table.

    Raises:
        WireError: fewer than two values.
    """
    if len(message.alphas_cumprod) < 2:
        raise WireError(f"the schedule has {len(message.alphas_cumprod)} values; it needs at least 2")
    name = read_enum(m.ScheduleName, message.name, m.ScheduleName.COSINE, "schedule.name")
    return m.Schedule(name, np.array(message.alphas_cumprod, np.float64))


WELCOME = Table(
    m.Welcome,
    pb.Welcome,
    "welcome",
    {
        "session_id": SAME,
        "seed": SAME,
        "model": MODEL.field(),
        "schedule": Field(
            schedule_to_proto, lambda message, name, path: schedule_from_proto(message.schedule)
        ),
        "limits": LIMITS.field(),
        "settings": Field(
            settings_to_proto, lambda message, name, path: settings_from_proto(message.settings)
        ),
        "window": SAME,
        "server_version": SAME,
        "applied_sequence": SAME,
        "resumed": SAME,
        "watching": SAME,
        "wall": SAME,
    },
)
welcome_to_proto, welcome_from_proto = WELCOME.to_proto, WELCOME.from_proto


def range_from_proto(message: pb.Range) -> m.Range:
    """Return the least, mean and greatest value of a message."""
    return m.Range(message.min, message.mean, message.max)


def image_from_bytes(content: bytes, shape: tuple[int, ...], path: str) -> m.Image:
    """Return little-endian float16 as float32 of this shape.

    Raises:
        WireError: another number of bytes.
    """
    expected = int(np.prod(shape)) * WIRE_FLOAT.itemsize
    if len(content) != expected:
        raise WireError(f"{path} has {len(content)} bytes; {shape} float16 values take {expected}")
    return np.frombuffer(content, WIRE_FLOAT).astype(np.float32).reshape(shape)


def frame_from_proto(message: pb.Frame, model: m.ModelInfo) -> m.Frame:
    """Return a frame of this model's pictures.

    It has no counterpart here: the server writes frames from its batch, in `frame_message`.

    Raises:
        WireError: pictures of another size.
    """
    shape = (model.channels, model.height, model.width)
    level_map = message.level_map

    def measured(name: str) -> float | None:
        return getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]

    return m.Frame(
        number=message.number,
        step=message.step,
        applied_sequence=message.applied_sequence,
        x_t=image_from_bytes(message.x_t, shape, "frame.x_t"),
        x0_hat=image_from_bytes(message.x0_hat, shape, "frame.x0_hat"),
        level_map=image_from_bytes(level_map, shape[1:], "frame.level_map") if level_map else None,
        nominal=range_from_proto(message.nominal),
        actual=range_from_proto(message.actual),
        time_step=range_from_proto(message.time_step),
        motion=read_enum(m.Motion, message.motion, m.Motion.PAUSED, "frame.motion"),
        idle=message.idle,
        settings=settings_from_proto(message.settings),
        seed=message.seed,
        server_ms=message.server_ms,
        sessions=message.sessions,
        first_kept_step=message.first_kept_step,
        measured_by_residual=measured("measured_by_residual"),
        measured_by_border=measured("measured_by_border"),
        excess_kurtosis=measured("excess_kurtosis"),
        watchers=message.watchers,
        applied=tuple(m.Applied(applied.sequence, applied.step) for applied in message.applied),
    )


def response_from_proto(
    message: pb.DenoiseResponse, model: m.ModelInfo | None
) -> m.Response | m.Refusal | None:
    """Return what a server's message says; None for a kind that this release does not know.

    `model` is the welcome's, None before it.

    Raises:
        WireError: malformed, or a frame before the welcome.
    """
    match message.WhichOneof("response"):
        case "welcome":
            return welcome_from_proto(message.welcome)
        case "frame":
            if model is None:
                raise WireError("the server sent a frame before its welcome")
            return frame_from_proto(message.frame, model)
        case "rejected":
            return rejected_from_proto(message.rejected)
        case "schedule":
            return schedule_from_proto(message.schedule)
        case "resume_token":
            return resume_token_from_proto(message.resume_token)
        case "moving":
            return moving_from_proto(message.moving)
        case "refusal":
            return refusal_from_proto(message.refusal)
        case _:
            return None
