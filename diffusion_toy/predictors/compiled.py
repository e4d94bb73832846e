"""The network compiled by torch, with its weights folded in: one program for each batch size."""

from __future__ import annotations

import logging
import time

import torch
import torch._dynamo
from torch import nn

from diffusion_toy.predictors.base import Precision, PredictorError
from diffusion_toy.predictors.eager import EagerPredictor

log = logging.getLogger(__name__)


class CompiledPredictor(EagerPredictor):
    """Run a network by `torch.compile`; it takes a C++ compiler, and some 20 s for each of `sizes`."""

    kind = "compiled"

    def _prepared(self, network: nn.Module, precision: Precision) -> nn.Module:
        program: nn.Module = torch.compile(network, dynamic=False, options={"freezing": True})  # type: ignore[assignment]
        return program

    def warm_up_first(self) -> None:
        """Compile every batch size; see `base.Predictor`."""
        limit = torch._dynamo.config.recompile_limit
        torch._dynamo.config.recompile_limit = max(limit, len(self.sizes) + 1)
        for size in self.sizes:
            began = time.perf_counter()
            try:
                self._run(*self._inputs(size))
            except Exception as error:
                reason = str(error).strip().splitlines()[0]
                raise PredictorError(
                    f"the network cannot be compiled here ({reason}); install a C++ compiler such as g++, "
                    "or run without compiling"
                ) from error
            log.debug("batch of %d ready after %.1f s", size, time.perf_counter() - began)
