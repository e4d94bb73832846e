"""What the class wall shows everybody: a session on the spotlight, and a seed to start from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffusion_toy.contract.messages import SEED_MAX
from diffusion_toy.errors import InvalidValueError


@dataclass(frozen=True)
class Lesson:
    """See `Lesson` in denoise.proto. A change makes another one.

    Attributes:
        spotlight: the name of the session on it; "" for none.
        seed: the one that is offered; None for none.
        offers: how many offers there have been, those that were taken back included.
    """

    spotlight: str = ""
    seed: int | None = None
    offers: int = 0

    def with_spotlight(self, session_id: str) -> Lesson:
        """Return the lesson with this session on the spotlight."""
        return replace(self, spotlight=session_id)

    def offering(self, seed: int | None) -> Lesson:
        """Return the lesson with this seed on offer; with None the offer is taken back.

        Raises:
            InvalidValueError: no session can have this seed.
        """
        if seed is not None and not 0 <= seed <= SEED_MAX:
            raise InvalidValueError("offer.seed", seed, "0…2^63−1", "offer a smaller one")
        return replace(self, seed=seed, offers=self.offers + 1)


NO_LESSON = Lesson()
