"""The teacher of a distillation: a finished network, guided or not, whose velocity is the target."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_toy.diffusion.process import guided_velocity
from diffusion_toy.model.checkpoint import LoadedModel
from diffusion_toy.predictors.base import Precision
from diffusion_toy.predictors.eager import EagerPredictor
from training.objectives.autoguidance import Autoguidance

Program = Callable[[Tensor, Tensor, Tensor], Tensor]


class Teacher:
    """Gives the velocity that a student learns, on the CPU.

    The weak network runs for those rows alone in which some pixel is guided, and the teacher a second time,
    without the label, for those alone in which the label counts for more or less than it did in training.

    Args:
        teacher: its model.
        weak: what guides it, or None.
        guidance: how much.
        device: where a torch program runs.
        precision: of the matrix products.
        label_weight: weight of the classifier-free guidance where a label is told; 1: none.
    """

    def __init__(
        self,
        teacher: LoadedModel,
        weak: LoadedModel | None,
        guidance: Autoguidance,
        device: torch.device,
        precision: str,
        label_weight: float = 1.0,
    ) -> None:
        self._null_label = teacher.config.num_classes
        self._guidance, self._label_weight = guidance, label_weight
        self.works_beside = device.type == "cpu" and importlib.util.find_spec("openvino") is not None
        make = _openvino_program if self.works_beside else _torch_program
        self._program = make(teacher, device, Precision(precision))
        self._weak = None if weak is None else make(weak, device, Precision(precision))

    def __call__(self, x: Tensor, u: Tensor, labels: Tensor, known: Tensor) -> Tensor:
        """Return the velocity that a student is to learn.

        Args:
            x: (B, C, H, W) noisy pictures.
            u: (B, H, W) their levels.
            labels: (B,) what the student is told. The guidance is for this label.
            known: (B,) what the teacher itself is told: the same, or the class where `labels` has none.
        """
        v = self._program(x, u, known)
        taught, unlabelled = v.clone(), labels == self._null_label
        if self._weak is not None:
            weights = self._guidance.weights(u, unlabelled)
            rows = weights.flatten(1).any(1)
            if rows.any():
                taught[rows] += weights[rows] * self._difference(
                    v[rows], x[rows], u[rows], labels[rows], known[rows]
                )
        told = ~unlabelled
        if self._label_weight != 1 and told.any():
            v_null = self._program(x[told], u[told], torch.full_like(labels[told], self._null_label))
            taught[told] += guided_velocity(v_null, v[told], self._label_weight) - v[told]
        return taught

    def _difference(self, v: Tensor, x: Tensor, u: Tensor, labels: Tensor, known: Tensor) -> Tensor:
        """Return v − v_weak for `labels`, where v is the teacher's answer for `known`."""
        assert self._weak is not None
        other = known != labels
        if other.any():
            v = v.clone()
            v[other] = self._program(x[other], u[other], labels[other])
        return v - self._weak(x, u, labels)


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
