"""The table of samplers answers for each of them."""

from __future__ import annotations

import pytest

from diffusion_toy.contract.messages import Sampler
from diffusion_toy.diffusion.samplers import RULES, sampler_key, sampler_of_key


def test_every_sampler_has_a_rule() -> None:
    assert set(RULES) == set(Sampler)


@pytest.mark.parametrize(
    ("sampler", "remembers", "at_zero", "at_half"),
    [
        (Sampler.DDPM, False, True, True),
        (Sampler.DDIM, False, False, True),
        (Sampler.DPMPP, True, False, False),
        (Sampler.SDE_DPMPP, True, True, True),
    ],
)
def test_a_rule_says_whether_steps_are_remembered_and_add_noise(
    sampler: Sampler, remembers: bool, at_zero: bool, at_half: bool
) -> None:
    rule = RULES[sampler]
    assert rule.remembers is remembers
    assert (rule.is_stochastic(0.0), rule.is_stochastic(0.5)) == (at_zero, at_half)


@pytest.mark.parametrize("sampler", Sampler)
def test_a_command_line_finds_a_sampler_by_its_key(sampler: Sampler) -> None:
    assert sampler_of_key(sampler_key(sampler)) is sampler


def test_an_unknown_key_is_a_loud_error() -> None:
    with pytest.raises(KeyError):
        sampler_of_key("euler")
