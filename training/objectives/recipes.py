"""What a training run learns: which network, which levels it sees, which error it is to make small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_toy.diffusion.process import q_sample, sigma, velocity
from diffusion_toy.model.unet import UNet, UNetConfig
from training.objectives.levels import sample_level_maps
from training.objectives.toy_recipe import ToyUNet, sample_toy_levels

DiffusionNetwork = UNet | ToyUNet
Network = Callable[[Tensor, Tensor, Tensor], Tensor]
Loss = Callable[[Network, Tensor, Tensor, Tensor, Tensor], Tensor]


def velocity_loss(network: Network, x0: Tensor, u: Tensor, eps: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error of v over the pixels that hold any noise.

    Where u = 0, x already is x0 and v = eps cannot be told from the picture: such pixels would
    add gradient noise and nothing else, and the sampler never reads v there.

    Args:
        network: predicts v from (x, u, labels).
        x0: (B, C, H, W) in [−1, 1].  u: (B, H, W) in [0, 1].
        eps: (B, C, H, W) standard normal.  labels: (B,) int64.
    """
    u_image = u[:, None]
    error = network(q_sample(x0, u_image, eps), u, labels) - velocity(x0, eps, u_image)
    return mean_square_of_noisy(error, u_image)


def mean_square_of_noisy(error: Tensor, u_image: Tensor) -> Tensor:
    """Return the mean square of an error (B, C, H, W) over the pixels with a level (B, 1, H, W) above 0."""
    noisy = (sigma(u_image) > 0).float().expand_as(error)
    loss: Tensor = (error.square() * noisy).sum() / noisy.sum().clamp(min=1)
    return loss


def epsilon_loss(network: Network, x0: Tensor, u: Tensor, eps: Tensor, labels: Tensor) -> Tensor:
    """Return the mean absolute error of ε, for a network that is called as `velocity_loss` calls it.

    With x = a·x0 + s·ε, ε = s·x + a·v, so the same error is a·|v − v̂| of the network's velocity.
    """
    u_image = u[:, None]
    x = q_sample(x0, u_image, eps)
    v = network(x, u, labels)
    guess = sigma(u_image) * x + (1 - sigma(u_image) ** 2).sqrt() * v
    loss: Tensor = (guess - eps).abs().mean()
    return loss


@dataclass(frozen=True)
class TrainingRecipe:
    """What a run trains: the network, the levels it sees, and the loss.

    Attributes:
        network: made from a configuration; called as `network(x, u, labels)`, it predicts v.
        levels: (count, height, width, map_share, generator) to levels (count, height, width).
        loss: from (network, x0, u, eps, labels).
        can_be_served: whether the server has a use for the weights.
    """

    network: Callable[[UNetConfig], DiffusionNetwork]
    levels: Callable[[int, int, int, float, torch.Generator], Tensor]
    loss: Loss
    can_be_served: bool


def _toy_levels(count: int, height: int, width: int, _map_share: float, generator: torch.Generator) -> Tensor:
    return sample_toy_levels(count, height, width, generator)


RECIPES = {
    "level-maps": TrainingRecipe(UNet, sample_level_maps, velocity_loss, can_be_served=True),
    "toy": TrainingRecipe(ToyUNet, _toy_levels, epsilon_loss, can_be_served=False),
}
