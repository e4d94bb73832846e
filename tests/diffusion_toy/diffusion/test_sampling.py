"""Whole reverse processes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from diffusion_toy.contract.messages import Sampler
from diffusion_toy.diffusion.process import log_snr
from diffusion_toy.diffusion.sampling import (
    SamplingPlan,
    heal,
    image_seeds,
    predict_x0,
    sample,
    step_noise,
    time_steps,
)
from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import load_model
from tests.models import random_network
from tests.tools import SHIPPED_MODEL


def seeds_of(seed: int, first: int, count: int) -> torch.Tensor:
    return torch.from_numpy(image_seeds(seed, first, count))


def no_noise(_step: int) -> torch.Tensor:
    raise AssertionError("this sampler takes no noise")


def test_every_moment_is_yielded_from_T_to_zero() -> None:
    x_T = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    moments = list(
        sample(random_network().eval(), x_T, torch.tensor([3, 10]), 10, make_schedule(),
               SamplingPlan(Sampler.DDIM, 6, guidance=2.0), no_noise)
    )  # fmt: skip
    assert [moment.t for moment in moments] == [300, 250, 200, 150, 100, 50, 0]
    assert torch.equal(moments[0].x_t, x_T)
    assert all(moment.x0_hat.abs().max() <= 1 for moment in moments)


class Recorder(torch.nn.Module):
    """Predicts nothing; remembers the labels it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[int]] = []

    def forward(self, x: torch.Tensor, _u: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.asked.append(labels.tolist())
        return torch.zeros_like(x)


@pytest.mark.parametrize(("guidance", "asked"), [(0.0, [[10, 10]]), (1.0, [[3, 4]]), (2.0, [[3, 4, 10, 10]])])
def test_guidance_takes_more_rows_of_the_batch_only_where_it_needs_them(
    guidance: float, asked: list[list[int]]
) -> None:
    network, x_T = Recorder(), torch.randn(2, 1, 28, 28)
    sampler = SamplingPlan(Sampler.DDIM, 1, guidance=guidance)
    for _ in sample(network, x_T, torch.tensor([3, 4]), 10, make_schedule(), sampler, no_noise):
        pass
    assert network.asked == asked


def test_a_picture_depends_on_its_seed_and_number_and_not_on_the_batch() -> None:
    def last(seed: int, first: int, count: int) -> torch.Tensor:
        seeds = seeds_of(seed, first, count)
        x_T, labels = torch.ones(count, 1, 28, 28), torch.full((count,), 1)
        sampler, noise = SamplingPlan(Sampler.DDPM, 5), step_noise(seeds, (1, 28, 28))
        *_, end = sample(random_network(), x_T, labels, 10, make_schedule(), sampler, noise)
        return end.x0_hat

    three = last(3, 0, 3)
    torch.testing.assert_close(last(3, 1, 1), three[1:2], atol=1e-5, rtol=0)
    assert not torch.equal(three[0], three[1])
    assert not torch.allclose(last(4, 0, 1), three[:1])


def test_no_two_pictures_of_a_run_share_a_seed() -> None:
    seeds = seeds_of(2**63 - 1, 0, 1000)
    assert len(seeds.unique()) == 1000
    assert (seeds >= 0).all()


class Blurred(torch.nn.Module):
    """A network that believes in one picture, less so at high noise: smooth in time, never constant."""

    def forward(self, x: torch.Tensor, u: torch.Tensor, _labels: torch.Tensor) -> torch.Tensor:
        angle = u[:, None] * (torch.pi / 2)
        x0 = torch.tanh(x * (1.2 - u[:, None])) * 0.8
        return (torch.cos(angle) * x - x0) / torch.sin(angle).clamp(min=1e-6)


@pytest.mark.parametrize(
    ("kind", "algorithm"), [(Sampler.DPMPP, "dpmsolver++"), (Sampler.SDE_DPMPP, "sde-dpmsolver++")]
)
def test_dpm_solvers_agree_with_diffusers_element_by_element(kind: Sampler, algorithm: str) -> None:
    from diffusers import DPMSolverMultistepScheduler

    schedule, steps = make_schedule("linear", 1000), 20
    betas = 1 - schedule.alphas_cumprod[1:] / schedule.alphas_cumprod[:-1]
    oracle = DPMSolverMultistepScheduler(
        1000, trained_betas=betas, solver_order=2, prediction_type="sample", final_sigmas_type="zero",
        thresholding=False, lower_order_final=True, algorithm_type=algorithm,
    )  # fmt: skip
    x_T = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2, dtype=torch.int64)
    noise = step_noise(seeds_of(3, 0, 2), (1, 8, 8))
    ours = list(sample(Blurred(), x_T, labels, 10, schedule, SamplingPlan(kind, steps), noise))

    oracle.set_timesteps(timesteps=[round(moment.t) - 1 for moment in ours[:-1]])
    x = x_T
    for step, (moment, t) in enumerate(zip(ours, oracle.timesteps, strict=False)):
        torch.testing.assert_close(moment.x_t, x, atol=1e-4, rtol=0)
        u = torch.full((2, 8, 8), float(schedule.level_of_time_step(int(t) + 1)))
        x0_hat = predict_x0(Blurred(), x, u, labels, 10, 1.0)
        x = oracle.step(x0_hat, t, x, variance_noise=noise(step)).prev_sample
    torch.testing.assert_close(ours[-1].x_t, x, atol=1e-4, rtol=0)


