"""The model, and the flags of servers that tests start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import flags_of, write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def flags(model: Path) -> list[str]:
    return flags_of(model)
