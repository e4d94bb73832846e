"""Pictures as bytes and back."""

from __future__ import annotations

import numpy as np

from diffusion_toy.contract.pixels import to_bytes, to_unit_range


def test_bytes_are_rounded_to_the_nearest_and_cut_off() -> None:
    values = np.array([[[-9.0, -1.0, 0.0, 1.0, 9.0]]], np.float32)
    assert to_bytes(values).tolist() == [[[0, 0, 128, 255, 255]]]


def test_every_byte_survives_the_way_there_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    image = to_unit_range(pixels)
    assert image.dtype == np.float32
    assert (to_bytes(image) == pixels).all()
