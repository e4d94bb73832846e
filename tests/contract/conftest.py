"""One server with a tiny model for all clients of the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models import tiny_flags
from tests.tools import ServerProcess, running_server


@pytest.fixture(scope="session")
def contract_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server process."""
    with running_server(*tiny_flags(tmp_path_factory.mktemp("contract"))) as process:
        yield process
