"""The network: a small U-Net that is told the noise level of every pixel.

Ho et al. 2020 in outline (residual blocks, attention at the low resolution), with scale-shift
conditioning (Dhariwal & Nichol 2021) and v-prediction (Salimans & Ho 2022). What differs is the
time input: not one index but a map of levels, as input channels and, by its mean and maximum, in
the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion_toy.errors import InvalidValueError

UNSHUFFLE = 2  # the network works on 2×2 pixel blocks: 28×28 becomes 14×14
MAP_FREQUENCIES = (0.5, 1.0, 2.0, 4.0)  # of π·u, per pixel
MEAN_FREQUENCIES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # of π·u, for the map's mean and maximum


@dataclass(frozen=True)
class UNetConfig:
    """What rebuilds the network; stored in every checkpoint.

    Attributes:
        channels, height, width: of the image; height and width divisible by 4.
        num_classes: labels are 0…num_classes−1, and num_classes itself means "no label".
        base_width, mid_width: feature channels at half and at quarter resolution.
        blocks: residual blocks per resolution and direction.
        embedding_width: of the level-and-label embedding.
        attention_heads: at quarter resolution; a divisor of mid_width.
    """

    channels: int = 1
    height: int = 28
    width: int = 28
    num_classes: int = 10
    base_width: int = 48
    mid_width: int = 96
    blocks: int = 2
    embedding_width: int = 192
    attention_heads: int = 4

    def __post_init__(self) -> None:
        for field in ("height", "width"):
            size = getattr(self, field)
            if size < 4 or size % 4:
                raise InvalidValueError(field, size, "the multiples of 4 from 4 up")
        for field in ("base_width", "mid_width"):
            if getattr(self, field) < 8 or getattr(self, field) % 8:
                raise InvalidValueError(field, getattr(self, field), "the multiples of 8 from 8 up")
        for field in ("channels", "num_classes", "blocks", "embedding_width", "attention_heads"):
            if getattr(self, field) < 1:
                raise InvalidValueError(field, getattr(self, field), "1 and above")
        if self.mid_width % self.attention_heads:
            raise InvalidValueError(
                "attention_heads", self.attention_heads, f"the divisors of mid_width {self.mid_width}"
            )


def fourier_features(u: Tensor, frequencies: tuple[float, ...], dim: int) -> Tensor:
    """sin and cos of π·u at each frequency, concatenated along `dim`; float32 in and out."""
    angles = [u * (torch.pi * f) for f in frequencies]
    return torch.cat([torch.sin(a) for a in angles] + [torch.cos(a) for a in angles], dim)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


def _zero(module: nn.Conv2d) -> nn.Conv2d:
    """Zero-initialise, so that a residual branch starts as the identity."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class ResidualBlock(nn.Module):
    """norm-SiLU-conv twice, the second norm scaled and shifted by the embedding."""

    def __init__(self, c_in: int, c_out: int, embedding_width: int) -> None:
        super().__init__()
        self.norm1 = _norm(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.scale_shift = nn.Linear(embedding_width, 2 * c_out)
        self.norm2 = _norm(c_out)
        self.conv2 = _zero(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        residual = self.skip(h)  # (B, c_out, H, W)
        h = self.conv1(F.silu(self.norm1(h)))
        scale, shift = self.scale_shift(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))
        out: Tensor = h + residual
        return out


class Attention(nn.Module):
    """Self-attention over all positions, residual."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = _norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zero(nn.Conv2d(channels, channels, 1))

    def forward(self, h: Tensor) -> Tensor:
        b, c, height, width = h.shape
        qkv = self.qkv(self.norm(h)).reshape(b, 3, self.heads, c // self.heads, height * width)
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # each (B, heads, H*W, C/heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = h + self.out(mixed.transpose(-1, -2).reshape(b, c, height, width))
        return out


class UNet(nn.Module):
    """`v = UNet(x, u, labels)`: the velocity `v = √ᾱ·ε − √(1−ᾱ)·x0` of a noisy image."""

    takes_labels = True
    schedule = ("cosine", 300)  # the schedule's name and T for those who do not choose

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        c1, c2, e = config.base_width, config.mid_width, config.embedding_width
        per_pixel = config.channels + 2 * len(MAP_FREQUENCIES)

        self.label_embedding = nn.Embedding(config.num_classes + 1, e)
        self.embed = nn.Sequential(nn.Linear(4 * len(MEAN_FREQUENCIES), e), nn.SiLU(), nn.Linear(e, e))
        self.conv_in = nn.Conv2d(per_pixel * UNSHUFFLE**2, c1, 3, padding=1)
        self.down1 = nn.ModuleList(ResidualBlock(c1, c1, e) for _ in range(config.blocks))
        self.downsample = nn.Conv2d(c1, c2, 3, stride=2, padding=1)
        self.down2 = nn.ModuleList(ResidualBlock(c2, c2, e) for _ in range(config.blocks))
        self.down2_attention = Attention(c2, config.attention_heads)
        self.mid1 = ResidualBlock(c2, c2, e)
        self.mid_attention = Attention(c2, config.attention_heads)
        self.mid2 = ResidualBlock(c2, c2, e)
        self.up2 = nn.ModuleList(ResidualBlock(2 * c2, c2, e) for _ in range(config.blocks))
        self.up2_attention = Attention(c2, config.attention_heads)
        self.upsample = nn.Conv2d(c2, c1, 3, padding=1)
        self.up1 = nn.ModuleList(ResidualBlock(2 * c1, c1, e) for _ in range(config.blocks))
        self.norm_out = _norm(c1)
        self.conv_out = _zero(nn.Conv2d(c1, config.channels * UNSHUFFLE**2, 3, padding=1))

    def forward(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        """Predict v.

        Args:
            x: (B, C, H, W) float32, the noisy image.
            u: (B, H, W) float32 in [0, 1], the level of each pixel.
            labels: (B,) int64 in 0…num_classes; num_classes means "no label".

        Returns:
            v, (B, C, H, W) float32.
        """
        level_map = fourier_features(u[:, None], MAP_FREQUENCIES, dim=1)  # (B, 8, H, W)
        level = torch.stack([u.mean((1, 2)), u.amax((1, 2))], 1)  # (B, 2)
        embedding = self.embed(fourier_features(level, MEAN_FREQUENCIES, dim=1))
        embedding = F.silu(embedding + self.label_embedding(labels))  # (B, E)

        h = self.conv_in(F.pixel_unshuffle(torch.cat([x, level_map], 1), UNSHUFFLE))
        skips = []
        for block in self.down1:  # (B, c1, H/2, W/2)
            h = block(h, embedding)
            skips.append(h)
        h = self.downsample(h)
        for block in self.down2:  # (B, c2, H/4, W/4)
            h = block(h, embedding)
            skips.append(h)
        h = self.down2_attention(h)
        h = self.mid2(self.mid_attention(self.mid1(h, embedding)), embedding)
        for block in self.up2:
            h = block(torch.cat([h, skips.pop()], 1), embedding)
        h = self.up2_attention(h)
        h = self.upsample(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        for block in self.up1:
            h = block(torch.cat([h, skips.pop()], 1), embedding)
        v: Tensor = F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(h))), UNSHUFFLE)
        return v.float()
