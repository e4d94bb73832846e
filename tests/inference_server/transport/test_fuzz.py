"""Anything on the wire: the server answers or hangs up, logs no error, and nobody else notices."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.inference_server.faults import Looker, serious
from tests.models import tiny_flags
from tests.tools import ServerProcess, running_server, wait_for

EXAMPLES = 120
WAIT_MAX_S = 5.0  # for a bystander's next frame; one that waits for another's stream waits longer
STALL_S = 30.0  # that no stream may take to end
ENDS = {
    grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.CANCELLED,
}  # fmt: skip
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    flags = [*tiny_flags(tmp_path_factory.mktemp("model")), "--grace", "0.5"]
    with running_server(*flags, "--max-sessions", "16") as process:
        yield process
        assert not serious(process)


@pytest.fixture
def bystander(server: ServerProcess) -> Iterator[Looker]:
    """Somebody whose session must go on all the while."""
    settings = m.SettingsChange(num_time_steps=1000, steps_per_second=20)
    with contextlib.closing(Looker(server.address, m.Start(settings=settings))) as looker:
        yield looker
        goes_on(looker)
        times = [when for when, _, _ in looker.seen]
        assert max(b - a for a, b in itertools.pairwise(times)) < WAIT_MAX_S, "it has waited"


def goes_on(bystander: Looker) -> None:
    step = bystander.step
    wait_for(lambda: bystander.step > step, "the bystander's next step")


# --- requests of any kind, from the contract itself ---

NUMBERS = (0, 1, 2, 3, 10, 300, 1000, 1001, 2**31 - 1)
UINT64 = st.one_of(st.sampled_from((*NUMBERS, 2**63 - 1, 2**63, 2**64 - 1)), st.integers(0, 2**64 - 1))
UINT32 = st.one_of(st.sampled_from((*NUMBERS, 2**32 - 1)), st.integers(0, 2**32 - 1))
INT32 = st.one_of(st.sampled_from((*NUMBERS, -1, -2, -(2**31))), st.integers(-(2**31), 2**31 - 1))
FLOAT = st.one_of(
    st.sampled_from((0.0, -0.0, 0.5, 1.0, 60.0, 1000.0, 1e-45, 3.4e38)), st.floats(width=32), st.floats(0, 1)
)
BYTES = st.one_of(st.binary(max_size=64), st.binary(min_size=784, max_size=784), st.just(bytes(70_000)))
TYPES = {
    FieldDescriptor.TYPE_UINT64: UINT64,
    FieldDescriptor.TYPE_UINT32: UINT32,
    FieldDescriptor.TYPE_INT32: INT32,
    FieldDescriptor.TYPE_FLOAT: FLOAT,
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_STRING: st.one_of(st.just(""), st.text(max_size=8)),
    FieldDescriptor.TYPE_ENUM: st.one_of(st.integers(0, 7), INT32),
}


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    return messages(field.message_type) if field.message_type is not None else TYPES[field.type]


def message(kind: Descriptor, fields: dict[str, Any]) -> Message:
    made = GetMessageClass(kind)()
    for name, value in fields.items():
        if isinstance(value, Message):
            getattr(made, name).CopyFrom(value)
        else:
            setattr(made, name, value)
    return made


def messages(kind: Descriptor) -> st.SearchStrategy[Message]:
    """Messages of a kind: any fields, any values, at most one of each `oneof`."""

    def named(field: FieldDescriptor) -> st.SearchStrategy[dict[str, Any]]:
        return values(field).map(lambda value: {field.name: value})

    alone = (f for f in kind.fields if f.containing_oneof is None or len(f.containing_oneof.fields) == 1)
    groups = [[field] for field in alone] + [group.fields for group in kind.oneofs if len(group.fields) > 1]
    chosen = [st.one_of(st.just({}), *map(named, group)) for group in groups]
    return st.tuples(*chosen).map(
        lambda parts: message(kind, {k: v for part in parts for k, v in part.items()})
    )


REQUEST: Descriptor = pb.DenoiseRequest.DESCRIPTOR
GOOD_STARTS = st.sampled_from(
    [
        pb.Start(),
        pb.Start(window=32, settings=pb.Settings(num_time_steps=1000, label=3, guidance=2)),
        pb.Start(motion=pb.MOTION_PAUSED),
        pb.Start(motion=pb.MOTION_FORWARD, origin=pb.Origin(example=pb.Example(), time_step=0)),
    ]
)


@st.composite
def conversations(draw: st.DrawFn) -> list[pb.DenoiseRequest]:
    """What a client says: often a proper start and rising numbers, so that it gets somewhere."""
    requests: list[Any] = draw(st.lists(messages(REQUEST), min_size=1, max_size=12))
    if draw(st.integers(0, 3)):
        requests.insert(0, pb.DenoiseRequest(start=draw(GOOD_STARTS)))
    if draw(st.integers(0, 3)):
        for number, request in enumerate(requests, 1):
            request.sequence = number
    return requests


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(conversations(), st.booleans())
def converse(
    channel: grpc.Channel,
    server: ServerProcess,
    ends: set[grpc.StatusCode],
    requests: list[pb.DenoiseRequest],
    cancels: bool,
) -> None:
    call = pb_grpc.DenoiseServiceStub(channel).Denoise(iter(requests), timeout=STALL_S)
    try:
        for number, _ in enumerate(call):
            if cancels and number == 3:
                call.cancel()
    except grpc.RpcError:
        pass
    code = call.code()
    ends.add(code)
    assert code in ENDS, (code, call.details(), requests)
    assert not serious(server), requests


def test_requests_in_any_order_with_any_values_end_with_a_reason(
    server: ServerProcess, bystander: Looker
) -> None:
    ends: set[grpc.StatusCode] = set()
    with grpc.insecure_channel(server.address) as channel:
        converse(channel, server, ends)
    assert {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT} <= ends


def test_what_resumes_with_random_bytes_is_refused(server: ServerProcess, bystander: Looker) -> None:
    rng = random.Random(1)
    with grpc.insecure_channel(server.address) as channel:
        for size in (1, 2, 10, 100, 1000, 10_000, 60_000):
            start = pb.Start(resume_token=rng.randbytes(size), seed=rng.choice([None, 5]))
            call = pb_grpc.DenoiseServiceStub(channel).Denoise(
                iter([pb.DenoiseRequest(start=start)]), timeout=STALL_S
            )
            with pytest.raises(grpc.RpcError):
                list(call)
            assert call.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not serious(server)


# --- bytes that are no HTTP/2 ---


def garbage(rng: random.Random) -> Iterator[bytes]:
    """What comes first on a connection."""
    for size in (0, 1, 9, 1000, 100_000):
        yield rng.randbytes(size)
    for length in (1, 12, 23, 24):
        yield PREFACE[:length]
    yield PREFACE + SETTINGS
    yield PREFACE + SETTINGS + rng.randbytes(5000)
    for kind in range(12):  # frames of each type, with a length that lies
        yield (
            PREFACE
            + SETTINGS
            + struct.pack(">I", 50)[1:]
            + bytes([kind, 0xFF])
            + struct.pack(">I", 1)
            + b"x" * 20
        )
    yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield bytes.fromhex("16030100") + rng.randbytes(300)  # as if it were TLS


def test_bytes_that_are_no_http2_disturb_nobody(server: ServerProcess, bystander: Looker) -> None:
    rng = random.Random(2)
    with contextlib.ExitStack() as stack:
        for content in (*garbage(rng), *garbage(rng)):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            with contextlib.suppress(OSError):
                raw.sendall(content)
        for _ in range(50):  # connected, and silent
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        goes_on(bystander)
        settings = m.SettingsChange(steps_per_second=20)
        with contextlib.closing(Looker(server.address, m.Start(settings=settings))) as newcomer:
            goes_on(newcomer)
    assert server.process.poll() is None
    assert not serious(server)
