"""The network made ready to run: in a chosen precision, eager or compiled, at a few batch sizes."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Sequence
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion_toy.errors import DiffusionToyError, InvalidValueError

Program = Callable[[Tensor, Tensor, Tensor], Tensor]
log = logging.getLogger(__name__)


class Precision(Enum):
    """Of the network's matrix products; its input, output and everything around it are float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class CompileError(DiffusionToyError):
    """The network cannot be compiled here."""


def pick_device(name: str) -> torch.device:
    """The device called `auto`, `cpu` or `cuda`.

    Raises:
        InvalidValueError: `cuda` where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidValueError("--device", "cuda", "what this machine has", "use --device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 matrices itself (on a CPU: AMX or AVX512-BF16)."""
    if device.type == "cuda":
        supported: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return supported
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(_cpu_flags())


def _cpu_flags() -> list[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.split() for line in file if line.startswith("flags")), [])
    except OSError:  # not Linux: nothing is known, so nothing is assumed
        return []


def _with_bfloat16_weights(network: nn.Module) -> nn.Module:
    """A copy whose convolutions hold what autocast would make of their weights in every call."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(torch.bfloat16)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Graph:
    """One batch size recorded as a CUDA graph, so that a step costs a single launch."""

    def __init__(
        self, run: Program, channels: int, height: int, width: int, size: int, device: torch.device
    ) -> None:
        self._x = torch.zeros(size, channels, height, width, device=device)
        self._u = torch.zeros(size, height, width, device=device)
        self._labels = torch.zeros(size, dtype=torch.int64, device=device)
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):  # allocators and libraries settle before anything is recorded
            for _ in range(3):
                run(self._x, self._u, self._labels)
        torch.cuda.current_stream(device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._v = run(self._x, self._u, self._labels)

    def replay(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        """The network's answer."""
        self._x.copy_(x)
        self._u.copy_(u)
        self._labels.copy_(labels)
        self._graph.replay()
        return self._v.clone()  # the next replay writes over it, for instance where a batch was cut


class Forward(nn.Module):
    """`v = forward(x, u, labels)` for any number of rows, like the network itself.

    Eager, a batch runs as it is, or padded to the next of `sizes` if there are any. Compiled, each
    of `sizes` has a program of its own with the weights folded in; larger batches are cut. On a CUDA
    device each of `sizes` is replayed as a graph once `warm_up` has recorded it.

    Args:
        network: a `UNet`; must not be trained afterwards.
        precision: of the matrix products.
        sizes: batch sizes, rising; needed where `compiled`.
        compiled: by `torch.compile`, which takes a C++ compiler and some 20 s for each size.
    """

    def __init__(
        self,
        network: nn.Module,
        precision: Precision = Precision.FLOAT32,
        sizes: Sequence[int] = (),
        compiled: bool = False,
    ) -> None:
        super().__init__()
        eager_bf16 = precision is Precision.BFLOAT16 and not compiled
        self.network = _with_bfloat16_weights(network.eval()) if eager_bf16 else network.eval()
        self.precision, self.sizes = precision, tuple(sizes)
        self._program: Program = self._compiled() if compiled else self.network
        self._graphs: dict[int, Graph] = {}

    def _compiled(self) -> Program:
        import torch._dynamo  # seconds to import, and of no use to those who run eager

        limit = torch._dynamo.config.recompile_limit
        torch._dynamo.config.recompile_limit = max(limit, len(self.sizes) + 1)
        program: Program = torch.compile(self.network, dynamic=False, options={"freezing": True})
        return program

    def forward(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        """As `UNet.forward`; (R, C, H, W), (R, H, W), (R,) to (R, C, H, W) float32."""
        if not self.sizes:
            return self._run(x, u, labels)
        largest = self.sizes[-1]
        parts = []
        for first in range(0, len(x), largest):
            part = slice(first, first + largest)
            parts.append(self._padded(x[part], u[part], labels[part]))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _padded(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        rows = len(x)
        missing = next(size for size in self.sizes if size >= rows) - rows
        if missing:
            x = F.pad(x, (0, 0) * (x.dim() - 1) + (0, missing))
            u = F.pad(u, (0, 0, 0, 0, 0, missing))
            labels = F.pad(labels, (0, missing))
        return self._run(x, u, labels)[:rows]

    def _run(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        if (graph := self._graphs.get(len(x))) is not None:
            return graph.replay(x, u, labels)
        bf16 = self.precision is Precision.BFLOAT16
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            return self._program(x, u, labels)

    def warm_up(self, channels: int, height: int, width: int, device: torch.device) -> None:
        """Run every size once, so that nobody waits for a compiler later.

        Raises:
            CompileError: no working C++ compiler, most likely.
        """
        for size in self.sizes:
            began = time.perf_counter()
            x = torch.zeros(size, channels, height, width, device=device)
            u = torch.zeros(size, height, width, device=device)
            try:
                self._run(x, u, torch.zeros(size, dtype=torch.int64, device=device))
            except Exception as error:
                if self._program is self.network:
                    raise
                reason = str(error).strip().splitlines()[0]
                raise CompileError(
                    f"the network cannot be compiled here ({reason}); install a C++ compiler such as g++, "
                    "or run without compiling"
                ) from error
            if device.type == "cuda":
                self._graphs[size] = Graph(self._run, channels, height, width, size, device)
            log.debug("batch of %d ready after %.1f s", size, time.perf_counter() - began)
