"""The gauge says whether levels agree and whether the noise is Gaussian, in every case."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.viewer_client.frames import frame, live_model
from viewer_client.core import gauge
from viewer_client.core.feedback import Speckle

LEVELS = np.linspace(0, 1, 784, dtype=np.float32).reshape(28, 28)
TRUTH = "the network is told the truth"


def even(level: float) -> m.Range:
    return m.Range(level, level, level)


# Told, actual, by residual, by border, whether levels differ per pixel: the sentence, whether it warns.
GAUGE = [
    (even(0.5), even(0.5), 0.51, 0.3, False, TRUTH, False),
    (even(0.5), even(0.5), None, None, False, TRUTH, False),
    (even(0.5), even(0.505), 0.5, None, False, TRUTH, False),
    (even(0.97), even(0.97), None, 0.9, False, TRUTH, False),  # within what the border can tell
    (even(1), even(1), None, 1.0, False, f"pure noise, and {TRUTH}", False),
    (even(0), even(0), None, 0.0, False, f"the picture is clean, and {TRUTH}", False),
    (even(0.5), even(0.7), 0.6, None, False, "the picture is noisier than the network is told", True),
    (even(0.34), even(0.48), None, None, False, "the picture is noisier than the network is told", True),
    (even(0.7), even(0.5), 0.6, None, False, "the picture is cleaner than the network is told", True),
    (
        even(0), even(0.4), None, None, False,
        "the picture is noisy, but the network is told that it is clean", True,
    ),
    (
        even(0.4), even(0), None, None, False,
        "the picture is clean, but the network is told that there is noise", True,
    ),
    (
        m.Range(0, 0.1, 0.6), m.Range(0, 0.1, 0.6), None, 0.0, True,
        f"levels differ from pixel to pixel, and {TRUTH}", False,
    ),
    (
        m.Range(0, 0.1, 0.6), m.Range(0, 0.2, 0.9), None, None, True,
        "parts of the picture are noisier than the network is told", True,
    ),
    (
        m.Range(0, 0.001, 0.1), m.Range(0, 0.004, 0.6), None, None, True,
        "parts of the picture are noisier than the network is told", True,
    ),
    (
        m.Range(0, 0.3, 0.9), m.Range(0, 0.2, 0.6), None, None, True,
        "parts of the picture are cleaner than the network is told", True,
    ),
    (
        m.Range(0.2, 0.4, 0.6), m.Range(0.1, 0.4, 0.9), None, None, True,
        "parts of the picture are noisier than the network is told, others cleaner", True,
    ),
    (
        even(0.3), m.Range(0.3, 0.35, 0.7), 0.31, None, False,
        "parts of the picture are noisier than the network is told", True,
    ),
    (even(0.5), even(0.5), 0.6, None, False, f"{TRUTH}, yet it measures noisier", True),
    (even(0.5), even(0.5), 0.4, 0.5, False, f"{TRUTH}, yet it measures cleaner", True),
    (even(0.95), even(0.95), None, 0.3, False, f"{TRUTH}, yet it measures cleaner", True),
    (
        even(0.5), even(0.7), 0.4, None, False,
        "the picture is noisier than the network is told, yet it measures cleaner than either", True,
    ),
    (
        even(0.5), even(0.7), 0.8, None, False,
        "the picture is noisier than the network is told, yet it measures noisier than either", True,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("told", "real", "residual", "border", "uneven", "sentence", "warns"), GAUGE)
def test_the_gauge_says_what_is_the_case(
    told: m.Range,
    real: m.Range,
    residual: float | None,
    border: float | None,
    uneven: bool,
    sentence: str,
    warns: bool,
) -> None:
    model = live_model(
        nominal=told,
        actual=real,
        measured_by_residual=residual,
        measured_by_border=border,
        level_map=LEVELS if uneven else None,
    )
    assert gauge.sentence(model) == sentence
    assert model.frame is not None
    assert gauge.warns(model.frame) is warns


def test_while_a_lie_is_on_its_way_the_gauge_says_what_it_does() -> None:
    model = live_model()
    model.feedback.speckles.append(Speckle(5, m.Inject(None, 20.0, rule=m.InjectionRule.LIE), 1.0))
    assert gauge.sentence(model) == "you are changing what the network is told, not the picture"
    model.receive(frame(applied_sequence=5))
    assert gauge.sentence(model) == TRUTH


def test_what_was_sent_as_a_lie_is_known_as_one() -> None:
    model = live_model()
    model.sent(m.Inject(None, 20.0, rule=m.InjectionRule.LIE), sequence=3, now=0.0)
    assert [speckle.inject.rule for speckle in model.feedback.speckles] == [m.InjectionRule.LIE]


def test_the_level_is_measured_by_the_surer_method_and_not_where_levels_differ() -> None:
    both = frame(measured_by_residual=0.4, measured_by_border=0.6)
    assert gauge.measured_level(both) == 0.4
    assert gauge.measured_level(frame(measured_by_border=0.6)) == 0.6
    assert gauge.measured_level(frame()) is None
    assert gauge.measured_level(frame(measured_by_border=0.0, level_map=LEVELS)) is None


@pytest.mark.parametrize(
    ("kurtosis", "values", "words", "odd"),
    [
        (0.3, 784, "Gaussian", False),
        (-0.5, 784, "Gaussian", False),
        (2.6, 784, "heavier tails than Gaussian", True),
        (-1.1, 784, "flatter than Gaussian", True),
        (1.0, 90, "Gaussian, for so few pixels", False),  # as likely as not by chance
        (2.6, 90, "heavier tails than Gaussian", True),
        (None, 40, "too few pixels to tell", False),
        (None, 0, "no noise to look at", False),
    ],
)
def test_the_shape_of_the_noise_is_said_in_words(
    kurtosis: float | None, values: int, words: str, odd: bool
) -> None:
    assert gauge.noise_shape(frame(excess_kurtosis=kurtosis), values) == (words, odd)


def test_the_shape_of_gaussian_noise_is_called_gaussian_for_every_number_of_pixels() -> None:
    rng = np.random.default_rng(1)
    for values in (80, 200, 784):
        sample = rng.standard_normal((200, values))
        centered = sample - sample.mean(1, keepdims=True)
        kurtosis = (centered**4).mean(1) / (centered**2).mean(1) ** 2 - 3
        called_odd = [gauge.noise_shape(frame(excess_kurtosis=float(k)), values)[1] for k in kurtosis]
        assert sum(called_odd) <= 4


def test_the_figure_has_a_sign_that_can_be_read() -> None:
    assert gauge.kurtosis_text(frame(excess_kurtosis=-1.25)) == "excess kurtosis −1.2"
    assert gauge.kurtosis_text(frame(excess_kurtosis=0.31)) == "excess kurtosis +0.3"
    assert gauge.kurtosis_text(frame()) == ""
