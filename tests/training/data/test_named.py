"""Images by name, from local files or by download."""

from __future__ import annotations

import errno
import gzip
import hashlib
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

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


def test_missing_files_are_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    resources = []
    for path in sorted((SAMPLE / "MNIST" / "raw").iterdir()):
        packed = gzip.compress(path.read_bytes())
        (mirror / f"{path.name}.gz").write_bytes(packed)
        resources.append((f"{path.name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(MNIST, "resources", resources)
    monkeypatch.setenv("no_proxy", "*")
    handler = partial(SimpleHTTPRequestHandler, directory=mirror)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            first = load_dataset("mnist", tmp_path / "data")
        finally:
            server.shutdown()
            thread.join()
    assert torch.equal(first.images, load_dataset("mnist", SAMPLE).images)
    again = load_dataset("mnist", tmp_path / "data")  # nobody is left to download from
    assert again.fingerprint() == first.fingerprint()


def test_a_download_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize(
    "error", [RuntimeError("no route to host"), EOFError("cut off"), ValueError("bad answer")]
)
def test_a_download_may_fail_in_any_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(self: MNIST) -> None:
        raise error

    monkeypatch.setattr(MNIST, "download", fail)
    with pytest.raises(DataError, match=f"could not be downloaded \\({error}\\); give --data"):
        load_dataset("mnist", tmp_path)


def test_files_that_may_not_be_read_are_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: MNIST) -> None:  # the tests may run as root, who may read everything
        raise PermissionError(errno.EACCES, "Permission denied", "train-images-idx3-ubyte")

    monkeypatch.setattr(MNIST, "_load_data", refuse)
    shutil.copytree(SAMPLE / "MNIST", tmp_path / "MNIST")
    with pytest.raises(DataError, match=r"cannot be read \(permission denied\)"):
        load_dataset("mnist", tmp_path)


def test_images_and_labels_have_to_match() -> None:
    with pytest.raises(InvalidValueError, match="one for each of 3"):
        ImageSet(torch.zeros(3, 1, 28, 28, dtype=torch.uint8), torch.zeros(2))
