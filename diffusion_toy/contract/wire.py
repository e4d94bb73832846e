"""Between plain values (`messages`) and protobuf, in pairs; protobuf goes no further than here.

`*_from_proto` refuse bad values with `InvalidValueError` and malformed messages with `WireError`;
what they return has passed every check that needs no session.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeVar

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb

E = TypeVar("E", bound=IntEnum)

WIRE_FLOAT = np.dtype("<f2")


class WireError(DiffusionToyError):
    """A message that does not have the shape that the protocol demands."""


def _enum(kind: type[E], number: int, default: E, path: str) -> E:
    if number == 0:
        return default
    try:
        return kind(number)
    except ValueError:
        allowed = ", ".join(f"{member.value} {member.name}" for member in kind)
        raise InvalidValueError(path, number, allowed) from None


def _optional(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


# --- settings and origin ---------------------------------------------------------------------


def settings_to_proto(settings: m.Settings | m.SettingsChange) -> pb.Settings:
    """Settings, whole or in part; what is None stays unset."""
    return pb.Settings(
        label=settings.label,
        guidance=settings.guidance,
        steps_per_second=settings.steps_per_second,
        stride=settings.stride,
        schedule=int(settings.schedule or 0),  # type: ignore[arg-type]
        num_time_steps=settings.num_time_steps,
        sampler=int(settings.sampler or 0),  # type: ignore[arg-type]
        eta=settings.eta,
    )


def settings_change_from_proto(message: pb.Settings) -> m.SettingsChange:
    """Settings of a request, of which some may be unset.

    Raises:
        InvalidValueError: a value out of range.
    """
    path = "settings."
    schedule = message.schedule and _enum(
        m.ScheduleName, message.schedule, m.ScheduleName.COSINE, path + "schedule"
    )
    sampler = message.sampler and _enum(m.Sampler, message.sampler, m.Sampler.DDPM, path + "sampler")
    return m.SettingsChange(
        label=_optional(message, "label"),
        guidance=_optional(message, "guidance"),
        steps_per_second=_optional(message, "steps_per_second"),
        stride=_optional(message, "stride"),
        schedule=m.ScheduleName(schedule) if schedule else None,
        num_time_steps=_optional(message, "num_time_steps"),
        sampler=m.Sampler(sampler) if sampler else None,
        eta=_optional(message, "eta"),
    )


def settings_from_proto(message: pb.Settings) -> m.Settings:
    """Settings of a response, every field set (an unset one reads as its default)."""
    return settings_change_from_proto(message).apply_to(m.Settings())


def origin_to_proto(origin: m.Origin) -> pb.Origin:
    """Where an image comes from."""
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
    """Where an image comes from.

    Raises:
        InvalidValueError: a value out of range.
    """
    source: m.PureNoise | m.Pixels | m.Example
    match message.WhichOneof("source"):
        case "pixels":
            source = m.Pixels(message.pixels)
        case "example":
            source = m.Example(_optional(message.example, "label"))
        case _:
            source = m.PureNoise()
    return m.Origin(source, _optional(message, "time_step"))


# --- requests --------------------------------------------------------------------------------


def disc_to_proto(disc: m.Disc) -> pb.Disc:
    """A disc of an injection or a step."""
    return pb.Disc(x=disc.x, y=disc.y, radius=disc.radius)


def disc_from_proto(message: pb.Disc) -> m.Disc:
    """A disc of an injection or a step."""
    return m.Disc(message.x, message.y, message.radius)


def request_to_proto(request: m.Request) -> pb.DenoiseRequest:
    """A client's message."""
    message = pb.DenoiseRequest(sequence=request.sequence, at_step=request.at_step)
    match request.body:
        case m.Start() as start:
            message.start.CopyFrom(
                pb.Start(
                    model=start.model,
                    origin=origin_to_proto(start.origin),
                    seed=start.seed,
                    settings=settings_to_proto(start.settings),
                    window=start.window,
                    motion=int(start.motion),  # type: ignore[arg-type]
                    resume_token=start.resume_token,
                    watch=start.watch,
                )
            )
        case m.Acknowledge(frame_number):
            message.acknowledge.frame_number = frame_number
        case m.Inject(disc, amount, kind, rule):
            inject = message.inject
            inject.amount = amount
            inject.kind = int(kind)  # type: ignore[assignment]
            inject.rule = int(rule)  # type: ignore[assignment]
            if disc is None:
                inject.whole_image.SetInParent()
            else:
                inject.disc.CopyFrom(disc_to_proto(disc))
        case m.Play(direction):
            message.play.direction = int(direction)  # type: ignore[assignment]
        case m.Pause():
            message.pause.SetInParent()
        case m.Step(direction, disc):
            message.step.direction = int(direction)  # type: ignore[assignment]
            if disc is not None:
                message.step.disc.CopyFrom(disc_to_proto(disc))
        case m.Restart(seed, origin):
            restart = pb.Restart(seed=seed, origin=origin_to_proto(origin) if origin else None)
            message.restart.CopyFrom(restart)
        case m.Configure(settings):
            message.configure.settings.CopyFrom(settings_to_proto(settings))
        case m.Back():
            message.back.SetInParent()
        case m.Jump(step, time_step):
            if step is not None:
                message.jump.step = step
            elif time_step is not None:
                message.jump.time_step = time_step
    return message


