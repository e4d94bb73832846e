"""Random level maps: what the network is taught to tell apart.

Three kinds, mixed in every batch:

- *constant*: one level for the whole image, the classic diffusion model;
- *brush*: one level under a stroke, another outside it (often 0), as the mouse makes them;
- *field*: a smooth random field about a mean.

The mean is stratified over the batch, uniform in [0, 1], for all three, so that maps do not crowd
around one half (compare Spatial Reasoning Models, which sample the mean first for this reason).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FIELD_CELLS = 4  # a smooth field is a 4×4 grid of random values, interpolated
CLEAN_BACKGROUND_SHARE = 0.5  # of the brush maps, those on a picture that is otherwise clean


def stratified_uniform(count: int, generator: torch.Generator) -> Tensor:
    """Draw (count,) float32 in [0, 1): one from each of `count` equal intervals, in random order."""
    offsets: Tensor = torch.rand(count, generator=generator)
    strata: Tensor = torch.randperm(count, generator=generator)
    return torch.div(strata + offsets, count)


def brush_masks(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw strokes of a round brush, hard or soft: (count, height, width) float32 in [0, 1].

    A stroke is all points within a radius (1…half the height, in pixels) of a random segment.
    """

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    size = torch.tensor([float(height), float(width)])
    start = rand(count, 2) * size
    length = rand(count, 1) ** 2 * height  # many single dabs, some long strokes
    direction = rand(count) * (2 * torch.pi)
    span = torch.stack([direction.sin(), direction.cos()], 1) * length  # (N, 2)
    rows = torch.arange(height) + 0.5
    columns = torch.arange(width) + 0.5
    points = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)  # (H, W, 2)
    offset = points - start[:, None, None]  # (N, H, W, 2)
    along = (offset * span[:, None, None]).sum(-1) / (length**2)[:, :, None].clamp(min=1e-6)
    nearest = along.clamp(0, 1)[..., None] * span[:, None, None]
    distance = torch.linalg.vector_norm(offset - nearest, dim=-1)  # (N, H, W)
    radius = 1 + rand(count, 1, 1) * (height / 2 - 1)
    softness = 2 * rand(count, 1, 1) * (rand(count, 1, 1) < 0.5) + 1e-3
    masks: Tensor = ((radius - distance) / softness + 0.5).clamp(0, 1)
    return masks


def smooth_fields(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw smooth random fields of mean 0 and random strength: (count, height, width) float32."""
    grid = torch.randn(count, 1, FIELD_CELLS, FIELD_CELLS, generator=generator)
    field = F.interpolate(grid, (height, width), mode="bicubic", align_corners=True)[:, 0]
    field = field - field.mean((1, 2), keepdim=True)
    return field * (0.3 * torch.rand(count, 1, 1, generator=generator))


def sample_level_maps(
    count: int, height: int, width: int, map_share: float, generator: torch.Generator
) -> Tensor:
    """Draw level maps for a training batch: (count, height, width) float32 in [0, 1].

    The first `round(count·map_share)` rows vary over the image (half brush, half field), the
    others are constant; a batch is in random order already, so the place says nothing.
    """
    mean = stratified_uniform(count, generator)[:, None, None]
    maps = mean.expand(count, height, width).clone()
    varied = round(count * map_share)
    brushed = varied // 2
    if brushed:
        background = torch.rand(brushed, 1, 1, generator=generator)
        clean = torch.rand(brushed, 1, 1, generator=generator) < CLEAN_BACKGROUND_SHARE
        background = torch.where(clean, 0.0, background)
        mask = brush_masks(brushed, height, width, generator)
        maps[:brushed] = background + (mean[:brushed] - background) * mask
    if varied > brushed:
        fields = smooth_fields(varied - brushed, height, width, generator)
        maps[brushed:varied] = (maps[brushed:varied] + fields).clamp(0, 1)
    return maps
