"""Schedules number the levels; both ends are exact."""

import numpy as np
import pytest
from diffusers import DDPMScheduler

from diffusion_toy.diffusion.schedule import alphas_cumprod_of_level, level_of_alphas_cumprod, make_schedule
from diffusion_toy.errors import InvalidValueError

ALL = [("cosine", 300), ("cosine", 2), ("linear", 300), ("linear", 1000)]


@pytest.mark.parametrize(("name", "steps"), ALL)
def test_levels_rise_from_zero_and_stay_within_one(name: str, steps: int) -> None:
    schedule = make_schedule(name, steps)
    assert steps == schedule.T
    assert schedule.levels[0] == 0
    assert schedule.max_level <= 1
    assert (np.diff(schedule.levels) > 0).all()
    assert schedule.alphas_cumprod[0] == 1


@pytest.mark.parametrize(("name", "steps"), ALL)
def test_time_step_and_level_are_inverse(name: str, steps: int) -> None:
    schedule = make_schedule(name, steps)
    t = np.linspace(0, steps, 97)
    np.testing.assert_allclose(schedule.time_step_of_level(schedule.level_of_time_step(t)), t, atol=1e-9)


def test_cosine_ends_in_pure_noise_exactly() -> None:
    schedule = make_schedule("cosine", 300)
    assert schedule.max_level == 1
    assert schedule.alphas_cumprod[-1] == 0
    np.testing.assert_allclose(schedule.level_of_time_step(150.5), 150.5 / 300)


@pytest.mark.parametrize("steps", [300, 1000])
def test_linear_is_the_table_of_diffusers(steps: int) -> None:
    theirs = DDPMScheduler(num_train_timesteps=steps, beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
    ours = make_schedule("linear", steps).alphas_cumprod[1:]
    np.testing.assert_allclose(ours, theirs.alphas_cumprod.numpy(), rtol=2e-5)


def test_linear_300_is_not_pure_noise_at_its_end() -> None:
    assert make_schedule("linear", 300).alphas_cumprod[-1] == pytest.approx(0.048, abs=5e-4)


def test_level_and_alphas_cumprod_are_inverse() -> None:
    u = np.linspace(0, 1, 11)
    np.testing.assert_allclose(level_of_alphas_cumprod(alphas_cumprod_of_level(u)), u, atol=1e-9)


def test_time_steps_outside_the_schedule_are_clamped() -> None:
    schedule = make_schedule("linear", 300)
    np.testing.assert_array_equal(schedule.level_of_time_step([-5, 1e9]), [0, schedule.max_level])
    np.testing.assert_array_equal(schedule.time_step_of_level([0, 1]), [0, 300])


def test_a_shared_table_cannot_be_changed_by_one_of_its_users() -> None:
    with pytest.raises(ValueError, match="read-only"):
        make_schedule("cosine", 300).levels[0] = 0.5


@pytest.mark.parametrize(
    ("name", "steps", "field"), [("cubic", 300, "schedule"), ("cosine", 1, "T"), ("linear", 1001, "T")]
)
def test_a_bad_schedule_is_refused_by_name(name: str, steps: int, field: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        make_schedule(name, steps)
    assert caught.value.field == field
