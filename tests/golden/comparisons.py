"""The cases of branches and twins."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffusion_toy.contract import messages as m
from viewer_client.experiments.branches import agreement, seeds_of
from viewer_client.experiments.difference import (
    Difference,
    Treatment,
    difference_sentence,
    first_twin,
    next_twin,
    root_mean_square,
)

Case = dict[str, Any]


def branches() -> Case:
    """Seeds that follow one, and how alike some pictures are."""
    draw = np.random.default_rng(3)
    one, other = draw.uniform(-1, 1, (2, 1, 4, 4)).astype(np.float32)
    dark, light = np.full((2, 1, 4, 4), [[[[-1]]], [[[0.5]]]], np.float32)
    groups = [
        [one, other],
        [one, one],
        [one, one + 0.1 * other, other],
        [one, -one],
        [dark, dark, light, one],
    ]
    return {
        "seeds": [[str(seed), [*map(str, seeds_of(seed, 3))]] for seed in (1234, m.SEED_MAX - 1)],
        "agreements": [
            {"pictures": [one.ravel().tolist() for one in group], **vars(agreement(group))}
            for group in groups
        ],
    }


def twins() -> Case:
    """What differs in a twin, and what is said of the difference of two pictures."""
    owns = (
        Treatment(),
        Treatment(m.NoiseKind.CONSTANT, m.InjectionRule.NAIVE, m.Sampler.DDIM, 7),
        Treatment(m.NoiseKind.SIGN, m.InjectionRule.LIE, m.Sampler.DPMPP, 2),
    )
    chains = []
    for own in owns:
        for what in Difference:
            for classes in (3, 10):
                twin = first_twin(own, what, classes)
                values = [twin.value(what)]
                for _ in range(7):
                    twin = next_twin(own, twin, what, classes)
                    values.append(twin.value(what))
                chains.append({
                    "own": vars(own), "what": what.name.lower(), "classes": classes, "values": values,
                })  # fmt: skip
    sentences = [
        [rms, what.name.lower(), touched, difference_sentence(rms, what, touched=touched)]
        for rms in (0.0, 0.0099, 0.01, 0.349, 0.35, 1.2) for what in Difference for touched in (False, True)
    ]  # fmt: skip
    one, other = np.random.default_rng(4).uniform(-1, 1, (2, 12)).astype(np.float32)
    pair = {"one": one.tolist(), "other": other.tolist(), "rms": root_mean_square(other - one)}
    return {"chains": chains, "sentences": sentences, "pair": pair}
