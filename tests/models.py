"""Tiny networks and model files for tests that need any model, not a good one."""

from __future__ import annotations

from pathlib import Path

import torch

from diffusion_toy.model.checkpoint import Examples, LoadedModel, ModelMetadata, load_model, save_model
from diffusion_toy.model.unet import UNet, UNetConfig

TINY = UNetConfig(base_width=8, mid_width=8, blocks=1, embedding_width=8, attention_heads=1)


def random_network(config: UNetConfig = TINY, seed: int = 0) -> UNet:
    """A network of random weights; unlike a fresh one, no part of it is zero."""
    torch.manual_seed(seed)
    network = UNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    return network.requires_grad_(False)


def write_model(
    path: Path, examples: bool = True, config: UNetConfig = TINY, dataset: str = "noise", seed: int = 0
) -> Path:
    """A model file of random weights."""
    shape = (20, config.channels, config.height, config.width)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    metadata = ModelMetadata(
        config, dataset, tuple("0123456789")[: config.num_classes], -1.0, {"note": "random"}, {"score": 1.0}
    )
    real = Examples(images, torch.arange(20) % 10) if examples else None
    save_model(path, random_network(config, seed).state_dict(), metadata, real)
    return path


def flags_of(*models: Path) -> list[str]:
    """The flags of a server of these models that measures nothing: it has room on a busy machine as well."""
    named = [flag for model in models for flag in ("--model", str(model))]
    return [*named, "--threads", "1", "--capacity", "100000"]


def tiny_flags(folder: Path) -> list[str]:
    """The same of a tiny model, which is written to a folder."""
    return flags_of(write_model(folder / "tiny.safetensors"))


def shared_flags(folder: Path) -> list[str]:
    """The flags of servers that share a tiny model and a key, so that one takes over another's sessions."""
    key = folder / "key"
    key.write_text("a secret that several servers share\n")
    return [*tiny_flags(folder), "--resume-key-file", str(key)]


def tiny_model(tmp_path: Path, examples: bool = True) -> LoadedModel:
    """The same, loaded."""
    return load_model(write_model(tmp_path / "tiny.safetensors", examples))
