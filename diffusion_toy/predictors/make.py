"""Which predictor a server runs: OpenVINO on a CPU, torch with CUDA graphs on a GPU, others where asked.

Torch is imported only where one of its predictors is made.
"""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

from diffusion_toy.errors import InvalidValueError, MissingExtraError
from diffusion_toy.model.checkpoint import LoadedModel
from diffusion_toy.predictors.base import PREDICTORS, Precision, Predictor

log = logging.getLogger(__name__)

TORCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class PredictorOptions:
    """Say how the network is to run.

    Attributes:
        kind: one of `PREDICTORS`.
        device: `auto`, `cpu` or `cuda`.
        precision: `auto`, `float32` or `bfloat16`.
        fixed_batch: the one batch size that everything is padded to, 0 for several. Its pictures are
            the same to the bit whoever else is there, so the precision is float32 unless it is given.
        rows: the largest batch that will come.
        threads: on a CPU; 0 for one a core.
        cache: a folder for compiled programs; None for none.
    """

    kind: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    fixed_batch: int = 0
    rows: int = 64
    threads: int = 0
    cache: Path | None = None


def device_of(options: PredictorOptions) -> str:
    """Return `cuda` or `cpu`, as asked for or as there is.

    Raises:
        InvalidValueError: `cuda` without a GPU.
        MissingExtraError: `cuda` without torch.
    """
    if options.device == "cpu" or (options.device == "auto" and options.kind == "openvino"):
        return "cpu"
    if importlib.util.find_spec("torch") is None:
        if options.device == "cuda":
            raise MissingExtraError("torch", "gpu")
        return "cpu"
    if options.device == "auto" and not Path("/proc/driver/nvidia").exists() and not _windows_driver():
        return "cpu"  # and torch, which takes seconds, is not imported to learn as much
    from diffusion_toy.predictors.eager import pick_device

    return pick_device(options.device).type


def _windows_driver() -> bool:
    return Path("C:/Windows/System32/nvcuda.dll").exists()


def make_predictor(model: LoadedModel, options: PredictorOptions) -> Predictor:
    """Return the predictor that the options ask for; it is not warmed up.

    Raises:
        InvalidValueError: an unknown kind, or one that cannot be on this device.
        MissingExtraError: its package is not installed.
        PredictorError: it cannot run here.
    """
    if options.kind not in PREDICTORS:
        raise InvalidValueError("--predictor", options.kind, " or ".join(PREDICTORS))
    device = device_of(options)
    kind = options.kind
    if kind == "auto":
        kind = "openvino" if device == "cpu" else "eager"
    if kind == "openvino":
        if device != "cpu":
            raise InvalidValueError(
                "--predictor", "openvino", "what runs on --device cuda", "use --device cpu"
            )
        from diffusion_toy.predictors.openvino import SIZES, OpenVinoPredictor

        sizes = (options.fixed_batch,) if options.fixed_batch else SIZES
        precision = _precision(options)
        return OpenVinoPredictor(
            model.config, model.weights, precision, sizes, options.threads, options.cache
        )
    return _torch_predictor(model, kind, device, options)


def _precision(options: PredictorOptions) -> Precision | None:
    if options.precision == "auto":
        return Precision.FLOAT32 if options.fixed_batch else None
    return Precision(options.precision)


def _torch_predictor(model: LoadedModel, kind: str, device: str, options: PredictorOptions) -> Predictor:
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "gpu")
    import torch

    from diffusion_toy.predictors.eager import EagerPredictor, has_fast_bfloat16

    where = torch.device(device)
    if device == "cpu" and options.threads:
        torch.set_num_threads(options.threads)
    precision = _precision(options)
    if precision is None:
        precision = Precision.BFLOAT16 if has_fast_bfloat16(where) else Precision.FLOAT32
    sizes: tuple[int, ...] = (options.fixed_batch,) if options.fixed_batch else ()
    if not sizes and (kind == "compiled" or device == "cuda"):
        sizes = (*(s for s in TORCH_SIZES if s < options.rows), min(options.rows, TORCH_SIZES[-1]))
        sizes = tuple(sorted(set(sizes)))
    if kind == "compiled":
        from diffusion_toy.predictors.compiled import CompiledPredictor

        return CompiledPredictor(model.network, model.config, where, precision, sizes)
    if device == "cuda":
        from diffusion_toy.predictors.cuda_graph import CudaGraphPredictor

        return CudaGraphPredictor(model.network, model.config, where, precision, sizes)
    return EagerPredictor(model.network, model.config, where, precision, sizes)
