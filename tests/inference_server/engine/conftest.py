"""The engine that most tests of this folder use."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_server.engine.engine import Engine, EngineConfig
from tests.inference_server.engine.engines import engine_of
from tests.models import tiny_model


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return engine_of(tiny_model(tmp_path), EngineConfig(8))
