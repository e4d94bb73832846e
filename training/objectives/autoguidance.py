"""Autoguidance: a network made better by what a weaker version of itself gets wrong.

v + w·(v − v_weak), Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself". Where the
two agree, nothing changes; where the weak one strays further from the data in the same direction, the sum
steps back from it. It needs no label, and costs a second forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel
from diffusion_toy.model.unet import UNetConfig
from training.data.images import class_difference
from training.objectives.recipes import DiffusionNetwork

WEIGHT_DEFAULT, WEIGHT_MAX = 1.0, 8.0


@dataclass(frozen=True)
class Autoguidance:
    """How much the weak network guides.

    Attributes:
        weight: w where the network is told no label; 0 leaves v as it is.
        labelled_weight: w where it is told one.
        low, high: the levels between which a pixel is guided.
    """

    weight: float
    labelled_weight: float
    low: float = 0.0
    high: float = 1.0

    def weights(self, u: Tensor, unlabelled: Tensor) -> Tensor:
        """Return w of every pixel, (B, 1, H, W), for levels (B, H, W) and (B,) bool."""
        row = unlabelled * self.weight + ~unlabelled * self.labelled_weight
        return (row[:, None, None] * ((self.low <= u) & (u <= self.high)))[:, None]


class AutoguidedNetwork(nn.Module):
    """A network and a weak version of it, called like one network.

    Args:
        network: the better one.
        weak: of the same pictures and classes.
        guidance: how much it guides.
    """

    def __init__(self, network: DiffusionNetwork, weak: DiffusionNetwork, guidance: Autoguidance) -> None:
        super().__init__()
        self.network, self.weak, self.guidance = network, weak, guidance
        self.config: UNetConfig = network.config
        self.takes_labels = network.takes_labels
        self.schedule = network.schedule

    def forward(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        """Predict v, guided; as `UNet.forward`."""
        v: Tensor = self.network(x, u, labels)
        weights = self.guidance.weights(u, labels == self.config.num_classes)
        return torch.addcmul(v, weights, v - self.weak(x, u, labels))


def check_named(weak: Path | None, **flags: object) -> None:
    """Refuse flags that say how a weak model guides where none is named.

    Args:
        weak: the model's file.
        flags: their values by the names of their fields, None for those that were not given.

    Raises:
        InvalidValueError: one was given without a weak model.
    """
    for name, value in flags.items():
        if weak is None and value is not None:
            given = " ".join(map(str, value)) if isinstance(value, tuple) else value
            limit = "what is possible without a weak model"
            raise InvalidValueError("--" + name.replace("_", "-"), given, limit, "add --weak FILE")


def check_weak(network: UNetConfig, dataset: str, label_names: tuple[str, ...], weak: LoadedModel) -> None:
    """Refuse a weak model that cannot guide this network.

    Args:
        network: what is to be guided.
        dataset: what it was trained on.
        label_names: of its classes, () where they are not known.
        weak: the model.

    Raises:
        InvalidValueError: it is of other data, other pictures or other classes.
    """
    for what, theirs, ours in (
        ("data set", weak.metadata.dataset, dataset),
        ("pictures (C, H, W)", picture_of(weak.config), picture_of(network)),
        ("classes", weak.config.num_classes, network.num_classes),
    ):
        if theirs != ours:
            raise InvalidValueError("--weak", f"a model with {what} {theirs}", f"{what} {ours}")
    if label_names and weak.metadata.label_names != label_names:
        given = class_difference(label_names, weak.metadata.label_names)
        raise InvalidValueError("--weak", f"a model with {given}", "the classes of the guided network")


def picture_of(config: UNetConfig) -> tuple[int, int, int]:
    """Return the (C, H, W) of what a network takes."""
    return config.channels, config.height, config.width
