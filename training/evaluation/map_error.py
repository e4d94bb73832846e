"""How well a network predicts v where the level differs from pixel to pixel, as under a brush."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_toy.diffusion.process import q_sample, velocity
from training.data.images import to_unit_range
from training.drawing.generation import BATCH, Pipeline, Progress, ignored
from training.objectives.levels import sample_level_maps

LEVEL_BANDS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))  # above the first, up to the second


def map_errors(
    pipeline: Pipeline, images: Tensor, labels: Tensor, seed: int, progress: Progress = ignored
) -> tuple[float, ...]:
    """Return the mean squared error of v under level maps such as training has, for each of `LEVEL_BANDS`.

    Half of the maps are brush strokes and half smooth fields. Pixels without noise do not count.

    Args:
        pipeline: predicts v.
        images: (N, C, H, W) uint8, which nobody was trained on.
        labels: (N,) int64 that are told; the number of classes stands for none.
        seed: of the maps and of the noise.
        progress: told how many pictures are done.
    """
    generator = torch.Generator().manual_seed(seed)
    count, _, height, width = images.shape
    maps = sample_level_maps(count, height, width, 1.0, generator)[torch.randperm(count, generator=generator)]
    eps = torch.randn(images.shape, generator=generator)
    sums, numbers = torch.zeros(len(LEVEL_BANDS)), torch.zeros(len(LEVEL_BANDS))
    for start in range(0, count, BATCH):
        rows = slice(start, start + BATCH)
        x0, u, noise = to_unit_range(images[rows]), maps[rows], eps[rows]
        u_image = u[:, None]
        told = (x.to(pipeline.device) for x in (q_sample(x0, u_image, noise), u, labels[rows]))
        error = pipeline.forward(*told).cpu() - velocity(x0, noise, u_image)
        square = error.square().mean(1)
        for band, (low, high) in enumerate(LEVEL_BANDS):
            inside = (u > low) & (u <= high)
            sums[band] += square[inside].sum()
            numbers[band] += inside.sum()
        progress(len(x0))
    return tuple((sums / numbers).tolist())