def _inject_from_proto(message: pb.Inject) -> m.Inject:
    place = message.WhichOneof("place")
    if place is None:
        raise InvalidValueError("inject.place", "(unset)", "disc or whole_image")
    return m.Inject(
        disc=disc_from_proto(message.disc) if place == "disc" else None,
        amount=message.amount,
        kind=_enum(m.NoiseKind, message.kind, m.NoiseKind.GAUSSIAN, "inject.kind"),
        rule=_enum(m.InjectionRule, message.rule, m.InjectionRule.TRUTH, "inject.rule"),
    )


def _start_from_proto(message: pb.Start) -> m.Start:
    return m.Start(
        model=message.model,
        origin=origin_from_proto(message.origin),
        seed=_optional(message, "seed"),
        settings=settings_change_from_proto(message.settings),
        window=message.window or m.WINDOW_DEFAULT,
        motion=_enum(m.Motion, message.motion, m.Motion.REVERSE, "start.motion"),
        resume_token=message.resume_token,
        watch=message.watch,
    )


def request_from_proto(message: pb.DenoiseRequest) -> m.Request:
    """A client's message.

    Raises:
        WireError: no request is set, or one that this release does not know.
        InvalidValueError: a value out of range.
    """
    body: m.Start | m.Acknowledge | m.Command
    match message.WhichOneof("request"):
        case "start":
            body = _start_from_proto(message.start)
        case "acknowledge":
            body = m.Acknowledge(message.acknowledge.frame_number)
        case "inject":
            body = _inject_from_proto(message.inject)
        case "play":
            body = m.Play(_enum(m.Motion, message.play.direction, m.Motion.REVERSE, "play.direction"))
        case "pause":
            body = m.Pause()
        case "step":
            disc = _optional(message.step, "disc")
            body = m.Step(
                _enum(m.Motion, message.step.direction, m.Motion.REVERSE, "step.direction"),
                disc_from_proto(disc) if disc is not None else None,
            )
        case "restart":
            origin = _optional(message.restart, "origin")
            body = m.Restart(
                seed=_optional(message.restart, "seed"),
                origin=origin_from_proto(origin) if origin is not None else None,
            )
        case "configure":
            body = m.Configure(settings_change_from_proto(message.configure.settings))
        case "back":
            body = m.Back()
        case "jump":
            target = message.jump.WhichOneof("target")
            body = m.Jump(
                step=message.jump.step if target == "step" else None,
                time_step=message.jump.time_step if target == "time_step" else None,
            )
        case _:
            raise WireError(
                "the request is empty or of a kind that this server does not know; "
                "set one of start, acknowledge, inject, play, pause, step, restart, configure, back, jump"
            )
    return m.Request(body, message.sequence, _optional(message, "at_step"))


# --- responses -------------------------------------------------------------------------------


def model_to_proto(model: m.ModelInfo) -> pb.Model:
    """A model's description."""
    return pb.Model(
        name=model.name,
        fingerprint=model.fingerprint,
        channels=model.channels,
        height=model.height,
        width=model.width,
        label_names=model.label_names,
        dataset=model.dataset,
        border_value=model.border_value,
        has_examples=model.has_examples,
        predictor=model.predictor,
    )


def model_from_proto(message: pb.Model) -> m.ModelInfo:
    """A model's description."""
    return m.ModelInfo(
        name=message.name,
        fingerprint=message.fingerprint,
        channels=message.channels,
        height=message.height,
        width=message.width,
        label_names=tuple(message.label_names),
        dataset=message.dataset,
        border_value=_optional(message, "border_value"),
        has_examples=message.has_examples,
        predictor=message.predictor,
    )


def schedule_to_proto(schedule: m.Schedule) -> pb.Schedule:
    """A schedule's table."""
    return pb.Schedule(
        name=int(schedule.name),  # type: ignore[arg-type]
        alphas_cumprod=schedule.alphas_cumprod.tolist(),
    )


def schedule_from_proto(message: pb.Schedule) -> m.Schedule:
    """A schedule's table.

    Raises:
        WireError: fewer than two values.
    """
    if len(message.alphas_cumprod) < 2:
        raise WireError(f"the schedule has {len(message.alphas_cumprod)} values; it needs at least 2")
    name = _enum(m.ScheduleName, message.name, m.ScheduleName.COSINE, "schedule.name")
    return m.Schedule(name, np.array(message.alphas_cumprod, np.float64))


