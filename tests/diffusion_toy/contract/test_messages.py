"""The vocabulary: what people are told that its members are called."""

from __future__ import annotations

from enum import IntEnum

import pytest

from diffusion_toy.contract import messages as m


@pytest.mark.parametrize("members", [m.NoiseKind, m.InjectionRule, m.Sampler])
def test_each_member_has_words_of_its_own(members: type[IntEnum]) -> None:
    words = [member.words for member in members]  # type: ignore[attr-defined]
    assert all(words)
    assert len(set(words)) == len(members)
