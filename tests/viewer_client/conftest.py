"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.authority import FAR, FUTURE, NOW, PAST, Authority
from tests.in_process import close_servers
from tests.tools import require_tool


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    openssl = require_tool("openssl", "apt-get install openssl")
    authority = Authority(tmp_path_factory.mktemp("authority"), openssl)
    authority.self_signed("ca", "nobody")
    authority.self_signed("other", "localhost")
    authority.sign("good", "localhost", PAST, FAR)
    authority.sign("expired", "localhost", PAST, NOW)
    authority.sign("future", "localhost", FUTURE, FAR)
    authority.sign("elsewhere", "another.example.org", PAST, FAR)
    return authority


@pytest.fixture(autouse=True)
def _servers_in_the_process_end() -> Iterator[None]:
    yield
    close_servers()
