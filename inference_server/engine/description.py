"""What clients are told of a model that is served."""

from __future__ import annotations

from diffusion_toy.contract.messages import ModelInfo
from diffusion_toy.model.checkpoint import LoadedModel
from diffusion_toy.predictors.base import Predictor


def describe(model: LoadedModel, predictor: Predictor) -> ModelInfo:
    """Return what a client needs to know of a model and of what runs it."""
    network = model.config
    return ModelInfo(
        name=model.name,
        fingerprint=model.fingerprint,
        channels=network.channels,
        height=network.height,
        width=network.width,
        label_names=model.metadata.label_names,
        dataset=model.metadata.dataset,
        border_value=model.metadata.border_value,
        has_examples=model.examples is not None,
        predictor=predictor.description,
    )
