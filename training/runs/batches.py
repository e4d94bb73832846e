"""What a run learns in each of its steps, and which error it is to make small."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from training.data.images import ImageSet, to_unit_range
from training.objectives.config import TrainConfig
from training.objectives.recipes import RECIPES


class Batches:
    """The batches of a run: pictures in a new order every epoch, with levels, noise and labels.

    A batch is a function of the configuration and the step, so that a resumed run goes on with the very
    batches that it would have seen.

    Args:
        config: of the run.
        data: the training images.

    Attributes:
        loss: from the network and the parts of a batch; the error to make small.
    """

    def __init__(self, config: TrainConfig, data: ImageSet) -> None:
        self.config, self.data = config, data
        self._recipe = RECIPES[config.recipe]
        self.loss: Callable[..., Tensor] = self._recipe.loss
        self._order_of = -1, torch.empty(0, dtype=torch.int64)  # an epoch, and its order

    @property
    def per_epoch(self) -> int:
        """Return the batches of one pass over the images; what is left over is passed over."""
        return len(self.data) // self.config.batch_size

    def generator(self, *key: int) -> torch.Generator:
        """Return a generator for this key alone, e.g. (purpose, step), independent of all others."""
        mixed = np.random.SeedSequence(self.config.seed, spawn_key=key).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(mixed[0]))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Return what the network learns in `step`: x0, u, eps and labels, as `loss` takes them."""
        x0, u, eps, classes, told = self.drawn(step)
        return x0, u, eps, self.labels(classes, told)

    def labels(self, classes: Tensor, told: Tensor) -> Tensor:
        """Return the classes where they are told, else the number of classes, which stands for none."""
        return torch.where(told, classes, self.config.model.num_classes)

    def drawn(self, step: int) -> tuple[Tensor, ...]:
        """Return x0, u, eps, the classes (B,) and whether the network is told them, (B,) bool."""
        config, model, generator = self.config, self.config.model, self.generator(1, step)
        epoch, within = divmod(step, self.per_epoch)
        if self._order_of[0] != epoch:
            self._order_of = epoch, torch.randperm(len(self.data), generator=self.generator(0, epoch))
        indices = self._order_of[1][within * config.batch_size : (within + 1) * config.batch_size]
        count = len(indices)
        x0 = to_unit_range(self.data.images[indices])
        if config.flips:
            mirrored = torch.rand(count, generator=generator) < 0.5
            x0 = torch.where(mirrored[:, None, None, None], x0.flip(-1), x0)
        u = self._recipe.levels(count, model.height, model.width, config.map_share, generator)
        eps = torch.randn(x0.shape, generator=generator)
        told = torch.rand(count, generator=generator) >= config.unlabelled_share
        return x0, u, eps, self.data.labels[indices], told

    def of_steps(self, steps: range) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batch of each step."""
        for step in steps:
            yield self.batch(step)
