"""Model files come back as they were; whatever else a file may be is refused in one sentence."""

from __future__ import annotations

import errno
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from diffusion_toy.errors import CheckpointError, InvalidValueError
from diffusion_toy.model import checkpoint
from diffusion_toy.model.checkpoint import Examples, ModelMetadata, load_model, save_model
from diffusion_toy.model.unet import UNet, UNetConfig
from tests.models import TINY, random_network, write_model

DIGITS = tuple("0123456789")


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = load_model(write_model(tmp_path / "m.safetensors"))
    assert model.name == "m"
    assert len(model.fingerprint) == 16
    assert model.metadata.dataset == "noise"
    assert model.metadata.border_value == -1.0
    assert model.metadata.scores == {"score": 1.0}
    expected = random_network().state_dict()
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, expected[name])
    assert model.examples is not None
    assert model.examples.images.dtype == np.uint8


def test_a_model_may_come_without_examples(tmp_path: Path) -> None:
    assert load_model(write_model(tmp_path / "m.safetensors", examples=False)).examples is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors does not exist"):
        load_model(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kind", ["empty", "random", "truncated", "pickle"])
def test_a_damaged_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = write_model(tmp_path / "m.safetensors")
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "random": bytes(range(256)) * 40,
        "truncated": content[: len(content) // 2],
        "pickle": pickle.dumps({"weights": [1, 2, 3]}),
    }
    path.write_bytes(damaged[kind])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(path)


def test_somebody_elses_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"w": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="not a Diffusion Toy model"):
        load_model(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "metadata of another kind"),
        ("not json", "damaged"),
        ('{"format": "diffusion-toy-model", "version": 1}', "damaged"),
        ('{"format": "something", "version": 1}', "format something"),
    ],
)
def test_metadata_of_another_kind_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"w": torch.zeros(3)}, path, {"diffusion_toy": text})
    with pytest.raises(CheckpointError, match=said):
        load_model(path)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.zeros(2, 1, 28, 28), torch.zeros(2, dtype=torch.long)),
        (torch.zeros(2, 1, 9, 28, dtype=torch.uint8), torch.zeros(2, dtype=torch.long)),
        (torch.zeros(3, 1, 28, 28, dtype=torch.uint8), torch.zeros(2, dtype=torch.long)),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 10])),
    ],
)
def test_examples_that_do_not_fit_the_network_are_refused(
    tmp_path: Path, images: torch.Tensor, labels: torch.Tensor
) -> None:
    path, network = tmp_path / "m.safetensors", random_network()
    metadata = ModelMetadata(network.config, "noise", DIGITS)
    save_model(path, network.state_dict(), metadata, Examples(images, labels))
    with pytest.raises(CheckpointError, match="examples"):
        load_model(path)


def test_the_default_network_with_examples_stays_below_eight_million_bytes(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    network = UNet(UNetConfig())
    examples = Examples(torch.zeros(50, 1, 28, 28, dtype=torch.uint8), torch.arange(50) % 10)
    save_model(path, network.state_dict(), ModelMetadata(network.config, "mnist", DIGITS), examples)
    assert path.stat().st_size < 8_000_000 - 20_000  # room for more metadata


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    network = random_network()
    with torch.no_grad():
        network.conv_out.bias[0] = float("nan")
    path = tmp_path / "nan.safetensors"
    save_model(path, network.state_dict(), ModelMetadata(network.config, "noise", DIGITS))
    with pytest.raises(CheckpointError, match="not finite"):
        load_model(path)


def test_a_later_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 99)
    path = write_model(tmp_path / "m.safetensors")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="version 99"):
        load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"label_names": ["caf\udce9", *DIGITS[1:]]},
        {"label_names": ["", *DIGITS[1:]]},
        {"label_names": [0, *DIGITS[1:]]},
        {"label_names": ["x" * 256, *DIGITS[1:]]},
        {"label_names": ["\x1b[2J", *DIGITS[1:]]},
        {"dataset": "two\nlines"},
        {"label_names": DIGITS[1:]},
        {"label_names": "01234567890123456789"},
        {"label_names": None},
        {"dataset": "\ud800"},
        {"dataset": 7},
        {"border_value": "dark"},
        {"border_value": float("nan")},
        {"border_value": 2},
        {"residual_calibration": [1.0, float("inf")]},
    ],
)
def test_metadata_that_a_server_could_not_send_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = write_model(tmp_path / "m.safetensors")
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["diffusion_toy"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {"diffusion_toy": json.dumps({**header, **change})})
    with pytest.raises(CheckpointError, match="is damaged") as e:
        load_model(path)
    str(e.value).encode()  # it can be printed
    assert len(str(e.value)) < 1000


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"\x1b[2J"])
def test_a_file_name_that_a_server_could_not_send_is_refused(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name + b".safetensors")
    write_model(tmp_path / "m.safetensors").rename(path)
    with pytest.raises(CheckpointError, match=r"cannot be served: its name .*; rename it") as e:
        load_model(path)
    assert str(e.value).isprintable()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="is no file"):
        load_model(tmp_path / "m.safetensors")


def test_metadata_that_a_server_could_not_send_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"label_names 'caf\\udce9'"):
        ModelMetadata(TINY, "folder", ("caf\udce9", *DIGITS[1:]))


def test_a_file_that_may_not_be_read_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "m.safetensors")

    def refuse(self: Path, mode: str) -> None:  # the tests may run as root, who may read everything
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match=r"m\.safetensors cannot be read \(permission denied\)"):
        load_model(path)


def test_a_folder_in_the_place_of_a_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be read \(is a directory\)"):
        load_model(tmp_path)


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path, other = write_model(tmp_path / "m.safetensors"), write_model(tmp_path / "other.safetensors", seed=1)
    check = checkpoint._check_weights

    def change(*arguments: Any) -> None:
        check(*arguments)
        other.replace(path) if how == "replaced" else path.unlink()

    monkeypatch.setattr(checkpoint, "_check_weights", change)
    with pytest.raises(CheckpointError, match="changed while it was read"):
        load_model(path)
