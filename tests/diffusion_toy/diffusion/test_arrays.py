"""One implementation, two kinds of arrays: NumPy's and torch's give the same numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from diffusion_toy.contract.messages import NoiseKind, Sampler
from diffusion_toy.diffusion import process
from diffusion_toy.diffusion.arrays import Array, mean_of_rows, on_host, take_in_rows, where
from diffusion_toy.diffusion.counter_noise import Purpose, standard_normal, uniform_words
from diffusion_toy.diffusion.noise_kinds import noise_of_kind
from diffusion_toy.diffusion.sampling import SamplingPlan, image_seeds, sample, step_noise
from diffusion_toy.diffusion.schedule import make_schedule

SHAPE = (1, 28, 28)
SEEDS = image_seeds(3, 0, 4)


def test_random_words_are_the_same_bits() -> None:
    steps = np.arange(4) * 2**30
    host = uniform_words(SEEDS, Purpose.SAMPLER, steps, 1001)
    other = uniform_words(torch.from_numpy(SEEDS), Purpose.SAMPLER, torch.from_numpy(steps), 1001)
    np.testing.assert_array_equal(host, other.numpy())


@pytest.mark.parametrize("kind", list(NoiseKind))
def test_noise_of_every_kind_is_the_same(kind: NoiseKind) -> None:
    numbers = np.arange(4)
    host = noise_of_kind(kind, SEEDS, numbers, SHAPE)
    other = noise_of_kind(kind, torch.from_numpy(SEEDS), torch.from_numpy(numbers), SHAPE)
    assert host.dtype == np.float32
    np.testing.assert_allclose(host, other.numpy(), atol=2e-6)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_updates_are_the_same_and_stay_float32(eta: float) -> None:
    u = np.linspace(0, 1, 301, dtype=np.float32)
    for low, high in ((u[:-1], u[1:]), (u[:-7], u[7:])):
        host = process.ddim_update(high, low, eta)
        other = process.ddim_update(torch.from_numpy(high), torch.from_numpy(low), eta)
        for name in ("A", "B", "C"):
            assert getattr(host, name).dtype == np.float32
            np.testing.assert_allclose(getattr(host, name), getattr(other, name).numpy(), atol=1e-6)


@pytest.mark.parametrize("sampler", list(Sampler))
def test_a_whole_walk_is_the_same(sampler: Sampler) -> None:
    def predict(x: Array, u: Array, _labels: Array) -> Array:
        return x * (1 - u[:, None]) * 0.5

    def end(seeds: Array) -> Array:
        x_T = standard_normal(seeds, Purpose.START, seeds * 0, SHAPE)
        plan = SamplingPlan(sampler, 20, eta=0.3, guidance=2.0)
        *_, last = sample(predict, x_T, seeds * 0, 10, make_schedule(), plan, step_noise(seeds, SHAPE))
        return last.x_t

    np.testing.assert_allclose(end(SEEDS), on_host(end(torch.from_numpy(SEEDS))), atol=1e-5)


def test_the_short_ways_for_numpy_give_what_the_standard_gives() -> None:
    rng = np.random.default_rng(0)
    values, others = rng.standard_normal((2, 3, 50), np.float32)
    places = rng.integers(0, 50, (3, 7))
    np.testing.assert_array_equal(mean_of_rows(values), np.mean(values, axis=1))
    np.testing.assert_array_equal(take_in_rows(values, places), np.take_along_axis(values, places, axis=1))
    for condition in (np.ones((3, 1), bool), np.zeros((3, 1), bool), values > 0):
        np.testing.assert_array_equal(where(condition, values, others), np.where(condition, values, others))


def test_an_unknown_kind_or_sampler_is_an_error_and_not_another_one() -> None:
    with pytest.raises(KeyError):
        noise_of_kind(99, SEEDS, np.arange(4), SHAPE)  # type: ignore[arg-type]
    plan = SamplingPlan(99, 3)  # type: ignore[arg-type]
    noise = step_noise(SEEDS, SHAPE)
    with pytest.raises(KeyError):
        next(sample(lambda x, *_: x, noise(0), SEEDS * 0, 10, make_schedule(), plan, noise))


def test_none_of_it_imports_torch() -> None:
    program = """
import sys
from diffusion_toy.diffusion import noise_kinds, samplers, sampling
import numpy as np
seeds = sampling.image_seeds(0, 0, 2)
noise_kinds.noise_of_kind(noise_kinds.NoiseKind.SMOOTH, seeds, np.arange(2), (1, 8, 8))
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0
