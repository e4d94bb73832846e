"""Settings of a run that takes seconds."""

from __future__ import annotations

from tests.models import TINY
from training.objectives.config import TrainConfig


def config(**changes: object) -> TrainConfig:
    values = {
        "epochs": 2,
        "batch_size": 64,
        "warmup_steps": 4,
        "learning_rate": 5e-3,
        "model": TINY,
        **changes,
    }
    return TrainConfig(**values)  # type: ignore[arg-type]