def test_dpm_solver_comes_closer_to_the_limit_than_ddim_at_the_same_steps() -> None:
    x_T = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(4, dtype=torch.int64)

    def end(kind: Sampler, steps: int) -> torch.Tensor:
        moments = sample(Blurred(), x_T, labels, 10, make_schedule(), SamplingPlan(kind, steps), no_noise)
        (before_last,) = (moment.x_t for moment in moments if moment.t == 20)  # the last step is the same
        return before_last

    limit = end(Sampler.DDIM, 300)
    errors = {kind: (end(kind, 15) - limit).abs().mean() for kind in (Sampler.DDIM, Sampler.DPMPP)}
    assert errors[Sampler.DPMPP] < 0.5 * errors[Sampler.DDIM]


def test_the_log_snr_is_that_of_the_marginal() -> None:
    middle, low, high = log_snr(np.array([0.5, 0.25, 0.75]))
    assert middle == pytest.approx(0.0)
    assert low == pytest.approx(-high)
    assert log_snr(np.array([0.0, 1.0], np.float32)).tolist() == [float("inf"), float("-inf")]


def test_healing_leaves_clean_pixels_alone_bit_for_bit_and_ends_clean() -> None:
    x = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    u = torch.zeros(2, 28, 28)
    u[:, :14] = 0.3
    u[:, 14:18] = 1.0
    seen: list[torch.Tensor] = []

    class Watched(torch.nn.Module):
        def forward(self, x: torch.Tensor, u: torch.Tensor, _labels: torch.Tensor) -> torch.Tensor:
            seen.append(u[0, :, 0])
            return torch.zeros_like(x)

    noise = step_noise(seeds_of(0, 0, 2), (1, 28, 28))
    labels = torch.full((2,), 10)
    healed = heal(Watched(), x, u, labels, 10, make_schedule(), 20, 1.0, noise)
    assert torch.equal(healed[:, :, 18:], x[:, :, 18:])
    assert not torch.isclose(healed[:, :, :18], x[:, :, :18]).all()
    assert healed.isfinite().all()
    assert len(seen) == 15  # 300 time steps from the noisiest, 20 at a time
    assert seen[5][0] == 0  # the lighter part is done after 90/20 steps
    assert seen[5][15] > 0


def test_more_steps_than_time_steps_are_refused() -> None:
    x_T, labels = torch.zeros(1, 1, 28, 28), torch.tensor([0])
    schedule = make_schedule("cosine", 10)
    with pytest.raises(InvalidValueError, match="steps 11"):
        next(sample(random_network(), x_T, labels, 10, schedule, SamplingPlan(steps=11), no_noise))


def test_the_shipped_model_draws_what_the_label_says() -> None:
    """A nearest-class-mean judge is crude, and still: most of the digits are what was asked for."""
    model = load_model(SHIPPED_MODEL)
    assert model.examples is not None
    labels = torch.arange(20) % 10
    x_T = torch.randn(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    sampler = SamplingPlan(Sampler.DDIM, 25)
    *_, last = sample(model.network, x_T, labels, 10, make_schedule(), sampler, no_noise)
    real = torch.from_numpy(model.examples.images).float().div(127.5).sub(1).flatten(1)
    distances = torch.cdist(last.x0_hat.flatten(1), real)
    nearest = torch.from_numpy(model.examples.labels)[distances.argmin(1)]
    assert (nearest == labels).float().mean() > 0.5
    ink = (last.x0_hat > 0).float().mean((1, 2, 3))
    assert ((ink > 0.03) & (ink < 0.4)).all()  # strokes on an empty ground, as digits are


def test_spacing_below_one_takes_smaller_steps_where_there_is_much_noise() -> None:
    ts = time_steps(make_schedule(), 10, 0.7)
    strides = [a - b for a, b in pairwise(ts)]
    assert (ts[0], ts[-1]) == (300, 0)
    assert strides == sorted(strides)
    assert time_steps(make_schedule(), 300) == list(range(300, -1, -1))
