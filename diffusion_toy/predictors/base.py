"""What a predictor is: the network made ready to run. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from diffusion_toy.diffusion.arrays import Array
from diffusion_toy.errors import DiffusionToyError

PREDICTORS = ("auto", "openvino", "eager", "compiled")  # what a command line can ask for


class Precision(Enum):
    """Name the type of the network's matrix products; all around them is float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class PredictorError(DiffusionToyError):
    """The network cannot be made to run in this way here."""


class Predictor(Protocol):
    """Predict v for any number of rows.

    The result is valid until the next call: whoever keeps it copies it.
    """

    device: Any
    """Where the arrays lie that it takes: a `torch.device`, or None for NumPy's."""

    @property
    def description(self) -> str:
        """Say what computes and how: "OpenVINO bfloat16", for instance."""
        ...

    def __call__(self, x: Array, u: Array, labels: Array) -> Array:
        """Return v, (R, C, H, W) float32.

        Args:
            x: (R, C, H, W) float32, the noisy pictures.
            u: (R, H, W) float32, the levels.
            labels: (R,) int64; the number of classes stands for no label.
        """
        ...

    @property
    def further_sizes(self) -> Sequence[int]:
        """Return the batch sizes that are not compiled yet, and that would make some batches faster."""
        ...

    @property
    def wanted_sizes(self) -> Sequence[int]:
        """Return those of `further_sizes` that would have made batches faster which it has run already."""
        ...

    def warm_up_first(self) -> None:
        """Compile and run what takes any number of rows.

        Raises:
            PredictorError: it cannot run here.
        """
        ...

    def warm_up_size(self, size: int) -> None:
        """Compile and run one of `further_sizes`; another thread may do so while the predictor runs.

        Raises:
            PredictorError: it cannot run here.
        """
        ...


def warm_up(predictor: Predictor) -> None:
    """Compile and run every batch size, so that nobody waits for it later.

    Raises:
        PredictorError: it cannot run here.
    """
    predictor.warm_up_first()
    for size in predictor.further_sizes:
        predictor.warm_up_size(size)
