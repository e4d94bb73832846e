"""The network run by torch as it is: on any device, at any batch size or a few."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from diffusion_toy.diffusion.arrays import Array, is_torch, on_host
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.config import UNetConfig
from diffusion_toy.predictors.base import Precision
from diffusion_toy.predictors.padded import padded, shared_out
from diffusion_toy.predictors.processor import cpu_flags


def pick_device(name: str) -> torch.device:
    """Return the device called `auto`, `cpu` or `cuda`.

    Raises:
        InvalidValueError: `cuda` where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidValueError("--device", "cuda", "what this machine has", "use --device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Tell whether the hardware multiplies bfloat16 matrices itself (on a CPU: AMX or AVX512-BF16)."""
    if device.type == "cuda":
        supported: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return supported
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(cpu_flags())


def _with_bfloat16_weights(network: nn.Module) -> nn.Module:
    """Return a copy whose convolutions hold what autocast would make of their weights in every call."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(torch.bfloat16)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class EagerPredictor:
    """Run a network by torch; see `base.Predictor`.

    It takes NumPy's arrays too, and gives back what it was given.

    Args:
        network: called as `network(x, u, labels)`; must not be trained afterwards.
        config: of its pictures.
        device: where it is to run.
        precision: of the matrix products.
        sizes: batch sizes, rising, to which batches are cut and padded; none: they run as they are.
    """

    kind = "eager"

    def __init__(
        self,
        network: nn.Module,
        config: UNetConfig,
        device: torch.device,
        precision: Precision = Precision.FLOAT32,
        sizes: Sequence[int] = (),
    ) -> None:
        network = network.eval().to(device)
        self.network = self._prepared(network, precision)
        self.config, self.device, self.precision, self.sizes = config, device, precision, tuple(sizes)

    def _prepared(self, network: nn.Module, precision: Precision) -> nn.Module:
        return _with_bfloat16_weights(network) if precision is Precision.BFLOAT16 else network

    @property
    def description(self) -> str:
        """Say what computes."""
        sizes = f", batches of {', '.join(map(str, self.sizes))}" if self.sizes else ""
        return f"torch {torch.__version__} {self.device.type} {self.kind} {self.precision.value}{sizes}"

    def __call__(self, x: Array, u: Array, labels: Array) -> Array:
        """Return v; see `base.Predictor`."""
        if not is_torch(x):
            tensors = (torch.from_numpy(values.copy()).to(self.device) for values in (x, u, labels))
            return on_host(self._predict(*tensors))
        return self._predict(x, u, labels)

    def _predict(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        if not self.sizes:
            return self._run(x, u, labels)
        calls = shared_out(len(x), self.sizes, 1)
        parts, first = [], 0
        for rows, size in calls:
            v = self._run(*(padded(values[first : first + rows], size) for values in (x, u, labels)))[:rows]
            parts.append(v if len(calls) == 1 else v.clone())  # the next call may write over it
            first += rows
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _run(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        bf16 = self.precision is Precision.BFLOAT16
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            v: Tensor = self.network(x, u, labels)
            return v

    def _inputs(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return a batch of zeros."""
        c = self.config
        x = torch.zeros(size, c.channels, c.height, c.width, device=self.device)
        u = torch.zeros(size, c.height, c.width, device=self.device)
        return x, u, torch.zeros(size, dtype=torch.int64, device=self.device)

    @property
    def further_sizes(self) -> Sequence[int]:
        """Return none: torch computes in one thread only, so that nothing is left for another."""
        return ()

    @property
    def wanted_sizes(self) -> Sequence[int]:
        """Return none, likewise."""
        return ()

    def warm_up_first(self) -> None:
        """Run every batch size once; see `base.Predictor`."""
        for size in self.sizes:
            self.warm_up_size(size)

    def warm_up_size(self, size: int) -> None:
        """Run a batch size once; see `base.Predictor`."""
        self._run(*self._inputs(size))
