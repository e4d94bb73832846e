"""The teacher of a distillation: a finished network, guided or not, whose velocity is the target."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_toy.model.checkpoint import LoadedModel
from diffusion_toy.predictors.base import Precision
from diffusion_toy.predictors.eager import EagerPredictor
from training.objectives.autoguidance import Autoguidance

Program = Callable[[Tensor, Tensor, Tensor], Tensor]


class Teacher:
    """Gives the velocity that a student learns, on the CPU.

    The weak network runs for those rows alone in which some pixel is guided.

    Args:
        teacher: its model.
        weak: what guides it, or None.
        guidance: how much.
        device: where a torch program runs.
        precision: of the matrix products.
    """

    def __init__(
        self,
        teacher: LoadedModel,
        weak: LoadedModel | None,
        guidance: Autoguidance,
        device: torch.device,
        precision: str,
    ) -> None:
        self._null_label = teacher.config.num_classes
        self._guidance = guidance
        self.works_beside = device.type == "cpu" and importlib.util.find_spec("openvino") is not None
        make = _openvino_program if self.works_beside else _torch_program
        self._program = make(teacher, device, Precision(precision))
        self._weak = None if weak is None else make(weak, device, Precision(precision))

    def __call__(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        """Return the velocity of noisy pictures (B, C, H, W) with levels (B, H, W) and labels (B,)."""
        v = self._program(x, u, labels)
        if self._weak is None:
            return v
        weights = self._guidance.weights(u, labels == self._null_label)
        rows = weights.flatten(1).any(1)
        if rows.any():
            v_weak = self._weak(x[rows], u[rows], labels[rows])
            v[rows] = torch.addcmul(v[rows], weights[rows], v[rows] - v_weak)
        return v


def _torch_program(model: LoadedModel, device: torch.device, precision: Precision) -> Program:
    predictor = EagerPredictor(model.network, model.config, device, precision)

    def run(x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        v: Tensor = predictor(x.to(device), u.to(device), labels.to(device))
        return v.cpu()

    return run


def _openvino_program(model: LoadedModel, _device: torch.device, precision: Precision) -> Program:
    """Compile for one thread: the student needs the others."""
    from training.drawing.openvino import OpenVinoNetwork

    return OpenVinoNetwork(model.config, model.weights, precision, threads=1)
