"""Bindings that are refused, certificates that do not fit, certificates that are over."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from inference_server.transport.addresses import ListenError, is_loopback
from inference_server.transport.security import (
    SecurityError,
    ServerSecurity,
    certificate_warning,
    check_binding,
    grpc_credentials,
)
from tests.authority import Authority
from tests.tools import require_tool

TOKEN = "correct-horse-battery"
NOTHING = ServerSecurity()
LAN = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.7.9", 0))]


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A fresh self-signed certificate for localhost, and its key."""
    Authority(folder, require_tool("openssl", "apt-get install openssl")).self_signed(name, "localhost")
    return folder / f"{name}.pem", folder / f"{name}.key"


# --- where a server may listen ---


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])
def test_loopback_needs_nothing(host: str) -> None:
    assert check_binding(host, NOTHING) is None


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "10.1.2.3", "192.168.0.4", "8.8.8.8", "fd00::1", "[::]"]
)
def test_other_addresses_need_protection(host: str) -> None:
    with pytest.raises(SecurityError) as caught:
        check_binding(host, NOTHING)
    for said in (f"--host {host}", "--tls-cert and --tls-key", "--token-file", "--insecure"):
        assert said in str(caught.value)


def test_a_name_counts_as_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    loopback = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: loopback)
    assert is_loopback("gpu-box")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: loopback + LAN)
    assert not is_loopback("gpu-box")
    with pytest.raises(SecurityError, match="--host gpu-box is reachable"):
        check_binding("gpu-box", NOTHING)


@pytest.mark.parametrize("host", ["256.1.1.1", "a" * 70 + ".invalid"])
def test_an_unknown_name_is_refused(host: str) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on {host}"):
        check_binding(host, NOTHING)


def test_what_protects_and_what_is_warned_of() -> None:
    tls = ServerSecurity(tls_cert=Path("c"), tls_key=Path("k"))
    assert check_binding("0.0.0.0", tls) is None
    readable = check_binding("0.0.0.0", ServerSecurity(bearer_token=TOKEN))
    assert readable is not None
    assert "without TLS" in readable
    assert TOKEN not in readable
    open_to_all = check_binding("0.0.0.0", ServerSecurity(insecure=True))
    assert open_to_all is not None
    assert "open to everyone" in open_to_all
    assert check_binding("127.0.0.1", ServerSecurity(insecure=True)) is None


def test_the_token_is_not_in_the_text_form() -> None:
    assert TOKEN not in repr(ServerSecurity(bearer_token=TOKEN))


# --- certificates ---


def test_no_tls_no_credentials() -> None:
    assert grpc_credentials(NOTHING) is None


@pytest.mark.parametrize("given", ["tls_cert", "tls_key"])
def test_a_certificate_and_its_key_come_together(given: str) -> None:
    with pytest.raises(SecurityError, match=r"--tls-\w+ needs --tls-\w+ as well"):
        ServerSecurity(**{given: Path("x.pem")})  # type: ignore[arg-type]


async def test_a_client_that_trusts_the_certificate_gets_through(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_secure_port("localhost:0", grpc_credentials(ServerSecurity(cert, key)))
    await server.start()
    trust = grpc.ssl_channel_credentials(cert.read_bytes())
    async with grpc.aio.secure_channel(f"localhost:{port}", trust) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    await server.stop(None)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path, "a")
    _, key = certificate(tmp_path, "b")
    with pytest.raises(SecurityError, match=r"b\.key is not the key of --tls-cert .*a\.pem"):
        grpc_credentials(ServerSecurity(cert, key))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    with pytest.raises(SecurityError, match=r"--tls-cert nowhere\.pem cannot be read \(No such file"):
        grpc_credentials(ServerSecurity(Path("nowhere.pem"), key))
    with pytest.raises(SecurityError, match=r"--tls-key .* cannot be read"):
        grpc_credentials(ServerSecurity(cert, tmp_path))


def test_what_is_not_pem_is_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    with pytest.raises(SecurityError, match=r"--tls-cert .*a\.key has no certificate in PEM format"):
        grpc_credentials(ServerSecurity(key, key))
    with pytest.raises(SecurityError, match=r"--tls-key .*a\.pem has no private key in PEM format"):
        grpc_credentials(ServerSecurity(cert, cert))


def test_a_damaged_certificate_is_refused(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    lines = cert.read_text().splitlines()
    cert.write_text("\n".join([*lines[:2], *lines[3:]]))
    with pytest.raises(SecurityError, match="cannot be used"):
        grpc_credentials(ServerSecurity(cert, key))


def test_an_encrypted_key_is_refused_without_asking_for_its_password(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(SecurityError, match=r"locked\.key is encrypted; decrypt it: openssl pkey"):
        grpc_credentials(ServerSecurity(cert, locked))


# --- certificates whose time is over, or has not come ---


def dated_certificate(folder: Path, begins: str, ends: str) -> ServerSecurity:
    """A certificate of an authority of its own, valid between two dates."""
    authority = Authority(folder, require_tool("openssl", "apt-get install openssl"))
    authority.self_signed("ca", "nobody")
    authority.sign("a", "localhost", begins, ends)
    return ServerSecurity(folder / "a.pem", folder / "a.key")


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        ("20200101000000Z", "20200201000000Z", r"a\.pem has expired: viewers will refuse it"),
        ("20980101000000Z", "20990101000000Z", r"a\.pem is not valid yet, by the clock of this machine"),
    ],
)
def test_a_certificate_out_of_its_time_is_told_at_the_start(
    tmp_path: Path, begins: str, ends: str, said: str
) -> None:
    warning = certificate_warning(dated_certificate(tmp_path, begins, ends))
    assert warning is not None
    assert re.search(said, warning)


def test_a_certificate_within_its_time_is_not_spoken_of(tmp_path: Path) -> None:
    assert certificate_warning(NOTHING) is None
    assert certificate_warning(ServerSecurity(*certificate(tmp_path, "own"))) is None
    assert certificate_warning(dated_certificate(tmp_path, "20200101000000Z", "20990101000000Z")) is None
