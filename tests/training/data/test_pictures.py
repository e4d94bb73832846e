"""Picture files of every kind that Pillow reads."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.data.folder import read_folder
from training.data.pictures import UnusablePictureError, read_picture

RAMP = np.linspace(0, 255, 64)[None].repeat(64, 0)  # grey from black to white
GREY = Image.fromarray(np.rint(RAMP).astype(np.uint8))
EXIF = b"Exif\0\0"


def deep(kind: Any, white: float) -> Image.Image:
    return Image.fromarray((RAMP / 255 * white).astype(kind))


def in_mode(mode: str) -> Image.Image:
    return GREY.convert("RGB").convert(mode)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("image", "name", "options"),
    [
        (deep(np.uint16, 65535), "a.png", {}),
        (deep(np.uint16, 65535), "a.tif", {}),
        (deep(">u2", 65535), "a.tif", {}),
        (deep(np.uint16, 65535), "a.pgm", {}),
        (deep(np.int32, 65535), "a.tif", {}),
        (deep(np.float32, 1), "a.tif", {}),
        (GREY.convert("LA"), "a.png", {}),
        (GREY.convert("RGBA"), "a.png", {}),
        (GREY.convert("RGBA"), "a.webp", {"lossless": True}),
        (GREY.convert("P"), "a.png", {}),
        (GREY.convert("P"), "a.gif", {}),
        (GREY.convert("P"), "a.png", {"transparency": 0}),
        (GREY, "a.png", {"transparency": 0}),
        (deep(np.uint16, 65535), "a.png", {"transparency": 0}),
        (in_mode("RGB"), "a.png", {"transparency": (0, 0, 0)}),
        (in_mode("CMYK"), "a.jpg", {"quality": 100}),
        (in_mode("CMYK"), "a.tif", {}),
        (in_mode("YCbCr"), "a.jpg", {"quality": 100}),
        (in_mode("YCbCr"), "a.tif", {}),
        (in_mode("LAB"), "a.tif", {}),
    ],
)
def test_a_picture_of_any_depth_is_the_same_picture(
    tmp_path: Path, image: Image.Image, name: str, options: dict[str, Any], channels: int
) -> None:
    GREY.save(tmp_path / "plain.png")
    image.save(tmp_path / name, **options)
    expected = read_picture(tmp_path / "plain.png", channels, 28).over_black
    got = read_picture(tmp_path / name, channels, 28).over_black
    assert got.shape == (channels, 28, 28)
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - expected.astype(int)).max() <= 4


def tiff(bits: int, photometric: int, pixels: bytes, sample_format: int = 1) -> bytes:
    """Build a grey TIFF of 64 × 64 pixels, little-endian, that Pillow cannot write."""
    tags = [(256, 64), (257, 64), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 64)]
    tags += [(279, len(pixels)), (339, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return (
        b"II*\0"
        + struct.pack("<I", 8 + len(pixels))
        + pixels
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


def twelve_bits() -> bytes:
    """Return the ramp with 12 bits a pixel, two pixels in three bytes."""
    pairs = np.rint(RAMP / 255 * 4095).astype(int).reshape(-1, 2)
    return b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())


@pytest.mark.parametrize(
    "content",
    [
        tiff(12, 1, twelve_bits()),
        tiff(16, 0, np.rint((255 - RAMP) * 257).astype("<u2").tobytes()),
        tiff(32, 0, (1 - RAMP / 255).astype("<f4").tobytes(), sample_format=3),
        tiff(8, 0, np.rint(255 - RAMP).astype(np.uint8).tobytes()),
    ],
    ids=["12 bits", "white is zero", "white is zero, floats", "white is zero, 8 bits"],
)
def test_a_tiff_says_itself_what_is_black_and_what_is_white(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    GREY.save(tmp_path / "plain.png")
    expected = read_picture(tmp_path / "plain.png", 1, 28).over_black
    got = read_picture(tmp_path / "a.tif", 1, 28).over_black
    assert np.abs(got.astype(int) - expected.astype(int)).max() <= 4


def test_a_picture_of_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(RAMP > 127).save(tmp_path / "a.png")
    pixels = read_picture(tmp_path / "a.png", 1, 64).over_black[0, 0]
    assert pixels.tolist() == [0] * 32 + [255] * 32


def test_the_transparent_value_of_a_deep_picture_is_transparent(tmp_path: Path) -> None:
    values = np.full((8, 8), 30000, np.uint16)
    values[:, 4:] = 129  # 129 and 130 are one value in 8 bits
    values[:, 7:] = 130
    Image.fromarray(values).save(tmp_path / "a.png", transparency=129)
    picture = read_picture(tmp_path / "a.png", 1, 8)
    assert picture.over_white[0, 0].tolist() == [117] * 4 + [255] * 3 + [1]
    assert picture.ink == pytest.approx(5 / 8)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (deep(np.float32, 255), "values from 0 to 255 have no known white"),
        (deep(np.int32, 1e6), "values from 0 to 1e\\+06 have no known white"),
        (deep(np.int32, -5), "values from -5 to 0"),
        (deep(np.float32, np.nan), "not finite"),
    ],
)
def test_a_picture_without_a_known_white_is_skipped_with_its_reason(
    tmp_path: Path, image: Image.Image, said: str
) -> None:
    image.save(tmp_path / "deep.tif")
    with pytest.raises(UnusablePictureError, match=said):
        read_picture(tmp_path / "deep.tif", 1, 8)
    for i in range(2):
        GREY.save(tmp_path / f"{i}.png")
    assert "deep.tif: " in read_folder(tmp_path, 1, 8).report


def exif(*tags: tuple[int, int, int, bytes]) -> bytes:
    """Build an EXIF block of (tag, type, count, four bytes of value)."""
    body = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in tags)
    return EXIF + b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4)


TURNED = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
HEX_DIGITS = (0x0100, 2, 4, b"640\0")


def avif() -> bytes:
    content = io.BytesIO()
    GREY.save(content, "AVIF")
    return content.getvalue()[:-200]


def dds() -> bytes:
    content = io.BytesIO()
    GREY.convert("RGBA").save(content, "DDS")
    damaged = bytearray(content.getvalue())
    damaged[80:88] = struct.pack("<I4s", 4, b"????")  # a pixel format that nobody knows
    return bytes(damaged)


def photograph(block: bytes) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (30, 20)).save(content, "JPEG", exif=block)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo.jpg", lambda: photograph(exif(TURNED, (0x011A, 2, 4, b"72.\0")))),  # TypeError
        ("photo.jpg", lambda: photograph(exif(HEX_DIGITS, TURNED))),  # struct.error
        ("photo.avif", avif),  # RuntimeError
        ("photo.dds", dds),  # NotImplementedError
        ("photo.png", lambda: b"\x89PNG\r\n\x1a\n" + bytes(40)),  # SyntaxError or OSError
        ("photo.gif", lambda: b"GIF89a"),
        ("photo.tif", lambda: b"II*\0\xff\xff\xff\xff"),
    ],
)
def test_one_damaged_picture_is_skipped_by_name(
    tmp_path: Path, name: str, content: Callable[[], bytes]
) -> None:
    for i in range(3):
        GREY.save(tmp_path / f"{i}.png")
    (tmp_path / name).write_bytes(content())
    data = read_folder(tmp_path, 1, 8)
    assert len(data.training) + len(data.test) == 3
    assert f"  {name}: " in data.report


def test_a_picture_that_is_too_large_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    GREY.save(tmp_path / "scan.png")
    for i in range(2):
        GREY.resize((8, 8)).save(tmp_path / f"{i}.png")
    assert "scan.png: too large, it has more than 400 pixels" in read_folder(tmp_path, 1, 8).report


def test_damage_of_any_kind_never_stops_the_reading(tmp_path: Path) -> None:
    """Photographs with a valid orientation and other tags of random type and content are read or skipped."""
    for i in range(2):
        GREY.save(tmp_path / f"{i}.png")
    draw = random.Random(1)
    known = (0x0100, 0x0101, 0x010F, 0x011A, 0x011B, 0x0128, 0x8769, 0x8825)
    for i in range(200):
        tags = [
            (draw.choice(known), draw.randint(0, 13), draw.choice((0, 1, 2, 4)), draw.randbytes(4))
            for _ in range(draw.randint(1, 4))
        ]
        (tmp_path / f"photo{i}.jpg").write_bytes(photograph(exif(TURNED, *tags)))
    data = read_folder(tmp_path, 1, 8)
    skipped = data.details.count(": damaged (")
    assert len(data.training) + len(data.test) + skipped == 202
    assert skipped > 3
