"""Colours rise in lightness, so that nothing is said by colour alone."""

from __future__ import annotations

import numpy as np
import pytest

from viewer_client.core.appearance import ColorMap
from viewer_client.core.colormaps import HEAT, TABLES, UNKNOWN, colored, grey, heated, signed

RAMP = np.linspace(-1, 1, 256, dtype=np.float32).reshape(1, 16, 16)


def lightness(colors: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB bytes (Rec. 709)."""
    linear = (colors / 255.0) ** 2.2
    return linear @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("color_map", list(ColorMap))
def test_from_end_to_end_a_map_only_becomes_lighter_or_only_darker(color_map: ColorMap) -> None:
    light = lightness(colored(RAMP, color_map).reshape(-1, 3))
    steps = np.diff(light) * (-1 if color_map is ColorMap.INK else 1)
    assert (steps >= -2e-3).all()
    assert abs(light[-1] - light[0]) > 0.5
    assert set(TABLES) == set(ColorMap)


def test_heat_becomes_lighter_with_noise() -> None:
    assert (np.diff(lightness(HEAT)) >= -2e-3).all()


def test_viridis_runs_through_its_known_colours() -> None:
    table = TABLES[ColorMap.VIRIDIS]
    assert table[0].tolist() == [68, 1, 84]
    assert np.abs(table[128].astype(int) - (33, 145, 140)).max() <= 3
    assert table[255].tolist() == [253, 231, 37]


def test_grey_is_black_to_white_and_cuts_off_what_lies_outside() -> None:
    image = np.array([[[-5.0, -1.0, 0.0, 1.0, 5.0]]], np.float32)
    assert grey(image)[0].tolist() == [[0] * 3, [0] * 3, [128] * 3, [255] * 3, [255] * 3]


def test_three_channels_keep_their_colours() -> None:
    image = np.stack([RAMP[0], -RAMP[0], RAMP[0] * 0])
    shown = colored(image, ColorMap.VIRIDIS)
    assert (shown == colored(image, ColorMap.GREY)).all()
    assert (colored(image, ColorMap.INK) == 255 - shown).all()


def test_signed_values_are_neutral_at_zero_and_where_nothing_is_known() -> None:
    values = np.array([[[-3.0, 0.0, 3.0, 2.0]]], np.float32)
    known = np.array([[True, True, True, False]])
    minus, zero, plus, unknown = signed(values, 3.0, known)[0].astype(int)
    assert minus[2] > minus[0] + 50  # blue
    assert plus[0] > plus[2] + 50  # orange
    assert np.ptp(zero) < 12
    assert tuple(unknown) == UNKNOWN


def test_heat_leaves_clean_pixels_as_they_are_and_more_of_the_picture_where_there_is_less_noise() -> None:
    shares = np.array([[0.0, 0.1, 1.0]])
    black, white = (heated(np.full((1, 3, 3), grey, np.uint8), shares)[0].astype(int) for grey in (0, 255))
    left = (white - black).mean(axis=1) / 255  # how much of the picture is seen through the layer
    assert left[0] == 1
    assert 0.2 < left[2] < left[1] - 0.2 < 0.8
    assert (white[2] != white[1]).any()  # and the layer has other colours
