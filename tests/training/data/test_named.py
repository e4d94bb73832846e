"""Images by name, from local files or by download."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torchvision.datasets import MNIST

from diffusion_toy.errors import InvalidValueError
from tests.tools import SAMPLE
from training.data.images import DataError, ImageSet, to_unit_range
from training.data.named import DATASETS, DatasetSpec, load_dataset


def test_the_sample_reads_as_real_digits() -> None:
    train, test = (load_dataset("mnist", SAMPLE, train=train) for train in (True, False))
    assert train.images.shape == (512, 1, 28, 28)
    assert len(test) == 128
    assert set(train.labels.tolist()) == set(range(10))
    x = to_unit_range(train.images)
    assert x.min() == -1
    assert x.max() == 1


@pytest.mark.parametrize(("name", "folder"), [("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_sets_of_the_same_format_are_read_by_name(tmp_path: Path, name: str, folder: str) -> None:
    shutil.copytree(SAMPLE / "MNIST", tmp_path / folder)
    assert load_dataset(name, tmp_path).images.shape == (512, 1, 28, 28)
    assert len(DATASETS[name].label_names) == 10


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="mnist"):
        load_dataset("letters", SAMPLE)


def test_missing_files_are_downloaded_and_a_failure_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    class Offline:
        def __init__(self, root: Path, train: bool, download: bool) -> None:
            asked.append(download)
            raise RuntimeError("Dataset not found" if not download else "no route to host")

    monkeypatch.setitem(DATASETS, "mnist", DatasetSpec(Offline, tuple("01"), None))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no route to host"):
        load_dataset("mnist", tmp_path)
    assert asked == [False, True]


def test_damaged_files_are_named_and_not_downloaded_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SAMPLE / "MNIST", tmp_path / "MNIST")
    monkeypatch.setattr(MNIST, "download", lambda self: pytest.fail("downloads"))
    images = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    for content in (images.read_bytes()[:5000], b"", b"nonsense" * 100):
        images.write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            load_dataset("mnist", tmp_path)


def test_images_and_labels_have_to_match() -> None:
    with pytest.raises(InvalidValueError, match="one for each of 3"):
        ImageSet(torch.zeros(3, 1, 28, 28, dtype=torch.uint8), torch.zeros(2))
