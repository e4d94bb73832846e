"""The network in OpenVINO, for CPUs: its graph built from the configuration and the weights. No torch.

`Graph` mirrors `model.unet.UNet` layer by layer. The level features are computed in NumPy, in float32,
before the graph: bfloat16 cannot tell one of 300 time steps from the next.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.errors import MissingExtraError
from diffusion_toy.model.config import MAP_FREQUENCIES, MEAN_FREQUENCIES, UNetConfig, mid_blocks_of
from diffusion_toy.predictors.base import Precision, PredictorError
from diffusion_toy.predictors.padded import shared_out
from diffusion_toy.predictors.processor import available_cores, lacks_avx2
from diffusion_toy.predictors.program_cache import usable_cache
from diffusion_toy.predictors.signal_stack import kept_signal_stack

# OpenVINO's package imports its converter, which tells Google Analytics so from a process that it forks.
# Nothing is converted here: without it nothing calls home, and the import takes a quarter of the time.
_CONVERTER = "openvino.tools.ovc"
_kept_out = _CONVERTER not in sys.modules
try:
    if _kept_out:
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]  # an import of it fails, as OpenVINO expects
    import openvino
    from openvino import opset13 as ops
except ImportError as error:
    raise MissingExtraError("openvino", "server") from error
finally:
    if _kept_out:
        del sys.modules[_CONVERTER]

log = logging.getLogger(__name__)

Weights = Mapping[str, NDArray[np.float32]]
Node = Any
# Batch sizes of one core's share, each a program of its own, see `padded`; they are compiled when asked for.
SIZES = (1, 2, 3, 4, 6, 8, 12, 16)
FIRST_SIZES = (1, 4)  # enough to serve a few with, and to tell what the others will manage
MOST_THREADS = 16  # each has buffers of its own, and one process's streams do not feed more
EPSILON = 1e-5  # of group normalisation, as torch's


def fourier_features(u: NDArray[np.float32], frequencies: Sequence[float], axis: int) -> NDArray[np.float32]:
    """Return sin and cos of π·u at each frequency, concatenated along `axis`; as `unet.fourier_features`."""
    angles = [u * np.float32(math.pi * frequency) for frequency in frequencies]
    return np.concatenate([*map(np.sin, angles), *map(np.cos, angles)], axis)


class Graph:
    """Build the network for one batch size.

    Args:
        config: of the network.
        weights: by their names in `config.weight_shapes`.
    """

    def __init__(self, config: UNetConfig, weights: Weights) -> None:
        self.config, self._weights = config, weights

    def model(self, rows: int) -> openvino.Model:
        """Return the graph of v from (x, map features, level features, labels)."""
        config = self.config
        height, width = config.height, config.width
        x = ops.parameter([rows, config.channels, height, width], np.float32, "x")
        level_map = ops.parameter([rows, 2 * len(MAP_FREQUENCIES), height, width], np.float32, "level_map")
        level = ops.parameter([rows, 4 * len(MEAN_FREQUENCIES)], np.float32, "level")
        labels = ops.parameter([rows], np.int64, "labels")
        told = ops.gather(self._weight("label_embedding.weight"), labels, 0)
        embedding = self._linear("embed.2", ops.swish(self._linear("embed.0", level)))
        v = self._body(ops.concat([x, level_map], 1), ops.swish(ops.add(embedding, told)))
        return with_steady_names(openvino.Model([v], [x, level_map, level, labels], "unet"))

    def _body(self, h: Node, embedding: Node) -> Node:
        config = self.config
        conv_resample = config.resample == "conv"
        h = self._conv("conv_in", ops.space_to_depth(h, "depth_first", config.patch))
        skips = []
        for i in range(config.blocks):
            h = self._block(f"down1.{i}", h, embedding)
            skips.append(h)
        if conv_resample:
            h = self._conv("downsample", h, stride=2)
        else:
            h = self._conv("downsample.1", ops.space_to_depth(h, "depth_first", 2))
        for i in range(mid_blocks_of(config)):
            h = self._block(f"down2.{i}", h, embedding)
            skips.append(h)
        h = self._attention("down2_attention", "down", h)
        h = self._block("mid1", h, embedding)
        h = self._attention("mid_attention", "middle", h)
        h = self._block("mid2", h, embedding)
        for i in range(mid_blocks_of(config)):
            h = self._block(f"up2.{i}", self._join(f"join2.{i}", h, skips.pop()), embedding)
        h = self._attention("up2_attention", "up", h)
        if conv_resample:
            h = self._conv("upsample", self._repeat(h))
        else:
            h = ops.depth_to_space(self._conv("upsample.0", h), "depth_first", 2)
        for i in range(config.blocks):
            h = self._block(f"up1.{i}", self._join(f"join1.{i}", h, skips.pop()), embedding)
        h = self._conv("conv_out", ops.swish(self._norm("norm_out", h)))
        return ops.depth_to_space(h, "depth_first", config.patch)

    # --- layers ---

    def _weight(self, name: str) -> Node:
        return self._constant(self._weights[name])

    def _constant(self, values: NDArray[np.float32]) -> Node:
        """Return a constant that shares its memory with the weights, and so with the other batch sizes."""
        return ops.constant(values, shared_memory=True)

    def _linear(self, name: str, h: Node) -> Node:
        product = ops.matmul(h, self._weight(f"{name}.weight"), transpose_a=False, transpose_b=True)
        return ops.add(product, self._weight(f"{name}.bias"))

    def _conv(self, name: str, h: Node, stride: int = 1) -> Node:
        kernel = self._weights[f"{name}.weight"]
        edge = [kernel.shape[-1] // 2] * 2
        out = ops.convolution(h, self._weight(f"{name}.weight"), [stride] * 2, edge, edge, [1, 1])
        return ops.add(out, self._constant(self._weights[f"{name}.bias"].reshape(1, -1, 1, 1)))

    def _norm(self, name: str, h: Node) -> Node:
        # Not `group_normalization`: compiling that in float32 ends the process in OpenVINO 2026.4.
        rows, channels, height, width = h.get_output_shape(0)
        groups = self.config.norm_groups
        grouped = ops.reshape(h, [rows, groups, channels // groups * height * width], special_zero=False)
        normal = ops.mvn(grouped, [2], True, EPSILON, "inside_sqrt")
        normal = ops.reshape(normal, [rows, channels, height, width], special_zero=False)
        scale, shift = (
            self._constant(self._weights[f"{name}.{part}"].reshape(1, -1, 1, 1))
            for part in ("weight", "bias")
        )
        return ops.add(ops.multiply(normal, scale), shift)

    def _modulated(self, name: str, h: Node, embedding: Node) -> Node:
        """Scale and shift by the embedding: `h·(1 + scale) + shift`."""
        both = self._linear(name, embedding)
        both = ops.reshape(both, [0, 0, 1, 1], special_zero=True)
        scale, shift = ops.split(both, 1, 2).outputs()
        return ops.add(ops.multiply(h, ops.add(scale, np.float32(1))), shift)

    def _block(self, name: str, h: Node, embedding: Node) -> Node:
        residual = self._conv(f"{name}.skip", h) if f"{name}.skip.weight" in self._weights else h
        if self.config.block == "double":
            h = self._conv(f"{name}.conv1", ops.swish(self._norm(f"{name}.norm1", h)))
            h = ops.swish(self._modulated(f"{name}.scale_shift", self._norm(f"{name}.norm2", h), embedding))
        else:
            h = self._modulated(f"{name}.scale_shift", self._norm(f"{name}.norm", h), embedding)
            h = ops.swish(self._conv(f"{name}.conv1", h))
        return ops.add(self._conv(f"{name}.conv2", h), residual)

    def _attention(self, name: str, place: str, h: Node) -> Node:
        if place not in self.config.attention:
            return h
        config = self.config
        heads, channels = config.attention_heads, config.mid_width
        height, width = (size // (2 * config.patch) for size in (config.height, config.width))
        qkv = self._conv(f"{name}.qkv", self._norm(f"{name}.norm", h))
        qkv = ops.reshape(qkv, [0, 3, heads, channels // heads, height * width], special_zero=True)
        q, k, v = (ops.squeeze(part, 1) for part in ops.split(qkv, 1, 3).outputs())  # (B, heads, C/heads, N)
        scores = ops.multiply(ops.matmul(q, k, True, False), np.float32((channels // heads) ** -0.5))
        mixed = ops.matmul(v, ops.softmax(scores, -1), False, True)  # (B, heads, C/heads, N)
        mixed = ops.reshape(mixed, [0, channels, height, width], special_zero=True)
        return ops.add(h, self._conv(f"{name}.out", mixed))

    def _join(self, name: str, h: Node, skip: Node) -> Node:
        if self.config.skips == "concat":
            return ops.concat([h, skip], 1)
        return ops.add(h, self._conv(f"{name}.project", skip))

    def _repeat(self, h: Node) -> Node:
        """Double the resolution by repeating pixels."""
        return ops.interpolate(
            h, ops.constant(np.array([2, 2], np.float32)), "nearest", "scales", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric", axes=ops.constant(np.array([2, 3], np.int64)),
        )  # fmt: skip


def with_steady_names(model: openvino.Model) -> openvino.Model:
    """Return the graph with names that are the same in every process.

    OpenVINO numbers what has no name by a counter of the process, and finds what its cache keeps by all that
    is in the graph, names included.
    """
    for number, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(str(number))
    for number, port in enumerate([*model.inputs, *model.outputs]):
        port.get_tensor().set_names({f"port{number}"})
    return model


def has_fast_bfloat16() -> bool:
    """Tell whether this CPU multiplies bfloat16 matrices itself."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoPredictor:
    """Run the network by OpenVINO, at a few batch sizes; see `base.Predictor`.

    The rows of a batch are shared among the cores: each computes its own, on its own. Cores that computed
    one batch together would wait for each other in every layer, and on a busy machine that is most of the
    time.

    Args:
        config, weights: of the network.
        precision: of the matrix products; None for the fastest that this CPU multiplies itself.
        sizes: batch sizes of a core's share, rising.
        threads: to compute with; 0 for as many as there are cores.
        cache: a folder that keeps what was compiled for the next start; None for none.
    """

    def __init__(
        self,
        config: UNetConfig,
        weights: Weights,
        precision: Precision | None = None,
        sizes: Sequence[int] = SIZES,
        threads: int = 0,
        cache: Path | None = None,
    ) -> None:
        if precision is None:
            precision = Precision.BFLOAT16 if has_fast_bfloat16() else Precision.FLOAT32
        self.device: Any = None  # NumPy's arrays
        self._graph, self._sizes, self.precision = Graph(config, weights), tuple(sizes), precision
        self._core = openvino.Core()
        self._threads = min(threads or available_cores(), MOST_THREADS)
        # Pinned threads wait for the core that another process has; unpinned ones move to a free one.
        self._options = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision is Precision.BFLOAT16 else "f32",
            "NUM_STREAMS": str(self._threads),
            "INFERENCE_NUM_THREADS": str(self._threads),
            "ENABLE_CPU_PINNING": "NO",
        }
        if cache is not None and (folder := usable_cache(cache)) is not None:
            self._options["CACHE_DIR"] = str(folder)
        self._compiled: dict[int, Any] = {}  # by their batch sizes
        self._ready: tuple[int, ...] = ()  # batch sizes, rising
        self._best: set[int] = set()  # those that would have run the batches so far the fastest
        self._batch = Batch(config, 0)

    @property
    def description(self) -> str:
        """Say what computes."""
        version = openvino.get_version().partition("-")[0]
        sizes = ", ".join(map(str, self._sizes))
        threads = f"{self._threads} threads" if self._threads > 1 else "1 thread"
        return f"OpenVINO {version} {self.precision.value}, {threads}, each with batches of {sizes}"

    def __call__(
        self, x: NDArray[np.float32], u: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return v; see `base.Predictor`."""
        if not self._ready:
            self.warm_up_first()
        rows = len(x)
        self._best |= {size for _, size in shared_out(rows, self._sizes, self._threads)}
        parts = shared_out(rows, self._ready, self._threads)
        if (places := sum(size for _, size in parts)) > self._batch.places:
            self._batch = Batch(self._graph.config, 1 << (places - 1).bit_length())
        return self._batch.run(self._compiled, parts, x, u, labels)

    def warm_up_size(self, size: int) -> None:
        """Compile a batch size, and use it from now on; see `base.Predictor`."""
        began = time.perf_counter()
        config = self._graph.config
        try:
            with kept_signal_stack():
                compiled = self._core.compile_model(self._graph.model(size), "CPU", self._options)
                x = np.zeros((size, config.channels, config.height, config.width), np.float32)
                labels = np.zeros(size, np.int64)
                Batch(config, size).run({size: compiled}, [(size, size)], x, x[:, 0], labels)
        except Exception as error:
            reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
            if lacks_avx2():
                reason += "; this processor has no AVX2, which OpenVINO is made for"
            raise PredictorError(
                f"OpenVINO cannot run this network here ({reason}); use --predictor eager, which needs torch"
            ) from error
        log.debug("batch of %d ready after %.2f s", size, time.perf_counter() - began)
        self._compiled[size] = compiled
        self._ready = tuple(sorted(self._compiled))

    @property
    def further_sizes(self) -> Sequence[int]:
        """Return the batch sizes that are not compiled yet."""
        return [size for size in self._sizes if size not in self._compiled]

    @property
    def wanted_sizes(self) -> Sequence[int]:
        """Return the batch sizes that were missing; see `base.Predictor`."""
        best = self._best.copy()  # which the engines' thread may add to
        return [size for size in self.further_sizes if size in best]

    def warm_up_first(self) -> None:
        """Compile the batch sizes that are enough to serve with; see `base.Predictor`."""
        for size in [size for size in self._sizes if size in FIRST_SIZES] or self._sizes[:1]:
            if size not in self._compiled:
                self.warm_up_size(size)


class Batch:
    """Keep the arrays of a batch, and the requests that compute parts of it.

    Args:
        config: of the network.
        places: rows that there is room for.
    """

    def __init__(self, config: UNetConfig, places: int) -> None:
        picture = (config.channels, config.height, config.width)
        self.places = places
        self._x = np.zeros((places, *picture), np.float32)
        self._level_map = np.zeros((places, 2 * len(MAP_FREQUENCIES), *picture[1:]), np.float32)
        self._level = np.zeros((places, 4 * len(MEAN_FREQUENCIES)), np.float32)
        self._labels = np.zeros(places, np.int64)
        self._v = np.zeros((places, *picture), np.float32)
        self._requests: dict[tuple[int, int], Any] = {}  # by the first place and the batch size

    def run(
        self,
        compiled: Mapping[int, Any],
        parts: Sequence[tuple[int, int]],
        x: NDArray[np.float32],
        u: NDArray[np.float32],
        labels: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return v of all rows; the next run writes over it.

        Args:
            compiled: the network, by batch sizes.
            parts: the rows that each request takes, in their order, and its batch size.
            x, u, labels: as of `base.Predictor`.
        """
        levels = u.reshape(len(u), -1)
        top = levels.max(1)
        # A picture of one level for all its pixels has features that are the same everywhere, to the bit.
        even = bool((levels == top[:, None]).all())
        level_map = fourier_features(u[:, None, :1, :1] if even else u[:, None], MAP_FREQUENCIES, 1)
        level = fourier_features(np.stack([levels.mean(1), top], 1), MEAN_FREQUENCIES, 1)
        started: list[Any] = []
        placed: list[slice] = []
        row = place = 0
        for rows, size in parts:
            here, theirs = slice(place, place + rows), slice(row, row + rows)
            self._x[here], self._labels[here] = x[theirs], labels[theirs]
            self._level_map[here], self._level[here] = level_map[theirs], level[theirs]
            request = self._request(compiled, place, size)
            request.start_async(share_inputs=True)
            started.append(request)
            placed.append(here)
            row, place = row + rows, place + size
        for request in started:
            request.wait()
        if placed[-1].stop == len(x):  # nothing is padded in between
            return self._v[: len(x)]
        return np.concatenate([self._v[here] for here in placed])

    def _request(self, compiled: Mapping[int, Any], place: int, size: int) -> Any:
        request = self._requests.get((place, size))
        if request is None:
            request = self._requests[place, size] = compiled[size].create_infer_request()
            there = slice(place, place + size)
            inputs: list[NDArray[Any]] = [self._x, self._level_map, self._level, self._labels]
            for number, array in enumerate(inputs):
                request.set_input_tensor(number, openvino.Tensor(array[there], shared_memory=True))
            request.set_output_tensor(0, openvino.Tensor(self._v[there], shared_memory=True))
        return request
