"""Painting keeps the dose, however it is sent."""

from __future__ import annotations

import pytest

from diffusion_toy.contract import messages as m
from viewer_client.core.brush import DABS_WAITING, Brush, Painting
from viewer_client.core.strokes import MouseMode


def painted(brush: Brush, moves: int) -> Painting:
    painting = Painting(brush)
    for i in range(moves + 1):
        painting.move((i / moves, 0.5))
    return painting


@pytest.mark.parametrize("moves", [1, 40, 4000])
def test_what_waits_is_merged_to_so_many_dabs_of_the_same_dose(moves: int) -> None:
    brush = Brush(MouseMode.BRUSH, radius=0.03, strength=300.0)
    commands = [brush.inject(dab) for dab in painted(brush, moves).take(1000)]
    assert len(commands) <= DABS_WAITING
    dose = sum(command.amount for command in commands)
    assert dose == pytest.approx(brush.strength / brush.radius, rel=0.02)


def test_dabs_wait_until_they_are_taken() -> None:
    painting = painted(Brush(MouseMode.BRUSH, radius=0.2), 10)
    first = painting.take(4)
    rest = painting.take(100)
    assert (len(first), len(rest)) == (4, 6)
    assert not painting
    assert [dab.center and dab.center[0] for dab in [*first, *rest]] == pytest.approx(
        [0.1 * i for i in range(1, 11)]
    )


def test_the_third_mode_paints_only_while_the_button_is_held() -> None:
    brush = Brush()
    painting = Painting(brush)
    assert painting.paints
    assert not painting.button(held=True)  # in this mode the button changes nothing
    painting.button(held=False)
    brush.mode = MouseMode.BRUSH_HELD
    assert not painting.paints
    assert painting.button(held=True)
    assert painting.paints


def test_a_command_never_exceeds_the_largest_amount() -> None:
    brush = Brush(strength=300.0, kind=m.NoiseKind.SIGN, rule=m.InjectionRule.NAIVE)
    painting = Painting(brush)
    for i in range(200):
        painting.move((i % 2, 0.5))
    (dab,) = painting.take(8)
    command = brush.inject(dab)
    assert (command.disc, command.kind, command.rule) == (None, m.NoiseKind.SIGN, m.InjectionRule.NAIVE)
    assert dab.amount > m.AMOUNT_MAX == command.amount
