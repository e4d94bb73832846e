"""One server with a tiny model for all clients of the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models import write_model
from tests.tools import ServerProcess, running_server


@pytest.fixture(scope="session")
def contract_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server process."""
    model = write_model(tmp_path_factory.mktemp("contract") / "tiny.safetensors")
    with running_server("--model", str(model), "--threads", "1", "--capacity", "100000") as process:
        yield process
