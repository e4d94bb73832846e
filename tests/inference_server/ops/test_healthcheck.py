"""The health check where nothing answers, where a proxy is named, and where its package is not installed."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from inference_server.ops import healthcheck
from tests.inference_server.transport.test_security import certificate
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


@pytest.mark.parametrize("tls", [False, True])
def test_it_goes_by_no_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: bool
) -> None:
    flags = ["--tls-ca", str(certificate(tmp_path, "server")[0])] if tls else []
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("grpc_proxy", "https_proxy", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert healthcheck.main([f"127.0.0.1:{free_port()}", "--timeout", "1", *flags]) == 1
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has come
            proxy.accept()
