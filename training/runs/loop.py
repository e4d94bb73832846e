"""The training loop: optimizer, average of the weights, checkpoints and resume.

A run is a function of its configuration: every step has its own batch, levels and noise, see `Batches`,
so that a resumed run continues exactly where it was.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import BackendCompilerFailed
from torch.optim.swa_utils import AveragedModel

from diffusion_toy.errors import CheckpointError, DiffusionToyError, InvalidValueError
from diffusion_toy.files import write_atomically
from diffusion_toy.model.checkpoint import check_readable
from diffusion_toy.model.unet import UNetConfig
from diffusion_toy.predictors.base import PredictorError
from training.data.images import ImageSet, class_difference
from training.objectives.config import TrainConfig
from training.objectives.recipes import RECIPES, DiffusionNetwork
from training.runs.batches import Batches
from training.runs.ranks import Ranks

CHECKPOINT_VERSION = 1
SMOOTHING = 0.998


class DivergedError(DiffusionToyError):
    """The loss is no longer a number; what was saved before is still good."""


@dataclass(frozen=True)
class StepReport:
    """One optimizer step: `step` counts from 1, `loss` is its mean squared error.

    `smoothed_loss` is the running mean of the losses, over about 500 steps. `stop` says that one of
    the processes was asked to stop after this step.
    """

    step: int
    loss: float
    smoothed_loss: float
    learning_rate: float
    stop: bool = False


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Return the factor of the peak rate at `step`, from 0: linear warm-up, then cosine decay to 0.

    A short run warms up for a third of its steps at most.
    """
    warmup_steps = min(warmup_steps, total_steps // 3)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Trainer:
    """Owns the network, its average, the optimizer and the step counter of one run.

    Args:
        config: what decides the run.
        data: the training images.
        device: where to train.
        initial_weights: a state dict of the network to begin with; without one, random weights.
        ranks: the processes that share the run; None for one alone.
        stop_asked: whether this process should stop; all of them learn of it after the same step.
        label_names: the names of the classes, which a checkpoint keeps.
        batches: what is learnt in each step; None for the data's own.

    Raises:
        InvalidValueError: images of another size, or fewer than a batch.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: ImageSet,
        device: torch.device,
        initial_weights: Mapping[str, Tensor] | None = None,
        ranks: Ranks | None = None,
        stop_asked: Callable[[], bool] = lambda: False,
        label_names: tuple[str, ...] = (),
        batches: Batches | None = None,
    ) -> None:
        model = config.model
        expected = (model.channels, model.height, model.width)
        if tuple(data.images.shape[1:]) != expected:
            raise InvalidValueError("images", tuple(data.images.shape[1:]), f"the model's size {expected}")
        if len(data) < config.batch_size:
            raise InvalidValueError("--batch-size", config.batch_size, f"1…{len(data)}, the number of images")
        ranks = ranks or Ranks()
        if config.batch_size < ranks.count:
            limit = f"{ranks.count} and above, the number of processes"
            raise InvalidValueError("--batch-size", config.batch_size, limit)
        self.config, self.data, self.device = config, data, device
        self.label_names = label_names
        self._ranks, self._stop_asked = ranks, stop_asked
        self.step = 0
        self.smoothed_loss: float | None = None
        torch.manual_seed(config.seed)
        self.recipe = RECIPES[config.recipe]
        self.batches = batches or Batches(config, data)
        self.network = self.recipe.network(model).to(device)
        if initial_weights is not None:
            self.network.load_state_dict(initial_weights)
        self._forward = torch.compile(self.network, dynamic=False) if config.compiled else self.network
        self.average = AveragedModel(self.network, multi_avg_fn=self._average)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
            fused=True,
        )

    @property
    def steps_per_epoch(self) -> int:
        """Return the optimizer steps of one pass over the images."""
        return self.batches.per_epoch

    @property
    def total_steps(self) -> int:
        """Return the optimizer steps of the whole run."""
        return self.steps_per_epoch * self.config.epochs

    @cached_property
    def _fingerprint(self) -> str:
        return self.data.fingerprint()

    @torch.no_grad()
    def _average(self, averaged: Any, current: Any, count: Any) -> None:
        n = int(count)
        decay = min(self.config.ema_decay_max, (1 + n) / (10 + n))
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)

    def _train_step(self, batch: tuple[Tensor, ...]) -> StepReport:
        config, u = self.config, batch[1]
        factor = learning_rate_factor(self.step, config.warmup_steps, self.total_steps)
        rate = config.learning_rate * factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        bf16 = config.precision == "bfloat16"
        mine = self._ranks.part(len(u))
        share_of_noisy = (u[mine] > 0).sum() / (u > 0).sum().clamp(min=1)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            loss = self._loss_of(*(v[mine].to(self.device) for v in batch))
        loss = loss * share_of_noisy.to(self.device)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        totals = torch.tensor([loss.item(), float(self._stop_asked())], device=self.device)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        self._ranks.add_up([totals, *gradients])
        value, stop = totals.tolist()
        if not math.isfinite(value):  # before the weights are touched
            raise DivergedError(
                f"the loss became {value} at step {self.step + 1}; start again with a --learning-rate "
                f"below {config.learning_rate}"
            )
        nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_clip)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        for mean, current in zip(self.average.module.buffers(), self.network.buffers(), strict=True):
            mean.copy_(current)  # running statistics are averages already
        self.step += 1
        share = max(1 - SMOOTHING, 1 / self.step)  # a plain mean of the first steps
        before = value if self.smoothed_loss is None else self.smoothed_loss
        smoothed = before + share * (value - before)
        self.smoothed_loss = smoothed
        # Alone, a request within the step counts at once; several learn of it with the next one's sums.
        asked = stop > 0 or (self._ranks.count == 1 and self._stop_asked())
        return StepReport(self.step, value, smoothed, rate, asked)

    def run(self) -> Iterator[StepReport]:
        """Train to the end of the last epoch, yielding after every optimizer step."""
        self.network.train()
        for batch in self.batches.of_steps(range(self.step, self.total_steps)):
            yield self._train_step(batch)

    def _loss_of(self, *batch: Tensor) -> Tensor:
        try:
            return self.batches.loss(self._forward, *batch)
        except BackendCompilerFailed as error:
            reason = str(error).strip().splitlines()[0]
            raise PredictorError(
                f"the network cannot be compiled here ({reason}); install a C++ compiler such as g++, "
                "or leave out --compile"
            ) from error

    def averaged_network(self) -> DiffusionNetwork:
        """Return the network with the moving average of the weights, ready to draw with."""
        network: DiffusionNetwork = self.average.module.eval()  # type: ignore[assignment]
        return network

    def save(self, path: Path) -> None:
        """Write a checkpoint from which `load` continues exactly; whole or not at all."""
        buffer = io.BytesIO()
        torch.save(
            {
                "version": CHECKPOINT_VERSION,
                "config": asdict(self.config),
                "step": self.step,
                "steps_per_epoch": self.steps_per_epoch,
                "label_names": list(self.label_names),
                "data": self._fingerprint,
                "loss": self.smoothed_loss,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
            buffer,
        )
        write_atomically(path, buffer.getvalue())

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same configuration.

        Raises:
            CheckpointError: missing, damaged, of another configuration or other images.
        """
        state = read_checkpoint(path)
        if config_of(state) != self.config:
            raise CheckpointError(
                f"checkpoint {path} was made with another configuration; "
                "resume with the flags it was started with, or choose another --out"
            )
        if state["steps_per_epoch"] not in (None, self.steps_per_epoch):
            raise CheckpointError(
                f"checkpoint {path} has {state['steps_per_epoch']} steps an epoch, and the images in --data "
                f"make {self.steps_per_epoch}; give --data the folder that it was started with"
            )
        if (names := state["label_names"]) is not None and tuple(names) != self.label_names:
            raise CheckpointError(
                f"checkpoint {path} was made with other classes: --data has "
                f"{class_difference(names, self.label_names)}; give the classes their former names, "
                "or choose another --out"
            )
        if state["data"] not in (None, self._fingerprint):
            raise CheckpointError(
                f"checkpoint {path} was made with other images than --data holds now; "
                "give --data what it was started with, or choose another --out"
            )
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(f"checkpoint {path} is damaged; start again without it") from error
        self.step, self.smoothed_loss = state["step"], state["loss"]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training checkpoint, on the CPU; no code of the file runs.

    `steps_per_epoch`, `label_names`, `data` (a fingerprint of the images) and `loss` are None where the run
    did not record them.

    Raises:
        CheckpointError: missing, not readable, damaged, or not a training checkpoint.
    """
    check_readable("checkpoint", path, "train first, or give the path of another")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["version"] != CHECKPOINT_VERSION:
            raise CheckpointError(
                f"checkpoint {path} has version {state['version']}, not {CHECKPOINT_VERSION}"
            )
        if missing := {"config", "step", "network", "average", "optimizer"} - state.keys():
            raise KeyError(*missing)
        config_of(state)
    except CheckpointError:
        raise
    except Exception as error:  # torch.load raises many kinds, all of them meaning "damaged"
        raise CheckpointError(f"checkpoint {path} is damaged; start again without it") from error
    return {"steps_per_epoch": None, "label_names": None, "data": None, "loss": None, **state}


def config_of(state: dict[str, Any]) -> TrainConfig:
    """Return the configuration stored in a training checkpoint."""
    fields = dict(state["config"])
    return TrainConfig(**{**fields, "model": UNetConfig(**fields["model"])})
