"""The network recorded as CUDA graphs, one for each batch size, so that a step costs a single launch."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_toy.predictors.eager import EagerPredictor


class CudaGraphPredictor(EagerPredictor):
    """Replay a network on a CUDA device; each of `sizes` is recorded by `warm_up_first`."""

    kind = "graphs"

    def warm_up_first(self) -> None:
        """Record every batch size; see `base.Predictor`."""
        self._graphs: dict[int, _Graph] = {}
        for size in self.sizes:
            self._graphs[size] = _Graph(self, size)

    def _run(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        graph = getattr(self, "_graphs", {}).get(len(x))
        return super()._run(x, u, labels) if graph is None else graph.replay(x, u, labels)


class _Graph:
    """Hold one recorded batch size."""

    def __init__(self, predictor: CudaGraphPredictor, size: int) -> None:
        device, run = predictor.device, super(CudaGraphPredictor, predictor)._run
        self._inputs = predictor._inputs(size)
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):  # allocators and libraries settle before anything is recorded
            for _ in range(3):
                run(*self._inputs)
        torch.cuda.current_stream(device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._v = run(*self._inputs)

    def replay(self, *inputs: Tensor) -> Tensor:
        """Return v, which the next replay writes over."""
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._v
