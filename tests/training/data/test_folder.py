"""The user's own pictures as training images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import load_model
from tests.models import TINY
from training import __main__ as command
from training.data.folder import constant_border, read_folder
from training.data.images import DataError
from training.data.named import load_splits
from training.runs import train


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of twelve pictures of several sizes and kinds, and things that are none."""
    root = tmp_path / "pictures"
    for label, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        (root / label / "deep").mkdir(parents=True)
        for i in range(12):
            place = root / label / ("deep" if i % 2 else "")
            image = Image.new("RGB", (30 + 7 * i, 40), colour)
            image.save(place / f"{i:02}.{'jpg' if i % 3 else 'png'}")
    (root / "red" / "notes.txt").write_text("not a picture")
    (root / "red" / "cut.png").write_bytes((root / "red" / "00.png").read_bytes()[:40])
    (root / "stray.png").write_bytes(b"")
    (root / ".cache").mkdir()
    return root


def test_subfolders_are_classes_and_what_was_skipped_is_said(pictures: Path) -> None:
    data = read_folder(pictures, channels=3, size=16)
    assert data.label_names == ("blue", "red")
    assert data.training.images.shape == (20, 3, 16, 16)
    assert torch.bincount(data.test.labels).tolist() == [2, 2]
    red = data.training.images[data.training.labels == 1].float().mean((0, 2, 3))
    assert red[0] > 240
    assert red[2] < 15
    assert data.report.startswith("24 pictures of 2 classes, 4 of them kept back as a test\nskipped 3:")
    assert "red/notes.txt: not a picture" in data.report
    assert "red/cut.png: damaged" in data.report
    assert "stray.png: outside the subfolders" in data.report


def test_a_folder_without_subfolders_is_one_class(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("L", (28, 28), 10 * i).save(tmp_path / f"{i}.png")
    data = load_splits("folder", tmp_path)
    assert data.label_names == ("any",)
    assert data.training.images[:, 0, 0, 0].tolist() == [0, 20]
    assert data.test.images[:, 0, 0, 0].tolist() == [10]


def test_transparency_lies_over_black_and_a_rotated_photograph_stands_upright(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 255, 255, 0)).save(tmp_path / "a.png")
    tall = Image.new("L", (8, 16))
    tall.paste(255, (0, 0, 8, 8))  # white above
    exif = tall.getexif()
    exif[0x0112] = 3  # "turned by 180 degrees"
    tall.save(tmp_path / "b.png", exif=exif)
    data = read_folder(tmp_path, channels=1, size=8)
    assert data.training.images.max() == 0
    turned = data.test.images[0, 0]
    assert turned[-1].float().mean() > turned[0].float().mean()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "0 pictures that can be read"),
        (["a.txt"], "skipped: a.txt: not a picture"),
        (["x/"], "class x has 0 pictures"),
    ],
)
def test_a_folder_without_pictures_is_an_error(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        path = tmp_path / name
        path.mkdir() if name.endswith("/") else path.write_text("x")
    with pytest.raises(DataError, match=said):
        read_folder(tmp_path, 1, 28)
    with pytest.raises(DataError, match="is not a folder"):
        read_folder(tmp_path / "missing", 1, 28)


def test_too_many_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.folder.CLASSES_MAX", 2)
    for i in range(3):
        (tmp_path / str(i)).mkdir()
    with pytest.raises(InvalidValueError, match="3 is outside 1…2"):
        read_folder(tmp_path, 1, 28)


def test_a_constant_border_is_found() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    images[:, :, 1:3, 1:3] = 200
    assert constant_border(images) == -1
    images[0, 0, 0, 1] = 30
    assert constant_border(images) is None


def test_train_on_a_folder_of_colour_pictures(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {name: getattr(TINY, name) for name in ("base_width", "mid_width", "blocks", "embedding_width")}
    real = train.UNetConfig
    monkeypatch.setattr(train, "UNetConfig", lambda *a: real(*a, attention_heads=1, **sizes))
    out = tmp_path / "run"
    flags = ["train", "--dataset", "folder", "--data", pictures, "--out", out, "--channels", 3,
             "--image-size", 16, "--epochs", 1, "--batch-size", 10]  # fmt: skip
    assert command.main([str(flag) for flag in flags]) == 0
    said = capsys.readouterr().out
    assert "24 pictures of 2 classes" in said
    model = load_model(out / "model.safetensors")
    assert model.metadata.label_names == ("blue", "red")
    assert (model.network.config.channels, model.network.config.height) == (3, 16)
    assert model.metadata.dataset == "folder"
    assert model.metadata.border_value is None
    assert model.examples is not None
    assert model.examples.images.shape == (4, 3, 16, 16)
