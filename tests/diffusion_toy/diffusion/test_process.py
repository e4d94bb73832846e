"""The formulas, element by element against diffusers, and their properties on maps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from diffusion_toy.diffusion import process as diffusion
from diffusion_toy.diffusion.schedule import NoiseSchedule, make_schedule

T = 300
ATOL = 1e-4  # theirs subtracts nearly equal float32 numbers; ours do not cancel
levels = st.floats(0, 1, width=32)


def u_of(schedule: NoiseSchedule, t: float) -> Tensor:
    return torch.tensor(float(schedule.level_of_time_step(t)), dtype=torch.float32)


def betas(schedule: NoiseSchedule) -> np.ndarray:
    """The usual table of betas; diffusers divides by ᾱ(T), so it must not be 0 there."""
    alphas_cumprod = schedule.alphas_cumprod.copy()
    alphas_cumprod[-1] = max(alphas_cumprod[-1], 1e-12)
    return 1 - alphas_cumprod[1:] / alphas_cumprod[:-1]


def images(seed: int, count: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 1, 8, 8, generator=generator) for _ in range(count)]


def ddpm_update(u: Tensor, u_prev: Tensor) -> diffusion.Update:
    """Return the ancestral step as it is written (Ho et al. 2020, eq. 6 and 7), in float64."""
    abar, abar_prev = (torch.cos(level.double() * torch.pi / 2) ** 2 for level in (u, u_prev))
    beta, moves = 1 - abar / abar_prev, u_prev < u
    variance = torch.where(moves, 1 - abar, 1.0)
    coefficients = (
        abar_prev.sqrt() * beta / variance,
        (1 - beta).sqrt() * (1 - abar_prev) / variance,
        (beta * (1 - abar_prev) / variance).clamp(min=0).sqrt(),
    )
    return diffusion.Update(*(c.to(u.dtype) for c in coefficients), moves)


@pytest.mark.parametrize("name", ["cosine", "linear"])
@pytest.mark.parametrize("t", [1, 2, 150, 298, 299])
def test_noising_and_velocity_agree_with_diffusers(name: str, t: int) -> None:
    schedule = make_schedule(name, T)
    theirs = DDPMScheduler(trained_betas=betas(schedule), num_train_timesteps=T)
    x0, eps, _ = images(t)
    u, index = u_of(schedule, t), torch.tensor([t - 1, t - 1])
    torch.testing.assert_close(
        diffusion.q_sample(x0, u, eps), theirs.add_noise(x0, eps, index), atol=ATOL, rtol=0
    )
    torch.testing.assert_close(
        diffusion.velocity(x0, eps, u), theirs.get_velocity(x0, eps, index), atol=ATOL, rtol=0
    )


@pytest.mark.parametrize("name", ["cosine", "linear"])
@pytest.mark.parametrize("stride", [1, 5, 20])
@pytest.mark.parametrize("steps_left", [1, 2, 7, 14])
def test_ddpm_step_agrees_with_diffusers(name: str, stride: int, steps_left: int) -> None:
    schedule = make_schedule(name, T)
    theirs = DDPMScheduler(
        trained_betas=betas(schedule), num_train_timesteps=T, prediction_type="v_prediction",
        clip_sample=True, clip_sample_range=1.0, variance_type="fixed_small",
    )  # fmt: skip
    theirs.set_timesteps(T // stride)
    index = stride * (steps_left - 1)  # diffusers' time steps are the multiples of the stride
    t = index + 1
    x, v, _ = images(t)
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    expected = theirs.step(v, index, x, generator=torch.Generator().manual_seed(5)).prev_sample
    u, u_prev = u_of(schedule, t), u_of(schedule, max(t - stride, 0))
    x0_hat = diffusion.x0_of_velocity(x, v, u).clamp(-1, 1)
    ours = ddpm_update(u, u_prev).apply(x, x0_hat, z)
    torch.testing.assert_close(ours, expected, atol=ATOL, rtol=0)


@pytest.mark.parametrize("name", ["cosine", "linear"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("stride", "t"), [(1, 1), (1, 120), (10, 299), (10, 10), (20, 200)])
def test_ddim_step_agrees_with_diffusers(name: str, eta: float, stride: int, t: int) -> None:
    schedule = make_schedule(name, T)
    theirs = DDIMScheduler(
        trained_betas=betas(schedule), num_train_timesteps=T, prediction_type="v_prediction",
        clip_sample=True, clip_sample_range=1.0, set_alpha_to_one=True,
    )  # fmt: skip
    theirs.set_timesteps(T // stride)
    x, v, z = images(t)
    result = theirs.step(v, t - 1, x, eta=eta, use_clipped_model_output=True, variance_noise=z)
    u, u_prev = u_of(schedule, t), u_of(schedule, max(t - stride, 0))
    x0_hat = diffusion.x0_of_velocity(x, v, u).clamp(-1, 1)
    torch.testing.assert_close(x0_hat, result.pred_original_sample, atol=ATOL, rtol=0)
    ours = diffusion.ddim_update(u, u_prev, eta).apply(x, x0_hat, z)
    torch.testing.assert_close(ours, result.prev_sample, atol=ATOL, rtol=0)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("stride", [10, 30])
def test_a_whole_run_of_ddim_steps_agrees_with_diffusers(stride: int, eta: float) -> None:
    """From T − 1, since at T itself diffusers divides by ᾱ = 0; one x handed on from step to step."""
    schedule = make_schedule("cosine", T)
    theirs = DDIMScheduler(
        trained_betas=betas(schedule), num_train_timesteps=T, prediction_type="v_prediction",
        clip_sample=True, clip_sample_range=1.0, set_alpha_to_one=True, timestep_spacing="leading",
    )  # fmt: skip
    theirs.set_timesteps(T // stride)
    generator = torch.Generator().manual_seed(stride)
    ours = expected = torch.randn(2, 1, 8, 8, generator=generator)
    for index in theirs.timesteps.tolist():
        v, z = torch.randn(2, *ours.shape, generator=generator)
        expected = theirs.step(
            v, index, expected, eta=eta, use_clipped_model_output=True, variance_noise=z
        ).prev_sample
        u, u_prev = u_of(schedule, index + 1), u_of(schedule, max(index + 1 - stride, 0))
        x0_hat = diffusion.x0_of_velocity(ours, v, u).clamp(-1, 1)
        ours = diffusion.ddim_update(u, u_prev, eta).apply(ours, x0_hat, z)
        torch.testing.assert_close(ours, expected, atol=ATOL, rtol=0)


@pytest.mark.parametrize(("t", "p"), [(300, 299), (300, 0), (120, 100), (1, 0)])
def test_ddim_with_full_noise_is_ddpm(t: int, p: int) -> None:
    schedule = make_schedule("cosine", T)
    u, u_prev = u_of(schedule, t), u_of(schedule, p)
    ddim, ddpm = diffusion.ddim_update(u, u_prev, 1.0), ddpm_update(u, u_prev)
    for ours, theirs in ((ddim.A, ddpm.A), (ddim.B, ddpm.B), (ddim.C, ddpm.C)):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-4)


@given(u=levels, seed=st.integers(0, 1000))
def test_conversions_are_inverse(u: float, seed: int) -> None:
    x0, eps, _ = images(seed)
    level = torch.tensor(u)
    x, v = diffusion.q_sample(x0, level, eps), diffusion.velocity(x0, eps, level)
    torch.testing.assert_close(diffusion.x0_of_velocity(x, v, level), x0, atol=1e-5, rtol=0)
    if u > 0.05:
        torch.testing.assert_close(diffusion.eps_of_x0(x, x0, level), eps, atol=1e-4, rtol=0)


@given(path=st.lists(levels, min_size=3, max_size=8))
def test_small_increments_have_the_law_of_one_large_one(path: list[float]) -> None:
    """Gaussian in, Gaussian out: the same gain and the same variance is the same law."""
    ladder = [torch.tensor(u, dtype=torch.float64) for u in sorted(path)]
    gain, variance = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for low, high in itertools.pairwise(ladder):
        step = diffusion.forward_increment(low, high)
        gain, variance = step.gain(gain), step.noise_variance(variance)
    whole = diffusion.forward_increment(ladder[0], ladder[-1])
    torch.testing.assert_close(gain, whole.gain(torch.ones_like(gain)), atol=1e-7, rtol=0)
    torch.testing.assert_close(variance, whole.noise_variance(torch.zeros_like(gain)), atol=1e-7, rtol=0)


def test_small_increments_add_up_on_pixels_too() -> None:
    generator = torch.Generator().manual_seed(0)
    x0, ladder = torch.full((200_000,), 0.7), torch.linspace(0, 0.8, 9)
    x = x0
    for low, high in itertools.pairwise(ladder):
        x = diffusion.forward_increment(low, high).apply_forward(x, torch.randn(x.shape, generator=generator))
    assert x.mean().item() == pytest.approx(0.7 * diffusion.alpha(ladder[-1]).item(), abs=0.01)
    assert x.std().item() == pytest.approx(diffusion.sigma(ladder[-1]).item(), abs=0.01)


def test_the_endpoints_are_exact() -> None:
    u = torch.tensor([0.0, 1.0])
    assert diffusion.alpha(u).tolist() == [1.0, 0.0]
    assert diffusion.sigma(u).tolist() == [0.0, 1.0]
    whole = diffusion.forward_increment(u[0], u[1])
    assert (whole.B.item(), whole.C.item()) == (0.0, 1.0)
    for update in (diffusion.ddim_update(u[1], u[0], eta) for eta in (0.5, 1.0)):
        assert (update.A.item(), update.B.item(), update.C.item()) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(("name", "steps"), [("cosine", 300), ("cosine", 1000), ("linear", 1000)])
def test_float32_levels_give_float64_coefficients_up_to_both_ends(name: str, steps: int) -> None:
    """Sessions keep u in float32; to a relative 1e-6 nothing else may be lost, least of all at 0 and 1."""
    u = torch.tensor(make_schedule(name, steps).levels, dtype=torch.float32)

    def updates(low: Tensor, high: Tensor) -> list[diffusion.Update]:
        reverse = [diffusion.ddim_update(high, low, eta) for eta in (0.0, 0.5, 1.0)]
        return [diffusion.forward_increment(low, high), *reverse]

    for low, high in ((u[:-1], u[1:]), (u[:-7], u[7:])):
        for single, double in zip(updates(low, high), updates(low.double(), high.double()), strict=True):
            for ours, exact in ((single.A, double.A), (single.B, double.B), (single.C, double.C)):
                torch.testing.assert_close(ours.double(), exact, atol=0, rtol=1e-6)


@given(u=levels, u_prev=levels, eta=st.floats(0, 1))
def test_every_coefficient_is_finite_and_keeps_the_variance(u: float, u_prev: float, eta: float) -> None:
    high, low = torch.tensor(max(u, u_prev)), torch.tensor(min(u, u_prev))
    for update in (diffusion.ddim_update(high, low, eta),):
        assert all(torch.isfinite(c) for c in (update.A, update.B, update.C))
        g = update.gain(diffusion.alpha(high))
        n2 = update.noise_variance(diffusion.sigma(high) ** 2)
        torch.testing.assert_close(g, diffusion.alpha(low), atol=1e-6, rtol=0)
        torch.testing.assert_close(n2, diffusion.sigma(low) ** 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize("u", [0.0, 0.3, 1.0])
def test_no_change_of_level_changes_nothing(u: float) -> None:
    x, x0_hat, z = images(1)
    level = torch.tensor(u)
    for update in (
        diffusion.forward_increment(level, level),
        diffusion.naive_injection(level, level),
        diffusion.ddim_update(level, level, 1.0),
        ddpm_update(level, level),
    ):
        assert torch.equal(update.apply(x, x0_hat, z), x)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_constant_map_is_the_scalar_step_exactly(eta: float) -> None:
    x, x0_hat, z = images(2)
    u, u_prev = torch.tensor(0.61), torch.tensor(0.57)
    scalar = diffusion.ddim_update(u, u_prev, eta).apply(x, x0_hat, z)
    constant = diffusion.ddim_update(u.expand(8, 8), u_prev.expand(8, 8), eta).apply(x, x0_hat, z)
    assert torch.equal(scalar, constant)
    forward = diffusion.forward_increment(u_prev, u).apply_forward(x, z)
    assert torch.equal(
        forward, diffusion.forward_increment(u_prev.expand(8, 8), u.expand(8, 8)).apply_forward(x, z)
    )


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_map_with_clean_and_pure_noise_stays_finite_and_keeps_the_clean(eta: float) -> None:
    x, x0_hat, z = images(3)
    u = torch.zeros(8, 8)
    u[:4] = 1.0
    u[2:4] = torch.rand(2, 8, generator=torch.Generator().manual_seed(0))
    for stride in (0.001, 0.3, 1.0):
        moved = diffusion.ddim_update(u, (u - stride).clamp(min=0), eta).apply(x, x0_hat, z)
        assert torch.isfinite(moved).all()
        assert torch.equal(moved[..., 4:, :], x[..., 4:, :])
    noised = diffusion.forward_increment(u, torch.where(u > 0, 1.0, 0.0)).apply_forward(x, z)
    assert torch.isfinite(noised).all()
    assert torch.equal(noised[..., 4:, :], x[..., 4:, :])


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("name", "stride"), [("cosine", 1), ("cosine", 7), ("linear", 1)])
def test_actual_stays_nominal_where_both_agree(name: str, stride: int, eta: float) -> None:
    schedule = make_schedule(name, T)
    ts = [*list(range(T, 0, -stride)), 0]
    u = u_of(schedule, T)
    g, n2 = diffusion.alpha(u), diffusion.sigma(u) ** 2
    for t in ts[1:]:
        u_prev = u_of(schedule, t)
        update = diffusion.ddim_update(u, u_prev, eta)
        g, n2, u = update.gain(g), update.noise_variance(n2), u_prev
        assert diffusion.actual_level(g, n2).item() == pytest.approx(u.item(), abs=1e-5)
    for t in ts[::-1][1:]:
        u_next = u_of(schedule, t)
        update = diffusion.forward_increment(u, u_next)
        g, n2, u = update.gain(g), update.noise_variance(n2), u_next
        assert diffusion.actual_level(g, n2).item() == pytest.approx(u.item(), abs=1e-5)


def test_actual_stays_nominal_under_ddpm_too() -> None:
    schedule = make_schedule("cosine", T)
    u = u_of(schedule, T)
    g, n2 = diffusion.alpha(u), diffusion.sigma(u) ** 2
    for t in range(T - 1, -1, -1):
        update = ddpm_update(u, u_of(schedule, t))
        g, n2, u = update.gain(g), update.noise_variance(n2), u_of(schedule, t)
        assert diffusion.actual_level(g, n2).item() == pytest.approx(u.item(), abs=1e-5)


def test_the_naive_rule_at_100_claims_102_and_is_really_143() -> None:
    schedule = make_schedule("linear", T)
    u, nominal = u_of(schedule, 100), u_of(schedule, 102)
    update = diffusion.naive_injection(u, nominal)
    g = update.gain(diffusion.alpha(u))
    n2 = update.noise_variance(diffusion.sigma(u) ** 2)
    assert round(float(schedule.time_step_of_level(nominal.item()))) == 102
    real = schedule.time_step_of_level(diffusion.actual_level(g, n2).item())
    assert round(float(real)) == 143


def test_guidance_interpolates_from_null_to_label() -> None:
    a, b, _ = images(4)
    assert torch.equal(diffusion.guided_velocity(a, b, 0.0), a)
    torch.testing.assert_close(diffusion.guided_velocity(a, b, 1.0), b)
    torch.testing.assert_close(diffusion.guided_velocity(a, b, 2.0), 2 * b - a)
