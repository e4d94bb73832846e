"""Scripted input for the load generator: what a person does to a session, by chance."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from random import Random

from diffusion_toy.contract import messages as m

DAB_RATE_HZ = 30.0
STROKE_S = (0.3, 1.5)
PAUSE_S = (1.0, 4.0)
RADIUS = (0.1, 0.2)
AMOUNT = (5.0, 40.0)  # time steps a dab
PLACE = (0.15, 0.85)  # of the ends of a stroke, in fractions of the picture
OTHER_SHARE = 0.15  # of the times that the hand leaves the mouse for the keyboard
RESTART_SHARE = 0.3  # of those times; else it chooses another class
SEED_BITS = 31
VIEWERS_MAX = 2000  # of one process


class Mouse(Enum):
    """How a viewer without a person behaves; the value is what the command line calls it."""

    REALISTIC = "realistic"
    NONE = "none"


def new_seed(rng: Random) -> int:
    """Return a seed for a session."""
    return rng.getrandbits(SEED_BITS)


def moves(rng: Random, num_labels: int) -> Iterator[tuple[float, m.Command]]:
    """Yield commands without end, each with the pause before it, in seconds.

    Strokes of a brush along straight lines, a pause after each; now and then another class or a
    restart instead.
    """
    while True:
        pause_s = rng.uniform(*PAUSE_S)
        if rng.random() < OTHER_SHARE:
            yield pause_s, _key(rng, num_labels)
        else:
            for dab in _stroke(rng):
                yield pause_s, dab
                pause_s = 1 / DAB_RATE_HZ


def _stroke(rng: Random) -> Iterator[m.Inject]:
    count = round(rng.uniform(*STROKE_S) * DAB_RATE_HZ)
    radius, amount = rng.uniform(*RADIUS), rng.uniform(*AMOUNT)
    (x, y), (to_x, to_y) = ((rng.uniform(*PLACE), rng.uniform(*PLACE)) for _ in range(2))
    for i in range(count):
        share = i / count
        yield m.Inject(m.Disc(x + share * (to_x - x), y + share * (to_y - y), radius), amount)


def _key(rng: Random, num_labels: int) -> m.Command:
    if num_labels == 0 or rng.random() < RESTART_SHARE:
        return m.Restart(new_seed(rng))
    return m.Configure(m.SettingsChange(label=rng.randrange(num_labels)))
