"""Resume tokens: what was sealed comes back, and nothing else is taken for one."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1.snapshot_pb2 import SealedSnapshot, Snapshot
from inference_server.streams.tokens import FORMAT, Sealer, TokenError

KEY = b"0123456789abcdef"
SEALER = Sealer(KEY)


def snapshot(state: bytes = b"\x00\x01\x02\x03", session_id: str = "5a", seed: int = 7) -> Snapshot:
    settings = pb.Settings(label=-1, guidance=1.5)
    return Snapshot(session_id=session_id, seed=seed, step=12, settings=settings, state=state)


def sealed(content: bytes, key: bytes = KEY) -> bytes:
    """Any content with a right proof."""
    mac = hmac.new(key, content, hashlib.sha256).digest()
    return SealedSnapshot(snapshot=content, mac=mac).SerializeToString()


@given(st.binary(max_size=2000), st.text(max_size=20), st.integers(0, 2**63 - 1))
def test_a_sealed_snapshot_comes_back(state: bytes, session_id: str, seed: int) -> None:
    before = snapshot(state, session_id, seed)
    after = SEALER.open(SEALER.seal(before))
    assert after.format == FORMAT
    assert before.format == 0  # what was given is not touched
    before.format = FORMAT
    assert after == before


def test_every_flipped_bit_is_refused() -> None:
    token = SEALER.seal(snapshot())
    for bit in range(8 * len(token)):
        changed = bytearray(token)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TokenError):
            SEALER.open(bytes(changed))


@given(st.binary(max_size=500), st.data())
def test_any_flipped_bit_of_any_token_is_refused(state: bytes, data: st.DataObject) -> None:
    token = bytearray(SEALER.seal(snapshot(state)))
    bit = data.draw(st.integers(0, 8 * len(token) - 1))
    token[bit // 8] ^= 1 << bit % 8
    with pytest.raises(TokenError):
        SEALER.open(bytes(token))


@given(st.binary(max_size=500))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(TokenError):
        SEALER.open(content)


@given(st.binary(max_size=500))
def test_any_proven_bytes_are_refused_or_parsed(content: bytes) -> None:
    with contextlib.suppress(TokenError):
        assert SEALER.open(sealed(content)).format == FORMAT


@given(st.data())
def test_a_token_that_was_cut_is_refused(data: st.DataObject) -> None:
    token = SEALER.seal(snapshot())
    kept = data.draw(st.integers(0, len(token) - 1))
    with pytest.raises(TokenError):
        SEALER.open(token[:kept])


def test_another_servers_key_is_told_apart() -> None:
    with pytest.raises(TokenError, match="not made with this server's key"):
        Sealer(secrets.token_bytes(32)).open(SEALER.seal(snapshot()))
    assert Sealer(KEY).open(SEALER.seal(snapshot())).session_id == "5a"


@pytest.mark.parametrize("number", [0, FORMAT + 1])
def test_another_format_is_named(number: int) -> None:
    content = Snapshot(format=number, session_id="x").SerializeToString()
    with pytest.raises(TokenError, match=f"has format {number} and this server reads {FORMAT}"):
        SEALER.open(sealed(content))


def test_the_limit_holds_both_ways() -> None:
    token = SEALER.seal(snapshot())
    assert Sealer(KEY, len(token)).open(Sealer(KEY, len(token)).seal(snapshot())) == SEALER.open(token)
    small = Sealer(KEY, len(token) - 1)
    for attempt in (lambda: small.seal(snapshot()), lambda: small.open(token)):
        with pytest.raises(TokenError, match=f"{len(token)} bytes exceeds the limit of {len(token) - 1}"):
            attempt()


def test_a_short_key_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="16 bytes and more"):
        Sealer(KEY[:-1])
