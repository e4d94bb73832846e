"""Session snapshots as resume tokens and back: what is sealed, and what is refused."""

from __future__ import annotations

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import snapshot_pb2
from inference_server.engine.session import SessionSnapshot
from inference_server.streams.tokens import FORMAT, Sealer, TokenError

STATE_FLOAT = np.dtype("<f4")


def seal(snapshot: SessionSnapshot, sealer: Sealer) -> m.ResumeToken:
    """Return the token that a client is given."""
    message = snapshot_pb2.Snapshot(
        format=FORMAT,
        session_id=snapshot.session_id,
        model=snapshot.model,
        fingerprint=snapshot.fingerprint,
        seed=snapshot.seed,
        step=snapshot.step,
        injections=snapshot.injections,
        applied_sequence=snapshot.applied,
        motion=int(snapshot.motion),  # type: ignore[arg-type]
        phase=snapshot.phase,
        settings=wire.settings_to_proto(snapshot.settings),
        origin=wire.origin_to_proto(snapshot.origin),
        state=snapshot.state.astype(STATE_FLOAT, copy=False).tobytes(),
    )
    return m.ResumeToken(sealer.seal(message), snapshot.applied)


def unseal(token: bytes, sealer: Sealer) -> SessionSnapshot:
    """Return what a client's token holds.

    Raises:
        TokenError: not sealed with this key, or of another release.
        InvalidValueError: a value out of range; only a key that leaked could do that.
    """
    message = sealer.open(token)
    if len(message.state) % STATE_FLOAT.itemsize:
        raise TokenError("the resume token's state is cut off; begin a new session")
    for name in ("seed", "step", "injections", "applied_sequence"):
        m.check_range(f"start.resume_token.{name}", getattr(message, name), 0, m.SEQUENCE_MAX)
    m.check_range("start.resume_token.phase", message.phase, 0, 2)
    return SessionSnapshot(
        session_id=message.session_id,
        model=message.model,
        fingerprint=message.fingerprint,
        seed=message.seed,
        step=message.step,
        injections=message.injections,
        applied=message.applied_sequence,
        motion=m.Motion(message.motion or m.Motion.PAUSED),
        phase=message.phase,
        settings=wire.settings_from_proto(message.settings),
        origin=wire.origin_from_proto(message.origin),
        state=np.frombuffer(message.state, STATE_FLOAT).astype(np.float32),
    )
