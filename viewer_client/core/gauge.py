"""The gauge: whether told, actual and measured levels agree, and whether the noise is Gaussian."""

from __future__ import annotations

import math

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion import process
from viewer_client.core.view_model import ViewModel

LEVEL_TOLERANCE = 0.01  # told and actual levels that differ by less count as equal
RESIDUAL_TOLERANCE = 0.04  # the shipped model's residual reads real pictures to ±0.02
BORDER_TOLERANCE, BORDER_TOLERANCE_SHARE = 0.03, 0.3  # the border is 108 pixels: four of its standard errors
KURTOSIS_TOLERANCE = 0.75  # at the least: what the network itself adds to that of Gaussian noise
KURTOSIS_ERRORS = 4.0  # standard errors, √(24/n), that count as chance
FEW_VALUES = 400  # of which the shape says little
UNEVEN_TRUTH = "levels differ from pixel to pixel, and the network is told the truth"


def sigma(level: float) -> float:
    """Return the standard deviation of the noise at a level u: σ = sin(πu/2)."""
    return float(process.sigma(np.float64(level)))


def sentence(model: ViewModel) -> str:
    """Return in words whether what the network is told agrees with what is in the picture."""
    frame = model.frame
    if frame is None:
        return ""
    if any(speckle.inject.rule is m.InjectionRule.LIE for speckle in model.feedback.speckles):
        return "you are changing what the network is told, not the picture"
    told = _actual_sentence(frame)
    odd = _measured_oddly(frame)
    if not odd:
        return told
    agree = abs(noise_difference(frame)) < LEVEL_TOLERANCE
    return f"{told}, yet it measures {odd}" + ("" if agree else " than either")


def _actual_sentence(frame: m.Frame) -> str:
    told, real = frame.nominal, frame.actual
    differences = _differences(frame)
    noisier, cleaner = max(differences) >= LEVEL_TOLERANCE, min(differences) <= -LEVEL_TOLERANCE
    if noisier and cleaner:
        return "parts of the picture are noisier than the network is told, others cleaner"
    whole_picture = frame.level_map is None and real.max - real.min < LEVEL_TOLERANCE
    where = "the picture is" if whole_picture else "parts of the picture are"
    if noisier:
        if told.max < LEVEL_TOLERANCE:
            return f"{where} noisy, but the network is told that it is clean"
        return f"{where} noisier than the network is told"
    if cleaner:
        if real.max < LEVEL_TOLERANCE:
            return "the picture is clean, but the network is told that there is noise"
        return f"{where} cleaner than the network is told"
    if told.max < LEVEL_TOLERANCE:
        return "the picture is clean, and the network is told the truth"
    if not whole_picture:
        return UNEVEN_TRUTH
    if told.min > 1 - LEVEL_TOLERANCE:
        return "pure noise, and the network is told the truth"
    return "the network is told the truth"


def warns(frame: m.Frame) -> bool:
    """Say whether the told, actual and measured levels disagree."""
    return abs(noise_difference(frame)) >= LEVEL_TOLERANCE or bool(_measured_oddly(frame))


def measured_level(frame: m.Frame) -> float | None:
    """Return the level that was measured, by the surer method that says something.

    None where levels differ: the border's would then be set beside a mean that it is no part of.
    """
    if frame.level_map is not None:
        return None
    return frame.measured_by_residual if frame.measured_by_residual is not None else frame.measured_by_border


def _measured_oddly(frame: m.Frame) -> str:
    """Return "noisier" or "cleaner" if the measured level differs by more than its error, else "".

    A residual is measured with a guess that believes what it is told, so it lies between the levels told
    and actual where those differ.
    """
    measured, real = measured_level(frame), frame.actual.mean
    if measured is None:
        return ""
    low = high = real
    tolerance = BORDER_TOLERANCE + BORDER_TOLERANCE_SHARE * real
    if frame.measured_by_residual is not None:
        low, high = sorted((real, frame.nominal.mean))
        tolerance = RESIDUAL_TOLERANCE
    return "noisier" if measured > high + tolerance else "cleaner" if measured < low - tolerance else ""


def _differences(frame: m.Frame) -> tuple[float, float, float]:
    real, told = frame.actual, frame.nominal
    return real.mean - told.mean, real.max - told.max, real.min - told.min


def noise_difference(frame: m.Frame) -> float:
    """Return actual minus told level, of the mean or of the extremes, whichever differ most."""
    return max(_differences(frame), key=abs)


def noise_shape(frame: m.Frame, values: int) -> tuple[str, bool]:
    """Return in words whether ε̂, of so many values, looks Gaussian, and whether it does not."""
    kurtosis = frame.excess_kurtosis
    if values == 0:
        return "no noise to look at", False
    if kurtosis is None:
        return "too few pixels to tell", False
    tolerance = max(KURTOSIS_TOLERANCE, KURTOSIS_ERRORS * math.sqrt(24 / values))
    odd = abs(kurtosis) > tolerance
    if odd:
        word = "heavier tails than Gaussian" if kurtosis > 0 else "flatter than Gaussian"
    else:
        word = "Gaussian" if values >= FEW_VALUES else "Gaussian, for so few pixels"
    return word, odd


def kurtosis_text(frame: m.Frame) -> str:
    """Return the excess kurtosis of ε̂ as text, "" if it is not known."""
    kurtosis = frame.excess_kurtosis
    return "" if kurtosis is None else f"excess kurtosis {kurtosis:+.1f}".replace("-", "−")
