"""What draws with OpenVINO draws what torch does, guided by a weak network or not."""

from __future__ import annotations

import pytest
import torch

from diffusion_toy.contract.messages import Sampler
from diffusion_toy.diffusion.sampling import SamplingPlan
from diffusion_toy.errors import InvalidValueError
from tests.models import TINY, random_network
from training.drawing.generation import DrawingNetwork, generate, labels_of, make_pipeline
from training.objectives.autoguidance import Autoguidance, AutoguidedNetwork
from training.objectives.toy_recipe import ToyUNet

CPU = torch.device("cpu")


@pytest.mark.parametrize("guided", [False, True])
def test_openvino_draws_what_torch_draws(guided: bool) -> None:
    network: DrawingNetwork = random_network()
    if guided:
        network = AutoguidedNetwork(random_network(), random_network(seed=1), Autoguidance(1.0, 1.0))
    labels, plan = labels_of("balanced", 11, 10), SamplingPlan(Sampler.DDIM, 3)
    eager = generate(make_pipeline(network, CPU), labels, plan, 5)
    fast = generate(make_pipeline(network, CPU, kind="openvino"), labels, plan, 5)
    assert (eager.int() - fast.int()).abs().max() <= 1
    plain = generate(make_pipeline(random_network(), CPU, kind="openvino"), labels, plan, 5)
    assert torch.equal(plain, fast) is not guided


def test_a_network_that_openvino_cannot_build_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="--predictor"):
        make_pipeline(ToyUNet(TINY), CPU, kind="openvino")


def test_openvino_for_a_gpu_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="--device cpu"):
        make_pipeline(random_network(), torch.device("cuda"), kind="openvino")
