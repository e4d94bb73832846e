"""Images for training, by name, through torchvision: local files, or downloaded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchvision import datasets

from diffusion_toy.errors import InvalidValueError
from training.data.folder import read_folder
from training.data.images import DataError, ImageSet, Splits


@dataclass(frozen=True)
class DatasetSpec:
    """How to read a data set, and what is known of it."""

    loader: type[datasets.MNIST]
    label_names: tuple[str, ...]
    border_value: float | None  # in [−1, 1]; None where the border is not constant


DIGITS = tuple("0123456789")
CLOTHES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
FOLDER = "folder"  # the user's own pictures
DATASETS = {
    "mnist": DatasetSpec(datasets.MNIST, DIGITS, border_value=-1.0),
    "fashion-mnist": DatasetSpec(datasets.FashionMNIST, CLOTHES, border_value=None),
    "kmnist": DatasetSpec(datasets.KMNIST, KANA, border_value=None),
}


def load_splits(name: str, root: Path, channels: int = 1, size: int = 28) -> Splits:
    """Read both parts of a data set by name, or of the user's own pictures (`folder`).

    Args:
        name: one of `DATASETS`, or `folder`.
        root: where it is, or to be downloaded to; for `folder` the folder itself.
        channels, size: what the pictures of a folder are converted to; ignored for the others.

    Raises:
        InvalidValueError: an unknown name.
        DataError: the files are damaged, or neither there nor to be had.
    """
    if name == FOLDER:
        return read_folder(root, channels, size)
    spec = dataset_spec(name)
    training, test = (load_dataset(name, root, train=train) for train in (True, False))
    return Splits(training, test, spec.label_names, spec.border_value)


def load_dataset(name: str, root: Path, train: bool = True) -> ImageSet:
    """Read a data set from `root`, downloading it there first if it is missing.

    Raises:
        InvalidValueError: an unknown name.
        DataError: the files may not be read, are damaged, or neither there nor to be had.
    """
    spec = dataset_spec(name)
    try:
        data = spec.loader(root, train=train, download=False)
    except PermissionError as error:
        raise DataError(f"data set {name} in {root} cannot be read (permission denied)") from error
    except Exception as error:  # of many kinds, where a file is not what it should be
        if "not found" not in str(error):  # torchvision's way to say "not there"
            raise DataError(
                f"data set {name} in {root} is damaged ({error}); "
                "delete its files there to have them downloaded again"
            ) from error
        data = _download(name, spec, root, train)
    return ImageSet(data.data[:, None], data.targets.long())


def _download(name: str, spec: DatasetSpec, root: Path, train: bool) -> datasets.MNIST:
    try:
        return spec.loader(root, train=train, download=True)
    except Exception as error:  # of the network, of the archive, of the files: of many kinds
        raise DataError(
            f"data set {name} is not in {root} and could not be downloaded ({error}); "
            "give --data a folder that holds it, or connect to the internet"
        ) from error


def dataset_spec(name: str) -> DatasetSpec:
    """Return what is known of the data set called `name`.

    Raises:
        InvalidValueError: there is none of that name.
    """
    if name not in DATASETS:
        raise InvalidValueError("dataset", repr(name), " or ".join([*DATASETS, FOLDER]))
    return DATASETS[name]
