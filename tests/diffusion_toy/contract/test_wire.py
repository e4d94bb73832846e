"""Plain values survive the wire, and what is out of range is refused with its path."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb

unit = st.floats(0, 1, width=32)
positive = st.floats(0.125, 1, width=32)
changes = st.builds(
    m.SettingsChange,
    label=st.none() | st.integers(-1, 20),
    guidance=st.none() | st.floats(0, 8, width=32),
    steps_per_second=st.none() | st.floats(0.5, 60, width=32),
    stride=st.none() | st.integers(1, 1000),
    schedule=st.none() | st.sampled_from(m.ScheduleName),
    num_time_steps=st.none() | st.integers(2, 1000),
    sampler=st.none() | st.sampled_from(m.Sampler),
    eta=st.none() | unit,
)
seeds = st.none() | st.integers(0, m.SEED_MAX)
sources = (
    st.just(m.PureNoise())
    | st.builds(m.Pixels, st.binary(max_size=50))
    | st.builds(m.Example, st.none() | st.integers(0, 9))
)
origins = st.builds(m.Origin, sources, st.none() | st.floats(0, 1000, width=32))
directions = st.sampled_from([m.Motion.REVERSE, m.Motion.FORWARD])
discs = st.none() | st.builds(m.Disc, unit, unit, positive)
bodies = (
    st.builds(
        m.Start, st.text(max_size=9), origins, seeds, changes, st.integers(1, 32), st.sampled_from(m.Motion)
    )
    | st.builds(m.Acknowledge, st.integers(0, 2**63))
    | st.builds(
        m.Inject,
        discs,
        st.floats(0.5, 1000, width=32),
        st.sampled_from(m.NoiseKind),
        st.sampled_from(m.InjectionRule),
    )
    | st.builds(m.Play, directions)
    | st.just(m.Pause())
    | st.builds(m.Step, directions, discs)
    | st.builds(m.Restart, seeds, st.none() | origins)
    | st.builds(m.Configure, changes)
    | st.just(m.Back())
    | st.builds(m.Jump, step=st.integers(0, 2**63))
    | st.builds(m.Jump, time_step=st.floats(0, 1000, width=32))
)
requests = st.builds(m.Request, bodies, st.integers(0, 2**63), st.none() | st.integers(0, 2**63))


@given(requests)
def test_requests_survive_the_wire(request: m.Request) -> None:
    content = wire.request_to_proto(request).SerializeToString()
    assert wire.request_from_proto(pb.DenoiseRequest.FromString(content)) == request


@pytest.mark.parametrize(
    "capacity",
    [None, m.CapacityInfo(500.0, m.CapacitySource.GIVEN), m.CapacityInfo(0.5, m.CapacitySource.TICKS, 0.0)],
)
def test_a_listed_model_survives_the_wire(capacity: m.CapacityInfo | None) -> None:
    model = m.ModelInfo(
        "name", "0123", 1, 28, 28, ("a", "b"), "set", -1.0, True, "OpenVINO", capacity=capacity
    )
    content = wire.model_to_proto(model).SerializeToString()
    assert wire.model_from_proto(pb.Model.FromString(content)) == model


def test_a_welcome_survives_the_wire() -> None:
    model = m.ModelInfo("name", "0123", 1, 28, 28, ("a", "b"), "set", None, True)
    schedule = m.Schedule(m.ScheduleName.LINEAR, np.array([1.0, 0.5, 0.0]))
    welcome = m.Welcome("id", 5, model, schedule, m.Limits(), m.Settings(label=1, stride=4), 7, "1.0")
    back = wire.welcome_from_proto(wire.welcome_to_proto(welcome))
    assert back.model == model
    assert back.settings == welcome.settings
    assert back.limits == welcome.limits
    assert (back.schedule.alphas_cumprod == schedule.alphas_cumprod).all()
    assert (back.session_id, back.seed, back.window, back.server_version) == ("id", 5, 7, "1.0")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (m.Motion, pb.Motion),
        (m.NoiseKind, pb.NoiseKind),
        (m.InjectionRule, pb.InjectionRule),
        (m.ScheduleName, pb.ScheduleName),
        (m.Sampler, pb.Sampler),
        (m.CapacitySource, pb.CapacitySource),
    ],
)
def test_our_enumerations_are_the_protocols(ours: type[IntEnum], theirs: Any) -> None:
    there = {number: name for name, number in theirs.items() if number}
    assert set(there) == {member.value for member in ours}
    assert all(there[member.value].endswith(f"_{member.name}") for member in ours)


def disc(**values: float) -> pb.Inject:
    return pb.Inject(disc=pb.Disc(**{"x": 0.5, "y": 0.5, "radius": 0.2, **values}), amount=5)


NAN, INFINITY = math.nan, math.inf
BAD = [
    ("inject.disc.x", pb.DenoiseRequest(inject=disc(x=-0.01))),
    ("inject.disc.y", pb.DenoiseRequest(inject=disc(y=1.01))),
    ("inject.disc.x", pb.DenoiseRequest(inject=disc(x=NAN))),
    ("inject.disc.radius", pb.DenoiseRequest(inject=disc(radius=0))),
    ("inject.disc.radius", pb.DenoiseRequest(inject=disc(radius=1.5))),
    ("inject.disc.radius", pb.DenoiseRequest(inject=disc(radius=INFINITY))),
    ("inject.place", pb.DenoiseRequest(inject=pb.Inject(amount=5))),
    ("inject.amount", pb.DenoiseRequest(inject=pb.Inject(whole_image=pb.WholeImage()))),
    ("inject.amount", pb.DenoiseRequest(inject=pb.Inject(whole_image=pb.WholeImage(), amount=-3))),
    ("inject.amount", pb.DenoiseRequest(inject=pb.Inject(whole_image=pb.WholeImage(), amount=1001))),
    ("inject.amount", pb.DenoiseRequest(inject=pb.Inject(whole_image=pb.WholeImage(), amount=NAN))),
    ("inject.kind", pb.DenoiseRequest(inject=pb.Inject(whole_image=pb.WholeImage(), amount=1, kind=99))),
    ("settings.label", pb.DenoiseRequest(start=pb.Start(settings=pb.Settings(label=-2)))),
    ("settings.guidance", pb.DenoiseRequest(start=pb.Start(settings=pb.Settings(guidance=8.5)))),
    ("settings.eta", pb.DenoiseRequest(start=pb.Start(settings=pb.Settings(eta=NAN)))),
    ("settings.stride", pb.DenoiseRequest(start=pb.Start(settings=pb.Settings(stride=0)))),
    ("settings.num_time_steps", pb.DenoiseRequest(start=pb.Start(settings=pb.Settings(num_time_steps=1)))),
    (
        "settings.steps_per_second",
        pb.DenoiseRequest(start=pb.Start(settings=pb.Settings(steps_per_second=0))),
    ),
    ("start.seed", pb.DenoiseRequest(start=pb.Start(seed=2**63))),
    ("start.window", pb.DenoiseRequest(start=pb.Start(window=33))),
    ("origin.time_step", pb.DenoiseRequest(start=pb.Start(origin=pb.Origin(time_step=-1)))),
    ("origin.time_step", pb.DenoiseRequest(start=pb.Start(origin=pb.Origin(time_step=INFINITY)))),
    ("restart.seed", pb.DenoiseRequest(restart=pb.Restart(seed=2**64 - 1))),
    ("play.direction", pb.DenoiseRequest(play=pb.Play(direction=pb.MOTION_PAUSED))),
    ("step.direction", pb.DenoiseRequest(step=pb.Step(direction=pb.MOTION_PAUSED))),
    ("step.disc.radius", pb.DenoiseRequest(step=pb.Step(disc=pb.Disc()))),
    ("step.disc.x", pb.DenoiseRequest(step=pb.Step(disc=pb.Disc(x=-1, radius=0.5)))),
    ("step.disc.y", pb.DenoiseRequest(step=pb.Step(disc=pb.Disc(y=NAN, radius=0.5)))),
]


@pytest.mark.parametrize(("field", "message"), BAD, ids=[f"{i}-{field}" for i, (field, _) in enumerate(BAD)])
def test_a_value_out_of_range_is_named(field: str, message: pb.DenoiseRequest) -> None:
    with pytest.raises(InvalidValueError) as caught:
        wire.request_from_proto(message)
    assert caught.value.field == field
    assert caught.value.limit


@pytest.mark.parametrize(("name", "value"), [("x", -0.01), ("y", 1.01), ("radius", 0.0), ("radius", NAN)])
def test_a_disc_out_of_range_is_named_by_its_command(name: str, value: float) -> None:
    bad = replace(m.Disc(0.5, 0.5, 0.2), **{name: value})
    for path, command in (("inject", lambda: m.Inject(bad, 5.0)), ("step", lambda: m.Step(disc=bad))):
        with pytest.raises(InvalidValueError) as caught:
            command()
        assert caught.value.field == f"{path}.disc.{name}"


def test_what_has_been_applied_survives_the_wire() -> None:
    model = m.ModelInfo("name", "", 1, 2, 2, (), "", None, False)
    applied = [pb.Applied(sequence=2, step=5), pb.Applied(sequence=3)]
    message = pb.Frame(x_t=bytes(8), x0_hat=bytes(8), applied=applied)
    assert wire.frame_from_proto(message, model).applied == (m.Applied(2, 5), m.Applied(3, 0))


def test_an_empty_request_is_malformed() -> None:
    with pytest.raises(wire.WireError, match="empty"):
        wire.request_from_proto(pb.DenoiseRequest(sequence=3))


def test_a_frame_of_another_size_is_malformed() -> None:
    model = m.ModelInfo("name", "", 1, 28, 28, (), "", None, False)
    with pytest.raises(wire.WireError, match=r"frame\.x_t has 10 bytes"):
        wire.frame_from_proto(pb.Frame(x_t=b"0123456789"), model)


def test_a_refusal_survives_the_wire() -> None:
    refusal = m.Refusal(8, "the server is full")
    message = pb.DenoiseResponse(refusal=wire.refusal_to_proto(refusal))
    assert wire.response_from_proto(message, None) == refusal


def test_an_unknown_response_is_ignored() -> None:
    assert wire.response_from_proto(pb.DenoiseResponse(), None) is None
