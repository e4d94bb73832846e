"""What the load generator does to a session: as a person would, and the same for the same seed."""

from __future__ import annotations

import itertools
import random

import pytest

from diffusion_toy.contract import messages as m
from viewer_client.load.scripted_input import moves


def test_it_paints_strokes_with_pauses_and_now_and_then_do_something_else() -> None:
    done = list(itertools.islice(moves(random.Random(1), 10), 3000))
    pauses = [pause_s for pause_s, _ in done if pause_s > 0.1]
    dabs = [command for _, command in done if isinstance(command, m.Inject)]
    assert 1 <= min(pauses) < max(pauses) <= 4
    assert len(dabs) / len(pauses) == pytest.approx(0.9 * 30, rel=0.3)  # a stroke takes 0.3…1.5 s
    assert all(
        dab.disc is not None and 0.1 <= dab.disc.radius <= 0.2 and 5 <= dab.amount <= 40 for dab in dabs
    )
    others = [command for _, command in done if not isinstance(command, m.Inject)]
    assert {type(command) for command in others} == {m.Restart, m.Configure}
    assert len(others) < 0.05 * len(done)


def test_the_same_seed_moves_the_same_way() -> None:
    first, again, other = (
        [command for _, command in itertools.islice(moves(random.Random(seed), 10), 200)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_model_without_classes_gets_no_class() -> None:
    done = itertools.islice(moves(random.Random(1), 0), 3000)
    assert not any(isinstance(command, m.Configure) for _, command in done)
