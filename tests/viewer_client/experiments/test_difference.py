"""The one thing in which a twin differs, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from viewer_client.core.strokes import Dab
from viewer_client.experiments.difference import (
    Difference,
    Treatment,
    difference_sentence,
    first_twin,
    next_twin,
    root_mean_square,
)

NAMES = tuple("0123456789")
VALUES = {
    Difference.KIND: len(m.NoiseKind),
    Difference.RULE: len(m.InjectionRule),
    Difference.SAMPLER: len(m.Sampler),
    Difference.LABEL: len(NAMES) + 1,  # none is one, too
}


@pytest.mark.parametrize("what", list(Difference))
def test_a_twin_differs_in_one_thing_whatever_the_session_is(what: Difference) -> None:
    for own in (
        Treatment(),
        Treatment(m.NoiseKind.CONSTANT, m.InjectionRule.NAIVE, m.Sampler.DDIM, 7),
        Treatment(m.NoiseKind.SIGN, m.InjectionRule.LIE, m.Sampler.DPMPP, 3),
    ):
        twin, seen = first_twin(own, what, 10), set()
        for _ in range(12):
            assert [one for one in Difference if own.value(one) != twin.value(one)] == [what]
            seen.add(twin.value(what))
            twin = next_twin(own, twin, what, 10)
        assert len(seen) == VALUES[what] - 1


def test_a_model_of_few_classes_has_a_class_for_the_twin() -> None:
    assert first_twin(Treatment(), Difference.LABEL, 3).label == 2
    assert Treatment(label=2).name(Difference.LABEL, ("cat", "dog", "cow")) == "class cow"


def test_both_get_the_dab_each_in_its_way() -> None:
    own = Treatment()
    twin = first_twin(own, Difference.KIND, 10)
    dab = Dab((0.25, 0.5), 0.1, 12.0)
    assert twin.inject(dab) == replace(own.inject(dab), kind=m.NoiseKind.CONSTANT)
    assert own.inject(Dab(None, 1.0, 5000.0)) == m.Inject(None, m.AMOUNT_MAX)


def test_what_the_difference_says() -> None:
    assert "stroke" in difference_sentence(0.0, Difference.KIND, touched=False)
    assert difference_sentence(0.0, Difference.KIND, touched=True) == "no difference"
    assert difference_sentence(0.0, Difference.SAMPLER, touched=False) == "no difference"
    assert difference_sentence(0.1, Difference.RULE, touched=True) == "alike, but not in all places"
    assert difference_sentence(0.6, Difference.LABEL, touched=False) == "two different pictures"
    assert root_mean_square(np.full((3, 8, 6), -2, np.float32)) == 2
