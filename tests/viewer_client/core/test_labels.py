"""What is said is right in every case."""

from __future__ import annotations

import numpy as np

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import live_model
from viewer_client.core import gauge, labels
from viewer_client.core.appearance import Appearance
from viewer_client.core.view_model import ViewModel

LEVELS = np.linspace(0, 1, 784, dtype=np.float32).reshape(28, 28)


def test_before_the_first_frame_nothing_is_nominal() -> None:
    model = ViewModel()
    assert gauge.sentence(model) == ""
    assert labels.sigma_parts(model) == []
    assert labels.mixture(model) == ""
    assert labels.time_step_here(model) == ""


def test_the_head_up_line_gives_the_standard_deviations() -> None:
    model = live_model(t=100.0, measured_by_residual=0.5)
    assert labels.sigma_parts(model) == ["σ told 0.50", "measured 0.71"]
    assert labels.sigma_parts(live_model(t=100.0)) == ["σ told 0.50"]
    uneven = live_model(level_map=LEVELS, nominal=m.Range(0, 0.1, 1 / 3), measured_by_border=0.0)
    assert labels.sigma_parts(uneven) == ["σ told 0.00–0.50"]


def test_the_mixture_is_told_where_it_is_one() -> None:
    assert labels.mixture(live_model(t=200.0)) == "0.50 × clean + 0.87 × noise"
    assert labels.mixture(live_model(level_map=LEVELS)) == ""


def test_the_time_step_under_the_pointer_is_that_of_its_pixel() -> None:
    levels = np.zeros((28, 28), np.float32)
    levels[7, 21] = 0.19
    model = live_model(level_map=levels, time_step=m.Range(0, 1, 57))
    for point, words in (((0.76, 0.26), "t 57"), ((0.26, 0.76), "t 0"), ((0.999999, 1.0), "t 0")):
        model.pointer = point
        assert labels.time_step_here(model) == words
    model.pointer = None
    assert labels.time_step_here(model) == ""
    model = live_model(t=33.0)
    model.pointer = (0.5, 0.5)
    assert labels.time_step_here(model) == "t 33"


def test_the_time_step_under_the_pointer_goes_by_the_schedule_in_force() -> None:
    levels = np.full((28, 28), 0.5, np.float32)
    model = live_model(level_map=levels)
    model.pointer = (0.5, 0.5)
    alphas_cumprod = np.array([1.0, 0.9, 0.5, 0.1])  # ᾱ = 0.5 is the level 0.5
    model.receive(m.Schedule(m.ScheduleName.LINEAR, alphas_cumprod))
    assert labels.time_step_here(model) == "t 2"


def test_colours_and_layers_are_named() -> None:
    assert labels.appearance_rows(Appearance(heat=True))[1] == ("O", "heat of t", "where t differs")
    assert labels.appearance_rows(Appearance())[0] == ("P", "colours", "grey")
    assert labels.heat_notice(Appearance(heat=True)) != labels.heat_notice(Appearance())
