"""A network that runs in OpenVINO and is called with torch's tensors, for the commands that draw or teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.config import UNetConfig
from diffusion_toy.model.unet import UNet
from diffusion_toy.predictors.base import Precision, warm_up
from diffusion_toy.predictors.openvino import OpenVinoPredictor
from training.objectives.autoguidance import AutoguidedNetwork

SIZES = (8, 32)  # batch sizes with a program of their own


class OpenVinoNetwork(nn.Module):
    """A trained network as a program of OpenVINO; called like `UNet`, on the CPU, and not to be trained.

    Args:
        config: of the network.
        weights: by their names in `config.weight_shapes`.
        precision: of the matrix products.
        threads: of the program; 0 for one a core.
        sizes: batch sizes, rising, to which batches are cut and padded.
    """

    takes_labels = UNet.takes_labels
    schedule = UNet.schedule

    def __init__(
        self,
        config: UNetConfig,
        weights: Mapping[str, NDArray[np.float32]],
        precision: Precision,
        threads: int = 0,
        sizes: Sequence[int] = SIZES,
    ) -> None:
        super().__init__()
        self.config = config
        self._predictor = OpenVinoPredictor(config, weights, precision, sizes, threads)
        warm_up(self._predictor)

    def forward(self, x: Tensor, u: Tensor, labels: Tensor) -> Tensor:
        """Predict v; as `UNet.forward`."""
        return torch.from_numpy(self._predictor(x.numpy(), u.numpy(), labels.numpy()).copy())


def on_openvino(network: Any, precision: Precision) -> Any:
    """Return the network, or both of an autoguided one, as programs of OpenVINO.

    Raises:
        InvalidValueError: it is not a `UNet`.
        PredictorError: OpenVINO cannot run it here.
    """
    if isinstance(network, AutoguidedNetwork):
        strong, weak = on_openvino(network.network, precision), on_openvino(network.weak, precision)
        return AutoguidedNetwork(strong, weak, network.guidance)
    if not isinstance(network, UNet):
        raise InvalidValueError("--predictor", "openvino", "eager or compiled for a network of this recipe")
    weights = {name: tensor.float().cpu().numpy() for name, tensor in network.state_dict().items()}
    return OpenVinoNetwork(network.config, weights, precision)
