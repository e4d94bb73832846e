"""Sessions as snapshots, and back into their slots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.arrays import on_host
from diffusion_toy.model.checkpoint import LoadedModel
from inference_server.engine.controls import Controls
from inference_server.engine.errors import NotHereError
from inference_server.engine.session import Session, SessionSnapshot
from inference_server.engine.slots import SlotState


class Snapshots:
    """Takes snapshots of sessions and puts them back.

    Args:
        model: what the sessions run.
        state, controls: of all slots.
    """

    def __init__(self, model: LoadedModel, state: SlotState, controls: Controls) -> None:
        """Read and write these arrays."""
        self._model, self._state, self._controls = model, state, controls

    def of(self, sessions: Sequence[Session]) -> list[SessionSnapshot]:
        """Return what these sessions need to go on elsewhere, as they are now."""
        if not sessions:
            return []
        slots = self._state.array([session.slot for session in sessions], np.int64)
        packed = on_host(self._state.packed(slots))
        c = self._controls
        return [
            SessionSnapshot(
                session_id=session.id,
                model=self._model.name,
                fingerprint=self._model.fingerprint,
                seed=session.seed,
                step=int(c.step[session.slot]),
                injections=session.injections,
                applied=int(c.applied[session.slot]),
                motion=m.Motion(int(c.motion[session.slot])),
                phase=float(c.phase[session.slot]),
                settings=session.settings,
                origin=session.origin,
                state=state,
            )
            for session, state in zip(sessions, packed, strict=True)
        ]

    def check(self, snapshot: SessionSnapshot) -> None:
        """Refuse the snapshot of a session of another model.

        Raises:
            NotHereError: it was made with another model.
        """
        if snapshot.fingerprint != self._model.fingerprint:
            raise NotHereError(
                f"the session was made with the model {snapshot.model} ({snapshot.fingerprint}), "
                f"and this server's is {self._model.fingerprint}; begin a new one"
            )

    def put_back(self, session: Session, snapshot: SessionSnapshot) -> None:
        """Give a session's slot the state of a snapshot; its history begins there.

        Raises:
            ValueError: a state that this model cannot have.
        """
        slot, c = session.slot, self._controls
        self._state.unpack(slot, snapshot.state)
        c.seed[slot], c.step[slot], c.phase[slot] = session.seed, snapshot.step, snapshot.phase
        c.first_kept[slot] = snapshot.step
        c.dirty[slot] = True
