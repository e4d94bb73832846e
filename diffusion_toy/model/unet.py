"""The network: a small U-Net that is told the noise level of every pixel.

Ho et al. 2020 in outline (residual blocks, attention at the low resolution), with scale-shift
conditioning (Dhariwal & Nichol 2021) and v-prediction (Salimans & Ho 2022). What differs is the
time input: not one index but a map of levels, as input channels and, by its mean and maximum, in
the embedding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion_toy.model.config import MAP_FREQUENCIES, MEAN_FREQUENCIES, mid_blocks_of
from diffusion_toy.model.config import UNetConfig as UNetConfig


def fourier_features(u: Tensor, frequencies: tuple[float, ...], dim: int) -> Tensor:
    """Return sin and cos of π·u at each frequency, concatenated along `dim`; float32 in and out."""
    angles = [u * (torch.pi * f) for f in frequencies]
    return torch.cat([torch.sin(a) for a in angles] + [torch.cos(a) for a in angles], dim)


def _zero(module: nn.Conv2d) -> nn.Conv2d:
    """Zero-initialise, so that a residual branch starts as the identity."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class ResidualBlock(nn.Module):
    """norm-SiLU-conv twice, the second norm scaled and shifted by the embedding."""

    def __init__(self, c_in: int, c_out: int, embedding_width: int, norm_groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(norm_groups, c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.scale_shift = nn.Linear(embedding_width, 2 * c_out)
        self.norm2 = nn.GroupNorm(norm_groups, c_out)
        self.conv2 = _zero(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Return (B, c_out, H, W) of features (B, c_in, H, W) and the embedding (B, E)."""
        residual = self.skip(h)  # (B, c_out, H, W)
        h = self.conv1(F.silu(self.norm1(h)))
        scale, shift = self.scale_shift(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))
        out: Tensor = h + residual
        return out


class SingleNormBlock(nn.Module):
    """norm-conv-SiLU-conv, the norm scaled and shifted by the embedding.

    A CPU runtime fuses the SiLU and the residual sum into the convolutions, so the norm is the only
    other pass over the features.
    """

    def __init__(self, c_in: int, c_out: int, embedding_width: int, norm_groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(norm_groups, c_in)
        self.scale_shift = nn.Linear(embedding_width, 2 * c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv2 = _zero(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Return (B, c_out, H, W) of features (B, c_in, H, W) and the embedding (B, E)."""
        residual = self.skip(h)  # (B, c_out, H, W)
        scale, shift = self.scale_shift(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(torch.addcmul(shift, self.norm(h), 1 + scale))
        out: Tensor = self.conv2(F.silu(h)) + residual
        return out


class Attention(nn.Module):
    """Self-attention over all positions, residual."""

    def __init__(self, channels: int, heads: int, norm_groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(norm_groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zero(nn.Conv2d(channels, channels, 1))

    def forward(self, h: Tensor) -> Tensor:
        """Return features of the same shape (B, C, H, W)."""
        b, c, height, width = h.shape
        qkv = self.qkv(self.norm(h)).reshape(b, 3, self.heads, c // self.heads, height * width)
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # each (B, heads, H*W, C/heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = h + self.out(mixed.transpose(-1, -2).reshape(b, c, height, width))
        return out


class ConcatSkip(nn.Module):
    """Join the features and the skip connection: twice the channels."""

    def forward(self, h: Tensor, skip: Tensor) -> Tensor:
        """Return (B, 2·C, H, W) of two of (B, C, H, W)."""
        return torch.cat([h, skip], 1)


class AddSkip(nn.Module):
    """Add the skip connection to the features through a 1×1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, h: Tensor, skip: Tensor) -> Tensor:
        """Return (B, C, H, W) of two of the same shape."""
        out: Tensor = h + self.project(skip)
        return out


class UNet(nn.Module):
    """`v = UNet(x, u, labels)`: the velocity `v = √ᾱ·ε − √(1−ᾱ)·x0` of a noisy image."""

    takes_labels = True
    schedule = ("cosine", 300)  # the schedule's name and T for those who do not choose

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        c1, c2, e = config.base_width, config.mid_width, config.embedding_width
        pixels = config.patch**2
        mid_blocks = mid_blocks_of(config)
        joined = 2 if config.skips == "concat" else 1

        def block(c_in: int, c_out: int) -> nn.Module:
            kind = ResidualBlock if config.block == "double" else SingleNormBlock
            return kind(c_in, c_out, e, config.norm_groups)

        def attention(place: str) -> nn.Module:
            if place not in config.attention:
                return nn.Identity()
            return Attention(c2, config.attention_heads, config.norm_groups)

        def join(channels: int, count: int) -> nn.ModuleList:
            concat = config.skips == "concat"
            return nn.ModuleList(ConcatSkip() if concat else AddSkip(channels) for _ in range(count))

        self.label_embedding = nn.Embedding(config.num_classes + 1, e)
        self.embed = nn.Sequential(nn.Linear(4 * len(MEAN_FREQUENCIES), e), nn.SiLU(), nn.Linear(e, e))
        per_pixel = config.channels + 2 * len(MAP_FREQUENCIES)
        self.conv_in = nn.Conv2d(per_pixel * pixels, c1, 3, padding=1)
        self.down1 = nn.ModuleList(block(c1, c1) for _ in range(config.blocks))
        self.downsample = _downsample(c1, c2, config.resample)
        self.down2 = nn.ModuleList(block(c2, c2) for _ in range(mid_blocks))
        self.down2_attention = attention("down")
        self.mid1 = block(c2, c2)
        self.mid_attention = attention("middle")
        self.mid2 = block(c2, c2)
        self.join2 = join(c2, mid_blocks)
        self.up2 = nn.ModuleList(block(joined * c2, c2) for _ in range(mid_blocks))
        self.up2_attention = attention("up")
        self.upsample = _upsample(c2, c1, config.resample)
        self.join1 = join(c1, config.blocks)
        self.up1 = nn.ModuleList(block(joined * c1, c1) for _ in range(config.blocks))
        self.norm_out = nn.GroupNorm(config.norm_groups, c1)
        self.conv_out = _zero(nn.Conv2d(c1, config.channels * pixels, 3, padding=1))

    def forward(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        """Predict v.

        Args:
            x: (B, C, H, W) float32, the noisy image.
            u: (B, H, W) float32 in [0, 1], the level of each pixel.
            labels: (B,) int64 in 0…num_classes; num_classes means "no label".

        Returns:
            v, (B, C, H, W) float32.
        """
        patch = self.config.patch
        level_map = fourier_features(u[:, None], MAP_FREQUENCIES, dim=1)  # (B, 8, H, W)
        level = torch.stack([u.mean((1, 2)), u.amax((1, 2))], 1)  # (B, 2)
        embedding = self.embed(fourier_features(level, MEAN_FREQUENCIES, dim=1))
        embedding = F.silu(embedding + self.label_embedding(labels))  # (B, E)

        h = self.conv_in(F.pixel_unshuffle(torch.cat([x, level_map], 1), patch))
        skips = []
        for block in self.down1:  # (B, c1, H/patch, W/patch)
            h = block(h, embedding)
            skips.append(h)
        h = self.downsample(h)
        for block in self.down2:  # (B, c2, H/2patch, W/2patch)
            h = block(h, embedding)
            skips.append(h)
        h = self.down2_attention(h)
        h = self.mid2(self.mid_attention(self.mid1(h, embedding)), embedding)
        for join, block in zip(self.join2, self.up2, strict=True):
            h = block(join(h, skips.pop()), embedding)
        h = self.upsample(self.up2_attention(h))
        for join, block in zip(self.join1, self.up1, strict=True):
            h = block(join(h, skips.pop()), embedding)
        v: Tensor = F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(h))), patch)
        return v.float()


class Upsample(nn.Conv2d):
    """Double the resolution by repeating pixels, then convolve."""

    def forward(self, h: Tensor) -> Tensor:
        """Return (B, c_out, 2·H, 2·W) of features (B, c_in, H, W)."""
        return super().forward(F.interpolate(h, scale_factor=2.0, mode="nearest"))


def _downsample(c_in: int, c_out: int, kind: str) -> nn.Module:
    """Halve the resolution."""
    if kind == "conv":
        return nn.Conv2d(c_in, c_out, 3, stride=2, padding=1)
    return nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * c_in, c_out, 1))


def _upsample(c_in: int, c_out: int, kind: str) -> nn.Module:
    """Double the resolution."""
    if kind == "conv":
        return Upsample(c_in, c_out, 3, padding=1)
    return nn.Sequential(nn.Conv2d(c_in, 4 * c_out, 1), nn.PixelShuffle(2))


def pruned_weights(network: UNet, config: UNetConfig) -> dict[str, Tensor]:
    """Return a state dict for `config`: what fits of a trained network, the rest freshly initialised.

    Of the blocks of a stage the first ones are kept on the way down and the last ones on the way up.
    """
    weights: dict[str, Tensor] = UNet(config).state_dict()
    for name, tensor in network.state_dict().items():
        stage, *rest = name.split(".")
        if stage in ("up1", "up2"):
            before, after = (
                c.blocks if stage == "up1" else mid_blocks_of(c) for c in (network.config, config)
            )
            name = ".".join([stage, str(int(rest[0]) - before + after), *rest[1:]])
        if name in weights and weights[name].shape == tensor.shape:
            weights[name] = tensor.clone()
    return weights
