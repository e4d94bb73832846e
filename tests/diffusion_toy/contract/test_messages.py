"""The vocabulary: what people are told that its members are called, and what limits they are told."""

from __future__ import annotations

from enum import IntEnum

import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_told_the_exact_limit(seed: int) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        m.Start(seed=seed)
    assert str(refusal.value) == f"start.seed {seed} is outside 0…9223372036854775807"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (8.000001, "settings.guidance 8.000001 is outside 0…8"),
        (-0.5, "settings.guidance -0.5 is outside 0…8"),
        (float("nan"), "settings.guidance nan is outside 0…8"),
        (float("inf"), "settings.guidance inf is outside 0…8"),
        (1e300, "settings.guidance 1e+300 is outside 0…8"),
    ],
)
def test_a_value_just_outside_does_not_look_as_if_it_were_inside(value: float, said: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        m.SettingsChange(guidance=value)
    assert str(refusal.value) == said


@pytest.mark.parametrize(
    "name",
    [
        "Mia \U0001fa77",
        "\U0001fae9",
        "\U0001fbfa",
        "Zoë \u2764\ufe0f",
        "\U0001f44d\U0001f3fd",
        "李 三",
        "A\u0301",
    ],
)
def test_a_name_may_have_characters_that_are_newer_than_this_python(name: str) -> None:
    assert m.Start(name=name).name == name


@pytest.mark.parametrize(
    "character",
    ["\n", "\x7f", "\u202e", "\u200d", "\ud800", "\ue000", "\u2028", "\u2029", "\u00a0", "\u3000"],
)
def test_a_name_has_no_character_without_a_shape(character: str) -> None:
    with pytest.raises(InvalidValueError, match="at most 24 printable characters"):
        m.Start(name=f"a{character}b")


@pytest.mark.parametrize("members", [m.NoiseKind, m.InjectionRule, m.Sampler])
def test_each_member_has_words_of_its_own(members: type[IntEnum]) -> None:
    words = [member.words for member in members]  # type: ignore[attr-defined]
    assert all(words)
    assert len(set(words)) == len(members)


def test_a_disc_covers_the_pixels_whose_centres_are_near_in_units_of_the_shorter_side() -> None:
    wide = m.Disc(0.5, 0.5, 0.3).covers(10, 20)
    assert wide.shape == (10, 20)
    assert wide.any(axis=0).sum() == wide.any(axis=1).sum() == 6  # round, not stretched with the picture
    assert (wide == m.Disc(0.5, 0.5, 0.3).covers(20, 10).T).all()
    corner = m.Disc(0.0, 1.0, 0.1).covers(8, 8)
    assert corner.sum() == 1
    assert corner[7, 0]
    assert m.Disc(0.5, 0.5, 1.0).covers(8, 8).all()
