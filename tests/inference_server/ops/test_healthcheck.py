"""The health check where nothing answers, and where its package is not installed."""

from __future__ import annotations

import sys

import pytest

from inference_server.ops import healthcheck
from tests.tools import free_port


def test_without_its_package_it_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "grpc_health.v1", None)
    with pytest.raises(SystemExit, match="1"):
        healthcheck.main(["127.0.0.1:1"])
    said = capsys.readouterr().err
    assert said == 'error: grpc_health is not installed; run: pip install "diffusion-toy[server]"\n'


def test_where_nobody_listens_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert healthcheck.main([address]) == 1
    assert capsys.readouterr().err.startswith(f"{address}: UNAVAILABLE")