def welcome_to_proto(welcome: m.Welcome) -> pb.Welcome:
    """The first response."""
    limits = welcome.limits
    return pb.Welcome(
        session_id=welcome.session_id,
        seed=welcome.seed,
        model=model_to_proto(welcome.model),
        schedule=schedule_to_proto(welcome.schedule),
        limits=pb.Limits(
            tick_rate_hz=limits.tick_rate_hz,
            request_bytes=limits.request_bytes,
            commands_per_second=limits.commands_per_second,
            pending_commands=limits.pending_commands,
            window=limits.window,
            grace_s=limits.grace_s,
            idle_s=limits.idle_s,
            history_states=limits.history_states,
            injections_per_tick=limits.injections_per_tick,
        ),
        settings=settings_to_proto(welcome.settings),
        window=welcome.window,
        server_version=welcome.server_version,
        applied_sequence=welcome.applied_sequence,
        resumed=welcome.resumed,
        watching=welcome.watching,
    )


def welcome_from_proto(message: pb.Welcome) -> m.Welcome:
    """The first response."""
    limits = message.limits
    return m.Welcome(
        session_id=message.session_id,
        seed=message.seed,
        model=model_from_proto(message.model),
        schedule=schedule_from_proto(message.schedule),
        limits=m.Limits(
            tick_rate_hz=limits.tick_rate_hz,
            request_bytes=limits.request_bytes,
            commands_per_second=limits.commands_per_second,
            pending_commands=limits.pending_commands,
            window=limits.window,
            grace_s=limits.grace_s,
            idle_s=limits.idle_s,
            history_states=limits.history_states,
            injections_per_tick=limits.injections_per_tick,
        ),
        settings=settings_from_proto(message.settings),
        window=message.window,
        server_version=message.server_version,
        applied_sequence=message.applied_sequence,
        resumed=message.resumed,
        watching=message.watching,
    )


def rejected_to_proto(rejected: m.Rejected) -> pb.Rejected:
    """A command that changed nothing."""
    return pb.Rejected(
        sequence=rejected.sequence,
        field=rejected.field,
        value=rejected.value,
        limit=rejected.limit,
        message=rejected.message,
    )


def rejected_from_proto(message: pb.Rejected) -> m.Rejected:
    """A command that changed nothing."""
    return m.Rejected(message.sequence, message.field, message.value, message.limit, message.message)


def resume_token_to_proto(token: m.ResumeToken) -> pb.ResumeToken:
    """What a session needs to go on elsewhere."""
    return pb.ResumeToken(token=token.token, sequence=token.sequence)


def resume_token_from_proto(message: pb.ResumeToken) -> m.ResumeToken:
    """What a session needs to go on elsewhere."""
    return m.ResumeToken(message.token, message.sequence)


def moving_to_proto(moving: m.Moving) -> pb.Moving:
    """The server is shutting down."""
    return pb.Moving(resume_token=resume_token_to_proto(moving.resume_token), message=moving.message)


def moving_from_proto(message: pb.Moving) -> m.Moving:
    """The server is shutting down."""
    return m.Moving(resume_token_from_proto(message.resume_token), message.message)


def range_from_proto(message: pb.Range) -> m.Range:
    """Least, mean and greatest."""
    return m.Range(message.min, message.mean, message.max)


def image_from_bytes(content: bytes, shape: tuple[int, ...], path: str) -> m.Image:
    """Little-endian float16 as float32 of this shape.

    Raises:
        WireError: another number of bytes.
    """
    expected = int(np.prod(shape)) * WIRE_FLOAT.itemsize
    if len(content) != expected:
        raise WireError(f"{path} has {len(content)} bytes; {shape} float16 values take {expected}")
    return np.frombuffer(content, WIRE_FLOAT).astype(np.float32).reshape(shape)


def frame_from_proto(message: pb.Frame, model: m.ModelInfo) -> m.Frame:
    """A frame of this model's pictures. (The server writes frames from its batch: `frame_message`.)

    Raises:
        WireError: pictures of another size.
    """
    shape = (model.channels, model.height, model.width)
    level_map = message.level_map
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
        motion=_enum(m.Motion, message.motion, m.Motion.PAUSED, "frame.motion"),
        idle=message.idle,
        settings=settings_from_proto(message.settings),
        seed=message.seed,
        server_ms=message.server_ms,
        sessions=message.sessions,
        first_kept_step=message.first_kept_step,
        measured_by_residual=_optional(message, "measured_by_residual"),
        measured_by_border=_optional(message, "measured_by_border"),
        excess_kurtosis=_optional(message, "excess_kurtosis"),
        watchers=message.watchers,
        applied=tuple(m.Applied(applied.sequence, applied.step) for applied in message.applied),
    )


def response_from_proto(message: pb.DenoiseResponse, model: m.ModelInfo | None) -> m.Response | None:
    """A server's message; None for a kind that this release does not know, to be ignored.

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
        case _:
            return None
