"""The common toy recipe, as a baseline to compare with: what most small tutorials train.

A discrete time index instead of level maps, linear betas over 300 steps, ε-prediction under an L1
loss, a BatchNorm U-Net of 32-64-128-256 channels on 32×32 pixels, no labels, no average of the
weights. Not to be served: its network knows one level for the whole picture only.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion_toy.diffusion.process import alpha, sigma
from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.model.unet import UNetConfig

WIDTHS = (32, 64, 128, 256)
TIME_WIDTH = 32
SIDE = 32  # pixels; 28×28 pictures get a black margin, which is kinder to them than resizing
SCHEDULE = ("linear", 300)


def recipe_levels() -> Tensor:
    """Return the levels of the time steps 0…T: (T + 1,) float32."""
    return torch.tensor(make_schedule(*SCHEDULE).levels, dtype=torch.float32)


class Block(nn.Module):
    """A block of the toy network: twice conv-ReLU-norm, time added between, then resizing."""

    def __init__(self, c_in: int, c_out: int, up: bool) -> None:
        super().__init__()
        self.time = nn.Linear(TIME_WIDTH, c_out)
        self.conv1 = nn.Conv2d(2 * c_in if up else c_in, c_out, 3, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(c_out), nn.BatchNorm2d(c_out)
        resize = nn.ConvTranspose2d if up else nn.Conv2d
        self.resize: nn.Module = resize(c_out, c_out, 4, 2, 1)

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """Return (B, c_out, H/2, W/2), or of twice the size on the way up, for `h` and the embedded time."""
        h = self.norm1(F.relu(self.conv1(h)))
        h = h + F.relu(self.time(time))[:, :, None, None]
        out: Tensor = self.resize(self.norm2(F.relu(self.conv2(h))))
        return out


class ToyUNet(nn.Module):
    """`ε = network.epsilon(x, t)`; called like `UNet`, it gives the velocity of the same guess.

    Args:
        config: of the pictures; its widths are not used.
    """

    takes_labels = False
    schedule = SCHEDULE

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        levels = recipe_levels()
        self.register_buffer("levels", levels, persistent=False)  # (T + 1,)
        self.embed = nn.Sequential(nn.Linear(TIME_WIDTH, TIME_WIDTH), nn.ReLU())
        pairs = list(pairwise(WIDTHS))
        self.conv_in = nn.Conv2d(config.channels, WIDTHS[0], 3, padding=1)
        self.downs = nn.ModuleList(Block(a, b, up=False) for a, b in pairs)
        self.ups = nn.ModuleList(Block(b, a, up=True) for a, b in reversed(pairs))
        self.conv_out = nn.Conv2d(WIDTHS[0], config.channels, 1)

    def epsilon(self, x: Tensor, t: Tensor) -> Tensor:
        """Predict the noise in `x` (B, C, H, W) at the time indices `t` (B,) in 1…T."""
        half = TIME_WIDTH // 2
        rates = torch.exp(torch.arange(half, device=x.device) * (-torch.log(torch.tensor(1e4)) / (half - 1)))
        angles = (t - 1)[:, None] * rates
        time = self.embed(torch.cat([angles.sin(), angles.cos()], 1))
        height, width = x.shape[-2:]
        above, left = (SIDE - height) // 2, (SIDE - width) // 2
        margins = (left, SIDE - width - left, above, SIDE - height - above)
        h = self.conv_in(F.pad(x, margins, value=-1.0))
        skips = []
        for block in self.downs:
            h = block(h, time)
            skips.append(h)
        for block in self.ups:
            h = block(torch.cat([h, skips.pop()], 1), time)
        out: Tensor = self.conv_out(h)[..., above : above + height, left : left + width]
        return out.float()

    def index_of(self, u: Tensor) -> Tensor:
        """Return the time index (B,) nearest to the level of each constant map (B, H, W)."""
        level = u.flatten(1)[:, :1]
        index: Tensor = (level - self.get_buffer("levels")[1:]).abs().argmin(1) + 1
        return index

    def forward(self, x: Tensor, u: Tensor, _labels: Tensor) -> Tensor:
        """Predict v as `UNet.forward` does, for maps of one level, which must not be 0."""
        a, s = alpha(u[:, None]), sigma(u[:, None])
        v: Tensor = (self.epsilon(x, self.index_of(u)) - s * x) / a
        return v


def sample_toy_levels(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw a time step of the recipe for each row, as constant maps: (count, height, width)."""
    levels = recipe_levels()
    t = torch.randint(1, len(levels), (count,), generator=generator)
    return levels[t][:, None, None].expand(count, height, width)
