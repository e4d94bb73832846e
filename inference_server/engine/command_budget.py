"""How much of a tick commands may take, and what each of them costs.

Costs are counted, so that what a tick applies can be foretold; a clock is the second limit, for machines that
are slower than the one on which costs were measured, or busy with something else.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from diffusion_toy.contract import messages as m
from inference_server.engine.pending import Skip

SHARE = 0.2  # of a tick's period; the network has been promised most of the rest

# Microseconds on one core for a picture of 28×28, by the time of the thread that applies them.
COSTS_US: dict[type, float] = {
    Skip: 1.0,
    m.Inject: 80.0,
    m.Jump: 500.0,
    m.Restart: 450.0,
    m.Configure: 60.0,
}
LEAST_US = 10.0  # of every other command, and of one that is rejected
ROUND_US = 540.0  # of a round of injections, however many there are
MEASURED_PIXELS = 28 * 28


class CommandBudget:
    """Says what the commands of a tick may cost in all.

    Args:
        tick_rate_hz: ticks a second.
        shape: C, H, W of a picture; larger ones cost more.
        clock: seconds; a tick's commands end when as much time has passed, too.

    Attributes:
        microseconds: for one tick. The command that passes it is still applied.
        clock: as given.
    """

    def __init__(
        self,
        tick_rate_hz: float,
        shape: tuple[int, int, int],
        clock: Callable[[], float],
    ) -> None:
        self.clock = clock
        self.microseconds = SHARE * 1e6 / tick_rate_hz
        self._scale = max(1.0, math.prod(shape) / MEASURED_PIXELS)

    def cost_us(self, command: m.Command | Skip, *, first_injection: bool = False) -> float:
        """Return what a command costs; `first_injection` says that it begins a round of them."""
        cost = COSTS_US.get(type(command), LEAST_US)
        return self._scale * (cost + ROUND_US * first_injection)
